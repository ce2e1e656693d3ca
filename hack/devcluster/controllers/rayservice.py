"""RayService: Ray Serve on the node, from the part of KubeRay's API that this project uses.

`spec.serveConfigV2` goes into a ConfigMap and one head pod runs it; a change of the text updates the ConfigMap in
place, which the head's process follows. The KubeRay operator does the same through the dashboard's REST API.
"""

from hack.devcluster.client import Conflict
from hack.devcluster.controllers.base import Controller
from hack.devcluster.objects import (
    Obj,
    is_deleting,
    merge_condition,
    meta,
    name_of,
    namespace_of,
    owner_reference,
    pod_active,
    pod_ready,
    spec_of,
    status_of,
)
from hack.devcluster.resources import CONFIG_MAPS, PODS, RAY_SERVICES, SERVICES, Resource

SERVE_PORT = 8000
_IMAGE = "haat/ml-serving"
_CONFIG_PATH = "/etc/haat"


def ray_service_definition() -> Obj:
    """The CRD, open in its schema: KubeRay's own is far larger than what is read here."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "metadata": {"name": "rayservices.ray.io"},
        "spec": {
            "group": "ray.io",
            "scope": "Namespaced",
            "names": {
                "plural": "rayservices",
                "singular": "rayservice",
                "kind": "RayService",
                "listKind": "RayServiceList",
            },
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "schema": {
                        "openAPIV3Schema": {"type": "object", "properties": {"spec": anything, "status": anything}}
                    },
                    "additionalPrinterColumns": [
                        {"name": "Service Status", "type": "string", "jsonPath": ".status.serviceStatus"},
                        {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                    ],
                }
            ],
        },
    }


def build_config(ray_service: Obj) -> Obj:
    return {
        "metadata": _metadata(ray_service, f"{name_of(ray_service)}-serve-config", {}),
        "data": {"serve.yaml": str(spec_of(ray_service).get("serveConfigV2") or "")},
    }


def head_template(ray_service: Obj) -> Obj:
    """Pod spec of rayClusterConfig's head group, if given."""
    config = spec_of(ray_service).get("rayClusterConfig") or {}
    found: Obj = (config.get("headGroupSpec") or {}).get("template") or {}
    return found


def build_head(ray_service: Obj) -> Obj:
    """The head pod; environment and resources are taken from the head group's first container."""
    template = head_template(ray_service)
    given: Obj = ((template.get("spec") or {}).get("containers") or [{}])[0]
    container: Obj = {
        "name": "ray-head",
        "image": given.get("image") or _IMAGE,
        "command": ["python", "-m", "ml_serving.serve_config", f"{_CONFIG_PATH}/serve.yaml"],
        "env": [
            *(given.get("env") or []),
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
        "ports": [{"name": "serve", "containerPort": SERVE_PORT}],
        "readinessProbe": {
            "httpGet": {"path": "/-/healthz", "port": SERVE_PORT},
            "periodSeconds": 2,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "volumeMounts": [{"name": "serve-config", "mountPath": _CONFIG_PATH}, *(given.get("volumeMounts") or [])],
    }
    if not str(container["image"]).split(":")[0].startswith("haat/"):
        # KubeRay's public image would bring Ray along; here the checkout does.
        container["image"] = _IMAGE
    if given.get("resources"):
        container["resources"] = given["resources"]
    config = {"name": "serve-config", "configMap": {"name": f"{name_of(ray_service)}-serve-config"}}
    pod_spec = {
        "containers": [container],
        "volumes": [config, *((template.get("spec") or {}).get("volumes") or [])],
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 30,
    }
    labels = {
        **((template.get("metadata") or {}).get("labels") or {}),
        **_selector(ray_service),
        "ray.io/node-type": "head",
    }
    return {"metadata": _metadata(ray_service, f"{name_of(ray_service)}-head", labels), "spec": pod_spec}


def build_service(ray_service: Obj) -> Obj:
    return {
        "metadata": _metadata(ray_service, f"{name_of(ray_service)}-serve-svc", _selector(ray_service)),
        "spec": {
            "selector": _selector(ray_service),
            "ports": [{"name": "serve", "port": SERVE_PORT, "targetPort": SERVE_PORT, "protocol": "TCP"}],
        },
    }


def _selector(ray_service: Obj) -> dict[str, str]:
    return {"ray.io/serve": "true", "ray.io/originated-from-cr-name": name_of(ray_service)}


def _metadata(ray_service: Obj, name: str, labels: dict[str, str]) -> Obj:
    return {
        "name": name,
        "namespace": namespace_of(ray_service),
        "labels": labels,
        "ownerReferences": [owner_reference(ray_service, RAY_SERVICES)],
    }


def service_status(ray_service: Obj, head: Obj | None, now: float) -> Obj:
    """Status with the condition KubeRay calls Ready, and its older serviceStatus."""
    ready = head is not None and pod_ready(head) and not is_deleting(head)
    conditions = status_of(ray_service).get("conditions") or []
    for kind in ("Ready", "RayServiceReady"):
        conditions = merge_condition(
            conditions,
            kind=kind,
            status="True" if ready else "False",
            reason="NonZeroServeEndpoints" if ready else "Initializing",
            message="Number of serve endpoints is greater than 0" if ready else "the head pod is not ready",
            now=now,
            observedGeneration=meta(ray_service).get("generation", 0),
        )
    return {
        "conditions": conditions,
        "serviceStatus": "Running" if ready else "",
        "numServeEndpoints": 1 if ready else 0,
        "observedGeneration": meta(ray_service).get("generation", 0),
    }


class RayServiceController(Controller):
    kind = RAY_SERVICES
    workers = 1

    def subscribe(self) -> None:
        for resource in (PODS, CONFIG_MAPS, SERVICES):
            self.caches.of(resource).on_change(self.enqueue_owner)

    async def reconcile(self, obj: Obj) -> float | None:
        if is_deleting(obj):
            return None
        config, service = build_config(obj), build_service(obj)
        known = self.caches.of(CONFIG_MAPS).get((namespace_of(obj), name_of(config)))
        if known is None:
            await self._create_once(CONFIG_MAPS, config)
        elif known.get("data") != config["data"]:
            await self.patch(CONFIG_MAPS, known, {"data": config["data"]})
        if self.caches.of(SERVICES).get((namespace_of(obj), name_of(service))) is None:
            await self._create_once(SERVICES, service)
        head = self.caches.of(PODS).get((namespace_of(obj), f"{name_of(obj)}-head"))
        if head is None:
            head = await self._create_once(PODS, build_head(obj))
        elif not pod_active(head) and not is_deleting(head):
            await self.delete(PODS, head)
        await self.write_status(obj, service_status(obj, head, self.clock()))
        return None

    async def _create_once(self, resource: Resource, obj: Obj) -> Obj | None:
        try:
            return await self.create(resource, obj)
        except Conflict:
            found = await self.client.get(resource, namespace_of(obj), name_of(obj))
            return self.caches.of(resource).observe(found)
