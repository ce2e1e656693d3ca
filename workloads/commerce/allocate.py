"""Who gets the units of one batch: a pure function, first come first served, in the order of the stream."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

Outcome = Literal["granted", "known", "sold_out", "limit", "closed", "unknown_sku"]


@dataclass(frozen=True, slots=True)
class Request:
    """One reservation that the shield let through."""

    order_id: str
    user: str
    sku: str
    qty: int
    reply_to: str
    idempotency_key: str
    epoch: int
    entry: str = ""


@dataclass(frozen=True, slots=True)
class Stock:
    """An article as the locked ledger row says: free units, limit per person."""

    free: int
    per_user_limit: int


def allocate(
    requests: Iterable[Request],
    stock: Mapping[str, Stock],
    units_of: Mapping[tuple[str, str], int],
    known_orders: frozenset[str] = frozenset(),
    *,
    accepting: bool = True,
) -> list[Outcome]:
    """One outcome a request, in order. `units_of` are units by (user, sku) before the batch.

    A request whose order exists, or stands earlier in the batch, is `known`: it takes nothing and hears what the ledger
    says of that order.
    """
    free = {sku: item.free for sku, item in stock.items()}
    have = dict(units_of)
    seen: set[str] = set(known_orders)
    outcomes: list[Outcome] = []
    for request in requests:
        outcome = _one(request, stock, free, have, seen, accepting)
        if outcome == "granted":
            seen.add(request.order_id)
            free[request.sku] -= request.qty
            buyer = (request.user, request.sku)
            have[buyer] = have.get(buyer, 0) + request.qty
        outcomes.append(outcome)
    return outcomes


def _one(
    request: Request,
    stock: Mapping[str, Stock],
    free: Mapping[str, int],
    have: Mapping[tuple[str, str], int],
    seen: set[str],
    accepting: bool,
) -> Outcome:
    if request.order_id in seen:
        return "known"
    if request.sku not in stock or request.qty < 1:
        return "unknown_sku"
    if not accepting:
        return "closed"
    if have.get((request.user, request.sku), 0) + request.qty > stock[request.sku].per_user_limit:
        return "limit"
    return "granted" if free[request.sku] >= request.qty else "sold_out"
