"""Who asks: addresses behind proxies, cookies, queries."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.common.access.config import parse_networks
from workloads.common.access.viewer import client_address, cookie_token, read_viewer

TRUSTED = parse_networks("10.0.0.0/8, ::1/128")


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.1", "198.51.100.9", "203.0.113.1"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.9, 10.2.3.4", "198.51.100.9"),
        ("10.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("10.0.0.1", "bogus, 10.2.3.4", "10.2.3.4"),
        ("10.0.0.1", "198.51.100.9:4711", "198.51.100.9"),
        ("10.0.0.1", "[2001:db8::1]:4711", "2001:db8::1"),
        ("10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("::1", "198.51.100.9", "198.51.100.9"),
        ("::ffff:10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("", "198.51.100.9", ""),
    ],
)
def test_the_address_is_the_last_one_that_a_trusted_proxy_reports(peer: str, forwarded: str, expected: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == expected


@given(st.text(max_size=80))
def test_a_stranger_cannot_choose_its_address(forwarded: str) -> None:
    assert client_address("203.0.113.1", forwarded, TRUSTED) == "203.0.113.1"
    found = client_address("10.0.0.1", f"{forwarded}, 203.0.113.5", TRUSTED)
    assert found == "203.0.113.5"
    assert ipaddress.ip_address(found)


@pytest.mark.parametrize(
    ("headers", "query", "token", "from_cookie", "has_cookie"),
    [
        ({}, "", "", False, False),
        ({}, "token=a.b.c", "a.b.c", False, False),
        ({"cookie": "x=1; haat_playback=a.b.c"}, "", "a.b.c", True, True),
        ({"cookie": "haat_playback=old"}, "token=new", "new", False, True),
        ({"cookie": 'haat_playback="a; b'}, "token=", "", False, False),
        ({"cookie": "nothaat_playback=a"}, "", "", False, False),
    ],
)
def test_tokens(headers: dict[str, str], query: str, token: str, from_cookie: bool, has_cookie: bool) -> None:
    viewer = read_viewer("203.0.113.1", lambda name: headers.get(name, ""), query, TRUSTED)
    assert (viewer.token, viewer.from_cookie, viewer.has_cookie) == (token, from_cookie, has_cookie)


def test_a_country_is_two_letters() -> None:
    for query, expected in (("as_country=bd", "BD"), ("as_country=BDX", ""), ("as_country=%0a", "")):
        assert read_viewer("203.0.113.1", lambda _: "", query, TRUSTED).as_country == expected


@given(st.text(max_size=200))
def test_any_cookie_is_read_or_ignored(text: str) -> None:
    assert isinstance(cookie_token(f"haat_playback={text}"), str)
