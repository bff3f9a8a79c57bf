import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.selecting.clusters import connect, span_pairs

pairs = st.lists(st.tuples(st.integers(0, 29), st.integers(0, 29)), max_size=40)


def flood(joined):
    """The smallest member of each of 30 values' clusters, by walking from value to value."""
    roots = {}
    for value in range(30):
        if value not in roots:
            reached, ahead = set(), {value}
            while ahead:
                reached |= ahead
                ahead = {b for pair in joined for a in pair for b in pair if a in ahead} - reached
            roots |= dict.fromkeys(reached, value)
    return [roots[value] for value in range(30)]


@settings(deadline=None)
@given(pairs)
def test_what_is_connected_has_one_parent(joined):
    parents = np.arange(30)
    sides = np.array(joined, np.int64).reshape(-1, 2)
    connect(parents, sides[:, 0], sides[:, 1])
    assert parents.tolist() == flood(joined)


def test_a_long_chain_in_any_order():
    places = np.random.default_rng(0).permutation(100_000)
    parents = np.arange(100_000)
    connect(parents, places[1:], places[:-1])
    assert not parents.any()


@settings(deadline=None)
@given(st.lists(pairs, max_size=4))
def test_a_span_connects_what_the_pairs_connect(batches):
    values = np.arange(30, dtype=np.uint64) * 3
    arrays = [np.array(batch, np.uint64).reshape(-1, 2) * 3 for batch in batches]
    edges, count = span_pairs(values, [(one[:, 0], one[:, 1]) for one in arrays])
    joined = [pair for batch in batches for pair in batch]
    assert count == len(joined)
    roots = flood(joined)
    assert edges.tolist() == [[3 * v, 3 * root] for v, root in enumerate(roots) if root != v]
