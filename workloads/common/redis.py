"""The connection to Redis: time-outs on every call, bounded retries with jitter, health checks on idle sockets."""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialWithJitterBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

COMMAND_TIMEOUT_SECONDS = 2.0


def connect(url: str, *, retries: int = 3, timeout_seconds: float = COMMAND_TIMEOUT_SECONDS) -> Redis:
    """Client of the server at `url`; connects lazily, so a Redis that starts later is no error here.

    `retries=0` is for commands that must not run twice. A blocking read (XREAD BLOCK, pub/sub) needs a client of its
    own whose `timeout_seconds` exceeds the block time.
    """
    return Redis.from_url(
        url,
        decode_responses=True,
        socket_timeout=timeout_seconds,
        socket_connect_timeout=timeout_seconds,
        health_check_interval=15,
        retry=Retry(ExponentialWithJitterBackoff(cap=1.0, base=0.05), retries),
        retry_on_error=[RedisConnectionError, RedisTimeoutError] if retries else [],
    )
