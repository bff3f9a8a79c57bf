"""Tokens of a build as WebDataset tars or MosaicML's MDS, for trainers that read these.

    python -m pipelines.export DIR --format webdataset --out FOLDER
    python -m pipelines.export DIR --format mds --out gs://bucket/tokens --view 0

Both splits are written, a folder for each split and view (FOLDER/train/view0), in the order of
the token shards, which is random already. The same build gives the same bytes. A file appears
whole or not at all, and the same command goes on where it was stopped.
"""

import argparse
from collections.abc import Sequence

from pipelines.doors import BadInput, make_door_parser, run_door

SHARD_ROWS = 8_192


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)

    def act() -> None:
        from pipelines.exporting.export import (  # --help needs no pyarrow
            ExportSettings,
            export_tokens,
        )

        try:
            settings = ExportSettings(args.format, args.view, args.shard_rows)
            told = export_tokens(args.directory, args.out, settings)
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err
        print("\n".join(told))

    return run_door(act)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("export", __doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    add("--format", required=True, choices=("webdataset", "mds"), help="what to write")
    add("--out", required=True, metavar="FOLDER", help="where, local or fsspec URL; empty or new")
    add(
        "--view",
        type=_view,
        metavar="N|all",
        help="the crop of each training pair; all of them where this is left out",
    )
    add(
        "--shard_rows",
        type=int,
        default=SHARD_ROWS,
        metavar="ROWS",
        help="samples of a file; one of 1,024 codes takes 2.5 kB in MDS, 6.5 kB in a tar",
    )
    return parser


def _view(text: str) -> int | None:
    if text != "all" and not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} is neither a view, counted from 0, nor 'all'")
    return None if text == "all" else int(text)


if __name__ == "__main__":
    raise SystemExit(main())
