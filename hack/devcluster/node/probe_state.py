"""The probe state machine: thresholds and what a result means. No IO, no clock.

Trap avoided: a readiness probe that flips on a single failure. Results count in a row; the verdict changes when the
threshold is met. Source: kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes.
"""

from dataclasses import dataclass, field
from enum import Enum

from hack.devcluster.objects import Obj


class ProbeKind(Enum):
    STARTUP = "Startup"
    READINESS = "Readiness"
    LIVENESS = "Liveness"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """Times in seconds."""

    initial_delay: float
    period: float
    timeout: float
    success_threshold: int
    failure_threshold: int
    termination_grace: float | None

    @classmethod
    def of(cls, probe: Obj) -> "ProbeSettings":
        def number(name: str, default: int, least: int) -> int:
            value = probe.get(name)
            return max(int(default if value is None else value), least)

        grace = probe.get("terminationGracePeriodSeconds")
        return cls(
            initial_delay=number("initialDelaySeconds", 0, 0),
            period=number("periodSeconds", 10, 1),
            timeout=number("timeoutSeconds", 1, 1),
            success_threshold=number("successThreshold", 1, 1),
            failure_threshold=number("failureThreshold", 3, 1),
            termination_grace=None if grace is None else float(grace),
        )


@dataclass(slots=True)
class ProbeState:
    """Counts results in a row. `passing` starts False for startup and readiness, True for liveness."""

    kind: ProbeKind
    settings: ProbeSettings
    passing: bool = field(init=False)
    _row: int = field(default=0, init=False)
    _last: bool | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.passing = self.kind is ProbeKind.LIVENESS

    def record(self, success: bool) -> bool:
        """Take one result; True when the verdict changed."""
        self._row = self._row + 1 if success is self._last else 1
        self._last = success
        threshold = self.settings.success_threshold if success else self.settings.failure_threshold
        if self._row < threshold or self.passing is success:
            return False
        self.passing = success
        return True

    @property
    def exhausted(self) -> bool:
        """True when the container must be restarted: liveness lost, or start-up never reached within its threshold."""
        if self.kind is ProbeKind.LIVENESS:
            return not self.passing
        if self.kind is ProbeKind.STARTUP:
            return not self.passing and self._last is False and self._row >= self.settings.failure_threshold
        return False


@dataclass(slots=True)
class BackOff:
    """Restart delays: first restart at once, then `base` doubling up to `limit`, forgotten after a long healthy run."""

    base: float = 10.0
    limit: float = 300.0
    reset_after: float = 600.0
    _next: float = field(default=0.0, init=False)

    @property
    def pending(self) -> float:
        """Seconds that the next delay will be."""
        return self._next

    def delay_after(self, *, ran: float) -> float:
        """Seconds to wait before the next start of a container that ran for `ran` seconds."""
        if ran >= self.reset_after:
            self._next = 0.0
        delay = self._next
        self._next = self.base if delay == 0 else min(delay * 2, self.limit)
        return delay
