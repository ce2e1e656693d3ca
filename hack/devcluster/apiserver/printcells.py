"""Single cells of the built-in tables: small pure functions from an object to the text kubectl shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hack.devcluster.apiserver.ages import duration, parse_time

Obj = dict[str, Any]


def _statuses(obj: Obj) -> list[Obj]:
    return list((obj.get("status") or {}).get("containerStatuses") or ())


def pod_ready(obj: Obj) -> str:
    """`1/2`."""
    total = len((obj.get("spec") or {}).get("containers") or ())
    return f"{sum(bool(item.get('ready')) for item in _statuses(obj))}/{total}"


def pod_restarts(obj: Obj, age: Callable[[str | None], str]) -> str:
    """Restart count, with the time of the last one."""
    count, last = 0, ""
    for item in _statuses(obj):
        count += item.get("restartCount", 0)
        last = max(last, ((item.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or "")
    return f"{count} ({age(last)} ago)" if count and last else str(count)


def pod_status(obj: Obj) -> str:
    """The one word for a pod's state, from the phase, the init containers and the containers."""
    status, meta = obj.get("status") or {}, obj["metadata"]
    reason = status.get("reason") or status.get("phase") or "Unknown"
    initial = _init_reason(obj)
    if initial:
        reason = initial
    else:
        running = False
        for item in reversed(_statuses(obj)):
            state = item.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                reason = state["waiting"]["reason"]
            elif state.get("terminated") is not None:
                reason = _terminated(state["terminated"])
            elif item.get("ready") and state.get("running") is not None:
                running = True
        if reason == "Completed" and running:
            ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or ())
            reason = "Running" if ready else "NotReady"
    if meta.get("deletionTimestamp") and status.get("reason") == "NodeLost":
        return "Unknown"
    if meta.get("deletionTimestamp") and status.get("phase") not in ("Failed", "Succeeded"):
        return "Terminating"
    return str(reason)


def _terminated(state: Obj) -> str:
    if state.get("reason"):
        return str(state["reason"])
    return f"Signal:{state['signal']}" if state.get("signal") else f"ExitCode:{state.get('exitCode', 0)}"


def _init_reason(obj: Obj) -> str:
    total = len((obj.get("spec") or {}).get("initContainers") or ())
    for at, item in enumerate((obj.get("status") or {}).get("initContainerStatuses") or ()):
        state = item.get("state") or {}
        done = state.get("terminated")
        if done is not None and done.get("exitCode", 0) == 0:
            continue
        if done is not None:
            return "Init:" + _terminated(done)
        waiting = (state.get("waiting") or {}).get("reason")
        return f"Init:{waiting}" if waiting and waiting != "PodInitializing" else f"Init:{at}/{total}"
    return ""


def container_names(spec: Obj) -> str:
    """Names, joined."""
    return ",".join(item.get("name", "") for item in spec.get("containers") or ())


def container_images(spec: Obj) -> str:
    """Images, joined."""
    return ",".join(item.get("image", "") for item in spec.get("containers") or ())


def selector_text(selector: Obj | None) -> str:
    """A label selector in its query form."""
    if not selector:
        return "<none>"
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for item in selector.get("matchExpressions") or ():
        key, values = item.get("key"), ",".join(sorted(item.get("values") or ()))
        forms = {
            "In": f"{key} in ({values})",
            "NotIn": f"{key} notin ({values})",
            "Exists": f"{key}",
            "DoesNotExist": f"!{key}",
        }
        parts.append(forms.get(item.get("operator", ""), ""))
    return ",".join(parts) or "<none>"


def job_status(obj: Obj) -> str:
    """Complete, Failed, Suspended, Terminating or Running."""
    conditions = (obj.get("status") or {}).get("conditions") or ()
    true = {item.get("type") for item in conditions if item.get("status") == "True"}
    for kind in ("Complete", "Failed", "Suspended", "FailureTarget", "SuccessCriteriaMet"):
        if kind in true:
            return kind
    return "Terminating" if obj["metadata"].get("deletionTimestamp") else "Running"


def completions(obj: Obj) -> str:
    """`1/3`, or `0/1 of 4` for a work queue."""
    spec, done = obj.get("spec") or {}, (obj.get("status") or {}).get("succeeded", 0)
    if spec.get("completions") is not None:
        return f"{done}/{spec['completions']}"
    parallel = spec.get("parallelism", 0)
    return f"{done}/1 of {parallel}" if parallel > 1 else f"{done}/1"


def job_duration(obj: Obj, age: Callable[[str | None], str]) -> str:
    """Time from start to end, or until now."""
    status = obj.get("status") or {}
    start, end = parse_time(status.get("startTime")), parse_time(status.get("completionTime"))
    if start is None:
        return ""
    return age(status["startTime"]) if end is None else duration((end - start).total_seconds())


def external_ips(obj: Obj) -> str:
    """The External-IP cell of a Service."""
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName", ""))
    given = list(spec.get("externalIPs") or ())
    if spec.get("type") == "LoadBalancer":
        entries = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
        given = [item.get("ip") or item.get("hostname", "") for item in entries] + given
        return ",".join(given) or "<pending>"
    return ",".join(given) or "<none>"


