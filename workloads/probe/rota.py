"""Who is watched when there are more streams than the probe can watch; free of IO."""

from collections.abc import Iterable


class Rota:
    """Turns of equal length; whoever waited longest is next, so nobody is forgotten."""

    def __init__(self, places: int, turn_seconds: float) -> None:
        self._places = places
        self._turn_seconds = turn_seconds
        self._began: dict[str, float] = {}
        self._ended: dict[str, float] = {}

    @property
    def watched(self) -> frozenset[str]:
        """Whose turn it is."""
        return frozenset(self._began)

    def update(self, live: Iterable[str], now: float) -> None:
        """Decide whose turn it is among the streams that are live now."""
        streams = set(live)
        self._ended = {stream: at for stream, at in self._ended.items() if stream in streams}
        for stream in [item for item in self._began if item not in streams]:
            del self._began[stream]
        waiting = sorted(streams - self._began.keys(), key=lambda stream: (self._ended.get(stream, 0.0), stream))
        for stream in waiting:
            if len(self._began) >= self._places:
                over = [item for item, at in self._began.items() if now - at >= self._turn_seconds]
                if not over:
                    return
                oldest = min(over, key=lambda item: self._began[item])
                del self._began[oldest]
                self._ended[oldest] = now
            self._began[stream] = now
