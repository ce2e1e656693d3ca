"""Buying over HTTP, orders, paying, and the host's start of a sale."""

import uuid
from typing import Annotated

import asyncpg
from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from workloads.commerce import payments, sales
from workloads.commerce.api.context import JSON, ApiContext, context_of
from workloads.commerce.keeper import CHANGED, board
from workloads.common.bearer import require_claims, require_host
from workloads.common.problem import Problem
from workloads.common.shield import Tap

router = APIRouter(prefix="/api/v1")
Context = Annotated[ApiContext, Depends(context_of)]


class Buy(BaseModel):
    """One tap on the buy button."""

    sku: str = Field(min_length=1, max_length=64)
    qty: int = Field(1, ge=1, le=1000)
    idempotency_key: str = Field(min_length=8, max_length=64)


class Start(BaseModel):
    """The host starts the sale."""

    countdown_seconds: float = Field(10, ge=3, le=300)


class Pay(BaseModel):
    """How to pay; `test` moves no money."""

    method: str = Field("test", pattern="^test$")


@router.get("/sales/{sale_id}")
async def sale(sale_id: uuid.UUID, context: Context) -> JSON:
    """A sale as viewers see it."""
    return await board(context.pool, await known_sale(context, sale_id))


@router.post("/sales/{sale_id}/buy")
async def buy(sale_id: uuid.UUID, body: Buy, request: Request, context: Context) -> JSON:
    """Buy; the answer is the ledger's, or "hold on"."""
    claims = require_claims(request, context.verifier)
    tap = Tap(str(sale_id), claims.sub, body.sku, body.qty, body.idempotency_key)
    return await context.purchases.buy(tap)


@router.post("/sales/{sale_id}/start")
async def start(sale_id: uuid.UUID, body: Start, request: Request, context: Context) -> JSON:
    """Bring the start forward to `countdown_seconds` from now."""
    found = await known_sale(context, sale_id)
    require_host(request, context.verifier, found.stream)
    started = await sales.start_early(context.pool, str(sale_id), countdown_seconds=body.countdown_seconds)
    if started is None:
        raise Problem(409, "cannot_start", "The sale is open, over, paused, or starts sooner than that.")
    await context.redis.publish(CHANGED, str(sale_id))
    return await board(context.pool, started)


@router.get("/orders/{order_id}")
async def order(order_id: uuid.UUID, request: Request, context: Context) -> JSON:
    """The caller's own order."""
    claims = require_claims(request, context.verifier)
    return await own_order(context.pool, order_id, claims.sub)


@router.post("/orders/{order_id}/pay")
async def pay(order_id: uuid.UUID, body: Pay, request: Request, context: Context) -> JSON:
    """Pay the caller's own order; again is fine."""
    claims = require_claims(request, context.verifier)
    try:
        await payments.pay(context.pool, context.provider, order_id=str(order_id), user=claims.sub)
    except payments.CannotPay as error:
        raise Problem(404 if error.code == "unknown_order" else 409, error.code, str(error)) from error
    return await own_order(context.pool, order_id, claims.sub)


async def known_sale(context: ApiContext, sale_id: uuid.UUID) -> sales.Sale:
    """The sale, or a 404 problem."""
    found = await sales.load(context.pool, str(sale_id))
    if found is None:
        raise Problem(404, "unknown_sale", "There is no such sale.")
    return found


async def own_order(pool: asyncpg.Pool, order_id: uuid.UUID, user: str) -> JSON:
    """The order if it is this user's; somebody else's is as unknown as none."""
    row = await pool.fetchrow("SELECT * FROM shop.orders WHERE id = $1 AND user_id = $2", order_id, user)
    if row is None:
        raise Problem(404, "unknown_order", "There is no such order of yours.")
    lines = await pool.fetch("SELECT sku, qty, price_amount FROM shop.order_lines WHERE order_id = $1", order_id)
    currency = row["currency"]
    return {
        "id": str(row["id"]),
        "status": row["status"],
        "lines": [
            {"sku": x["sku"], "qty": x["qty"], "price": {"amount": x["price_amount"], "currency": currency}}
            for x in lines
        ],
        "total": {"amount": row["total_amount"], "currency": currency},
        "hold_expires_ms": int(row["hold_expires_at"].timestamp() * 1000),
    }
