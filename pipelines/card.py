"""Write a build's card anew: DIR/croissant.json for catalogues and DIR/README.md for people.

    python -m pipelines.card corpus --name "Clip art" --license CC0-1.0 --creator "Jane Doe" \\
        --creator_type Person --url https://example.org/clip-art --date_published 2026-01-31

A build writes both at its end. What only a person knows comes from the recipe's [card] table or
from these flags, and stays when either is run again without it; what is missing is named.
"""

import argparse
from collections.abc import Sequence
from dataclasses import fields

from pipelines.describing.card_section import CardSection
from pipelines.doors import BadInput, make_door_parser, run_door

GIVEN = {
    "name": "what the corpus is called",
    "description": "what it is and what it is for, in a few sentences",
    "license": "of the corpus as a whole: a URL or an SPDX identifier",
    "url": "where it is published",
    "creator": "who made it",
    "version": "three numbers, such as 1.0.0",
    "date_published": "day of publication, YYYY-MM-DD",
    "cite_as": "how it is to be cited",
}


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)

    def act() -> None:
        from pipelines.describing.card_files import (
            write_card,  # imports are slower than a wrong flag
        )

        try:
            written = write_card(args.directory, _read_flags(args))
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err
        print("\n".join(written.lines()))

    return run_door(act)


def _read_flags(args: argparse.Namespace) -> CardSection:
    given = {field.name: getattr(args, field.name) for field in fields(CardSection)}
    return CardSection(**given)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("card", __doc__)
    parser.add_argument("directory", metavar="DIR", help="a build's folder, local or fsspec URL")
    for name, meaning in GIVEN.items():
        parser.add_argument(f"--{name}", metavar="TEXT", help=meaning)
    parser.add_argument(
        "--creator_type",
        choices=("Person", "Organization"),
        default="Organization",
        help="what the creator is",
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
