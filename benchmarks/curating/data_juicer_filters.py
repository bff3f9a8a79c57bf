"""data-juicer's filters for the same rules, in batches of its own default size, in this process.

    pip install py-data-juicer aiohttp fasttext-predict msgpack ray
    export DATA_JUICER_MODELS_CACHE=FOLDER
    PEER/bin/python data_juicer_filters.py ROWS.parquet FOLDER/lid.176.bin

Its length, words and language filters as plain calls (`compute_stats_batched`, `process_batched`),
without the data set that a recipe of its own would wrap round them: that is to its favour. Each
filter sees what the ones before it kept, so that `language_first`, the third argument, asks for
every row's language, as ours and DataComp's do, and without it only for the long enough ones'. Its
picture filters decode every file again, so that the picture's size is left out here.
"""

import sys
from collections.abc import Iterator
from typing import Any

import pyarrow.parquet as pq
from data_juicer.ops.filter.language_id_score_filter import LanguageIDScoreFilter
from data_juicer.ops.filter.text_length_filter import TextLengthFilter
from data_juicer.ops.filter.words_num_filter import WordsNumFilter
from data_juicer.utils.constant import Fields
from rounds import MIN_CHARS, MIN_WORDS, answer_rounds

BATCH_ROWS = 1_000
"""data-juicer's default batch_size."""


def make_batches(captions: list[str]) -> Iterator[dict[str, list[Any]]]:
    for start in range(0, len(captions), BATCH_ROWS):
        texts = captions[start : start + BATCH_ROWS]
        yield {"text": texts, Fields.stats: [{} for _ in texts]}


def keep(batch: dict[str, list[Any]], operator: Any) -> dict[str, list[Any]]:
    measured = operator.compute_stats_batched(batch)
    kept = list(operator.process_batched(measured))
    return {
        name: [value for value, stays in zip(values, kept, strict=True) if stays]
        for name, values in measured.items()
    }


def main() -> None:
    captions = pq.read_table(sys.argv[1], columns=["text"])["text"].to_pylist()
    lengths = [TextLengthFilter(min_len=MIN_CHARS), WordsNumFilter(min_num=MIN_WORDS)]
    language = [LanguageIDScoreFilter(lang="en", min_score=0.0)]
    first = sys.argv[3:] == ["language_first"]
    operators = language + lengths if first else lengths + language

    def run() -> int:
        kept = 0
        for batch in make_batches(captions):
            for operator in operators:
                batch = keep(batch, operator)
            kept += len(batch["text"])
        return kept

    answer_rounds(run)


if __name__ == "__main__":
    main()
