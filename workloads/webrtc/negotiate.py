"""What is taken of an offer, and the answer's text (RFC 8829, RFC 6184, RFC 8843); free of IO.

An answer repeats the offer's sections in its order. All of them share one transport (BUNDLE), the pod is an ICE-lite
agent with one candidate and the DTLS server.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from workloads.webrtc.dtls import Fingerprint, supported
from workloads.webrtc.sdp import Codec, Description, SdpError, Section

TRANSPORT_WIDE: Final = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
_VIDEO_FEEDBACK = ("nack", "nack pli", "ccm fir", "goog-remb", "transport-cc")
_AUDIO_FEEDBACK = ("transport-cc",)
_PROTOCOLS = frozenset(("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "RTP/SAVPF"))
_PROFILES = ("64", "4d", "42")


class NotAcceptable(SdpError):
    """The offer is sound, and there is nothing in it that could be spoken."""


@dataclass(frozen=True, slots=True)
class Track:
    """A section that is used: `rtx` is the payload type of retransmissions, None without; `wide` the identifier of the
    transport-wide sequence number, 0 without."""

    section: Section
    codec: Codec
    rtx: int | None
    wide: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is taken of an offer."""

    offer: Description
    fingerprint: Fingerprint
    video: Track | None
    audio: Track | None


@dataclass(frozen=True, slots=True)
class Source:
    """What this side sends in a section."""

    ssrc: int
    rtx: int = 0


@dataclass(frozen=True, slots=True)
class Local:
    """This side of the answer. `direction` is what the used sections get; `sources` by their media kind."""

    fragment: str
    password: str
    fingerprint: Fingerprint
    host: str
    port: int
    direction: str
    name: str
    session: int
    sources: dict[str, Source] = field(default_factory=dict)


def plan_viewer(offer: Description) -> Plan:
    """What a viewer's offer lets be sent; SdpError when it cannot be served, NotAcceptable without H.264."""
    video = _first(offer, "video", ("recvonly", "sendrecv"))
    if video is None:
        raise SdpError("the offer receives no video")
    codec = choose_h264(video)
    if codec is None:
        raise NotAcceptable("the offer has no H.264 with packetization-mode=1, and that is what streams are made of")
    audio = _first(offer, "audio", ("recvonly", "sendrecv"))
    opus = _opus(audio) if audio else None
    return _plan(offer, (video, codec), (audio, opus) if audio and opus else None)


def plan_publisher(offer: Description) -> Plan:
    """What is taken of a publisher's offer: H.264 before VP8, and Opus; NotAcceptable without video."""
    video = _first(offer, "video", ("sendonly", "sendrecv"))
    if video is None:
        raise SdpError("the offer sends no video")
    codec = choose_h264(video) or next((codec for codec in video.codecs.values() if codec.name == "vp8"), None)
    if codec is None:
        raise NotAcceptable("the offer has neither H.264 nor VP8")
    audio = _first(offer, "audio", ("sendonly", "sendrecv"))
    opus = _opus(audio) if audio else None
    return _plan(offer, (video, codec), (audio, opus) if audio and opus else None)


def choose_h264(section: Section) -> Codec | None:
    """The H.264 payload type whose profile is nearest to what encoders here make: high, main, then baseline."""
    fitting = [
        codec
        for codec in section.codecs.values()
        if codec.name == "h264" and codec.parameters.get("packetization-mode", "0") == "1"
    ]
    order = {profile: rank for rank, profile in enumerate(_PROFILES)}

    def rank(codec: Codec) -> int:
        return order.get(codec.parameters.get("profile-level-id", "42e01f")[:2].lower(), len(order))

    return min(fitting, key=rank, default=None)


def _opus(section: Section) -> Codec | None:
    found = (codec for codec in section.codecs.values() if (codec.name, codec.clock) == ("opus", 48_000))
    return next(found, None)


def _first(offer: Description, kind: str, directions: Iterable[str]) -> Section | None:
    return next(
        (
            section
            for section in offer.sections
            if section.kind == kind and section.port and section.direction in directions
        ),
        None,
    )


def _plan(offer: Description, video: tuple[Section, Codec], audio: tuple[Section, Codec] | None) -> Plan:
    used = [video[0], *([audio[0]] if audio else [])]
    for section in used:
        _check(section, offer, alone=len(used) == 1)
    given = used[0].fingerprint
    if given is None or not supported(fingerprint := Fingerprint(*given)):
        raise SdpError("the offer has no fingerprint with a hash function that is known here")
    return Plan(offer, fingerprint, _track(*video), _track(*audio) if audio else None)


