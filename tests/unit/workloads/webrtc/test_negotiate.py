"""Offers of a real browser, of others and of nobody: what is taken of them, and what is refused with which reason."""

import contextlib
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from workloads.webrtc import sdp
from workloads.webrtc.dtls import Fingerprint
from workloads.webrtc.negotiate import Local, NotAcceptable, Source, answer, plan_publisher, plan_viewer
from workloads.webrtc.sdp import SdpError

FOLDER = Path(__file__).parent
VIEWER = (FOLDER / "chromium_viewer.sdp").read_text()
PUBLISHER = (FOLDER / "chromium_publisher.sdp").read_text()
LOCAL = Local(
    fragment="frag", password="p" * 24, fingerprint=Fingerprint("sha-256", "AA:BB"), host="127.64.0.9", port=8189,
    direction="sendonly", name="haat", session=1, sources={"video": Source(11, 12), "audio": Source(13)},
)  # fmt: skip


def without(text: str, *beginnings: str) -> str:
    return "\r\n".join(line for line in text.splitlines() if not line.startswith(beginnings)) + "\r\n"


def test_chromiums_offer_is_answered() -> None:
    plan = plan_viewer(sdp.parse(VIEWER))
    assert plan.video is not None
    assert plan.audio is not None
    assert plan.video.codec.name == "h264"
    assert plan.video.codec.parameters["packetization-mode"] == "1"
    assert plan.video.rtx is not None
    assert plan.video.wide == 4
    text = answer(plan, LOCAL)
    theirs = SessionDescription.parse(text)
    assert [media.kind for media in theirs.media] == ["video", "audio"]
    assert [media.direction for media in theirs.media] == ["sendonly", "sendonly"]
    assert theirs.media[0].dtls.role == "server"
    assert theirs.media[0].ice.iceLite
    assert theirs.media[0].ice.usernameFragment == "frag"
    assert [(item.ip, item.port) for item in theirs.media[0].ice_candidates] == [("127.64.0.9", 8189)]
    assert [codec.payloadType for codec in theirs.media[0].rtp.codecs] == [
        plan.video.codec.payload_type,
        plan.video.rtx,
    ]
    assert [source.ssrc for source in theirs.media[0].ssrc] == [11, 12]
    # The profile is repeated as it was offered.
    assert f"a=fmtp:{plan.video.codec.payload_type} {plan.video.codec.format}" in text


def test_a_publishers_offer_is_answered() -> None:
    plan = plan_publisher(sdp.parse(PUBLISHER))
    assert plan.video is not None
    assert plan.video.codec.name == "h264"
    only_vp8 = PUBLISHER.replace("H264/90000", "VP8/90000")
    vp8 = plan_publisher(sdp.parse(only_vp8)).video
    assert vp8 is not None
    assert vp8.codec.name == "vp8"


@pytest.mark.parametrize(
    ("profiles", "chosen"),
    [
        (["42e01f", "640c1f", "4d001f"], "640c1f"),
        (["42e01f", "4d001f"], "4d001f"),
        (["42001f"], "42001f"),
    ],
)
def test_the_nearest_profile_is_taken(profiles: list[str], chosen: str) -> None:
    lines = [f"a=rtpmap:{100 + index} H264/90000" for index in range(len(profiles))]
    lines += [
        f"a=fmtp:{100 + index} packetization-mode=1;profile-level-id={profile}"
        for index, profile in enumerate(profiles)
    ]
    text = without(VIEWER, "a=rtpmap", "a=fmtp", "m=audio", "a=group")
    head, _, rest = text.partition("a=rtcp-rsize\r\n")
    plan = plan_viewer(sdp.parse(head + "\r\n".join(lines) + "\r\n" + rest))
    assert plan.video is not None
    assert plan.video.codec.parameters["profile-level-id"] == chosen


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        pytest.param(VIEWER.replace("H264", "H265"), NotAcceptable, "H.264", id="no H.264"),
        pytest.param(
            VIEWER.replace("packetization-mode=1", "packetization-mode=0"), NotAcceptable, "packetization", id="mode 0"
        ),
        pytest.param(VIEWER.replace("a=recvonly", "a=sendonly"), SdpError, "receives no video", id="sends"),
        pytest.param(without(VIEWER, "a=rtcp-mux"), SdpError, "rtcp-mux", id="no rtcp-mux"),
        pytest.param(without(VIEWER, "a=fingerprint"), SdpError, "fingerprint", id="no fingerprint"),
        pytest.param(VIEWER.replace("sha-256", "md5"), SdpError, "hash function", id="md5"),
        pytest.param(without(VIEWER, "a=ice-ufrag"), SdpError, "ICE", id="no credentials"),
        pytest.param(VIEWER.replace("actpass", "passive"), SdpError, "handshake", id="passive"),
        pytest.param(without(VIEWER, "a=group"), SdpError, "BUNDLE", id="no bundle"),
        pytest.param(VIEWER.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), SdpError, "DTLS-SRTP", id="plain RTP"),
        pytest.param(without(VIEWER, "m="), SdpError, "no media", id="no media"),
        pytest.param("hello", SdpError, "v=0", id="text"),
        pytest.param("v=0\r\nwhatever\r\n", SdpError, "not a line", id="no line"),
        pytest.param("v=0\r\nm=video x\r\n", SdpError, "media line", id="broken media line"),
        pytest.param("v=0\r\n" + "m=video 9 UDP 1\r\n" * 100, SdpError, "too many", id="many sections"),
        pytest.param("v=0\r\n" + "a=x\r\n" * 100_000, SdpError, "too long", id="long"),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_refused_with_the_reason(text: str, error: type[Exception], reason: str) -> None:
    with pytest.raises(error, match=reason):
        plan_viewer(sdp.parse(text))


def test_other_sections_are_refused_and_stay_in_their_place() -> None:
    data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:2\r\na=sctp-port:5000\r\n"
    text = answer(plan_viewer(sdp.parse(VIEWER + data)), LOCAL)
    lines = [line for line in text.splitlines() if line.startswith(("m=", "a=group"))]
    assert lines[0] == "a=group:BUNDLE 0 1"
    assert lines[3].startswith("m=application 0 ")


def test_without_sound_only_the_picture_is_answered() -> None:
    text = answer(plan_viewer(sdp.parse(VIEWER.replace("opus/48000", "speex/16000"))), LOCAL)
    assert "m=audio 0 " in text
    assert "a=group:BUNDLE 0\r\n" in text


@given(st.lists(st.sampled_from(VIEWER.splitlines()), max_size=80))
def test_shuffled_lines_are_harmless(lines: list[str]) -> None:
    with contextlib.suppress(SdpError):
        assert answer(plan_viewer(sdp.parse("v=0\r\n" + "\r\n".join(lines))), LOCAL).startswith("v=0")


@given(st.text(max_size=300))
def test_garbage_is_an_sdp_error(text: str) -> None:
    for given_text in (text, "v=0\n" + text, VIEWER + text):
        with contextlib.suppress(SdpError):
            assert plan_viewer(sdp.parse(given_text)).video
