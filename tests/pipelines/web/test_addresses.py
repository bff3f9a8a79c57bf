import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.web.addresses import REFUSED_V4, AddressGuard, embedded_ipv4, is_public

LOOPBACK = AddressGuard(allow_networks=("127.0.0.1/32",), allow_ports=(80,))


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("0.0.0.0", id="this host"),
        pytest.param("0.255.255.255", id="this network's last"),
        pytest.param("10.0.0.0", id="private 10, first"),
        pytest.param("10.255.255.255", id="private 10, last"),
        pytest.param("100.64.0.1", id="carrier-grade NAT"),
        pytest.param("100.100.100.200", id="Alibaba metadata"),
        pytest.param("100.127.255.255", id="carrier-grade NAT, last"),
        pytest.param("127.0.0.1", id="loopback"),
        pytest.param("127.255.255.254", id="loopback, far end"),
        pytest.param("168.63.129.16", id="Azure host"),
        pytest.param("169.254.169.254", id="cloud metadata"),
        pytest.param("169.254.170.2", id="container credentials"),
        pytest.param("172.16.0.1", id="private 172, first"),
        pytest.param("172.31.255.255", id="private 172, last"),
        pytest.param("192.0.0.192", id="Oracle metadata"),
        pytest.param("192.0.2.1", id="documentation 1"),
        pytest.param("192.88.99.1", id="6to4 relay"),
        pytest.param("192.168.0.1", id="private 192"),
        pytest.param("198.18.0.1", id="benchmarks, first half"),
        pytest.param("198.19.255.255", id="benchmarks, second half"),
        pytest.param("198.51.100.1", id="documentation 2"),
        pytest.param("203.0.113.1", id="documentation 3"),
        pytest.param("224.0.0.1", id="multicast"),
        pytest.param("239.255.255.255", id="multicast, last"),
        pytest.param("240.0.0.1", id="reserved"),
        pytest.param("255.255.255.255", id="broadcast"),
        pytest.param("::", id="unspecified"),
        pytest.param("::1", id="loopback v6"),
        pytest.param("::127.0.0.1", id="v4-compatible"),
        pytest.param("::ffff:127.0.0.1", id="v4-mapped"),
        pytest.param("::ffff:8.8.8.8", id="v4-mapped public: no resolver answers so"),
        pytest.param("64:ff9b::7f00:1", id="NAT64 loopback"),
        pytest.param("64:ff9b::a9fe:a9fe", id="NAT64 metadata"),
        pytest.param("64:ff9b:1::a00:1", id="local NAT64"),
        pytest.param("100::1", id="discard"),
        pytest.param("2001::1", id="Teredo"),
        pytest.param("2001:0:4136:e378:8000:63bf:3fff:fdd2", id="Teredo, public client"),
        pytest.param("2001:2::1", id="benchmarks v6"),
        pytest.param("2001:20::1", id="ORCHID"),
        pytest.param("2001:db8::1", id="documentation v6"),
        pytest.param("3fff::1", id="documentation v6, second"),
        pytest.param("2002:7f00:1::", id="6to4 loopback"),
        pytest.param("2002:a9fe:a9fe::1", id="6to4 metadata"),
        pytest.param("2606:4700::5efe:10.0.0.1", id="ISATAP private"),
        pytest.param("2606:4700::200:5efe:169.254.169.254", id="ISATAP metadata, universal bit"),
        pytest.param("5f00::1", id="segment routing"),
        pytest.param("fc00::1", id="unique local"),
        pytest.param("fd00:ec2::254", id="AWS metadata v6"),
        pytest.param("fe80::1", id="link-local"),
        pytest.param("fe80::1%lo", id="link-local with zone"),
        pytest.param("fec0::1", id="site-local"),
        pytest.param("ff02::1", id="multicast v6"),
    ],
)
def test_refuses(address: str) -> None:
    assert AddressGuard().refusal(address, 443) == "ssrf_blocked"


@pytest.mark.parametrize(
    "address",
    [
        pytest.param("1.1.1.1", id="public"),
        pytest.param("8.8.8.8", id="public, other"),
        pytest.param("9.255.255.255", id="before private 10"),
        pytest.param("11.0.0.0", id="after private 10"),
        pytest.param("100.63.255.255", id="before carrier-grade NAT"),
        pytest.param("100.128.0.0", id="after carrier-grade NAT"),
        pytest.param("126.255.255.255", id="before loopback"),
        pytest.param("128.0.0.1", id="after loopback"),
        pytest.param("168.63.129.15", id="Azure host's neighbour"),
        pytest.param("172.15.255.255", id="before private 172"),
        pytest.param("172.32.0.0", id="after private 172"),
        pytest.param("192.0.1.1", id="after protocol assignments"),
        pytest.param("192.167.255.255", id="before private 192"),
        pytest.param("223.255.255.255", id="before multicast"),
        pytest.param("2606:4700:4700::1111", id="public v6"),
        pytest.param("2001:4860:4860::8888", id="public v6 after protocol assignments"),
        pytest.param("64:ff9b::808:808", id="NAT64 public: how v6-only networks reach v4"),
        pytest.param("2002:808:808::1", id="6to4 public"),
    ],
)
def test_lets_through(address: str) -> None:
    assert AddressGuard().refusal(address, 443) is None


