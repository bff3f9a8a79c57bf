import io
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.decoding import decoders
from pipelines.decoding.decode_frames import REASONS, send
from pipelines.decoding.decoders import Decoders
from pipelines.decoding.picture import DecodeLimits, StoredImage
from pipelines.fetching.refused import Refused
from pipelines.imaging import make_picture
from pipelines.ledger import FETCH_OUTCOMES
from tests.pipelines.decoding.decoder_children import children, decoder_children

HOSTILE = Path(__file__).with_name("hostile_decoder.py")
LIMITS, STORED = DecodeLimits(), StoredImage(side_px=32)
MEMORY_BYTES = 2**30
PATIENT_S, HASTY_S = 30.0, 0.5


def draw(seed: int = 0, width: int = 90, height: int = 60) -> bytes:
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(values).save(file, "JPEG")
    return file.getvalue()


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children that do what the body tells them."""
    start = f"import runpy, sys; sys.path[:] = sys.argv[2:]; runpy.run_path({str(HOSTILE)!r})"
    monkeypatch.setattr(decoders, "START", start)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Fails a test that leaves a child, a descriptor or a thread behind."""
    before = open_things()
    yield
    assert open_things() == before


def open_things() -> tuple[list[int], int, int]:
    return children(), len(os.listdir("/proc/self/fd")), threading.active_count()


def refusal(pool: Decoders, body: bytes) -> Refused:
    with pytest.raises(Refused) as caught:
        pool.make_picture(body)
    return caught.value


