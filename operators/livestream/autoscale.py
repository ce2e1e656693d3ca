"""How many fan-out pods a room has, and who decides it."""

from operators.api import LiveStream
from operators.api.base import seconds
from operators.api.livestream import AutoscalingProvider, ScalingProfile
from operators.api.livestream_status import StreamPhase
from operators.core.capabilities import Capabilities
from operators.core.plan import ObjectRef, Patch
from operators.core.platform import Platform
from operators.core.scaling import Decision, ScalingRules, decide, floor_for
from operators.flashsale.sizing import floor_of
from operators.livestream import names
from operators.livestream.observe import StreamObserved

COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost"
STARTED = (StreamPhase.LIVE, StreamPhase.INTERRUPTED)
ZERO_BEFORE_VIEWERS = "NobodyYet"


def provider(stream: LiveStream, capabilities: Capabilities, platform: Platform) -> AutoscalingProvider:
    """Who scales the room. It never changes on air: handing `replicas` over resets it for a moment."""
    known = stream.status.fanout.provider if stream.status.fanout else ""
    if known and stream.status.phase in STARTED:
        return AutoscalingProvider(known)
    wanted = stream.spec.autoscaling.provider
    if wanted != AutoscalingProvider.AUTO:
        return wanted
    if stream.spec.fanout.min_replicas == 0:
        return AutoscalingProvider.NATIVE  # only the operators hear a knock
    if capabilities.keda and platform.autoscaling.prometheus_url:
        return AutoscalingProvider.KEDA
    return AutoscalingProvider.HPA if capabilities.custom_metrics else AutoscalingProvider.NATIVE


def floor(stream: LiveStream, observed: StreamObserved, now: float) -> int:
    """Replicas to hold: for the viewers that the stream expects and for each sale that is near."""
    per_replica = stream.spec.fanout.connections_per_replica
    expected = floor_for(stream.spec.autoscaling.expected_viewers, 0, per_replica)
    start = observed.pod_start_seconds
    return max([expected, *(floor_of(sale, per_replica, now, pod_start_seconds=start) for sale in observed.sales)])


def bounds(stream: LiveStream, held: int) -> tuple[int, int]:
    """(least, most) replicas with the floor applied."""
    spec = stream.spec.fanout
    return min(max(spec.min_replicas, held), spec.max_replicas), spec.max_replicas


def rules(stream: LiveStream) -> ScalingRules:
    """The windows and bounds of the room's autoscaler; a spiky crowd gets twice the room and keeps it longer."""
    spec = stream.spec.fanout
    spiky = stream.spec.autoscaling.profile == ScalingProfile.SPIKY
    return ScalingRules(
        minimum=spec.min_replicas,
        maximum=spec.max_replicas,
        per_replica=spec.connections_per_replica,
        utilization_percent=spec.target_utilization_percent // 2 if spiky else spec.target_utilization_percent,
        stabilization_seconds=900.0 if spiky else 300.0,
    )


def replicas(stream: LiveStream, observed: StreamObserved, who: AutoscalingProvider, held: int, now: float) -> Decision:
    """How many fan-out pods there should be; for KEDA and HPA only what they start from."""
    low, high = bounds(stream, held)
    live = observed.child("Deployment", names.fanout(stream))
    current = int(((live or {}).get("spec") or {}).get("replicas") or 0)
    if who == AutoscalingProvider.NATIVE and _nobody(stream, observed, held, now):
        return Decision(0, ZERO_BEFORE_VIEWERS)
    low = max(1, low)
    if live is None or who == AutoscalingProvider.NONE:
        return Decision(low, "Floor")
    if current == 0:
        return Decision(low, "ScaleUp")
    if who != AutoscalingProvider.NATIVE:
        return Decision(min(max(current, low), high), "Delegated")
    decided = decide(
        observed.samples, current=current, floor=held, rules=rules(stream), now=now, last_change=observed.last_scaled_at
    )
    return Decision(max(1, decided.replicas), decided.reason)


def _nobody(stream: LiveStream, observed: StreamObserved, held: int, now: float) -> bool:
    """Whether a room that may be empty is empty: no sale, no socket, and nobody who knocked lately."""
    spec = stream.spec.fanout
    if spec.min_replicas > 0 or held > 0:
        return False
    idle = seconds(spec.scale_to_zero_after) if spec.scale_to_zero_after else 300.0
    last = max([observed.knocked_at, *(sample.at for sample in observed.samples if sample.connections)])
    return observed.room.connections == 0 and now - last >= idle


def deletion_costs(stream: LiveStream, observed: StreamObserved) -> tuple[Patch, ...]:
    """Annotations that make a scale-down take the pod with the fewest open sockets."""
    patches = []
    for pod in observed.pods:
        metadata = pod["metadata"]
        if (metadata.get("labels") or {}).get("app.kubernetes.io/component") != "fanout":
            continue
        cost = str(observed.room.by_pod.get(metadata["name"], 0))
        if (metadata.get("annotations") or {}).get(COST_ANNOTATION, "0") != cost:
            ref = ObjectRef("v1", "Pod", stream.metadata.namespace, metadata["name"])
            patches.append(Patch(ref, {"metadata": {"annotations": {COST_ANNOTATION: cost}}}))
    return tuple(patches)
