"""Common encryption, scheme `cbcs`, of init segments and CMAF chunks; free of IO.

Pictures are encrypted in a pattern of one block in ten, behind each slice's header; sound as whole samples.
Initialisation vectors are constant per key, so chunks carry none. Source: ISO/IEC 23001-7 (sinf, tenc, senc, saiz,
saio, pssh), ISO/IEC 23000-19 (CMAF).
"""

import struct
from collections.abc import Sequence

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from workloads.common.cmaf import boxes
from workloads.common.cmaf.boxes import Box
from workloads.common.cmaf.fragment import parse_fragment
from workloads.transcoder.protect.keys import ContentKey
from workloads.transcoder.protect.slices import SLICE_TYPES, Parameters, header_bytes

COMMON_SYSTEM = bytes.fromhex("1077efecc0b24d02ace33c1e52e2fb4b")
_BLOCK, _PATTERN_BYTES = 16, 160
_ENTRY_HEAD = {b"avc1": (b"encv", 78), b"mp4a": (b"enca", 28)}
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_MAX_CLEAR = 0xFFFF
Ranges = list[tuple[int, int]]


def protect_init(init: bytes, key: ContentKey) -> bytes:
    """The init segment of encrypted samples, with the key's identifier and a `pssh` of the common system."""
    return b"".join(_rewritten(init, box, key) for box in boxes.children(init))


def _rewritten(data: bytes, box: Box, key: ContentKey) -> bytes:
    body = data[box.start : box.end]
    if box.kind in _CONTAINERS:
        inner = [_rewritten(data, child, key) for child in boxes.children(data, box.start, box.end)]
        return boxes.pack(box.kind, *inner, *([_pssh(key)] if box.kind == b"moov" else []))
    if box.kind == b"stsd":
        entries = [_entry(data, child, key) for child in boxes.children(data, box.start + 8, box.end)]
        return boxes.pack(b"stsd", body[:8], *entries)
    return boxes.pack(box.kind, body)


def _entry(data: bytes, box: Box, key: ContentKey) -> bytes:
    kind, _ = _ENTRY_HEAD[box.kind]
    crypt, skip = (1, 9) if kind == b"encv" else (0, 0)
    head = bytes((0, crypt << 4 | skip, 1, 0))
    tenc = boxes.pack(b"tenc", b"\x01\x00\x00\x00", head, key.kid, bytes((16,)), key.iv)
    sinf = boxes.pack(
        b"sinf",
        boxes.pack(b"frma", box.kind),
        boxes.pack(b"schm", b"\x00\x00\x00\x00", b"cbcs", b"\x00\x01\x00\x00"),
        boxes.pack(b"schi", tenc),
    )
    return boxes.pack(kind, data[box.start : box.end], sinf)


def _pssh(key: ContentKey) -> bytes:
    return boxes.pack(b"pssh", b"\x01\x00\x00\x00", COMMON_SYSTEM, struct.pack(">I", 1), key.kid, bytes(4))


def protect_chunk(chunk: bytes, key: ContentKey, picture: Parameters | None) -> bytes:
    """A chunk (boxes before its moof are kept) with encrypted samples; `picture` is None for sound."""
    found = [(box.kind, chunk[box.start - 8 : box.end]) for box in boxes.children(chunk)]
    kept = b"".join(data for kind, data in found if kind not in (b"moof", b"mdat"))
    [moof] = [data for kind, data in found if kind == b"moof"]
    [payload] = [data[8:] for kind, data in found if kind == b"mdat"]
    fragment = parse_fragment(moof, payload)
    samples, at = [], 0
    for sample in fragment.samples:
        samples.append(payload[at : at + sample.size])
        at += sample.size
    if picture is None:
        encrypted = [_whole(sample, key) for sample in samples]
        return kept + moof + boxes.pack(b"mdat", *encrypted)
    ranges = [subsamples(sample, picture) for sample in samples]
    encrypted = [_pattern(sample, parts, key) for sample, parts in zip(samples, ranges, strict=True)]
    return kept + _with_subsamples(moof, ranges) + boxes.pack(b"mdat", *encrypted)


def subsamples(sample: bytes, picture: Parameters) -> Ranges:
    """(clear, protected) bytes, alternating, over the whole sample of length-prefixed NAL units."""
    found: Ranges = []
    clear = at = 0
    while at + 4 < len(sample):
        size = int.from_bytes(sample[at : at + 4], "big")
        nal = sample[at + 4 : at + 4 + size]
        if nal and nal[0] & 0x1F in SLICE_TYPES:
            head = min(size, header_bytes(nal, picture))
            clear += 4 + head
            while clear > _MAX_CLEAR:
                found.append((_MAX_CLEAR, 0))
                clear -= _MAX_CLEAR
            found.append((clear, size - head))
            clear = 0
        else:
            clear += 4 + size
        at += 4 + size
    clear += len(sample) - at
    while clear > 0:
        found.append((min(clear, _MAX_CLEAR), 0))
        clear -= _MAX_CLEAR
    return found


def _pattern(sample: bytes, parts: Ranges, key: ContentKey) -> bytes:
    made, at = bytearray(sample), 0
    for clear, protected in parts:
        at += clear
        starts = range(at, at + protected - _BLOCK + 1, _PATTERN_BYTES)
        blocks = _encrypt(b"".join(sample[start : start + _BLOCK] for start in starts), key)
        for index, start in enumerate(starts):
            made[start : start + _BLOCK] = blocks[index * _BLOCK : (index + 1) * _BLOCK]
        at += protected
    return bytes(made)


def _whole(sample: bytes, key: ContentKey) -> bytes:
    whole = len(sample) // _BLOCK * _BLOCK
    return _encrypt(sample[:whole], key) + sample[whole:]


def _encrypt(blocks: bytes, key: ContentKey) -> bytes:
    return Cipher(algorithms.AES(key.key), modes.CBC(key.iv)).encryptor().update(blocks) if blocks else b""


def _with_subsamples(moof: bytes, ranges: Sequence[Ranges]) -> bytes:
    """The moof with senc, saiz and saio at the end of its track fragment; its run's data offset moves with them."""
    rows = [struct.pack(">H", len(parts)) + b"".join(struct.pack(">HI", *part) for part in parts) for parts in ranges]
    count = struct.pack(">I", len(ranges))
    senc = boxes.pack(b"senc", b"\x00\x00\x00\x02", count, *rows)
    saiz = boxes.pack(b"saiz", bytes(4), b"\x00", count, bytes(len(row) for row in rows))
    saio_bytes = 20
    traf = boxes.find(moof, b"moof", b"traf")
    offset = traf.end + saio_bytes + len(saiz) + 16
    saio = boxes.pack(b"saio", bytes(4), struct.pack(">II", 1, offset))
    added = saio + saiz + senc
    made = bytearray(moof[: traf.end] + added + moof[traf.end :])
    struct.pack_into(">I", made, 0, len(moof) + len(added))
    struct.pack_into(">I", made, traf.start - 8, traf.end - traf.start + 8 + len(added))
    run = boxes.find(moof, b"moof", b"traf", b"trun")
    (data_offset,) = struct.unpack_from(">i", moof, run.start + 8)
    struct.pack_into(">i", made, run.start + 8, data_offset + len(added))
    return bytes(made)
