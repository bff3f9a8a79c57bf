"""Compare every file of a build with the manifest that answers for it.

    python -m pipelines.verify DIR

Each file's size and SHA-256 are compared; of one that differs the page that is damaged is named
where its checksum tells. Files that no manifest names are listed: readers do not open them, and
`pipelines.gc` removes them. Exit code 1 where a file is damaged, missing or none of ours.
"""

import argparse
from collections.abc import Sequence

from pipelines.doors import BadInput, make_door_parser, run_door


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    found = 0

    def act() -> None:
        nonlocal found
        from pipelines.checking.verification import (
            verify_build,  # a wrong flag is told without pyarrow
        )

        try:
            result = verify_build(args.directory, args.threads)
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err
        print("\n".join(result.lines()))
        found = 0 if result.sound else 1

    return run_door(act) or found


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("verify", __doc__)
    parser.add_argument("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    parser.add_argument("--threads", type=int, default=4, help="files that are read at a time")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
