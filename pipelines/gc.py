"""Remove files that no manifest of a build names.

    python -m pipelines.gc DIR            # list them
    python -m pipelines.gc DIR --apply    # remove those older than a day

Earlier generations, keys and runs of a stage that was interrupted, temporary files of a process
that was killed, and files that are none of ours, all below the folders of finished stages. What
readers open is never touched; no build may be running.
"""

import argparse
import time
from collections.abc import Sequence

from pipelines.doors import BadInput, make_door_parser, run_door

HOUR_S = 3600.0


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)

    def act() -> None:
        from pipelines.checking.collecting import collect  # a wrong flag is told without pyarrow

        oldest = time.time() - args.older_than_hours * HOUR_S
        try:
            result = collect(args.directory, oldest, apply=args.apply)
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err
        print("\n".join(result.lines()))

    return run_door(act)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("gc", __doc__)
    add = parser.add_argument
    add("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    add("--apply", action="store_true", help="remove them; without it they are listed")
    add(
        "--older_than_hours",
        type=float,
        default=24.0,
        metavar="HOURS",
        help="younger files stay: a stopped build may go on with them",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
