"""A started stream keeps its pods; what others change in them is repaired."""

import copy

import pytest

from operators.core.plan import Manifest, Plan
from operators.core.platform import Platform, RolloutPolicy
from operators.livestream.plan import plan
from tests.unit.operators.builders import NOW, PLATFORM, applied, beat, observed, stream

NEWER = PLATFORM.model_copy(update={"images": PLATFORM.images.model_copy(update={"workloads": "haat/workloads:new"})})
STARTED = {"startedAt": "2027-01-15T07:30:00Z", "phase": "Live"}


def image(result: Plan, name: str = "launch-transcoder") -> str:
    found = next(item for item in result.applies if (item["kind"], item["metadata"]["name"]) == ("Deployment", name))
    return str(found["spec"]["template"]["spec"]["containers"][0]["image"])


def upgraded(status: dict, platform: Platform, children: dict[tuple[str, str], Manifest] | None = None) -> Plan:
    live = children or applied(plan(stream(), observed(), PLATFORM, NOW))
    return plan(stream(status=status), observed(children=live, transcoder=beat()), platform, NOW)


@pytest.mark.parametrize("name", ["launch-transcoder", "launch-fanout"])
def test_an_upgrade_waits_for_the_end_of_a_broadcast(name: str) -> None:
    assert image(upgraded(STARTED, NEWER), name) == "haat/workloads:dev"


def test_an_upgrade_reaches_a_stream_that_has_not_started() -> None:
    assert image(upgraded({"phase": "Standby"}, NEWER)) == "haat/workloads:new"


def test_a_security_fix_does_not_wait() -> None:
    urgent = NEWER.model_copy(update={"rollout_policy": RolloutPolicy.IMMEDIATE})
    assert image(upgraded(STARTED, urgent)) == "haat/workloads:new"


def test_what_somebody_else_changed_is_repaired_on_air_too() -> None:
    live = copy.deepcopy(applied(plan(stream(), observed(), PLATFORM, NOW)))
    live[("Deployment", "launch-transcoder")]["spec"]["template"]["spec"]["containers"][0]["image"] = "evil:1"
    assert image(upgraded(STARTED, NEWER, live)) == "haat/workloads:dev"
