"""Lists: pages of one snapshot, exact versions, selectors."""

from __future__ import annotations

import pytest

from .conftest import Api, Raw
from .test_api_objects import config_map


async def names(raw: Raw, query: str) -> tuple[list[str], dict[str, str]]:
    reply = await raw("GET", f"{raw.space}/configmaps?{query}")
    assert reply.status == 200, reply.body
    return [item["metadata"]["name"] for item in reply.body["items"]], reply.body["metadata"]


@pytest.fixture
async def five(api: Api) -> None:
    for at in range(5):
        await api.create(config_map(f"m{at}", labels={"page": "1", "n": str(at)}))


async def test_a_page_reads_the_state_of_the_first_one(api: Api, raw: Raw, five: None) -> None:
    first, meta = await names(raw, "labelSelector=page&limit=2")
    assert first == ["m0", "m1"]
    await api.delete(config_map("m3"))
    await api.create(config_map("m2a", labels={"page": "1"}))
    await api.patch(config_map("m4"), {"metadata": {"labels": {"page": None}}})
    rest, later = await names(raw, f"labelSelector=page&limit=10&continue={meta['continue']}")
    assert rest == ["m2", "m3", "m4"]
    assert later["resourceVersion"] == meta["resourceVersion"]
    now, _ = await names(raw, "labelSelector=page")
    assert now == ["m0", "m1", "m2", "m2a"]


async def test_an_exact_version_is_that_version(api: Api, raw: Raw, five: None) -> None:
    before, meta = await names(raw, "labelSelector=page")
    await api.delete(config_map("m0"))
    then, same = await names(
        raw, f"labelSelector=page&resourceVersionMatch=Exact&resourceVersion={meta['resourceVersion']}"
    )
    assert (then, same["resourceVersion"]) == (before, meta["resourceVersion"])


async def test_remaining_items_are_counted_without_a_selector(raw: Raw, five: None) -> None:
    every, _ = await names(raw, "")
    _, meta = await names(raw, "limit=2")
    assert int(meta["remainingItemCount"]) == len(every) - 2
    _, meta = await names(raw, "limit=2&labelSelector=page")
    assert "remainingItemCount" not in meta
    assert meta["continue"]


async def test_pages_fit_together(raw: Raw, five: None) -> None:
    found, token = list[str](), ""
    while True:
        page, meta = await names(raw, f"labelSelector=page&limit=2&continue={token}")
        found += page
        token = meta.get("continue", "")
        if not token:
            break
    assert found == [f"m{at}" for at in range(5)]


async def test_a_token_of_nobody_is_refused(raw: Raw) -> None:
    reply = await raw("GET", f"{raw.space}/configmaps?continue=xyz")
    assert reply.status == 400
    assert reply.message.startswith("invalid continue token: continue key is not valid")


async def test_a_token_that_is_too_old_offers_another(api: Api, raw: Raw, is_devcluster: bool, five: None) -> None:
    if not is_devcluster:
        pytest.skip("a real server compacts its history every five minutes; the test would have to wait for that")
    _, meta = await names(raw, "limit=1&labelSelector=page")
    await api.create(config_map("busy"))
    for at in range(2100):
        await raw(
            "PATCH", f"{raw.space}/configmaps/busy", {"data": {"a": str(at)}}, media="application/merge-patch+json"
        )
    reply = await raw("GET", f"{raw.space}/configmaps?labelSelector=page&continue={meta['continue']}")
    assert (reply.status, reply.body["reason"]) == (410, "Expired")
    follow = reply.body["metadata"]["continue"]
    rest, _ = await names(raw, f"labelSelector=page&continue={follow}")
    assert rest == ["m1", "m2", "m3", "m4"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        pytest.param("labelSelector=n%3D3", ["m3"], id="equals"),
        pytest.param("labelSelector=page,n!%3D3", ["m0", "m1", "m2", "m4"], id="differs"),
        pytest.param("labelSelector=n in (1,2)", ["m1", "m2"], id="in"),
        pytest.param("labelSelector=page,n notin (1,2)", ["m0", "m3", "m4"], id="notin"),
        pytest.param("labelSelector=n>2", ["m3", "m4"], id="greater"),
        pytest.param("labelSelector=page,!n", [], id="absent"),
        pytest.param("fieldSelector=metadata.name%3Dm2", ["m2"], id="field"),
        pytest.param("labelSelector=page&fieldSelector=metadata.name!%3Dm2", ["m0", "m1", "m3", "m4"], id="both"),
    ],
)
async def test_selectors(raw: Raw, five: None, query: str, found: list[str]) -> None:
    assert (await names(raw, query.replace(" ", "%20").replace(">", "%3E")))[0] == found


@pytest.mark.parametrize(
    ("query", "message"),
    [
        pytest.param(
            "labelSelector=a+in+(",
            "unable to parse requirement: found '', expected: ',', ')' or identifier",
            id="label",
        ),
        pytest.param(
            "fieldSelector=data.a%3D1",
            '"data.a" is not a known field selector: only "metadata.name", "metadata.namespace"',
            id="field",
        ),
    ],
)
async def test_selectors_that_are_none(raw: Raw, query: str, message: str) -> None:
    reply = await raw("GET", f"{raw.space}/configmaps?{query}")
    assert (reply.status, reply.message) == (400, message)
