"""The DASH manifest, cues and captions as text and boxes."""

import json
import struct
from itertools import pairwise
from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st
from media_builders import AUDIO_INIT, VIDEO_INIT, frame

from workloads.common.cmaf import boxes
from workloads.transcoder.package import captions, dash, emsg, playlist
from workloads.transcoder.package.captions import Caption, Captions
from workloads.transcoder.package.cues import Cues
from workloads.transcoder.package.grid import Grid
from workloads.transcoder.package.playlist import Variant
from workloads.transcoder.package.rendition import Rendition

START = 60_000_000.0
NS = f"{{{dash.NAMESPACE}}}"


def rendition(name: str, cues: Cues | None = None) -> Rendition:
    made = Rendition(
        name, first_msn=40, part_seconds=0.5, window_seconds=30, max_bytes=10**9, video=name != "audio", cues=cues
    )
    made.begin(Grid(START, 1.0, 2.0))
    made.add_init(AUDIO_INIT if name == "audio" else VIDEO_INIT)
    return made


def feed(made: Rendition, seconds: float, start: float = START) -> None:
    scale = 48_000 if made.name == "audio" else 90_000
    for index in range(round(seconds * 10)):
        made.add(frame(start + index / 10, 0.1, sync=index % 10 == 0, timescale=scale))


def manifest(*made: Rendition) -> Xml.Element:
    variants = [Variant(item, 2800, 25.0) for item in made if item.name != "audio"]
    audio = next((item for item in made if item.name == "audio"), None)
    text = dash.manifest(variants, audio, cut_seconds=2.0, audio_kbps=128, now=1.8e9, window_seconds=30)
    return Xml.fromstring(text)


def timeline(root: Xml.Element, name: str, period: int = 0) -> list[tuple[int, int]]:
    found = root.findall(f"{NS}Period")[period].iter(f"{NS}Representation")
    [representation] = [item for item in found if item.get("id") == name]
    return [(int(item.get("t", "")), int(item.get("d", ""))) for item in representation.iter(f"{NS}S")]


def test_the_manifest_lists_the_growing_segment_with_the_length_it_will_have() -> None:
    video, audio = rendition("720p"), rendition("audio")
    feed(video, 3.0)
    feed(audio, 3.0)
    root = manifest(video, audio)
    rows = timeline(root, "720p")
    assert [length / 90_000 for _, length in rows] == [1.0, 1.0, 2.0]
    assert rows[0][0] == START * 90_000
    assert all(at + length == following for (at, length), (following, _) in pairwise(rows))
    [utc] = root.findall(f"{NS}UTCTiming")
    assert utc.get("value") == "/time"
    assert {item.get("availabilityTimeComplete") for item in root.iter(f"{NS}SegmentTemplate")} == {"false"}


def test_each_discontinuity_is_a_period_of_its_own_whose_start_stays() -> None:
    video = rendition("720p")
    feed(video, 3.0)
    video.begin(Grid(START + 10, 1.0, 2.0))
    video.add_init(VIDEO_INIT)
    feed(video, 3.0, START + 10)
    root = manifest(video)
    assert [item.get("start") for item in root.findall(f"{NS}Period")] == ["PT60000000.000S", "PT60000010.000S"]
    feed(video, 40.0, START + 13)
    [period] = manifest(video).findall(f"{NS}Period")
    assert (period.get("id"), period.get("start")) == ("p1", "PT60000010.000S")


def test_a_cue_is_in_one_part_of_each_rendition_and_only_there() -> None:
    cues = Cues()
    made = [rendition("720p", cues), rendition("audio", cues)]
    for item in made:
        feed(item, 1.2)
    cue = cues.add(id="c1", kind="pin", at=START + 1.2, duration=5.0, data={"sku": "শাড়ি"})
    assert cues.add(id="c1", kind="pin", at=START + 9, duration=5.0, data={}) is cue
    for item in made:
        feed(item, 2.0, START + 1.2)
        parts = [part for segment in (*item.segments, item.current) if segment for part in segment.parts]
        found = [part for part in parts if part.data[4:8] == b"emsg"]
        assert len(found) == 1
        box = boxes.find(found[0].data, b"emsg")
        assert emsg.SCHEME.encode() in found[0].data[box.start : box.end]
    text = playlist.media(made[0], cut_seconds=2.0, cues=cues.since(0))
    [line] = [line for line in text.splitlines() if line.startswith("#EXT-X-DATERANGE")]
    assert json.loads(bytes.fromhex(line.rpartition("0x")[2])) == {"sku": "শাড়ি"}


@given(st.text(max_size=300))
def test_an_id3_tag_says_how_long_it_is(payload: str) -> None:
    payload = payload.encode("utf-8", "ignore").decode()
    tag = emsg.id3(payload)
    sizes = tag[6:10]
    assert all(byte < 0x80 for byte in sizes)
    assert sum(byte << shift for byte, shift in zip(sizes, (21, 14, 7, 0), strict=True)) == len(tag) - 10
    assert tag.endswith(payload.encode() + b"\x00")


def test_captions_follow_the_picture_s_segments() -> None:
    video, kept = rendition("720p"), Captions()
    feed(video, 5.4)
    kept.add(Caption(START + 1.5, START + 2.5, "bn", "<দাম> & stock"))
    text = captions.media(video, 2.0)
    assert [line for line in text.splitlines() if line.endswith(".vtt")] == ["40.vtt", "41.vtt", "42.vtt"]
    shown = []
    for segment in video.segments:
        found = kept.between(segment.start, segment.start + segment.duration, "bn")
        shown.append(captions.segment_text(segment, video.epochs[0], found))
    assert "-->" not in shown[0]
    assert "00:00:01.500 --> 00:00:02.500\n&lt;দাম&gt; &amp; stock" in shown[1]
    assert shown[1] == shown[2], "a caption in two segments says the same in both"
    [ticks] = [int(line.rpartition("MPEGTS:")[2]) for line in shown[1].splitlines() if "MPEGTS" in line]
    assert ticks == START * 90_000 % 2**33
    assert kept.languages == ["bn"]


def test_an_event_message_box_holds_its_times() -> None:
    box = emsg.event_message(timescale=90_000, at=5, duration=6, number=7, payload=b"x")
    assert struct.unpack_from(">IQII", box, 12) == (90_000, 5, 6, 7)
