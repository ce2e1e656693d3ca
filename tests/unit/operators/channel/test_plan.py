"""What a reconcile of a Channel wants: its children, its configuration, its quota and phase."""

from dataclasses import replace

import pytest

from operators.channel.plan import plan
from operators.core.diff import is_applied, with_hash
from operators.core.platform import Platform
from tests.unit.operators.builders import PLATFORM, stream
from tests.unit.operators.channel.making import (
    FILM,
    LIVE,
    NOW,
    STANDBY,
    TWO,
    WIDE,
    after,
    conditions,
    document,
    entry,
    linear,
    make,
    owned,
    seen,
    settled,
    status_of,
    wanted,
)


def test_a_channel_gets_its_key_policy_and_account() -> None:
    result = plan(make(), seen(), PLATFORM, NOW)
    assert wanted(result) == {
        ("Secret", "aarong-channel-key"),
        ("ConfigMap", "aarong-channel"),
        ("ServiceAccount", "aarong-channel"),
        ("Role", "aarong-channel"),
        ("RoleBinding", "aarong-channel"),
        ("NetworkPolicy", "aarong-default-deny"),
    }
    assert conditions(result)["Ready"] == ("False", "Creating")


def test_a_settled_channel_is_ready_and_wants_no_write() -> None:
    first = plan(make(), seen(), PLATFORM, NOW)
    live = {key: with_hash(item) for key, item in after(first).items()}
    again = plan(status_of(make(), first), seen(children=live), PLATFORM, NOW + 5)
    assert conditions(again)["Ready"] == ("True", "Ready")
    assert all(is_applied(with_hash(item), live[(item["kind"], item["metadata"]["name"])]) for item in again.applies)
    assert not again.deletes
    assert again.status["ingest"] == first.status["ingest"]


@pytest.mark.parametrize(
    ("spec", "world", "reason"),
    [
        pytest.param({}, {"rivals": ("mall/other",)}, "SlugTaken", id="slug"),
        pytest.param({"suspended": True}, {}, "Suspended", id="suspended"),
        pytest.param({"delivery": {"cdns": [{"provider": "none"}]}}, {}, "ProviderNotFound", id="provider"),
        pytest.param({"encoding": {"ladderRef": {"name": "none"}}}, {}, "LadderNotFound", id="ladder"),
        pytest.param({"models": [{"role": "Recommendation", "modelRef": {"name": "none"}}]}, {}, "ModelNotFound",
                     id="model"),
        pytest.param({"models": [{"role": "Sentiment", "modelRef": {"name": "co-view"}}]}, {}, "ModelRoleMismatch",
                     id="role"),
        pytest.param({"mode": "Linear", "programming": {"slots": [FILM | {"cron": "61 * * * *"}]}}, {}, "CronInvalid",
                     id="cron"),
        pytest.param({"mode": "Linear", "programming": {"timezone": "No/Where", "slots": [FILM]}}, {},
                     "TimeZoneUnknown", id="zone"),
    ],
)  # fmt: skip
def test_what_is_not_accepted_says_why(spec: dict, world: dict, reason: str) -> None:
    result = plan(make(**spec), seen(**world), WIDE, NOW)
    assert conditions(result)["Accepted"] == ("False", reason)
    assert conditions(result)["Ready"] == ("False", reason)
    assert reason in {event.reason for event in result.events}
    assert not {kind for kind, _ in wanted(result)} & {"Deployment", "LiveStream"}


def test_a_slug_that_is_taken_is_neither_published_nor_withdrawn() -> None:
    for channel in (make(), make(deleting=True)):
        result = plan(channel, seen(rivals=("mall/other",)), PLATFORM, NOW)
        assert "haat:channels" not in {item.key for item in result.publications}


def test_a_spec_that_became_wrong_leaves_what_runs() -> None:
    good = plan(linear(), seen(), PLATFORM, NOW)
    bad = linear(slots=[FILM | {"cron": "61 * * * *"}])
    assert not plan(bad, seen(children=after(good)), PLATFORM, NOW).deletes


