"""Whether a node takes a pod, by the node itself: selector, affinity, taints. Pure.

Source: component-helpers/scheduling/corev1 and the scheduler's plugins nodeaffinity, tainttoleration and
nodeunschedulable. Trap avoided: an empty term matches no node, while an empty selector matches all.
"""

from collections.abc import Mapping, Sequence

from hack.devcluster.objects import Obj, labels_of, matches_labels, name_of, spec_of

AFFINITY = "node(s) didn't match Pod's node affinity/selector"
UNSCHEDULABLE = "node(s) were unschedulable"
_UNSCHEDULABLE_TAINT: Obj = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


def node_reason(pod: Obj, node: Obj) -> str:
    """Why the node refuses the pod whatever else runs on it; empty when it does not."""
    if spec_of(node).get("unschedulable") and not tolerates(pod, _UNSCHEDULABLE_TAINT):
        return UNSCHEDULABLE
    taint = untolerated(pod, node, hard=True)
    if taint is not None:
        return f"node(s) had untolerated taint {{{taint.get('key')}: {taint.get('value') or ''}}}"
    return "" if affinity_admits(pod, node) else AFFINITY


def affinity_admits(pod: Obj, node: Obj) -> bool:
    """nodeSelector and the required node affinity."""
    if not matches_labels(spec_of(pod).get("nodeSelector") or {}, labels_of(node)):
        return False
    affinity = (spec_of(pod).get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term(term, node) for term in required.get("nodeSelectorTerms") or [])


def _term(term: Obj, node: Obj) -> bool:
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    return all(_expression(entry, labels_of(node)) for entry in expressions) and all(
        _expression(entry, {"metadata.name": name_of(node)}) for entry in fields
    )


def _expression(entry: Obj, values: Mapping[str, str]) -> bool:
    key, operator, wanted = str(entry.get("key", "")), entry.get("operator"), entry.get("values") or []
    if operator == "Exists":
        return key in values
    if operator == "DoesNotExist":
        return key not in values
    if operator == "In":
        return values.get(key) in wanted
    if operator == "NotIn":
        return values.get(key) not in wanted
    return _compare(str(operator), values.get(key), wanted)


def _compare(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    try:
        have, bound = int(str(value)), int(wanted[0])
    except (ValueError, IndexError):
        return False
    return (operator == "Gt" and have > bound) or (operator == "Lt" and have < bound)


def tolerates(pod: Obj, taint: Obj) -> bool:
    return any(_covers(toleration, taint) for toleration in spec_of(pod).get("tolerations") or [])


def _covers(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    operator = toleration.get("operator") or "Equal"
    if toleration.get("key") and toleration["key"] != taint.get("key"):
        return False
    if operator == "Exists":
        return True
    return bool(toleration.get("key")) and (toleration.get("value") or "") == (taint.get("value") or "")


def untolerated(pod: Obj, node: Obj, *, hard: bool) -> Obj | None:
    """The first taint that keeps the pod away; `hard` leaves PreferNoSchedule out."""
    for taint in spec_of(node).get("taints") or []:
        if hard and taint.get("effect") not in ("NoSchedule", "NoExecute"):
            continue
        if not tolerates(pod, taint):
            found: Obj = taint
            return found
    return None
