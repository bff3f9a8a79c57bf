import pytest
import torch

from model.attention import Kind, as_bias, attend, layer_kinds, stream_mask

GRIDS = [
    pytest.param(4, 4, id="4 x 4, narrower than the kernel"),
    pytest.param(7, 13, id="7 x 13, wider than the kernel"),
    pytest.param(16, 16, id="16 x 16"),
    pytest.param(9, 1, id="one column"),
]


def sees(kind: Kind, text_length: int, width: int, query: int, key: int) -> bool:
    """The definition, one pair of stream positions at a time."""
    if key > query:
        return False
    if key < text_length:
        return True
    query, key = query - text_length, key - text_length
    if kind == "row":  # from the code directly above up to itself, whatever the rows
        return key >= query - width
    if kind == "column":
        return key % width == query % width
    if kind == "conv":  # walk over the kernel's cells, wrapping in raster order
        cells = [(0, c) for c in range(6)] + [(r, c) for r in range(1, 6) for c in range(-5, 6)]
        return any(query - (r * width + c) == key for r, c in cells)
    return True


@pytest.mark.parametrize(("height", "width"), GRIDS)
@pytest.mark.parametrize("kind", ["row", "column", "conv", "full"])
def test_masks_equal_the_definition(kind: Kind, height: int, width: int) -> None:
    text, codes = 5, height * width
    expected = [
        [sees(kind, text, width, query, key) for key in range(text + codes)]
        for query in range(text + codes)
    ]
    assert stream_mask(kind, text, codes, width).tolist() == expected


@pytest.mark.parametrize(
    ("kind", "non_zeros"),
    [("row", 33_264), ("column", 16_896), ("conv", 57_169), ("full", 524_800)],
)
def test_the_paper_s_grid_has_the_known_number_of_pairs(kind: Kind, non_zeros: int) -> None:
    mask = stream_mask(kind, 256, 1024, 32)
    assert int(mask[256:, 256:].sum()) == non_zeros
    assert bool(mask[256:, :256].all())


def test_the_paper_s_layers_are_47_rows_16_columns_and_a_last_convolution() -> None:
    kinds = layer_kinds(64)
    assert kinds[:4] == ("row", "column", "row", "row")
    assert [i for i, kind in enumerate(kinds, 1) if kind == "column"] == list(range(2, 64, 4))
    assert kinds[-1] == "conv" and kinds.count("row") == 47


def test_the_last_layer_is_convolutional_at_any_depth() -> None:
    assert layer_kinds(1) == ("conv",)
    assert layer_kinds(2) == ("row", "conv")


@pytest.mark.parametrize("kind", ["row", "column", "conv", "full"])
def test_attention_equals_a_softmax_written_out(kind: Kind) -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 14, 8, generator=generator, requires_grad=True).unbind()
    mask = stream_mask(kind, 5, 9, 3)
    scores = (q @ k.transpose(-1, -2) / 8**0.5).masked_fill(~mask, float("-inf"))
    expected = scores.softmax(dim=-1) @ v
    result = attend(q, k, v, as_bias(mask))
    torch.testing.assert_close(result, expected)
    ours = torch.autograd.grad(result.square().sum(), (q, k, v), retain_graph=True)
    theirs = torch.autograd.grad(expected.square().sum(), (q, k, v))
    torch.testing.assert_close(ours, theirs)
