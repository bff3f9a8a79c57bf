"""A small web site of drawn pictures on loopback, and the build's door as a process of its own."""

import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

NUM_PICTURES = 24
SIDE_PX = 150
WORDS = ("the house on the hill", "a red boat on the water", "two birds over the sea")


def draw_picture(number: int) -> bytes:
    """A PNG with shapes that differ from picture to picture."""
    draws = np.random.default_rng(number)
    canvas = np.full((SIDE_PX, SIDE_PX + 10, 3), 255, np.uint8)
    for _ in range(4):
        x, y, radius = (int(v) for v in draws.integers(15, 130, 3))
        colour = tuple(int(v) for v in draws.integers(0, 255, 3))
        cv2.circle(canvas, (x, y), radius // 3, colour, -1)
    return cv2.imencode(".png", canvas)[1].tobytes()


@dataclass
class Site:
    """A running web site; `hits` counts requests by path, `delay_s` slows each answer."""

    port: int
    hits: Counter[str] = field(default_factory=Counter)
    delay_s: float = 0.0
    down: set[str] = field(default_factory=set)
    """Paths that are answered with 503 for the time being."""

    @property
    def flags(self) -> list[str]:
        return ["--allow_network", "127.0.0.1/32", "--allow_port", str(self.port)]

    def write_table(self, path: Path) -> Path:
        """24 pictures, one of them twice, a dead link, an empty caption and a page."""
        url = f"http://127.0.0.1:{self.port}"
        rows = [f"{url}/{n}.png,{WORDS[n % 3]} number {n}" for n in range(NUM_PICTURES)]
        rows += [rows[3], f"{url}/gone.png,a dead link", f"{url}/1.png,", f"{url}/page.png,a page"]
        path.write_text("\n".join(["url,caption", *rows, ""]))
        return path


def make_handler(site: Site, pictures: dict[str, bytes]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.hits[self.path] += 1
            time.sleep(site.delay_s)
            body = None if self.path in site.down else pictures.get(self.path)
            self.send_response(503 if self.path in site.down else 404 if body is None else 200)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler


@pytest.fixture(scope="session")
def pictures() -> dict[str, bytes]:
    drawn = {f"/{number}.png": draw_picture(number) for number in range(NUM_PICTURES)}
    others = {"/page.png": b"<!doctype html><title>a page</title>", "/copy.png": drawn["/7.png"]}
    return drawn | others


@pytest.fixture(scope="session")
def running_site(pictures: dict[str, bytes]) -> Iterator[Site]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    site = Site(server.server_port)
    server.RequestHandlerClass = make_handler(site, pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield site
    server.shutdown()
    server.server_close()


@pytest.fixture
def site(running_site: Site) -> Site:
    running_site.hits.clear()
    running_site.delay_s = 0.0
    running_site.down.clear()
    return running_site


@pytest.fixture(scope="session")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's recipe with units of five rows."""
    text = files("recipes").joinpath("demo.toml").read_text()
    path = tmp_path_factory.mktemp("recipes") / "small.toml"
    path.write_text(text.replace("unit_rows = 50", "unit_rows = 5"))
    return path


@pytest.fixture(scope="session")
def finished_build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole build of few pictures, both splits and two views: to be read, not changed."""
    from tests.pipelines.small_build import build_here, decode_inline, write_source

    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        decode_inline(patch)
        build_here(write_source(folder), folder / "build")
    return folder / "build"


def build_command(table: Path, output: Path, recipe: Path, site: Site) -> list[str]:
    return [
        *(sys.executable, "-m", "pipelines.build"),
        *("--input", str(table), "--output", str(output), "--recipe", str(recipe)),
        *site.flags,
    ]


def run_build(
    table: Path, output: Path, recipe: Path, site: Site, more: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run the door to its end."""
    command = [*build_command(table, output, recipe, site), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
