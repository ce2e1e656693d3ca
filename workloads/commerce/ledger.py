"""Writes to the ledger: one batch of reservations, one payment, one round of expiry. Each is one transaction.

What a transaction says afterwards, read back from the tables, is the only truth that buyers are told. Locks are taken
in one order everywhere (sale, buckets by name, buyers), so that batches, payments and expiry never wait in a circle.
"""

import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg
import uuid_utils

from workloads.commerce.allocate import Outcome, Request, Stock, allocate

Allocate = Callable[..., list[Outcome]]


class Fenced(Exception):
    """Another committer has taken this sale over: nothing more may be written under the old epoch."""


class UnknownSale(Exception):
    """The ledger holds no such sale."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The ledger's word on one request; `status` as in the contracts, `granted` when this batch took the units."""

    request: Request
    status: str
    hold_expires_ms: int | None = None
    granted: bool = False

    def document(self) -> dict[str, Any]:
        """The answer as it travels to the buyer's pod."""
        body: dict[str, Any] = {
            "id": self.request.idempotency_key,
            "order_id": self.request.order_id,
            "sku": self.request.sku,
            "user": self.request.user,
            "status": self.status,
        }
        return body | ({"hold_expires_ms": self.hold_expires_ms} if self.hold_expires_ms else {})


@dataclass(frozen=True, slots=True)
class Released:
    """Units that came back from an unpaid order."""

    order_id: str
    sale: str
    stream: str
    user: str
    sku: str
    qty: int
    epoch: int


_ORDER_STATUS = {"held": "reserved", "paid": "reserved", "expired": "expired", "cancelled": "expired"}


async def commit_batch(
    pool: asyncpg.Pool,
    sale_id: str,
    epoch: int,
    requests: Sequence[Request],
    *,
    allocate_units: Allocate = allocate,
) -> list[Answer]:
    """Decide and store one batch. Fenced when `epoch` is no longer the sale's; UnknownSale when there is none."""
    async with pool.acquire() as connection, connection.transaction():
        sale = await _locked_sale(connection, sale_id, epoch)
        skus = sorted({request.sku for request in requests})
        stock = await _locked_stock(connection, sale_id, skus)
        users = list({request.user for request in requests})
        units = await _locked_units(connection, sale_id, users)
        ids = [uuid.UUID(request.order_id) for request in requests]
        known = {str(row["id"]) for row in await connection.fetch("SELECT id FROM shop.orders WHERE id = ANY($1)", ids)}
        accepting = sale["state"] != "Cancelled" and sale["closed_at"] is None
        outcomes = allocate_units(requests, stock, units, frozenset(known), accepting=accepting)
        granted = [request for request, outcome in zip(requests, outcomes, strict=True) if outcome == "granted"]
        if granted:
            await _store(connection, sale, granted)
        truth = await _truth(connection, ids)
    return [_answer(request, outcome, truth) for request, outcome in zip(requests, outcomes, strict=True)]


async def _locked_sale(connection: asyncpg.Connection, sale_id: str, epoch: int) -> asyncpg.Record:
    row = await connection.fetchrow(
        "SELECT id, stream, state, closed_at, hold_seconds, epoch FROM shop.sale WHERE id = $1 FOR NO KEY UPDATE",
        uuid.UUID(sale_id),
    )
    if row is None:
        raise UnknownSale(sale_id)
    if row["epoch"] != epoch:
        raise Fenced(f"sale {sale_id} is at epoch {row['epoch']}, this committer wrote under {epoch}")
    return row


async def _locked_stock(connection: asyncpg.Connection, sale_id: str, skus: list[str]) -> dict[str, Stock]:
    rows = await connection.fetch(
        """SELECT b.sku, b.stock - b.reserved - b.sold AS free, i.per_user_limit
             FROM shop.sku_bucket b JOIN shop.sale_item i USING (sale_id, sku)
            WHERE b.sale_id = $1 AND b.sku = ANY($2) AND b.bucket = 0
            ORDER BY b.sku FOR NO KEY UPDATE OF b""",
        uuid.UUID(sale_id),
        skus,
    )
    return {row["sku"]: Stock(row["free"], row["per_user_limit"]) for row in rows}


async def _locked_units(connection: asyncpg.Connection, sale_id: str, users: list[str]) -> dict[tuple[str, str], int]:
    rows = await connection.fetch(
        "SELECT user_id, sku, units FROM shop.buyer WHERE sale_id = $1 AND user_id = ANY($2)"
        " ORDER BY sku, user_id FOR NO KEY UPDATE",
        uuid.UUID(sale_id),
        users,
    )
    return {(row["user_id"], row["sku"]): row["units"] for row in rows}


