"""Specs with every field, and the plans of each kind in the worlds in which these fields matter."""

from collections.abc import Iterator

from operators.api import Channel, FlashSale
from operators.channel.observe import CdnProbe, PlayoutBeat
from operators.channel.plan import plan as plan_channel
from operators.core.capabilities import Capabilities
from operators.core.plan import Plan
from operators.core.platform import CdnProvider, Pool, ServiceCapacity, SharedService, WorkerTemplate
from operators.core.pooling import Allocation, Worker
from operators.core.scaling import Sample
from operators.flashsale.observe import LedgerReport, SaleObserved
from operators.flashsale.plan import plan as plan_sale
from operators.flashsale.services import LiveService, views
from operators.livestream.observe import RoomBeat
from operators.livestream.plan import plan as plan_stream
from tests.unit.operators.builders import NOW, PLATFORM, applied, beat, observed, sale, stream
from tests.unit.operators.channel.making import after, secret, seen
from tests.unit.operators.fields import Spec

WIDE = PLATFORM.model_copy(
    update={
        "srt_url": "srt://live.example:9000",
        "ladders": PLATFORM.ladders | {"small": PLATFORM.ladders["default"]},
        "pools": {"default": Pool(), "other": Pool(template=WorkerTemplate(hardware="NVENC"))},
        "cdn_providers": {"fast": CdnProvider(driver="Static"), "spare": CdnProvider(driver="Static")},
        "capacity": {SharedService.COMMERCE: ServiceCapacity(rps_per_replica=100, max=8)},
    }
)
HOUR = 3600.0

# LiveStream

STARTED = {"phase": "Live", "startedAt": "2027-01-15T07:30:00Z", "fanout": {"replicas": 2, "readyReplicas": 2}}
RESOURCES = {"cpu": "500m", "memory": "512Mi"}
RICH_STREAM: Spec = {
    "channel": {"name": "aarong"}, "title": "Launch", "description": "Now", "language": "bn", "tags": ["saree"],
    "thumbnailUri": "https://pictures.example/one.jpg", "desiredState": "Auto", "paused": False,
    "schedule": {"startAt": "2027-01-15T08:20:00Z", "endAt": "2027-01-15T20:00:00Z", "prepareBefore": "5m",
                 "maxDuration": "12h", "endAfterIdle": "10m", "interruptGrace": "60s"},
    "encoding": {"ladderRef": {"name": "default"}, "latency": {"mode": "Low", "targetSeconds": 3}, "codecs": ["H264"],
                 "maxHeight": 720},
    "transcode": {"placement": "Dedicated", "redundancy": 1, "hardware": "Auto", "resources": RESOURCES,
                  "priorityClassName": "high"},
    "pull": {"uri": "https://origin.example/live.m3u8"},
    "fanout": {"minReplicas": 1, "maxReplicas": 20, "connectionsPerReplica": 500, "targetUtilizationPercent": 70,
               "drain": "120s", "scaleToZeroAfter": "5m"},
    "delivery": {"edge": {"minReplicas": 0, "maxReplicas": 0}},
    "autoscaling": {"provider": "Native", "expectedViewers": 800, "profile": "Steady"},
    "coHosts": [{"userId": "ana", "role": "Guest", "ingestProtocol": "WHIP"}],
    "catalogRef": {"name": "catalog"}, "moderationPolicyRef": {"name": "strict"},
    "models": [{"role": "Recommendation", "modelRef": {"name": "co-view"}, "isolation": "Shared"}],
    "recording": {"enabled": True, "storageRef": {"name": "archive"}, "retention": "720h", "dvrWindow": "5m",
                  "highlights": False},
    "template": {"podLabels": {"team": "live"}, "podAnnotations": {"note": "one"}, "nodeSelector": {"disk": "fast"},
                 "tolerations": [{"key": "live", "operator": "Equal", "value": "yes", "effect": "NoSchedule"}],
                 "topologySpreadConstraints": [{"topologyKey": "rack", "maxSkew": 1, "whenUnsatisfiable": "ScheduleAnyway"}],
                 "imagePullSecrets": [{"name": "registry"}],
                 "components": [{"name": "fanout", "resources": RESOURCES}]},
    "ttlSecondsAfterEnded": 3600,
}  # fmt: skip
POOLED: Spec = RICH_STREAM | {"transcode": {"placement": "Pooled", "poolRef": {"name": "default"}}}
EMPTY_ROOM: Spec = RICH_STREAM | {
    "fanout": RICH_STREAM["fanout"] | {"minReplicas": 0},
    "autoscaling": RICH_STREAM["autoscaling"] | {"expectedViewers": 0},
}


