from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.attention import Attend, Kind, stream_mask
from model.config import Network
from model.network.attention_blocks import make_block_mask, make_flex, mask_rule
from model.network.attention_pieces import PIECE, make_pieces
from model.network.stream import StreamSizes, count_pairs, count_tiles, layer_mask, layer_order
from model.network.stream_attention import StreamAttention, stream_attention
from model.transformer import Block

CPU = torch.device("cpu")
PAPER = StreamSizes(text_length=257, num_codes=1023, grid_height=32, grid_width=32)
SIZES = [
    pytest.param(StreamSizes(7, 15, 4, 4), id="less than a piece"),
    pytest.param(StreamSizes(65, 255, 16, 16), id="the demo's"),
    pytest.param(StreamSizes(70, 7 * 13 - 1, 7, 13), id="7 x 13, text left over"),
    pytest.param(StreamSizes(3, 2 * 90 - 1, 2, 90), id="wide, hardly any text"),
    pytest.param(StreamSizes(5, 8, 9, 1), id="one column"),
]
SPARSE: list[Kind] = ["row", "column", "conv"]
Arrays = tuple[npt.NDArray[Any], ...]


def by_loops(
    q: npt.NDArray[Any], k: npt.NDArray[Any], v: npt.NDArray[Any], seen: list[list[int]]
) -> tuple[npt.NDArray[Any], Arrays]:
    """Attention of one head, a query at a time over the keys that it sees, and the gradients of
    half the sum of its squares."""
    out, grads = np.zeros_like(q), tuple(np.zeros_like(part) for part in (q, k, v))
    scale = q.shape[1] ** -0.5
    for i, keys in enumerate(seen):
        scores = [float(q[i] @ k[j]) * scale for j in keys]
        weights = np.exp(np.array(scores) - max(scores))
        weights /= weights.sum()
        out[i] = sum(weight * v[j] for weight, j in zip(weights, keys, strict=True))
        for weight, j in zip(weights, keys, strict=True):
            grads[2][j] += weight * out[i]
            slope = weight * float(out[i] @ (v[j] - out[i])) * scale
            grads[0][i] += slope * k[j]
            grads[1][j] += slope * q[i]
    return out, grads


def check_against_loops(
    attend: Attend, kind: Kind, sizes: StreamSizes, order: torch.Tensor | None, device: str = "cpu"
) -> None:
    """The two heads' outputs and gradients, put back into the stream's order, within rounding."""
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(3, 1, 2, sizes.length, 16, generator=generator)
    mask = stream_mask(kind, sizes.text_length, sizes.num_codes, sizes.grid_width)
    seen = [row.nonzero().flatten().tolist() for row in mask]
    order = torch.arange(sizes.length) if order is None else order.cpu()
    q, k, v = (part[:, :, order].to(device).requires_grad_() for part in qkv)
    out = attend(q, k, v)
    grads = torch.autograd.grad(out.square().sum() / 2, (q, k, v))
    for head in range(2):
        expected, expected_grads = by_loops(*qkv[:, 0, head].double().numpy(), seen)
        for ours, theirs in zip((out, *grads), (expected, *expected_grads), strict=True):
            restored = torch.empty_like(ours[0, head], device="cpu")
            restored[order] = ours[0, head].detach().cpu()
            np.testing.assert_allclose(restored.numpy(), theirs, atol=2e-5)


@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", [*SPARSE, "full"])
def test_attention_on_a_cpu_equals_loops_forward_and_backward(
    kind: Kind, sizes: StreamSizes
) -> None:
    attention = stream_attention(kind, sizes, CPU)
    check_against_loops(attention, kind, sizes, attention.order_L)


@pytest.mark.gpu
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize("kind", [*SPARSE, "full"])
def test_attention_on_cuda_equals_loops_forward_and_backward(
    kind: Kind, sizes: StreamSizes
) -> None:
    attention = stream_attention(kind, sizes, torch.device("cuda"))
    check_against_loops(attention, kind, sizes, attention.order_L, "cuda")


