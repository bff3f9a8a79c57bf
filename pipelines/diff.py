"""Say what differs between two builds: recipe, inputs, versions, counts, and every pair's fate.

    python -m pipelines.diff A B
    python -m pipelines.diff A B --pairs changed.parquet
    python -m pipelines.diff corpus/decisions/manifest-1.json corpus/decisions/manifest.json

A and B are builds' folders, or two manifests of one stage: of these nothing but the manifests is
compared. Of two builds that have come as far as select, pairs are compared too, by `pair_id`: how
many are kept in both, how many in one alone, and for which reason each of the others goes.
"""

import argparse
from collections.abc import Sequence

from pipelines.doors import BadInput, make_door_parser, run_door


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)

    def act() -> None:
        from pipelines.checking.build_diff import (
            describe_builds,  # a wrong flag is told without pyarrow
        )

        try:
            for line in describe_builds(args.a, args.b, args.pairs):
                print(line)
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err

    return run_door(act)


def make_parser() -> argparse.ArgumentParser:
    parser = make_door_parser("diff", __doc__)
    add = parser.add_argument
    add("a", metavar="A", help="a build's folder or a manifest, local or fsspec URL")
    add("b", metavar="B", help="the other one, of the same kind")
    add("--pairs", metavar="FILE", help="Parquet to write: each pair that the two decide otherwise")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
