"""Order products by co-views: cosine with time decay and shrinkage, filled up by popularity. Pure.

    c(a, b) = sum over days of 0.5 ** (age / half-life) * co-views of a and b          (decayed count)
    score(a, b) = min(1, c(a, b) / sqrt(v(a) * v(b))) * c(a, b) / (c(a, b) + shrinkage)

The cosine keeps a product that everybody looks at from standing beside everything (Sarwar et al., 2001, item-based
collaborative filtering); the second factor keeps a single co-view of two rare products from a score of 1.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from ml_serving.features.definitions import Counts, DayCounts


class Reason(StrEnum):
    """Why a product is shown."""

    CO_VIEWED = "co_viewed"
    POPULAR = "popular"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One product of an answer; `score` is within 0..1 and comparable within one reason."""

    sku: str
    score: float
    reason: Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What may be tuned without counting anew."""

    half_life_days: float = 3.0
    shrinkage: float = 1.0
    popular: bool = True
    """Fill up with the stream's popular products."""


def decayed(days: Mapping[int, Counts], *, today: int, half_life_days: float) -> dict[str, float]:
    """Sum of daily counts, each day weighing half as much per half-life; a day after `today` weighs 1."""
    sums: dict[str, float] = {}
    for day, counts in days.items():
        weight = 0.5 ** (max(0, today - day) / half_life_days)
        for sku, number in counts.items():
            sums[sku] = sums.get(sku, 0.0) + weight * number
    return sums


def affinity(pairs: float, views_one: float, views_other: float, *, shrinkage: float) -> float:
    """Score of one pair from decayed counts; 0 when something was never seen."""
    if pairs <= 0 or views_one <= 0 or views_other <= 0:
        return 0.0
    return min(1.0, pairs / math.sqrt(views_one * views_other)) * pairs / (pairs + shrinkage)


def related(sku: str, days: Mapping[int, DayCounts], *, today: int, limit: int, rule: Rule) -> list[Ranked]:
    """At most `limit` products for a viewer of `sku` (or of nothing, when empty), best first, `sku` itself never.

    Equal scores go by popularity, then by name, so the order does not depend on the order of counting.
    """
    views = decayed({day: each.views for day, each in days.items()}, today=today, half_life_days=rule.half_life_days)
    pairs = decayed({day: each.pairs for day, each in days.items()}, today=today, half_life_days=rule.half_life_days)
    scores = {
        other: affinity(number, views.get(sku, 0.0), views.get(other, 0.0), shrinkage=rule.shrinkage)
        for other, number in pairs.items()
        if other != sku
    }
    near = [
        Ranked(sku=other, score=score, reason=Reason.CO_VIEWED)
        for other, score in sorted(scores.items(), key=lambda item: (-item[1], -views.get(item[0], 0.0), item[0]))
        if score > 0
    ]
    return (near + (_popular(views, besides={sku, *scores}) if rule.popular else []))[:limit]


def _popular(views: Mapping[str, float], *, besides: set[str]) -> list[Ranked]:
    most = max(views.values(), default=0.0)
    return [
        Ranked(sku=sku, score=number / most, reason=Reason.POPULAR)
        for sku, number in sorted(views.items(), key=lambda item: (-item[1], item[0]))
        if sku not in besides and number > 0
    ]
