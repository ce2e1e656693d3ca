"""How much earlier than its date media arrives; free of IO, times come in.

Media is dated once, by the first message of a publisher. Encoders send that one late, while they fill their buffers,
and the dates of all that follows are as much too late. Who measures latency by dates has to add this; the least delayed
message of the last seconds tells it.
"""

WINDOW_SECONDS = 5.0


class Lead:
    """`add` each arrival; `seconds` is positive when media comes before its date."""

    def __init__(self) -> None:
        self._since = 0.0
        self._now: float | None = None
        self._before: float | None = None

    @property
    def seconds(self) -> float:
        """The greatest lead of the last five to ten seconds."""
        known = [lead for lead in (self._now, self._before) if lead is not None]
        return max(known, default=0.0)

    def add(self, dated: float, arrived: float) -> None:
        """Media with this date arrived then; both on one clock."""
        if arrived - self._since >= WINDOW_SECONDS:
            self._since, self._before, self._now = arrived, self._now, None
        lead = dated - arrived
        self._now = lead if self._now is None else max(self._now, lead)
