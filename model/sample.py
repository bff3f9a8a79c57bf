"""Draw pictures from captions with a trained run.

    python model/sample.py --run RUN --caption "a red flower" --caption "a house" --out samples.png
    python model/sample.py --run RUN --captions FILE --num 4 --seed 0 --pictures FOLDER
    python model/sample.py --run RUN --caption "a cat" --best_of 512 --clip clip.safetensors
    python model/sample.py --run RUN --caption "the same cat as a sketch" --prime cat.png

writes one sheet, the pictures of each caption side by side and the caption under them, and beside
it samples.jsonl with a line for every picture that was drawn, kept or not: caption, seed, score,
rank, file, settings. The sheet and every file of `--pictures` carry the same as PNG metadata.

Codes are drawn one after another from the model's probabilities, at temperature 1 and from the
whole vocabulary unless told otherwise, as in the paper (Ramesh et al. 2021, section 2.6). Picture j
of a caption has seed `seed + j`, and comes out the same in whatever company it is drawn; batch
size, precision and device belong to what it depends on. `--guidance` needs a run that was trained
with --caption_dropout.

With the tiny preset 16 pictures of 256 codes take about a second of one CPU core, and the image
tokenizer's decoder its own time.
"""

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.sampling.clip_ranking import ClipRanker
from model.sampling.drawing import Strip, draw_sheet
from model.sampling.drawn import Drawn
from model.sampling.options import build_parser, make_settings, read_captions
from model.sampling.picture_files import describe, records, save_pictures, save_png
from model.sampling.priming import read_prime
from model.sampling.sampler import Sampler
from model.sampling.stages import draw_stages


def draw(args: argparse.Namespace) -> str:
    """Do what the command line says; what was done, in one line.

    Raises:
        ValueError, OSError: something is wrong with what was given.
    """
    captions, settings = read_captions(args), make_settings(args)
    ranker = None if args.clip is None else ClipRanker(args.clip_model, args.clip)
    sampler = Sampler.load(args.run, precision=args.precision, batch_size=args.batch_size)
    document = sampler.to_document() | settings.to_document()
    prime = None
    if args.prime is not None:
        layout = sampler.model.layout
        prime = read_prime(args.prime, sampler.image_tokenizer, layout, args.prime_rows)
        document |= {"prime": Path(args.prime).name, "prime_rows": len(prime)}
    if ranker is not None:
        document |= ranker.to_document() | {"best_of": settings.candidates}
    drawn = sampler.draw(captions, settings, ranker, prime)
    write(args, drawn, sampler, document)
    return f"{len(captions)} captions, {args.num} pictures each: {args.out}"


def write(
    args: argparse.Namespace, drawn: Sequence[Drawn], sampler: Sampler, document: dict[str, Any]
) -> None:
    """The sheet, its list, and what else was asked for."""
    seeds = [picture.seed for one in drawn for picture in one.pictures]
    texts = describe([one.caption for one in drawn], seeds, document)
    save_png(draw_sheet([make_strip(one) for one in drawn]), args.out, texts)
    names = {} if args.pictures is None else save_pictures(drawn, Path(args.pictures), document)
    lines = "".join(f"{line}\n" for line in records(drawn, names, document))
    Path(args.out).with_suffix(".jsonl").write_text(lines, encoding="utf-8")
    if args.progress is not None:
        firsts = [(one.caption, one.pictures[0].codes) for one in drawn]
        strips = [draw_stages(*first, sampler.image_tokenizer) for first in firsts]
        save_png(draw_sheet(strips), args.progress, texts)


def make_strip(drawn: Drawn) -> Strip:
    """A caption's pictures, each with its score where it has one."""
    notes = [f"{picture.score:.3f}" for picture in drawn.pictures if picture.score is not None]
    return Strip(drawn.caption, [picture.pixels for picture in drawn.pictures], notes)


def main(argv: Sequence[str] | None = None) -> int:
    args = build_parser().parse_args(argv)
    logging.basicConfig(format="sample: %(message)s")
    try:
        print(draw(args))
    except (ValueError, OSError) as err:
        print(f"sample: {err}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
