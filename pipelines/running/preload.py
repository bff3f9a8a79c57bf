"""Imported by the fork server and by nobody else: all that its workers need, once for all of them.

Importing this module changes the process that does it: Ctrl-C, which goes to a whole process group,
is the driver's to answer, and what was imported is kept out of the garbage collector's sight, so
that no worker walks through it (which would copy its memory, too). torch is left out: no stage but
encode needs it, and it starts threads, of which a process that forks must have none.
"""

import gc
import signal

signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked until now: `fork_server`
gc.disable()  # an import makes nothing but what stays

import pipelines.running.bare_beam  # noqa: E402, F401, I001  # before all that imports Beam

import pipelines.fetch  # noqa: E402, F401, I001
import pipelines.running.worker  # noqa: E402, F401
import pipelines.score  # noqa: E402, F401
import pipelines.select_pairs  # noqa: E402, F401
import pipelines.web.client  # noqa: E402, F401
from pipelines.running.without_pandas import spare_pandas  # noqa: E402

spare_pandas()

gc.freeze()
gc.enable()
