"""Watches: resume, bookmarks, selectors, Gone, time-outs, initial events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from .conftest import Api
from .test_api_objects import config_map

Obj = dict[str, Any]


class Stream:
    """One raw watch: `next` gives (type, object)."""

    def __init__(self, response: Any) -> None:
        self.response = response

    async def next(self) -> tuple[str, Obj]:
        async with asyncio.timeout(10):
            event = json.loads(await self.response.content.readline())
        return event["type"], event["object"]


@asynccontextmanager
async def watch(api: Api, **params: Any) -> AsyncIterator[Stream]:
    """A watch on the ConfigMaps of the namespace."""
    inner = api.dynamic.client
    query = [("watch", "true"), *((key, str(value)) for key, value in params.items())]
    request = await inner.param_serialize(
        method="GET",
        resource_path=f"/api/v1/namespaces/{api.namespace}/configmaps",
        query_params=query,
        header_params={"Accept": "application/json"},
        auth_settings=["BearerToken"],
    )
    answer = await inner.call_api(*request, _preload_content=False)
    response = getattr(answer, "response", answer)
    try:
        yield Stream(response)
    finally:
        response.close()


async def version(api: Api) -> str:
    return str((await api.list(config_map("")))["metadata"]["resourceVersion"])


async def test_changes_arrive_in_order(api: Api) -> None:
    async with watch(api, resourceVersion=await version(api)) as stream:
        made = await api.create(config_map("one"))
        await api.patch(made, {"data": {"a": "2"}})
        await api.delete(made)
        events = [await stream.next() for _ in range(3)]
    assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
    versions = [int(obj["metadata"]["resourceVersion"]) for _, obj in events]
    assert versions == sorted(set(versions))
    assert events[1][1]["data"] == {"a": "2"}


async def test_resume_after_a_version(api: Api) -> None:
    made = await api.create(config_map("one"))
    await api.patch(made, {"data": {"a": "2"}})
    async with watch(api, resourceVersion=made["metadata"]["resourceVersion"]) as stream:
        kind, obj = await stream.next()
    assert (kind, obj["data"]["a"]) == ("MODIFIED", "2")


async def test_without_a_version_the_present_comes_first(api: Api) -> None:
    await api.create(config_map("one", labels={"x": "1"}))
    async with watch(api, labelSelector="x") as stream:
        kind, obj = await stream.next()
    assert (kind, obj["metadata"]["name"]) == ("ADDED", "one")


async def test_leaving_the_selector_is_a_deletion(api: Api) -> None:
    made = await api.create(config_map("one", labels={"in": "1"}))
    await api.create(config_map("never"))
    async with watch(api, labelSelector="in=1", resourceVersion=made["metadata"]["resourceVersion"]) as stream:
        await api.patch(made, {"metadata": {"labels": {"in": "0"}}})
        await api.patch(made, {"metadata": {"labels": {"in": "1"}}})
        kinds = [(await stream.next())[0] for _ in range(2)]
    assert kinds == ["DELETED", "ADDED"]


async def test_an_old_version_is_gone(api: Api) -> None:
    async with watch(api, resourceVersion=1) as stream:
        kind, obj = await stream.next()
        seen = kind
        while kind == "ADDED":  # a server that never compacted may still know version 1
            kind, obj = await stream.next()
    assert kind == "ERROR" or seen == "ADDED"
    assert kind != "ERROR" or (obj["code"], obj["reason"]) == (410, "Expired")


async def test_a_watch_ends_in_time_with_a_bookmark(api: Api) -> None:
    params = {"resourceVersion": await version(api), "timeoutSeconds": 1, "allowWatchBookmarks": "true"}
    async with watch(api, **params) as stream:
        seen: list[str] = []
        async with asyncio.timeout(10):
            while line := await stream.response.content.readline():
                seen.append(json.loads(line)["type"])
    assert set(seen) <= {"BOOKMARK"}


async def test_streaming_list_ends_with_a_marked_bookmark(api: Api) -> None:
    await api.create(config_map("one", labels={"x": "1"}))
    params = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
    async with watch(api, labelSelector="x", **params) as stream:
        assert (await stream.next())[0] == "ADDED"
        kind, obj = await stream.next()
    assert kind == "BOOKMARK"
    assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_many_watchers_see_the_same(api: Api) -> None:
    start = await version(api)

    async def follow() -> list[str]:
        async with watch(api, resourceVersion=start) as stream:
            return [(await stream.next())[1]["metadata"]["name"] for _ in range(10)]

    tasks = [asyncio.create_task(follow()) for _ in range(5)]
    for at in range(10):
        await api.create(config_map(f"m{at}"))
    assert await asyncio.gather(*tasks) == [[f"m{at}" for at in range(10)]] * 5
