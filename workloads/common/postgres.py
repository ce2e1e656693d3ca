"""The pool of PostgreSQL connections: bounded, with time-outs, retried while the server starts."""

import asyncio
import json
import logging
import random
import time

import asyncpg

logger = logging.getLogger(__name__)


async def connect(
    url: str, *, min_size: int = 1, max_size: int = 8, command_timeout_seconds: float = 5.0, wait_seconds: float = 60.0
) -> asyncpg.Pool:
    """Pool for `url`; waits up to `wait_seconds` for a server that is not up yet, then raises its error."""
    deadline, delay = time.monotonic() + wait_seconds, 0.1
    while True:
        try:
            pool: asyncpg.Pool = await asyncpg.create_pool(
                url,
                min_size=min_size,
                max_size=max_size,
                timeout=5.0,
                command_timeout=command_timeout_seconds,
                init=_use_json,
            )
            return pool
        except (OSError, asyncpg.PostgresError, TimeoutError) as error:
            if time.monotonic() > deadline:
                raise
            logger.info("postgres is not reachable yet: %s", error)
            await asyncio.sleep(delay * random.uniform(0.5, 1.0))
            delay = min(delay * 2, 2.0)


async def _use_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")
