"""What a path under /hls is, and how long it lives."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.edge.deliver.policy import Kind, classify

BASE = "/hls/shop/launch"


@pytest.mark.parametrize(
    ("path", "query", "kind", "upstream"),
    [
        ("master.m3u8", "", Kind.MASTER, "master.m3u8"),
        ("master.m3u8", "cachebuster=1", Kind.MASTER, "master.m3u8"),
        ("720p/media.m3u8", "", Kind.PLAYLIST, "720p/media.m3u8"),
        ("720p/media.m3u8", "_HLS_skip=YES", Kind.PLAYLIST, "720p/media.m3u8?_HLS_skip=YES"),
        (
            "720p/media.m3u8",
            "x=1&_HLS_part=03&_HLS_msn=7&_HLS_skip=v2",
            Kind.BLOCKING_PLAYLIST,
            "720p/media.m3u8?_HLS_msn=7&_HLS_part=3&_HLS_skip=YES",
        ),
        ("720p/media.m3u8", "_HLS_msn=a%0d", Kind.BLOCKING_PLAYLIST, "720p/media.m3u8?_HLS_msn=invalid"),
        ("audio/init.mp4", "v=0a1b", Kind.INIT, "audio/init.mp4?v=0a1b"),
        ("audio/init.mp4", "v=../x", Kind.INIT, "audio/init.mp4"),
        ("720p/12.m4s", "x=1", Kind.SEGMENT, "720p/12.m4s"),
        ("720p/12.3.m4s", "", Kind.PART, "720p/12.3.m4s"),
    ],
)
def test_known_paths(path: str, query: str, kind: Kind, upstream: str) -> None:
    target = classify(f"{BASE}/{path}", query)
    assert target is not None
    assert (target.stream, target.kind, target.path) == ("shop/launch", kind, f"{BASE}/{upstream}")


@pytest.mark.parametrize(
    "path",
    [
        "/hls/shop/launch",
        "/hls/shop/launch/",
        "/hls/shop/launch/720p/",
        "/hls/shop/launch/720p/x.m4s",
        "/hls/shop/launch/720p/1.m4s/",
        "/hls/shop/../launch/master.m3u8",
        "/hls/shop/launch/../../ingest",
        "/hls/SHOP/launch/master.m3u8",
        "/hls/shop/launch/720p/1.2.3.m4s",
        "/hls/shop/launch/master.m3u8\n",
    ],
)
def test_unknown_paths_never_reach_an_origin(path: str) -> None:
    assert classify(path, "") is None


def test_names_of_media_are_for_ever_and_playlists_are_not() -> None:
    controls = {name: classify(f"{BASE}/720p/{name}", "") for name in ("1.m4s", "1.0.m4s", "media.m3u8", "init.mp4")}
    immutable = {name for name, target in controls.items() if target and "immutable" in target.cache_control}
    assert immutable == {"1.m4s", "1.0.m4s"}


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_classified_or_refused(path: str, query: str) -> None:
    target = classify(f"{BASE}/{path}", query)
    assert target is None or target.path.startswith(f"{BASE}/")
