"""The newcomer's path: three resources, a live stream, a room, a sale; and what happens when things go wrong."""

import contextlib
import json
import subprocess
import time
import uuid

import httpx
import imageio_ffmpeg
import pytest
from websockets.sync.client import connect

from tests.e2e.conftest import Platform, start, stop, wait_for

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("needs_kubectl"), pytest.mark.timeout(400)]

STREAM = """
apiVersion: haat.dev/v1alpha1
kind: LiveStream
metadata: {{name: {name}, namespace: shop}}
spec: {{channel: {{name: {channel}}}, title: A second show, fanout: {{drain: 1s}}}}
"""
CHANNEL = """
apiVersion: haat.dev/v1alpha1
kind: Channel
metadata: {{name: {name}, namespace: shop}}
spec: {{displayName: Second, slug: {name}, deletionPolicy: Delete}}
"""


def phase(platform: Platform, name: str) -> str:
    return str((platform.get("livestream", name).get("status") or {}).get("phase"))


def conditions(platform: Platform, kind: str, name: str) -> dict[str, dict]:
    status = platform.get(kind, name).get("status") or {}
    return {item["type"]: item for item in status.get("conditions") or ()}


def publish(url: str, seconds: float) -> subprocess.Popen[bytes]:
    """ffmpeg as a host would run it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-loglevel", "error", "-re"]
    command += ["-f", "lavfi", "-i", "testsrc2=size=640x360:rate=25", "-f", "lavfi", "-i", "sine=frequency=440"]
    command += ["-t", str(seconds), "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "50"]
    command += ["-c:a", "aac", "-f", "flv", url]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def test_endpoints_name_everything(platform: Platform) -> None:
    assert set(platform.endpoints) == {
        "viewer", "studio", "api", "hls", "ws", "rtmp", "stream_key", "kubeconfig", "metrics",
    }  # fmt: skip
    assert (platform.state / "endpoints.json").stat().st_mode & 0o077 == 0


def test_kubectl_shows_a_live_shop(platform: Platform) -> None:
    table = platform.kubectl("get", "livestreams,channels,flashsales", "-A")
    assert "PHASE" in table
    assert "Live" in table
    described = platform.kubectl("-n", "shop", "describe", "lstream", "launch")
    assert "PhaseLive" in described
    assert "Receiving" in platform.kubectl("explain", "livestream.status") or "conditions" in platform.kubectl(
        "explain", "livestream.status"
    )


def test_the_playlist_has_parts_and_three_rungs_with_sound(platform: Platform) -> None:
    master = httpx.get(platform.endpoints["hls"], timeout=10).text
    rungs = [line for line in master.splitlines() if line.endswith("media.m3u8") and not line.startswith("#")]
    assert [rung.split("/")[0] for rung in rungs] == ["720p", "480p", "360p", "audio"]
    assert "TYPE=AUDIO" in master
    media_url = platform.endpoints["hls"].replace("master.m3u8", rungs[0])
    first = httpx.get(media_url, timeout=10).text
    assert "#EXT-X-PART:" in first
    assert "#EXT-X-PRELOAD-HINT:" in first
    wait_for(lambda: httpx.get(media_url, timeout=10).text != first, seconds=10)


def test_operators_metrics_are_served(platform: Platform) -> None:
    text = httpx.get(platform.endpoints["metrics"], timeout=10).text
    assert 'haat_reconcile_total{kind="LiveStream",result="ok"}' in text
    assert "haat_leader 1.0" in text


INVALID = [
    pytest.param("LiveStream", {"channel": {"name": "x"}, "title": ""}, "spec.title", id="empty title"),
    pytest.param("LiveStream", {"title": "t"}, "spec.channel", id="no channel"),
    pytest.param(
        "LiveStream",
        {"channel": {"name": "x"}, "title": "t", "fanout": {"minReplicas": 5, "maxReplicas": 2}},
        "minReplicas must not exceed maxReplicas",
        id="bounds crossed",
    ),
    pytest.param(
        "LiveStream",
        {"channel": {"name": "x"}, "title": "t", "schedule": {"maxDuration": "2 minutes"}},
        "spec.schedule.maxDuration",
        id="no duration",
    ),
    pytest.param("Channel", {"displayName": "C", "slug": "Not A Slug"}, "spec.slug", id="bad slug"),
    pytest.param(
        "FlashSale",
        {
            "stream": {"name": "x"},
            "startsAt": "2027-01-01T10:00:00Z",
            "endsAt": "2027-01-01T09:00:00Z",
            "items": [{"sku": "A", "title": "A", "price": {"amount": 1, "currency": "BDT"}, "stock": 1}],
        },
        "endsAt must be after startsAt",
        id="sale ends before it starts",
    ),
    pytest.param(
        "FlashSale",
        {
            "startsAt": "2027-01-01T08:00:00Z",
            "endsAt": "2027-01-01T09:00:00Z",
            "items": [{"sku": "A", "title": "A", "price": {"amount": 1, "currency": "taka"}, "stock": 1}],
        },
        "currency",
        id="no currency code",
    ),
]


@pytest.mark.parametrize(("kind", "spec", "expected"), INVALID)
def test_invalid_resources_are_refused_with_the_field(platform: Platform, kind: str, spec: dict, expected: str) -> None:
    document = {
        "apiVersion": "haat.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": f"bad-{uuid.uuid4().hex[:6]}", "namespace": "shop"},
        "spec": spec,
    }
    answer = platform.kubectl("apply", "-f", "-", stdin=json.dumps(document), check=False)
    assert "is invalid" in answer
    assert expected in answer


def test_a_stream_without_its_channel_waits_and_heals(platform: Platform) -> None:
    platform.kubectl("apply", "-f", "-", stdin=STREAM.format(name="second", channel="late"))
    accepted = wait_for(lambda: conditions(platform, "livestream", "second").get("Accepted"))
    assert (accepted["status"], accepted["reason"]) == ("False", "ChannelNotFound")
    platform.kubectl("apply", "-f", "-", stdin=CHANNEL.format(name="late"))
    platform.kubectl("-n", "shop", "wait", "lstream/second", "--for=jsonpath={.status.phase}=Standby", "--timeout=30s")


def test_a_wrong_key_is_refused_and_the_right_one_turns_the_stream_live(platform: Platform) -> None:
    wait_for(lambda: phase(platform, "second") == "Standby")
    wrong = publish(f"{platform.endpoints['rtmp']}/no-such-key", 5)
    assert wrong.wait(10) != 0
    assert phase(platform, "second") == "Standby"
    encoded = platform.get("secret", "second-stream-key")["data"]["rtmp-url"]
    import base64

    host = publish(base64.b64decode(encoded).decode(), 60)
    try:
        wait_for(lambda: phase(platform, "second") == "Live", seconds=20)
        second = publish(base64.b64decode(encoded).decode(), 5)
        assert second.wait(10) != 0, "a second publisher must be refused"
        assert phase(platform, "second") == "Live"
    finally:
        host.kill()
    wait_for(lambda: phase(platform, "second") == "Interrupted", seconds=20)


def test_a_deleted_or_edited_child_comes_back(platform: Platform) -> None:
    before = platform.get("service", "second-fanout")["metadata"]["uid"]
    platform.kubectl("-n", "shop", "delete", "service", "second-fanout")
    wait_for(lambda: platform.get("service", "second-fanout").get("metadata", {}).get("uid") not in (None, before))
    platform.kubectl("-n", "shop", "set", "env", "deployment/second-fanout", "HAAT_REDIS_URL=redis://nowhere:1/0")

    def environment() -> dict:
        container = platform.get("deployment", "second-fanout")["spec"]["template"]["spec"]["containers"][0]
        return {item["name"]: item.get("value") for item in container["env"]}

    wait_for(lambda: environment()["HAAT_REDIS_URL"] != "redis://nowhere:1/0")


def test_deleting_leaves_nothing(platform: Platform) -> None:
    platform.kubectl("-n", "shop", "delete", "lstream", "second", "--timeout=60s")
    platform.kubectl("-n", "shop", "delete", "channel", "late", "--timeout=60s")

    def left() -> str:
        return platform.kubectl(
            "-n", "shop", "get", "deploy,rs,pod,svc,cm,secret,sa,ing,pdb,lstream,channel", "-o", "name"
        )

    wait_for(lambda: "second" not in left() and "late" not in left(), seconds=60)


def test_chat_pin_and_recovery_over_the_socket(platform: Platform) -> None:
    stream = "shop/launch"
    token = platform.session()
    with connect(platform.endpoints["ws"], open_timeout=10) as socket:
        socket.send(json.dumps({"type": "hello", "token": token, "rooms": [stream]}))
        welcome = json.loads(socket.recv(timeout=10))
        assert welcome["type"] == "welcome"
        key = str(uuid.uuid4())
        frame = {"type": "publish", "room": stream, "event": "chat", "data": {"text": "nomoshkar"}, "id": key}
        socket.send(json.dumps(frame))
        heard = hear(socket, lambda event: event.get("event") == "chat")
        assert heard["data"]["text"] == "nomoshkar"
    since = {stream: {"epoch": welcome["epoch"], "offset": welcome["offset"]}}
    with connect(platform.endpoints["ws"], open_timeout=10) as socket:
        socket.send(json.dumps({"type": "hello", "token": token, "rooms": [stream], "since": since}))
        again = json.loads(socket.recv(timeout=10))
        assert again["recovered"] is True
        assert [item["data"]["text"] for item in again["history"] if item["event"] == "chat"].count("nomoshkar") == 1


def hear(socket: object, wanted: object, *, seconds: float = 10) -> dict:
    """The first event that `wanted` accepts, out of single frames and batches."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        frame = json.loads(socket.recv(timeout=seconds))  # type: ignore[attr-defined]
        for event in frame.get("events", [frame]):
            if wanted(event):  # type: ignore[operator]
                return dict(event)
    raise AssertionError("not heard")


