"""The VQGAN has the published weights' names and shapes, and chooses the codes that it should."""

import hashlib

import numpy as np
import pytest
import torch

from tests.tokens.published_files import llamagen_names
from tokens.image import NetworkTokenizer, parse_weights
from tokens.vqgan import Vqgan, VqganSizes
from tokens.vqgan_file import from_llamagen, from_taming, parse_vqgan, vqgan_bytes

SMALL = VqganSizes(40, 12, 24, 32, (1, 2), 1, (1,))
F16 = VqganSizes()
GUMBEL_F8 = VqganSizes(8192, multiples=(1, 1, 2, 4), attention_levels=(3,), quantizer="gumbel")
DS16 = VqganSizes(code_width=8, quantizer="cosine")
DS8 = VqganSizes(code_width=8, multiples=(1, 2, 2, 4), attention_levels=(3,), quantizer="cosine")


def make(quantizer="nearest", seed=0):
    torch.manual_seed(seed)
    values = {name: getattr(SMALL, name) for name in VqganSizes.__slots__}
    return Vqgan(VqganSizes(**{**values, "quantizer": quantizer})).eval()


def digest(tensors):
    """Of names and shapes: what the published code makes of the published configuration."""
    lines = sorted(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("sizes", "published"),
    [(F16, (343, "13bfc5f136ffdf23")), (GUMBEL_F8, (301, "b868741ebf013a3e"))],
    ids=["f16", "gumbel f8"],
)
def test_has_the_names_and_shapes_of_taming_transformers(sizes, published):
    with torch.device("meta"):
        assert digest(Vqgan(sizes).state_dict()) == published


@pytest.mark.parametrize(
    ("sizes", "published"),
    [(DS16, (344, "25666a85ab873be9")), (DS8, (300, "6824de071ade312b"))],
    ids=["ds16", "ds8"],
)
def test_has_the_names_and_shapes_of_llamagen_in_our_words(sizes, published):
    with torch.device("meta"):
        renamed = llamagen_names(Vqgan(sizes).state_dict(), len(sizes.multiples))
    assert digest(renamed) == published


@pytest.mark.parametrize(("sizes", "grid"), [(F16, 16), (GUMBEL_F8, 32), (DS16, 16), (DS8, 32)])
def test_the_stride_gives_the_published_grid(sizes, grid):
    assert 256 // sizes.stride == grid


def test_sizes_follow_from_the_weights():
    for quantizer in ("nearest", "gumbel"):
        model = make(quantizer)
        assert from_taming(model.state_dict(), "it").sizes == model.sizes
    model = make("cosine")
    assert from_llamagen(llamagen_names(model.state_dict(), 2), "it").sizes == model.sizes


def latents(model, pixels):
    return model.quant_conv(model.encoder(2 * pixels - 1)).detach().movedim(1, -1).numpy()


@pytest.mark.parametrize("quantizer", ["nearest", "cosine"])
def test_a_code_is_the_nearest_vector(quantizer):
    model, pixels = make(quantizer), torch.rand(2, 3, 8, 12)
    found = latents(model, pixels).reshape(-1, 12)
    vectors = model.quantize.embedding.weight.detach().numpy()
    if quantizer == "cosine":
        found = found / np.linalg.norm(found, axis=1, keepdims=True)
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    nearest = np.linalg.norm(found[:, None] - vectors, axis=2).argmin(axis=1)
    assert model.codes(pixels).numpy().ravel().tolist() == nearest.tolist()
    assert len(set(nearest.tolist())) > 1


def test_a_gumbel_code_is_the_largest_score():
    model, pixels = make("gumbel"), torch.rand(1, 3, 8, 8)
    weight, bias = (t.detach().numpy() for t in model.quantize.proj.parameters())
    scores = latents(model, pixels).reshape(-1, 12) @ weight[:, :, 0, 0].T + bias
    assert model.codes(pixels).numpy().ravel().tolist() == scores.argmax(axis=1).tolist()


@pytest.mark.parametrize("quantizer", ["nearest", "cosine", "gumbel"])
def test_a_picture_of_codes_comes_from_their_vectors(quantizer):
    model = make(quantizer)
    codes = torch.arange(4).view(1, 2, 2)
    drawn = model.pixels(codes)
    assert drawn.shape == (1, 3, 4, 4) and 0 <= drawn.min() <= drawn.max() <= 1
    other = model.pixels(codes.flip(2))
    assert not torch.equal(drawn, other)
    z = model.quantize.vectors()[codes].movedim(-1, 1)
    expected = ((model.decoder(model.post_quant_conv(z)) + 1) / 2).clamp(0, 1)
    assert torch.equal(drawn, expected)


def test_a_file_gives_the_model_back():
    model = make("gumbel")
    data = vqgan_bytes(model, {"licence": "MIT"})
    assert data == vqgan_bytes(model, {"licence": "MIT"})
    read = parse_vqgan(data, "it")
    pixels = torch.rand(1, 3, 8, 8)
    assert torch.equal(read.model.codes(pixels), model.codes(pixels))
    assert read.details == {"licence": "MIT"} and read.decodes


def test_serves_as_an_image_tokenizer():
    model = make("cosine")
    tokenizer = NetworkTokenizer(parse_weights(vqgan_bytes(model, {"licence": "MIT"}), "it"), "it")
    images = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    codes = tokenizer.encode(images)
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255
    alone = [model.codes(one[None])[0].numpy() for one in pixels]
    assert np.array_equal(codes, alone) and codes.dtype == np.uint16
    assert tokenizer.decode(codes).shape == (3, 8, 8, 3)
    assert (tokenizer.vocab_size, tokenizer.grid(8), tokenizer.licence) == (40, (4, 4), "MIT")
    with pytest.raises(ValueError, match="needs a multiple of 2"):
        tokenizer.grid(9)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.pop("quant_conv.bias"), "lacks the weight quant_conv.bias"),
        (lambda t: t.update({"encoder.more": torch.zeros(1)}), "has a weight encoder.more that"),
        (
            lambda t: t.update({"quant_conv.bias": torch.zeros(3)}),
            r"has shape \[3\], must be \[12\]",
        ),
        (lambda t: t["quant_conv.bias"].fill_(torch.nan), "holds a value that is not finite"),
    ],
    ids=["missing", "unknown", "misshapen", "not a number"],
)
def test_refuses_weights_that_are_not_whole(change, complaint):
    tensors = {name: tensor.clone() for name, tensor in make().state_dict().items()}
    change(tensors)
    with pytest.raises(ValueError, match=f"it.*{complaint}"):
        from_taming(tensors, "it")


def test_leaves_out_what_was_for_training():
    tensors = make().state_dict() | {"loss.discriminator.main.0.weight": torch.zeros(1)}
    assert from_taming(tensors, "it").sizes == SMALL


def test_refuses_weights_without_a_codebook():
    with pytest.raises(ValueError, match="it holds no VQGAN: .*quantize.embedding.weight"):
        from_taming({}, "it")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ({"quantizer": "random"}, "quantizer is 'random'"),
        ({"channels": 30}, "multiples of 32"),
        ({"multiples": ()}, "multiples of 32"),
        ({"vocab_size": 0}, "vocab_size is 0, must be at least 1"),
    ],
)
def test_refuses_sizes_that_no_network_has(wrong, complaint):
    with pytest.raises(ValueError, match=complaint):
        VqganSizes(**wrong)
