"""What the handlers share, built once at start."""

from dataclasses import dataclass
from typing import Any

import asyncpg
import httpx
from fastapi import Request
from redis.asyncio import Redis

from workloads.commerce.payments import PaymentProvider
from workloads.common.purchase import Purchases
from workloads.common.tokens import Verifier


@dataclass(frozen=True, slots=True)
class ApiContext:
    """Stores, verifier, purchases and the client for models."""

    redis: Redis
    pool: asyncpg.Pool
    verifier: Verifier
    purchases: Purchases
    provider: PaymentProvider
    models: httpx.AsyncClient


def context_of(request: Request) -> ApiContext:
    """The context of the application that got the request."""
    context: ApiContext = request.app.state.context
    return context


def stream_id(ns: str, name: str) -> str:
    """`<namespace>/<name>`."""
    return f"{ns}/{name}"


JSON = dict[str, Any]