def test_an_oversized_frame_closes_only_its_own_socket(platform: Platform) -> None:
    from websockets.exceptions import ConnectionClosed

    with connect(platform.endpoints["ws"], open_timeout=10) as socket:
        socket.send("x" * 200_000)
        closed = None
        while closed is None:
            try:
                socket.recv(timeout=10)
            except ConnectionClosed as error:
                closed = error.rcvd
        assert closed.code == 1009
    assert httpx.get(platform.endpoints["hls"], timeout=10).status_code == 200


def test_sockets_scale_the_room(platform: Platform) -> None:
    """Four sockets at two a pod and 70 % want three pods: the operator counts heartbeats and scales by itself."""
    name, stream = "crowded", "shop/crowded"
    platform.kubectl("apply", "-f", "-", stdin=CHANNEL.format(name=name))
    spec = STREAM.format(name=name, channel=name).replace(
        "drain: 1s", "drain: 1s, maxReplicas: 3, connectionsPerReplica: 2"
    )
    platform.kubectl("apply", "-f", "-", stdin=spec)
    platform.kubectl("-n", "shop", "wait", f"lstream/{name}", "--for=jsonpath={.status.phase}=Standby", "--timeout=60s")
    assert platform.get("deployment", f"{name}-fanout")["spec"]["replicas"] == 1
    url = platform.endpoints["ws"].replace("shop/launch", stream)
    with contextlib.ExitStack() as sockets:
        for number in range(4):
            socket = sockets.enter_context(connect(url, open_timeout=10))
            socket.send(json.dumps({"type": "hello", "token": platform.session(f"g{number}"), "rooms": [stream]}))
            assert json.loads(socket.recv(timeout=10))["type"] == "welcome"
        wait_for(lambda: platform.get("deployment", f"{name}-fanout")["spec"]["replicas"] == 3, seconds=60)
    assert "Scaled" in platform.kubectl("-n", "shop", "describe", "lstream", name)
    platform.kubectl("-n", "shop", "delete", "lstream", name, "--timeout=60s")
    platform.kubectl("-n", "shop", "delete", "channel", name, "--timeout=60s")


def test_a_second_start_finds_the_same_shop_and_a_stop_leaves_no_process(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Two platforms side by side: this one has a state of its own."""
    state = tmp_path_factory.mktemp("haat-again")
    first = start(state)
    key = first.endpoints["stream_key"]
    stop(first)
    assert wait_for(lambda: not first.pod_processes(), seconds=10)
    second = start(state)
    assert second.endpoints["stream_key"] == key
    second.process.kill()
    second.process.wait(10)
    assert wait_for(lambda: not second.pod_processes(), seconds=20)
