"""Keeps pandas out of processes that never use it.

pyarrow imports pandas, where it is installed, when it is first given a Python list, only to see
whether the list is one of pandas' arrays: most of a CPU second for every process of a build.
"""

import pyarrow as pa

from pipelines.running.hidden_modules import hide_modules


def spare_pandas() -> None:
    """Let pyarrow ask for pandas once in vain; it does not ask again.

    Does nothing where pandas is imported already. What truly needs pandas (`to_pandas`) still finds
    it, because pyarrow then asks anew.
    """
    with hide_modules("pandas"):
        pa.array([0])
