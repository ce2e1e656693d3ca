"""Settings, ICE servers and their ephemeral credentials."""

import base64
import hashlib
import hmac
import re

import pytest
from pydantic import ValidationError

from workloads.webrtc.config import IceServer, WebrtcSettings, split_address
from workloads.webrtc.ice_servers import IceServers


def test_turn_credentials_are_those_that_coturn_computes() -> None:
    servers = [IceServer(urls=["stun:s.example"]), IceServer(urls=["turn:t.example:3478?transport=udp"])]
    links = IceServers(servers, "north", 600, wall=lambda: 1000.5).links("viewer")
    assert links[0] == '<stun:s.example>; rel="ice-server"'
    username, credential = re.findall(r'(?:username|credential)="([^"]*)"', links[1])
    assert username == "1600:viewer"
    assert credential == base64.b64encode(hmac.new(b"north", b"1600:viewer", hashlib.sha1).digest()).decode()
    assert links[1].endswith('credential-type="password"')


def test_fixed_credentials_are_kept() -> None:
    server = IceServer(urls=["turns:t.example"], username='a"b', credential="c")
    assert 'username="a\\"b"; credential="c"' in IceServers([server], "north", 60).links("x")[0]


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAAT_ICE_SERVERS", '[{"urls": "stun:s.example"}]')
    monkeypatch.setenv("HAAT_WEBRTC_ADVERTISE", "203.0.113.4:7000")
    settings = WebrtcSettings()
    assert settings.ice_servers == (IceServer(urls=["stun:s.example"]),)
    assert split_address(settings.webrtc_advertise, 1) == ("203.0.113.4", 7000)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HAAT_ICE_SERVERS", '[{"urls": "http://x"}]'),
        ("HAAT_ICE_SERVERS", '[{"urls": "turn:x>; rel=evil"}]'),
        ("HAAT_WEBRTC_ADVERTISE", "host.example"),
        ("HAAT_WEBRTC_ADVERTISE", "203.0.113.4:0"),
        ("HAAT_WEBRTC_UDP_PORT", "70000"),
    ],
)
def test_wrong_settings_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        WebrtcSettings()


@pytest.mark.parametrize(
    ("value", "found"),
    [("::1", ("::1", 9)), ("[::1]:5", ("::1", 5)), ("[::1]", ("::1", 9)), ("10.0.0.1", ("10.0.0.1", 9))],
)
def test_addresses(value: str, found: tuple[str, int]) -> None:
    assert split_address(value, 9) == found
