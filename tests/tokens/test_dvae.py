"""The network has the published layers, names and sizes, and its pixel mapping is invertible."""

import pytest
import torch

from tokens.dvae import Dvae, DvaeSizes, map_pixels, unmap_pixels

SMALL = DvaeSizes(vocab_size=24, hidden=8, decoder_init=6, blocks_per_group=1)

PUBLISHED_ENCODER = {
    "blocks.input.w": (256, 3, 7, 7),
    "blocks.input.b": (256,),
    "blocks.group_1.block_1.res_path.conv_1.w": (64, 256, 3, 3),
    "blocks.group_1.block_1.res_path.conv_2.w": (64, 64, 3, 3),
    "blocks.group_1.block_1.res_path.conv_3.w": (64, 64, 3, 3),
    "blocks.group_1.block_1.res_path.conv_4.w": (256, 64, 1, 1),
    "blocks.group_1.block_2.res_path.conv_4.b": (256,),
    "blocks.group_2.block_1.id_path.w": (512, 256, 1, 1),
    "blocks.group_2.block_1.res_path.conv_1.w": (128, 256, 3, 3),
    "blocks.group_3.block_1.id_path.w": (1024, 512, 1, 1),
    "blocks.group_4.block_1.id_path.w": (2048, 1024, 1, 1),
    "blocks.group_4.block_2.res_path.conv_4.w": (2048, 512, 1, 1),
    "blocks.output.conv.w": (8192, 2048, 1, 1),
    "blocks.output.conv.b": (8192,),
}
PUBLISHED_DECODER = {
    "blocks.input.w": (128, 8192, 1, 1),
    "blocks.group_1.block_1.id_path.w": (2048, 128, 1, 1),
    "blocks.group_1.block_1.res_path.conv_1.w": (512, 128, 1, 1),
    "blocks.group_1.block_1.res_path.conv_2.w": (512, 512, 3, 3),
    "blocks.group_1.block_1.res_path.conv_4.w": (2048, 512, 3, 3),
    "blocks.group_1.block_2.res_path.conv_1.w": (512, 2048, 1, 1),
    "blocks.group_2.block_1.id_path.w": (1024, 2048, 1, 1),
    "blocks.group_4.block_2.res_path.conv_4.w": (256, 64, 3, 3),
    "blocks.output.conv.w": (6, 256, 1, 1),
    "blocks.output.conv.b": (6,),
}


@pytest.fixture(scope="module")
def full_size() -> Dvae:
    with torch.device("meta"):
        return Dvae(DvaeSizes())


@pytest.mark.parametrize(
    ("half", "published"),
    [
        pytest.param("encoder", PUBLISHED_ENCODER, id="encoder"),
        pytest.param("decoder", PUBLISHED_DECODER, id="decoder"),
    ],
)
def test_weights_have_the_published_names_and_shapes(
    full_size: Dvae, half: str, published: dict[str, tuple[int, ...]]
) -> None:
    weights = full_size.get_submodule(half).state_dict()
    assert {name: tuple(weights[name].shape) for name in published} == published


@pytest.mark.parametrize(
    ("half", "parameters", "tensors"),
    [
        pytest.param("encoder", 53_786_240, 74, id="encoder: 53.8 M"),
        pytest.param("decoder", 43_829_766, 76, id="decoder: 43.8 M"),
    ],
)
def test_the_full_size_has_the_published_number_of_parameters(
    full_size: Dvae, half: str, parameters: int, tensors: int
) -> None:
    weights = full_size.get_submodule(half).state_dict()
    assert sum(weight.numel() for weight in weights.values()) == parameters
    assert len(weights) == tensors


def test_a_residual_branch_of_the_full_size_counts_for_a_64th(full_size: Dvae) -> None:
    assert full_size.encoder.get_submodule("blocks.group_3.block_2").post_gain == 1 / 64
    assert full_size.decoder.get_submodule("blocks.group_1.block_1").post_gain == 1 / 64


def test_a_block_adds_its_branch_times_the_post_gain() -> None:
    block = Dvae(SMALL).encoder.get_submodule("blocks.group_1.block_1")
    x = torch.randn(2, 8, 5, 5)
    assert torch.allclose(block(x), x + block.res_path(x) / 16, atol=1e-6)


def test_weights_start_with_the_deviation_of_their_fan_in() -> None:
    weight = Dvae(DvaeSizes(hidden=64)).encoder.blocks.input.w
    assert weight.std().item() == pytest.approx((3 * 7**2) ** -0.5, rel=0.05)


def test_a_side_of_32_px_becomes_4_codes_and_32_px_again() -> None:
    model = Dvae(SMALL)
    codes = model.codes(torch.rand(2, 3, 32, 40))
    assert codes.shape == (2, 4, 5)
    assert model.pixels(codes).shape == (2, 3, 32, 40)


def test_codes_are_the_most_likely_ones() -> None:
    model = Dvae(SMALL)
    pixels = torch.rand(1, 3, 16, 16)
    logits = model.encoder(map_pixels(pixels))
    assert torch.equal(model.codes(pixels)[0, 1, 0], logits[0, :, 1, 0].argmax())


def test_the_decoder_gives_mu_and_ln_b_of_three_colours() -> None:
    assert Dvae(SMALL).decoder(torch.rand(1, 24, 2, 2)).shape == (1, 6, 16, 16)


def test_mapped_pixels_run_from_one_tenth_to_nine_tenths_and_back() -> None:
    pixels = torch.linspace(0, 1, 256)
    mapped = map_pixels(pixels)
    assert (mapped.min().item(), mapped.max().item()) == pytest.approx((0.1, 0.9))
    assert torch.allclose(unmap_pixels(mapped), pixels, atol=1e-6)
    assert unmap_pixels(torch.tensor([0.0, 1.0])).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        pytest.param({"vocab_size": 1}, "vocab_size is 1, must be at least 2", id="one code"),
        pytest.param({"hidden": 10}, "hidden is 10, must be a multiple of 4", id="no quarter"),
        pytest.param({"group_count": 0}, "group_count is 0", id="no groups"),
    ],
)
def test_refuses_sizes_that_make_no_network(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DvaeSizes(**sizes)
