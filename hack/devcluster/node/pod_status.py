"""From the states of the containers to the status of the pod: phase and conditions. Pure.

Source: kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle and the kubelet's pkg/kubelet/status/generate.go.
"""

from collections.abc import Sequence

from hack.devcluster.objects import Obj, merge_condition, spec_of


def _state(status: Obj, name: str) -> Obj | None:
    found: Obj | None = (status.get("state") or {}).get(name)
    return found


def is_sidecar(container: Obj) -> bool:
    """An init container that keeps running beside the others."""
    return container.get("restartPolicy") == "Always"


def pod_phase(pod: Obj, *, init: Sequence[Obj], main: Sequence[Obj]) -> str:
    """Phase by the restart policy and the container statuses."""
    policy = spec_of(pod).get("restartPolicy") or "Always"
    sidecars = {entry["name"] for entry in spec_of(pod).get("initContainers") or [] if is_sidecar(entry)}
    for status in init:
        ended = _state(status, "terminated")
        if status["name"] in sidecars:
            continue
        if ended is None:
            return "Pending"
        if ended.get("exitCode") != 0:
            return "Failed" if policy == "Never" else "Pending"
    if not main:
        return "Pending"
    running = [entry for entry in main if _state(entry, "running") is not None]
    ended_all = [_state(entry, "terminated") for entry in main]
    waiting = [entry for entry in main if _state(entry, "waiting") is not None]
    if waiting and not running and not any(entry.get("lastState") for entry in waiting):
        return "Pending" if len(waiting) == len(main) else "Running"
    finished = [entry for entry in ended_all if entry is not None]
    if len(finished) < len(main) or policy == "Always":
        return "Running"
    if all(entry.get("exitCode") == 0 for entry in finished):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def pod_conditions(
    pod: Obj, *, previous: Sequence[Obj], phase: str, init: Sequence[Obj], main: Sequence[Obj], now: float
) -> list[Obj]:
    """All conditions the agent owns, merged into those of others (PodScheduled, DisruptionTarget, readiness gates)."""
    initialized = all(
        (_state(entry, "terminated") or {}).get("exitCode") == 0 or entry.get("started") for entry in init
    )
    sidecars = {entry["name"] for entry in spec_of(pod).get("initContainers") or [] if is_sidecar(entry)}
    counted = [*(entry for entry in init if entry["name"] in sidecars), *main]
    unready = [entry["name"] for entry in counted if not entry.get("ready")]
    done = phase in ("Succeeded", "Failed")
    waiting_init = [entry["name"] for entry in init if not entry.get("ready")]
    conditions = list(previous)
    conditions = merge_condition(
        conditions,
        kind="Initialized",
        status="True" if initialized else "False",
        reason="" if initialized else "ContainersNotInitialized",
        message="" if initialized else f"containers with incomplete status: [{' '.join(waiting_init)}]",
        now=now,
    )
    ready = bool(main) and not unready and not done and initialized
    reason = "PodCompleted" if done else ("" if ready else "ContainersNotReady")
    message = "" if ready or done else f"containers with unready status: [{' '.join(unready)}]"
    conditions = merge_condition(
        conditions,
        kind="ContainersReady",
        status="True" if ready else "False",
        reason=reason,
        message=message,
        now=now,
    )
    gates = [gate["conditionType"] for gate in spec_of(pod).get("readinessGates") or []]
    closed = [gate for gate in gates if not any(c.get("type") == gate and c.get("status") == "True" for c in previous)]
    if ready and closed:
        ready, reason = False, "ReadinessGatesNotReady"
        message = f"corresponding condition of pod readiness gate does not exist or is not true: {' '.join(closed)}"
    return merge_condition(
        conditions, kind="Ready", status="True" if ready else "False", reason=reason, message=message, now=now
    )
