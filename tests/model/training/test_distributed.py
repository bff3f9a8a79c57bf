"""Several ranks are one run: the same losses and weights, within rounding."""

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch._dynamo  # both once, before ranks are forked: each takes as long as torch
import torch.distributed.fsdp

from model import checkpoint
from model.config import Execution
from model.training.distribution import Distribution, World
from model.training.trainer import Trainer
from tests.model.training.short_run import after_step, make_trainer, of_loop, train

ROOT = Path(__file__).parents[3]
CLOSE = {"rtol": 1e-3, "atol": 2e-4}
"""Of weights after seven steps of at most 3e-3: Adam divides a gradient that is nearly zero by its
own size, and so its rounding as well."""
LOOP = of_loop(steps=7)

pytestmark = pytest.mark.filterwarnings(
    "ignore:This process .* is multi-threaded:DeprecationWarning"  # from Python 3.12 on, of fork
)


def in_ranks(size: int, local_size: int, work: Callable[[Distribution], object]) -> None:
    """Do `work` in `size` processes that know each other; all must end well."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
    children = []
    for rank in range(size):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                world = World(rank, size, rank % local_size, local_size)
                distribution = Distribution(world, torch.device("cpu"))
                work(distribution)
                distribution.close()
                code = 0
            except Exception:
                traceback.print_exc()  # nobody else tells of it
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0] * size


def run_in_ranks(
    tokens: Path,
    out: Path,
    size: int = 2,
    local_size: int = 2,
    prepare: Callable[[Trainer], object] = lambda trainer: None,
    **execution: Any,
) -> None:
    def work(distribution: Distribution) -> None:
        trainer = make_trainer(tokens, out, LOOP, distribution, **execution)
        prepare(trainer)
        trainer.run()

    in_ranks(size, local_size, work)


def assert_same_run(one: Path, other: Path) -> None:
    """Losses of every line, and all that the last checkpoint holds."""
    losses = []
    for out in (one, other):
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        losses.append([line.get("loss", line.get("held_out_image")) for line in lines])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    first, second = (checkpoint.load_newest(out / "checkpoints") for out in (one, other))
    assert first is not None and second is not None
    assert first.state["position"] == second.state["position"]
    for table in ("model", "ema", "optimizer"):
        torch.testing.assert_close(first.read_table(table), second.read_table(table), **CLOSE)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus, and what one process makes of it."""
    from tests.model.conftest import write_corpus

    folder = tmp_path_factory.mktemp("alone")
    tokens = write_corpus(folder / "tokens")
    train(tokens, folder / "run", loop=LOOP)
    return tokens, folder / "run"


@pytest.fixture(scope="module", params=["ddp", "fsdp"])
def shared(
    request: pytest.FixtureRequest,
    alone: tuple[Path, Path],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """What two ranks make of the same corpus."""
    out = tmp_path_factory.mktemp("shared") / request.param
    run_in_ranks(alone[0], out, shard=request.param)
    return out


def test_two_ranks_train_as_one_process_does(alone: tuple[Path, Path], shared: Path) -> None:
    """Dropout and empty captions too, for the micro-batches are cut at the same places."""
    assert_same_run(alone[1], shared)


@pytest.mark.slow
@pytest.mark.parametrize("shard", ["ddp", "fsdp", "hybrid"])
def test_four_ranks_train_as_one_process_does(
    shard: str, tokens_folder: Path, tmp_path: Path
) -> None:
    """Micro-batches of two: one process cuts them where four ranks do."""
    loop = dataclasses.replace(LOOP, micro_batch_size=2)
    train(tokens_folder, tmp_path / "one", loop=loop)

    def work(distribution: Distribution) -> None:
        make_trainer(tokens_folder, tmp_path / "four", loop, distribution, shard=shard).run()

    in_ranks(4, 2, work)
    assert_same_run(tmp_path / "one", tmp_path / "four")


@pytest.mark.slow
def test_shards_in_bf16_leave_the_identity_path_in_float32(
    tokens_folder: Path, tmp_path: Path
) -> None:
    def check(block: torch.nn.Module, inputs: object, x_BLD: torch.Tensor) -> None:
        assert x_BLD.dtype == torch.float32

    def watch(trainer: Trainer) -> None:
        for block in trainer.update.model.blocks:
            block.register_forward_hook(check)

    run_in_ranks(tokens_folder, tmp_path / "run", prepare=watch, shard="fsdp", precision="bf16")
    assert checkpoint.load_newest(tmp_path / "run" / "checkpoints") is not None


def stop_after(step: int) -> Callable[[Trainer], object]:
    """Only the second rank hears the signal, as when one machine of several is taken away."""

    def prepare(trainer: Trainer) -> None:
        if not trainer.distribution.is_first:
            after_step(trainer, step, lambda: trainer.stop_at(signal.SIGTERM, None))

    return prepare


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("fsdp", None, id="sharded, then one process"),
        pytest.param(None, "fsdp", id="one process, then sharded"),
        pytest.param("ddp", "fsdp", id="replicas, then sharded", marks=pytest.mark.slow),
        pytest.param("hybrid", "ddp", id="hybrid, then replicas", marks=pytest.mark.slow),
    ],
)
def test_goes_on_with_other_ranks(
    before: str | None, after: str | None, alone: tuple[Path, Path], tmp_path: Path
) -> None:
    tokens, run = alone
    if before is None:
        train(tokens, tmp_path / "ranks", stop_after=4, loop=LOOP)
    else:
        run_in_ranks(tokens, tmp_path / "ranks", prepare=stop_after(3), shard=before)
    assert checkpoint.step_of(checkpoint.listed(tmp_path / "ranks/checkpoints")[-1]) == 4
    if after is None:
        train(tokens, tmp_path / "ranks", loop=LOOP)
    else:
        run_in_ranks(tokens, tmp_path / "ranks", shard=after)
    assert_same_run(run, tmp_path / "ranks")


