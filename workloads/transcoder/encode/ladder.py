"""Which rungs a source gets, and in which size; free of IO."""

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from workloads.transcoder.config import Ladder, Rung
from workloads.transcoder.source import Source

_FPS_SLACK = 1.02


@dataclass(frozen=True, slots=True)
class EncodedRung:
    """A rung as the encoder makes it. `fps` is None where the source's own rate is kept; a `copied` one is the source
    itself, not encoded again."""

    name: str
    width: int
    height: int
    video_kbps: int
    scaled: bool
    fps: float | None = None
    copied: bool = False


def choose(
    ladder: Ladder, source: Source, keep: Container[str] = (), *, passthrough: bool = False
) -> list[EncodedRung]:
    """The rungs to make, largest first; with `passthrough` the one that the source fits is the source itself.

    Rungs larger than the source are dropped, except those in `keep`: viewers are on them since before a reconnect. The
    smallest rung always stays, in the source's size if need be.
    """
    short = source.short_side
    fitting = [rung for rung in ladder.rungs if short is None or rung.short_side <= short or rung.name in keep]
    chosen: Sequence[Rung] = fitting or ladder.rungs[-1:]
    encoded = [_encoded(rung, source) for rung in chosen]
    if passthrough and not encoded[0].scaled and encoded[0].fps is None:
        encoded[0] = replace(encoded[0], copied=True)
    return encoded


def _encoded(rung: Rung, source: Source) -> EncodedRung:
    width, height = scaled_size(rung, source)
    limit = rung.fps if source.fps is None or source.fps > rung.fps * _FPS_SLACK else None
    return EncodedRung(
        name=rung.name,
        width=width,
        height=height,
        video_kbps=rung.video_kbps,
        scaled=(width, height) != (source.width, source.height),
        fps=limit,
    )


def scaled_size(rung: Rung, source: Source) -> tuple[int, int]:
    """Even width and height with the source's aspect ratio and the rung's short side."""
    if not source.width or not source.height:
        return rung.width & ~1, rung.height & ~1
    short, long = sorted((source.width, source.height))
    side = min(rung.short_side, short) & ~1
    other = max(2, round(long * side / short / 2) * 2)
    return (other, side) if source.width >= source.height else (side, other)
