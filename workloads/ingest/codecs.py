"""Which codecs a publisher may send in FLV tags; free of IO (Adobe's numbers, and "Enhanced RTMP" v2 for FourCCs).

What the encoder's ffmpeg decodes passes. The rest is refused by name, because a publisher would else only see that no
picture ever appears. One track each: multitrack and ModEx tags would need a demultiplexer of their own.
"""

from typing import Final

from workloads.common import flv

VIDEO_FOURCC: Final = {b"avc1": "H.264", b"hvc1": "HEVC", b"av01": "AV1", b"vp09": "VP9"}
AUDIO_FOURCC: Final = {b"mp4a": "AAC", b"Opus": "Opus"}

_VIDEO = {2: "Sorenson H.263", 3: "Screen Video", 4: "VP6", 5: "VP6 with alpha", 6: "Screen Video 2", 7: "H.264"}
_KNOWN = {b"vp08": "VP8", b"vvc1": "VVC", b"ac-3": "AC-3", b"ec-3": "E-AC-3", b".mp3": "MP3", b"fLaC": "FLAC"}
_EX_AUDIO = 9
_VIDEO_MULTITRACK, _AUDIO_MULTITRACK, _MODEX = 6, 5, 7
_AVC, _AAC = 7, 10
_CAN_DECODE = 1


def refusal(kind: int, payload: bytes) -> str:
    """Why this tag's codec is not taken, for the publisher's eyes; empty when it is. `payload` is not empty."""
    first = payload[0]
    if kind == flv.VIDEO:
        if first & 0x80:
            return _extended(payload, VIDEO_FOURCC, _VIDEO_MULTITRACK, "video")
        if first & 0x0F == _AVC or first & 0x0F in _VIDEO:
            return ""
        return f"video codec {first & 0x0F} is not supported: send {_names(VIDEO_FOURCC)}"
    if kind == flv.AUDIO and first >> 4 != _AAC and first >> 4 == _EX_AUDIO:
        return _extended(payload, AUDIO_FOURCC, _AUDIO_MULTITRACK, "audio")
    return ""


def capabilities() -> dict[str, object]:
    """What the answer to `connect` says to an encoder that knows extended headers."""
    return {
        "fourCcList": [name.decode() for name in (*VIDEO_FOURCC, *AUDIO_FOURCC)],
        "videoFourCcInfoMap": {name.decode(): float(_CAN_DECODE) for name in VIDEO_FOURCC},
        "audioFourCcInfoMap": {name.decode(): float(_CAN_DECODE) for name in AUDIO_FOURCC},
        "capsEx": 0.0,
    }


def _extended(payload: bytes, known: dict[bytes, str], multitrack: int, what: str) -> str:
    packet, fourcc = payload[0] & 0x0F, payload[1:5]
    if packet == multitrack:
        return f"multitrack {what} is not supported: send one track"
    if packet == _MODEX:
        return f"{what} tags with ModEx are not supported: send them without"
    if fourcc in known:
        return ""
    name = _KNOWN.get(fourcc) or ascii(fourcc.decode("latin-1"))
    return f"{what} codec {name} is not supported: send {_names(known)}"


def _names(known: dict[bytes, str]) -> str:
    *most, last = known.values()
    return f"{', '.join(most)} or {last}"
