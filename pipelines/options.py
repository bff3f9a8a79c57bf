"""The build's command line, and Beam's options checked before Beam sees them.

Beam takes unknown options without a word, and a Dataflow submission that lacks a region hangs
for minutes. So every option that is not ours must be one that Beam knows, and what a remote
runner needs is asked for here, within a second, in one sentence.
"""

import argparse
import difflib
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from pipelines.doors import BadInput, make_door_parser
from pipelines.inputs.dialects import DIALECTS

STAGES = ("fetch", "score", "select", "encode")
REMOTE_WORKERS = 1000
"""Processes that fetch on a remote runner, where nobody says how many: a host's rate must hold."""
LOCAL_RUNNERS = ("directrunner", "direct")
DATAFLOW_RUNNERS = ("dataflowrunner", "dataflow")
DATAFLOW_NEEDS = {
    "project": "the Google Cloud project that pays, for example --project=my-project",
    "region": "the region that the workers run in, for example --region=europe-west4",
    "temp_location": "a bucket folder for staging, for example --temp_location=gs://my-bucket/tmp",
}


def make_parser(description: str | None) -> argparse.ArgumentParser:
    """The build's own flags; Beam's share the line."""
    parser = make_door_parser("build", description, "Any other option goes to Beam.")
    add = parser.add_argument
    add(
        "--input",
        required=True,
        action="append",
        metavar="URLS",
        help="table of URLs and captions (CSV, TSV, JSON Lines or Parquet, packed or not), "
        "WebDataset tar, folder of pictures with their captions, folder that img2dataset wrote, a "
        "pattern over such (quote it), or a .toml list of sources; local or any fsspec URL; "
        "repeatable, in this order",
    )
    add(
        "--output",
        required=True,
        metavar="DIR",
        help="folder of the corpus, local or an fsspec URL",
    )
    add("--recipe", default="dalle", help="recipe by name or path: the definition of the corpus")
    add(
        "--dialect",
        choices=tuple(DIALECTS),
        help="whose lists the inputs are, which settles their columns (default: any table with a "
        "header line)",
    )
    add("--url_column", metavar="NAME", help="the URL's column (default: the dialect's, or url)")
    add(
        "--caption_column",
        action="append",
        metavar="NAME",
        help="the caption's column; repeatable: the first that is not empty is the caption "
        "(default: the dialect's, or caption)",
    )
    add(
        "--image_column",
        metavar="NAME",
        help="column that holds the picture itself (Parquet) or names its file below the table's "
        "folder; nothing is fetched then",
    )
    add("--until", choices=STAGES, default="encode", help="last stage to run")
    add(
        "--limit",
        type=_count,
        metavar="N",
        help="only the first N input rows; run again without it to go on",
    )
    add("--text_tokenizer", metavar="FILE", help="BPE vocabulary (JSON) in place of the recipe's")
    add(
        "--image_tokenizer",
        metavar="FILE",
        help="dVAE weights (safetensors) in place of the recipe's",
    )
    add_fetch_options(parser)
    return parser


def add_fetch_options(parser: argparse.ArgumentParser) -> None:
    """What every door that asks strangers' servers needs to know."""
    add = parser.add_argument
    add("--runner", default="DirectRunner", help="DirectRunner (this machine) or a Beam runner")
    add(
        "--contact",
        metavar="EMAIL_OR_URL",
        help="whom a server's owner can write to; needed to fetch",
    )
    add(
        "--allow_network",
        action="append",
        default=[],
        metavar="CIDR",
        help="private network that may be dialled, for example 127.0.0.1/32; repeatable",
    )
    add(
        "--allow_port",
        action="append",
        type=_count,
        default=[],
        metavar="N",
        help="port that may be dialled besides 80 443 8080 8443 8000; repeatable",
    )
    add(
        "--fetch_engine",
        choices=("pairmill", "img2dataset"),
        default="pairmill",
        help="what brings the pictures: our own client, or img2dataset over it, under equal rules",
    )
    add(
        "--fetch_workers",
        type=_count,
        metavar="N",
        help="processes that fetch at a time, all machines together: a host's rate is divided by "
        f"it (default: --direct_num_workers on this machine; on others {REMOTE_WORKERS}, which is "
        "slow rather than rude)",
    )
    add(
        "--direct_num_workers",
        type=_count,
        default=os.cpu_count(),
        metavar="N",
        help="processes of the local runner",
    )


def _count(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return number


def is_local(runner: str) -> bool:
    """Whether the runner's name means this machine (Beam's names ignore case)."""
    return runner.lower() in LOCAL_RUNNERS


def check_needs(runner: str, options: Sequence[str], urls: Iterable[str]) -> None:
    """Refuse at once, without Beam, what the runner cannot do without.

    Args:
        runner: as given by --runner.
        options: what our own parser did not know.
        urls: every file or folder that workers must reach.

    Raises:
        BadInput: an option is missing, or a file is where no worker can reach it.
    """
    if runner.lower() in DATAFLOW_RUNNERS:
        _check_dataflow(options, urls)


def check_beam_options(runner: str, options: Sequence[str]) -> list[str]:
    """Beam's options, complete for the runner; none for the local one.

    Raises:
        BadInput: an option that neither we nor Beam know.
    """
    _refuse_unknown(options)
    if is_local(runner):
        return []
    setup = (
        [] if _has(options, "setup_file") or _has(options, "sdk_location") else [_setup_option()]
    )
    return [f"--runner={runner}", *options, *(setup if runner.lower() in DATAFLOW_RUNNERS else [])]


def _has(options: Sequence[str], name: str) -> bool:
    return any(o == f"--{name}" or o.startswith(f"--{name}=") for o in options)


def _refuse_unknown(options: Sequence[str]) -> None:
    known = _beam_option_names() if options else ()
    for option in options:
        name = option.partition("=")[0]
        if option.startswith("--") and name not in known:
            near = difflib.get_close_matches(name, [*known, *_own_option_names()], n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise BadInput(f"{name} is an option of neither pairmill nor Beam{hint}")
        if not option.startswith("--") and option is options[0]:
            raise BadInput(f"{option!r} belongs to no option; see --help")


def _own_option_names() -> list[str]:
    return [name for action in make_parser(None)._actions for name in action.option_strings]


def _beam_option_names() -> set[str]:
    """Every option of every option class of the installed Beam."""
    from apache_beam.options.pipeline_options import PipelineOptions  # slow, and rarely needed

    parser = argparse.ArgumentParser(add_help=False, conflict_handler="resolve")
    for options in PipelineOptions.__subclasses__():
        if add := getattr(options, "_add_argparse_args", None):
            add(parser)
    return {name for action in parser._actions for name in action.option_strings}


def _check_dataflow(options: Sequence[str], urls: Iterable[str]) -> None:
    for name, remedy in DATAFLOW_NEEDS.items():
        if not _has(options, name):
            raise BadInput(f"--runner Dataflow needs --{name}: {remedy}")
    for url in urls:
        if "://" not in url or url.startswith("file:"):
            raise BadInput(
                f"{url} is on this machine, where Dataflow's workers cannot reach it: "
                "copy it to a bucket and give its gs:// address"
            )


def _setup_option() -> str:
    """What Beam builds the workers' package from; it insists on an absolute path."""
    file = Path(__file__).resolve().parent.parent / "pyproject.toml"
    if not file.is_file():
        raise BadInput(
            "--runner Dataflow sends this package to its workers and finds no pyproject.toml "
            "beside it: run from a checkout, give --setup_file, or a container with "
            "--sdk_container_image and --sdk_location=container"
        )
    return f"--setup_file={file}"
