"""That codes are drawn as their probabilities, temperature, top-k and top-p say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.sampling.choosing import choose, draw_uniforms

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 0.4, -3.0, 1.0]])


def shares(temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0) -> np.ndarray:
    """How often each code is drawn, over uniform numbers that lie evenly."""
    rows = 20_000
    even = (torch.arange(rows, dtype=torch.float64) + 0.5) / rows
    codes = choose(LOGITS.expand(rows, -1), even, temperature, top_k, top_p)
    return codes.bincount(minlength=LOGITS.shape[1]).numpy() / rows


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_codes_follow_their_probabilities(temperature: float) -> None:
    expected = (LOGITS[0] / temperature).softmax(dim=0)
    np.testing.assert_allclose(shares(temperature), expected, atol=1e-4)


def test_top_k_draws_the_k_likeliest_in_their_proportions() -> None:
    expected = LOGITS[0].masked_fill(torch.tensor([0, 1, 0, 1, 1, 0]).bool(), -torch.inf)
    np.testing.assert_allclose(shares(top_k=3), expected.softmax(dim=0), atol=1e-4)
    np.testing.assert_array_equal(shares(top_k=1), [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(shares(top_k=100), shares())


def test_top_p_keeps_the_fewest_codes_that_hold_the_probability() -> None:
    odds = LOGITS[0].softmax(dim=0).sort(descending=True).values.cumsum(dim=0).tolist()
    below, above = (int((shares(top_p=odds[1] + d) > 0).sum()) for d in (-1e-4, 1e-4))
    assert (below, above) == (2, 3)
    assert (shares(top_p=1e-9) > 0).tolist() == [True] + [False] * 5


def test_a_temperature_near_zero_draws_the_likeliest() -> None:
    np.testing.assert_array_equal(shares(temperature=1e-4), [1, 0, 0, 0, 0, 0])


@given(
    st.lists(st.floats(-30, 30), min_size=1, max_size=8),
    st.sampled_from([0.0, 0.5, float(np.nextafter(1, 0))]),
    st.integers(0, 9),
    st.floats(0.01, 1),
)
def test_no_code_is_drawn_that_is_ruled_out(
    logits: list[float], uniform: float, top_k: int, top_p: float
) -> None:
    row = torch.tensor([[*logits, float("-inf")]])
    code = int(choose(row, torch.tensor([uniform], dtype=torch.float64), 1.0, top_k, top_p))
    rank = sum(other > row[0, code] for other in row[0])
    assert torch.isfinite(row[0, code]) and (top_k == 0 or rank < top_k)


def test_a_picture_s_numbers_are_its_seed_s_alone() -> None:
    together = draw_uniforms([3, 1, 3], 50)
    assert torch.equal(together[0], together[2]) and not torch.equal(together[0], together[1])
    assert torch.equal(draw_uniforms([1], 50)[0], together[1])
    many = draw_uniforms(range(2_000), 4)
    assert many.dtype == torch.float64 and many.min() >= 0 and many.max() < 1
    assert abs(float(many[:, 0].mean()) - 0.5) < 0.02, "first numbers of seeds in a row are even"
