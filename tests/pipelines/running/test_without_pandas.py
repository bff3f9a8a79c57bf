"""That pyarrow is kept from importing pandas, and only from that."""

import subprocess
import sys

import pytest

pytest.importorskip("pandas")

SPARE = """
import sys
import pyarrow as pa
from pipelines.running.without_pandas import spare_pandas
{before}
table = pa.table({{"a": [1, 2]}})
print("pandas" in sys.modules, len(table.to_pandas()), len(sys.meta_path))
"""


def run(before: str) -> list[str]:
    program = SPARE.format(before=before)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_list_brings_no_pandas_in_and_a_data_frame_still_does() -> None:
    plain, spared = run(""), run("spare_pandas()")
    assert plain == ["True", "2", plain[2]]
    assert spared == ["False", "2", plain[2]]


def test_a_pandas_that_is_there_stays() -> None:
    assert run("import pandas; spare_pandas()")[:2] == ["True", "2"]
