"""The least delayed message of the last seconds tells how wrong the dates are."""

import pytest

from workloads.transcoder.lead import WINDOW_SECONDS, Lead


@pytest.mark.parametrize(
    ("leads", "expected"),
    [([], 0.0), ([-0.3, 0.2, 0.1], 0.2), ([-0.5, -0.4], -0.4), ([0.0], 0.0)],
)
def test_the_greatest_counts(leads: list[float], expected: float) -> None:
    found = Lead()
    for step, lead in enumerate(leads):
        found.add(100.0 + step / 10 + lead, 100.0 + step / 10)
    assert found.seconds == pytest.approx(expected)


def test_what_is_long_past_is_forgotten() -> None:
    found = Lead()
    found.add(100.5, 100.0)
    for step in range(3):
        found.add(100.1 + (step + 1) * WINDOW_SECONDS, 100.0 + (step + 1) * WINDOW_SECONDS)
    assert found.seconds == pytest.approx(0.1)
