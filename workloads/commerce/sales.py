"""Sales in the ledger: taking one over from its custom resource, its clock, its figures.

The resource's document is the plan; the row is what happened. A host may bring the start forward, which moves
`starts_at` and leaves `planned_starts_at` alone.
"""

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg


@dataclass(frozen=True, slots=True)
class Sale:
    """One sale as the ledger knows it; times are Unix seconds."""

    id: str
    name: str
    stream: str
    generation: int
    state: str
    starts_at: float
    ends_at: float
    opened_at: float | None
    sold_out_at: float | None
    closed_at: float | None
    settled_at: float | None
    grace_seconds: int
    epoch: int
    announce_before: tuple[float, ...]

    def phase(self, now: float) -> str:
        """The word that operators and viewers are told."""
        if self.state == "Cancelled":
            return "Cancelled"
        if self.settled_at:
            return "Settled"
        if self.closed_at or now >= self.ends_at:
            return "Closed"
        if self.state == "Paused":
            return "Paused"
        if now < self.starts_at:
            announced = max(self.announce_before, default=0.0)
            return "Countdown" if now >= self.starts_at - announced else "Scheduled"
        return "SoldOut" if self.sold_out_at else "Open"


@dataclass(frozen=True, slots=True)
class Figures:
    """Units of a whole sale."""

    total: int
    reserved: int
    sold: int

    @property
    def remaining(self) -> int:
        """Units that nobody holds."""
        return self.total - self.reserved - self.sold


async def take_over(pool: asyncpg.Pool, document: dict[str, Any]) -> bool:
    """Insert or update the sale that a resource describes; True when it changed. Old generations are ignored.

    Before the opening the articles become those of the document; afterwards articles may come and stock may grow.
    """
    sale_id = uuid.UUID(document["uid"])
    async with pool.acquire() as connection, connection.transaction():
        changed = await connection.fetchval(
            """INSERT INTO shop.sale AS s (id, namespace, name, stream, generation, state, planned_starts_at, starts_at,
                                      ends_at, hold_seconds, grace_seconds, document)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11)
               ON CONFLICT (id) DO UPDATE SET
                      generation = excluded.generation, state = excluded.state, stream = excluded.stream,
                      starts_at = CASE WHEN s.opened_at IS NULL AND s.planned_starts_at <> excluded.planned_starts_at
                                       THEN excluded.planned_starts_at ELSE s.starts_at END,
                      planned_starts_at = excluded.planned_starts_at, ends_at = excluded.ends_at,
                      hold_seconds = excluded.hold_seconds, grace_seconds = excluded.grace_seconds,
                      document = excluded.document
                WHERE s.generation <= excluded.generation AND s.document <> excluded.document
            RETURNING true""",
            sale_id,
            document["namespace"],
            document["name"],
            document["stream"],
            document["generation"],
            document["state"],
            _time(document["starts_at_ms"]),
            _time(document["ends_at_ms"]),
            int(document["hold_seconds"]),
            int(document.get("grace_seconds", 900)),
            document,
        )
        if changed:
            fresh = not await connection.fetchval("SELECT opened_at IS NOT NULL FROM shop.sale WHERE id = $1", sale_id)
            if fresh:
                await _forget_items(connection, sale_id, [item["sku"] for item in document["items"]])
            for position, item in enumerate(document["items"]):
                await _take_over_item(connection, sale_id, position, item, fresh=fresh)
        return bool(changed)


async def _forget_items(connection: asyncpg.Connection, sale_id: uuid.UUID, kept: list[str]) -> None:
    """Remove the articles that the sale does not name any more; one with an order would break a key, and must."""
    for table in ("sku_bucket", "sale_item"):
        query = f"DELETE FROM shop.{table} WHERE sale_id = $1 AND sku <> ALL($2::text[])"  # noqa: S608 - two constants
        await connection.execute(query, sale_id, kept)


async def _take_over_item(
    connection: asyncpg.Connection, sale_id: uuid.UUID, position: int, item: dict[str, Any], *, fresh: bool
) -> None:
    prices = ", price_amount = excluded.price_amount, currency = excluded.currency," if fresh else ","
    await connection.execute(
        f"""INSERT INTO shop.sale_item (sale_id, sku, position, title, image, price_amount, currency,
                                        list_price_amount, per_user_limit)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            ON CONFLICT (sale_id, sku) DO UPDATE SET title = excluded.title, image = excluded.image,
                   position = excluded.position {prices} list_price_amount = excluded.list_price_amount,
                   per_user_limit = excluded.per_user_limit""",  # noqa: S608 - two constants
        sale_id,
        item["sku"],
        position,
        item["title"],
        item.get("image", ""),
        item["price"]["amount"],
        item["price"]["currency"],
        (item.get("list_price") or {}).get("amount"),
        item["per_user_limit"],
    )
    await connection.execute(
        """INSERT INTO shop.sku_bucket AS b (sale_id, sku, bucket, stock) VALUES ($1, $2, 0, $3)
           ON CONFLICT (sale_id, sku, bucket) DO UPDATE
           SET stock = CASE WHEN $4 THEN excluded.stock ELSE greatest(b.stock, excluded.stock) END""",
        sale_id,
        item["sku"],
        item["stock"],
        fresh,
    )


async def cancel(pool: asyncpg.Pool, sale_id: str) -> None:
    """The resource is gone: nothing more is sold."""
    await pool.execute(
        "UPDATE shop.sale SET state = 'Cancelled', closed_at = coalesce(closed_at, clock_timestamp()) WHERE id = $1",
        uuid.UUID(sale_id),
    )


