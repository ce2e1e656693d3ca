"""What a recording survives: a dead recorder, a store that is away, an emptied Redis, a full spool."""

import itertools
import signal
import time
from pathlib import Path

import httpx
import pytest
from media_plane import STREAM, Publisher, free_port, wait_for
from recorder_plane import Broadcast, Studio, durations, media_of, names, sessions, times
from s3_server import S3Server

pytestmark = pytest.mark.slow

OTHER = "recorder-b"
LATEST = ["latest.jpg", "latest.webp"]


def is_whole(broadcast: Broadcast) -> None:
    """One piece in each rendition, every segment once, no hole."""
    for rung in ("360p", "180p", "audio"):
        playlist = broadcast.playlist(rung)
        numbers = names(playlist)
        assert numbers == list(range(numbers[0], numbers[-1] + 1))
        assert len(sessions(playlist)) == 1
        found = times(media_of(broadcast, rung, playlist))
        assert max(after - before for before, after in itertools.pairwise(found)) < 0.1


def length_of(found: list[float]) -> float:
    return found[-1] - found[0]


def finished(studio: Studio) -> Broadcast:
    studio.plane.kill("source")
    studio.enter("Interrupted")
    time.sleep(2.5)
    studio.enter("Ended")
    (item,) = studio.ended()
    return Broadcast(studio, item, 0.0, [])


def holder(studio: Studio) -> str:
    value = studio.store.get(f"haat:recorder:lease:stream:{STREAM}")
    return str(value).rsplit("-0-", 1)[0] if value else ""


def test_a_killed_recorder_is_replaced_without_a_hole(local: Studio) -> None:
    local.start_recorder(RECORDER := "recorder-a")
    Publisher(local.plane)
    local.enter("Live")
    local.broadcast(5)
    assert holder(local) == RECORDER
    local.start_recorder(OTHER)
    local.plane.kill(RECORDER)
    killed = time.monotonic()
    wait_for(lambda: holder(local) == OTHER, 10)
    assert time.monotonic() - killed < 5
    local.plane.ports[RECORDER] = local.plane.ports[OTHER]
    local.broadcast(14)
    broadcast = finished(local)
    is_whole(broadcast)
    assert len(local.recordings()) == 1
    assert sum(durations(broadcast.playlist("360p"))) > 13