async def _store(connection: asyncpg.Connection, sale: asyncpg.Record, granted: Sequence[Request]) -> None:
    """Orders with their lines, buyers' units, the buckets' reserved counts and the outbox."""
    ids = [uuid.UUID(request.order_id) for request in granted]
    users = [request.user for request in granted]
    skus = [request.sku for request in granted]
    quantities = [request.qty for request in granted]
    await connection.execute(
        """INSERT INTO shop.orders (id, sale_id, stream, user_id, status, total_amount, currency, hold_expires_at)
           SELECT t.id, $1, $2, t.user_id, 'held', i.price_amount * t.qty, i.currency,
                  clock_timestamp() + make_interval(secs => $3)
             FROM unnest($4::uuid[], $5::text[], $6::text[], $7::bigint[]) AS t(id, user_id, sku, qty)
             JOIN shop.sale_item i ON i.sale_id = $1 AND i.sku = t.sku""",
        sale["id"],
        sale["stream"],
        float(sale["hold_seconds"]),
        ids,
        users,
        skus,
        quantities,
    )
    await connection.execute(
        """INSERT INTO shop.order_lines (order_id, sku, qty, price_amount)
           SELECT t.id, t.sku, t.qty, i.price_amount
             FROM unnest($2::uuid[], $3::text[], $4::bigint[]) AS t(id, sku, qty)
             JOIN shop.sale_item i ON i.sale_id = $1 AND i.sku = t.sku""",
        sale["id"],
        ids,
        skus,
        quantities,
    )
    await _count_units(connection, sale["id"], granted)
    await connection.execute(
        """INSERT INTO ops.outbox (id, topic, key, payload)
           SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::jsonb[])""",
        [uuid.UUID(str(uuid_utils.uuid7())) for _ in granted],
        ["order.held"] * len(granted),
        [request.order_id for request in granted],
        [{"order": r.order_id, "user": r.user, "sku": r.sku, "qty": r.qty} for r in granted],
    )


async def _count_units(connection: asyncpg.Connection, sale_id: uuid.UUID, granted: Sequence[Request]) -> None:
    by_buyer: Counter[tuple[str, str]] = Counter()
    by_sku: Counter[str] = Counter()
    for request in granted:
        by_buyer[(request.sku, request.user)] += request.qty
        by_sku[request.sku] += request.qty
    pairs = sorted(by_buyer)
    await connection.execute(
        """INSERT INTO shop.buyer (sale_id, sku, user_id, units, unit_limit)
           SELECT $1, t.sku, t.user_id, t.units, i.per_user_limit
             FROM unnest($2::text[], $3::text[], $4::bigint[]) AS t(sku, user_id, units)
             JOIN shop.sale_item i ON i.sale_id = $1 AND i.sku = t.sku
               ON CONFLICT (sale_id, sku, user_id) DO UPDATE SET units = buyer.units + excluded.units""",
        sale_id,
        [sku for sku, _ in pairs],
        [user for _, user in pairs],
        [by_buyer[pair] for pair in pairs],
    )
    await connection.execute(
        """UPDATE shop.sku_bucket b SET reserved = b.reserved + t.qty
             FROM unnest($2::text[], $3::bigint[]) AS t(sku, qty)
            WHERE b.sale_id = $1 AND b.sku = t.sku AND b.bucket = 0""",
        sale_id,
        list(by_sku),
        list(by_sku.values()),
    )


async def _truth(connection: asyncpg.Connection, ids: list[uuid.UUID]) -> dict[str, tuple[str, datetime]]:
    rows = await connection.fetch("SELECT id, status, hold_expires_at FROM shop.orders WHERE id = ANY($1)", ids)
    return {str(row["id"]): (row["status"], row["hold_expires_at"]) for row in rows}


def _answer(request: Request, outcome: Outcome, truth: dict[str, tuple[str, datetime]]) -> Answer:
    """What exists decides; the outcome only explains why something does not exist."""
    stored = truth.get(request.order_id)
    if stored is None:
        return Answer(request, outcome)
    status, expires = stored
    return Answer(request, _ORDER_STATUS[status], int(expires.timestamp() * 1000), granted=outcome == "granted")


async def expire_holds(pool: asyncpg.Pool, *, limit: int = 500) -> list[Released]:
    """Give the units of unpaid orders back, oldest first."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(
            """UPDATE shop.orders o SET status = 'expired'
                 FROM shop.sale s
                WHERE s.id = o.sale_id AND o.id IN (
                      SELECT id FROM shop.orders WHERE status = 'held' AND hold_expires_at <= clock_timestamp()
                       ORDER BY hold_expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)
            RETURNING o.id, o.sale_id, o.stream, o.user_id, s.epoch""",
            limit,
        )
        if not rows:
            return []
        lines = await connection.fetch(
            "SELECT order_id, sku, bucket, qty FROM shop.order_lines WHERE order_id = ANY($1) ORDER BY sku",
            [row["id"] for row in rows],
        )
        orders = {row["id"]: row for row in rows}
        for line in lines:
            order = orders[line["order_id"]]
            await _give_back(connection, order, line)
    return [
        Released(
            order_id=str(line["order_id"]),
            sale=str(orders[line["order_id"]]["sale_id"]),
            stream=orders[line["order_id"]]["stream"],
            user=orders[line["order_id"]]["user_id"],
            sku=line["sku"],
            qty=line["qty"],
            epoch=orders[line["order_id"]]["epoch"],
        )
        for line in lines
    ]


async def _give_back(connection: asyncpg.Connection, order: asyncpg.Record, line: asyncpg.Record) -> None:
    await connection.execute(
        "UPDATE shop.sku_bucket SET reserved = reserved - $4 WHERE sale_id = $1 AND sku = $2 AND bucket = $3",
        order["sale_id"],
        line["sku"],
        line["bucket"],
        line["qty"],
    )
    await connection.execute(
        "UPDATE shop.buyer SET units = units - $4 WHERE sale_id = $1 AND sku = $2 AND user_id = $3",
        order["sale_id"],
        line["sku"],
        order["user_id"],
        line["qty"],
    )
