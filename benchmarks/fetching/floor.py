"""The floor: what one picture must cost at least, with the fastest parts that Python has.

    python benchmarks/fetching/floor.py URLS.txt SIDE_PX AUTHORITY.pem

One pycurl transfer, a scaled JPEG decode (short side at least 1.5 x the target), an area resize, a
JPEG of quality 95; half of the list in each of two processes. No guard, no deadline, no books,
nothing is written.
"""

import io
import multiprocessing
import sys
from pathlib import Path

import cv2
import numpy as np
import pycurl
import simplejpeg


def fetch_share(urls: list[str], side_px: int, authority: str) -> int:
    """Fetch and shrink every URL; returns how many came."""
    cv2.setNumThreads(1)
    curl = pycurl.Curl()
    curl.setopt(pycurl.CAINFO, authority)
    came = 0
    for url in urls:
        body = io.BytesIO()
        curl.setopt(pycurl.URL, url)
        curl.setopt(pycurl.WRITEDATA, body)
        curl.perform()
        assert curl.getinfo(pycurl.RESPONSE_CODE) == 200
        came += bool(shrink(body.getvalue(), side_px))
    return came


def shrink(body: bytes, side_px: int) -> bytes:
    height, width = simplejpeg.decode_jpeg_header(body)[:2]
    short = min(height, width)
    # Halves alone: libjpeg-turbo has no vector code for the eighths between, which save nothing.
    scale = next((n for n in (8, 4, 2) if short >= 1.5 * side_px * n), 1)
    least = {"min_height": -(-height // scale), "min_width": -(-width // scale)}
    pixels = simplejpeg.decode_jpeg(body, "BGR", **(least if scale > 1 else {}))
    if short > side_px:
        size = round(width * side_px / short), round(height * side_px / short)
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return bytes(np.asarray(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 95])[1]))


def main() -> int:
    urls = Path(sys.argv[1]).read_text().split()
    side_px, authority = int(sys.argv[2]), sys.argv[3]
    with multiprocessing.get_context("fork").Pool(2) as pool:
        shares = [(urls[n::2], side_px, authority) for n in range(2)]
        came = sum(pool.starmap(fetch_share, shares))
        pool.close()
        pool.join()
    print(came)
    return 0 if came == len(urls) else 1


if __name__ == "__main__":
    raise SystemExit(main())
