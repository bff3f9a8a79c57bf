from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from filters.signals import RULE_SIGNAL_TYPES


@pytest.fixture
def one_row() -> Callable[..., pa.RecordBatch]:
    """A batch of one row, its columns typed as the score stage types them."""

    def build(**signals: Any) -> pa.RecordBatch:
        columns = {
            name: pa.array([value], RULE_SIGNAL_TYPES[name]) for name, value in signals.items()
        }
        return pa.record_batch(columns)

    return build
