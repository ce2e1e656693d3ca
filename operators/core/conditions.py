"""Conditions: merging what is true now into what was published before.

`lastTransitionTime` moves only when the status moves, as metav1.Condition asks, so a repeated reconcile is a no-op.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from operators.api.base import Condition
from operators.core.times import rfc3339


@dataclass(frozen=True, slots=True)
class Fact:
    """One condition as it is now. `status` None means that it is unknown yet."""

    type: str
    status: bool | None
    reason: str
    message: str = ""


def merge(facts: Iterable[Fact], before: Sequence[Condition], *, generation: int, now: float) -> list[dict[str, Any]]:
    """Conditions for the status: the facts, with times kept where the status did not change."""
    known = {condition.type: condition for condition in before}
    merged = []
    for fact in facts:
        status = {True: "True", False: "False", None: "Unknown"}[fact.status]
        previous = known.get(fact.type)
        kept = previous is not None and previous.status == status
        merged.append(
            {
                "type": fact.type,
                "status": status,
                "reason": fact.reason,
                "message": fact.message,
                "observedGeneration": generation,
                "lastTransitionTime": previous.last_transition_time if previous and kept else rfc3339(now),
            }
        )
    return merged


def summary(facts: Sequence[Fact], *, needed: Sequence[str]) -> Fact:
    """`Ready`: true when all `needed` facts are; else the reason and message of the first that is not."""
    by_type = {fact.type: fact for fact in facts}
    for name in needed:
        fact = by_type[name]
        if fact.status is not True:
            return Fact("Ready", False, fact.reason, fact.message)
    return Fact("Ready", True, "Ready", "")


def is_true(conditions: Sequence[Condition], name: str) -> bool:
    """Whether the named condition was published as True."""
    return any(condition.type == name and condition.status == "True" for condition in conditions)


def is_false(conditions: Sequence[Condition], name: str) -> bool:
    """Whether the named condition was published as False."""
    return any(condition.type == name and condition.status == "False" for condition in conditions)
