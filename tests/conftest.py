"""Servers that whole test modules share."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from tests.support.servers import PostgresServer, RedisServer, postgres_server, redis_server

# How long an example takes says more about the machine than about the code.
settings.register_profile("haat", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("haat")

# Whole processes against wall clocks: on a starved machine one may be late once. A test of races is never run again,
# since it would hide what it looks for.
_AGAINST_THE_CLOCK = ("tests/cluster/", "tests/contract/", "tests/e2e/")
_RERUNS = 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that drive processes by wall-clock time get a second try; the report names each (`R`, and its reason)."""
    for item in items:
        if item.nodeid.startswith(_AGAINST_THE_CLOCK) and item.get_closest_marker("race") is None:
            item.add_marker(pytest.mark.flaky(reruns=_RERUNS, reruns_delay=2))


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
