"""What holds for every test: it stays on this machine."""

from collections.abc import Iterator

import pytest

from tests.network_jail import NetworkJail


@pytest.fixture(scope="session", autouse=True)
def network_jail() -> Iterator[NetworkJail]:
    """The jail of this session."""
    jail = NetworkJail()
    with pytest.MonkeyPatch.context() as patch:
        jail.install(patch)
        yield jail


@pytest.fixture(autouse=True)
def stays_on_this_machine(network_jail: NetworkJail) -> Iterator[None]:
    """Fail a test that reached for another one, though the code under test hid it."""
    yield
    network_jail.check()
