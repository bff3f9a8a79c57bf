"""The address tables that two other guards test themselves with, against ours.

The vectors are those of Stripe's smokescreen (pkg/smokescreen/smokescreen_test.go at a3294a6) and
of imgproxy (privatenet/privatenet_test.go and generic_http_test.go at eef3b31), each table whole;
an address that both name stands once. Where our answer is another, the row stands in one of the
last two tables and says why.
"""

from ipaddress import IPv6Address

import pytest

from pipelines.web.addresses import AddressGuard


def packed(text: str) -> str:
    return str(IPv6Address(bytes.fromhex(text)))


REFUSED_BY_BOTH = (
    "10.0.0.1",
    "10.0.1.1",
    "100.64.0.0",
    "100.64.0.1",
    "100.64.0.100",
    "100.127.255.254",
    "100.127.255.255",
    "127.0.0.1",
    "127.0.0.254",
    "127.0.1.1",
    "127.255.255.255",
    "0.0.0.0",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.16.1.1",
    "192.168.0.1",
    "192.168.1.1",
    "255.255.255.255",
    "::",
    "::1",
    "fc00::1",
    "fd00::1",
    "fe80::1",
    "ff02::2",
    "::10.0.0.1",
    "::100.64.0.1",
    "::127.0.0.1",
    "::169.254.0.1",
    "2002:c000:201::1",
    "2002:a00:1::",
    "2002:a00:1::1",
    "2002:6440:1::",
    "2002:c0a8:1::",
    "2002:c0a8:101::",
    "64:ff9b::a00:1",
    "64:ff9b::ac10:1",
    "64:ff9b::ac1c:5",
    "64:ff9b::c000:201",
    "64:ff9b::ffff:ffff",
    "64:ff9b::100.64.0.1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:0:1234:5678:9abc:def0:1234:5678",
    packed("0064ff9b 00010a00 00000100 00000000"),  # local NAT64 of 10.0.0.1 (RFC 6052, a /48)
    packed("0064ff9b 0001c0a8 00010100 00000000"),  # local NAT64 of 192.168.1.1
    packed("64ff9b01 00000a00 00000100 00000000"),  # the same two as imgproxy's test spells them
    packed("64ff9b01 0000c0a8 00010100 00000000"),
    packed("20010000 00000000 00000000 f5fffffe"),  # Teredo, 10.0.0.1
    packed("20010db8 00000000 00005efe 0a000001"),  # ISATAP, 10.0.0.1
    packed("20010db8 00000000 02005efe c0a80101"),  # ISATAP, 192.168.1.1
)
LET_THROUGH_BY_BOTH = (
    "1.1.1.1",
    "8.8.4.4",
    "8.8.8.8",
    "8.8.9.8",
    "100.63.255.254",
    "100.63.255.255",
    "100.128.0.0",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2001:4860::1",
    "2001:4860::8888",
    "2001:4860:4860::8888",
)
STRICTER_HERE = {
    "::8.8.8.8": "imgproxy unwraps it; the form is deprecated (RFC 4291, 2.5.5.1)",
    packed("20010000 00000000 00000000 f7f7f7f7"): "imgproxy unwraps Teredo; no web server has it",
    "64:ff9c::1": "smokescreen lets it through; outside the global unicast block",
}
LAXER_HERE = {
    "64:ff9b::808:808": "smokescreen refuses every NAT64; IPv6-only networks reach IPv4 by it",
    "2002:808:808::": "smokescreen refuses every 6to4; the address inside is public",
    "2002:808:808::1": "smokescreen refuses every 6to4; the address inside is public",
    "2002:101:101::": "smokescreen refuses every 6to4; the address inside is public",
}


@pytest.mark.parametrize("address", [*REFUSED_BY_BOTH, *STRICTER_HERE])
def test_refuses_the_private_vectors_of_others(address: str) -> None:
    assert AddressGuard().refusal(address, 443) == "ssrf_blocked"


@pytest.mark.parametrize("address", [*LET_THROUGH_BY_BOTH, *LAXER_HERE])
def test_lets_the_public_vectors_of_others_through(address: str) -> None:
    assert AddressGuard().refusal(address, 443) is None
