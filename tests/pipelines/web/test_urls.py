import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from pipelines.fetching.refused import Refused
from pipelines.web import urls as urls_module
from pipelines.web.addresses import AddressGuard
from pipelines.web.settings import FetchSettings
from pipelines.web.urls import checked_url, normal_url, redirect_target

SETTINGS = FetchSettings()


def refusal(text: str, settings: FetchSettings = SETTINGS) -> str:
    with pytest.raises(Refused) as caught:
        checked_url(text, settings)
    return caught.value.reason


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        pytest.param("http://example.com", "http://example.com/", id="no path"),
        pytest.param(
            "HTTPS://EXAMPLE.com/A", "https://example.com/A", id="case of scheme and host"
        ),
        pytest.param(" http://h.com/a ", "http://h.com/a", id="blanks around"),
        pytest.param("http://h.com/a b", "http://h.com/a%20b", id="a blank inside"),
        pytest.param("http://h.com/ä?ö=ü", "http://h.com/%C3%A4?%C3%B6=%C3%BC", id="beyond ASCII"),
        pytest.param("http://münchen.de/", "http://xn--mnchen-3ya.de/", id="international name"),
        pytest.param("http://h.com/a#b", "http://h.com/a", id="a fragment is not sent"),
        pytest.param("http://h.com/%7e%2c?s=%2C~", "http://h.com/%7e%2c?s=%2C~", id="signed query"),
        pytest.param("http://h.com/100%.jpg", "http://h.com/100%25.jpg", id="a lone percent"),
        pytest.param("http://h.com:80/", "http://h.com/", id="the scheme's own port"),
        pytest.param("https://h.com:8443/", "https://h.com:8443/", id="another web port"),
        pytest.param("http://a_b.h.com/", "http://a_b.h.com/", id="underscore in a name"),
        pytest.param("http://h.com./", "http://h.com./", id="a rooted name"),
        pytest.param("http://8.8.8.8/a", "http://8.8.8.8/a", id="public literal"),
        pytest.param("http://[2606:4700:4700::1111]/", "http://[2606:4700:4700::1111]/", id="v6"),
        pytest.param("http://h.com/@b", "http://h.com/@b", id="an at sign in the path"),
        pytest.param(
            "http://h.com/" + "a" * 7987, "http://h.com/" + "a" * 7987, id="8000 characters"
        ),
    ],
)
def test_asks(text: str, asked: str) -> None:
    url = checked_url(text, SETTINGS)

    assert str(url) == asked
    assert url.raw_path_qs.isascii()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param("", "bad_url", id="nothing"),
        pytest.param("example.com/a.jpg", "bad_url", id="no scheme"),
        pytest.param("//example.com/a", "bad_url", id="no scheme, two slashes"),
        pytest.param("http:///a", "bad_url", id="no host"),
        pytest.param("http:a", "bad_url", id="no host, no slashes"),
        pytest.param("http://h.com/" + "a" * 7988, "bad_url", id="8001 characters"),
        pytest.param("http://h.com/\r\nX-Injected: 1", "bad_url", id="header injection"),
        pytest.param("http://h\n.com/", "bad_url", id="line feed in the host"),
        pytest.param("http://h.com/\x00", "bad_url", id="NUL"),
        pytest.param("http://h.com\\@evil.com/", "bad_url", id="backslash"),
        pytest.param("http://a b.com/", "bad_url", id="blank in the host"),
        pytest.param("http://h%00.com/", "bad_url", id="escaped NUL in the host"),
        pytest.param("http://127.0.0.2%00.h.com/", "bad_url", id="escaped NUL after an address"),
        pytest.param("http://a..b/", "bad_url", id="an empty label"),
        pytest.param("http://" + "a" * 64 + ".com/", "bad_url", id="a label of 64"),
        pytest.param("http://" + "a." * 127 + "com/", "bad_url", id="a name of 257"),
        pytest.param("http://h.com:99999/", "bad_url", id="port beyond all"),
        pytest.param("http://h.com:x/", "bad_url", id="port no number"),
        pytest.param("http://[::1/", "bad_url", id="unclosed bracket"),
        pytest.param("http://\ud800.com/", "bad_url", id="lone surrogate in the host"),
        pytest.param("http://h.com/\ud800", "bad_url", id="lone surrogate in the path"),
        pytest.param("file:///etc/hostname", "scheme_not_allowed", id="file"),
        pytest.param("ftp://h.com/a", "scheme_not_allowed", id="ftp"),
        pytest.param("gopher://h.com/a", "scheme_not_allowed", id="gopher"),
        pytest.param("data:image/png;base64,AAAA", "scheme_not_allowed", id="data"),
        pytest.param("javascript:alert(1)", "scheme_not_allowed", id="javascript"),
        pytest.param("http://user:pass@h.com/", "userinfo_refused", id="user and password"),
        pytest.param("http://@h.com/", "userinfo_refused", id="empty user"),
        pytest.param("http://127.0.0.1@h.com/", "userinfo_refused", id="an address as user"),
        pytest.param("http://h.com:22/", "port_not_allowed", id="ssh"),
        pytest.param("http://h.com:0/", "port_not_allowed", id="port 0"),
        pytest.param("http://127.1/", "bad_url", id="short literal"),
        pytest.param("http://2130706433/", "bad_url", id="decimal literal"),
        pytest.param("http://0x7f000001/", "bad_url", id="hexadecimal literal"),
        pytest.param("http://0x7f.0.0.1/", "bad_url", id="hexadecimal part"),
        pytest.param("http://017700000001/", "bad_url", id="octal literal"),
        pytest.param("http://0177.0.0.1/", "bad_url", id="octal part"),
        pytest.param("http://0/", "bad_url", id="zero"),
        pytest.param("http://127.0.0.1./", "bad_url", id="literal with a dot behind"),
        pytest.param("http://1.2.3.4.5/", "bad_url", id="five parts"),
        pytest.param("http://１２７.0.0.1/", "ssrf_blocked", id="full-width digits"),
        pytest.param("http://127.0.0.1/", "ssrf_blocked", id="loopback literal"),
        pytest.param("http://169.254.169.254/latest/", "ssrf_blocked", id="metadata literal"),
        pytest.param("http://[::1]/", "ssrf_blocked", id="loopback v6 literal"),
        pytest.param("http://[::ffff:127.0.0.1]/", "ssrf_blocked", id="mapped literal"),
        pytest.param("http://[fe80::1%25lo]/", "bad_url", id="literal with a zone"),
    ],
)
def test_refuses(text: str, reason: str) -> None:
    assert refusal(text) == reason


