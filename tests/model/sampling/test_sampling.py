"""What a Python program gets from a sampler."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from model.sampling.drawn import Drawn
from model.sampling.generation import Choice, Generator
from model.sampling.priming import read_prime
from model.sampling.sampler import Sampler, Settings, hash_weights
from model.sampling.stages import BLANK, draw_stages, stage_counts
from tests.model.sampling.sample_runs import LAYOUT, make_sampler, train_run


@pytest.fixture(scope="module")
def sampler(tmp_path_factory: pytest.TempPathFactory) -> Sampler:
    return make_sampler(tmp_path_factory.mktemp("sampler"))


def codes_of(drawn: list[Drawn]) -> list[list[list[int]]]:
    return [picture.codes.tolist() for one in drawn for picture in one.pictures]


class Brightness:
    """A ranker that likes light pictures, and says how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    def score(self, caption: str, pictures: Sequence[np.ndarray]) -> list[float]:
        self.asked.append(len(pictures))
        return [float(picture.mean()) for picture in pictures]

    def to_document(self) -> dict[str, Any]:
        return {}


@torch.no_grad()
def image_logits(sampler: Sampler, text_BT: torch.Tensor, codes_BI: torch.Tensor) -> torch.Tensor:
    """Of whole sequences in one pass, without a cache."""
    hidden_BLD = sampler.model.hidden(text_BT, codes_BI)
    return sampler.model.image_head(hidden_BLD[:, LAYOUT.text_slots :])


def as_rows(drawn: list[Drawn]) -> torch.Tensor:
    return torch.tensor(codes_of(drawn)).flatten(1)


def lay_out(sampler: Sampler, caption: str) -> torch.Tensor:
    return sampler._lay_out([caption])


@pytest.mark.parametrize(
    "choice",
    [Choice(), Choice(0.7, top_k=5, top_p=0.9), Choice(guidance=2.0)],
    ids=["plain", "cut", "guided"],
)
def test_a_picture_is_the_same_in_any_company(sampler: Sampler, choice: Choice) -> None:
    crowd = sampler.draw(["a house", "a red boat"], Settings(num=3, seed=7, choice=choice))
    alone = sampler.draw(["a red boat"], Settings(seed=8, choice=choice))
    assert np.array_equal(crowd[1].pictures[1].codes, alone[0].pictures[0].codes)
    assert np.array_equal(crowd[1].pictures[1].pixels, alone[0].pictures[0].pixels)
    assert crowd[1].pictures[1].seed == 8
    assert len({str(codes) for codes in codes_of(crowd)}) == 6, "other seeds, other pictures"


def test_greedy_codes_are_the_likeliest_of_the_network_s_own(sampler: Sampler) -> None:
    drawn = sampler.draw(["a red boat"], Settings(choice=Choice(top_k=1)))
    codes = as_rows(drawn)
    expected = image_logits(sampler, lay_out(sampler, "a red boat"), codes).argmax(dim=-1)
    assert torch.equal(expected, codes) and len(codes.unique()) > 3


def test_guidance_goes_from_the_empty_caption_to_this_one_and_beyond(sampler: Sampler) -> None:
    choice = Choice(top_k=1, guidance=3.0)
    codes = as_rows(sampler.draw(["a red boat"], Settings(choice=choice)))
    told, empty = (image_logits(sampler, lay_out(sampler, c), codes) for c in ("a red boat", ""))
    assert torch.equal((empty + 3 * (told - empty)).argmax(dim=-1), codes)
    assert not torch.equal(told.argmax(dim=-1), codes), "the test can tell guidance from none"


