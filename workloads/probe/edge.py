"""Where a low-latency playlist ends, and how late a player is that follows it; free of IO.

A player that keeps the server's rules shows what lies PART-HOLD-BACK before the end of the playlist (RFC 8216bis,
4.4.3.8). Media is dated by its arrival at the platform, corrected by what `EXT-X-HAAT-LEAD` says of those dates, so the
figure is from there to the screen, without the camera's and the encoder's own delay.
"""

import re
from dataclasses import dataclass
from datetime import datetime

_HOLD_BACK = re.compile(r"PART-HOLD-BACK=([0-9]+(?:[.][0-9]+)?)")
_DURATION = re.compile(r"DURATION=([0-9]+(?:[.][0-9]+)?)")
_LEAD = re.compile(r"#EXT-X-HAAT-LEAD:(-?[0-9]+(?:[.][0-9]+)?)")
_HINT = re.compile(r'TYPE=PART,URI="([0-9]+)\.([0-9]+)\.m4s')
_VARIANT = re.compile(r"#EXT-X-STREAM-INF:.*RESOLUTION=.*\n([^#\s]+)")


class PlaylistError(ValueError):
    """The playlist is not one that a low-latency player could follow."""


@dataclass(frozen=True, slots=True)
class LiveEdge:
    """The end of a playlist: epoch seconds of its last part's end, the hold-back, and what comes next."""

    end: float
    hold_back: float
    next_msn: int
    next_part: int

    def latency_ms(self, now: float) -> int:
        """How late a player is that has just got this playlist."""
        return max(0, round((now - self.end + self.hold_back) * 1000))


def smallest_variant(master: str) -> str:
    """Address of the last variant with a picture, which is the smallest rung; PlaylistError when there is none."""
    found = _VARIANT.findall(master)
    if not found:
        raise PlaylistError("the master playlist lists no variant")
    return str(found[-1])


def live_edge(playlist: str) -> LiveEdge:
    """The end of a media playlist; PlaylistError when it has no dates, parts or hint."""
    hold_back, hint = _HOLD_BACK.search(playlist), _HINT.search(playlist)
    if hold_back is None or hint is None:
        raise PlaylistError("no PART-HOLD-BACK or no hint")
    at: float | None = None
    for line in playlist.splitlines():
        if line.startswith("#EXT-X-PROGRAM-DATE-TIME:"):
            at = _epoch(line.partition(":")[2])
            parts = 0.0
        elif line.startswith("#EXT-X-PART:") and at is not None:
            parts += _seconds(_DURATION.search(line))
        elif line.startswith("#EXTINF:") and at is not None:
            at, parts = at + _seconds(re.match(r"#EXTINF:([0-9]+(?:[.][0-9]+)?)", line)), 0.0
    if at is None:
        raise PlaylistError("no program date time")
    lead = _LEAD.search(playlist)
    return LiveEdge(at + parts - (float(lead[1]) if lead else 0.0), float(hold_back[1]), int(hint[1]), int(hint[2]))


def _seconds(match: re.Match[str] | None) -> float:
    if match is None:
        raise PlaylistError("a part or segment without duration")
    return float(match[1])


def _epoch(text: str) -> float:
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except ValueError as error:
        raise PlaylistError(f"{text!r} is no date") from error
