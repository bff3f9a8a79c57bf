"""Imports Beam as if it stood alone: a third of the time and memory that its extras make of it.

Beam looks for the clients of Google's cloud, pandas, dill and MongoDB, and does without those that
are not installed. A worker of the local engine calls none of them, so for as long as Beam is being
imported they are not. Later imports find them all. Does nothing where Beam is imported already.
"""

import logging

from pipelines.running.hidden_modules import hide_modules

EXTRAS = ("apache_beam.io.gcp", "apitools", "bson", "dill", "google.api_core", "pandas")
"""What the imports of Beam 2.77 try for: without these they come to nothing else either."""

logging.disable(logging.WARNING)  # that MongoDB's client is not there
with hide_modules(*EXTRAS):
    import apache_beam.runners.portability.fn_api_runner
    import apache_beam.typehints.opcodes  # this and the next one Beam imports at a first pipeline
    import apache_beam.typehints.trivial_inference  # noqa: F401
logging.disable(logging.NOTSET)
