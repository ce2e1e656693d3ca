"""Lanes, ticks, merging, slow consumers, private messages: who is written what, and when."""

import msgspec
import pytest

from tests.unit.workloads.fanout.harness import ROOM, MemoryBroker, Pod, Visitor, token
from workloads.fanout.policy import Lane, SlowPolicy, Verdict
from workloads.fanout.ring import Entry, parse_entry
from workloads.fanout.room import chat_tick

KB = 1024


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def pod(broker: MemoryBroker) -> Pod:
    return Pod(broker, tick=lambda _: 0.025)


def kinds(messages: list) -> list[str]:
    return [message["event"] if message["type"] == "event" else message["type"] for message in messages]


def tell(pod: Pod, event: str, data: dict) -> None:
    pod.room.accept(parse_entry(msgspec.json.encode({"type": "event", "event": event, "data": data})))


def test_small_rooms_do_not_wait_and_large_ones_a_little() -> None:
    assert [chat_tick(count) for count in (1, 999, 1000, 4999, 5000, 10**6)] == [0, 0, 0.025, 0.025, 0.05, 0.05]


def test_chat_waits_for_the_tick_and_travels_together(pod: Pod, broker: MemoryBroker) -> None:
    ann = pod.join("ann")
    ann.read()
    for number in range(3):
        broker.put(ROOM, "chat", {"n": number})
    pod.timers.fire(below=0.02)
    assert ann.read() == []
    pod.timers.fire()
    raw = bytes(ann.wire.out)
    assert raw.count(b'"batch"') == 1
    assert [message["data"]["n"] for message in ann.read()] == [0, 1, 2]


def test_a_critical_event_goes_now_and_takes_the_waiting_chat_along(pod: Pod, broker: MemoryBroker) -> None:
    ann = pod.join("ann")
    ann.read()
    broker.put(ROOM, "chat", {})
    broker.put(ROOM, "sale.opened", {})
    broker.put(ROOM, "chat", {})
    pod.timers.fire(below=0.02)
    assert kinds(ann.read()) == ["chat", "sale.opened", "chat"]
    assert pod.timers.waiting == []


def test_a_large_batch_is_cut_into_frames(pod: Pod, broker: MemoryBroker) -> None:
    ann = pod.join("ann")
    ann.read()
    for _ in range(20):
        broker.put(ROOM, "chat", {"text": "x" * 10 * KB})
    pod.timers.fire()
    assert bytes(ann.wire.out).count(b'"batch"') > 1
    assert [message["offset"] for message in ann.read()] == list(range(1, 21))


def test_of_ephemeral_events_the_newest_of_each_kind_wins(pod: Pod) -> None:
    ann = pod.join("ann")
    ann.read()
    for number in range(5):
        tell(pod, "viewers.tick", {"viewers": number})
        tell(pod, "sale.tick", {"id": "a", "n": number})
        tell(pod, "sale.tick", {"id": "b", "n": number})
    pod.timers.fire()
    heard = ann.read()
    assert [(message["event"], message["data"]) for message in heard] == [
        ("viewers.tick", {"viewers": 4}),
        ("sale.tick", {"id": "a", "n": 4}),
        ("sale.tick", {"id": "b", "n": 4}),
    ]


