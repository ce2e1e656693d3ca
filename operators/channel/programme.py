"""The programme of a Linear channel: from slots by cron to one line of programmes without a hole.

Everything depends on the spec and on whole steps of time alone, never on when it is asked: the same minute is resolved
to the same programme by every reconcile. Filling therefore starts anew at each gap and at each midnight (UTC).
"""

import hashlib
import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from operators.api.base import seconds
from operators.api.programming import GapPolicy, Programming, Slot
from operators.channel import names
from operators.core.cron import CronError, check, last_before, occurrences, zone

DAY_SECONDS = 86_400.0
SHORTEST_HORIZON, LONGEST_HORIZON = 600.0, 7 * DAY_SECONDS
MOST_OCCURRENCES = 4000
SHORTEST_FILL = 60.0
LOOK_BACK_SECONDS = (DAY_SECONDS, 8 * DAY_SECONDS, 40 * DAY_SECONDS)
VOD, STREAM, RELAY, SLATE = "vod", "stream", "relay", "slate"


class ProgrammeError(ValueError):
    """The programming cannot be resolved; `reason` is one word of a condition, the text names the slot."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Programme:
    """One piece of the line, in Unix seconds. `began_at` is where its source has its beginning: earlier than
    `starts_at` when something of higher priority was on air first."""

    slot: str
    kind: str
    source: str
    starts_at: float
    ends_at: float
    began_at: float


@dataclass(frozen=True, slots=True)
class Window:
    """What is planned: it moves by a quarter of the horizon, and always reaches one horizon ahead."""

    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Place:
    """What tells one channel's programme from another's."""

    namespace: str
    channel: str
    uid: str


@dataclass(frozen=True, slots=True)
class _Showing:
    slot: Slot
    starts_at: float
    ends_at: float

    def rank(self) -> tuple[int, float, str]:
        """Smaller is on air: the higher priority, then the later start, then the name."""
        return (-self.slot.priority, -self.starts_at, self.slot.name)


def window(programming: Programming, now: float) -> Window:
    """The window of this moment."""
    horizon = min(max(seconds(programming.horizon), SHORTEST_HORIZON), LONGEST_HORIZON)
    step = horizon / 4
    begins = now // step * step
    return Window(begins, begins + horizon + step)


def resolve(programming: Programming, place: Place, span: Window) -> tuple[Programme, ...]:
    """The programmes of `span`, in order, without holes or overlaps; the first may have started before it.

    ProgrammeError for a wrong zone, cron or duration, or for more showings than anybody can watch.
    """
    _check(programming)
    first = span.begins // DAY_SECONDS * DAY_SECONDS
    showings = _showings(programming, first, span.ends)
    line = [
        piece
        for showing, begins, ends in _on_air(showings, first, span.ends)
        for piece in (
            [_programme(showing, place, begins, ends)] if showing else _filled(programming, place, begins, ends)
        )
    ]
    return tuple(piece for piece in _joined(line) if piece.ends_at > span.begins)


def source_of(slot: Slot, place: Place, began_at: float) -> tuple[str, str]:
    """(kind, source) of a slot: a URI, the id of a LiveStream, or the id of another channel."""
    if slot.vod_uri is not None:
        return VOD, slot.vod_uri
    if slot.relay_channel is not None:
        return RELAY, f"{place.namespace}/{slot.relay_channel}"
    return STREAM, f"{place.namespace}/{names.slot_stream(place.channel, slot.name, began_at)}"


def current(line: Sequence[Programme], now: float) -> Programme | None:
    """What is planned for this moment."""
    return next((item for item in line if item.starts_at <= now < item.ends_at), None)


def following(line: Sequence[Programme], now: float) -> Programme | None:
    """What is planned after it."""
    return next((item for item in line if item.starts_at > now), None)


def _check(programming: Programming) -> None:
    try:
        zone(programming.timezone)
    except CronError as error:
        raise ProgrammeError("TimeZoneUnknown", f"programming.{error}") from error
    for slot in programming.slots:
        try:
            check(slot.cron)
        except CronError as error:
            raise ProgrammeError("CronInvalid", f"programming.slots[{slot.name}].{error}") from error
        if seconds(slot.duration) <= 0:
            raise ProgrammeError("DurationInvalid", f"programming.slots[{slot.name}].duration must be above 0s")


def _showings(programming: Programming, begins: float, ends: float) -> list[_Showing]:
    """Every occurrence that reaches into the span, by start."""
    found: list[_Showing] = []
    for slot in programming.slots:
        length = seconds(slot.duration)
        starts = occurrences(slot.cron, programming.timezone, since=begins - length, until=ends)
        found += [_Showing(slot, start, start + length) for start in islice(starts, MOST_OCCURRENCES + 1 - len(found))]
        if len(found) > MOST_OCCURRENCES:
            message = f"programming.slots[{slot.name}].cron makes more than {MOST_OCCURRENCES} showings in the horizon"
            raise ProgrammeError("TooManyShowings", message)
    return sorted(found, key=lambda item: item.starts_at)


def _on_air(showings: Sequence[_Showing], begins: float, ends: float) -> Iterator[tuple[_Showing | None, float, float]]:
    """Who is on air from when to when; None is a gap. Neighbours differ."""
    edges = {begins, ends}
    edges |= {edge for item in showings for edge in (item.starts_at, item.ends_at) if begins < edge < ends}
    waiting, candidates = 0, list[tuple[tuple[int, float, str], int]]()
    held: tuple[_Showing | None, float] | None = None
    for edge in sorted(edges)[:-1]:
        while waiting < len(showings) and showings[waiting].starts_at <= edge:
            heapq.heappush(candidates, (showings[waiting].rank(), waiting))
            waiting += 1
        while candidates and showings[candidates[0][1]].ends_at <= edge:
            heapq.heappop(candidates)
        winner = showings[candidates[0][1]] if candidates else None
        if held is None:
            held = (winner, edge)
        elif held[0] is not winner:
            yield held[0], held[1], edge
            held = (winner, edge)
    if held is not None:
        yield held[0], held[1], ends


def _programme(showing: _Showing, place: Place, begins: float, ends: float) -> Programme:
    kind, source = source_of(showing.slot, place, showing.starts_at)
    return Programme(showing.slot.name, kind, source, begins, ends, showing.starts_at)


def _filled(programming: Programming, place: Place, begins: float, ends: float) -> Iterator[Programme]:
    """What is shown in a gap, by the policy; a gap over midnight is two gaps."""
    midnight = begins // DAY_SECONDS * DAY_SECONDS + DAY_SECONDS
    while begins < ends:
        until = min(ends, midnight)
        at = begins
        for slot in _fillers(programming, place, begins):
            piece_ends = min(until, at + max(seconds(slot.duration), SHORTEST_FILL))
            yield Programme(slot.name, VOD, slot.vod_uri or "", at, piece_ends, at)
            at = piece_ends
            if at >= until:
                break
        if at < until:
            yield Programme("", SLATE, programming.slate_uri or "", at, until, at)
        begins, midnight = until, midnight + DAY_SECONDS


def _fillers(programming: Programming, place: Place, begins: float) -> Iterator[Slot]:
    """VOD slots one after the other, endlessly, or none."""
    films = [slot for slot in programming.slots if slot.vod_uri is not None]
    if programming.gap_policy == GapPolicy.SHUFFLE and films:
        yield from _shuffled(films, f"{place.uid}|{begins:.0f}")
    elif programming.gap_policy == GapPolicy.REPEAT_LAST:
        last = _last_finished(programming, films, begins)
        while last is not None:
            yield last


def _shuffled(films: Sequence[Slot], seed: str) -> Iterator[Slot]:
    """Rounds in which each film comes once, none twice in a row."""
    before, number = "", 0
    while True:
        order = sorted(films, key=lambda slot: hashlib.sha256(f"{seed}|{number}|{slot.name}".encode()).digest())
        if len(order) > 1 and order[0].name == before:
            order = [*order[1:], order[0]]
        yield from order
        before, number = order[-1].name, number + 1


def _last_finished(programming: Programming, films: Iterable[Slot], moment: float) -> Slot | None:
    """The film that ended last before `moment`, looking back up to forty days."""
    ended: list[tuple[float, str, Slot]] = []
    for slot in films:
        length = seconds(slot.duration)
        for within in LOOK_BACK_SECONDS:
            found = last_before(slot.cron, programming.timezone, now=moment - length, within=within)
            if found is not None:
                ended.append((found + length, slot.name, slot))
                break
    return max(ended, key=lambda item: item[:2])[2] if ended else None


def _joined(line: Iterable[Programme]) -> list[Programme]:
    """Slates that follow each other are one."""
    result: list[Programme] = []
    for piece in line:
        last = result[-1] if result else None
        if last is not None and last.kind == SLATE and piece.kind == SLATE:
            result[-1] = replace(last, ends_at=piece.ends_at)
        else:
            result.append(piece)
    return result
