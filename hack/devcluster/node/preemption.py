"""Which pods of lower priority give way to a pod that does not fit. Pure.

Source: pkg/scheduler/framework/plugins/defaultpreemption. Trap avoided: taking more pods than needed; all lower ones
are taken off in thought, then put back one by one, the most important first, as long as the newcomer still fits.
"""

from collections.abc import Callable, Sequence

from hack.devcluster.objects import Obj, is_deleting, labels_of, matches_selector, namespace_of, spec_of, status_of

NO_VICTIMS = "No preemption victims found for incoming pod"
NOT_HELPFUL = "Preemption is not helpful for scheduling"


def priority_of(pod: Obj) -> int:
    return int(spec_of(pod).get("priority") or 0)


def may_preempt(pod: Obj, present: Sequence[Obj]) -> str:
    """Why the pod may not push others away now; empty when it may."""
    if spec_of(pod).get("preemptionPolicy") == "Never":
        return "not eligible due to preemptionPolicy=Never."
    if status_of(pod).get("nominatedNodeName") and any(
        is_deleting(other) and priority_of(other) < priority_of(pod) for other in present
    ):
        return "not eligible due to terminating pod on the nominated node."
    return ""


def importance(pod: Obj) -> tuple[int, str]:
    """Sort key, the least important last: higher priority, then longer running."""
    return -priority_of(pod), str(status_of(pod).get("startTime") or "9999")


def choose_victims(
    pod: Obj, present: Sequence[Obj], budgets: Sequence[Obj], fits: Callable[[Sequence[Obj]], bool]
) -> list[Obj]:
    """Pods to delete so that `pod` fits; empty when that does not help. Those that no budget protects go first."""
    lower = [other for other in present if priority_of(other) < priority_of(pod)]
    kept = [other for other in present if priority_of(other) >= priority_of(pod)]
    if not lower or not fits(kept):
        return []
    guarded, free = _split(sorted(lower, key=importance), budgets)
    victims: list[Obj] = []
    for other in [*guarded, *free]:
        if fits([*kept, other]):
            kept.append(other)
        else:
            victims.append(other)
    return [other for other in victims if not is_deleting(other)]


def _split(pods: Sequence[Obj], budgets: Sequence[Obj]) -> tuple[list[Obj], list[Obj]]:
    """(pods whose loss would break a budget, the others), both in their order."""
    left = {id(budget): int(status_of(budget).get("disruptionsAllowed") or 0) for budget in budgets}
    guarded: list[Obj] = []
    free: list[Obj] = []
    for pod in pods:
        broken = False
        for budget in budgets:
            same = namespace_of(budget) == namespace_of(pod)
            if same and matches_selector(spec_of(budget).get("selector"), labels_of(pod)):
                left[id(budget)] -= 1
                broken = broken or left[id(budget)] < 0
        (guarded if broken else free).append(pod)
    return guarded, free
