"""When a rung goes, when it comes back, and when nothing may happen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workloads.transcoder.encode.shedding import MAX_WAIT_SECONDS, SETTLE_SECONDS, Decision, Shedding

WAIT = 10.0


class Encoder:
    """A shedding with a clock; each observation is 0.2 s after the last."""

    def __init__(self, sheddable: int = 2) -> None:
        self.now = 0.0
        self.shedding = Shedding(sheddable, wait_seconds=WAIT, now=0.0)
        self.decisions: list[tuple[float, Decision]] = []

    def run(self, seconds: float, *, speed: float = 1.0, lateness: float = 0.1, growth: float = 0.0) -> Decision | None:
        """The first decision within `seconds`."""
        end = self.now + seconds
        while self.now < end:
            self.now += 0.2
            lateness = max(0.0, lateness + growth * 0.2)
            decision = self.shedding.observe(now=self.now, speed=speed, lateness=lateness)
            if decision:
                self.decisions.append((self.now, decision))
                return decision
        return None


@pytest.mark.parametrize(
    ("speed", "lateness", "growth", "decision"),
    [
        (1.0, 0.1, 0.0, None),
        (0.9, 0.2, 0.0, None),
        (0.8, 0.7, 0.0, Decision(1, skip=False)),
        (1.0, 1.3, 0.0, Decision(1, skip=False)),
        (1.0, 1.9, -0.3, None),
        (1.0, 2.5, 0.0, Decision(1, skip=True)),
        (0.0, 0.1, 0.0, None),
    ],
    ids=["well", "slow but not late", "slow and late", "late", "late and catching up", "too late", "unknown speed"],
)
def test_what_makes_a_rung_go(speed: float, lateness: float, growth: float, decision: Decision | None) -> None:
    encoder = Encoder()
    assert encoder.run(5.0, speed=speed, lateness=lateness, growth=growth) == decision


def test_a_new_encoder_has_time_to_settle() -> None:
    encoder = Encoder()
    assert encoder.run(SETTLE_SECONDS - 0.3, lateness=5.0) is None
    assert encoder.run(1.0, lateness=5.0) == Decision(1, skip=True)
    assert encoder.run(SETTLE_SECONDS - 0.3, lateness=5.0) is None


def test_the_last_rung_stays_and_frames_are_skipped_instead() -> None:
    encoder = Encoder(sheddable=0)
    assert encoder.run(20, speed=0.5, lateness=1.5) is None
    assert encoder.run(5, lateness=3.0) == Decision(0, skip=True)


def test_a_rung_comes_back_after_calm_and_each_failure_doubles_the_wait() -> None:
    encoder = Encoder()
    encoder.run(5, lateness=1.5)
    assert encoder.run(WAIT) is None
    assert encoder.run(5) == Decision(0, skip=False)
    assert encoder.run(5, lateness=1.5) == Decision(1, skip=False)
    assert encoder.shedding.wait_seconds == 2 * WAIT
    assert encoder.run(2 * WAIT) is None
    assert encoder.run(5) == Decision(0, skip=False)
    assert encoder.run(2 * 2 * WAIT + 5) is None
    assert encoder.shedding.wait_seconds == WAIT, "what stayed is trusted again"


@given(st.lists(st.tuples(st.floats(0, 2), st.floats(0, 10)), max_size=300), st.integers(0, 4))
def test_decisions_are_bounded_and_apart(readings: list[tuple[float, float]], sheddable: int) -> None:
    shedding, now, last, level = Shedding(sheddable, wait_seconds=1.0, now=0.0), 0.0, 0.0, 0
    for speed, lateness in readings:
        now += 0.5
        decision = shedding.observe(now=now, speed=speed, lateness=lateness)
        if decision is None:
            continue
        assert now - last >= SETTLE_SECONDS, "an encoder that has just begun is not replaced"
        assert 0 <= decision.shed <= sheddable
        assert abs(decision.shed - level) <= 1
        assert decision.skip or decision.shed != level, "a decision changes something"
        last, level = now, decision.shed
    assert 1.0 <= shedding.wait_seconds <= MAX_WAIT_SECONDS
