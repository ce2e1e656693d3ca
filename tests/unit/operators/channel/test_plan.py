"""What a reconcile of a Channel wants."""

import json
from dataclasses import replace

import pytest

from operators.channel.keys import digest
from operators.channel.observe import CdnProbe, PlayoutBeat, cdn_probes, playout_beat
from operators.channel.plan import plan
from operators.core.capabilities import Capabilities
from operators.core.diff import is_applied, with_hash
from operators.core.plan import Plan
from operators.core.platform import CdnProvider, Platform
from operators.runtime.signals import Signals
from tests.unit.operators.builders import PLATFORM, stream
from tests.unit.operators.channel.making import (
    FILM,
    NOW,
    SHOW,
    after,
    conditions,
    linear,
    make,
    owned,
    secret,
    seen,
    status_of,
)

CDNS = {"fast": CdnProvider(driver="Static", base_url="https://fast.example"), "spare": CdnProvider(driver="Static")}
WIDE = PLATFORM.model_copy(update={"cdn_providers": CDNS})
TWO = {"cdns": [{"provider": "fast", "weight": 80}, {"provider": "spare", "weight": 20, "role": "Failover"}]}
LIVE = stream(status={"phase": "Live", "startedAt": "2027-01-15T08:00:00Z"})
STANDBY = stream(metadata={"name": "later", "uid": "later-uid"}, status={"phase": "Standby"})


def wanted(result: Plan) -> set[tuple[str, str]]:
    return {(item["kind"], item["metadata"]["name"]) for item in result.applies}


def settled(channel: object, **world: object) -> Plan:
    """The plan once everything that the first one wanted is there."""
    first = plan(channel, seen(**world), WIDE, NOW)  # type: ignore[arg-type]
    return plan(channel, seen(**({"children": after(first)} | world)), WIDE, NOW)  # type: ignore[arg-type]


def document(result: Plan, name: str, file: str) -> dict:
    found = next(item for item in result.applies if (item["kind"], item["metadata"]["name"]) == ("ConfigMap", name))
    body: dict = json.loads(found["data"][file])
    return body


def entry(result: Plan) -> dict:
    found = next(item for item in result.publications if item.key == "haat:channels")
    body: dict = json.loads(found.value or "")
    return body


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


class TestKeys:
    def test_a_rotation_from_request_to_end(self) -> None:
        channel = make(annotations={"haat.dev/rotate-key": "monday"}, status={"ingest": {"rotateSeen": "sunday"}})
        main = secret("aarong-channel-key", "old", created="2027-01-01T00:00:00Z")
        started = plan(channel, seen(children={("Secret", "aarong-channel-key"): main}), PLATFORM, NOW)
        assert ("Secret", "aarong-channel-key-next") in wanted(started)
        assert started.status["ingest"]["nextKeySecret"] == "aarong-channel-key-next"
        assert started.status["ingest"]["rotateSeen"] == "monday"
        assert started.requeue_after is not None
        assert "KeyRotationStarted" in {event.reason for event in started.events}

        later = status_of(channel, started)
        done = plan(later, seen(children=after(started)), PLATFORM, NOW + 601)
        assert ("Secret", "aarong-channel-key-next") not in wanted(done)
        assert ("Secret", "aarong-channel-key-next") in {(ref.kind, ref.name) for ref in done.deletes}
        assert ("haat:ingest", digest("old"), None) in {(p.key, p.field, p.value) for p in done.publications}
        assert done.status["ingest"]["keyRotatedAt"] == "2027-01-15T08:10:01Z"
        calm = plan(status_of(later, done), seen(children=after(done)), PLATFORM, NOW + 602)
        assert not calm.deletes

    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (None, ("False", "KeySecretNotFound")),
            (secret("mine", "k") | {"data": {}}, ("False", "KeyMissing")),
            (secret("mine", "k"), ("True", "Stored")),
        ],
        ids=["missing", "without the key", "there"],
    )
    def test_the_owners_own_secret(self, given: dict | None, expected: tuple) -> None:
        channel = make(ingest={"keySecretRef": {"name": "mine"}})
        result = plan(channel, seen(given_secret=given), PLATFORM, NOW)
        assert "Secret" not in {kind for kind, _ in wanted(result)}
        assert conditions(result)["KeysReady"] == expected
        assert result.status["ingest"]["keySecret"] == "mine"

    def test_giving_an_own_secret_removes_ours(self) -> None:
        ours = after(plan(make(), seen(), PLATFORM, NOW))
        channel = make(ingest={"keySecretRef": {"name": "mine"}})
        result = plan(channel, seen(children=ours, given_secret=secret("mine", "k")), PLATFORM, NOW)
        assert [(ref.kind, ref.name) for ref in result.deletes] == [("Secret", "aarong-channel-key")]

    def test_playback_keys_come_and_go_with_tokens(self) -> None:
        first = plan(make(playback={"token": {"mode": "Signed"}}), seen(), PLATFORM, NOW)
        assert ("Secret", "aarong-playback-keys") in wanted(first)
        body = document(first, "aarong-channel", "channel.json")
        assert [key["kid"] for key in body["playback"]["jwks"]["keys"]] == ["one", "two"]
        assert '"d"' not in json.dumps(body) + json.dumps(entry(first))
        without = plan(make(), seen(children=after(first)), PLATFORM, NOW)
        assert [(ref.kind, ref.name) for ref in without.deletes] == [("Secret", "aarong-playback-keys")]


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


