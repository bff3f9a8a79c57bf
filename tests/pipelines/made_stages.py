"""Small finished stages, as a build would leave them."""

import pyarrow as pa

from pipelines.commit import Written, commit_table, hash_entries, publish, unit_output
from tokens.manifest import Manifest, join_url

ROWS = 500


def make_units(folder, units, salt=""):
    """Commit units of text that does not compress to nothing."""
    return tuple(
        commit_table(
            unit_output(folder, unit, salt, str(unit)),
            pa.table({"row": range(ROWS), "text": [f"{salt}{unit} {n * n}" for n in range(ROWS)]}),
            Written(ROWS),
        )
        for unit in range(units)
    )


def make_stage(directory, stage, above=(), salt=""):
    """Publish a stage of three units, made of the stages `above`."""
    folder = join_url(str(directory), stage)
    inputs = {one: hash_entries(manifest.files) for one, manifest in dict(above).items()}
    entries = make_units(folder, 3, salt)
    return publish(folder, Manifest(stage, 0, entries, {}, {}, "", inputs))


def make_build(directory):
    """Rows, pairs and signals, each made of the one before it."""
    rows = make_stage(directory, "rows")
    pairs = make_stage(directory, "pairs", {"rows": rows})
    return {
        "rows": rows,
        "pairs": pairs,
        "signals": make_stage(directory, "signals", {"pairs": pairs}),
    }
