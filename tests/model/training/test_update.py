"""One update: how a batch is cut, which captions are left empty, what ranks and flags decide."""

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from model.config import Execution, Optim
from model.loading.corpus import TokenCorpus
from model.optim import AdamW
from model.options import build_parser, make_run
from model.training.update import dropped_captions, empty_caption
from tests.model.training.short_run import make_trainer, of_loop


def test_empty_captions_are_a_share_of_all_and_another_one_each_step(
    tokens_folder: Path, tmp_path: Path
) -> None:
    trainer = make_trainer(tokens_folder, tmp_path / "run", of_loop(batch_size=1000))
    run = trainer.settings
    first, second = (dropped_captions(run, 0.2, step) for step in (0, 1))
    assert 150 < first.sum() < 250 and not np.array_equal(first, second)
    assert np.array_equal(first, dropped_captions(run, 0.2, 0))
    assert empty_caption(run).tolist() == [40, 41, 42, 43, 44, 45]


def test_the_network_sees_the_empty_caption_where_it_is_drawn(
    tokens_folder: Path, tmp_path: Path
) -> None:
    trainer = make_trainer(tokens_folder, tmp_path / "run")
    batch = trainer.loader.next_batch()
    trainer.loader.close()
    text, image = trainer.update._tensors(batch, 0)
    dropped = dropped_captions(trainer.settings, 0.2, 0)
    assert dropped.any() and not dropped.all()
    empty = empty_caption(trainer.settings)
    expected = np.where(dropped[:, None], empty, batch.text.astype(np.int64))
    assert np.array_equal(text.numpy(), expected)
    assert np.array_equal(image.numpy(), batch.image)


def test_recomputed_blocks_give_the_same_gradients(tokens_folder: Path, tmp_path: Path) -> None:
    gradients = []
    for name, recompute in (("kept", False), ("again", True)):
        trainer = make_trainer(tokens_folder, tmp_path / name, checkpoint_blocks=recompute)
        trainer.update.measure(trainer.loader.next_batch(), 0)
        trainer.loader.close()
        gradients.append([p.grad for p in trainer.update.model.parameters()])
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0, atol=0)


def test_moments_in_16_bits_follow_those_in_32() -> None:
    weights = []
    for dtype in ("fp32", "bf16"):
        torch.manual_seed(0)
        layer = nn.Linear(5, 3)
        optimizer = AdamW(layer, Optim(1e-2, adam_dtype=dtype))
        for step in range(50):
            for parameter in layer.parameters():
                parameter.grad = torch.sin(parameter.detach() * 9 + step)
            optimizer.step(step, 1e-2, 1.0)
        assert {t.dtype for t in optimizer.state_dict().values()} == {
            torch.float32 if dtype == "fp32" else torch.bfloat16
        }
        weights.append(layer.weight.detach())
    assert weights[1].dtype == torch.float32
    torch.testing.assert_close(weights[0], weights[1], rtol=0, atol=0.02)
    assert not torch.equal(weights[0], weights[1])


def parsed(*flags: str) -> argparse.Namespace:
    return build_parser().parse_args(["--data", "D", "--out", "O", *flags])


def made(trainer_data: object, *flags: str, device_type: str = "cpu") -> Execution:
    return make_run(parsed(*flags), trainer_data, device_type).execution  # type: ignore[arg-type]


def test_a_gpu_computes_in_bf16_and_compiles_unless_told_otherwise(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    assert made(corpus) == Execution("fp32", compile=False)
    assert made(corpus, device_type="cuda") == Execution("bf16", compile=True)
    flags = ("--precision", "fp32", "--no-compile")
    assert made(corpus, *flags, device_type="cuda") == Execution("fp32", compile=False)


def test_the_papers_powersgd_rank_is_that_of_its_width(tokens_folder: Path) -> None:
    corpus = TokenCorpus(str(tokens_folder))
    flags = ("--powersgd_rank", "paper")
    assert made(corpus, "--preset", "dalle-12b", *flags).powersgd_rank == 896
    with pytest.raises(ValueError, match="not for 192; give a number"):
        made(corpus, *flags)
    with pytest.raises(ValueError, match="must be a whole number, or paper"):
        made(corpus, "--powersgd_rank", "-3")


def test_a_run_may_be_taken_up_with_other_ranks_but_not_other_moments(
    tokens_folder: Path, tmp_path: Path
) -> None:
    run = make_trainer(tokens_folder, tmp_path / "run").settings
    execution = dataclasses.replace(run.execution, shard="fsdp", checkpoint_blocks=True)
    assert run.differences(dataclasses.replace(run, execution=execution)) == []
    optim = dataclasses.replace(run.optim, adam_dtype="bf16")
    assert run.differences(dataclasses.replace(run, optim=optim)) == [
        "adam_dtype is fp32 there, bf16 here"
    ]
