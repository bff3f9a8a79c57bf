import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import model.evaluate
from model.measuring.token_metrics import CodeUse, SplitMetrics, measure_code_use, show_table
from tests.model.sampling.sample_runs import train_run


def test_codes_that_are_used_alike_have_the_perplexity_of_their_number() -> None:
    use = measure_code_use(np.arange(24, dtype=np.uint16).reshape(2, 12) % 8, 20)
    assert (use.vocabulary, use.used) == (20, 8)
    assert use.entropy_bits == pytest.approx(3) and use.perplexity == pytest.approx(8)


def test_one_code_alone_has_no_entropy() -> None:
    use = measure_code_use(np.full((3, 4), 5), 9)
    assert (use.used, use.entropy_bits, use.perplexity) == (1, 0, 1)


@given(st.lists(st.integers(0, 11), min_size=1, max_size=40))
def test_entropy_is_between_none_and_that_of_all_used_alike(codes: list[int]) -> None:
    use = measure_code_use(np.array(codes), 12)
    assert use.used == len(set(codes))
    assert -1e-9 <= use.entropy_bits <= math.log2(use.used) + 1e-9


METRICS = SplitMetrics("val", 20, math.log(4), math.log(16), (0.5, 0.25, 0.75), CodeUse(12, 8, 3.0))


def test_a_document_says_losses_in_bits_too() -> None:
    document = METRICS.to_document()
    assert document["text_bits"] == pytest.approx(2) and document["image_bits"] == pytest.approx(4)
    assert document["codes"] == {"vocabulary": 12, "used": 8, "entropy_bits": 3.0}
    assert document["code_perplexity"] == 8


def test_the_table_s_columns_stand_under_their_heads() -> None:
    bare = SplitMetrics("train", 1, 1.0, 1.0, None, CodeUse(12, 8, 3.0))
    head, val, train = show_table([METRICS, bare]).split("\n")
    assert len(head) == len(val) == len(train)
    for name, value in (("text nats", "1.386"), ("image nats", "2.773"), ("perplexity", "8")):
        end = head.index(name) + len(name)
        assert val[:end].endswith(value)
    assert "0.500 [0.250, 0.750]" in val and "not measured" in train


def test_the_door_writes_both_splits(
    tmp_path: Path, write_corpus, capsys: pytest.CaptureFixture[str]
) -> None:
    run, out = train_run(tmp_path, write_corpus), tmp_path / "metrics.json"
    assert model.evaluate.main(["--run", str(run), "--eval_pairs", "9", "--json", str(out)]) == 0
    found, shown = json.loads(out.read_text()), capsys.readouterr().out
    assert found["step"] == 2
    for split in ("train", "val"):
        one = found[split]
        assert one["pairs"] == 9 and one["codes"]["vocabulary"] == 24
        assert one["image_bits"] == pytest.approx(one["image_nats"] / math.log(2))
        assert f"{one['image_nats']:.3f}" in shown and len(one["gap_nats"]) == 3
        # two steps have taught it little: still near one of 24 codes, all alike
        assert one["image_nats"] == pytest.approx(math.log(24), abs=0.3)
