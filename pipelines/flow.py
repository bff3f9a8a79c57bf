"""The flow of a build: rows, pairs, signals, decisions, tokens, report."""

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence

from pipelines.commit import current_manifest
from pipelines.corpus import FOLDERS, Build
from pipelines.describing.card_files import write_card
from pipelines.doors import BadInput
from pipelines.fetch import MAX_OPEN_UNITS, plan_fetch
from pipelines.fetching.host_plan import plan_hosts
from pipelines.lock import hold_lock
from pipelines.options import is_local
from pipelines.report import write_report
from pipelines.running.local import LocalEngine
from pipelines.score import plan_score
from pipelines.sources import cut_rows
from pipelines.steps import Engine, Job
from pipelines.summary import describe_build
from tokens.manifest import Manifest, join_url, read_manifest


def plan_select(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The select stage; imported late, because a build that stops before it needs none of it."""
    from pipelines import select_pairs

    return select_pairs.plan_select(build, done)


def plan_encode(build: Build, done: Mapping[str, Manifest]) -> Job:
    """The encode stage; imported late, because torch takes seconds and no other stage needs it."""
    from pipelines import encode

    return encode.plan_encode(build, done)


PLANS: Mapping[str, Callable[[Build, Mapping[str, Manifest]], Job]] = {
    "fetch": plan_fetch,
    "score": plan_score,
    "select": plan_select,
    "encode": plan_encode,
}


def choose_engine(
    runner: str, processes: int, options: Sequence[str]
) -> contextlib.AbstractContextManager[Engine]:
    """This machine's cores, or the Beam runner that was named."""
    if is_local(runner):
        return LocalEngine(processes)
    from pipelines.running.beam_job import (
        BeamEngine,  # imports Beam, which a local driver does without
    )

    return contextlib.nullcontext(BeamEngine(options))


def run_build(build: Build, engine: Engine) -> None:
    """Run a build's stages in order, then tell where every row went."""
    with hold_lock(build.directory):
        check_manifests(build.directory)
        done, seconds = run_stages(build, engine)
        report = write_report(build.directory)
        card = write_card(build.directory, build.recipe.card)
    print(describe_build(done, seconds))
    print(f"report: {report}")
    print("\n".join(card.lines()))


def check_manifests(directory: str) -> None:
    """Refuse a folder one of whose manifests is torn: who wrote it can only be guessed."""
    for folder in ("rows", *FOLDERS.values()):
        try:
            current_manifest(join_url(directory, folder))
        except ValueError as err:
            raise BadInput(f"{err}: delete it, and the same command makes it again") from err


def run_stages(build: Build, engine: Engine) -> tuple[dict[str, Manifest], dict[str, float]]:
    """Run what is not current; returns the manifests and wall seconds per stage."""
    done = {"rows": cut_sources(build)}
    if (fetched_before := current_manifest(build.folder("fetch"))) is not None:
        done["fetch"] = fetched_before
    seconds: dict[str, float] = {}
    for stage in build.stages:
        start = time.monotonic()
        job = PLANS[stage](build, done)
        if stage == "fetch":
            tell_hosts(build, job)
        done[stage] = run_stage(job, engine)
        seconds[stage] = time.monotonic() - start
    return done, seconds


def cut_sources(build: Build) -> Manifest:
    """The input rows in units; what cannot be read is the user's to mend."""
    try:
        return cut_rows(
            build.directory,
            build.sources,
            unit_rows=build.recipe.fetch.unit_rows,
            limit=build.limit,
            recipe=build.recipe.to_dict(),
            fetch_sha256=build.recipe.section_sha256("fetch"),
        )
    except (ValueError, FileNotFoundError) as err:
        raise BadInput(str(err)) from err


def tell_hosts(build: Build, job: Job) -> None:
    """Say which hosts the fetch will wait for, before it begins."""
    if job.publish.generation.is_current():
        return
    rows = join_url(build.directory, "rows")
    unfinished = job.steps[0].unfinished()
    for line in plan_hosts(rows, unfinished, build.fetch, MAX_OPEN_UNITS).lines():
        print(line, flush=True)


def run_stage(job: Job, engine: Engine) -> Manifest:
    """Run a job unless its manifest is current."""
    made = job.publish.generation
    return read_manifest(made.folder) if made.is_current() else engine.run(job)
