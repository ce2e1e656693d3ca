"""When the operators know nothing of the pods."""

import pytest

from operators.livestream.handlers import waits_for_signs
from operators.runtime.signals import BLIND_SECONDS, Signals
from tests.unit.operators.builders import NOW, stream


@pytest.mark.parametrize(
    ("read_at", "back_at", "blind"),
    [(100.0, 0.0, False), (100.0 - BLIND_SECONDS - 1, 0.0, True), (100.0, 99.0, True)],
    ids=["read just now", "redis is away", "redis is back, the pods have not spoken yet"],
)
def test_blind(read_at: float, back_at: float, blind: bool) -> None:
    assert Signals(read_at=read_at, back_at=back_at).blind(100.0) is blind


SEEING, BLIND = Signals(read_at=NOW - 1), Signals(read_at=NOW - BLIND_SECONDS - 1)
ON_AIR = {"startedAt": "2027-01-15T07:30:00Z"}
OVER = ON_AIR | {"endedAt": "2027-01-15T07:50:00Z"}
GOING = {"deletionTimestamp": "2027-01-15T08:00:00Z"}


@pytest.mark.parametrize(
    ("signals", "status", "metadata", "spec", "waits"),
    [
        pytest.param(BLIND, ON_AIR, {}, {}, True, id="on air and nobody can tell whether it still is"),
        pytest.param(SEEING, ON_AIR, {}, {}, False, id="on air, and the pods can be heard"),
        pytest.param(BLIND, {}, {}, {}, False, id="not on air yet: its children can be made"),
        pytest.param(BLIND, OVER, {}, {}, False, id="over already"),
        pytest.param(BLIND, ON_AIR, {}, {"desiredState": "Ended"}, False, id="its owner ends it"),
        pytest.param(BLIND, ON_AIR, GOING, {}, False, id="its owner deletes it"),
    ],
)
def test_a_stream_on_air_waits_while_nothing_can_be_heard(
    signals: Signals, status: dict, metadata: dict, spec: dict, waits: bool
) -> None:
    assert waits_for_signs(signals, stream(status=status, metadata=metadata, **spec), NOW) is waits