def stream_plans(spec: Spec) -> Iterator[Plan]:
    """A stream before its time, ready, live with a crowd, left by its publisher, and over."""
    ray = Capabilities(ray=True)
    first = plan_stream(stream(**spec), observed(capabilities=ray), WIDE, NOW + HOUR)
    children = applied(first)
    crowd = tuple(Sample(NOW + HOUR - age, 900) for age in range(900, -1, -5))
    quiet = tuple(Sample(NOW + HOUR - age, 0) for age in range(290, -1, -5))
    place = Allocation("default", "w", 4, "stream-uid")
    here = {
        "children": children,
        "capabilities": ray,
        "catalog": "{}",
        "sales": (sale(startsAt="2027-01-15T09:05:00Z", endsAt="2027-01-15T10:00:00Z"),),
        "allocation": place,
        "worker": Worker("w", "http://w", 8, ("shop/launch",)),
        "host": Worker("w", "http://w", 8, ("shop/launch",)),
    }
    yield plan_stream(stream(**spec), observed(), WIDE, NOW)
    yield first
    room = RoomBeat(2, 900, 900, {"a": 500, "b": 400})
    alone = here | {"sales": ()}
    for status, world in (
        ({}, here),
        (STARTED, alone | {"transcoder": beat(at=NOW + HOUR), "room": room, "samples": crowd}),
        (STARTED, alone | {"transcoder": beat(at=NOW + HOUR), "samples": quiet}),
        (STARTED, alone | {"knocked_at": NOW + HOUR - 330}),
        (STARTED | {"interruptedAt": "2027-01-15T08:59:30Z"}, alone),
        (STARTED | {"interruptedAt": "2027-01-15T08:55:00Z"}, alone),
        (STARTED | {"endedAt": "2027-01-15T08:50:00Z"}, alone),
        (STARTED | {"endedAt": "2027-01-15T08:59:50Z"}, alone | {"room": room}),
        ({"phase": "Provisioning"}, alone),
    ):
        yield plan_stream(stream(status=status, **spec), observed(**world), WIDE, NOW + HOUR)


# FlashSale

RICH_SALE: Spec = {
    "stream": {"name": "launch"}, "startsAt": "2027-01-15T08:10:00Z", "endsAt": "2027-01-15T09:10:00Z",
    "displayTimezone": "Asia/Kolkata", "state": "Scheduled",
    "items": [{"sku": "SAREE", "title": "Saree", "price": {"amount": 1000, "currency": "BDT"},
               "listPrice": {"amount": 2000, "currency": "BDT"}, "stock": 20, "perUserLimit": 2, "maxPerOrder": 1}],
    "admission": {"mode": "Queue", "ratePerSecond": 10, "queueCapacity": 100, "tokenTTL": "120s"},
    "reservation": {"hold": "120s", "oversell": False},
    "eligibility": {"segments": ["vip"], "countries": ["BD"], "minAccountAge": "24h"},
    "fraud": {"modelRef": {"name": "co-view"}, "mode": "Monitor", "timeoutMillis": 500, "onTimeout": "Allow"},
    "pricing": {"modelRef": {"name": "co-view"}, "floorPercent": 80, "ceilingPercent": 120, "minInterval": "60s"},
    "capacity": {"expectedPeakRps": 300, "expectedViewers": 3000, "headroomPercent": 30,
                 "prewarm": {"leadTime": "15m", "minReadyPercent": 50, "nodes": True, "imagePrePull": True},
                 "cooldown": {"after": "10m", "stepPercent": 25, "interval": "2m"}},
    "countdown": {"announceBefore": ["10m"]},
    "settlement": {"grace": "15m", "exportRef": {"name": "archive"}},
    "ttlSecondsAfterFinished": 600,
}  # fmt: skip
OF_CHANNEL: Spec = {name: value for name, value in RICH_SALE.items() if name != "stream"} | {
    "channel": {"name": "aarong"}
}


def sale_plans(spec: Spec) -> Iterator[Plan]:
    """A sale long before, when capacity is due, while it cools down, and when it is settled."""
    for at, report, ready in (
        (-HOUR, None, 0),
        (0.0, LedgerReport("Scheduled", total=20), 11),
        (80 * 60.0, LedgerReport("Closed", total=20, ended_at_ms=int((NOW + 4200) * 1000)), 0),
        (80 * 60.0, LedgerReport("Settled", total=20, ended_at_ms=int((NOW + 4200) * 1000)), 0),
    ):
        now = NOW + at
        subject = FlashSale.model_validate(
            {"metadata": {"name": "drop", "namespace": "shop", "uid": "sale-uid", "generation": 1}, "spec": spec}
        )
        live = {SharedService.COMMERCE: LiveService(4, ready=ready)}
        named = subject.spec.stream.name if subject.spec.stream else subject.spec.channel.name  # type: ignore[union-attr]
        room = stream(status={"fanout": {"readyReplicas": 1}}, fanout={"connectionsPerReplica": 1000})
        found = room if named in ("launch", "aarong") else None
        world = SaleObserved(
            found, report=report, services=views(subject, [subject], WIDE, live, pod_start_seconds=10.0)
        )
        yield plan_sale(subject, world, WIDE, now)


# Channel