GATE = {"delivery": {"gatewayRef": {"name": "public"}}}
SERVED = Capabilities(gateway=True)


class TestRoutes:
    def test_the_platform_serves_the_page_without_a_route(self) -> None:
        assert conditions(settled(make()))["Routed"] == ("True", "SharedIngress")

    def test_an_own_host(self) -> None:
        result = settled(make(delivery={"hostname": "live.aarong.example"}))
        assert {("Ingress", "aarong-channel"), ("Service", "aarong-edge")} <= wanted(result)
        assert conditions(result)["Routed"] == ("True", "IngressExists")
        assert result.status["playback"]["page"] == "https://live.aarong.example/c/aarong"

    def test_a_gateway_that_the_cluster_does_not_know(self) -> None:
        result = settled(make(**GATE))
        assert conditions(result)["Routed"] == ("False", "GatewayNotServed")
        assert "HTTPRoute" not in {kind for kind, _ in wanted(result)}

    @pytest.mark.parametrize(
        ("parents", "expected"),
        [
            ([], ("False", "WaitingForGateway")),
            ([{"conditions": [{"type": "Accepted", "status": "True"}]}], ("True", "RouteAccepted")),
            ([{"conditions": [{"type": "Accepted", "status": "True"},
                              {"type": "ResolvedRefs", "status": "False", "reason": "RefNotPermitted"}]}],
             ("False", "RefNotPermitted")),
        ],
        ids=["silent", "taken", "not permitted"],
    )  # fmt: skip
    def test_what_the_gateway_says(self, parents: list, expected: tuple) -> None:
        world = {"capabilities": SERVED}
        live = after(plan(make(**GATE), seen(**world), PLATFORM, NOW))
        live[("HTTPRoute", "aarong-channel")]["status"] = {"parents": parents}
        result = plan(make(**GATE), seen(children=live, **world), PLATFORM, NOW)
        assert conditions(result)["Routed"] == expected


