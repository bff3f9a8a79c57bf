"""Write a corpus's report again: DIR/report.html and the same figures as DIR/report.json.

    python -m pipelines.report DIR

`pipelines.build` does it at its end. A build that stopped early gives a report of what is there.
"""

from collections.abc import Sequence

from pipelines.doors import BadInput, make_door_parser, run_door
from pipelines.report import write_report


def main(argv: Sequence[str] | None = None) -> int:
    parser = make_door_parser("report", __doc__)
    parser.add_argument("directory", metavar="DIR", help="a build's output folder, or fsspec URL")
    args = parser.parse_args(argv)

    def act() -> None:
        try:
            print(f"report: {write_report(args.directory)}")
        except (ValueError, FileNotFoundError) as err:
            raise BadInput(str(err)) from err

    return run_door(act)


if __name__ == "__main__":
    raise SystemExit(main())
