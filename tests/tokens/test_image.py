"""Image tokenizers give one picture one set of codes, and take no file that is not whole."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch

from tokens.dvae import Dvae, DvaeSizes
from tokens.dvae_file import dvae_bytes, parse_dvae
from tokens.image import load_image_tokenizer

SIZES = DvaeSizes(vocab_size=24, hidden=8, decoder_init=6, blocks_per_group=1)
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def model() -> Dvae:
    torch.manual_seed(0)
    return Dvae(SIZES)


@pytest.fixture
def weights_file(tmp_path: Path, model: Dvae) -> str:
    path = tmp_path / "dvae.safetensors"
    path.write_bytes(dvae_bytes(model, {"licence": "CC0-1.0"}))
    return str(path)


def pictures(count: int, side_px: int = 32) -> np.ndarray:
    """Pictures of random blocks of 8 x 8 pixels."""
    blocks = (count, -(-side_px // 8), -(-side_px // 8), 3)
    coarse = np.random.default_rng(0).integers(0, 256, blocks, dtype=np.uint8)
    return coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :side_px, :side_px]


def test_codes_do_not_depend_on_the_batch() -> None:
    tokenizer = load_image_tokenizer("bundled")
    together = tokenizer.encode(pictures(7))
    alone = np.concatenate([tokenizer.encode(picture[None]) for picture in pictures(7)])
    assert np.array_equal(together, alone)
    assert len(np.unique(together)) > 20


def test_the_bundled_tokenizer_makes_16_x_16_codes_of_128_px() -> None:
    tokenizer = load_image_tokenizer("bundled")
    assert (tokenizer.name, tokenizer.vocab_size, tokenizer.grid(128)) == (
        "bundled",
        1024,
        (16, 16),
    )
    assert tokenizer.licence


def test_the_bundled_tokenizer_draws_a_red_square_on_white() -> None:
    picture = np.full((1, 128, 128, 3), 255, np.uint8)
    picture[0, 32:96, 32:96] = (220, 20, 30)
    tokenizer = load_image_tokenizer("bundled")
    drawn = tokenizer.decode(tokenizer.encode(picture)).astype(int)
    assert np.abs(drawn[0, 44:84, 44:84].mean(axis=(0, 1)) - (220, 20, 30)).max() < 50
    assert drawn[0, :20].min() > 220
    assert np.square((drawn - picture) / 255).mean() < 10**-1.8


def test_codes_do_not_depend_on_the_threads(weights_file: str) -> None:
    tokenizer, before = load_image_tokenizer(weights_file), torch.get_num_threads()
    one = tokenizer.encode(pictures(3))
    try:
        torch.set_num_threads(2)
        assert np.array_equal(tokenizer.encode(pictures(3)), one)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_codes_are_those_of_the_model(weights_file: str) -> None:
    found = parse_dvae(Path(weights_file).read_bytes(), "file").model
    pixels = torch.from_numpy(pictures(2)).permute(0, 3, 1, 2).float() / 255
    codes = load_image_tokenizer(weights_file).encode(pictures(2))
    assert np.array_equal(codes, found.codes(pixels).numpy())


def test_codes_of_a_small_vocabulary_are_uint16_and_of_a_large_one_uint32(tmp_path: Path) -> None:
    for vocab_size, dtype in ((1 << 16, np.uint16), ((1 << 16) + 1, np.uint32)):
        path = tmp_path / f"{vocab_size}.safetensors"
        sizes = DvaeSizes(vocab_size, hidden=4, decoder_init=1, group_count=1, blocks_per_group=1)
        path.write_bytes(dvae_bytes(Dvae(sizes), {}))
        assert load_image_tokenizer(str(path)).encode(pictures(1, 1)).dtype == dtype


def test_decoding_draws_the_whole_picture(weights_file: str) -> None:
    tokenizer = load_image_tokenizer(weights_file)
    codes = tokenizer.encode(pictures(3))
    images = tokenizer.decode(codes)
    assert images.shape == (3, 32, 32, 3) and images.dtype == np.uint8
    assert np.array_equal(images[1:2], tokenizer.decode(codes[1:2]))


def test_an_empty_batch_has_no_codes(weights_file: str) -> None:
    tokenizer = load_image_tokenizer(weights_file)
    assert tokenizer.encode(pictures(0)).shape == (0, 4, 4)
    assert tokenizer.decode(np.empty((0, 4, 4), np.uint16)).shape == (0, 32, 32, 3)


def test_says_what_a_manifest_records_of_it(weights_file: str) -> None:
    tokenizer = load_image_tokenizer(weights_file)
    assert (tokenizer.name, tokenizer.vocab_size) == ("dvae.safetensors", 24)
    assert (tokenizer.licence, tokenizer.numerics) == ("CC0-1.0", "fp32-cpu")
    assert tokenizer.grid(32) == (4, 4)
    assert len(tokenizer.sha256) == 64


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_the_same_model_gives_the_same_file(model: Dvae, dtype: torch.dtype) -> None:
    first = dvae_bytes(model, {"a": 1, "b": 2}, dtype)
    assert first == dvae_bytes(model, {"b": 2, "a": 1}, dtype)
    read = parse_dvae(first, "file")
    assert read.details == {"a": 1, "b": 2}
    assert read.model.sizes == SIZES
    for name, weight in model.state_dict().items():
        assert torch.equal(read.model.state_dict()[name], weight.to(dtype).float())


@pytest.mark.parametrize(
    ("prefix", "with_decoder"),
    [
        pytest.param("", False, id="the published encoder alone"),
        pytest.param("encoder.", False, id="an encoder under its prefix"),
        pytest.param("encoder.", True, id="both halves without metadata"),
    ],
)
def test_reads_the_published_layout_without_being_told_its_sizes(
    tmp_path: Path, model: Dvae, prefix: str, with_decoder: bool
) -> None:
    weights = {f"{prefix}{name}": w for name, w in model.encoder.state_dict().items()}
    if with_decoder:
        weights |= {f"decoder.{name}": w for name, w in model.decoder.state_dict().items()}
    path = tmp_path / "published.safetensors"
    safetensors.torch.save_file(weights, path)
    tokenizer = load_image_tokenizer(str(path))
    codes = tokenizer.encode(pictures(2))
    pixels = torch.from_numpy(pictures(2)).permute(0, 3, 1, 2).float() / 255
    assert np.array_equal(codes, model.codes(pixels).numpy())
    if with_decoder:
        assert tokenizer.decode(codes).shape == (2, 32, 32, 3)
    else:
        with pytest.raises(ValueError, match=r"published\.safetensors holds an encoder alone"):
            tokenizer.decode(codes)


def lack_one(weights: Weights) -> Weights:
    del weights["decoder.blocks.group_2.block_1.id_path.w"]
    return weights


def wrong_shape(weights: Weights) -> Weights:
    return weights | {"encoder.blocks.group_1.block_1.res_path.conv_2.w": torch.zeros(2, 2, 5, 5)}


def wrong_type(weights: Weights) -> Weights:
    return weights | {"encoder.blocks.input.b": torch.zeros(8, dtype=torch.int32)}


def not_finite(weights: Weights) -> Weights:
    return weights | {"encoder.blocks.input.b": torch.full((8,), torch.nan)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(
            lack_one,
            r"lacks the weight decoder\.blocks\.group_2\.block_1\.id_path\.w",
            id="lacking",
        ),
        pytest.param(
            lambda weights: weights | {"encoder.blocks.extra.w": torch.zeros(1)},
            r"has a weight encoder\.blocks\.extra\.w that",
            id="one too many",
        ),
        pytest.param(
            wrong_shape, r"conv_2\.w has shape \[2, 2, 5, 5\], must be \[2, 2, 3, 3\]", id="shape"
        ),
        pytest.param(wrong_type, r"input\.b is torch\.int32, must be floating", id="whole numbers"),
        pytest.param(not_finite, r"input\.b holds a value that is not finite", id="not a number"),
        pytest.param(
            lambda weights: {"classifier.w": torch.zeros(1)},
            r"holds no dVAE encoder: it has no weight encoder\.blocks\.input\.w",
            id="another network",
        ),
    ],
)
def test_refuses_weights_that_do_not_fit_in_one_sentence(
    model: Dvae, change: Callable[[Weights], Weights], message: str
) -> None:
    weights = change({name: weight.clone() for name, weight in model.state_dict().items()})
    with pytest.raises(ValueError, match=message):
        parse_dvae(safetensors.torch.save(weights), "bad.safetensors")


def test_refuses_stated_sizes_that_the_weights_do_not_have(model: Dvae) -> None:
    data = safetensors.torch.save(
        model.state_dict(), {"dvae": '{"format": 1, "sizes": {"hidden": 16, "vocab_size": 24}}'}
    )
    with pytest.raises(ValueError, match=r"bad\.safetensors"):
        parse_dvae(data, "bad.safetensors")


def test_refuses_a_file_that_is_not_safetensors(tmp_path: Path) -> None:
    path = tmp_path / "encoder.pkl"
    path.write_bytes(b"\x80\x02}q\x00.")
    with pytest.raises(ValueError, match=r"encoder\.pkl is not a safetensors file"):
        load_image_tokenizer(str(path))


def test_a_missing_file_names_the_file_its_publisher_and_the_flag() -> None:
    with pytest.raises(FileNotFoundError) as caught:
        load_image_tokenizer("/nowhere/dvae.safetensors")
    message = str(caught.value)
    assert "\n" not in message
    for part in ("/nowhere/dvae.safetensors", "cdn.openai.com/dall-e", "--image_tokenizer"):
        assert part in message


@pytest.mark.parametrize(
    ("images", "message"),
    [
        pytest.param(np.zeros((1, 30, 32, 3), np.uint8), "side_px is 30", id="not a multiple"),
        pytest.param(np.zeros((1, 32, 32, 3), np.float32), "must be uint8", id="floats"),
        pytest.param(np.zeros((32, 32, 3), np.uint8), "must be uint8", id="no batch"),
    ],
)
def test_refuses_pictures_that_are_not_a_batch(
    weights_file: str, images: np.ndarray, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_image_tokenizer(weights_file).encode(images)


@pytest.mark.parametrize("code", [-1, 24])
def test_refuses_codes_past_the_vocabulary(weights_file: str, code: int) -> None:
    with pytest.raises(ValueError, match="knows 0 to 23"):
        load_image_tokenizer(weights_file).decode(np.full((1, 2, 2), code))
