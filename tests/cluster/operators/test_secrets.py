"""Secrets are read and remembered for a while; what was deleted is not remembered for longer than that."""

import base64
from collections.abc import AsyncIterator

import pytest

from operators.runtime.client import KubeClient
from operators.runtime.secrets import FRESH_SECONDS, Secrets
from tests.cluster.operators.conftest import World
from tests.support.operators import Tenant


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def client(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    """A client of the operators' own."""
    for module in ("kubernetes.aio.config", "kubernetes.aio.config.kube_config"):  # read from the environment at import
        monkeypatch.setattr(f"{module}.KUBE_CONFIG_DEFAULT_LOCATION", str(world.server.kubeconfig))
    async with await KubeClient.connect() as made:
        yield made


def secret(text: str) -> dict:
    data = {"stream-key": base64.b64encode(text.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "key"}, "data": data}


async def key(secrets: Secrets, shop: Tenant, *, fresh: bool = False) -> str | None:
    found = await secrets.get(shop.namespace, "key", fresh=fresh)
    return base64.b64decode(found["data"]["stream-key"]).decode() if found else None


async def test_a_deleted_secret_is_forgotten_when_its_time_is_over(shop: Tenant, client: KubeClient) -> None:
    clock = Clock()
    secrets = Secrets(client, clock)
    await shop.create(secret("one"))
    assert await key(secrets, shop) == "one"
    await shop.delete("v1", "Secret", "key")
    clock.now += FRESH_SECONDS - 1
    assert await key(secrets, shop) == "one", "what is remembered costs no call"
    clock.now += 2
    assert await key(secrets, shop) is None
    await shop.create(secret("two"))
    clock.now += FRESH_SECONDS
    assert await key(secrets, shop) == "two"


async def test_who_asks_for_a_fresh_look_learns_of_a_deletion_at_once_and_so_does_everybody(
    shop: Tenant, client: KubeClient
) -> None:
    clock = Clock()
    secrets = Secrets(client, clock)
    await shop.create(secret("one"))
    assert await key(secrets, shop) == "one"
    await shop.delete("v1", "Secret", "key")
    assert await key(secrets, shop, fresh=True) is None
    clock.now += 2
    assert await key(secrets, shop) is None
    await shop.create(secret("two"))
    assert await key(secrets, shop, fresh=True) == "two"
    assert await key(secrets, shop) == "two", "the fresh look is what is remembered"


async def test_what_we_deleted_ourselves_is_looked_at_again(shop: Tenant, client: KubeClient) -> None:
    secrets = Secrets(client, Clock())
    await shop.create(secret("one"))
    assert await key(secrets, shop) == "one"
    await shop.delete("v1", "Secret", "key")
    secrets.forget(shop.namespace, "key")
    assert await key(secrets, shop) is None
