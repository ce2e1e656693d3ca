"""STUN messages: built and read, forged and broken ones refused, garbage harmless."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.webrtc import stun

TRANSACTION = bytes(range(12))
PASSWORD = b"a password of some length"


def request(password: bytes = PASSWORD, name: bytes = b"local:remote") -> bytes:
    attributes = [(stun.USERNAME, name), (stun.PRIORITY, bytes(4)), (stun.USE_CANDIDATE, b"")]
    return stun.build(stun.BINDING_REQUEST, TRANSACTION, attributes, password)


def test_a_request_is_read() -> None:
    message = stun.parse(request())
    assert message is not None
    assert (message.kind, message.transaction) == (stun.BINDING_REQUEST, TRANSACTION)
    assert message.username == ("local", "remote")
    assert stun.USE_CANDIDATE in message.attributes
    assert stun.authentic(message, PASSWORD)
    assert not stun.authentic(message, b"another password")


def test_the_published_test_vector_is_authentic() -> None:
    # RFC 5769, 2.1: a request with short-term credentials, MESSAGE-INTEGRITY and FINGERPRINT.
    data = bytes.fromhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74002400046e0001ff80290008932ff9b1"
        "51263b36000600096576746a3a68367659202020000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf"
    )
    message = stun.parse(data)
    assert message is not None
    assert message.username == ("evtj", "h6vY")
    assert stun.authentic(message, b"VOkJxbRl1RmTxUk/WvJxBt")


@pytest.mark.parametrize("address", [("192.0.2.1", 32853), ("2001:db8:1234:5678:11:2233:4455:6677", 32853)])
def test_a_response_tells_the_address(address: stun.Address) -> None:
    message = stun.parse(request())
    assert message is not None
    response = stun.parse(stun.binding_response(message, address, PASSWORD))
    assert response is not None
    assert response.kind == stun.BINDING_RESPONSE
    assert stun.authentic(response, PASSWORD)
    value = response.attributes[stun.XOR_MAPPED_ADDRESS]
    assert stun.parse_xor_address(value, TRANSACTION) == address


def test_a_flipped_bit_is_noticed() -> None:
    data = request()
    for at in range(8, len(data)):
        broken = data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :]
        message = stun.parse(broken)
        assert message is None or not stun.authentic(message, PASSWORD) or at >= len(data) - 8, at


def test_what_follows_the_integrity_does_not_count() -> None:
    signed = request()[:-8]
    extra = signed + bytes((0, 0x25, 0, 0))
    extra = extra[:2] + (len(extra) - 20).to_bytes(2, "big") + extra[4:]
    plain = stun.build(stun.BINDING_REQUEST, TRANSACTION, [(stun.USERNAME, b"a:b")], PASSWORD)[:-8]
    plain += bytes((0, 0x25, 0, 0))
    plain = plain[:2] + (len(plain) - 20).to_bytes(2, "big") + plain[4:]
    message = stun.parse(plain)
    assert message is not None
    assert stun.USE_CANDIDATE not in message.attributes


@given(st.binary(max_size=120))
def test_garbage_is_no_message(data: bytes) -> None:
    message = stun.parse(data)
    assert message is None or not stun.authentic(message, PASSWORD)


@given(st.binary(max_size=100))
def test_garbage_behind_a_header_is_harmless(body: bytes) -> None:
    head = b"\x00\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + TRANSACTION
    message = stun.parse(head + body)
    if message:
        assert not stun.authentic(message, PASSWORD)
        assert isinstance(message.username, tuple)
