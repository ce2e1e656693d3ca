"""What a person sees: steps with their time, warnings, the final box."""

import sys
import time


class Console:
    """Writes steps; `quiet` for machine-readable commands."""

    def __init__(self) -> None:
        self._started = time.monotonic()

    def step(self, text: str) -> None:
        """One line of progress with the seconds since the start."""
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", flush=True)

    def warn(self, text: str) -> None:
        """A line that needs attention."""
        print(f"[ warn  ] {text}", file=sys.stderr, flush=True)

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Aligned names and values."""
        width = max(len(name) for name, _ in rows)
        print(f"\n  {title}\n", flush=True)
        for name, value in rows:
            print(f"  {name:{width}}  {value}", flush=True)
        print(flush=True)
