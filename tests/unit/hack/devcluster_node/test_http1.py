"""Heads and body framing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.devcluster.proxy.http1 import (
    BadMessage,
    BodyTracker,
    Framing,
    client_head,
    parse_head,
    parse_request_line,
    response_framing,
    upstream_head,
)


def request(*lines: str, first: str = "GET /a?b HTTP/1.1") -> bytes:
    return "\r\n".join([first, "Host: h", *lines]).encode()


@pytest.mark.parametrize(
    "raw",
    [
        request("Content-Length: 1", "Transfer-Encoding: chunked"),
        request("Content-Length: 1", "Content-Length: 2"),
        request("Content-Length: +1"),
        request("Content-Length : 1"),
        request(" folded: x"),
        request("Transfer-Encoding: gzip, chunked"),
        request("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"),
        request("Host: two"),
        request("X: a\nY: b"),
        b"GET / HTTP/1.1\r\nno-colon",
        b"GET / HTTP/1.1\r\nA: b",
    ],
)
def test_ambiguous_requests_are_refused(raw: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_head(raw, request=True)


@pytest.mark.parametrize("first", [b"GET /", b"GET  / HTTP/1.1", b"GET / HTTP/2.0", b"GET x HTTP/1.1"])
def test_bad_request_lines(first: bytes) -> None:
    with pytest.raises(BadMessage):
        parse_request_line(first)


def test_hop_by_hop_headers_stay_behind() -> None:
    head = parse_head(
        request("Connection: keep-alive, X-Private", "X-Private: 1", "Keep-Alive: 5", "A: b"), request=True
    )
    sent = upstream_head(head, parse_request_line(head.first), client="1.2.3.4")
    assert sent == (
        b"GET /a?b HTTP/1.1\r\nHost: h\r\nA: b\r\nX-Forwarded-For: 1.2.3.4\r\n"
        b"X-Forwarded-Proto: http\r\nX-Forwarded-Host: h\r\n\r\n"
    )


def test_forwarded_chain_grows() -> None:
    head = parse_head(request("X-Forwarded-For: 9.9.9.9", "X-Forwarded-Proto: https"), request=True)
    sent = upstream_head(head, parse_request_line(head.first), client="1.2.3.4")
    assert b"X-Forwarded-For: 9.9.9.9, 1.2.3.4\r\n" in sent
    assert sent.count(b"X-Forwarded-Proto") == 1


def test_upgrade_travels() -> None:
    head = parse_head(request("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: k"), request=True)
    sent = upstream_head(head, parse_request_line(head.first), client="c")
    assert b"Connection: Upgrade\r\nUpgrade: websocket\r\n" in sent
    answer = parse_head(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade", request=False)
    assert b"Upgrade: websocket" in client_head(answer, 101, close=False)


@pytest.mark.parametrize(
    ("lines", "status", "method", "wanted"),
    [
        ("Content-Length: 5", 200, b"GET", Framing.LENGTH),
        ("Content-Length: 0", 200, b"GET", Framing.NONE),
        ("Content-Length: 5", 200, b"HEAD", Framing.NONE),
        ("Content-Length: 5", 304, b"GET", Framing.NONE),
        ("Transfer-Encoding: chunked", 200, b"GET", Framing.CHUNKED),
        ("A: b", 200, b"GET", Framing.UNTIL_CLOSE),
        ("A: b", 204, b"GET", Framing.NONE),
    ],
)
def test_response_framing(lines: str, status: int, method: bytes, wanted: Framing) -> None:
    head = parse_head(f"HTTP/1.1 {status} X\r\n{lines}".encode(), request=False)
    assert response_framing(head, status, method) is wanted


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.data())
def test_chunked_body_ends_where_it_ends_however_it_is_cut(chunks: list[bytes], data: st.DataObject) -> None:
    body = b"".join(b"%x;ext\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\nTrailer: x\r\n\r\n"
    stream = body + b"GET /next"
    tracker, position, used = BodyTracker(Framing.CHUNKED), 0, 0
    while position < len(stream) and not tracker.done:
        step = data.draw(st.integers(1, 13))
        used += tracker.feed(stream[position : position + step])
        position += step
    assert tracker.done
    assert used == len(body)


@pytest.mark.parametrize("body", [b"x\r\n", b"\r\n", b"2\r\nabc\r\n", b"-1\r\n", b"1\n"])
def test_broken_chunks(body: bytes) -> None:
    with pytest.raises(BadMessage):
        BodyTracker(Framing.CHUNKED).feed(body)
