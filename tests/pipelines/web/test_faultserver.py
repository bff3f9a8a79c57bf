"""The fault server does what its menu says: a fault that has become harmless would test nothing."""

import http.client
import io
import re
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator

import pytest
import zstandard

from pipelines.web.fault_bombs import BOMB_BYTES, BROTLI_ZEROS, GZIP, ZLIB, deflated_zeros
from pipelines.web.fault_bombs import zstd_zeros as zstandard_zeros
from pipelines.web.faults import DIES_AFTER, FAULTS, PATHS, Mix, menu
from pipelines.web.faultserver import FaultServer, fault_server, picture


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with fault_server(pages={"/page.bin": b"as it is"}) as server:
        yield server


def ask(server: FaultServer, path: str, name: str = "a.example") -> bytes:
    """Everything that comes in answer, until the server closes."""
    with socket.create_connection((server.host, server.port), timeout=10) as wire:
        wire.sendall(f"GET {path} HTTP/1.1\r\nHost: {name}:1\r\nConnection: close\r\n\r\n".encode())
        return b"".join(iter(lambda: wire.recv(65_536), b""))


def test_lists_every_fault_with_what_it_does(server: FaultServer) -> None:
    body = ask(server, "/").partition(b"\r\n\r\n")[2].decode()

    assert body == menu()
    assert len(PATHS) == len(FAULTS)
    for path, fault in PATHS.items():
        assert f"{path} " in body
        assert fault.__doc__
        assert "\n" not in fault.__doc__


def test_serves_pages_and_counts(server: FaultServer) -> None:
    assert ask(server, "/page.bin").endswith(b"\r\n\r\nas it is")
    assert server.hits["/page.bin"] == 1
    assert ask(server, "/no_such_path").startswith(b"HTTP/1.1 404 ")


def test_puts_the_headers_of_a_query_on_a_picture(server: FaultServer) -> None:
    answer = ask(server, "/with_headers?tdm-reservation=1&X-Robots-Tag=noai%2C%20noindex")

    assert b"\r\ntdm-reservation: 1\r\nX-Robots-Tag: noai, noindex\r\n" in answer
    assert answer.endswith(picture())


def test_keeps_a_connection_after_a_whole_answer_alone(server: FaultServer) -> None:
    connection = http.client.HTTPConnection(server.host, server.port, timeout=10)
    for path in ("/ok", "/missing", "/ok"):
        connection.request("GET", path)
        connection.getresponse().read()
    connection.request("GET", "/banner")
    with pytest.raises(http.client.BadStatusLine):
        connection.getresponse()
    connection.close()


def test_resets_connections_over_its_limit() -> None:
    with (
        fault_server(max_connections=1) as server,
        socket.create_connection((server.host, server.port)) as first,
    ):
        first.sendall(b"GET /silence HTTP/1.1\r\n\r\n")
        while server.hits["/silence"] == 0:
            time.sleep(0.01)
        with pytest.raises(ConnectionError):
            ask(server, "/ok")


@pytest.mark.parametrize(
    ("packed", "layers"),
    [
        pytest.param(deflated_zeros(GZIP), [GZIP], id="gzip"),
        pytest.param(deflated_zeros(ZLIB), [ZLIB], id="deflate"),
        pytest.param(zlib.compress(deflated_zeros(GZIP), wbits=GZIP), [GZIP, GZIP], id="nested"),
    ],
)
def test_bombs_unpack_to_what_they_promise(packed: bytes, layers: list[int]) -> None:
    for window_bits in layers[:-1]:
        packed = zlib.decompress(packed, window_bits)
    unpacker = zlib.decompressobj(layers[-1])

    total, rest = 0, packed
    while rest:
        total += len(unpacker.decompress(rest, 2**20))
        rest = unpacker.unconsumed_tail

    assert total + len(unpacker.flush()) == BOMB_BYTES
    assert unpacker.eof


def test_zstandard_bomb_unpacks_to_what_it_promises() -> None:
    stream = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(zstandard_zeros()))

    assert sum(map(len, iter(lambda: stream.read(2**20), b""))) == BOMB_BYTES


def test_brotli_bomb_is_small() -> None:
    assert len(BROTLI_ZEROS) == 203


def test_mix_depends_on_nothing_but_seed_and_path() -> None:
    paths = [f"/random/{n}" for n in range(200)]

    first = [Mix(seed=1).choose(path) for path in paths]

    assert [Mix(seed=1).choose(path) for path in reversed(paths)] == first[::-1]
    assert [Mix(seed=2).choose(path) for path in paths] != first


def test_mix_is_fine_for_the_most_part_and_holds_every_fault() -> None:
    chosen = [Mix().choose(f"/random/{n}") for n in range(20_000)]

    assert 0.84 < chosen.count(None) / len(chosen) < 0.86
    assert set(chosen) == {None, *FAULTS}


def test_mix_sends_pictures_of_many_sizes(server: FaultServer) -> None:
    fine = [path for path in map("/random/{}".format, range(60)) if Mix().choose(path) is None]

    sizes = {len(ask(server, path)) for path in fine[:40]}

    assert len(sizes) > 15
    assert ask(server, fine[0]) == ask(server, fine[0])


def test_a_dying_host_dies_and_takes_no_other_along(server: FaultServer) -> None:
    fine = next(path for path in map("/random/{}".format, range(60)) if Mix().choose(path) is None)

    answers = [ask(server, fine, "dying-1.example") for _ in range(DIES_AFTER + 2)]

    assert [bool(answer) for answer in answers] == [True] * DIES_AFTER + [False] * 2
    assert ask(server, fine, "dying-2.example")
    assert ask(server, fine, "living.example")


def test_door_serves_until_it_is_told_to_stop() -> None:
    command = [sys.executable, "-m", "pipelines.web.faultserver", "--port", "0", "--seed", "3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as door:
        assert door.stdout is not None
        port = re.search(r":(\d+)/", door.stdout.readline())
        assert port is not None
        with socket.create_connection(("127.0.0.1", int(port[1])), timeout=10) as wire:
            wire.sendall(b"GET /ok HTTP/1.1\r\n\r\n")
            assert wire.recv(15) == b"HTTP/1.1 200 OK"
        door.terminate()


def test_door_explains_itself() -> None:
    command = [sys.executable, "-m", "pipelines.web.faultserver", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    for flag in ("--host", "--port", "--seed", "--tls", "--max_connections"):
        assert flag in said