EMBEDDINGS = {
    "mapped": lambda v4: (0xFFFF << 32) | v4,
    "compatible": lambda v4: v4,
    "6to4": lambda v4: (0x2002 << 112) | (v4 << 80) | 1,
    "NAT64": lambda v4: (0x0064FF9B << 96) | v4,
    "local NAT64": lambda v4: (0x0064FF9B0001 << 80) | v4,
    "Teredo client": lambda v4: (0x20010000 << 96) | (0x08080808 << 64) | (v4 ^ 0xFFFFFFFF),
    "Teredo server": lambda v4: (0x20010000 << 96) | (v4 << 64) | 0xF7F7F7F7,
    "ISATAP": lambda v4: (0x26064700 << 96) | (0x5EFE << 32) | v4,
    "ISATAP, universal": lambda v4: (0x26064700 << 96) | (0x02005EFE << 32) | v4,
}
v4_numbers = st.integers(0, 2**32 - 1)
refused_numbers = st.sampled_from(REFUSED_V4).flatmap(
    lambda network: st.integers(int(network[0]), int(network[-1]))
)


@pytest.mark.parametrize("embed", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
@settings(deadline=None, derandomize=True)
@given(number=refused_numbers)
def test_refuses_a_refused_address_in_any_wrapping(embed, number: int) -> None:
    assert not is_public(IPv6Address(embed(number)))


@pytest.mark.parametrize("embed", EMBEDDINGS.values(), ids=EMBEDDINGS.keys())
@settings(deadline=None, derandomize=True)
@given(number=st.integers(2, 2**32 - 1))
def test_finds_the_address_inside_any_wrapping(embed, number: int) -> None:
    assert IPv4Address(number) in embedded_ipv4(IPv6Address(embed(number)))


@settings(deadline=None, derandomize=True)
@given(number=v4_numbers)
def test_lets_a_public_address_through_exactly_when_no_network_holds_it(number: int) -> None:
    held = any(IPv4Address(number) in network for network in REFUSED_V4)
    assert is_public(IPv4Address(number)) is not held


@settings(deadline=None, derandomize=True)
@given(number=v4_numbers)
def test_is_never_laxer_than_the_standard_library(number: int) -> None:
    assert ipaddress.IPv4Address(number).is_global or not is_public(IPv4Address(number))


def test_allows_by_hand_only_what_the_range_holds() -> None:
    assert LOOPBACK.refusal("127.0.0.1", 80) is None
    assert LOOPBACK.refusal("127.0.0.2", 80) == "ssrf_blocked"
    assert LOOPBACK.refusal("::ffff:127.0.0.1", 80) == "ssrf_blocked"


@pytest.mark.parametrize("port", [0, 22, 81, 8081, 65_535])
def test_refuses_ports_that_no_web_server_needs(port: int) -> None:
    assert AddressGuard().refusal("8.8.8.8", port) == "port_not_allowed"


@pytest.mark.parametrize("port", [80, 443, 8000, 8080, 8443])
def test_lets_web_ports_through(port: int) -> None:
    assert AddressGuard().refusal("8.8.8.8", port) is None


@pytest.mark.parametrize("network", ["127.0.0.0/8", "10.0.0.0/8", "fd00::/32", "::1/128"])
def test_takes_a_range_of_the_widest_size(network: str) -> None:
    AddressGuard(allow_networks=(network,))


@pytest.mark.parametrize("network", ["0.0.0.0/0", "126.0.0.0/7", "::/0", "fd00::/31"])
def test_refuses_a_range_that_would_switch_the_guard_off(network: str) -> None:
    with pytest.raises(ValueError, match=f"--allow_network {network} is too wide: at most a /"):
        AddressGuard(allow_networks=(network,))


@pytest.mark.parametrize("network", ["", "localhost", "127.0.0.1/33", "127.0.0.1/8"])
def test_refuses_a_range_that_is_none(network: str) -> None:
    with pytest.raises(ValueError, match="give a range like 127.0.0.1/32"):
        AddressGuard(allow_networks=(network,))


@pytest.mark.parametrize("port", [0, 65_536])
def test_refuses_to_allow_a_port_that_is_none(port: int) -> None:
    with pytest.raises(ValueError, match="give a number from 1 to 65535"):
        AddressGuard(allow_ports=(port,))