def test_the_same_bytes_go_to_every_socket(pod: Pod, broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[bytes] = []
    for number in range(3):
        visitor = pod.join(f"user-{number}")
        visitor.socket.write = written.append
    broker.put(ROOM, "chat", {"text": "x"})
    pod.timers.fire()
    assert len(written) == 3
    assert all(frame is written[0] for frame in written)


def test_compressed_and_plain_sockets_read_the_same(pod: Pod, broker: MemoryBroker) -> None:
    plain, packed = pod.join("plain"), pod.join("packed", deflate=True)
    for visitor in (plain, packed):
        visitor.read()
    for number in range(10):
        broker.put(ROOM, "chat", {"text": f"message {number} of many that look alike"})
    pod.timers.fire()
    assert len(packed.wire.out) < len(plain.wire.out) / 2
    assert plain.read() == packed.read()


@pytest.mark.parametrize(
    ("lane", "buffered", "verdict"),
    [
        pytest.param(Lane.EPHEMERAL, 64 * KB, Verdict.SEND, id="ephemeral at the threshold"),
        pytest.param(Lane.EPHEMERAL, 64 * KB + 1, Verdict.DROP, id="ephemeral goes first"),
        pytest.param(Lane.CHAT, 256 * KB, Verdict.SEND, id="chat at the threshold"),
        pytest.param(Lane.CHAT, 256 * KB + 1, Verdict.DROP, id="then chat"),
        pytest.param(Lane.CRITICAL, 1024 * KB, Verdict.SEND, id="critical is never dropped"),
        pytest.param(Lane.CRITICAL, 1024 * KB + 1, Verdict.CLOSE, id="then the connection"),
    ],
)
def test_thresholds(lane: Lane, buffered: int, verdict: Verdict) -> None:
    assert SlowPolicy().verdict(lane, buffered) is verdict


def slow(visitor: Visitor, buffered: int) -> None:
    """The client stops reading with so many bytes under way."""
    visitor.wire.waiting = buffered
    visitor.socket.pause_writing()


def test_a_slow_viewer_misses_counts_and_gets_the_newest_when_it_reads_again(pod: Pod) -> None:
    ann, omar = pod.join("ann"), pod.join("omar")
    for visitor in (ann, omar):
        visitor.read()
    slow(ann, 100 * KB)
    for number in range(3):
        tell(pod, "viewers.tick", {"viewers": number})
        pod.timers.fire()
    assert ann.read() == []
    assert [message["data"]["viewers"] for message in omar.read()] == [0, 1, 2]
    ann.socket.resume_writing()
    assert [message["data"]["viewers"] for message in ann.read()] == [2]
    ann.socket.resume_writing()
    assert ann.read() == [], "once is enough"


def test_a_slower_viewer_skips_chat_hears_of_the_gap_once_and_keeps_the_critical(
    pod: Pod, broker: MemoryBroker
) -> None:
    ann, omar = pod.join("ann"), pod.join("omar")
    broker.put(ROOM, "chat", {})
    pod.timers.fire()
    for visitor in (ann, omar):
        visitor.read()
    slow(ann, 300 * KB)
    for event in ("chat", "chat", "sale.opened", "chat"):
        broker.put(ROOM, event, {})
        pod.timers.fire()
    heard = ann.read()
    assert kinds(heard) == ["gap", "sale.opened"]
    assert heard[0] == {"type": "gap", "room": ROOM, "epoch": pod.room.ring.epoch, "offset": 1}
    assert kinds(omar.read()) == ["chat", "chat", "sale.opened", "chat"]
    ann.wire.waiting = 0
    ann.socket.resume_writing()
    ann.say({"type": "hello", "token": token("ann"), "since": {ROOM: {"epoch": heard[0]["epoch"], "offset": 1}}})
    welcome = ann.read()[0]
    assert welcome["recovered"] is True
    assert [event["offset"] for event in welcome["history"]] == [2, 3, 4, 5]


def test_each_new_gap_is_told(pod: Pod, broker: MemoryBroker) -> None:
    ann = pod.join("ann")
    ann.read()
    for _ in range(2):
        slow(ann, 300 * KB)
        broker.put(ROOM, "chat", {})
        pod.timers.fire()
        ann.wire.waiting = 0
        ann.socket.resume_writing()
        broker.put(ROOM, "chat", {})
        pod.timers.fire()
    assert [(m["type"], m["offset"]) for m in ann.read()] == [("gap", 0), ("event", 2), ("gap", 2), ("event", 4)]


def test_the_slowest_is_closed_and_the_room_goes_on(pod: Pod, broker: MemoryBroker) -> None:
    ann, omar = pod.join("ann"), pod.join("omar")
    for visitor in (ann, omar):
        visitor.read()
    slow(ann, 2000 * KB)
    broker.put(ROOM, "sale.opened", {})
    pod.timers.fire()
    assert ann.read() == [4008]
    assert kinds(omar.read()) == ["sale.opened"]
    assert list(pod.room.sockets) == [omar.socket]
    assert set(pod.room.members) == {"omar"}


def test_slow_for_too_long_is_closed_by_the_sweep_even_in_a_silent_room(pod: Pod) -> None:
    ann = pod.join("ann")
    ann.read()
    slow(ann, 100 * KB)
    pod.hub.sweep(ann.socket.paused_at + 9)
    assert not ann.socket.closing
    pod.hub.sweep(ann.socket.paused_at + 11)
    assert 4008 in ann.read()
    assert not ann.wire.ended
    pod.hub.sweep(ann.socket.deadline + 1)
    assert ann.wire.ended, "who does not finish the closing handshake is cut off"


def test_private_messages_reach_all_windows_of_their_user_and_nobody_else(pod: Pod) -> None:
    phone, laptop, omar = pod.join("ann"), pod.join("ann"), pod.join("omar")
    for visitor in (phone, laptop, omar):
        visitor.read()
    assert pod.hub.tell_user("ann", b'{"type":"order.result"}') == 2
    assert pod.hub.tell_user("nobody", b'{"type":"order.result"}') == 0
    assert [len(visitor.read()) for visitor in (phone, laptop, omar)] == [1, 1, 0]
    phone.leave()
    assert pod.hub.viewers == 2
    laptop.leave()
    assert pod.hub.viewers == 1
    assert pod.hub.tell_user("ann", b"{}") == 0


def test_a_second_hello_may_change_the_person(pod: Pod) -> None:
    visitor = pod.join("ann")
    visitor.say({"type": "hello", "token": token("omar")})
    assert [message["user"]["id"] for message in visitor.read()] == ["ann", "omar"]
    assert set(pod.room.members) == {"omar"}
    visitor.leave()
    assert pod.room.members == {}


def test_a_lost_history_is_told_to_everybody_once_with_the_place_where_it_ended(pod: Pod, broker: MemoryBroker) -> None:
    ann = pod.join("ann")
    broker.put(ROOM, "chat", {})
    ann.read()
    old = pod.room.ring.epoch
    pod.room.restart("new", 7, [Entry("new", 7, "chat", b"{}")], {})
    assert [(m["type"], m["epoch"], m["offset"]) for m in ann.read() if m["type"] == "gap"] == [("gap", old, 1)]
    assert (pod.room.position.epoch, pod.room.position.offset) == ("new", 7)


def test_pings_go_round_and_the_dead_are_cut_off(pod: Pod) -> None:
    ann = pod.join("ann")
    ann.read()
    start = ann.socket.seen
    for second in range(1, 26):
        pod.hub.sweep(start + second)
    assert bytes(ann.wire.out) == b"\x89\x00", "one ping in 25 seconds"
    for second in range(26, 90):
        pod.hub.sweep(start + second)
    assert ann.wire.ended


def test_who_says_nothing_at_the_door_is_turned_away(pod: Pod) -> None:
    silent, ann = pod.connect(), pod.join("ann")
    pod.hub.sweep(silent.socket.deadline + 0.1)
    assert silent.read()[-1] == 4001
    assert silent.heard[0]["code"] == "hello_missing"
    assert not ann.socket.closing


def test_who_never_reads_answers_is_not_answered_for_ever(pod: Pod) -> None:
    ann = pod.join("ann")
    ann.read()
    slow(ann, 100 * KB)
    ann.socket.data_received(b"\x89\x80\x00\x00\x00\x00")
    assert bytes(ann.wire.out) == b"", "no pongs into a full buffer"
    ann.wire.waiting = 300 * KB
    ann.say({"type": "hello", "token": token("ann")})
    assert ann.read()[0]["code"] == "rate_limited"
    ann.wire.waiting = 2000 * KB
    ann.say({"type": "ping"})
    assert ann.read() == [4008]
    ann.say({"type": "ping"})
    assert ann.read() == []


def test_the_board_of_a_welcome_has_todays_clock(pod: Pod, broker: MemoryBroker) -> None:
    broker.put(ROOM, "sale.scheduled", {"id": "s", "phase": "Scheduled", "server_now_ms": 5, "starts_at_ms": 9})
    welcome = pod.join("ann").read()[0]
    assert welcome["state"]["sale"]["server_now_ms"] == welcome["now_ms"]
    assert welcome["state"]["sale"]["starts_at_ms"] == 9
    assert welcome["history"] == [], "it joined before the tick"
