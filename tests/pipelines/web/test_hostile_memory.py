"""What bombs and endless bodies cost the client's process: next to nothing."""

import subprocess
import sys

import pytest

from pipelines.web.faultserver import fault_server

MAX_GROWTH_BYTES = 50 * 2**20
OUTCOMES = {
    "/gzip_bomb": "encoding_refused",
    "/deflate_bomb": "encoding_refused",
    "/nested_gzip": "encoding_refused",
    "/brotli_bomb": "encoding_refused",
    "/zstd_bomb": "encoding_refused",
    "/endless": "body_too_large",
    "/endless_chunks": "body_too_large",
    "/many_headers": "bad_http",
    "/continue_flood": "bad_http",
}
FETCH = """
import asyncio, resource, sys
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import fetch_many
from pipelines.web.settings import FetchSettings

def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

port, fine, *hostile = sys.argv[1:]
guard = AddressGuard(("127.0.0.1/32",), (int(port),))
settings = FetchSettings(guard=guard, total_timeout_s=5, max_retries=0)
asyncio.run(fetch_many([fine] * 8, settings, lambda rows: None))
for url in hostile:
    before = peak_bytes()
    (fetched,) = asyncio.run(fetch_many([url], settings, lambda rows: None))
    print(fetched.outcome, peak_bytes() - before)
"""


@pytest.fixture(scope="module")
def costs() -> dict[str, tuple[str, int]]:
    """Outcome and growth of the peak of resident memory in bytes, by path; one after another."""
    with fault_server() as server:
        urls = [server.url(path) for path in ("/ok", *OUTCOMES)]
        command = [sys.executable, "-c", FETCH, str(server.port), *urls]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    said = (line.split() for line in done.stdout.splitlines())
    return {path: (one, int(growth)) for path, (one, growth) in zip(OUTCOMES, said, strict=True)}


@pytest.mark.parametrize("path", OUTCOMES)
def test_costs_little_memory(costs: dict[str, tuple[str, int]], path: str) -> None:
    outcome, growth_bytes = costs[path]

    assert outcome == OUTCOMES[path]
    assert growth_bytes < MAX_GROWTH_BYTES
