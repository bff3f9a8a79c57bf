"""datatrove's filters for the same rules, one after another, in this process.

    pip install "datatrove[io,processing]"
    PEER/bin/python datatrove_filters.py ROWS.parquet lid.176.ftz

Lengths by its lambda filter, languages by its language filter with fastText's model; a generator
of documents runs through both, as its local executor has it. `language_first`, the third argument,
turns their order round. It knows no pictures, and its model is asked for all 176 scores a caption.
"""

import sys

import pyarrow.parquet as pq
from datatrove.data import Document
from datatrove.pipeline.filters import LambdaFilter, LanguageFilter
from fasttext.FastText import _FastText
from rounds import MIN_CHARS, MIN_WORDS, answer_rounds


def is_long_enough(document: Document) -> bool:
    return len(document.text) >= MIN_CHARS and len(document.text.split()) >= MIN_WORDS


def main() -> None:
    rows, model, *order = sys.argv[1:]
    captions = pq.read_table(rows, columns=["text"])["text"].to_pylist()
    language = LanguageFilter(["en"], language_threshold=0.5)
    language.model._model = _FastText(model)
    filters = [LambdaFilter(is_long_enough), language]
    if order == ["language_first"]:
        filters.reverse()

    def run() -> int:
        documents = (Document(text, str(number)) for number, text in enumerate(captions))
        for one in filters:
            documents = one.run(documents)
        return sum(1 for _ in documents)

    answer_rounds(run)


if __name__ == "__main__":
    main()
