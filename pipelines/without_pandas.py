"""Keeps pandas out of processes that never use it.

pyarrow imports pandas, where it is installed, when it is first given a Python list, only to see
whether the list is one of pandas' arrays: most of a CPU second for every process of a build.
"""

import sys

import pyarrow as pa

PANDAS = "pandas"


class NoPandas:
    """A finder of modules that knows of no pandas."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name == PANDAS:
            raise ModuleNotFoundError(name)


def spare_pandas() -> None:
    """Let pyarrow ask for pandas once in vain; it does not ask again.

    Does nothing where pandas is imported already. What truly needs pandas (`to_pandas`) still finds
    it, because pyarrow then asks anew.
    """
    if PANDAS in sys.modules:
        return
    sys.meta_path.insert(0, NoPandas)
    try:
        pa.array([0])
    finally:
        sys.meta_path.remove(NoPandas)
