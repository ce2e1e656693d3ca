"""Streams, their products, what is on sale in them, and what else a viewer may like."""

import json
import logging
import time
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, Query

from workloads.commerce import catalog, sales
from workloads.commerce.api.context import JSON, ApiContext, context_of, stream_id
from workloads.commerce.keeper import board
from workloads.common.problem import Problem

MODEL_SECONDS = 0.3
STREAMS = "haat:streams"

router = APIRouter(prefix="/api/v1")
Context = Annotated[ApiContext, Depends(context_of)]
logger = logging.getLogger(__name__)


@router.get("/streams")
async def streams(context: Context) -> JSON:
    """All streams, live ones first."""
    entries: Any = await context.redis.hgetall(STREAMS)
    found = [shown(key, json.loads(text)) for key, text in entries.items()]
    order = {"Live": 0, "Interrupted": 1, "Standby": 2}
    return {"items": sorted(found, key=lambda item: (order.get(item["phase"], 9), -item["viewers"], item["id"]))}


@router.get("/streams/{ns}/{name}")
async def stream(ns: str, name: str, context: Context) -> JSON:
    """One stream with its products and its sale."""
    key = stream_id(ns, name)
    entry = await directory_entry(context, key)
    return shown(key, entry) | {
        "products": await catalog.products_of(context.pool, key),
        "sale": await current_sale(context, key),
        "server_now_ms": int(time.time() * 1000),
    }


@router.get("/streams/{ns}/{name}/products")
async def products(ns: str, name: str, context: Context) -> JSON:
    """The stream's catalogue."""
    return {"items": await catalog.products_of(context.pool, stream_id(ns, name))}


@router.get("/streams/{ns}/{name}/recommendations")
async def recommendations(
    ns: str, name: str, context: Context, sku: Annotated[str, Query(max_length=64)] = "", user: str = ""
) -> JSON:
    """What viewers of this product also looked at; by popularity when no model answers in time."""
    key = stream_id(ns, name)
    entry = await directory_entry(context, key)
    if entry.get("models"):
        found = await from_model(context, entry["models"], key, sku)
        if found:
            return {"items": found, "source": "model"}
    return {"items": await catalog.popular(context.pool, key, besides=sku), "source": "popularity"}


async def from_model(context: ApiContext, base: str, key: str, sku: str) -> list[JSON]:
    """The model's products; none when it is away, slow or unsure."""
    try:
        response = await context.models.post(
            f"{base}/recommendations", json={"stream": key, "sku": sku, "limit": 4}, timeout=MODEL_SECONDS
        )
        response.raise_for_status()
        skus = [str(item["sku"]) for item in response.json()["items"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        logger.info("recommendations fall back to popularity: %r", error)
        return []
    return await catalog.products_of(context.pool, key, skus)


async def directory_entry(context: ApiContext, key: str) -> JSON:
    """The operators' entry of a stream, or a 404 problem."""
    text = await context.redis.hget(STREAMS, key)
    if text is None:
        raise Problem(404, "unknown_stream", f"There is no stream {key}.")
    entry: JSON = json.loads(text)
    return entry


async def current_sale(context: ApiContext, key: str) -> JSON | None:
    """The stream's sale that is not over, or else the one that ended last."""
    row = await context.pool.fetchrow(
        """SELECT id FROM shop.sale WHERE stream = $1 AND state <> 'Cancelled'
            ORDER BY (closed_at IS NULL AND settled_at IS NULL) DESC, starts_at DESC LIMIT 1""",
        key,
    )
    found = await sales.load(context.pool, str(row["id"])) if row else None
    return await board(context.pool, found) if found else None


def shown(key: str, entry: JSON) -> JSON:
    """The public part of a directory entry."""
    names = ("title", "description", "language", "channel", "phase", "viewers", "started_at", "hls", "ws")
    return {"id": key, **{name: entry.get(name) for name in names}, "viewers": entry.get("viewers") or 0}
