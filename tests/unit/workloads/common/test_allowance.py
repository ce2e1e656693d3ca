"""Who sends too much for too long is cut off; who overshoots for a moment is not."""

import pytest

from workloads.common.publication.allowance import Allowance


@pytest.mark.parametrize(
    ("kbps", "exceeded"),
    [(500, False), (1_000, False), (1_200, False), (1_300, True), (50_000, True)],
)
def test_a_steady_rate(kbps: int, exceeded: bool) -> None:
    allowance = Allowance(1_000)
    for step in range(120):
        allowance.add(kbps * 1000 // 8 // 10, step / 10)
    assert allowance.exceeded is exceeded


def test_a_burst_within_the_window_is_no_excess() -> None:
    allowance = Allowance(1_000)
    allowance.add(500_000, 0.0)
    for step in range(1, 120):
        allowance.add(1_000, step / 10)
    assert not allowance.exceeded
