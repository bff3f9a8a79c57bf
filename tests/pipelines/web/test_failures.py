import ssl

import aiohttp
import pytest

from pipelines.fetching.refused import BlockedAddress
from pipelines.web.failures import reason_of


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        pytest.param(BlockedAddress("ssrf_blocked"), "ssrf_blocked", id="the guard itself"),
        pytest.param(
            caused(OSError("no"), BlockedAddress("ssrf_blocked")), "ssrf_blocked", id="as a cause"
        ),
        pytest.param(
            ExceptionGroup("several", [OSError("no"), BlockedAddress("port_not_allowed")]),
            "port_not_allowed",
            id="one of several",
        ),
        pytest.param(TimeoutError(), "timeout", id="deadline"),
        pytest.param(TimeoutError(110, "timed out"), "timeout", id="the kernel's deadline"),
        pytest.param(ssl.SSLCertVerificationError(1, "expired"), "tls_error", id="certificate"),
        pytest.param(aiohttp.ServerDisconnectedError(), "connect_failed", id="hung up"),
        pytest.param(ConnectionRefusedError(111, "refused"), "connect_failed", id="refused"),
        pytest.param(aiohttp.ClientPayloadError(), "truncated_body", id="half a body"),
        pytest.param(aiohttp.InvalidURL("x"), "bad_url", id="URL"),
        pytest.param(ValueError("what"), "internal_error", id="our own"),
        pytest.param(OSError(24, "too many open files"), "internal_error", id="descriptors"),
    ],
)
def test_names_a_failure(error: BaseException, reason: str) -> None:
    assert reason_of(error) == reason


def test_ends_on_a_circle_of_causes() -> None:
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first

    assert reason_of(first) == "internal_error"
