"""No test leaves this machine: what dials another address, or asks for a name, raises.

The guard keeps strangers' URLs off loopback; this keeps a broken guard, or a careless test, off
everything else. The code under test turns errors into outcomes, so an escape is also noted, and
fails the test when it ends. Processes that a test starts are not held.
"""

import socket
from ipaddress import IPv6Address, ip_address
from typing import Any

import aiodns
import pytest

NOBODY = ["127.0.0.1:9"]
"""Name servers for whoever would ask the system's: the discard port, where nobody answers."""


class LeftTheMachineError(ConnectionError):
    """A test reached for another machine."""


class NetworkJail:
    """Stands between the tests and every socket of this process."""

    def __init__(self) -> None:
        self.escapes: list[str] = []
        """What was refused since the last check."""

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Guard every way out until `patch` is undone; asyncio dials by `socket.connect` too."""
        for name in ("connect", "connect_ex"):
            patch.setattr(socket.socket, name, self._guarded(getattr(socket.socket, name)))
        patch.setattr(socket.socket, "sendto", self._guarded_sendto(socket.socket.sendto))
        patch.setattr(socket, "getaddrinfo", self._guarded_lookup(socket.getaddrinfo))
        patch.setattr(aiodns.DNSResolver, "__init__", _without_servers(aiodns.DNSResolver.__init__))

    def check(self) -> None:
        """Fail where something was refused, whatever became of the exception."""
        escapes, self.escapes = self.escapes, []
        assert not escapes, f"left the machine: {', '.join(escapes)}"

    def _refuse(self, what: str) -> None:
        self.escapes.append(what)
        raise LeftTheMachineError(f"{what}: tests stay on this machine")

    def _guarded(self, dial: Any) -> Any:
        def guarded(wire: socket.socket, address: Any) -> Any:
            if not _stays(wire, address):
                self._refuse(f"connect to {address}")
            return dial(wire, address)

        return guarded

    def _guarded_sendto(self, send: Any) -> Any:
        def guarded(wire: socket.socket, data: Any, *rest: Any) -> Any:
            if not _stays(wire, rest[-1]):
                self._refuse(f"send to {rest[-1]}")
            return send(wire, data, *rest)

        return guarded

    def _guarded_lookup(self, look_up: Any) -> Any:
        def guarded(host: Any, *rest: Any, **named: Any) -> Any:
            if not _is_local_name(host):
                self._refuse(f"look-up of {host}")
            return look_up(host, *rest, **named)

        return guarded


def _without_servers(init: Any) -> Any:
    def guarded(self: Any, nameservers: Any = None, *rest: Any, **named: Any) -> None:
        init(self, nameservers or NOBODY, *rest, **named)

    return guarded


def _stays(wire: socket.socket, address: Any) -> bool:
    return wire.family == socket.AF_UNIX or _is_loopback(address[0])


def _is_loopback(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:
        return host in ("", "localhost")
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _is_local_name(host: Any) -> bool:
    name = host.decode() if isinstance(host, bytes) else host
    if name in (None, "", "localhost", socket.gethostname()):
        return True
    try:
        return ip_address(name.partition("%")[0]) is not None
    except ValueError:
        return False
