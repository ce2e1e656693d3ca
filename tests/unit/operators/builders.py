"""Objects for operator tests: valid by default, changed by keyword."""

from typing import Any

from operators.api import Channel, FlashSale, LiveStream
from operators.core.plan import Manifest, Plan
from operators.core.platform import ModelApp, Platform
from operators.livestream.observe import StreamKeys, StreamObserved, TranscoderBeat

DEDICATED = {"placement": "Dedicated"}
NOW = 1_800_000_000.0
PLATFORM = Platform(
    redis_url="redis://10.0.0.9:6379/0",
    auth_jwks='{"keys":[]}',
    public_url="https://live.example",
    rtmp_url="rtmp://live.example:1935/live",
    models={
        "co-view": ModelApp(
            role="Recommendation", import_path="ml_serving.apps.recommendations:build", route_prefix="/recommendations"
        )
    },
)


def channel(**spec: Any) -> Channel:
    metadata = {"name": "aarong", "namespace": "shop", "uid": "channel-uid", "generation": 1}
    return Channel.model_validate(
        {"metadata": metadata, "spec": {"displayName": "Aarong Live", "slug": "aarong"} | spec}
    )


def stream(*, metadata: dict[str, Any] | None = None, status: dict[str, Any] | None = None, **spec: Any) -> LiveStream:
    base = {
        "name": "launch",
        "namespace": "shop",
        "uid": "stream-uid",
        "generation": 3,
        "creationTimestamp": "2027-01-15T07:00:00Z",
    }
    return LiveStream.model_validate(
        {
            "metadata": base | (metadata or {}),
            "spec": {"channel": {"name": "aarong"}, "title": "Launch night", "transcode": DEDICATED} | spec,
            "status": status or {},
        }
    )


def sale(*, status: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **spec: Any) -> FlashSale:
    item = {"sku": "SAREE", "title": "Saree", "price": {"amount": 1000, "currency": "BDT"}, "stock": 20}
    base = {
        "stream": {"name": "launch"},
        "startsAt": "2027-01-15T08:10:00Z",
        "endsAt": "2027-01-15T09:10:00Z",
        "items": [item],
        "capacity": {"expectedViewers": 9000},
    }
    meta = {"name": "drop", "namespace": "shop", "uid": "sale-uid", "generation": 1}
    return FlashSale.model_validate({"metadata": meta | (metadata or {}), "spec": base | spec, "status": status or {}})


def observed(**changes: Any) -> StreamObserved:
    return StreamObserved(**({"keys": StreamKeys("own-key", ("channel-key",)), "channel": channel()} | changes))


def beat(**changes: Any) -> TranscoderBeat:
    base = {"pod": "launch-transcoder-x", "at": NOW, "receiving": True, "playable": True, "protocol": "rtmp"}
    return TranscoderBeat(**(base | changes))


def applied(plan: Plan, *, ready: bool = True) -> dict[tuple[str, str], Manifest]:
    """The children as the cluster holds them after the plan, pods ready or not."""
    live: dict[tuple[str, str], Manifest] = {}
    for manifest in plan.applies:
        body = dict(manifest)
        if body["kind"] == "Deployment" and ready:
            count = body["spec"].get("replicas", 1)
            body["status"] = {"availableReplicas": count, "readyReplicas": count}
        if body["kind"] == "Service":
            body["spec"] = body["spec"] | {"clusterIP": "10.1.2.3"}
        live[(body["kind"], body["metadata"]["name"])] = body
    return live


def status_of(live: LiveStream, plan: Plan) -> LiveStream:
    """The stream with the plan's status written."""
    document = live.model_dump(by_alias=True, mode="json", exclude_none=True)
    return LiveStream.model_validate(document | {"status": plan.status})
