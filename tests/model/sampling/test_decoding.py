"""That decoding one by one sees what the masks allow, at every position and in every kind."""

from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.attention import Kind, as_bias, image_mask
from model.config import Network
from model.sampling.decoding import Decoder, attend_by_sums, attend_on_cpu, decode_layer
from model.sampling.key_windows import make_window
from model.transformer import Transformer
from tokens.sequence import SequenceLayout

KINDS: tuple[Kind, ...] = get_args(Kind)


def slots_seen(kind: Kind, num_codes: int, width: int) -> torch.Tensor:
    """For each code which codes it reads, found by writing codes' own numbers into a ring."""
    window = make_window(kind, num_codes, width)
    ring = torch.full((window.slots,), -1)
    seen = torch.zeros(num_codes, num_codes, dtype=torch.bool)
    for i in range(num_codes):
        ring[window.write_I[i]] = i
        held = ring if window.read_IN is None else ring[window.read_IN[i]]
        seen[i, held[window.bias_IN[i] == 0]] = True
    return seen


@given(st.sampled_from(KINDS), st.integers(1, 9), st.integers(1, 9))
def test_a_window_reads_what_the_mask_allows_and_no_more(
    kind: Kind, height: int, width: int
) -> None:
    assert torch.equal(
        slots_seen(kind, height * width, width), image_mask(kind, height * width, width)
    )


def test_the_papers_windows_are_as_narrow_as_it_says() -> None:
    windows = {kind: make_window(kind, 1024, 32) for kind in KINDS}
    assert {kind: window.width for kind, window in windows.items()} == {
        "row": 33, "column": 32, "conv": 61, "full": 1024,
    }  # fmt: skip
    assert windows["row"].slots == 33 and windows["conv"].slots == 5 * 32 + 5 + 1
    assert windows["row"].read_IN is None, "a row layer's ring is read without a copy"
    assert torch.equal(slots_seen("conv", 1024, 32), image_mask("conv", 1024, 32))


def make_model(attention: str, height: int, width: int, layers: int = 6) -> Transformer:
    """Weights large enough that one code depends strongly on those before it."""
    layout = SequenceLayout(
        text_slots=5, text_vocab_size=20, grid_height=height, grid_width=width, image_vocab_size=30
    )
    model = Transformer(Network(layers, 64, attention=attention), layout).eval()  # type: ignore[arg-type]
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_(0, 0.2, generator=generator)
    return model


def draw_sequences(model: Transformer, rows: int) -> tuple[torch.Tensor, torch.Tensor]:
    layout, generator = model.layout, torch.Generator().manual_seed(5)
    text = torch.randint(layout.text_vocab_size, (rows, layout.text_slots), generator=generator)
    codes = torch.randint(layout.image_vocab_size, (rows, layout.num_codes), generator=generator)
    return text, codes


@torch.no_grad()
def whole(model: Transformer, text: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    """Image logits of whole sequences in one pass, without a cache."""
    return model.image_head(model.hidden(text, codes)[:, model.layout.text_slots :])


def one_by_one(decoder: Decoder, text: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
    logits = [decoder.begin(text)]
    logits += [decoder.step(codes[:, i]) for i in range(codes.shape[1] - 1)]
    return torch.stack(logits, dim=1)


@pytest.mark.parametrize("attention", ["paper", "full"])
@pytest.mark.parametrize(("height", "width"), [(9, 8), (3, 11), (7, 2), (1, 1)])
def test_cached_logits_are_the_uncached_ones_at_every_position(
    attention: str, height: int, width: int
) -> None:
    model = make_model(attention, height, width)
    text, codes = draw_sequences(model, 3)
    cached = one_by_one(Decoder(model, 3), text, codes)
    expected = whole(model, text, codes)
    assert expected.std() > 0.5, "logits that differ by nothing would agree by chance"
    torch.testing.assert_close(cached, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_agrees_by_itself(kind: Kind) -> None:
    model = make_model("paper", 8, 8, layers=2)
    model.kinds = (kind, kind)
    text, codes = draw_sequences(model, 2)
    cached = one_by_one(Decoder(model, 2), text, codes)
    torch.testing.assert_close(cached, whole(model, text, codes), rtol=1e-4, atol=1e-4)


def test_a_decoder_that_begins_anew_has_forgotten_the_last_pictures() -> None:
    model = make_model("paper", 6, 6)
    text, codes = draw_sequences(model, 4)
    decoder = Decoder(model, 2)
    one_by_one(decoder, text[:2], codes[:2])
    again = one_by_one(decoder, text[2:], codes[2:])
    assert torch.equal(again, one_by_one(Decoder(model, 2), text[2:], codes[2:]))


def test_attention_by_sums_is_attention() -> None:
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, n, 64, generator=generator) for n in (1, 9, 9))
    bias = as_bias(torch.tensor([[True] * 7 + [False, True]]))
    torch.testing.assert_close(attend_by_sums(q, k, v, bias), attend_on_cpu(q, k, v, bias))


def test_a_step_touches_the_same_memory_at_every_code() -> None:
    """What a CUDA graph needs: no tensor of the decoder's is replaced by another."""
    model = make_model("paper", 4, 4)
    decoder = Decoder(model, 2)
    text, codes = draw_sequences(model, 2)

    def addresses() -> list[int]:
        held = [decoder.index_1]
        for cache in decoder.caches:
            held += [
                t for t in (cache.k_BHSK, cache.v_BHSK, cache.k_BHRK, cache.v_BHRK) if t is not None
            ]
        return [tensor.data_ptr() for tensor in held]

    before = addresses()
    one_by_one(decoder, text, codes)
    assert addresses() == before


@pytest.mark.slow
def test_a_step_is_compiled_once_per_kind_and_not_once_per_layer() -> None:
    """What keeps a start on a GPU short: the layers of a kind share their code."""
    graphs = []

    def count(graph: torch.fx.GraphModule, _: list[torch.Tensor]) -> object:
        graphs.append(graph)
        return graph.forward

    model = make_model("paper", 6, 6, layers=9)
    text, codes = draw_sequences(model, 2)
    decoder = Decoder(model, 2)
    decoder.layer = torch.compile(decode_layer, dynamic=False, fullgraph=True, backend=count)
    cached = one_by_one(decoder, text, codes)
    assert len(graphs) == len({*model.kinds}) == 3
    torch.testing.assert_close(cached, whole(model, text, codes), rtol=1e-4, atol=1e-4)
