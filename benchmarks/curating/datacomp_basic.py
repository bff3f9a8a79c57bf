"""DataComp's own basic filter over the rows, as `baselines/apply_filter.py` has it.

    git clone https://github.com/mlfoundations/datacomp
    pip install fasttext "numpy<2" "pandas<3" "pyarrow<21" fsspec nltk tqdm cld3-py
    PYTHONPATH=datacomp PEER/bin/python datacomp_basic.py ROWS.parquet lid.176.ftz

One call of `load_uids_with_basic_filter_helper` on one file, which reads it, asks fastText for
each caption's language and compares the numbers. gcld3 has no wheel and does not build without
protoc: cld3-py is the same library under the same name. torch, which the module imports for other
filters than this one, is left out.
"""

import sys
import types
from pathlib import Path

import fsspec
from rounds import answer_rounds


def import_filters() -> types.ModuleType:
    torch = types.ModuleType("torch")
    torch.no_grad = lambda: lambda function: function
    torch.Tensor = object
    sys.modules["torch"] = torch
    from baselines import apply_filter

    return apply_filter


def main() -> None:
    rows, model = sys.argv[1:]
    filters = import_filters()
    filters.download = lambda name, root: model
    file = (fsspec.filesystem("file"), str(Path(rows).resolve()))
    answer_rounds(lambda: len(filters.load_uids_with_basic_filter_helper(file)))


if __name__ == "__main__":
    main()
