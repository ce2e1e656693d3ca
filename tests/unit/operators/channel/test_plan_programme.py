"""What a reconcile of a Linear Channel wants: schedule, playout and streams."""

import json

import pytest

from operators.api import LiveStream
from operators.channel.observe import PlayoutBeat, as_manifest, playout_beat
from operators.channel.plan import plan
from operators.core.diff import is_applied, with_hash
from operators.core.plan import Plan
from tests.unit.operators.builders import PLATFORM
from tests.unit.operators.channel.making import (
    FILM,
    NOW,
    SHOW,
    after,
    conditions,
    document,
    entry,
    linear,
    make,
    owned,
    seen,
    settled,
    wanted,
)


class TestLinear:
    def test_what_a_linear_channel_is_made_of(self) -> None:
        result = plan(linear(), seen(), PLATFORM, NOW)
        assert {
            ("ConfigMap", "tele-schedule"),
            ("Deployment", "tele-playout"),
            ("NetworkPolicy", "tele-playout"),
            ("LiveStream", "tele-linear"),
            ("LiveStream", "tele-show-202701150803"),
        } <= wanted(result)
        assert ("PodDisruptionBudget", "tele-playout") not in wanted(result)
        programmes = document(result, "tele-schedule", "schedule.json")["programmes"]
        assert [item["slot"] for item in programmes[:4]] == ["", "film", "show", "film"]
        assert programmes[2]["source"] == "shop/tele-show-202701150803"

    def test_the_schedule_stays_the_same_for_a_quarter_of_the_horizon(self) -> None:
        texts = {
            json.dumps(document(plan(linear(), seen(), PLATFORM, NOW + at), "tele-schedule", "schedule.json"))
            for at in range(-1800, 3600, 600)
        }
        assert len(texts) == 1
        later = plan(linear(), seen(), PLATFORM, NOW + 3600)
        assert json.dumps(document(later, "tele-schedule", "schedule.json")) not in texts

    def test_a_showing_is_made_ahead_and_not_before(self) -> None:
        early = plan(linear(), seen(), PLATFORM, NOW - 121)
        assert ("LiveStream", "tele-show-202701150803") not in wanted(early)
        assert early.requeue_after is not None
        assert early.requeue_after <= 1.1

    def test_on_air_it_may_not_be_evicted(self) -> None:
        output = owned(linear(), "tele-linear", phase="Live")
        result = plan(linear(), seen(streams=(output,)), PLATFORM, NOW)
        assert ("PodDisruptionBudget", "tele-playout") in wanted(result)
        assert entry(result)["stream"] == "shop/tele-linear"

    def test_an_output_that_has_ended_is_deleted_and_made_afresh(self) -> None:
        ended = owned(linear(), "tele-linear", phase="Ended")
        result = plan(linear(), seen(streams=(ended,)), PLATFORM, NOW)
        assert ("LiveStream", "tele-linear") in {(ref.kind, ref.name) for ref in result.deletes}
        assert ("LiveStream", "tele-linear") not in wanted(result)
        gone = ended.model_copy(
            update={"metadata": ended.metadata.model_copy(update={"deletion_timestamp": "2027-01-15T08:00:00Z"})}
        )
        waiting = plan(linear(), seen(streams=(gone,)), PLATFORM, NOW)
        assert ("LiveStream", "tele-linear") not in wanted(waiting)
        assert not waiting.deletes
        assert ("LiveStream", "tele-linear") in wanted(plan(linear(), seen(), PLATFORM, NOW))

    def test_streams_that_it_made_are_not_written_again(self) -> None:
        first = plan(linear(), seen(), PLATFORM, NOW)
        wanted_stream = with_hash(next(item for item in first.applies if item["kind"] == "LiveStream"))

        live = as_manifest(LiveStream.model_validate(wanted_stream))
        assert is_applied(wanted_stream, live)

    def test_a_showing_that_is_taken_off_before_it_began_is_deleted(self) -> None:
        channel = linear()
        early = owned(channel, "tele-show-202701150803", phase="Standby").model_copy(deep=True)
        schedule = early.spec.schedule.model_copy(update={"start_at": "2027-01-15T08:03:00Z"})
        early = early.model_copy(update={"spec": early.spec.model_copy(update={"schedule": schedule})})
        kept = plan(channel, seen(streams=(early,)), PLATFORM, NOW)
        assert "tele-show-202701150803" not in {ref.name for ref in kept.deletes}
        without = linear(slots=[FILM])
        result = plan(without, seen(streams=(early,)), PLATFORM, NOW)
        assert "tele-show-202701150803" in {ref.name for ref in result.deletes}
        begun = plan(without, seen(streams=(early,)), PLATFORM, NOW + 600)
        assert "tele-show-202701150803" not in {ref.name for ref in begun.deletes}

    def test_suspending_takes_the_playout_away(self) -> None:
        first = plan(linear(), seen(), PLATFORM, NOW)
        result = plan(linear(suspended=True), seen(children=after(first)), PLATFORM, NOW)
        assert {"tele-playout", "tele-schedule"} <= {ref.name for ref in result.deletes}
        assert result.status["phase"] == "Suspended"

    def test_going_on_demand_takes_everything_linear_away(self) -> None:
        output = owned(linear(), "tele-linear", phase="Live")
        first = plan(linear(), seen(), PLATFORM, NOW)
        result = plan(make("tele"), seen(children=after(first), streams=(output,)), PLATFORM, NOW)
        assert {("Deployment", "tele-playout"), ("LiveStream", "tele-linear")} <= {
            (ref.kind, ref.name) for ref in result.deletes
        }

    @pytest.mark.parametrize(
        ("beat", "expected"),
        [
            (None, ("False", "PlayoutNotReady")),
            (PlayoutBeat("film", "https://films.example/one.mp4", NOW), ("True", "OnProgramme")),
            (PlayoutBeat("", "", NOW, failing="film"), ("False", "SourceFailing")),
        ],
        ids=["silent", "well", "a source fails"],
    )
    def test_programming_ready_is_what_the_playout_says(self, beat: PlayoutBeat | None, expected: tuple) -> None:
        result = settled(linear(), playout=beat)
        assert conditions(result)["ProgrammingReady"] == expected
        assert ("now" in result.status["programming"]) == (beat is not None)
        assert result.status["programming"]["next"]["slot"] == "show"

    def test_the_pod_template_stays_while_it_is_on_air(self) -> None:
        output = owned(linear(), "tele-linear", phase="Live")
        first = plan(linear(), seen(streams=(output,)), PLATFORM, NOW)
        newer = PLATFORM.model_copy(update={"images": PLATFORM.images.model_copy(update={"workloads": "haat:next"})})
        on_air = plan(linear(), seen(streams=(output,), children=after(first, output)), newer, NOW)
        idle = plan(linear(), seen(children=after(first)), newer, NOW)

        def image(result: Plan) -> str:
            found = next(item for item in result.applies if item["kind"] == "Deployment")
            return str(found["spec"]["template"]["spec"]["containers"][0]["image"])

        assert (image(on_air), image(idle)) == ("haat/workloads:dev", "haat:next")

    def test_names_stay_short_enough_for_the_services_of_a_stream(self) -> None:
        channel = linear("a-channel-with-a-name-as-long-as-names-may-be-at-all-in-kubernete", slug="longest")
        made = [item for item in plan(channel, seen(), PLATFORM, NOW).applies if item["kind"] == "LiveStream"]
        assert len(made) == 2
        assert all(len(f"{item['metadata']['name']}-transcoder-b") <= 63 for item in made)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"ts_ms": "x"}', '{"ts_ms": 1}', '{"ts_ms": true}'])
def test_a_playout_beat_that_cannot_be_read_or_is_old_is_none(text: str) -> None:
    assert playout_beat({"playout/shop/tele/p": text}, "shop/tele", NOW) is None


SHOW_ONLY = [SHOW]


def test_a_channel_of_shows_only_fills_the_rest_with_slate() -> None:
    programmes = document(plan(linear(slots=SHOW_ONLY), seen(), PLATFORM, NOW), "tele-schedule", "schedule.json")
    assert [item["kind"] for item in programmes["programmes"][:3]] == ["slate", "stream", "slate"]
