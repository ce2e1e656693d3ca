"""Children that we do not know: whose is the name? Against a real API server, with each request counted."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from operators.core.children import OWNER_LABEL
from operators.core.plan import Manifest, ref_of
from operators.core.rejection import ApplyRejected
from operators.runtime.cache import Cache
from operators.runtime.client import KubeClient
from operators.runtime.executor import check_owner, make
from operators.runtime.namesakes import ALONE, FRESH_SECONDS, REFUSED_SECONDS, Namesakes
from operators.runtime.queue import RetryAfter
from operators.runtime.secrets import ABSENT_SECONDS, Secrets
from operators.runtime.transport import HttpTransport
from tests.cluster.operators.conftest import World
from tests.support.operators import Tenant, stream

STRANGER = {"Impersonate-User": "somebody-without-rights"}


@dataclass
class Wire:
    """A transport that notes what is asked for; lists are made in the name of a user who may not list, if so wanted."""

    inner: HttpTransport
    asked: list[tuple[str, str]] = field(default_factory=list)
    may_list: bool = True

    async def request(self, method: str, target: str, *, headers: dict[str, str], body: Any) -> tuple[int, bytes]:
        self.asked.append((method, target))
        refused = "labelSelector" in target and not self.may_list
        return await self.inner.request(method, target, headers=headers | STRANGER if refused else headers, body=body)

    async def stream(
        self, target: str, *, headers: dict[str, str], idle_seconds: float
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return await self.inner.stream(target, headers=headers, idle_seconds=idle_seconds)

    async def close(self) -> None:
        await self.inner.close()

    def lists(self) -> int:
        return sum("labelSelector" in target for _, target in self.asked)

    def gets(self) -> int:
        return sum(method == "GET" and "labelSelector" not in target for method, target in self.asked)


@dataclass
class Desk:
    """What the tests hold; `now` is the clock of everything that remembers."""

    wire: Wire
    client: KubeClient
    namespace: str
    cache: Cache = field(default_factory=Cache)
    now: float = 1000.0

    def __post_init__(self) -> None:
        self.secrets = Secrets(self.client, lambda: self.now)
        self.namesakes = self.looking(most=500)

    def looking(self, *, most: int) -> Namesakes:
        return Namesakes(self.client, self.cache, self.secrets, lambda: self.now, most=most)

    def wanted(self, name: str, *, kind: str = "ConfigMap", owner: Manifest | None = None) -> Manifest:
        """A child of `owner`, which has to exist lest the garbage collector takes the child."""
        meta: Manifest = {"name": name, "namespace": self.namespace, "labels": {OWNER_LABEL: "livestream.launch"}}
        if owner:
            named = {"name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
            meta["ownerReferences"] = [{"apiVersion": "v1", "kind": "ConfigMap", "controller": True, **named}]
        return {"apiVersion": "v1", "kind": kind, "metadata": meta, "data": {"key": "b3Vycw=="}}

    async def find(self, *names: str) -> list[Manifest | None]:
        return list(await asyncio.gather(*(self.namesakes.find(self.wanted(name)) for name in names)))


@pytest.fixture
async def desk(world: World, shop: Tenant) -> AsyncIterator[Desk]:
    configuration = Configuration()
    await config.load_kube_config(config_file=str(world.server.kubeconfig), client_configuration=configuration)
    wire = Wire(HttpTransport(configuration, seconds=10))
    async with KubeClient(wire) as client:
        yield Desk(wire, client, shop.namespace)


def theirs(name: str, **labels: str) -> Manifest:
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "labels": labels}, "data": {"key": "theirs"}
    }  # fmt: skip


def many(count: int = 40) -> list[str]:
    return [f"free-{number}" for number in range(count)]


async def test_a_lone_look_asks_for_the_name(desk: Desk, shop: Tenant) -> None:
    await shop.create(theirs("taken"))
    free, found = await desk.find("free", "taken")
    assert free is None
    assert found is not None
    assert found["data"] == {"key": "theirs"}
    assert (desk.wire.lists(), desk.wire.gets()) == (0, 2)


async def test_a_burst_shares_one_list_that_finds_what_is_not_ours(desk: Desk, shop: Tenant) -> None:
    await shop.create(theirs("taken"))
    found = await desk.find(*many(), "taken")
    assert [item is not None for item in found] == [False] * 40 + [True]
    assert (desk.wire.lists(), desk.wire.gets()) == (1, ALONE + 1)
    with pytest.raises(ApplyRejected) as refused:
        check_owner(desk.wanted("taken"), found[-1])
    assert refused.value.reason == "ChildConflict"


async def test_a_child_of_an_earlier_life_is_found_through_the_watches(desk: Desk, shop: Tenant) -> None:
    await shop.create(theirs("kept", **{OWNER_LABEL: "livestream.launch"}))
    seen = await shop.get("v1", "ConfigMap", "kept")
    assert seen is not None
    desk.cache.put_child(seen, "livestream.launch")
    found = await desk.find(*many(), "kept")
    assert found[-1] is not None
    with pytest.raises(RetryAfter):
        check_owner(desk.wanted("kept"), found[-1])


@pytest.mark.parametrize("may_list", [True, False], ids=["too many names", "may not list"])
async def test_without_a_list_each_name_is_asked_for(desk: Desk, shop: Tenant, may_list: bool) -> None:
    desk.wire.may_list = may_list
    desk.namesakes = desk.looking(most=2)
    for name in ("taken", "other", "third"):
        await shop.create(theirs(name))
    found = await desk.find(*many(10), "taken")
    assert found[-1] is not None
    assert not any(found[:-1])
    assert (desk.wire.lists(), desk.wire.gets()) == (1, 11)
    desk.now += REFUSED_SECONDS - 1
    await desk.find(*many(10))
    assert desk.wire.lists() == 1, "a list that did not help is not tried again at once"
    desk.now += 2
    desk.wire.may_list = True
    await desk.find(*many(10))
    assert desk.wire.lists() == 2


async def test_what_appeared_after_the_list_is_seen_a_second_later(desk: Desk, shop: Tenant) -> None:
    await desk.find(*many())
    await shop.create(theirs("taken"))
    assert await desk.find("taken") == [None]
    desk.now += FRESH_SECONDS
    assert (await desk.find(*many(), "taken"))[-1] is not None
    assert desk.wire.lists() == 2


async def test_what_the_list_could_not_see_is_a_conflict_and_stays_as_it_is(desk: Desk, shop: Tenant) -> None:
    await desk.find(*many())
    await shop.create(theirs("taken"))
    with pytest.raises(ApplyRejected) as refused:
        await make(desk.client, desk.namesakes, desk.wanted("taken"))
    assert refused.value.reason == "ChildConflict"
    kept = await shop.get("v1", "ConfigMap", "taken")
    assert kept is not None
    assert kept["data"] == {"key": "theirs"}
    assert not kept["metadata"].get("ownerReferences")


async def test_what_the_watches_have_not_shown_yet_of_an_earlier_life_waits(desk: Desk, shop: Tenant) -> None:
    lives = [await shop.create(theirs(name)) for name in ("first-life", "second-life")]
    earlier, later = (desk.wanted("again", owner=life) for life in lives)
    await make(desk.client, desk.namesakes, earlier)
    await desk.find(*many())
    with pytest.raises(RetryAfter):
        await make(desk.client, desk.namesakes, later)


async def test_our_own_child_that_somebody_edited_is_taken_back(desk: Desk, shop: Tenant) -> None:
    wanted = desk.wanted("ours", owner=await shop.create(theirs("life")))
    await make(desk.client, desk.namesakes, wanted)
    await shop.patch("v1", "ConfigMap", "ours", {"data": {"key": "edited"}})
    await desk.find(*many())
    made = await make(desk.client, desk.namesakes, wanted)
    assert made["data"] == {"key": "b3Vycw=="}


async def test_secrets_are_never_listed(desk: Desk) -> None:
    name = f"key-{uuid.uuid4().hex[:6]}"
    wanted = desk.wanted(name, kind="Secret")
    assert await desk.secrets.get(desk.namespace, name) is None
    for _ in range(10):
        assert await desk.namesakes.find(wanted) is None
    assert (desk.wire.lists(), desk.wire.gets()) == (0, 1), "the reconcile has just looked"
    await desk.client.apply(wanted, manager="somebody", force=True)
    desk.now += ABSENT_SECONDS
    found = await desk.namesakes.find(wanted)
    assert found is not None
    assert ref_of(found).name == name


async def test_what_nobody_follows_is_asked_for_by_name(desk: Desk, shop: Tenant) -> None:
    """A programme's streams carry the channel's label, so neither the list nor the cache would show an earlier one."""
    labels = {OWNER_LABEL: "channel.aarong"}
    planned = stream("programme")
    planned["metadata"] |= {"labels": labels, "namespace": desk.namespace}
    await shop.create(planned)
    for _ in range(ALONE + 2):
        assert await desk.namesakes.find(planned) is not None
    assert desk.wire.lists() == 0
