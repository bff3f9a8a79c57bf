"""Which addresses the fetcher may dial.

A stranger's URL can point into the network that the build runs in: by a literal, by a name whose
answer is private, by a redirect, or by an IPv6 address that carries an IPv4 one. So the question is
asked of the address that is about to be dialled, not of the URL, and answered from our own list:
Python's `ipaddress.is_global` lets cloud metadata services through and changes between releases.

An IPv4 address is refused when a network below holds it; an IPv6 address when it lies outside the
global unicast block, in a network below, or when an IPv4 address that it carries is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

WEB_PORTS = (80, 443, 8000, 8080, 8443)
WIDEST_PREFIX = {4: 8, 6: 32}
"""The widest range that may be allowed by hand, by IP version: 127.0.0.0/8 is one."""

REFUSED_V4 = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # this network; 0.0.0.0 reaches the host itself
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT; Alibaba's metadata service
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host: public by number, internal by use
        "169.254.0.0/16",  # link-local; most clouds' metadata service
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
REFUSED_V6 = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "3fff::/20",  # documentation
    )
)
GLOBAL_V6 = IPv6Network("2000::/3")
NAT64 = IPv6Network("64:ff9b::/96")
"""Where an IPv6-only network puts the IPv4 web (RFC 6052): as good as the address inside."""
LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")
V4_COMPATIBLE = IPv6Network("::/96")
ISATAP_MARKS = (0x00005EFE, 0x02005EFE)


@dataclass(frozen=True, slots=True)
class AddressGuard:
    """Says of an address and port why it may not be dialled; safe with its defaults.

    Raises:
        ValueError: a network that is none, or so wide that it would switch the guard off, or a
            port outside 1..65535.
    """

    allow_networks: tuple[str, ...] = ()
    """Networks (CIDR) that may be dialled although the list refuses them."""
    allow_ports: tuple[int, ...] = WEB_PORTS
    """Every port that may be dialled. Default: the ports of the archived Advocate library."""

    def __post_init__(self) -> None:
        _allowed_networks(self.allow_networks)
        for port in self.allow_ports:
            if not 1 <= port <= 65_535:
                raise ValueError(f"port {port} cannot be allowed: give a number from 1 to 65535")

    def refusal(self, address: str, port: int) -> str | None:
        """The reason not to dial, or None. `address` is a literal, with or without a zone."""
        if port not in self.allow_ports:
            return "port_not_allowed"
        if self.allows_by_hand(address):
            return None
        return None if is_public(ip_address(address)) else "ssrf_blocked"

    def allows_by_hand(self, address: str) -> bool:
        """The address lies in a network of `allow_networks`, in the form in which it is written."""
        number = ip_address(address)
        return any(number in network for network in _allowed_networks(self.allow_networks))


@lru_cache
def _allowed_networks(texts: tuple[str, ...]) -> tuple[Network, ...]:
    return tuple(_allowed_network(text) for text in texts)


def _allowed_network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError as err:
        raise ValueError(f"--allow_network {text}: {err}; give a range like 127.0.0.1/32") from err
    widest = WIDEST_PREFIX[network.version]
    if network.prefixlen < widest:
        raise ValueError(
            f"--allow_network {text} is too wide: at most a /{widest} may be allowed, "
            "because a wider range would leave the network that the build runs in unguarded"
        )
    return network


def is_public(address: Address) -> bool:
    """Neither the address nor any IPv4 address inside it belongs to a network that is refused."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in REFUSED_V4)
    reachable = address in GLOBAL_V6 or address in NAT64
    refused = any(address in network for network in REFUSED_V6)
    return reachable and not refused and all(map(is_public, embedded_ipv4(address)))


def embedded_ipv4(address: IPv6Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that a router or tunnel could take out of `address`."""
    number = int(address)
    low = IPv4Address(number & 0xFFFFFFFF)
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo  # its server, then its client
    if address in NAT64 or address in LOCAL_NAT64 or address in V4_COMPATIBLE:
        yield low
    if (number >> 32) & 0xFFFFFFFF in ISATAP_MARKS:
        yield low
