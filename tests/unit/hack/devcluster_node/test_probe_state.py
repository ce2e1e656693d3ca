"""Probe thresholds and restart delays."""

import pytest

from hack.devcluster.node.probe_state import BackOff, ProbeKind, ProbeSettings, ProbeState


def state(kind: ProbeKind, **fields: int) -> ProbeState:
    return ProbeState(kind, ProbeSettings.of(fields))


@pytest.mark.parametrize(
    ("kind", "results", "passing", "exhausted"),
    [
        (ProbeKind.READINESS, "", False, False),
        (ProbeKind.READINESS, "1", True, False),
        (ProbeKind.READINESS, "100", True, False),
        (ProbeKind.READINESS, "1000", False, False),
        (ProbeKind.READINESS, "100100", True, False),
        (ProbeKind.LIVENESS, "", True, False),
        (ProbeKind.LIVENESS, "00", True, False),
        (ProbeKind.LIVENESS, "000", False, True),
        (ProbeKind.LIVENESS, "00100", True, False),
        (ProbeKind.STARTUP, "00", False, False),
        (ProbeKind.STARTUP, "000", False, True),
        (ProbeKind.STARTUP, "001", True, False),
    ],
)
def test_verdict(kind: ProbeKind, results: str, passing: bool, exhausted: bool) -> None:
    found = state(kind)
    for result in results:
        found.record(result == "1")
    assert (found.passing, found.exhausted) == (passing, exhausted)


def test_success_threshold() -> None:
    found = state(ProbeKind.READINESS, successThreshold=2, failureThreshold=1)
    assert [found.record(True), found.record(True), found.record(True)] == [False, True, False]
    assert found.record(False)
    assert not found.record(True)


def test_backoff_doubles_to_the_limit_and_is_forgotten() -> None:
    back_off = BackOff()
    delays = [back_off.delay_after(ran=1) for _ in range(8)]
    assert delays == [0, 10, 20, 40, 80, 160, 300, 300]
    assert back_off.delay_after(ran=601) == 0
    assert back_off.delay_after(ran=1) == 10
