"""The connection to Redis: time-outs on every call, bounded retries with jitter, health checks on idle sockets."""

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

COMMAND_TIMEOUT_SECONDS = 2.0
MAX_CONNECTIONS = 64


def connect(url: str, *, retries: int = 3, timeout_seconds: float = COMMAND_TIMEOUT_SECONDS) -> Redis:
    """Client of the server at `url`; connects lazily, so a Redis that starts later is no error here.
    A burst beyond the pool waits for a connection instead of opening one each.

    `retries=0` is for commands that must not run twice. XREAD BLOCK needs a `timeout_seconds` above its block time.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=MAX_CONNECTIONS,
        timeout=timeout_seconds,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), retries),
        retry_on_error=[RedisConnectionError, RedisTimeoutError] if retries else [],
    )
    return Redis.from_pool(pool)


def connect_listener(url: str) -> Redis:
    """Client for subscriptions: silence is normal, so reads wait for ever and TCP keep-alive finds a dead peer."""
    return Redis.from_url(
        url, decode_responses=True, socket_timeout=None, socket_connect_timeout=2.0, socket_keepalive=True
    )
