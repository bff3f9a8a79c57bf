"""TLS: who may be believed, and servers that never finish saying hello.

The client trusts what OpenSSL trusts. A test's own authority is made known the way an operator
would do it, by SSL_CERT_FILE, to a process of its own: there is no switch that trusts anybody.
"""

import asyncio
import datetime
import os
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path

import pytest
import trustme

from pipelines.web.addresses import AddressGuard
from pipelines.web.client import fetch_many
from pipelines.web.faultserver import fault_server
from pipelines.web.settings import FetchSettings

YEAR = datetime.timedelta(days=365)
FETCH = """
import asyncio, sys
from pipelines.web.addresses import AddressGuard
from pipelines.web.client import fetch_many
from pipelines.web.settings import FetchSettings

ports = tuple(int(url.split(":")[2].split("/")[0]) for url in sys.argv[1:])
settings = FetchSettings(
    guard=AddressGuard(("127.0.0.1/32",), ports), total_timeout_s=5, max_retries=0
)
for fetched in asyncio.run(fetch_many(sys.argv[1:], settings, lambda rows: None)):
    print(fetched.outcome)
"""

Issue = Callable[[trustme.CA], trustme.LeafCert]


def good(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("127.0.0.1")


def expired(authority: trustme.CA) -> trustme.LeafCert:
    then = datetime.datetime.now(datetime.UTC) - YEAR
    return authority.issue_cert("127.0.0.1", not_before=then - YEAR, not_after=then)


def not_yet_valid(authority: trustme.CA) -> trustme.LeafCert:
    then = datetime.datetime.now(datetime.UTC) + YEAR
    return authority.issue_cert("127.0.0.1", not_before=then, not_after=then + YEAR)


def wrong_name(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert("elsewhere.example", "127.0.0.2")


def of_a_stranger(_authority: trustme.CA) -> trustme.LeafCert:
    return trustme.CA().issue_cert("127.0.0.1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def context_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context


def fetch_trusting(authority: trustme.CA, urls: list[str], folder: Path) -> list[str]:
    """The outcomes of `urls` in a process that trusts this authority and no other."""
    bundle = folder / "authority.pem"
    authority.cert_pem.write_to_path(bundle)
    environment = os.environ | {"SSL_CERT_FILE": str(bundle)}
    command = [sys.executable, "-c", FETCH, *urls]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


def test_believes_a_good_certificate_alone(authority: trustme.CA, tmp_path: Path) -> None:
    issues: list[Issue] = [good, expired, not_yet_valid, wrong_name, of_a_stranger]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(fault_server(tls=context_of(issue(authority)))) for issue in issues
        ]

        outcomes = fetch_trusting(authority, [server.url("/ok") for server in servers], tmp_path)

        assert outcomes == ["ok", *["tls_error"] * 4]
        assert [server.hits["/ok"] for server in servers] == [1, 0, 0, 0, 0]


def test_believes_no_authority_that_the_system_does_not_know(authority: trustme.CA) -> None:
    with fault_server(tls=context_of(good(authority))) as server:
        settings = FetchSettings(guard=AddressGuard(("127.0.0.1/32",), (server.port,)))

        (fetched,) = asyncio.run(fetch_many([server.url("/ok")], settings, lambda rows: None))

        assert fetched.outcome == "tls_error"
        assert not server.hits


def test_follows_no_redirect_to_a_server_with_a_bad_certificate(
    authority: trustme.CA, tmp_path: Path
) -> None:
    bad = fault_server(tls=context_of(of_a_stranger(authority)))
    with bad as server, fault_server() as plain:
        settings = FetchSettings(guard=AddressGuard(("127.0.0.1/32",), (server.port, plain.port)))
        url = plain.url(f"/redirect?to={server.url('/ok')}")

        (fetched,) = asyncio.run(fetch_many([url], settings, lambda rows: None))

        assert fetched.outcome == "tls_error"
        assert not server.hits


@pytest.mark.parametrize("word", ["verify", "insecure", "cert", "tls", "ssl"])
def test_has_no_switch_to_believe_anybody(word: str) -> None:
    names = [field.name for field in fields(FetchSettings) if field.name != "verify_hash"]

    assert not [name for name in names if word in name]


@pytest.fixture
def hanging() -> Iterator[str]:
    with fault_server(hangs_on_tls=True) as server:
        yield server.url("/ok").replace("http:", "https:")


def test_gives_up_on_a_handshake_that_hangs(hanging: str) -> None:
    port = int(hanging.split(":")[2].split("/")[0])
    settings = FetchSettings(
        guard=AddressGuard(("127.0.0.1/32",), (port,)),
        connect_timeout_s=0.5,
        total_timeout_s=1,
        max_retries=0,
    )
    started = time.monotonic()

    (fetched,) = asyncio.run(fetch_many([hanging], settings, lambda rows: None))

    assert time.monotonic() - started < 2
    assert fetched.outcome == "timeout"
