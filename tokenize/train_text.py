"""Learn a text vocabulary from captions and write it as one JSON file.

    python tokenize/train_text.py --data DIR --out text.json
    python -m pipelines.build --output DIR --text_tokenizer text.json ...

DIR is the output of a build that ran at least `--until select`; the captions of its kept
training pairs are read. `--text FILE` and `--wordnet FOLDER` read other text, instead or as
well. The last line printed says how many captions were read, how many ids one takes, and
the SHA-256 by which manifests know the file.

The same text gives the same file, whatever its order or the number of threads. A million
captions of 60 letters take about 20 s on one core.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice

import fsspec
from tokenizers import Regex, Tokenizer
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import Split
from tokenizers.trainers import BpeTrainer
from tqdm import tqdm

from tokens.manifest import join_url, kept_pairs
from tokens.put import put_file
from tokens.text import TextTokenizer, lower_cased
from tokens.vocabulary import MAX_RUN_LETTERS, MAX_VOCAB_SIZE, NUM_BYTES, Vocabulary

LETTERS = "abcdefghijklmnopqrstuvwxyz"
MEASURED_CAPTIONS = 100_000
LINES_AT_ONCE = 10_000
WORDNET_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")


def main(argv: Sequence[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        _check(args.out, args.vocab_size)
        reading = Reading()
        batches = _read_all(args.data, args.text, args.wordnet)
        tokenizer = TextTokenizer(vocabulary := learn(reading.watch(batches), args.vocab_size))
        put_file(args.out, vocabulary.to_json())
    except (OSError, ValueError) as err:
        print(f"train_text: {err}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("train_text: stopped; nothing was written", file=sys.stderr)
        return 130
    tokens_per_caption = len(tokenizer.encode(reading.first).ids) / len(reading.first)
    print(
        f"captions {reading.num_captions:,}  tokens per caption {tokens_per_caption:.1f} "
        f"(first {len(reading.first):,})  vocabulary {tokenizer.vocab_size:,}  "
        f"file {args.out}  sha256 {tokenizer.sha256}"
    )
    return 0


@dataclass(slots=True)
class Reading:
    """What has been read so far."""

    num_captions: int = 0
    first: list[str] = field(default_factory=list)
    """The first captions, kept to be measured at the end."""

    def watch(self, batches: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
        """The same batches, counted as they pass, with a line of progress on a terminal."""
        with tqdm(desc="read", unit=" captions", unit_scale=True, disable=None) as progress:
            for batch in batches:
                self.num_captions += len(batch)
                self.first.extend(batch[: MEASURED_CAPTIONS - len(self.first)])
                progress.update(len(batch))
                yield batch


def learn(batches: Iterable[Sequence[str]], vocab_size: int) -> Vocabulary:
    """The merges of the most frequent neighbours inside runs of a-z, one after the other.

    Of equally frequent pairs the one whose tokens were learnt first is taken, so the result
    depends on how often each run occurs and on nothing else.

    Raises:
        ValueError: the text has too few distinct pairs for `vocab_size` ids.
    """
    num_merges = vocab_size - NUM_BYTES
    tokenizer = Tokenizer(BPE())
    runs = Regex(f"[a-z]{{1,{MAX_RUN_LETTERS}}}")
    tokenizer.pre_tokenizer = Split(runs, behavior="removed", invert=True)
    trainer = BpeTrainer(
        vocab_size=len(LETTERS) + num_merges, initial_alphabet=list(LETTERS), show_progress=False
    )
    texts = ([lower_cased(caption) for caption in batch] for batch in batches)
    tokenizer.train_from_iterator(texts, trainer)
    merges = json.loads(tokenizer.to_str())["model"]["merges"]
    if not merges:
        raise ValueError("the text has no two letters a-z side by side: there is nothing to learn")
    if len(merges) < num_merges:
        raise ValueError(
            f"the text gives {len(merges):,} merges and {num_merges:,} are needed: add text with "
            f"--text or --wordnet, or pass --vocab_size {NUM_BYTES + len(merges)} for a smaller "
            "vocabulary"
        )
    return Vocabulary(tuple((left, right) for left, right in merges))


def read_kept(directory: str) -> Iterator[Sequence[str]]:
    """The captions of a build's kept training pairs."""
    for table in kept_pairs(directory, split="train", columns=("caption",)):
        yield table["caption"].drop_null().to_pylist()


def read_lines(url: str) -> Iterator[Sequence[str]]:
    """The lines of a plain text file, one caption each; empty lines are none."""
    try:
        with fsspec.open(url, "rt", encoding="utf-8", errors="replace") as file:
            lines = (line.rstrip("\n") for line in file if line.strip())
            while batch := list(islice(lines, LINES_AT_ONCE)):
                yield batch
    except (FileNotFoundError, IsADirectoryError) as err:
        raise ValueError(f"there is no text file {url}") from err


def read_glosses(folder: str) -> Iterator[Sequence[str]]:
    """The glosses of WordNet's database, as its files data.noun to data.adv hold them."""
    for name in WORDNET_FILES:
        for lines in read_lines(join_url(folder, name)):
            synsets = [line for line in lines if not line.startswith("  ")]  # that is the licence
            if not all(" | " in synset for synset in synsets):
                raise ValueError(f"{name} in {folder} is not WordNet's: a line has no gloss")
            yield [synset.split(" | ", 1)[1].strip() for synset in synsets]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Learn a text vocabulary from captions and write it as one JSON file.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--data", metavar="DIR", help="output folder of a build")
    parser.add_argument(
        "--text",
        metavar="FILE",
        action="append",
        default=[],
        help="plain text in UTF-8, one caption per line (repeatable)",
    )
    parser.add_argument(
        "--wordnet", metavar="FOLDER", help="folder of WordNet's data files; glosses are captions"
    )
    parser.add_argument("--out", metavar="FILE", required=True, help="vocabulary file to write")
    parser.add_argument(
        "--vocab_size",
        metavar="N",
        type=int,
        default=16_384,
        help=f"ids in all: {NUM_BYTES} bytes and the rest merges",
    )
    return parser


def _check(out: str, vocab_size: int) -> None:
    """What can be known to be wrong before any text is read."""
    if not NUM_BYTES < vocab_size <= MAX_VOCAB_SIZE:
        raise ValueError(
            f"--vocab_size {vocab_size} is outside {NUM_BYTES + 1} to {MAX_VOCAB_SIZE}: "
            f"{NUM_BYTES} ids are the bytes, and an id is stored in 16 bits"
        )
    filesystem, path = fsspec.url_to_fs(out)
    if filesystem.isdir(path):
        raise ValueError(f"--out {out} is a folder: name a file in it, such as text.json")


def _read_all(
    data: str | None, texts: Sequence[str], wordnet: str | None
) -> Iterator[Sequence[str]]:
    sources = [read_lines(url) for url in texts]
    if data is not None:
        sources.append(read_kept(data))
    if wordnet is not None:
        sources.append(read_glosses(wordnet))
    if not sources:
        raise ValueError("no text to learn from: pass --data, --text or --wordnet")
    return chain.from_iterable(sources)


if __name__ == "__main__":
    raise SystemExit(main())
