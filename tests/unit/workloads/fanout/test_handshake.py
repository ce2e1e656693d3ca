"""The opening handshake, RFC 6455 section 4.2 and RFC 7692 section 7."""

import json

import pytest

from workloads.fanout import handshake
from workloads.fanout.handshake import Refusal, Request

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HEADERS = {"sec-websocket-key": KEY, "sec-websocket-version": "13", "host": "a"}


def request(**change: str) -> Request:
    headers = HEADERS | {name.replace("_", "-"): value for name, value in change.items()}
    return Request("GET", "/ws/a/b", headers)


def test_the_example_of_the_rfc() -> None:
    answer, compressed = handshake.accept(request())
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in answer
    assert answer.startswith(b"HTTP/1.1 101 ")
    assert not compressed


@pytest.mark.parametrize(
    ("change", "status"),
    [
        pytest.param({"sec_websocket_key": ""}, 400, id="no key"),
        pytest.param({"sec_websocket_key": "short"}, 400, id="short key"),
        pytest.param({"sec_websocket_key": "ডা=="}, 400, id="key of other letters"),
        pytest.param({"sec_websocket_version": "8"}, 426, id="old version"),
        pytest.param({"origin": "https://evil.example"}, 403, id="foreign origin"),
    ],
)
def test_refusals_are_problem_documents(change: dict[str, str], status: int) -> None:
    with pytest.raises(Refusal) as refused:
        handshake.accept(request(**change), origins={"https://shop.example"})
    head, _, body = refused.value.response().partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"application/problem+json" in head
    assert json.loads(body)["status"] == status


def test_only_get() -> None:
    with pytest.raises(Refusal) as refused:
        handshake.accept(Request("POST", "/ws/a/b", HEADERS))
    assert refused.value.status == 405


def test_without_a_list_every_origin_is_welcome_and_apps_have_none() -> None:
    handshake.accept(request(origin="https://anything.example"))
    handshake.accept(request(), origins={"https://shop.example"})


@pytest.mark.parametrize(
    ("offer", "accepted"),
    [
        pytest.param("permessage-deflate", True, id="plain"),
        pytest.param("permessage-deflate; client_max_window_bits", True, id="as browsers do"),
        pytest.param("permessage-deflate; client_max_window_bits=10", True, id="small client window"),
        pytest.param("permessage-deflate; server_max_window_bits=9", False, id="small server window"),
        pytest.param("permessage-deflate; server_max_window_bits=9, permessage-deflate", True, id="second offer"),
        pytest.param("permessage-deflate; unknown", False, id="unknown parameter"),
        pytest.param("x-webkit-deflate-frame", False, id="another extension"),
        pytest.param("", False, id="none"),
    ],
)
def test_compression_offers(offer: str, accepted: bool) -> None:
    answer, compressed = handshake.accept(request(sec_websocket_extensions=offer))
    assert compressed is accepted
    assert (b"server_no_context_takeover" in answer) is accepted
    assert handshake.accept(request(sec_websocket_extensions=offer), deflate=False)[1] is False


def test_repeated_headers_are_joined_and_the_query_is_cut_off() -> None:
    head = b"GET /ws/a/b?x=1 HTTP/1.1\r\nSec-WebSocket-Extensions: a\r\nsec-websocket-extensions: b\r\n\r\n"
    parsed = handshake.parse_request(head)
    assert (parsed.path, parsed.headers["sec-websocket-extensions"]) == ("/ws/a/b", "a,b")
