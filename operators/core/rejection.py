"""What the API server refuses for good, and how that reads in a status.

A refusal is not a failure of ours: trying again at once would only heat the API server. It becomes a condition with a
reason that a person can act on, an event when it is new, and a slow retry.
"""

from collections.abc import Sequence
from dataclasses import replace

from operators.api.base import Condition
from operators.core.conditions import Fact, merge
from operators.core.plan import Event, Plan


class ApplyRejected(Exception):
    """A child that the API server does not take; `reason` is one word of the condition."""

    def __init__(self, kind: str, name: str, reason: str, message: str) -> None:
        super().__init__(f"{kind} {name}: {message}")
        self.reason = reason


def rejection_of(kind: str, name: str, status: int, message: str) -> ApplyRejected | None:
    """The rejection that an answer means; None when trying again soon may help (5xx, conflicts of version, 429)."""
    if status == 409 and message.startswith("Apply failed"):
        text = f"{message}. Rename or delete the other object, or let its manager go."
        return ApplyRejected(kind, name, "ChildConflict", text)
    if status == 422 and "ownerReferences" in message:
        return ApplyRejected(kind, name, "ChildConflict", "another controller owns the object of that name")
    if status == 403 and "exceeded quota" in message:
        return ApplyRejected(kind, name, "QuotaExceeded", message)
    if status == 403:
        return ApplyRejected(kind, name, "Forbidden", message)
    if status >= 500 and "failed calling webhook" in message:
        return ApplyRejected(kind, name, "WebhookUnavailable", message)
    if status == 404:
        text = "the namespace or the kind does not exist (any more)"
        return ApplyRejected(kind, name, "NotServed", text)
    if 400 <= status < 500 and status not in (408, 409, 429):
        return ApplyRejected(kind, name, "ApplyRejected", message)
    return None


def with_rejection(plan: Plan, error: ApplyRejected, *, before: Sequence[Condition], now: float) -> Plan:
    """The plan whose status and events tell of the refusal instead of promising the child."""
    generation = int(plan.status.get("observedGeneration") or 0)
    message = str(error)[:1000]
    facts = [Fact(name, False, error.reason, message) for name in ("Provisioned", "Ready")]
    replaced = {item["type"]: item for item in merge(facts, before, generation=generation, now=now)}
    kept = [item for item in plan.status.get("conditions", []) if item["type"] not in replaced]
    known = any(item.type == "Provisioned" and item.reason == error.reason for item in before)
    events = plan.events if known else (*plan.events, Event("Warning", error.reason, message))
    return replace(plan, status=plan.status | {"conditions": [*kept, *replaced.values()]}, events=events)
