"""That a driver, which only plans and listens, imports no more than that takes."""

import subprocess
import sys

PROGRAM = """
import sys
import pipelines.options, pipelines.corpus, pipelines.flow
print(*sys.modules)
"""
OTHERS = (
    *("apache_beam", "aiohttp", "torch", "pandas"),
    *("PIL", "simplejpeg", "tokenizers", "pyarrow.dataset"),
)
"""What stages work with, in processes of their own."""


def test_a_driver_imports_nothing_of_what_only_stages_use() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True, timeout=100
    )
    imported = set(done.stdout.split())
    assert "pipelines.fetch" in imported
    assert not imported & set(OTHERS)
