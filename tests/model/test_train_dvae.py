"""The dVAE's trainer learns, resumes to the same bits, and refuses what it cannot use."""

import json
import signal
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from model.dvae.config import PAPER_STEPS, PRESETS, DvaeTraining, field_help
from model.dvae.pictures import Batches, Pictures, load_corpus
from model.dvae.run import DvaeRun, schedules
from model.train_dvae import SignalWatch, build_parser, main, read_config
from tokens.dvae import DvaeSizes
from tokens.dvae_file import read_dvae
from tokens.image import load_image_tokenizer
from tokens.manifest import MANIFEST_NAME, FileEntry, Manifest

TINY = DvaeTraining(
    side_px=16,
    steps=12,
    batch_size=4,
    hidden=8,
    vocab_size=12,
    decoder_init=8,
    blocks_per_group=1,
    learning_rate=3e-3,
    precision="fp32",
)
TINY_FLAGS = [
    *("--side_px", "16", "--steps", "6", "--batch_size", "4", "--hidden", "8"),
    *("--vocab_size", "12", "--decoder_init", "8", "--blocks_per_group", "1", "--device", "cpu"),
]


def draw(seed: int, side_px: int = 20) -> np.ndarray:
    """A picture of two flat colours: half and half."""
    pixels = np.empty((side_px, side_px, 3), np.uint8)
    colours = np.random.default_rng(seed).integers(0, 256, (2, 3))
    pixels[:, : side_px // 2], pixels[:, side_px // 2 :] = colours
    return pixels


PICTURES = Pictures(tuple(draw(seed) for seed in range(8)))
FLAT_PICTURES = Pictures(
    tuple(
        np.full((16, 16, 3), colour, np.uint8)
        for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 0, 255))
    )
)


def write_build(folder: Path, splits: list[str], sides_px: list[int]) -> str:
    """The part of a build that the trainer reads: pairs and decisions of one unit."""
    stored = [draw(seed, side_px) for seed, side_px in enumerate(sides_px)]
    images = [cv2.imencode(".png", pixels[..., ::-1])[1].tobytes() for pixels in stored]
    kept = ["kept" if split else "caption_words" for split in splits]
    pairs = pa.table({"image": images, "width": sides_px, "height": sides_px})
    decisions = pa.table({"reason": kept, "split": [split or None for split in splits]})
    for stage, table in (("pairs", pairs), ("decisions", decisions)):
        (folder / stage).mkdir(parents=True)
        pq.write_table(table, folder / stage / "0.parquet")
        entry = FileEntry("0.parquet", "", 0, table.num_rows, 0, "")
        manifest = Manifest(stage, 0, (entry,), {}, {}, "", {})
        (folder / stage / MANIFEST_NAME).write_text(manifest.to_json())
    return str(folder)


def weights(run: DvaeRun) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in run.model.named_parameters()} | run.average


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[n], second[n]) for n in first)


def losses(config: DvaeTraining) -> list[float]:
    """-ln p(x | z) of each update on four flat pictures."""
    run = DvaeRun(config, FLAT_PICTURES, "cpu")
    return [result.loss.nats.item() for result in run.steps(config.steps)]


def test_a_few_pictures_are_learnt_through_codes() -> None:
    config = replace(TINY, steps=40, batch_size=8, learning_rate=1e-2)
    found = losses(replace(config, learning_rate_steps=1000, temperature_steps=100, kl_weight=0.0))
    assert np.mean(found[-5:]) < np.mean(found[:5]) - 0.7


def test_codes_placed_after_a_warm_start_keep_what_it_learnt() -> None:
    config = replace(TINY, steps=50, batch_size=8, hidden=16, learning_rate=1e-4, kl_weight=0.0)
    warm = replace(config, warm_start_steps=45, warm_start_learning_rate=5e-3)
    found = losses(replace(warm, first_temperature=1 / 16))
    assert np.mean(found[40:45]) < np.mean(found[:5]) - 0.7
    assert np.mean(found[45:]) < np.mean(found[40:45]) + 0.3


