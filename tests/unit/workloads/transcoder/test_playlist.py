"""Playlists, as a reviewer would read them."""

from media_builders import AUDIO_INIT, VIDEO_INIT, frame

from workloads.transcoder.package import playlist
from workloads.transcoder.package.grid import Grid
from workloads.transcoder.package.playlist import Variant
from workloads.transcoder.package.rendition import Rendition

START = 60_000_000.25


def rendition(name: str = "720p", seconds: float = 5.4, *, size: int = 100) -> Rendition:
    found = Rendition(name, first_msn=40, part_seconds=0.5, window_seconds=30, max_bytes=10**9, video=name != "audio")
    found.begin(Grid(START, 1.0, 2.0))
    found.add_init(VIDEO_INIT if name != "audio" else AUDIO_INIT)
    scale = 90_000 if name != "audio" else 48_000
    for index in range(round(seconds * 10)):
        found.add(frame(START + index / 10, 0.1, sync=index % 10 == 0, size=size, timescale=scale))
    return found


def test_media_playlist() -> None:
    text = playlist.media(
        rendition(seconds=2.6), cut_seconds=2.0, siblings=[rendition("audio", 2.2)], lead_seconds=0.25
    )
    assert (
        text
        == f"""#EXTM3U
#EXT-X-VERSION:9
#EXT-X-TARGETDURATION:2
#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12.0,HOLD-BACK=6.0,PART-HOLD-BACK=1.500
#EXT-X-PART-INF:PART-TARGET=0.50000
#EXT-X-MEDIA-SEQUENCE:40
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-HAAT-LEAD:0.250
#EXT-X-MAP:URI="{playlist.init_uri(rendition().init_version)}"
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T10:40:00.250Z
#EXT-X-PART:DURATION=0.50000,URI="40.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.50000,URI="40.1.m4s"
#EXTINF:1.00000,
40.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T10:40:01.250Z
#EXT-X-PART:DURATION=0.50000,URI="41.0.m4s",INDEPENDENT=YES
#EXT-X-PART:DURATION=0.50000,URI="41.1.m4s"
#EXTINF:1.00000,
41.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-26T10:40:02.250Z
#EXT-X-PART:DURATION=0.50000,URI="42.0.m4s",INDEPENDENT=YES
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="42.1.m4s"
#EXT-X-RENDITION-REPORT:URI="../audio/media.m3u8",LAST-MSN=41,LAST-PART=1
"""
    )


def test_a_delta_update_skips_what_lies_beyond_the_boundary_and_loses_nothing() -> None:
    long = rendition(seconds=25.4)
    full, delta = playlist.media(long, cut_seconds=2.0), playlist.media(long, cut_seconds=2.0, skip=True)
    [skip] = [line for line in delta.splitlines() if line.startswith("#EXT-X-SKIP")]
    skipped = int(skip.rpartition("=")[2])
    kept = [line for line in delta.splitlines() if line.startswith("#EXTINF")]
    assert skipped + len(kept) == full.count("#EXTINF")
    assert sum(float(line[8:-1]) for line in kept) >= 12
    assert "#EXT-X-MAP" not in delta
    assert delta.splitlines()[-1] == full.splitlines()[-1]


def test_a_short_playlist_is_not_skipped() -> None:
    assert "#EXT-X-SKIP" not in playlist.media(rendition(), cut_seconds=2.0, skip=True)


def test_old_segments_are_listed_without_parts() -> None:
    lines = playlist.media(rendition(seconds=25.4), cut_seconds=2.0).splitlines()
    with_parts = {line.split('URI="')[1].split(".")[0] for line in lines if line.startswith("#EXT-X-PART:")}
    assert sorted(map(int, with_parts)) == [50, 51, 52, 53]


def test_a_reconnect_is_a_discontinuity_with_its_own_map_and_the_sequence_counts_it() -> None:
    found = rendition(seconds=2.5)
    found.begin(Grid(START + 10, 1.0, 2.0))
    for index in range(400):
        found.add(frame(START + 10 + index / 10, 0.1, sync=index % 10 == 0))
        if index == 15:
            text = playlist.media(found, cut_seconds=2.0)
            assert text.count("#EXT-X-DISCONTINUITY\n") == 1
            assert "#EXT-X-DISCONTINUITY-SEQUENCE" not in text
    text = playlist.media(found, cut_seconds=2.0)
    assert "#EXT-X-DISCONTINUITY\n" not in text
    assert "#EXT-X-DISCONTINUITY-SEQUENCE:1\n" in text


def test_master_orders_rungs_and_names_codecs() -> None:
    big, small = rendition("720p", size=100), rendition("360p", size=400)
    variants = [Variant(big, 2800, 25.0), Variant(small, 600, 25.0)]
    lines = playlist.master(variants, rendition("audio"), 128).splitlines()
    assert lines[3].startswith('#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="audio"')
    assert 'CODECS="avc1.64001f,mp4a.40.2",RESOLUTION=1280x720,FRAME-RATE=25.000,AUDIO="audio"' in lines[4]
    assert [lines[5], lines[7]] == ["720p/media.m3u8", "360p/media.m3u8"]
    rates = [int(line.split("BANDWIDTH=")[1].split(",")[0]) for line in (lines[4], lines[6])]
    assert rates[0] > rates[1] > 400 * 8 * 10


def test_bandwidth_is_nominal_until_measured() -> None:
    assert playlist.bandwidth(rendition(seconds=0.5), 1000) == (1_100_000, 1_000_000)
    peak, average = playlist.bandwidth(rendition(seconds=8.5, size=1000), 1000)
    assert 80_000 < average <= peak < 90_000


def test_without_sound_no_audio_group_is_promised() -> None:
    text = playlist.master([Variant(rendition(), 2800, 25.0)], None, 128)
    assert "AUDIO" not in text
    assert 'CODECS="avc1.64001f"' in text
