"""Handshakes and keys: what we speak is read, and garbage is a typed error."""

import os
import struct

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from hypothesis import given
from hypothesis import strategies as st

from workloads.ingest.srt import cipher, handshake, packet
from workloads.ingest.srt.cipher import EVEN, ODD, BadSecret, Decryptor, KeyMessageError
from workloads.ingest.srt.handshake import Extension, Handshake, HandshakeError, Rejection


def key_message(passphrase: str, keys: dict[int, bytes], salt: bytes, *, cipher_number: int = 2) -> bytes:
    """What a caller sends (section 3.2.2 of the draft)."""
    size = len(next(iter(keys.values())))
    kek = PBKDF2HMAC(algorithm=SHA1(), length=size, salt=salt[8:], iterations=2048).derive(passphrase.encode())
    which = sum(keys)
    head = struct.pack(">IIBBBBHBB", 0x12_2029_00 | which, 0, cipher_number, 0, 2, 0, 0, 4, size // 4)
    return head + salt + aes_key_wrap(kek, b"".join(keys[key] for key in sorted(keys)))


def encrypt(key: bytes, salt: bytes, sequence: int, plain: bytes) -> bytes:
    iv = bytes(a ^ b for a, b in zip(salt[:14], b"\0" * 10 + struct.pack(">I", sequence), strict=True)) + b"\0\0"
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(plain)


@pytest.mark.parametrize("size", [16, 24, 32])
@pytest.mark.parametrize("which", [(EVEN,), (ODD,), (EVEN, ODD)])
def test_keys_open_with_the_passphrase_and_packets_with_the_keys(size: int, which: tuple[int, ...]) -> None:
    keys, salt = {key: os.urandom(size) for key in which}, os.urandom(16)
    material = cipher.unwrap(key_message("correct horse", keys, salt), "correct horse")
    assert material.keys == keys
    decryptor = Decryptor(material)
    for key in which:
        assert decryptor.decrypt(77, key, encrypt(keys[key], salt, 77, b"media" * 100)) == b"media" * 100
    missing = ({EVEN, ODD} - set(which)) or {0}
    assert decryptor.decrypt(77, missing.pop(), b"x") is None


def test_a_refreshed_key_leaves_the_other_one() -> None:
    salt, even, odd = os.urandom(16), os.urandom(16), os.urandom(16)
    decryptor = Decryptor(cipher.unwrap(key_message("passphrase", {EVEN: even}, salt), "passphrase"))
    decryptor.update(cipher.unwrap(key_message("passphrase", {ODD: odd}, salt), "passphrase"))
    assert decryptor.decrypt(1, EVEN, encrypt(even, salt, 1, b"a")) == b"a"
    assert decryptor.decrypt(2, ODD, encrypt(odd, salt, 2, b"b")) == b"b"


def test_another_passphrase_is_refused() -> None:
    with pytest.raises(BadSecret):
        cipher.unwrap(key_message("one passphrase", {EVEN: os.urandom(16)}, os.urandom(16)), "another one")


@pytest.mark.parametrize("cut", [0, 10, 20, 40])
def test_a_cut_key_message_is_an_error(cut: int) -> None:
    with pytest.raises(KeyMessageError):
        cipher.unwrap(key_message("p" * 10, {EVEN: os.urandom(16)}, os.urandom(16))[:cut], "p" * 10)


def test_another_cipher_is_an_error() -> None:
    message = key_message("p" * 10, {EVEN: os.urandom(16)}, os.urandom(16), cipher_number=3)
    with pytest.raises(KeyMessageError, match="cipher 3"):
        cipher.unwrap(message, "p" * 10)


@given(st.binary(max_size=200))
def test_no_key_message_does_more_than_a_typed_error(data: bytes) -> None:
    with pytest.raises((KeyMessageError, BadSecret)):
        cipher.unwrap(data, "passphrase")


def request(**changes: object) -> Handshake:
    fields: dict[str, object] = {
        "version": 5, "encryption": 0, "extension_field": 5, "sequence": 9, "mtu": 1500, "window": 8192,
        "kind": handshake.CONCLUSION, "socket": 7, "cookie": 3, "address": bytes(16),
        "extensions": (
            (Extension.HSREQ, struct.pack(">IIHH", 0x010500, 0xBF, 120, 250)),
            (Extension.STREAM_ID, b"pohsual/\0\0hcn"[:12]),
        ),
    }  # fmt: skip
    return Handshake(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_conclusion_reads_back() -> None:
    stream = b"shop/launch\0"
    words = b"".join(stream[index : index + 4][::-1] for index in range(0, 12, 4))
    hsreq = struct.pack(">IIHH", 0x010500, 0xBF, 120, 250)
    sent = request(extensions=((Extension.HSREQ, hsreq), (Extension.STREAM_ID, words), (Extension.KMREQ, b"12345678")))
    assert handshake.parse(handshake.pack(sent)) == sent
    terms = handshake.terms(sent)
    assert (terms.stream, terms.latency_ms, terms.key_message) == ("shop/launch", 250, b"12345678")


def test_a_conclusion_without_terms_is_an_error() -> None:
    with pytest.raises(HandshakeError, match="HSREQ"):
        handshake.terms(request(extensions=()))


@pytest.mark.parametrize(
    ("text", "stream"),
    [
        ("shop/launch", "shop/launch"),
        ("/shop/launch", "shop/launch"),
        ("#!::r=shop/launch,m=publish", "shop/launch"),
        ("#!::m=publish,r=shop/launch,u=rina", "shop/launch"),
        ("#!::u=rina", ""),
        ("", ""),
    ],
)
def test_stream_names(text: str, stream: str) -> None:
    assert handshake.stream_name(text) == stream


def test_a_player_is_not_taken_for_a_publisher() -> None:
    with pytest.raises(HandshakeError):
        handshake.stream_name("#!::r=shop/launch,m=request")


def test_a_cookie_lives_two_minutes_at_most() -> None:
    secret = b"s" * 32
    value = handshake.cookie(secret, "192.0.2.1:9", 1000.0)
    assert handshake.knows_cookie(value, secret, "192.0.2.1:9", 1000.0)
    assert handshake.knows_cookie(value, secret, "192.0.2.1:9", 1059.0)
    assert not handshake.knows_cookie(value, secret, "192.0.2.1:9", 1200.0)
    assert not handshake.knows_cookie(value, secret, "192.0.2.2:9", 1000.0)


def test_a_rejection_carries_its_reason() -> None:
    answer = handshake.rejection(request(), Rejection.BAD_SECRET)
    assert answer.kind == 1010
    assert handshake.rejection(request(), Rejection.CONFLICT).kind == 2409


@given(st.binary(max_size=300))
def test_garbage_is_a_typed_error(data: bytes) -> None:
    for read, error in ((handshake.parse, HandshakeError), (packet.parse, packet.PacketError)):
        try:
            read(data)
        except error:
            continue


@given(st.integers(0, 0x7FFFFFFF), st.integers(0, 2), st.binary(max_size=64))
def test_data_packets_read_back(sequence: int, key: int, payload: bytes) -> None:
    datagram = struct.pack(">IIII", sequence, 3 << 30 | key << 27 | 5, 1234, 99) + payload
    assert packet.destination(datagram) == 99
    assert packet.parse(datagram) == packet.DataPacket(sequence, key, 1234, payload)
