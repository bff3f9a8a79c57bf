"""What a remote runner needs is asked for at once, and nobody's typing errors reach Beam."""

import subprocess
import sys
import time

import pytest

from pipelines.doors import BadInput
from pipelines.options import check_beam_options, check_needs, make_parser

COMPLETE = ["--project=p", "--region=r", "--temp_location=gs://b/t"]


@pytest.mark.parametrize("missing", ["project", "region", "temp_location"])
def test_dataflow_without_what_it_needs_is_one_sentence(missing: str) -> None:
    options = [option for option in COMPLETE if not option.startswith(f"--{missing}=")]
    with pytest.raises(BadInput, match=f"--runner Dataflow needs --{missing}: .*--{missing}="):
        check_needs("Dataflow", options, ["gs://b/in.csv"])


@pytest.mark.parametrize("runner", ["dataflow", "DataflowRunner"])
def test_dataflow_cannot_reach_local_files(runner: str) -> None:
    with pytest.raises(BadInput, match="urls.csv is on this machine"):
        check_needs(runner, COMPLETE, ["urls.csv"])


def test_the_local_runner_needs_nothing() -> None:
    check_needs("DirectRunner", [], ["urls.csv"])
    assert check_beam_options("DirectRunner", []) == []


def test_dataflow_gets_this_package_for_its_workers() -> None:
    options = check_beam_options("Dataflow", COMPLETE)
    assert options[:-1] == ["--runner=Dataflow", *COMPLETE]
    assert options[-1].startswith("--setup_file=/")
    assert options[-1].endswith("/pyproject.toml")


def test_a_setup_file_given_by_hand_stays() -> None:
    given = ["--setup_file=/elsewhere/pyproject.toml"]
    assert check_beam_options("Dataflow", given) == ["--runner=Dataflow", *given]


@pytest.mark.parametrize(
    ("option", "near"),
    [("--machine_typ=x", "--machine_type"), ("--alow_network=127.0.0.1/32", "--allow_network")],
)
def test_an_unknown_option_names_the_nearest_known_one(option: str, near: str) -> None:
    with pytest.raises(BadInput, match=f"neither pairmill nor Beam; did you mean {near}"):
        check_beam_options("DirectRunner", [option])


def test_a_word_that_belongs_to_no_option_is_refused() -> None:
    with pytest.raises(BadInput, match="'extra' belongs to no option"):
        check_beam_options("DirectRunner", ["extra"])


def test_every_flag_has_help_and_is_underscored() -> None:
    for action in make_parser(None)._actions:
        assert action.help
        assert all(
            "-" not in name.removeprefix("--").removeprefix("-") for name in action.option_strings
        )


def test_a_missing_region_is_refused_before_beam_is_imported() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "pipelines.build", "--input=gs://b/i.csv",
               "--output=gs://b/o", "--runner=Dataflow", "--project=p"]  # fmt: skip
    start = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert time.monotonic() - start < 30
    assert done.returncode == 2
    assert "needs --region" in done.stderr
    assert "apache_beam" not in done.stderr
