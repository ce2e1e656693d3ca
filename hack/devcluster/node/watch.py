"""What goes on beside a running container: the postStart hook and the probes.

Trap avoided: probes before the startup probe has passed would kill slow starters; they begin afterwards.
"""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from hack.devcluster.node.host import Host
from hack.devcluster.node.probe_state import ProbeKind, ProbeSettings, ProbeState
from hack.devcluster.node.prober import Outcome, UnsupportedHandler, check
from hack.devcluster.objects import Obj

_EAGER = (0.05, 0.05, 0.1, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Pauses between extra first checks: a success counts at once, so a pod need not wait a whole period."""


class Watched(Protocol):
    """What the watch asks of the container's runner."""

    name: str
    spec: Obj

    def begun(self) -> None: ...
    def passed(self, kind: ProbeKind) -> None: ...
    def unready(self) -> None: ...
    def restart_now(self, reason: str, grace: float) -> None: ...
    async def hook(self, hook: Obj, timeout: float) -> Outcome: ...
    async def execute(self, command: Sequence[str], timeout: float) -> tuple[int | None, str]: ...


class Watch:
    """The watch over one run of a container; cancelled when the process ends."""

    def __init__(self, runner: Watched, host: Host) -> None:
        self._runner = runner
        self._host = host

    async def run(self) -> None:
        """postStart, then the startup probe, then readiness and liveness side by side."""
        hook = (self._runner.spec.get("lifecycle") or {}).get("postStart")
        if hook:
            outcome = await self._runner.hook(hook, 60.0)
            if not outcome.success:
                self._host.event("Warning", "FailedPostStartHook", f"PostStartHook failed: {outcome.detail}")
                self._runner.restart_now("Error", self._host.grace())
                return
            self._runner.begun()
        if self._runner.spec.get("startupProbe") and not await self._probe(ProbeKind.STARTUP, "startupProbe"):
            return
        async with asyncio.TaskGroup() as group:
            for kind, field in ((ProbeKind.READINESS, "readinessProbe"), (ProbeKind.LIVENESS, "livenessProbe")):
                if self._runner.spec.get(field):
                    group.create_task(self._probe(kind, field))

    async def _probe(self, kind: ProbeKind, field: str) -> bool:
        """Probe for the container's life; True once a startup probe passed, False when the container is killed."""
        probe: Obj = self._runner.spec[field]
        state = ProbeState(kind, ProbeSettings.of(probe))
        await asyncio.sleep(state.settings.initial_delay)
        if kind is not ProbeKind.LIVENESS and await self._eager(probe, state):
            self._runner.passed(kind)
            if kind is ProbeKind.STARTUP:
                return True
            await asyncio.sleep(state.settings.period)
        while True:
            outcome = await self._check(probe, state)
            if outcome is None:
                return False
            if not outcome.success:
                self._host.event("Warning", "Unhealthy", f"{kind.value} probe failed: {outcome.detail}")
            changed = state.record(outcome.success)
            if state.exhausted:
                self._kill_for(kind, state)
                return False
            if changed and state.passing:
                self._runner.passed(kind)
                if kind is ProbeKind.STARTUP:
                    return True
            elif changed and kind is ProbeKind.READINESS:
                self._runner.unready()
            await asyncio.sleep(state.settings.period)

    async def _eager(self, probe: Obj, state: ProbeState) -> bool:
        """Early checks within the first period; only a success counts, and only where one success is enough."""
        if state.settings.success_threshold > 1:
            return False
        left = state.settings.period
        for pause in _EAGER:
            outcome = await self._check(probe, state)
            if outcome is None:
                return False
            if outcome.success:
                state.record(True)
                return True
            left -= pause
            if left <= 0:
                break
            await asyncio.sleep(pause)
        return False

    async def _check(self, probe: Obj, state: ProbeState) -> Outcome | None:
        """None when the handler is not supported: the container is then never ready, with an event that says why."""
        try:
            return await check(
                probe,
                container=self._runner.spec,
                address=self._host.address,
                timeout=state.settings.timeout,
                execute=self._runner.execute,
            )
        except UnsupportedHandler as error:
            self._host.event("Warning", "ProbeNotImplemented", f"{state.kind.value} probe: 501 {error}")
            return None

    def _kill_for(self, kind: ProbeKind, state: ProbeState) -> None:
        self._host.event(
            "Normal", "Killing", f"Container {self._runner.name} failed {kind.value.lower()} probe, will be restarted"
        )
        grace = state.settings.termination_grace
        self._runner.restart_now("Error", self._host.grace() if grace is None else grace)
