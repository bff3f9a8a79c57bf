from collections.abc import Iterator

import pytest

from pipelines.web.addresses import AddressGuard
from pipelines.web.faultserver import FaultServer, fault_server
from pipelines.web.settings import FetchSettings

from .asking import DEADLINE_S


@pytest.fixture(scope="module")
def allowed() -> Iterator[FaultServer]:
    with fault_server("127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def forbidden() -> Iterator[FaultServer]:
    """Up and willing, on an address that the guard does not allow. Nobody must ever get there."""
    with fault_server("127.0.0.2") as server:
        yield server
        assert not server.hits


@pytest.fixture
def settings(allowed: FaultServer, forbidden: FaultServer) -> FetchSettings:
    guard = AddressGuard(("127.0.0.1/32",), (80, allowed.port, forbidden.port))
    return FetchSettings(
        guard=guard, total_timeout_s=DEADLINE_S, retry_wait_s=0.01, max_body_bytes=2**20
    )