@pytest.mark.parametrize(
    ("warm_start_steps", "stop"),
    [
        pytest.param(0, 5, id="among the codes"),
        pytest.param(8, 5, id="in the warm start"),
        pytest.param(5, 5, id="as the warm start ends"),
        pytest.param(3, 5, id="after the warm start"),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(
    tmp_path: Path, warm_start_steps: int, stop: int
) -> None:
    config = replace(TINY, warm_start_steps=warm_start_steps)
    whole = DvaeRun(config, PICTURES, "cpu")
    expected = [result.loss.total.item() for result in whole.steps(12)]
    first = DvaeRun(config, PICTURES, "cpu")
    list(first.steps(stop))
    first.save(tmp_path / "state", {"seed": 0})
    second = DvaeRun(config, PICTURES, "cpu")
    second.resume(tmp_path / "state", {"seed": 0})
    assert [result.loss.total.item() for result in second.steps(12)] == expected[stop:]
    assert equal(weights(second), weights(whole))


def test_another_seed_gives_other_weights() -> None:
    runs = [DvaeRun(replace(TINY, seed=seed), PICTURES, "cpu") for seed in (0, 1)]
    assert not equal(weights(runs[0]), weights(runs[1]))


def test_a_batch_depends_on_its_step_alone() -> None:
    expected = [Batches(PICTURES, 16, 3, seed=1).batch(step) for step in range(6)]
    backwards = Batches(PICTURES, 16, 3, seed=1)
    for step in reversed(range(6)):
        assert np.array_equal(backwards.batch(step), expected[step])
    for step, batch in zip(range(2, 6), Batches(PICTURES, 16, 3, 1).from_step(2, 6), strict=True):
        assert np.array_equal(batch, expected[step])


def test_an_epoch_shows_every_picture_once() -> None:
    flat = Pictures(tuple(np.full((16, 16, 3), shade, np.uint8) for shade in range(9)))
    batches = Batches(flat, 16, 3, seed=0)
    epochs = [
        [int(shade) for step in range(3) for shade in batches.batch(3 * epoch + step)[:, 0, 0, 0]]
        for epoch in range(2)
    ]
    assert [sorted(epoch) for epoch in epochs] == [list(range(9))] * 2
    assert epochs[0] != epochs[1]


def test_a_fault_in_the_batches_thread_ends_the_run() -> None:
    broken = Pictures((b"not a picture",))
    with pytest.raises(ValueError, match="the file is damaged"):
        next(Batches(broken, 16, 1, 0).from_step(0, 5))


def test_the_papers_schedules_end_where_the_paper_says() -> None:
    paper = DvaeTraining()
    start = schedules(paper, 0)
    assert (start.temperature, start.kl_weight, start.learning_rate) == (1.0, 0.0, 1e-4)
    assert schedules(paper, 5_000).kl_weight == 6.6
    assert schedules(paper, 4_999).kl_weight < 6.6
    assert schedules(paper, 150_000).temperature == 1 / 16
    assert schedules(paper, 149_000).temperature > 1 / 16
    assert schedules(paper, 1_200_000).learning_rate == 1.25e-6
    assert schedules(paper, 1_199_000).learning_rate > 1.25e-6


def test_a_shorter_run_goes_through_the_schedules_in_proportion() -> None:
    short = DvaeTraining(steps=PAPER_STEPS // 100)
    assert schedules(short, 50).kl_weight == 6.6
    assert schedules(short, 1_500).temperature == 1 / 16
    assert schedules(short, 12_000).learning_rate == 1.25e-6
    assert schedules(replace(short, kl_steps=200), 100).kl_weight == pytest.approx(3.3)


def test_schedules_begin_after_the_warm_start() -> None:
    config = replace(TINY, warm_start_steps=4, kl_steps=10, temperature_steps=10)
    assert schedules(config, 3).kl_weight == 0.0
    assert schedules(config, 4).learning_rate == TINY.learning_rate
    assert schedules(config, 14).kl_weight == 6.6


def test_small_pictures_are_left_out_and_counted(tmp_path: Path) -> None:
    build = write_build(
        tmp_path, ["train", "train", "val", "train", "", "val"], [16, 15] + [20] * 4
    )
    corpus = load_corpus(build, 16, 1 << 30)
    assert (len(corpus.train), len(corpus.held_out), corpus.too_small) == (2, 2, 1)
    assert np.array_equal(corpus.train[0], draw(0, 16))


def test_pictures_past_the_limit_stay_as_stored_bytes_with_the_same_pixels(tmp_path: Path) -> None:
    build = write_build(tmp_path, ["train"] * 3 + ["val"], [20] * 4)
    decoded, stored = load_corpus(build, 16, 1 << 30).train, load_corpus(build, 16, 0).train
    assert isinstance(stored.items[0], bytes) and isinstance(decoded.items[0], np.ndarray)
    for index in range(3):
        assert np.array_equal(decoded[index], stored[index])


def test_pictures_are_held_out_where_the_build_has_no_validation_split(tmp_path: Path) -> None:
    corpus = load_corpus(write_build(tmp_path, ["train"] * 40, [16] * 40), 16, 1 << 30)
    assert (len(corpus.train), len(corpus.held_out)) == (38, 2)


def test_the_door_writes_weights_a_picture_and_metrics(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build = write_build(tmp_path / "build", ["train"] * 6 + ["val"] * 3, [24] * 9)
    out = tmp_path / "dvae.safetensors"
    door = ["--data", build, "--out", str(out), "--picture", str(tmp_path / "a.png"), *TINY_FLAGS]
    assert main([*door, "--licence", "CC0-1.0"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("held out: PSNR ") and last.endswith(" codes in use, 3 pictures")
    tokenizer = load_image_tokenizer(str(out))
    assert (tokenizer.vocab_size, tokenizer.licence) == (12, "CC0-1.0")
    assert cv2.imread(str(tmp_path / "a.png")).shape == (36, 8 * 18, 3)
    records = [json.loads(line) for line in Path(f"{out}.metrics.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == 6 and records[-1]["loss"] == pytest.approx(
        records[-1]["nats_per_value"] + 6.6 / 192 * records[-1]["kl"], abs=0.05
    )


def test_the_same_command_again_ends_with_the_same_file(tmp_path: Path) -> None:
    build = write_build(tmp_path / "build", ["train"] * 6 + ["val"] * 3, [24] * 9)
    out = tmp_path / "dvae.safetensors"
    assert main(["--data", build, "--out", str(out), *TINY_FLAGS]) == 0
    first = out.read_bytes()
    assert main(["--data", build, "--out", str(out), *TINY_FLAGS]) == 0
    assert out.read_bytes() == first


def test_training_starts_from_given_weights(tmp_path: Path) -> None:
    build = write_build(tmp_path / "build", ["train"] * 6 + ["val"] * 3, [24] * 9)
    first, second = tmp_path / "first", tmp_path / "second"
    assert main(["--data", build, "--out", str(first), *TINY_FLAGS]) == 0
    still = [*TINY_FLAGS, "--learning_rate", "0", "--final_learning_rate", "0"]
    assert main(["--data", build, "--out", str(second), *still, "--init", str(first)]) == 0
    given, found = read_dvae(str(first)).model, read_dvae(str(second)).model
    assert equal(given.state_dict(), found.state_dict())


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        pytest.param(["--side_px", "20"], "side_px is 20, must be a multiple of 8", id="side"),
        pytest.param(["--hidden", "9"], "hidden is 9, must be a multiple of 4", id="width"),
        pytest.param(["--side_px", "64"], "take a smaller --side_px", id="no picture is large"),
        pytest.param(["--init", "/nowhere"], "/nowhere", id="no weights to start from"),
        pytest.param(["--data", "/nowhere"], "run pipelines.build on it", id="no build"),
        pytest.param(["--seed", "1"], "belongs to a run with seed 0, asked for 1", id="other run"),
        pytest.param(["--device", "cuda"], "this machine has no CUDA GPU", id="no GPU"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    flags: list[str],
    message: str,
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    build = write_build(tmp_path / "build", ["train"] * 6 + ["val"] * 3, [24] * 9)
    out = tmp_path / "dvae.safetensors"
    if "--seed" in flags:
        assert main(["--data", build, "--out", str(out), *TINY_FLAGS]) == 0
    capsys.readouterr()
    assert main(["--data", build, "--out", str(out), *TINY_FLAGS, *flags]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and message in said


def test_a_signal_is_noted_and_the_handler_before_comes_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with SignalWatch() as watch:
        signal.raise_signal(signal.SIGTERM)
        assert watch.number == signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stopped_run_saves_writes_its_weights_and_says_which_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = write_build(tmp_path / "build", ["train"] * 6 + ["val"] * 3, [24] * 9)
    out = tmp_path / "dvae.safetensors"
    update = DvaeRun.update

    def interrupted(run: DvaeRun, pixels: np.ndarray) -> object:
        if run.step == 2:
            signal.raise_signal(signal.SIGTERM)
        return update(run, pixels)

    monkeypatch.setattr(DvaeRun, "update", interrupted)
    assert main(["--data", build, "--out", str(out), *TINY_FLAGS]) == 143
    assert read_dvae(str(out)).details["updates"] == 3
    monkeypatch.setattr(DvaeRun, "update", update)
    assert main(["--data", build, "--out", str(out), *TINY_FLAGS]) == 0
    records = Path(f"{out}.metrics.jsonl").read_text().splitlines()
    assert [json.loads(record)["step"] for record in records] == [6]
    assert read_dvae(str(out)).details["updates"] == 6


def test_every_knob_is_a_flag_with_help() -> None:
    names = {name for name, _, _, text in field_help(DvaeTraining) if len(text) > 10}
    assert names == set(DvaeTraining.__dataclass_fields__)


def test_flags_stand_above_the_preset() -> None:
    door = ["--data", "d", "--out", "o", "--preset", "small", "--vocab_size", "512"]
    config = read_config(build_parser().parse_args(door))
    assert config == replace(PRESETS["small"], vocab_size=512)
    assert PRESETS["paper"].sizes == DvaeSizes()
