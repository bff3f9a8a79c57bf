"""Fetch through img2dataset: its Downloader drives, our guarded client brings every byte.

    rows ──> its shard ──> its threads ──> urlopen: Client ──> describe
                                                                  │
    receive <── its writer <── its loop <── its resizer <─────────┘

In place of a URL img2dataset is given a ticket under a scheme that nothing can dial (`row:0:17`),
so what it would do with a URL cannot matter: guard, robots.txt, opt-outs, hosts' turns, deadlines
and limits are the client's. A row is described (decoded and stored) in the thread of img2dataset's
that took it: its one loop would decode on one core, and a body would wait for that. A row is
received when img2dataset has handed it back; those that it loses are counted.
"""

import asyncio
import importlib
import io
import sys
import tempfile
import urllib.request
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pyarrow as pa

from pipelines.web.client import Client
from pipelines.web.fetched import Fetched
from pipelines.web.img2dataset_run import Run

THREADS = 64
"""Rows that are described at once at most; the client has no more bodies than that by default."""
PRIVATE_NAME = "_pairmill_img2dataset"

T = TypeVar("T")


def fetch_each_with_img2dataset(
    urls: Sequence[str | None],
    client: Client,
    loop: asyncio.AbstractEventLoop,
    describe: Callable[[int, Fetched], T],
    receive: Callable[[int, T], None],
) -> None:
    """Fetch every URL; returns when each has been received.

    Args:
        client: open in `loop`, which another thread runs.
        describe: what is to be kept of a row, from its position in `urls`; called in one of
            img2dataset's threads, which it may hold: no other body takes its place meanwhile.
        receive: called once for each row, never twice at a time, with what `describe` returned.

    Raises:
        ContactRequired: an address outside the allowed networks would be dialled without a contact.
        ValueError: img2dataset is not installed.
        Exception: whatever `describe` or `receive` raised.
    """
    module = _load_downloader()
    if not urls:
        return
    run = Run(urls, client, loop, describe, receive)
    # In a thread of its own: its pool, interrupted (Ctrl-C), would wait for itself for ever.
    with ThreadPoolExecutor(1, "img2dataset") as thread, _OPENER.serving(run) as tickets:
        thread.submit(_download, module.Downloader, tickets, run).result()
    run.finish()


def require_img2dataset() -> None:
    """Raise ValueError with the way to install it unless img2dataset is there; imports nothing."""
    if find_spec("img2dataset") is None:
        raise ValueError(
            "--fetch_engine img2dataset needs the package img2dataset: "
            "pip install 'pairmill[img2dataset]' (Python below 3.13), or leave the flag out"
        )


def _load_downloader() -> ModuleType:
    """The module img2dataset.downloader, with our opener in the place of urllib's.

    Under a name of its own: the package's `__init__` would import torch, albumentations (which
    asks a server for its newest version), pandas and more, 7 s and 600 MB, for parts that are
    not used here.
    """
    require_img2dataset()
    found = find_spec("img2dataset")
    package = ModuleType(PRIVATE_NAME)
    package.__path__ = [] if found is None else list(found.submodule_search_locations or ())
    sys.modules.setdefault(PRIVATE_NAME, package)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of libraries that we do not choose
        module = importlib.import_module(f"{PRIVATE_NAME}.downloader")
    request = SimpleNamespace(Request=urllib.request.Request, urlopen=_OPENER.urlopen)
    module.urllib = SimpleNamespace(request=request)  # type: ignore[attr-defined]  # its import
    return module


def _download(downloader_class: Any, tickets: Sequence[str], run: Run[Any]) -> None:
    """One shard through img2dataset; its files are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="pairmill-img2dataset-") as folder:
        shard = str(Path(folder) / "0.feather")
        table = pa.table({"url": pa.array(tickets, pa.string())})
        with pa.OSFile(shard, "wb") as file, pa.ipc.new_file(file, table.schema) as writer:
            writer.write_table(table)
        downloader = downloader_class(
            sample_writer_class=lambda *_settings: run,
            resizer=_pass_on,
            thread_count=min(THREADS, len(tickets)),
            save_caption=False,
            extract_exif=False,
            output_folder=folder,
            column_list=["url"],
            timeout=None,  # the client has deadlines that count the whole of a request
            number_sample_per_shard=len(tickets),
            oom_shard_count=1,
            compute_hash=None,
            verify_hash_type=None,
            encode_format="jpg",
            retries=0,  # the client knows which failures may pass, and waits
            user_agent_token=None,
            disallowed_header_directives=None,  # the client has read them, on every hop
        )
        downloader.download_shard((0, shard))


def _pass_on(
    stream: io.BytesIO, _boxes: None
) -> tuple[bytes, int | None, int | None, int | None, int | None, str | None]:
    """In the resizer's place: the picture is described already."""
    return stream.getvalue(), None, None, None, None, None


class _Opener:
    """In the place of urllib for img2dataset, which asks through one name for the whole process."""

    def __init__(self) -> None:
        self._runs: dict[int, Run[Any]] = {}
        self._numbers = count()

    @contextmanager
    def serving(self, run: Run[Any]) -> Iterator[list[str]]:
        """The run's tickets, one for each row, which are good until the block ends."""
        number = next(self._numbers)
        self._runs[number] = run
        try:
            yield [f"row:{number}:{ticket}" for ticket in range(run.num_rows)]
        except BaseException:
            run.stop(RuntimeError("the run was broken off"))
            raise
        finally:
            del self._runs[number]

    def urlopen(self, request: urllib.request.Request, timeout: None) -> io.BytesIO:
        _scheme, number, ticket = request.full_url.split(":")
        return self._runs[int(number)].open(int(ticket))


_OPENER = _Opener()