def _check(section: Section, offer: Description, *, alone: bool) -> None:
    if section.protocol not in _PROTOCOLS:
        raise SdpError(f"{section.kind} is offered over {section.protocol}, not over DTLS-SRTP")
    if not section.mux:
        raise SdpError(f"{section.kind} is offered without rtcp-mux")
    if not section.fragment or not section.password:
        raise SdpError(f"{section.kind} is offered without ICE credentials")
    if section.setup not in ("actpass", "active"):
        raise SdpError("the offer has to begin the DTLS handshake: a=setup:actpass or active")
    if not alone and section.mid not in offer.bundle:
        raise SdpError(f"{section.kind} is not in the BUNDLE group, and this pod has one transport a session")


def _track(section: Section, codec: Codec) -> Track:
    wanted = str(codec.payload_type)
    rtx = (other for other in section.codecs.values() if other.name == "rtx" and other.parameters.get("apt") == wanted)
    found = next(rtx, None)
    wide = section.extensions.get(TRANSPORT_WIDE, 0) if "transport-cc" in codec.feedback else 0
    return Track(section, codec, found.payload_type if found else None, wide)


def answer(plan: Plan, local: Local) -> str:
    """The text of the answer."""
    used = [track.section for track in (plan.video, plan.audio) if track]
    mids = [section.mid for section in plan.offer.sections if any(section is one for one in used) and section.mid]
    lines = ["v=0", f"o=- {local.session} 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "a=ice-lite"]
    if plan.offer.bundle and mids:
        lines.append(f"a=group:BUNDLE {' '.join(mids)}")
    lines.append(f"a=msid-semantic: WMS {local.name}")
    for section in plan.offer.sections:
        track = next((track for track in (plan.video, plan.audio) if track and track.section is section), None)
        lines += _refused(section) if track is None else _answered(track, local)
    return "\r\n".join(lines) + "\r\n"


def _refused(section: Section) -> list[str]:
    lines = [f"m={section.kind} 0 {section.protocol} {' '.join(section.formats) or '0'}", "c=IN IP4 0.0.0.0"]
    return [*lines, *([f"a=mid:{section.mid}"] if section.mid else []), "a=inactive"]


def _answered(track: Track, local: Local) -> list[str]:
    section, codec = track.section, track.codec
    family = "IP6" if ":" in local.host else "IP4"
    formats = [codec.payload_type, *([track.rtx] if track.rtx is not None else [])]
    lines = [
        f"m={section.kind} {local.port} {section.protocol} {' '.join(map(str, formats))}",
        f"c=IN {family} {local.host}",
        *([f"a=mid:{section.mid}"] if section.mid else []),
        f"a=ice-ufrag:{local.fragment}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:{local.fingerprint.algorithm} {local.fingerprint.value}",
        "a=setup:passive",
        "a=rtcp-mux",
        *(["a=rtcp-rsize"] if section.reduced else []),
        f"a={local.direction}",
    ]
    lines += _codec_lines(track) + _source_lines(section.kind, local)
    lines.append(f"a=candidate:1 1 udp 2130706431 {local.host} {local.port} typ host")
    return [*lines, "a=end-of-candidates"]


def _codec_lines(track: Track) -> list[str]:
    codec, number = track.codec, track.codec.payload_type
    name = {"h264": "H264", "vp8": "VP8"}.get(codec.name, codec.name)
    channels = f"/{codec.channels}" if codec.channels > 1 else ""
    lines = [f"a=rtpmap:{number} {name}/{codec.clock}{channels}"]
    if codec.format:
        stereo = ";stereo=1;sprop-stereo=1" if codec.name == "opus" and "stereo" not in codec.parameters else ""
        lines.append(f"a=fmtp:{number} {codec.format}{stereo}")
    offered = _AUDIO_FEEDBACK if codec.name == "opus" else _VIDEO_FEEDBACK
    # With transport-wide numbers a bandwidth message would only say the same once more.
    kinds = [kind for kind in offered if kind in codec.feedback and not (kind == "goog-remb" and track.wide)]
    lines += [f"a=rtcp-fb:{number} {kind}" for kind in kinds if kind != "transport-cc" or track.wide]
    if track.rtx is not None:
        lines += [f"a=rtpmap:{track.rtx} rtx/{codec.clock}", f"a=fmtp:{track.rtx} apt={number}"]
    if track.wide:
        lines.append(f"a=extmap:{track.wide} {TRANSPORT_WIDE}")
    return lines


def _source_lines(kind: str, local: Local) -> list[str]:
    source = local.sources.get(kind)
    if source is None:
        return []
    lines = [f"a=msid:{local.name} {kind}"]
    if source.rtx:
        lines.append(f"a=ssrc-group:FID {source.ssrc} {source.rtx}")
    for ssrc in (source.ssrc, source.rtx):
        if ssrc:
            lines += [f"a=ssrc:{ssrc} cname:{local.name}", f"a=ssrc:{ssrc} msid:{local.name} {kind}"]
    return lines
