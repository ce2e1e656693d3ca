"""What the operators see of their children, against a real API server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from operators.core.children import OWNER_LABEL
from operators.core.plan import Manifest
from operators.runtime.cache import Cache
from operators.runtime.client import KubeClient
from operators.runtime.informer import CHILD_KINDS, Informer, follow_children
from operators.runtime.transport import HttpTransport
from tests.cluster.operators.conftest import World
from tests.support.operators import Tenant, channel
from tests.support.servers import eventually

Key = tuple[str, str, str]


@dataclass
class Watched:
    """A cache, who was woken, and the client that fills it."""

    client: KubeClient
    namespace: str
    cache: Cache = field(default_factory=Cache)
    woken: list[Key] = field(default_factory=list)

    async def wake(self, key: Key) -> None:
        self.woken.append(key)

    @asynccontextmanager
    async def following(self, api_version: str = "v1", kind: str = "ConfigMap") -> AsyncIterator[None]:
        informer = Informer(
            self.client, self.cache, self.wake, api_version=api_version, kind=kind, namespace=self.namespace
        )
        task = asyncio.create_task(informer.run())
        try:
            await until(lambda: not self.cache.unlisted)
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def holds(self, owner: str) -> set[str]:
        return {name for _, name in self.cache.labelled(self.namespace, owner)}


async def until(true: Callable[[], bool]) -> None:
    async def look() -> bool:
        return true()

    await eventually(look, seconds=20)


@pytest.fixture
async def watched(world: World, shop: Tenant) -> AsyncIterator[Watched]:
    configuration = Configuration()
    await config.load_kube_config(config_file=str(world.server.kubeconfig), client_configuration=configuration)
    async with KubeClient(HttpTransport(configuration, seconds=10)) as client:
        yield Watched(client, shop.namespace)


def made(name: str, owner: str = "") -> Manifest:
    labels = {OWNER_LABEL: owner} if owner else {}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"n": "1"}}


async def test_what_was_there_what_comes_and_what_goes(watched: Watched, shop: Tenant) -> None:
    await shop.create(made("before", "livestream.a"))
    await shop.create(made("foreign"))
    async with watched.following():
        assert watched.holds("livestream.a") == {"before"}
        assert watched.woken == [("LiveStream", shop.namespace, "a")]
        await shop.create(made("later", "channel.b"))
        await until(lambda: watched.holds("channel.b") == {"later"})
        await shop.delete("v1", "ConfigMap", "before")
        await until(lambda: not watched.holds("livestream.a"))
    assert ("Channel", shop.namespace, "b") in watched.woken
    assert not watched.cache.has_child("ConfigMap", shop.namespace, "foreign")


async def test_a_changed_child_is_kept_as_it_is_now(watched: Watched, shop: Tenant) -> None:
    await shop.create(made("edited", "livestream.a"))
    async with watched.following():
        await shop.patch("v1", "ConfigMap", "edited", {"data": {"n": "2"}})
        key = ("ConfigMap", "edited")
        await until(lambda: watched.cache.labelled(shop.namespace, "livestream.a")[key]["data"] == {"n": "2"})
    assert watched.woken == [("LiveStream", shop.namespace, "a")] * 2


@pytest.mark.parametrize(("label", "left"), [("livestream.b", {"moved"}), (None, set())], ids=["moved", "taken off"])
async def test_a_child_that_loses_its_label(watched: Watched, shop: Tenant, label: str | None, left: set[str]) -> None:
    await shop.create(made("moved", "livestream.a"))
    async with watched.following():
        await shop.patch("v1", "ConfigMap", "moved", {"metadata": {"labels": {OWNER_LABEL: label}}})
        await until(lambda: not watched.holds("livestream.a"))
        assert watched.holds("livestream.b") == left
    assert watched.woken.count(("LiveStream", shop.namespace, "a")) == 2


async def test_a_new_list_finds_what_went_meanwhile(watched: Watched, shop: Tenant) -> None:
    for name in ("stays", "goes"):
        await shop.create(made(name, f"livestream.{name}"))
    async with watched.following():
        pass
    watched.woken.clear()
    await shop.delete("v1", "ConfigMap", "goes")
    async with watched.following():
        assert watched.holds("livestream.stays") == {"stays"}
        assert not watched.holds("livestream.goes")
    assert watched.woken == [("LiveStream", shop.namespace, "goes")], "who did not change is left in peace"


async def test_many_children_come_in_pages(watched: Watched, shop: Tenant) -> None:
    names = {f"page-{number:04}" for number in range(600)}
    await asyncio.gather(*(shop.create(made(name, "livestream.a")) for name in names))
    async with watched.following():
        assert watched.holds("livestream.a") == names
    assert watched.woken == [("LiveStream", shop.namespace, "a")]


async def test_a_kind_that_is_not_served_holds_nothing_up(watched: Watched) -> None:
    async with watched.following("keda.sh/v1alpha1", "ScaledObject"):
        assert not watched.cache.unlisted


@pytest.mark.parametrize("there", [False, True], ids=["no custom resources", "some"])
async def test_who_says_that_all_was_seen(watched: Watched, shop: Tenant, there: bool) -> None:
    """Without custom resources nobody else does; with some it is kopf, after it has indexed them."""
    if there:
        await shop.create(channel("present"))
    following = follow_children(watched.client, watched.cache, watched.wake, namespaces=[shop.namespace])
    task = asyncio.create_task(following)
    try:
        await until(lambda: not watched.cache.unlisted)
        if there:
            await asyncio.sleep(0.2)
        else:
            await until(lambda: watched.cache.indexed)
        assert watched.cache.bound is not there
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert len(CHILD_KINDS) == len(set(CHILD_KINDS))