def test_each_rank_writes_its_share_of_a_checkpoint(alone: tuple[Path, Path], shared: Path) -> None:
    whole, parts = (
        [file.stat().st_size for file in out.glob("checkpoints/*7/*-0*")]
        for out in (alone[1], shared)
    )
    assert len(parts) == 2 * len(whole)
    assert sum(whole) * 0.9 < sum(parts) < sum(whole) * 1.1
    first = sum(file.stat().st_size for file in shared.glob("checkpoints/*7/*-00000.*"))
    assert sum(parts) * 0.3 < first < sum(parts) * 0.7


@pytest.mark.slow
def test_compressed_gradients_go_on_bit_for_bit(tokens_folder: Path, tmp_path: Path) -> None:
    execution = {"shard": "ddp", "powersgd_rank": 4, "powersgd_start_step": 2}
    run_in_ranks(tokens_folder, tmp_path / "whole", **execution)
    run_in_ranks(tokens_folder, tmp_path / "parts", prepare=stop_after(4), **execution)
    run_in_ranks(tokens_folder, tmp_path / "parts", **execution)
    run_in_ranks(tokens_folder, tmp_path / "plain", shard="ddp")
    tables = {}
    for name in ("whole", "parts", "plain"):
        found = checkpoint.load_newest(tmp_path / name / "checkpoints")
        assert found is not None
        tables[name] = {table: found.read_table(table) for table in found.tables}
    assert any(error.abs().max() > 0 for error in tables["whole"]["powersgd"].values())
    torch.testing.assert_close(tables["parts"], tables["whole"], rtol=0, atol=0)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(tables["plain"]["model"], tables["whole"]["model"], **CLOSE)


@pytest.mark.slow
def test_torchrun_starts_the_door(alone: tuple[Path, Path], tmp_path: Path) -> None:
    tokens, _ = alone
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    command += [str(ROOT / "model/train.py"), "--data", str(tokens), "--out", "run"]
    command += ["--steps", "3", "--log_every", "1", "--batch_size", "4", "--shard", "fsdp"]
    paths = f"{ROOT}{os.pathsep}{ROOT / 'tokenize'}"
    ended = subprocess.run(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("training begins at step 0 of 3 steps")
    assert [line.split()[1] for line in lines[1:5]] == ["1", "2", "3", "3"]
    assert lines[-1].startswith("captions: ") and len(lines) == 6, "one rank speaks"


def test_a_batch_that_the_ranks_cannot_share_is_refused(tokens_folder: Path) -> None:
    from model.data import TokenLoader
    from model.loading.corpus import TokenCorpus

    with pytest.raises(ValueError, match="does not divide among 3 ranks"):
        TokenLoader(TokenCorpus(str(tokens_folder)), 8, 0, rank=0, world_size=3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        pytest.param({"shard": "zero"}, "must be one of ddp, fsdp, hybrid", id="no such way"),
        pytest.param({"shard": "fsdp", "powersgd_rank": 4}, "needs --shard ddp", id="PowerSGD"),
        pytest.param({"powersgd_start_step": 1}, "must be above 1", id="too early"),
    ],
)
def test_refuses_what_cannot_be_carried_out(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Execution(**values)


@pytest.mark.parametrize(
    ("environment", "world"),
    [
        pytest.param({}, World(0, 1, 0, 1), id="no torchrun"),
        pytest.param(
            {"RANK": "9", "WORLD_SIZE": "16", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "8"},
            World(9, 16, 1, 8),
            id="the second machine",
        ),
    ],
)
def test_a_rank_knows_its_place(environment: dict[str, str], world: World) -> None:
    assert World.of(environment) == world


def test_half_an_environment_is_refused() -> None:
    with pytest.raises(ValueError, match="torchrun"):
        World.of({"RANK": "1"})
