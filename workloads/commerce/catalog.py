"""The catalogue of a stream: taken over from the document that its resource names, row by row.

A bad row is reported and left out; it never keeps the good ones from being sold.
"""

import asyncio
import hashlib
import json
import logging
from typing import Annotated, Any

import asyncpg
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from redis.asyncio import Redis
from redis.exceptions import RedisError

from workloads.common.loops import going_on

CATALOGS, CHANGED = "haat:catalogs", "haat:catalogs:changed"
RESYNC_SECONDS = 5.0

logger = logging.getLogger(__name__)


class Money(BaseModel):
    """Integer minor units and an ISO 4217 code."""

    amount: int = Field(ge=0)
    currency: str = Field(pattern=r"^[A-Z]{3}$")


class Product(BaseModel):
    """One row of a catalogue."""

    model_config = ConfigDict(extra="forbid")

    sku: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    title: Annotated[str, Field(min_length=1, max_length=200)]
    titles: dict[str, str] = Field(default_factory=dict)
    description: str = Field("", max_length=4000)
    image: str = Field("", max_length=500, pattern=r"^(/|https?://|$)")
    price: Money
    list_price: Money | None = None
    stock: int = Field(0, ge=0)


def parse(text: str) -> tuple[list[Product], list[str]]:
    """Good products and one line for each bad row."""
    try:
        rows = json.loads(text)["products"]
    except (ValueError, KeyError, TypeError):
        return [], ["catalog.json is not an object with a list `products`"]
    products, errors = [], []
    for number, row in enumerate(rows if isinstance(rows, list) else ()):
        try:
            products.append(Product.model_validate(row))
        except ValidationError as error:
            fields = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            errors.append(f"products[{number}]: {fields}")
    return products, errors


class CatalogKeeper:
    """Brings the ledger's products to what the streams' documents say."""

    def __init__(self, redis: Redis, pool: asyncpg.Pool) -> None:
        self._redis = redis
        self._pool = pool
        self._taken: dict[str, str] = {}

    async def sync(self) -> None:
        """Take over each document that changed since the last time."""
        documents: Any = await self._redis.hgetall(CATALOGS)
        for stream, text in documents.items():
            digest = hashlib.sha256(text.encode()).hexdigest()
            if self._taken.get(stream) == digest:
                continue
            products, errors = parse(text)
            for error in errors:
                logger.warning("a catalogue row is left out", extra={"stream": stream, "row": error})
            await store(self._pool, stream, products)
            self._taken[stream] = digest

    async def run(self, listener: Redis) -> None:
        """Sync at each announcement and every few seconds; `listener` comes from `connect_listener`."""
        async with listener.pubsub(ignore_subscribe_messages=True) as pubsub:
            await pubsub.subscribe(CHANGED)
            while going_on():
                try:
                    await self.sync()
                    await pubsub.get_message(timeout=RESYNC_SECONDS)
                except (RedisError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    logger.warning("catalogues have to wait: %s", error)
                    await asyncio.sleep(1.0)


async def store(pool: asyncpg.Pool, stream: str, products: list[Product]) -> None:
    """Make the stream's products just these."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(
            "DELETE FROM shop.products WHERE stream = $1 AND sku <> ALL($2)", stream, [item.sku for item in products]
        )
        await connection.executemany(
            """INSERT INTO shop.products (sku, stream, position, title, titles, description, image, price_amount,
                                          currency, list_price_amount, stock)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
               ON CONFLICT (sku, stream) DO UPDATE SET position = excluded.position, title = excluded.title,
                      titles = excluded.titles, description = excluded.description, image = excluded.image,
                      price_amount = excluded.price_amount, currency = excluded.currency,
                      list_price_amount = excluded.list_price_amount, stock = excluded.stock, updated_at = now()""",
            [_row(stream, position, item) for position, item in enumerate(products)],
        )


def _row(stream: str, position: int, item: Product) -> tuple[Any, ...]:
    return (
        item.sku,
        stream,
        position,
        item.title,
        item.titles,
        item.description,
        item.image,
        item.price.amount,
        item.price.currency,
        item.list_price.amount if item.list_price else None,
        item.stock,
    )


async def products_of(pool: asyncpg.Pool, stream: str, skus: list[str] | None = None) -> list[dict[str, Any]]:
    """Products of a stream as the HTTP interface shows them; with `skus`, those and in that order."""
    rows = await pool.fetch(
        "SELECT * FROM shop.products WHERE stream = $1 AND ($2::text[] IS NULL OR sku = ANY($2)) ORDER BY position",
        stream,
        skus,
    )
    found = {row["sku"]: _shown(row) for row in rows}
    return [found[sku] for sku in skus if sku in found] if skus is not None else list(found.values())


def _shown(row: asyncpg.Record) -> dict[str, Any]:
    listed = row["list_price_amount"]
    return {
        "sku": row["sku"],
        "title": row["title"],
        "titles": row["titles"],
        "description": row["description"],
        "image": row["image"],
        "price": {"amount": row["price_amount"], "currency": row["currency"]},
        "list_price": {"amount": listed, "currency": row["currency"]} if listed is not None else None,
        "stock": row["stock"],
    }


async def popular(pool: asyncpg.Pool, stream: str, *, besides: str, limit: int = 4) -> list[dict[str, Any]]:
    """Most ordered products of the stream in the last day, then catalogue order; `besides` is left out."""
    rows = await pool.fetch(
        """SELECT p.sku FROM shop.products p
             LEFT JOIN (SELECT l.sku, sum(l.qty) AS units
                          FROM shop.orders o JOIN shop.order_lines l ON l.order_id = o.id
                         WHERE o.stream = $1 AND o.status IN ('held', 'paid')
                           AND o.created_at > now() - interval '1 day'
                         GROUP BY l.sku) t USING (sku)
            WHERE p.stream = $1 AND p.sku <> $2 ORDER BY coalesce(t.units, 0) DESC, p.position LIMIT $3""",
        stream,
        besides,
        limit,
    )
    return await products_of(pool, stream, [row["sku"] for row in rows])