class TestDelivery:
    @pytest.mark.parametrize(
        ("probes", "expected", "weights"),
        [
            ({}, ("Unknown", "NotProbed"), [80, 0]),
            ({"fast": True, "spare": True}, ("True", "ProvidersHealthy"), [80, 0]),
            ({"fast": False, "spare": True}, ("False", "ProviderUnhealthy"), [0, 20]),
            ({"fast": False, "spare": False}, ("False", "ProviderUnhealthy"), [80, 0]),
        ],
        ids=["not probed", "well", "fail-over", "all ill"],
    )
    def test_health_and_weights(self, probes: dict, expected: tuple, weights: list) -> None:
        world = {"cdn_probes": {name: CdnProbe(well, NOW) for name, well in probes.items()}}
        result = settled(make(delivery=TWO), **world)
        assert conditions(result)["CDNHealthy"] == expected
        assert [item["effectiveWeight"] for item in result.status["cdns"]] == weights
        assert [item["weight"] for item in entry(result)["delivery"]["cdns"]] == weights

    def test_a_probe_that_says_the_same_again_writes_nothing(self) -> None:
        first = settled(make(delivery=TWO), cdn_probes={"fast": CdnProbe(True, NOW)})
        again = plan(
            status_of(make(delivery=TWO), first), seen(cdn_probes={"fast": CdnProbe(True, NOW + 10)}), WIDE, NOW + 10
        )
        assert again.status["cdns"] == first.status["cdns"]

    @pytest.mark.parametrize("text", ["", "[]", '{"healthy": 1, "ts_ms": 1800000000000}', '{"healthy": true}'])
    def test_a_probe_that_cannot_be_read_is_none(self, text: str) -> None:
        assert cdn_probes({"fast": text}, NOW) == {}


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


class TestDeletion:
    def test_live_streams_hold_it(self) -> None:
        result = plan(make(deleting=True), seen(streams=(LIVE,)), PLATFORM, NOW)
        assert not result.release
        assert not result.publications
        assert conditions(result)["Ready"] == ("False", "StreamsActive")
        assert result.status["phase"] == "Terminating"

    def test_streams_that_are_not_live_do_not(self) -> None:
        result = plan(make(deleting=True), seen(streams=(STANDBY,)), PLATFORM, NOW)
        assert result.release
        assert not result.deletes

    def test_everything_is_withdrawn(self) -> None:
        live = {("Secret", "aarong-channel-key"): secret("aarong-channel-key", "k")}
        result = plan(make(deleting=True), seen(children=live), PLATFORM, NOW)
        gone = {(item.key, item.field) for item in result.publications if item.value is None}
        assert gone == {("haat:channels", "aarong"), ("haat:ingest", digest("k"))}

    def test_an_owners_own_key_ends_with_the_channel(self) -> None:
        channel = make(deleting=True, ingest={"keySecretRef": {"name": "mine"}})
        result = plan(channel, seen(given_secret=secret("mine", "theirs")), PLATFORM, NOW)
        assert ("haat:ingest", digest("theirs")) in {(item.key, item.field) for item in result.publications}

    def test_the_policy_may_end_them(self) -> None:
        gone = make(deleting=True, deletionPolicy="Delete")
        result = plan(gone, seen(streams=(LIVE,)), PLATFORM, NOW)
        assert [ref.name for ref in result.deletes] == ["launch"]
        assert not result.release
        assert plan(gone, seen(), PLATFORM, NOW).release


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
        from operators.api import LiveStream
        from operators.channel.observe import as_manifest

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


SHOW_ONLY = [SHOW]


def test_a_channel_of_shows_only_fills_the_rest_with_slate() -> None:
    programmes = document(plan(linear(slots=SHOW_ONLY), seen(), PLATFORM, NOW), "tele-schedule", "schedule.json")
    assert [item["kind"] for item in programmes["programmes"][:3]] == ["slate", "stream", "slate"]


def test_only_what_a_status_would_show_wakes_a_channel() -> None:
    signals, channels = Signals(), [make(delivery=TWO), linear(), make("plain")]

    def sweep(at: float, healthy: bool = True, slot: str = "film") -> list[str]:
        signals.cdn_health = {"fast": json.dumps({"healthy": healthy, "ts_ms": at * 1000})}
        beat = {"slot": slot, "source": "x", "since_ms": 1, "ts_ms": at * 1000}
        signals.heartbeats = {"playout/shop/tele/p": json.dumps(beat)}
        return signals.changed_channels(channels, at)

    assert sweep(NOW) == ["shop/aarong", "shop/tele"]
    assert sweep(NOW + 10) == []
    assert sweep(NOW + 20, healthy=False) == ["shop/aarong"]
    assert sweep(NOW + 30, healthy=False, slot="show") == ["shop/tele"]
    signals.cdn_health, signals.heartbeats = {}, {}
    assert signals.changed_channels(channels, NOW + 40) == ["shop/aarong", "shop/tele"]
