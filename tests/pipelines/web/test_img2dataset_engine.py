"""img2dataset drives, our client fetches: the same rows come out, and none is lost unseen."""

import asyncio
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.fetching.refused import ContactRequired
from pipelines.web import img2dataset_engine
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import Client, Fetched, fetch_many
from pipelines.web.faults import PATHS
from pipelines.web.faultserver import FaultServer, fault_server, picture
from pipelines.web.img2dataset_engine import fetch_each_with_img2dataset, require_img2dataset
from pipelines.web.img2dataset_run import Run
from pipelines.web.settings import FetchSettings

DEADLINE_S = 2.0

QUERIES = (
    "/ok#a-fragment",
    *(f"/status?code={code}" for code in (204, 304, 403, 410, 429, 500)),
    "/redirect?to=/ok",
    "/redirect?to=http://169.254.169.254/",
    "/opted_out?tag=max-image-preview:large,%20noai",
    "/opted_out?tag=otherbot:%20noai",
    "/opted_out_redirect",
)
ODD_URLS = (
    None,
    "",
    "  ",
    "row:0:0",
    "no scheme/a.jpg",
    "ftp://127.0.0.1/a.jpg",
    "data:image/gif;base64,R0lGOD",
    "http://2130706433/",
    "http://[::ffff:127.0.0.2]/",
    "http://user:secret@127.0.0.1/",
    "http://\ud800/",
    "http://a\nb/",
)


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server() as running:
        yield running


@pytest.fixture
def settings(server: FaultServer) -> FetchSettings:
    return FetchSettings(
        guard=AddressGuard(("127.0.0.1/32",), (80, server.port)),
        total_timeout_s=DEADLINE_S,
        retry_wait_s=0.01,
        max_body_bytes=2**20,
    )