@pytest.mark.usefixtures("nothing_left")
def test_makes_the_picture_that_this_process_would_make() -> None:
    with Decoders(1, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool:
        for body in (draw(1), draw(2, 500, 400)):
            assert pool.make_picture(body) == make_picture(body, LIMITS, STORED)


def test_refuses_what_this_process_would_refuse() -> None:
    whole = draw()
    with Decoders(1, DecodeLimits(max_pixels=90 * 60), STORED, PATIENT_S, MEMORY_BYTES) as pool:
        reasons = [
            refusal(pool, body).reason
            for body in (b"", b"<html>", b"%PDF", whole[:-9], draw(0, 91, 60))
        ]

    assert reasons == [
        *("empty_body", "not_an_image", "format_refused", "decode_error", "too_many_pixels")
    ]


def test_can_pass_on_no_reason_that_the_ledger_lacks() -> None:
    assert set(REASONS[1:]) < set(FETCH_OUTCOMES)


@pytest.mark.usefixtures("hostile", "nothing_left")
@pytest.mark.parametrize(
    ("body", "timeout_s", "reason", "signal_name"),
    [
        pytest.param(b"hang", HASTY_S, "decode_timeout", None, id="hangs inside C"),
        pytest.param(b"spin", HASTY_S, "decode_timeout", None, id="hangs inside Python"),
        pytest.param(b"segfault", PATIENT_S, "decode_crash", "SIGSEGV", id="segmentation fault"),
        pytest.param(b"abort", PATIENT_S, "decode_crash", "SIGABRT", id="abort"),
        pytest.param(b"kill", PATIENT_S, "decode_crash", "SIGKILL", id="kernel out of memory"),
        pytest.param(b"exit", PATIENT_S, "decode_crash", "exit status 3", id="exits"),
        pytest.param(b"raise", PATIENT_S, "decode_crash", "exit status 1", id="raises"),
        pytest.param(b"half an answer", PATIENT_S, "decode_crash", "exit status 0", id="half"),
        pytest.param(b"balloon", PATIENT_S, "decode_oom", None, id="takes all memory"),
    ],
)
def test_a_hostile_picture_costs_one_row(
    body: bytes, timeout_s: float, reason: str, signal_name: str | None
) -> None:
    good = draw()
    with Decoders(1, LIMITS, STORED, timeout_s, MEMORY_BYTES) as pool:
        refused = refusal(pool, body)
        assert (refused.reason, refused.signal) == (reason, signal_name)
        assert pool.make_picture(good) == make_picture(good, LIMITS, STORED)
        assert len(decoder_children()) == 1


@pytest.mark.usefixtures("hostile", "nothing_left")
@pytest.mark.parametrize(
    "body", [b"unknown reason", b"endless answer", b"quality of 101", b"no transparency"]
)
def test_believes_no_answer_that_no_child_gives(body: bytes) -> None:
    with Decoders(1, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool:
        assert refusal(pool, body).reason == "decode_crash"
        assert pool.make_picture(draw()).width == 48


@pytest.mark.usefixtures("hostile", "nothing_left")
def test_a_child_that_even_its_alarm_does_not_end_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoders, "GRACE_S", 0.3)
    with Decoders(1, LIMITS, STORED, HASTY_S, MEMORY_BYTES) as pool:
        assert refusal(pool, b"stop").reason == "decode_timeout"
        assert pool.make_picture(draw()).width == 48


@pytest.mark.usefixtures("hostile", "nothing_left")
def test_what_a_decoder_prints_goes_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    with Decoders(1, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool:
        assert refusal(pool, b"chatter").reason == "not_an_image"

    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("nothing_left")
def test_a_child_that_died_idle_costs_no_row() -> None:
    with Decoders(1, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool:
        pool.make_picture(draw())
        (child,) = decoder_children()
        os.kill(child, signal.SIGKILL)
        os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)

        assert pool.make_picture(draw()).width == 48


@pytest.mark.usefixtures("hostile", "nothing_left")
def test_threads_share_the_children_and_each_gets_its_own_picture() -> None:
    bodies = [draw(seed) if seed % 5 else b"kill" for seed in range(40)]

    def attempt(body: bytes) -> object:
        try:
            return pool.make_picture(body)
        except Refused as refused:
            return refused.reason

    with Decoders(2, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool:
        with ThreadPoolExecutor(4) as threads:
            answers = list(threads.map(attempt, bodies))
        assert len(decoder_children()) <= 2

    assert answers == [
        "decode_crash" if body == b"kill" else make_picture(body, LIMITS, STORED) for body in bodies
    ]


@pytest.mark.usefixtures("nothing_left")
def test_starts_no_child_before_the_first_picture_and_closes_twice() -> None:
    pool = Decoders(2, LIMITS, STORED, PATIENT_S, MEMORY_BYTES)
    assert decoder_children() == []

    pool.close()
    pool.close()


@pytest.mark.usefixtures("nothing_left")
def test_a_child_that_cannot_start_is_no_pictures_fault(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(decoders, "START", "raise SystemExit('numpy is broken')")
    with (
        Decoders(1, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool,
        pytest.raises(RuntimeError, match="exit status 1"),
    ):
        pool.make_picture(draw())

    assert "numpy is broken" in capfd.readouterr().err


@pytest.mark.usefixtures("nothing_left")
def test_a_child_is_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "canary")
    with Decoders(1, LIMITS, STORED, PATIENT_S, MEMORY_BYTES) as pool:
        pool.make_picture(draw())
        child = Path("/proc", str(decoder_children()[0]))
        limits = (child / "limits").read_text().splitlines()
        threads = len(list((child / "task").iterdir()))
        descriptors = len(list((child / "fd").iterdir()))
        environment = (child / "environ").read_text()

    assert next(line for line in limits if "address space" in line).split()[3] == str(2**30)
    assert next(line for line in limits if "core file" in line).split()[4:6] == ["0", "0"]
    assert (threads, descriptors) == (1, 3)
    assert "canary" not in environment


def test_a_child_ends_with_its_parent() -> None:
    program = f"""
        import os, pathlib, sys
        from pipelines.decoding.decoders import Decoders
        from pipelines.decoding.picture import DecodeLimits, StoredImage
        pool = Decoders(1, DecodeLimits(), StoredImage(), 30.0, 2**30)
        pool.make_picture(bytes.fromhex("{draw().hex()}"))
        print(pathlib.Path("/proc/self/task", str(os.getpid()), "children").read_text(), flush=True)
        os.kill(os.getpid(), 9)
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )

    assert ended.returncode == -signal.SIGKILL
    child = Path("/proc", ended.stdout.strip(), "stat")
    deadline = time.monotonic() + 20
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def is_running(stat: Path) -> bool:
    try:
        return stat.read_text().rpartition(")")[2].split()[0] != "Z"  # init may be slow to reap
    except FileNotFoundError:
        return False


def test_works_inside_a_daemonic_process() -> None:
    program = f"""
        import multiprocessing
        from pipelines.decoding.decoders import Decoders
        from pipelines.decoding.picture import DecodeLimits, StoredImage

        def work(queue):
            with Decoders(1, DecodeLimits(), StoredImage(), 30.0, 2**30) as pool:
                queue.put(pool.make_picture(bytes.fromhex("{draw().hex()}")).width)

        if __name__ == "__main__":
            queue = multiprocessing.Queue()
            process = multiprocessing.Process(target=work, args=(queue,), daemon=True)
            process.start()
            print(queue.get(timeout=60))
            process.join()
    """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True
    )

    assert (ended.stdout, ended.stderr) == ("90\n", "")


@pytest.mark.parametrize("taken", range(10))
def test_sends_the_rest_of_what_the_kernel_took_a_part_of(taken: int) -> None:
    class Part(socket.socket):
        def sendmsg(self, buffers: list[bytes]) -> int:  # type: ignore[override]
            return self.send(b"".join(buffers)[:taken])

    ours, theirs = socket.socketpair()
    with ours, theirs, Part(fileno=ours.detach()) as part:
        send(part, b"head", b"picture")
        send(part, b"head", b"")
        part.shutdown(socket.SHUT_WR)

        assert theirs.recv(100, socket.MSG_WAITALL) == b"headpicturehead"
