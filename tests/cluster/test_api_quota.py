"""ResourceQuota: usage in the status, refusals in words; LimitRange defaults."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import Raw, until

Obj = dict[str, Any]
HARD = {
    "count/secrets": "1",
    "pods": "2",
    "requests.cpu": "1",
    "limits.memory": "1Gi",
    "count/deployments.apps": "1",
    "services.nodeports": "1",
}


def pod(name: str, **resources: Obj) -> Obj:
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "image": "registry.example/x:1", "resources": resources}]},
    }


@pytest.fixture
async def quota(raw: Raw) -> str:
    path = f"{raw.space}/resourcequotas"
    await raw("POST", path, {"metadata": {"name": "q"}, "spec": {"hard": HARD}})

    async def counted() -> bool:
        return set((await raw("GET", f"{path}/q")).body.get("status", {}).get("used", {})) == set(HARD)

    await until(counted, 20)
    return f"{path}/q"


async def test_usage_follows_the_objects(raw: Raw, quota: str) -> None:
    sizes = {"requests": {"cpu": "250m"}, "limits": {"memory": "256Mi"}}
    assert (await raw("POST", f"{raw.space}/pods", pod("one", **sizes))).status == 201
    await raw("POST", f"{raw.space}/secrets", {"metadata": {"name": "one"}})
    wanted = {**dict.fromkeys(HARD, "0"), "count/secrets": "1", "pods": "1"}
    wanted |= {"requests.cpu": "250m", "limits.memory": "256Mi"}

    async def reached() -> bool:
        return bool((await raw("GET", quota)).body["status"]["used"] == wanted)

    await until(reached, 20)
    await raw("DELETE", f"{raw.space}/secrets/one")

    async def freed() -> bool:
        return bool((await raw("GET", quota)).body["status"]["used"]["count/secrets"] == "0")

    await until(freed, 30)


async def test_too_many_objects(raw: Raw, quota: str) -> None:
    assert (await raw("POST", f"{raw.space}/secrets", {"metadata": {"name": "one"}})).status == 201
    reply = await raw("POST", f"{raw.space}/secrets", {"metadata": {"name": "two"}})
    assert (reply.status, reply.body["reason"]) == (403, "Forbidden")
    text = "exceeded quota: q, requested: count/secrets=1, used: count/secrets=1, limited: count/secrets=1"
    assert reply.message == f'secrets "two" is forbidden: {text}'


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        pytest.param(
            {"requests": {"cpu": "2"}, "limits": {"memory": "1Mi"}},
            "exceeded quota: q, requested: requests.cpu=2, used: requests.cpu=0, limited: requests.cpu=1",
            id="too much",
        ),
        pytest.param(
            {},
            "failed quota: q: must specify limits.memory for: main; requests.cpu for: main",
            id="nothing said",
        ),
    ],
)
async def test_pods_have_to_fit(raw: Raw, quota: str, sizes: Obj, text: str) -> None:
    reply = await raw("POST", f"{raw.space}/pods", pod("big", **sizes))
    assert (reply.status, reply.message) == (403, f'pods "big" is forbidden: {text}')


async def test_ports_of_services_count(raw: Raw, quota: str) -> None:
    ports = [{"port": 80, "name": "a"}, {"port": 81, "name": "b"}]
    body = {"metadata": {"name": "s"}, "spec": {"type": "NodePort", "ports": ports}}
    reply = await raw("POST", f"{raw.space}/services", body)
    text = "requested: services.nodeports=2, used: services.nodeports=0, limited: services.nodeports=1"
    assert (reply.status, reply.message) == (403, f'services "s" is forbidden: exceeded quota: q, {text}')


async def test_limit_ranges_fill_in_resources(raw: Raw) -> None:
    limits = [{"type": "Container", "default": {"cpu": "500m"}, "defaultRequest": {"cpu": "100m"}}]
    await raw("POST", f"{raw.space}/limitranges", {"metadata": {"name": "l"}, "spec": {"limits": limits}})

    async def filled() -> bool:
        reply = await raw("POST", f"{raw.space}/pods?dryRun=All", pod("one"))
        found = reply.body["spec"]["containers"][0]["resources"]
        return bool(found == {"limits": {"cpu": "500m"}, "requests": {"cpu": "100m"}})

    await until(filled, 20)