@contextmanager
def open_client(settings: FetchSettings) -> Iterator[tuple[Client, asyncio.AbstractEventLoop]]:
    """A client in a loop of its own thread, as a fetch session has one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    client = Client(settings)
    asyncio.run_coroutine_threadsafe(client.__aenter__(), loop).result(10)
    try:
        yield client, loop
    finally:
        asyncio.run_coroutine_threadsafe(client.__aexit__(None, None, None), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def keep(_index: int, fetched: Fetched) -> Fetched:
    return fetched


def fetch(
    urls: Sequence[str | None],
    settings: FetchSettings,
    describe: Callable[[int, Fetched], Fetched] = keep,
) -> list[Fetched]:
    received: dict[int, Fetched] = {}

    def receive(index: int, fetched: Fetched) -> None:
        assert index not in received
        received[index] = fetched

    with open_client(settings) as (client, loop):
        fetch_each_with_img2dataset(urls, client, loop, describe, receive)
    return [received[index] for index in range(len(urls))]


def test_gives_what_our_own_client_gives(server: FaultServer, settings: FetchSettings) -> None:
    urls = [*map(server.url, (*PATHS, *QUERIES)), *ODD_URLS]

    ours = asyncio.run(fetch_many(urls, settings, lambda rows: None))
    theirs = fetch(urls, settings)

    assert theirs == ours
    assert {one.outcome for one in ours} >= {"ok", "timeout", "optout_header", "ssrf_blocked"}


def test_asks_no_more_often_than_our_own_client(
    server: FaultServer, settings: FetchSettings
) -> None:
    url = server.url("/status?code=503&retry_after=0")
    before = server.hits["/status"]
    asyncio.run(fetch_many([url], settings, lambda rows: None))
    ours = server.hits["/status"] - before
    fetch([url], settings)

    assert server.hits["/status"] - before == 2 * ours


def test_one_url_twice_is_two_rows(server: FaultServer, settings: FetchSettings) -> None:
    assert [one.body for one in fetch([server.url("/ok")] * 3, settings)] == [picture()] * 3


def test_no_rows_are_no_work(settings: FetchSettings) -> None:
    assert fetch([], settings) == []


def test_describes_in_several_threads_at_once(server: FaultServer, settings: FetchSettings) -> None:
    both = threading.Barrier(2, timeout=10)

    def describe(_index: int, fetched: Fetched) -> Fetched:
        both.wait()
        return fetched

    fetched = fetch([server.url("/ok")] * 2, settings, describe)

    assert [one.outcome for one in fetched] == ["ok", "ok"]


def test_holds_no_more_bodies_than_the_client_has_places(
    server: FaultServer, settings: FetchSettings
) -> None:
    lock, held, most = threading.Lock(), 0, 0

    def describe(_index: int, fetched: Fetched) -> Fetched:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        threading.Event().wait(0.01)
        with lock:
            held -= 1
        return fetched

    fetch([server.url("/ok")] * 20, replace(settings, total_concurrency=3), describe)

    assert 1 <= most <= 3


def test_runs_at_the_same_time_do_not_mix(server: FaultServer, settings: FetchSettings) -> None:
    both: list[Future[list[Fetched]]] = [Future(), Future()]
    paths = ("/ok", "/missing")

    def run(number: int) -> None:
        try:
            both[number].set_result(fetch([server.url(paths[number])] * 5, settings))
        except BaseException as err:
            both[number].set_exception(err)

    for number in range(2):
        threading.Thread(target=run, args=(number,), daemon=True).start()

    outcomes = [Counter(one.outcome for one in run.result(30)) for run in both]
    assert outcomes == [Counter(ok=5), Counter(http_404=5)]


def test_a_slow_host_takes_no_thread(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(img2dataset_engine, "THREADS", 1)
    ended: list[str] = []

    def describe(_index: int, fetched: Fetched) -> Fetched:
        ended.append(fetched.outcome)
        return fetched

    fetched = fetch([server.url("/silence")] * 4 + [server.url("/ok")] * 4, settings, describe)

    assert [one.outcome for one in fetched] == ["timeout"] * 4 + ["ok"] * 4
    assert ended == ["ok"] * 4 + ["timeout"] * 4


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A shell starts its background jobs with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_ends_the_run(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(img2dataset_engine, "THREADS", 1)
    patient = replace(settings, total_timeout_s=20)
    fetch([server.url("/ok")], settings)  # so that no import is interrupted
    main = threading.main_thread().ident
    timer = threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fetch([server.url("/silence")] * 9, patient)
    timer.join()
    assert time.monotonic() - started < 15


def lose(monkeypatch: pytest.MonkeyPatch, method: str, ticket: int) -> None:
    """Make img2dataset fail with one ticket between its threads and its writer."""
    plain = getattr(Run, method)

    def failing(run: object, *row: object) -> object:
        if any(isinstance(part, dict) and part["url"].endswith(f":{ticket}") for part in row):
            raise OSError("lost")
        return plain(run, *row)

    monkeypatch.setattr(Run, method, failing)


def test_a_row_that_img2dataset_loses_is_counted_once(
    server: FaultServer,
    settings: FetchSettings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    lose(monkeypatch, "write", ticket=2)

    fetched = fetch([server.url("/ok")] * 4, settings)

    assert Counter(one.outcome for one in fetched) == Counter(ok=3, internal_error=1)
    assert Fetched("internal_error", signal="img2dataset lost the row") in fetched
    assert "Sample 2 failed to download" in capfd.readouterr().out  # what img2dataset says of it


def test_rows_that_its_resizer_slot_fails_on_are_counted(
    server: FaultServer,
    settings: FetchSettings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(_stream: object, _boxes: object) -> None:
        raise OSError("broken")

    monkeypatch.setattr(img2dataset_engine, "_pass_on", fail)

    fetched = fetch([server.url("/ok"), server.url("/missing")], settings)

    assert [one.outcome for one in fetched] == ["internal_error", "http_404"]
    assert "img2dataset lost 1 of 2 rows" in caplog.text


def test_a_row_that_no_thread_comes_for_is_counted(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_opener: object, _request: object, timeout: object) -> None:
        raise OSError("no way out")

    monkeypatch.setattr(img2dataset_engine._Opener, "urlopen", fail)

    assert [one.outcome for one in fetch([server.url("/ok")], settings)] == ["internal_error"]


@pytest.mark.parametrize("where", ["describe", "receive"])
def test_our_own_fault_ends_the_run(
    server: FaultServer, settings: FetchSettings, where: str
) -> None:
    def fail(_index: int, _value: object) -> Fetched:
        raise ZeroDivisionError

    calls = {"describe": keep, "receive": lambda index, value: None} | {where: fail}
    with open_client(settings) as (client, loop), pytest.raises(ZeroDivisionError):
        fetch_each_with_img2dataset([server.url("/ok")] * 9, client, loop, **calls)


def test_our_own_fault_does_not_wait_for_slow_servers(
    server: FaultServer, settings: FetchSettings
) -> None:
    def fail(_index: int, _fetched: Fetched) -> Fetched:
        raise ZeroDivisionError

    started = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        fetch(
            [server.url("/silence"), server.url("/ok")], replace(settings, total_timeout_s=60), fail
        )
    assert time.monotonic() - started < 30


def test_a_missing_contact_ends_the_run(settings: FetchSettings) -> None:
    with pytest.raises(ContactRequired):
        fetch(["http://8.8.8.8/a.jpg"] * 3, settings)


def test_a_full_disk_ends_the_run(
    server: FaultServer, settings: FetchSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "not-there"))

    with pytest.raises(FileNotFoundError):
        fetch([server.url("/silence")], replace(settings, total_timeout_s=60))


def test_a_client_that_is_closed_ends_the_run(server: FaultServer, settings: FetchSettings) -> None:
    urls = [server.url("/silence"), server.url("/ok")]

    async def cancel_others() -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    with open_client(replace(settings, total_timeout_s=60)) as (client, loop):

        def describe(_index: int, fetched: Fetched) -> Fetched:
            asyncio.run_coroutine_threadsafe(cancel_others(), loop)
            return fetched

        with pytest.raises(CancelledError):
            fetch_each_with_img2dataset(urls, client, loop, describe, lambda index, value: None)


def test_leaves_no_file_behind(
    server: FaultServer, settings: FetchSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    fetch([server.url("/ok")], settings)

    assert list(tmp_path.iterdir()) == []


def test_what_we_print_is_not_swallowed(
    server: FaultServer, settings: FetchSettings, capfd: pytest.CaptureFixture[str]
) -> None:
    def describe(index: int, fetched: Fetched) -> Fetched:
        print(f"row {index}")
        return fetched

    fetch([server.url("/ok")] * 8, settings, describe)
    print("after")

    printed = capfd.readouterr().out  # two threads' lines may share one
    assert all(f"row {index}" in printed for index in range(8))
    assert printed.endswith("after\n")


def test_the_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(img2dataset_engine, "find_spec", lambda name: None)

    with pytest.raises(ValueError, match=r"pip install 'pairmill\[img2dataset\]'"):
        require_img2dataset()


def test_loads_neither_torch_nor_a_decoder_nor_img2dataset_itself() -> None:
    code = (
        "import sys; from pipelines.web.img2dataset_engine import _load_downloader; "
        "assert _load_downloader().Downloader; "
        "heavy = {'torch', 'albumentations', 'cv2', 'webdataset', 'img2dataset'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )

    command = [sys.executable, "-W", "error", "-c", code]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)

    assert (printed.stdout, printed.stderr) == ("[]\n", "")


def test_the_plain_urllib_of_this_process_stays_as_it_is(
    server: FaultServer, settings: FetchSettings
) -> None:
    fetch([server.url("/ok")], settings)

    assert urllib.request._opener is None
    with urllib.request.urlopen(server.url("/ok"), timeout=10) as answer:
        assert answer.read() == picture()
