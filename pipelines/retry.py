"""Fetch again the rows that failed for a reason that may have passed, and no others.

    python -m pipelines.retry corpus --contact me@example.org

A server that was down, a rate that was used up, a robots.txt that did not answer: those rows are
asked for again, under the recipe and the networks of the build. A unit that holds some is written
anew beside its old file, and the manifest's next generation names it. The build's own command then
takes the new pictures through the stages that follow.
"""

import argparse
from collections.abc import Sequence

from pipelines.doors import make_door_parser, run_door
from pipelines.options import add_fetch_options, check_beam_options


def main(argv: Sequence[str] | None = None) -> int:
    args, beam_options = make_parser().parse_known_args(argv)

    def act() -> None:
        from pipelines.fetching.refetch import refetch  # Beam takes seconds to import

        refetch(args, check_beam_options(args.runner, beam_options))

    return run_door(act)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("retry", __doc__, "Any other option goes to Beam.")
    parser.add_argument("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    add_fetch_options(parser)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
