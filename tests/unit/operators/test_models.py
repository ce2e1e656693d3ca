"""RayServices: shared by a namespace, or a stream's own; their document is what Ray itself reads."""

import yaml
from ray.serve.schema import ServeDeploySchema

from operators.core.capabilities import Capabilities
from operators.core.platform import ModelApp
from operators.livestream.plan import plan
from operators.models.plan import own_ray_service, ray_service, service_name, wanted_models
from tests.unit.operators.builders import NOW, PLATFORM, observed, stream

USE = {"role": "Recommendation", "modelRef": {"name": "co-view"}}
OWN = USE | {"isolation": "Dedicated"}


def test_ray_accepts_the_document() -> None:
    manifest = ray_service("shop", {"co-view"}, PLATFORM)
    assert manifest is not None
    document = ServeDeploySchema.model_validate(yaml.safe_load(manifest["spec"]["serveConfigV2"]))
    assert [app.name for app in document.applications] == ["co-view"]
    assert document.applications[0].route_prefix == "/recommendations"


def test_streams_share_what_they_name_and_what_their_channel_names() -> None:
    shared = [stream(models=[USE]), stream(metadata={"name": "b", "uid": "b"})]
    assert wanted_models(shared, {"aarong": {"other"}}) == {"co-view", "other"}


def test_a_stream_that_is_over_or_alone_does_not_keep_the_shared_one() -> None:
    over = stream(status={"phase": "Ended"}, models=[USE])
    assert wanted_models([over, stream(models=[OWN])], {}) == set()


def test_a_dedicated_model_is_a_child_of_its_stream() -> None:
    subject = stream(models=[OWN])
    seen = observed(capabilities=Capabilities(ray=True))
    made = [item for item in plan(subject, seen, PLATFORM, NOW).applies if item["kind"] == "RayService"]
    assert [item["metadata"]["name"] for item in made] == ["launch-models"] == [service_name(subject)]
    assert made[0]["metadata"]["ownerReferences"][0]["name"] == "launch"
    assert own_ray_service(stream(models=[USE]), (), PLATFORM) is None


def test_a_model_that_somebody_else_serves_needs_no_ray() -> None:
    outside = ModelApp(role="Recommendation", runtime="External", url="https://models.example")
    platform = PLATFORM.model_copy(update={"models": {"co-view": outside}})
    assert ray_service("shop", {"co-view"}, platform) is None


def test_the_head_runs_restricted() -> None:
    manifest = ray_service("shop", {"co-view"}, PLATFORM)
    assert manifest is not None
    pod = manifest["spec"]["rayClusterConfig"]["headGroupSpec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
