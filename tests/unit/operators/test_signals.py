"""When the operators know nothing of the pods."""

import pytest

from operators.runtime.signals import BLIND_SECONDS, Signals


@pytest.mark.parametrize(
    ("read_at", "back_at", "blind"),
    [(100.0, 0.0, False), (100.0 - BLIND_SECONDS - 1, 0.0, True), (100.0, 99.0, True)],
    ids=["read just now", "redis is away", "redis is back, the pods have not spoken yet"],
)
def test_blind(read_at: float, back_at: float, blind: bool) -> None:
    assert Signals(read_at=read_at, back_at=back_at).blind(100.0) is blind
