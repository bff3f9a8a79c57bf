"""Take pairs out of a build for good: rows, pictures, signals, decisions and tokens.

    python -m pipelines.purge corpus --list take_down.txt --reason "asked by mail"

A list names a URL, a host, a picture's SHA-256, a pair_id, or a perceptual hash (phash:... or
pdq:...) a line. What is found goes, and with it every pair that shares its URL or its picture.
Only files that hold some of it are written anew, under new generations of the manifests; the bytes
of the old ones are then removed. Digests stay in DIR/tombstones.parquet, so that no later build
and no retry brings it back. Killed at any moment, it goes on when it is run again.
"""

import argparse
from collections.abc import Sequence

from pipelines.doors import make_door_parser, run_door


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)

    def act() -> None:
        from pipelines.purging.flow import purge  # a wrong flag is told without pyarrow

        print("\n".join(purge(args.directory, args.list, args.reason).lines()))

    return run_door(act)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("purge", __doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    add(
        "--list",
        action="append",
        default=[],
        metavar="FILE",
        help="what has to go, one entry a line; repeatable. Without it a purge that was broken off "
        "is finished, and tombstones that lie in DIR are obeyed",
    )
    add(
        "--reason",
        metavar="TEXT",
        help="kept beside the tombstones as it stands: name nobody in it",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
