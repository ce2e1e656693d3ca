"""The bandwidth estimate, and what is done with it."""

from hypothesis import given
from hypothesis import strategies as st

from workloads.webrtc.estimate import MIN_BPS, Choice, Estimator, RungPicker, first_rung

RUNGS = [Choice("720p", 2_900_000), Choice("480p", 1_500_000), Choice("360p", 900_000)]


def fed(delay: float = 0.02, loss: float = 0.0, seconds: float = 10.0, acked: float = 1_500_000) -> Estimator:
    estimator = Estimator(0.0, start_bps=2_000_000, max_bps=5_000_000)
    estimator.feedback([0.02] * 20, acked, 0.05)
    for step in range(2, int(seconds * 20)):
        lost = round(20 * loss)
        estimator.feedback([None] * lost + [delay] * (20 - lost), acked, step / 20)
    return estimator


def test_a_clean_network_lets_it_grow_up_to_its_limit() -> None:
    assert 2_000_000 * 1.5 < fed(seconds=8).bps < 2_000_000 * 2
    assert fed(seconds=60).bps == 5_000_000


def test_a_growing_queue_makes_it_fall_below_what_arrives() -> None:
    estimator = fed(delay=0.4, seconds=5, acked=1_000_000)
    assert estimator.bps <= 850_000
    assert estimator.queue_seconds > 0.3


def test_loss_makes_it_fall_and_a_little_loss_holds_it() -> None:
    assert fed(loss=0.3, seconds=5).bps < 1_000_000
    assert fed(loss=0.05, seconds=5).bps < 2_100_000


def test_the_receivers_own_word_counts() -> None:
    estimator = Estimator(0.0, max_bps=5_000_000)
    estimator.bandwidth(700_000)
    assert estimator.bps == 700_000
    estimator.bandwidth(1e12)
    assert estimator.bps == 5_000_000


@given(
    st.lists(
        st.tuples(
            st.lists(st.one_of(st.none(), st.floats(-1e4, 1e4)), max_size=40), st.floats(0, 1e9), st.floats(0.01, 30)
        ),
        max_size=40,
    )
)
def test_the_estimate_stays_in_its_bounds(reports: list[tuple[list[float | None], float, float]]) -> None:
    estimator, now = Estimator(0.0, max_bps=9_000_000), 0.0
    for delays, acked, pause in reports:
        now += pause
        estimator.feedback(delays, acked, now)
        assert MIN_BPS <= estimator.bps <= 9_000_000


def test_one_begins_with_what_is_affordable() -> None:
    assert first_rung(RUNGS, 10_000_000) == "720p"
    assert first_rung(RUNGS, 2_000_000) == "480p"
    assert first_rung(RUNGS, 10) == "360p"


def test_down_at_once_and_up_after_a_while() -> None:
    picker = RungPicker(0.0)
    assert picker.pick(RUNGS, "720p", 1_000_000, 1.0) == "360p"
    assert picker.pick(RUNGS, "360p", 9_000_000, 2.0) == "360p"
    assert picker.pick(RUNGS, "360p", 9_000_000, 6.0) == "480p"
    assert picker.pick(RUNGS, "480p", 9_000_000, 7.0) == "480p"
    assert picker.pick(RUNGS, "480p", 9_000_000, 11.0) == "720p"


def test_a_failed_attempt_makes_the_next_one_wait_longer() -> None:
    picker, now, waits = RungPicker(0.0), 0.0, []
    for _ in range(4):
        began = now
        while picker.pick(RUNGS, "480p", 9_000_000, now) == "480p":
            now += 0.5
        waits.append(now - began)
        assert picker.pick(RUNGS, "720p", 1_800_000, now) == "480p"
    assert waits == sorted(waits)
    assert waits[-1] > 2 * waits[0]


def test_a_rung_that_is_gone_is_left() -> None:
    assert RungPicker(0.0).pick(RUNGS, "1080p", 2_000_000, 0.1) == "480p"
    assert RungPicker(0.0).pick(RUNGS, "360p", 10, 0.1) == "360p"