def test_a_stopped_recorder_hands_over_at_once(local: Studio) -> None:
    local.start_recorder()
    Publisher(local.plane)
    local.enter("Live")
    local.broadcast(4)
    local.start_recorder(OTHER)
    process = local.plane.processes["recorder-a"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(25) == 0
    wait_for(lambda: holder(local) == OTHER, 5)
    local.plane.ports["recorder-a"] = local.plane.ports[OTHER]
    local.broadcast(10)
    is_whole(finished(local))


def test_a_broadcast_that_ends_without_a_recorder_is_finished_later(local: Studio) -> None:
    local.start_recorder()
    Publisher(local.plane)
    local.enter("Live")
    local.broadcast(5)
    local.plane.kill("recorder-a")
    local.plane.kill("source")
    local.enter("Ended", origin="")
    local.start_recorder()
    (item,) = local.ended()
    assert item["duration_ms"] > 4000


def test_a_store_that_hangs_costs_nothing(cloud: Studio, s3: S3Server) -> None:
    cloud.start_recorder(HAAT_RECORDER_STORAGE_TIMEOUT_SECONDS="1.5")
    Publisher(cloud.plane)
    cloud.enter("Live")
    cloud.broadcast(4)
    s3.pause()
    try:
        time.sleep(12)
        assert httpx.get(f"{cloud.base}/healthz", timeout=2).status_code == 200
        spool = cloud.plane.folder / "spool-recorder-a"
        assert len(list(spool.glob("*.item"))) > 20
    finally:
        s3.go_on()
    cloud.broadcast(18)
    is_whole(finished(cloud))


def test_a_store_that_comes_late_gets_everything(tmp_path: Path, cloud: Studio) -> None:
    """The store is not there when the broadcast begins, and the recorder dies before it comes."""
    late = S3Server(tmp_path)
    late.port = free_port()
    late.environment["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{late.port}"
    cloud.environment = late.environment
    cloud.start_recorder(HAAT_RECORDER_STORAGE_TIMEOUT_SECONDS="1.5")
    Publisher(cloud.plane)
    cloud.enter("Live")
    spool = cloud.plane.folder / "spool-recorder-a"
    wait_for(lambda: len(list(spool.glob("*.item"))) > 20, 40)
    cloud.plane.kill("recorder-a")
    cloud.start_recorder(HAAT_RECORDER_STORAGE_TIMEOUT_SECONDS="1.5")
    try:
        late.start()
        cloud.broadcast(12)
        is_whole(finished(cloud))
    finally:
        late.stop()


def test_an_emptied_redis_goes_on_with_the_same_recording(local: Studio) -> None:
    local.start_recorder()
    Publisher(local.plane)
    local.enter("Live")
    local.broadcast(4)
    local.store.flushall()
    time.sleep(1)
    local.enter("Live")
    local.broadcast(9)
    broadcast = finished(local)
    assert len(local.recordings()) == 1
    is_whole(broadcast)


def test_a_full_spool_gives_up_the_oldest_and_says_so(cloud: Studio, s3: S3Server) -> None:
    cloud.start_recorder(HAAT_RECORDER_STORAGE_TIMEOUT_SECONDS="1.5", HAAT_RECORDER_SPOOL_BYTES=str(1024 * 1024))
    Publisher(cloud.plane)
    cloud.enter("Live")
    cloud.broadcast(4)
    s3.pause()
    try:
        wait_for(lambda: "recording.dropped" in str(cloud.store.xrange("haat:events")), 60)
        live = httpx.get(f"http://127.0.0.1:{cloud.plane.ports['transcoder']}/hls/{STREAM}/master.m3u8", timeout=5)
        assert live.status_code == 200
    finally:
        s3.go_on()
    cloud.broadcast(cloud.stored_seconds() + 3)
    metrics = cloud.get("/metrics").text
    assert f'haat_recorder_dropped_segments_total{{stream="{STREAM}"}}' in metrics
    broadcast = finished(cloud)
    pieces = sessions(broadcast.playlist("360p"))
    assert len(pieces) >= 2, "a hole is a discontinuity"
    for piece in pieces:
        assert sum(durations(piece)) == pytest.approx(length_of(times(media_of(broadcast, "360p", piece))), abs=0.1)


def test_recordings_are_deleted_when_their_time_is_over(local: Studio) -> None:
    local.start_recorder(HAAT_RECORDER_SWEEP_SECONDS="0.5")
    Publisher(local.plane)
    local.enter("Live", retention=6)
    local.broadcast(4)
    local.plane.kill("source")
    local.enter("Ended", retention=6)
    (item,) = local.ended()
    assert item["expires_ms"] == item["ended_ms"] + 6000
    wait_for(lambda: not local.recordings(), 30)
    store = local.plane.folder / "store" / STREAM
    wait_for(lambda: sorted(file.name for file in store.rglob("*") if file.is_file()) == LATEST, 10)


def test_a_long_broadcast_becomes_several_recordings_without_a_hole(local: Studio) -> None:
    local.start_recorder(HAAT_RECORDER_MAX_SECONDS="6")
    Publisher(local.plane)
    local.enter("Live")
    wait_for(lambda: len(local.recordings()) >= 3, 60)
    local.plane.kill("source")
    local.enter("Ended")
    wait_for(lambda: all(item["state"] == "ended" for item in local.recordings()), 30)
    items = [Broadcast(local, item, 0.0, []) for item in reversed(local.recordings())]
    for rung in ("360p", "180p", "audio"):
        numbers = [number for item in items for number in names(item.playlist(rung))]
        assert numbers == list(range(numbers[0], numbers[-1] + 1))


def test_what_is_not_to_be_recorded_is_not(local: Studio) -> None:
    local.start_recorder()
    local.enter("Live", enabled=False)
    Publisher(local.plane)
    origin = f"http://127.0.0.1:{local.plane.ports['transcoder']}"
    wait_for(lambda: httpx.get(f"{origin}/hls/{STREAM}/master.m3u8", timeout=10).status_code == 200)
    time.sleep(3)
    assert local.recordings() == []
    assert local.store.keys("haat:recordings*") == []
