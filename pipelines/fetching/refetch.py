"""The flow of a retry: a build's recorded recipe and networks, one job, what came of it."""

import argparse
from collections.abc import Mapping, Sequence

from pipelines.corpus import FOLDERS, settle_fetch
from pipelines.decoding.picture import StoredImage
from pipelines.describing.card_files import write_card
from pipelines.describing.card_section import CardSection
from pipelines.doors import BadInput
from pipelines.fetching.retry_units import count_transient, plan_retry
from pipelines.fetching.session import FetchKit
from pipelines.flow import choose_engine
from pipelines.lock import hold_lock
from pipelines.recipe import read_recipe
from pipelines.report import write_report
from pipelines.steps import Job
from tokens.manifest import Manifest, join_url, read_manifest


def refetch(args: argparse.Namespace, beam_options: Sequence[str]) -> None:
    """Ask again what may have passed, and tell what came of it."""
    with hold_lock(args.directory):
        rows, pairs = read_fetched(args.directory)
        if not count_transient(pairs.counts):
            print("nothing to fetch again: no row failed for a reason that may have passed")
            return
        job = settle_job(args, rows, pairs)
        with choose_engine(args.runner, args.direct_num_workers, beam_options) as engine:
            made = engine.run(job)
        write_report(args.directory)
        write_card(args.directory, CardSection())
    print(describe(pairs.counts, made.counts))


def read_fetched(directory: str) -> tuple[Manifest, Manifest]:
    """The manifests of a build's rows and pairs.

    Raises:
        BadInput: there are none, or rows have been added that were never fetched.
    """
    try:
        rows = read_manifest(join_url(directory, "rows"))
        pairs = read_manifest(join_url(directory, FOLDERS["fetch"]))
    except (FileNotFoundError, ValueError) as err:
        raise BadInput(str(err)) from err
    if rows.rows != pairs.rows:
        raise BadInput(
            f"{directory} holds {rows.rows} rows of which {pairs.rows} have been fetched: "
            "run pipelines.build to its end first"
        )
    return rows, pairs


def settle_job(args: argparse.Namespace, rows: Manifest, pairs: Manifest) -> Job:
    """The job under the recipe and the allowed networks that the build has recorded."""
    recipe = read_recipe(pairs.recipe)
    args.allow_network = [*pairs.details["allow_networks"], *args.allow_network]
    args.allow_port = [*pairs.details["allow_ports"], *args.allow_port]
    try:
        settings = settle_fetch(recipe, args, args.directory)
    except ValueError as err:
        raise BadInput(str(err)) from err
    section = recipe.fetch
    image = StoredImage(section.stored_side_px, section.image_format, section.blur_faces)
    folders = join_url(args.directory, "rows"), join_url(args.directory, FOLDERS["fetch"])
    return plan_retry(folders, rows, pairs, FetchKit(settings, image, args.fetch_engine))


def describe(before: Mapping[str, int], after: Mapping[str, int]) -> str:
    """Lines of text: each outcome whose count has changed, before and after."""
    changed = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    lines = [f"{name:<22}{before.get(name, 0):>12,} -> {after.get(name, 0):,}" for name in changed]
    if not changed:
        return "every row ended as before"
    return "\n".join([*lines, "run pipelines.build again: it takes the new pictures through"])