RICH_CHANNEL: Spec = {
    "displayName": "Aarong Live", "slug": "aarong", "owner": {"creatorId": "c-1", "team": "north"}, "mode": "OnDemand",
    "ingest": {"protocols": ["RTMP"], "allowedCIDRs": ["10.0.0.0/8"], "redundant": False,
               "keyRotation": {"policy": "Interval", "interval": "300h"}},
    "encoding": {"ladderRef": {"name": "default"}, "latency": {"mode": "Low", "targetSeconds": 3}, "codecs": ["H264"],
                 "maxHeight": 720},
    "playback": {"visibility": "Public",
                 "token": {"mode": "Signed", "ttl": "5m", "bindTo": ["IP"], "keyRotation": "24h"},
                 "drm": {"systems": ["ClearKey"], "keyServerRef": {"name": "keys"}, "licensePolicyRef": {"name": "home"}},
                 "geo": {"mode": "Deny", "countries": ["BD"]}, "allowedOrigins": ["https://shop.example"]},
    "delivery": {"hostname": "live.aarong.example",
                 "gatewayRef": {"name": "public", "namespace": "infra", "sectionName": "https"}, "strategy": "Weighted",
                 "cdns": [{"provider": "fast", "weight": 80, "role": "Primary", "regions": ["as"]}],
                 "redirectTTL": "30s"},
    "interactions": {"chat": {"enabled": True, "slowMode": "5s", "maxLength": 300,
                              "moderationPolicyRef": {"name": "strict"}},
                     "reactions": True, "polls": True, "gifts": True, "coHosts": 2,
                     "translation": {"languages": ["bn"]}},
    "recording": {"enabled": True, "storageRef": {"name": "archive"}, "retention": "720h", "dvrWindow": "5m",
                  "highlights": False},
    "restream": [{"name": "yt", "platform": "YouTube", "urlSecretRef": {"name": "yt-url"}}],
    "models": [{"role": "Recommendation", "modelRef": {"name": "co-view"}}],
    "quota": {"maxConcurrentStreams": 2, "maxViewers": 100, "maxBitrateKbps": 3000, "maxTranscodeMillicores": 900,
              "maxDailyDuration": "2h"},
    "suspended": False, "deletionPolicy": "Retain",
}  # fmt: skip
OWN_KEY: Spec = RICH_CHANNEL | {"ingest": RICH_CHANNEL["ingest"] | {"keySecretRef": {"name": "mine"}}}
LINEAR: Spec = RICH_CHANNEL | {
    "mode": "Linear",
    "programming": {
        "timezone": "UTC", "slateUri": "https://films.example/slate.mp4", "gapPolicy": "Slate", "horizon": "6h",
        "slots": [
            {"name": "film", "cron": "30 8 * * *", "duration": "1h", "priority": 4, "vodUri": "https://films.example/1.mp4"},
            {"name": "rest", "cron": "0 9 * * *", "duration": "3h", "priority": 5, "vodUri": "https://films.example/2.mp4"},
        ],
    },
}  # fmt: skip
SHOWING: Spec = LINEAR | {
    "programming": LINEAR["programming"]
    | {"slots": [{"name": "show", "cron": "3 8 * * *", "duration": "30m",
                  "streamTemplate": {"title": "Tonight", "description": "Live", "prepareBefore": "5m"}}]}
}  # fmt: skip
RELAYING: Spec = LINEAR | {
    "programming": LINEAR["programming"]
    | {"slots": [{"name": "guest", "cron": "3 8 * * *", "duration": "30m", "relayChannel": "friends"}]}
}  # fmt: skip


def channel_plans(spec: Spec) -> Iterator[Plan]:
    """A channel that is new, one that is on air at its limits, and one that is deleted."""
    metadata = {"name": "aarong", "namespace": "shop", "uid": "aarong-uid", "generation": 1}
    subject = Channel.model_validate({"metadata": metadata, "spec": spec})
    live = stream(status=STARTED | {"viewers": 100, "ingest": {"bitrateKbps": 3000}})
    gateway = Capabilities(gateway=True)
    first = plan_channel(subject, seen(capabilities=gateway), WIDE, NOW)
    probes = {"fast": CdnProbe(True, NOW), "spare": CdnProbe(True, NOW)}
    yield first
    world = seen(children=after(first), capabilities=gateway, cdn_probes=probes, playout=PlayoutBeat("film", "x", NOW))
    yield plan_channel(subject, world, WIDE, NOW + 60)
    old = {("Secret", "aarong-channel-key"): secret("aarong-channel-key", "old", created="2027-01-01T00:00:00Z")}
    yield plan_channel(subject, seen(streams=(live,), capabilities=gateway, children=old), WIDE, NOW)
    two = (live, stream(metadata={"name": "b", "uid": "b"}, status=STARTED))
    yield plan_channel(subject, seen(streams=two), WIDE, NOW + 2 * HOUR)
    deleting = Channel.model_validate(
        {"metadata": metadata | {"deletionTimestamp": "2027-01-15T08:00:00Z"}, "spec": spec}
    )
    yield plan_channel(deleting, seen(streams=(live,)), WIDE, NOW)
    # What a stream takes over from its channel.
    yield plan_stream(stream(), observed(channel=subject, holds_channel_key=True), WIDE, NOW)
    yield plan_stream(
        stream(), observed(channel=subject, sibling_millicores=400, seconds_today=7200.0, siblings=("b",)), WIDE, NOW
    )
    yield plan_stream(stream(), observed(channel=subject, siblings=("a", "b")), WIDE, NOW)
