"""Whatever the order of events, ticks, late deliveries and reconnects: each event exactly once, in order."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.workloads.fanout.harness import ROOM, LaggingBroker, Pod, Visitor
from workloads.fanout.recover import Position, SingleFlight, splice
from workloads.fanout.ring import Entry, Fit, Ring

TICK = 0.025


class Traveller:
    """A client that keeps its position over reconnects and counts what it is told."""

    def __init__(self, user: str, epoch: str) -> None:
        self.user = user
        self.epoch = epoch
        self.offsets: list[int] = []
        self.partial = False
        self._visitor: Visitor | None = None

    def connect(self, pod: Pod) -> None:
        self.leave()
        last = self.offsets[-1] if self.offsets else 0
        self._visitor = pod.join(self.user, since=(self.epoch, last))

    def leave(self) -> None:
        self.read()
        if self._visitor:
            self._visitor.leave()
            self._visitor = None

    def read(self) -> None:
        for message in self._visitor.read() if self._visitor else ():
            if message["type"] == "welcome":
                self.partial |= not message["recovered"]
                self.offsets += [event["offset"] for event in message["history"]]
            elif message["type"] == "event" and "offset" in message:
                self.offsets.append(message["offset"])


step = st.one_of(
    st.tuples(st.just("publish"), st.sampled_from(["chat", "pin", "sale.opened", "chat"])),
    st.tuples(st.just("connect"), st.tuples(st.integers(0, 2), st.integers(0, 1))),
    st.tuples(st.just("leave"), st.integers(0, 2)),
    st.tuples(st.just("tick"), st.integers(0, 1)),
    st.tuples(st.just("critical"), st.integers(0, 1)),
    st.tuples(st.just("lag"), st.integers(0, 1)),
    st.tuples(st.just("release"), st.integers(0, 1)),
)


async def travel(
    steps: list, *, ring_events: int, prepare: Callable[[Pod], None] = lambda pod: None
) -> list[Traveller]:
    """Play the steps with two pods and three clients, then let everything arrive and everybody come once more."""
    broker = LaggingBroker()
    pods = [Pod(broker, ring_events=ring_events, tick=lambda _: TICK) for _ in range(2)]
    for pod in pods:
        prepare(pod)
    epoch = pods[0].room.ring.epoch
    clients = [Traveller(f"user-{number}", epoch) for number in range(3)]

    async def settle() -> None:
        for _ in range(6):
            await asyncio.sleep(0)

    for kind, value in steps:
        if kind == "publish":
            broker.put(ROOM, value, {"n": 1})
        elif kind == "connect":
            clients[value[0]].connect(pods[value[1]])
            await settle()
        elif kind == "leave":
            clients[value].leave()
        elif kind == "tick":
            pods[value].timers.fire()
        elif kind == "critical":
            pods[value].timers.fire(below=TICK)
        elif kind == "lag":
            broker.lagging.add(id(pods[value].room))
        elif kind == "release":
            broker.release(pods[value].room)
    for pod in pods:
        broker.release(pod.room)
        pod.timers.fire()
    for number, client in enumerate(clients):
        client.connect(pods[number % 2])
        await settle()
        client.read()
    return clients


@settings(max_examples=300, deadline=None)
@given(st.lists(step, max_size=40), st.sampled_from([16, 256]))
def test_every_interleaving_tells_each_event_exactly_once(steps: list, ring_events: int) -> None:
    clients = asyncio.run(travel(steps, ring_events=ring_events))
    published = sum(kind == "publish" for kind, _ in steps)
    for client in clients:
        assert not client.partial
        assert client.offsets == list(range(1, published + 1))


def test_control_standing_at_the_newest_event_repeats_those_that_wait_for_the_tick() -> None:
    """The control: who joins stands at the newest event instead of at the last that was sent to everybody."""
    steps = [("publish", "chat"), ("connect", (0, 0)), ("tick", 0)]

    def make_hasty(pod: Pod) -> None:
        accept = pod.room.accept

        def hasty(entry: Entry) -> Fit:
            fit = accept(entry)
            pod.room.flushed = pod.room.ring.last
            return fit

        pod.room.accept = hasty  # type: ignore[method-assign]

    assert asyncio.run(travel(steps, ring_events=16))[0].offsets == [1]
    assert asyncio.run(travel(steps, ring_events=16, prepare=make_hasty))[0].offsets == [1, 1]


def entry(offset: int, *, epoch: str = "e", text: str = "x") -> Entry:
    raw = f'{{"event":"chat","offset":{offset},"epoch":"{epoch}","data":{{"text":"{text}"}}}}'
    return Entry(epoch, offset, "chat", raw.encode())


def ring_of(first: int, last: int, capacity: int = 100) -> Ring:
    ring = Ring(capacity)
    ring.reset("e", last, [entry(offset) for offset in range(first, last + 1)])
    return ring


@pytest.mark.parametrize(
    ("event", "fit"),
    [
        pytest.param(entry(11), Fit.NEXT, id="next"),
        pytest.param(entry(10), Fit.KNOWN, id="the last again"),
        pytest.param(entry(2), Fit.KNOWN, id="older than the ring"),
        pytest.param(entry(12), Fit.HOLE, id="one is missing"),
        pytest.param(entry(11, epoch="f"), Fit.OTHER_HISTORY, id="another epoch"),
        pytest.param(entry(10, text="y"), Fit.OTHER_HISTORY, id="same offset, another event"),
    ],
)
def test_how_an_event_fits(event: Entry, fit: Fit) -> None:
    assert ring_of(5, 10).fit(event) is fit


@pytest.mark.parametrize(
    ("after", "until", "offsets"),
    [
        pytest.param(4, 10, [5, 6, 7, 8, 9, 10], id="everything"),
        pytest.param(7, 9, [8, 9], id="a part"),
        pytest.param(10, 10, [], id="nothing is missing"),
        pytest.param(3, 10, None, id="older than the ring"),
        pytest.param(11, 10, None, id="ahead"),
        pytest.param(7, 11, None, id="until the future"),
    ],
)
def test_a_ring_answers_completely_or_not_at_all(after: int, until: int, offsets: list[int] | None) -> None:
    found = ring_of(5, 10).between(after, until)
    assert (None if found is None else [item.offset for item in found]) == offsets


def test_a_ring_keeps_the_newest_and_only_a_contiguous_tail() -> None:
    ring = Ring(3)
    ring.reset("e", 9, [entry(5), entry(7), entry(8), entry(9)])
    assert (ring.first, ring.last) == (7, 9)
    ring.add(entry(10))
    assert (ring.first, ring.at(7), [item.offset for item in ring.newest(9, 10)]) == (8, None, [8, 9, 10])
    with pytest.raises(ValueError):
        ring.add(entry(12))
    ring.reset("f", 9, [entry(9)])
    assert (ring.first, ring.newest(5, 9)) == (10, [])


def test_log_and_ring_together_or_nothing() -> None:
    ring = ring_of(8, 12)
    log = [entry(offset) for offset in range(3, 11)]
    found = splice(log, ring, Position("e", 4), 12)
    assert found is not None
    assert [item.offset for item in found] == list(range(5, 13))
    assert splice(log, ring, Position("e", 1), 12) is None
    assert splice(log, ring, Position("f", 4), 12) is None
    assert splice([item for item in log if item.offset != 6], ring, Position("e", 4), 12) is None


async def test_one_read_serves_all_who_wait_and_a_failure_reaches_them_all() -> None:
    calls, gate = [], asyncio.Event()
    flights = SingleFlight()

    async def read() -> list[Entry]:
        calls.append(1)
        await gate.wait()
        if len(calls) == 2:
            raise OSError("away")
        return [entry(1)]

    waiting = [asyncio.create_task(flights.do("room", read)) for _ in range(50)]
    impatient = asyncio.create_task(flights.do("room", read))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert [len(found) for found in await asyncio.gather(*waiting)] == [1] * 50
    assert len(calls) == 1
    again = await asyncio.gather(*(flights.do("room", read) for _ in range(3)), return_exceptions=True)
    assert [type(error) for error in again] == [OSError] * 3
    assert len(await flights.do("room", read)) == 1
    assert len(calls) == 3
