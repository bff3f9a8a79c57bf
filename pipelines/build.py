"""Build a token corpus: fetch, score, select, encode.

    python -m pipelines.build --input urls.csv --output corpus --recipe demo \\
        --url_column url --caption_column caption --contact me@example.org

Each stage is a pure function of files that the stage before it has committed. What is committed
already is skipped, so the same command goes on after a crash, and a changed recipe makes again
only what it changes. Ends with a table of where every row went, and DIR/report.html.
"""

import gc
from collections.abc import Sequence

from pipelines.doors import run_door
from pipelines.options import check_beam_options, check_needs, make_parser
from pipelines.running.fork_server import NO_THREADS, environment


def main(argv: Sequence[str] | None = None) -> int:
    args, beam_options = make_parser(__doc__).parse_known_args(argv)

    def act() -> None:
        check_needs(args.runner, beam_options, [*args.input, args.output])
        # Imports take a good part of a second: what can be refused without them is refused first.
        gc.disable()  # for as long as little is made but what stays
        with environment(NO_THREADS):  # a driver multiplies nothing
            from pipelines.corpus import settle
            from pipelines.flow import choose_engine, run_build
            from pipelines.running.without_pandas import spare_pandas

        gc.freeze()
        gc.enable()
        spare_pandas()
        build = settle(args)
        check_needs(args.runner, beam_options, [source.url for source in build.sources])
        options = check_beam_options(args.runner, beam_options)
        with choose_engine(args.runner, args.direct_num_workers, options) as engine:
            run_build(build, engine)

    return run_door(act)


if __name__ == "__main__":
    raise SystemExit(main())