async def load(pool: asyncpg.Pool, sale_id: str) -> Sale | None:
    """One sale."""
    row = await pool.fetchrow("SELECT * FROM shop.sale WHERE id = $1", uuid.UUID(sale_id))
    return _sale(row) if row else None


async def load_open(pool: asyncpg.Pool) -> list[Sale]:
    """Sales that are not settled."""
    return [_sale(row) for row in await pool.fetch("SELECT * FROM shop.sale WHERE settled_at IS NULL")]


async def figures(pool: asyncpg.Pool, sale_id: str) -> Figures:
    """Units from the buckets."""
    row = await pool.fetchrow(
        "SELECT coalesce(sum(stock), 0)::bigint AS total, coalesce(sum(reserved), 0)::bigint AS reserved,"
        " coalesce(sum(sold), 0)::bigint AS sold FROM shop.sku_bucket WHERE sale_id = $1",
        uuid.UUID(sale_id),
    )
    return Figures(row["total"], row["reserved"], row["sold"])


async def items(pool: asyncpg.Pool, sale_id: str) -> list[dict[str, Any]]:
    """The articles with what is left, in their order, as the HTTP interface and the sockets show them."""
    rows = await pool.fetch(
        """SELECT i.*, b.stock, b.stock - b.reserved - b.sold AS free,
                  coalesce(nullif(i.image, ''), p.image, '') AS shown_image, coalesce(p.titles, '{}'::jsonb) AS titles
             FROM shop.sale_item i JOIN shop.sku_bucket b USING (sale_id, sku) JOIN shop.sale s ON s.id = i.sale_id
             LEFT JOIN shop.products p ON p.sku = i.sku AND p.stream = s.stream
            WHERE i.sale_id = $1 AND b.bucket = 0 ORDER BY i.position""",
        uuid.UUID(sale_id),
    )
    return [
        {
            "sku": row["sku"],
            "title": row["title"],
            "titles": row["titles"],
            "image": row["shown_image"],
            "price": {"amount": row["price_amount"], "currency": row["currency"]},
            "list_price": {"amount": row["list_price_amount"], "currency": row["currency"]}
            if row["list_price_amount"] is not None
            else None,
            "stock": row["stock"],
            "left": row["free"],
            "per_user_limit": row["per_user_limit"],
        }
        for row in rows
    ]


async def mark(pool: asyncpg.Pool, sale_id: str, moment: str) -> bool:
    """Note that a moment came: opened_at, sold_out_at, closed_at or settled_at; False when it was noted before."""
    if moment not in ("opened_at", "sold_out_at", "closed_at", "settled_at"):
        raise ValueError(moment)
    query = f"UPDATE shop.sale SET {moment} = clock_timestamp() WHERE id = $1 AND {moment} IS NULL RETURNING true"  # noqa: S608 - checked above
    return bool(await pool.fetchval(query, uuid.UUID(sale_id)))


async def back_in_stock(pool: asyncpg.Pool, sale_id: str) -> None:
    """Units came back: the sale is not sold out any more."""
    await pool.execute("UPDATE shop.sale SET sold_out_at = NULL WHERE id = $1", uuid.UUID(sale_id))


async def start_early(pool: asyncpg.Pool, sale_id: str, *, countdown_seconds: float) -> Sale | None:
    """Bring the start forward; None when the sale cannot start any more or starts sooner anyway."""
    row = await pool.fetchrow(
        """UPDATE shop.sale SET starts_at = clock_timestamp() + make_interval(secs => $2)
            WHERE id = $1 AND state = 'Scheduled' AND opened_at IS NULL AND closed_at IS NULL
              AND starts_at > clock_timestamp() + make_interval(secs => $2) AND ends_at > clock_timestamp()
        RETURNING *""",
        uuid.UUID(sale_id),
        countdown_seconds,
    )
    return _sale(row) if row else None


async def has_held_orders(pool: asyncpg.Pool, sale_id: str) -> bool:
    """Whether somebody may still pay."""
    return bool(
        await pool.fetchval(
            "SELECT true FROM shop.orders WHERE sale_id = $1 AND status = 'held' LIMIT 1", uuid.UUID(sale_id)
        )
    )


async def next_epoch(pool: asyncpg.Pool, sale_id: str) -> int:
    """Take the sale over: every writer under an older epoch is fenced from now on."""
    epoch: int = await pool.fetchval(
        "UPDATE shop.sale SET epoch = epoch + 1 WHERE id = $1 RETURNING epoch", uuid.UUID(sale_id)
    )
    return epoch


def _sale(row: asyncpg.Record) -> Sale:
    def unix(value: datetime | None) -> float | None:
        return value.timestamp() if value else None

    return Sale(
        id=str(row["id"]),
        name=row["name"],
        stream=row["stream"],
        generation=row["generation"],
        state=row["state"],
        starts_at=row["starts_at"].timestamp(),
        ends_at=row["ends_at"].timestamp(),
        opened_at=unix(row["opened_at"]),
        sold_out_at=unix(row["sold_out_at"]),
        closed_at=unix(row["closed_at"]),
        settled_at=unix(row["settled_at"]),
        grace_seconds=row["grace_seconds"],
        epoch=row["epoch"],
        announce_before=tuple(row["document"].get("announce_before_seconds", ())),
    )


def _time(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
