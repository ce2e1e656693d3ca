"""Servers that whole test modules share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers import PostgresServer, RedisServer, postgres_server, redis_server

# How long an example takes says more about the machine than about the code.
settings.register_profile("haat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("haat")


@pytest.fixture(scope="session")
def shared_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One Redis for the session; tests use keys of their own."""
    with redis_server(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def shared_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for the session; tests make databases of their own."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server