def test_guidance_without_caption_dropout_is_warned_of(
    sampler: Sampler, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dropout, guidance, warnings in ((0.1, 2.0, 0), (0.0, 2.0, 1), (0.0, 1.0, 0)):
        caplog.clear()
        monkeypatch.setattr(sampler, "caption_dropout", dropout)
        sampler.draw(["a"], Settings(choice=Choice(guidance=guidance)))
        assert sum("--caption_dropout" in text for text in caplog.messages) == warnings


def test_the_best_are_kept_in_order_with_the_scores_of_all(sampler: Sampler) -> None:
    ranker = Brightness()
    best = sampler.draw(["a", "b"], Settings(num=2, seed=5, best_of=7), ranker)
    all_of_them = sampler.draw(["a", "b"], Settings(num=7, seed=5))
    assert ranker.asked == [4, 3, 4, 3]
    for one, every in zip(best, all_of_them, strict=True):
        means = {p.seed: float(p.pixels.mean()) for p in every.pictures}
        assert one.scores == means and list(one.scores) == list(range(5, 12))
        assert [p.seed for p in one.pictures] == sorted(means, key=means.__getitem__)[-1:-3:-1]
        assert [p.score for p in one.pictures] == [means[p.seed] for p in one.pictures]
    with pytest.raises(ValueError, match="needs a ranker"):
        sampler.draw(["a"], Settings(best_of=3))


def test_primed_pictures_begin_with_the_codes_given(sampler: Sampler) -> None:
    prime = np.arange(8, dtype=np.uint32).reshape(2, 4)
    primed = sampler.draw(["a house"], Settings(num=5), prime_codes=prime)
    assert all(np.array_equal(p.codes[:2], prime) for p in primed[0].pictures)
    assert len({p.codes[2:].tobytes() for p in primed[0].pictures}) == 5
    codes = as_rows(sampler.draw(["a"], Settings(choice=Choice(top_k=1)), prime_codes=prime))
    expected = image_logits(sampler, lay_out(sampler, "a"), codes).argmax(dim=-1)
    assert torch.equal(codes[:, 8:], expected[:, 8:]), "what is drawn follows what is given"
    unprimed = sampler.draw(["a house"], Settings(num=1))
    assert not np.array_equal(unprimed[0].pictures[0].codes[:2], prime)


@pytest.mark.parametrize("shape", [(0, 4), (4, 4), (2, 3)])
def test_codes_that_do_not_fit_are_refused(sampler: Sampler, shape: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="pictures have 4 rows of 4"):
        sampler.draw(["a"], prime_codes=np.zeros(shape, np.uint32))


@pytest.mark.parametrize("size", [(32, 32), (90, 40), (10, 20)], ids=["fits", "wide", "small"])
def test_a_prime_is_the_top_of_the_picture(
    sampler: Sampler, tmp_path: Path, size: tuple[int, int]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    tokenizer = sampler.image_tokenizer
    prime = read_prime(tmp_path / "a.png", tokenizer, LAYOUT, 3)
    assert prime.shape == (3, 4)
    if size == (32, 32):
        assert np.array_equal(prime, tokenizer.encode(pixels[None])[0, :3])
    assert len(read_prime(tmp_path / "a.png", tokenizer, LAYOUT, None)) == 2, "15 in 32"
    for rows in (0, 4):
        with pytest.raises(ValueError, match="from 1 to 3"):
            read_prime(tmp_path / "a.png", tokenizer, LAYOUT, rows)


def test_what_is_no_picture_primes_nothing(sampler: Sampler, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n no")
    with pytest.raises(ValueError, match=r"a\.png is no picture"):
        read_prime(tmp_path / "a.png", sampler.image_tokenizer, LAYOUT, 1)


def test_a_stage_shows_what_is_drawn_so_far_and_nothing_of_later_codes(sampler: Sampler) -> None:
    codes = np.arange(16, dtype=np.uint32).reshape(4, 4)
    strip = draw_stages("a house", codes, sampler.image_tokenizer)
    counts = stage_counts(16)
    assert strip.notes[0] == "3 of 16 codes" and counts[-1] == 16
    assert np.array_equal(strip.pictures[-1], sampler.image_tokenizer.decode(codes[None])[0])
    grey = [(picture == BLANK).all(axis=-1) for picture in strip.pictures]
    assert grey[0][8:].all() and grey[0][:8, 24:].all() and not grey[0][:8, :24].all()
    later = codes.copy()
    later.flat[counts[2] :] = 0
    other = draw_stages("a house", later, sampler.image_tokenizer)
    assert all(map(np.array_equal, strip.pictures[:3], other.pictures[:3]))
    assert not np.array_equal(strip.pictures[3], other.pictures[3])


def test_the_hash_of_a_run_is_that_of_its_weights(tmp_path: Path) -> None:
    sampler = make_sampler(tmp_path)
    before = hash_weights(sampler.model)
    assert before == hash_weights(sampler.model) and len(before) == 32
    with torch.no_grad():
        sampler.model.final_norm.bias[3] += 1e-6
    assert hash_weights(sampler.model) != before
    assert sampler.to_document()["weights"] == hash_weights(sampler.model)


def test_bf16_draws_too_and_says_so(tmp_path: Path) -> None:
    sampler = make_sampler(tmp_path)
    sampler.model.to(torch.bfloat16)
    settings = Settings(num=3, choice=Choice(0.9, 10, 0.9, 2.0))
    codes = codes_of(sampler.draw(["a red boat"], settings))
    assert codes == codes_of(sampler.draw(["a red boat"], settings))
    assert len({str(one) for one in codes}) == 3
    assert sampler.to_document()["precision"] == "bf16"


def test_a_run_s_hash_is_the_same_in_any_precision(tmp_path: Path, write_corpus) -> None:
    run = train_run(tmp_path, write_corpus)
    both = [Sampler.load(run, precision=precision).to_document() for precision in ("fp32", "bf16")]
    assert both[0]["weights"] == both[1]["weights"] and both[0]["step"] == both[1]["step"] == 2
    with pytest.raises(ValueError, match="must be fp32 or bf16"):
        Sampler.load(run, precision="fp8")
    with pytest.raises(ValueError, match="batch_size is 0"):
        Sampler.load(run, batch_size=0)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        pytest.param(lambda: Choice(temperature=0.0), "temperature is 0", id="temperature"),
        pytest.param(lambda: Choice(top_k=-1), "top_k is -1", id="top_k"),
        pytest.param(lambda: Choice(top_p=0.0), "top_p is 0", id="top_p"),
        pytest.param(lambda: Choice(top_p=1.1), "top_p is 1.1", id="top_p above 1"),
        pytest.param(lambda: Choice(guidance=-1.0), "guidance is -1", id="guidance"),
        pytest.param(lambda: Choice(float("nan")), "temperature is nan", id="not a number"),
        pytest.param(lambda: Settings(num=0), "num is 0", id="num"),
        pytest.param(lambda: Settings(seed=-1), "seed is -1", id="seed"),
        pytest.param(lambda: Settings(num=4, best_of=3), "best_of is 3", id="best_of"),
    ],
)
def test_values_out_of_range_are_named(make: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.gpu
@pytest.mark.parametrize("choice", [Choice(), Choice(0.8, 10, 0.9, 1.5)], ids=["plain", "all"])
def test_a_captured_step_draws_what_the_plain_one_does(tmp_path: Path, choice: Choice) -> None:
    sampler = make_sampler(tmp_path)
    settings = Settings(num=4, choice=choice)
    expected = codes_of(sampler.draw(["a red boat"], settings))
    sampler.model.to("cuda")
    captured = Generator(sampler.model, 4, choice)
    sampler._generators = {choice: captured}
    assert codes_of(sampler.draw(["a red boat"], settings)) == expected
    assert captured.graph is not None
    assert codes_of(sampler.draw(["a red boat"], settings)) == expected, "and again by replay"
