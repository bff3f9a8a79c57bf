"""Write a build's CLIP embeddings for other programs.

    python -m pipelines.embeddings DIR --out FOLDER                     # as clip-retrieval does
    python -m pipelines.embeddings DIR --out FOLDER --format parquet

One file of each kind per unit, float16, vectors of length 1, rows in input order. The build's
recipe must have stored them: [score.clip] with store_embeddings = "fp16".
"""

import argparse
from collections.abc import Sequence

from pipelines.doors import BadInput, make_door_parser, run_door


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)

    def act() -> None:
        from pipelines.embedding_files import export_embeddings  # a wrong flag is told without it

        try:
            found = export_embeddings(args.directory, args.out, args.format, kept_only=args.kept)
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err
        print(f"{found.rows} embeddings of pictures and captions, {found.files} units: {args.out}")

    return run_door(act)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("embeddings", __doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    add("--out", metavar="FOLDER", required=True, help="an empty folder, local or fsspec URL")
    add("--format", choices=("npy", "parquet"), default="npy", help="clip-retrieval's, or Parquet")
    add("--kept", action="store_true", help="only what select has kept")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