class TestConfiguration:
    def test_channel_json_says_what_the_data_plane_needs(self) -> None:
        restream = [{"name": "yt", "platform": "YouTube", "urlSecretRef": {"name": "yt-url"}}]
        geo = {"mode": "Allow", "countries": ["IN", "BD"]}
        channel = make(restream=restream, playback={"geo": geo}, delivery=TWO, ingest={"allowedCIDRs": ["10.0.0.0/8"]})
        body = document(plan(channel, seen(), WIDE, NOW), "aarong-channel", "channel.json")
        assert body["restream"] == [{"name": "yt", "platform": "YouTube"}]
        assert body["playback"]["geo"] == {"mode": "Allow", "countries": ["BD", "IN"]}
        assert body["delivery"]["cdns"][0]["base_url"] == "https://fast.example"
        assert body["ingest"]["allowed_cidrs"] == ["10.0.0.0/8"]
        assert body["chat"]["enabled"] is True
        assert body["page"] == "https://live.example/c/aarong"

    @pytest.mark.parametrize(
        ("streams", "expected"),
        [
            ((), None),
            ((stream(status={"phase": "Provisioning"}),), None),
            ((STANDBY, LIVE), "shop/launch"),
            ((STANDBY,), "shop/later"),
        ],
        ids=["none", "none that is ready", "the live one", "the one that waits"],
    )
    def test_the_directory_of_slugs_names_the_present_stream(self, streams: tuple, expected: str | None) -> None:
        found = entry(plan(make(), seen(streams=streams), PLATFORM, NOW))
        assert (found["channel"], found["title"], found["stream"]) == ("shop/aarong", "Aarong Live", expected)

    def test_only_protocols_that_the_platform_offers_and_the_channel_allows_have_urls(self) -> None:
        platform = PLATFORM.model_copy(update={"srt_url": "srt://live.example:9000", "whip_url": "https://w"})
        result = plan(make(ingest={"protocols": ["SRT", "RTMP"]}), seen(), platform, NOW)
        assert [item["protocol"] for item in result.status["ingest"]["urls"]] == ["RTMP", "SRT"]

    def test_no_network_policies_where_the_platform_has_none(self) -> None:
        platform = PLATFORM.model_copy(
            update={"network_policies": PLATFORM.network_policies.model_copy(update={"enabled": False})}
        )
        kinds = {item["kind"] for item in plan(linear(), seen(), platform, NOW).applies}
        assert "NetworkPolicy" not in kinds


class TestQuota:
    @pytest.mark.parametrize(
        ("quota", "status", "reason"),
        [
            ({"maxViewers": 10}, {"viewers": 11}, "ViewersExceeded"),
            ({"maxTranscodeMillicores": 100}, {}, "MillicoresExceeded"),
            ({"maxDailyDuration": "1m"}, {"startedAt": "2027-01-15T07:00:00Z"}, "DailyDurationExceeded"),
            ({"maxBitrateKbps": 3000}, {"ingest": {"bitrateKbps": 6000}}, "BitrateExceeded"),
        ],
    )
    def test_the_first_limit_that_is_passed_is_named(self, quota: dict, status: dict, reason: str) -> None:
        live = stream(status={"phase": "Live"} | status)
        result = settled(make(quota=quota), streams=(live,))
        assert conditions(result)["WithinQuota"] == ("False", reason)
        assert result.status["phase"] == "Degraded"

    def test_streams(self) -> None:
        result = settled(make(), streams=(LIVE, STANDBY))
        assert conditions(result)["WithinQuota"] == ("False", "StreamsExceeded")
        assert result.status["usage"]["streams"] == 2

    def test_the_output_of_a_linear_channel_does_not_count(self) -> None:
        channel = linear()
        output = owned(channel, "tele-linear", phase="Live", viewers=7, startedAt="2027-01-15T00:00:00Z")
        result = plan(channel, seen(streams=(output,)), PLATFORM, NOW)
        assert result.status["usage"] == {"streams": 0, "viewers": 7, "millicores": 0, "secondsToday": 0}


class TestPhase:
    def test_on_air_and_back(self) -> None:
        on_air = settled(make(), streams=(LIVE,))
        assert on_air.status["phase"] == "OnAir"
        assert [item["name"] for item in on_air.status["activeStreams"]] == ["launch"]
        assert settled(make(), streams=(STANDBY,)).status["phase"] == "Standby"
        ended = stream(status={"phase": "Ended"})
        result = plan(status_of(make(), on_air), seen(streams=(ended,)), PLATFORM, NOW)
        assert result.status["phase"] == "Offline"
        assert "PhaseOffline" in {event.reason for event in result.events}


def test_a_world_that_stays_the_same_gives_the_same_plan() -> None:
    for channel in (make(playback={"token": {"mode": "Signed"}}, delivery=TWO), linear()):
        first = plan(channel, seen(), WIDE, NOW)
        world = seen(children=after(first))
        one = plan(status_of(channel, first), world, WIDE, NOW + 1)
        two = plan(status_of(channel, one), replace(world, fresh=replace(world.fresh, stream_key="x")), WIDE, NOW + 2)
        assert one.applies == two.applies
        assert one.status["conditions"] == two.status["conditions"]
        assert not two.events


def test_the_platform_may_have_no_providers_at_all() -> None:
    assert conditions(plan(make(), seen(), Platform(), NOW))["Accepted"] == ("True", "Accepted")