def test_takes_a_literal_and_a_port_that_are_allowed_by_hand() -> None:
    settings = FetchSettings(guard=AddressGuard(("127.0.0.1/32",), (9000,)))

    assert str(checked_url("http://127.0.0.1:9000/a", settings)) == "http://127.0.0.1:9000/a"
    assert refusal("http://127.0.0.2:9000/a", settings) == "ssrf_blocked"
    assert refusal("http://127.0.0.1/a", settings) == "port_not_allowed"


@pytest.mark.parametrize(
    ("location", "target"),
    [
        pytest.param("/b", "https://h.com/b", id="path"),
        pytest.param("b?c", "https://h.com/d/b?c", id="relative"),
        pytest.param("//other.com/b", "https://other.com/b", id="protocol-relative"),
        pytest.param("http://other.com", "http://other.com/", id="absolute"),
        pytest.param("/ü b", "https://h.com/%C3%BC%20b", id="unquoted"),
    ],
)
def test_follows_a_redirect(location: str, target: str) -> None:
    assert str(redirect_target(URL("https://h.com/d/e"), location, SETTINGS)) == target


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        pytest.param("", "bad_http", id="no location"),
        pytest.param("http://[::1", "bad_http", id="malformed"),
        pytest.param("file:///etc/passwd", "scheme_not_allowed", id="file"),
        pytest.param("data:,x", "scheme_not_allowed", id="data"),
        pytest.param("//127.0.0.1/", "ssrf_blocked", id="protocol-relative loopback"),
        pytest.param("http://a:b@h.com/", "userinfo_refused", id="password"),
        pytest.param("http://h.com:25/", "port_not_allowed", id="mail port"),
    ],
)
def test_refuses_a_redirect(location: str, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        redirect_target(URL("https://h.com/d/e"), location, SETTINGS)
    assert caught.value.reason == reason


@given(
    st.from_regex(urls_module._PLAIN, fullmatch=True)
    | st.text(st.sampled_from("https://ab-_.1:80443/?#%2Fx;=@"), max_size=40).map("http://".__add__)
)
def test_spares_plain_urls_the_work_and_changes_none(text: str) -> None:
    def normal() -> str:
        try:
            return str(normal_url(text))
        except Refused as refused:
            return refused.reason

    quick = normal()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(urls_module, "_PLAIN", re.compile("(?!)"))
        slow = normal()

    if quick != slow:  # what is no host or port at all is refused where it is checked
        with pytest.raises(Refused, match="bad_url"):
            checked_url(text, FetchSettings(guard=AddressGuard(allow_ports=(80, 443))))
