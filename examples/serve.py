"""Serve a folder of pictures over HTTP on this machine alone, and a few hostile answers.

    python examples/serve.py                                    # the bundled sample
    python examples/serve.py --folder png/usr/share/openclipart/png --port 8000

Prints one line when it is ready, and serves until it is interrupted. Whatever the folder, these
paths answer with something that a fetcher must refuse: an HTML page and a PNG of 400 megapixels
(both under a picture's name), an SVG drawing, a PDF.
"""

import argparse
import functools
import struct
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOST = "127.0.0.1"
SAMPLE = Path(__file__).parent / "clipart"
HUGE_SIDE_PX = 20_000


def draw_page() -> tuple[str, bytes]:
    page = b"<!doctype html><title>Gone</title><p>This picture has moved. <a href='/'>Home</a>"
    return "text/html; charset=utf-8", page


def draw_huge_picture() -> tuple[str, bytes]:
    """A true black PNG of one bit a pixel: 50 MB of nothing in 50 kB, 1.2 GB as RGB."""
    row = bytes(1 + HUGE_SIDE_PX // 8)  # the filter's byte, then the pixels
    header = struct.pack(">IIBBBBB", HUGE_SIDE_PX, HUGE_SIDE_PX, 1, 0, 0, 0, 0)
    chunks = (b"IHDR", header), (b"IDAT", zlib.compress(row * HUGE_SIDE_PX, 9)), (b"IEND", b"")
    return "image/png", b"\x89PNG\r\n\x1a\n" + b"".join(make_chunk(*chunk) for chunk in chunks)


def make_chunk(kind: bytes, data: bytes) -> bytes:
    checksum = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)


def draw_drawing() -> tuple[str, bytes]:
    drawing = b"""<svg xmlns="http://www.w3.org/2000/svg" width="160" height="160">
<circle cx="80" cy="80" r="70" fill="red"/>
</svg>
"""
    return "image/svg+xml", drawing


def draw_paper() -> tuple[str, bytes]:
    paper = b"""%PDF-1.4
1 0 obj <</Type/Catalog>> endobj
trailer <</Root 1 0 R>>
%%EOF
"""
    return "application/pdf", paper


HOSTILE: Mapping[str, Callable[[], tuple[str, bytes]]] = {
    "/hostile/page.png": draw_page,
    "/hostile/huge.png": draw_huge_picture,
    "/hostile/drawing.svg": draw_drawing,
    "/hostile/paper.pdf": draw_paper,
}
"""Content type and body by path."""


class PictureHandler(SimpleHTTPRequestHandler):
    """Files of a folder, and the hostile answers; connections stay open, nothing is logged."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every small answer on an open connection waits 40 ms

    def do_GET(self) -> None:
        draw = HOSTILE.get(self.path)
        if draw is None:
            super().do_GET()
            return
        content_type, body = draw()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the build tells what became of every request."""


class PictureServer(ThreadingHTTPServer):
    daemon_threads = True  # a connection that a fetcher keeps open must not keep us alive
    request_queue_size = 256  # of the default 5 a fetcher's burst of dials would be refused


def open_server(folder: Path, port: int) -> PictureServer:
    """A server that listens already; port 0 takes any free one.

    Raises:
        OSError: the port is taken.
    """
    handler = functools.partial(PictureHandler, directory=str(folder))
    return PictureServer((HOST, port), handler)


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description="Serve a folder of pictures over HTTP on this machine alone.",
        allow_abbrev=False,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--folder", type=Path, default=SAMPLE, help="what to serve")
    add("--port", type=int, default=8000, help="TCP port; 0: any free one")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    args = make_parser().parse_args(argv)
    if not args.folder.is_dir():
        print(f"serve: {args.folder} is not a folder; --folder takes one", file=sys.stderr)
        return 2
    try:
        server = open_server(args.folder, args.port)
    except OSError as err:
        print(f"serve: port {args.port} cannot be had ({err}); try another --port", file=sys.stderr)
        return 2
    with server:
        print(f"serving {args.folder} on http://{HOST}:{server.server_port}", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