def service_ports(spec: Obj) -> str:
    """`80/TCP,443:30443/TCP`."""
    texts = []
    for port in spec.get("ports") or ():
        node = f":{port['nodePort']}" if port.get("nodePort") else ""
        texts.append(f"{port.get('port')}{node}/{port.get('protocol', 'TCP')}")
    return ",".join(texts) or "<none>"


def ingress_hosts(spec: Obj) -> str:
    """Hosts, at most three."""
    hosts = [rule["host"] for rule in spec.get("rules") or () if rule.get("host")]
    if not hosts:
        return "*"
    return ",".join(hosts[:3]) + (f" + {len(hosts) - 3} more..." if len(hosts) > 3 else "")


def ingress_address(obj: Obj) -> str:
    """Addresses of the balancer."""
    entries = ((obj.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(item.get("ip") or item.get("hostname", "") for item in entries)


def ingress_ports(spec: Obj) -> str:
    """`80` or `80, 443`."""
    return "80, 443" if spec.get("tls") else "80"


def node_status(obj: Obj) -> str:
    """Ready, NotReady or Unknown, and SchedulingDisabled."""
    ready = next((c for c in (obj.get("status") or {}).get("conditions") or () if c.get("type") == "Ready"), None)
    text = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return text + (",SchedulingDisabled" if (obj.get("spec") or {}).get("unschedulable") else "")


def node_roles(obj: Obj) -> str:
    """Roles from labels."""
    prefix = "node-role.kubernetes.io/"
    roles = sorted(key[len(prefix) :] for key in obj["metadata"].get("labels") or {} if key.startswith(prefix))
    return ",".join(role for role in roles if role) or "<none>"


def node_version(obj: Obj) -> str:
    """Version of the agent."""
    return str(((obj.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion", ""))


def node_address(obj: Obj, kind: str) -> str:
    """An address of a kind."""
    addresses = (obj.get("status") or {}).get("addresses") or ()
    return next((item.get("address", "") for item in addresses if item.get("type") == kind), "<none>")


_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}


def access_modes(part: Obj) -> str:
    """`RWO,ROX`."""
    return ",".join(_MODES.get(mode, mode) for mode in part.get("accessModes") or ())


def metric_targets(obj: Obj) -> str:
    """The Targets cell of an autoscaler: current/target of each metric."""
    current = {
        _metric_name(item): _metric_value(item, "current")
        for item in (obj.get("status") or {}).get("currentMetrics") or ()
    }
    texts = []
    for metric in (obj.get("spec") or {}).get("metrics") or ():
        name = _metric_name(metric)
        texts.append(f"{name}: {current.get(name) or '<unknown>'}/{_metric_value(metric, 'target')}")
    shown = ", ".join(texts[:2])
    return (f"{shown} + {len(texts) - 2} more..." if len(texts) > 2 else shown) or "<none>"


def _metric_body(metric: Obj) -> Obj:
    kind = metric.get("type", "")
    body: Obj = metric.get(kind[:1].lower() + kind[1:]) or {}
    return body


def _metric_name(metric: Obj) -> str:
    body = _metric_body(metric)
    return str(body.get("name") or (body.get("metric") or {}).get("name", ""))


def _metric_value(metric: Obj, part: str) -> str:
    value = _metric_body(metric).get(part) or {}
    if value.get("averageUtilization") is not None:
        return f"{value['averageUtilization']}%"
    return str(value.get("averageValue") or value.get("value") or "")


def subset_addresses(obj: Obj) -> str:
    """`10.0.0.1:80,10.0.0.2:80 + 2 more...`."""
    found = []
    for subset in obj.get("subsets") or ():
        ports = subset.get("ports") or [{}]
        for address in subset.get("addresses") or ():
            found += [
                f"{address.get('ip')}:{port['port']}" if "port" in port else str(address.get("ip")) for port in ports
            ]
    return (",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")) or "<none>"


def slice_ports(obj: Obj) -> str:
    """Ports of an EndpointSlice."""
    return ",".join(str(port.get("port")) for port in obj.get("ports") or ()) or "<unset>"


def slice_endpoints(obj: Obj) -> str:
    """Addresses of an EndpointSlice."""
    found = [address for item in obj.get("endpoints") or () for address in item.get("addresses") or ()]
    return (",".join(found[:3]) + (f" + {len(found) - 3} more..." if len(found) > 3 else "")) or "<unset>"


def quota_usage(obj: Obj, *, limits: bool) -> str:
    """`pods: 1/3, requests.cpu: 1/2`, either of the limits or of everything else."""
    hard = (obj.get("spec") or {}).get("hard") or {}
    used = (obj.get("status") or {}).get("used") or {}
    names = [name for name in sorted(hard) if name.startswith("limits.") == limits]
    return ", ".join(f"{name}: {used.get(name, '0')}/{hard[name]}" for name in names)