@pytest.mark.slow  # the first use of torch.compile takes seconds
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("kind", SPARSE)
def test_flex_equals_pieces(kind: Kind) -> None:
    sizes = StreamSizes(70, 7 * 13 - 1, 7, 13)
    generator = torch.Generator().manual_seed(0)
    qkv = torch.randn(3, 2, 3, sizes.length, 16, generator=generator).unbind()
    flex, pieces = make_flex(kind, sizes, CPU), make_pieces(kind, sizes, CPU)
    with torch.no_grad():  # Flex has no backward pass on a CPU
        torch.testing.assert_close(flex(*qkv), pieces(*qkv))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(SPARSE),
    text_length=st.integers(1, 40),
    height=st.integers(1, 9),
    width=st.integers(2, 14),
)
def test_the_rule_in_arithmetic_is_the_mask(
    kind: Kind, text_length: int, height: int, width: int
) -> None:
    sizes = StreamSizes(text_length, height * width - 1, height, width)
    index = torch.arange(sizes.length)
    zero = torch.zeros((), dtype=torch.long)
    seen = mask_rule(kind, sizes)(zero, zero, index[:, None], index[None, :])
    assert torch.equal(seen, layer_mask(kind, sizes))


@pytest.mark.parametrize("sizes", [*SIZES, pytest.param(PAPER, id="the paper's")])
@pytest.mark.parametrize("kind", SPARSE)
def test_tiles_are_those_that_flex_computes(kind: Kind, sizes: StreamSizes) -> None:
    blocks = make_block_mask(kind, sizes, CPU)
    computed = int(blocks.kv_num_blocks.sum())
    if blocks.full_kv_num_blocks is not None:
        computed += int(blocks.full_kv_num_blocks.sum())
    assert count_tiles(layer_mask(kind, sizes)) == computed


@pytest.mark.parametrize(
    ("kind", "own_order", "layer_order"),
    [("row", 40, 40), ("column", 55, 34), ("conv", 45, 45), ("full", 55, 55)],
)
def test_the_paper_s_stream_takes_these_tiles(kind: Kind, own_order: int, layer_order: int) -> None:
    assert count_tiles(stream_mask(kind, 257, 1023, 32)) == own_order
    assert count_tiles(layer_mask(kind, PAPER)) == layer_order


def test_pairs_are_counted_by_the_definition() -> None:
    text, codes = 257, 1023
    triangle = text * (text + 1) // 2
    rows = sum(min(code + 1, 33) for code in range(codes))
    assert count_pairs("row", PAPER) == triangle + codes * text + rows
    assert count_pairs("column", PAPER) == triangle + codes * text + 16_896 - 32
    assert count_pairs("full", PAPER) == 1280 * 1281 // 2


def test_a_column_layer_s_order_takes_every_position_once() -> None:
    sizes = StreamSizes(text_length=6, num_codes=5, grid_height=2, grid_width=3)
    order = layer_order("column", sizes)
    assert order is not None
    # [BOS] t0 ... t4, then the columns c0 c3, c1 c4, c2 (its lower code is no input)
    assert order.tolist() == [0, 1, 2, 3, 4, 5, 6, 9, 7, 10, 8]
    left_over = layer_order("column", StreamSizes(7, 5, 2, 3))
    assert left_over is not None and left_over.tolist()[-1] == 6


def test_what_is_arranged_is_restored() -> None:
    attention = stream_attention("column", StreamSizes(7, 15, 4, 4), CPU)
    x = torch.randn(2, 22, 3)
    assert not torch.equal(attention.arrange(x), x)
    assert torch.equal(attention.restore(attention.arrange(x)), x)


def test_attention_made_in_an_evaluation_can_be_trained() -> None:
    sizes = StreamSizes(9, 11, 3, 4)  # of no other test: made here
    with torch.inference_mode():
        attention: StreamAttention = stream_attention("column", sizes, CPU)
    x = torch.randn(1, sizes.length, 8, requires_grad=True)
    heads = attention.arrange(x)[:, None]
    attention.restore(attention(heads, heads, heads)[:, 0]).sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_attention_runs_in_sixteen_bits(dtype: torch.dtype) -> None:
    sizes = StreamSizes(9, 2 * PIECE - 1, 2, PIECE)
    q, k, v = torch.randn(3, 1, 1, sizes.length, 16).unbind()
    attention = stream_attention("row", sizes, CPU)
    half = attention(q.to(dtype), k.to(dtype), v.to(dtype))
    assert half.dtype == dtype
    torch.testing.assert_close(half.float(), attention(q, k, v), atol=0.05, rtol=0.05)


@pytest.mark.slow  # the first use of torch.compile takes seconds
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_a_block_with_flex_is_traced_whole() -> None:
    sizes = StreamSizes(7, 15, 4, 4)
    attention = StreamAttention(make_flex("conv", sizes, CPU))
    block = Block(Network(num_layers=1, width=64))
    x = torch.randn(1, sizes.length, 64)
    with torch.no_grad():
        expected = block(x, attention)
        block.compile(fullgraph=True, backend="eager", dynamic=False)
        torch.testing.assert_close(block(x, attention), expected)
