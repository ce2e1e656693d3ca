"""kopf runs against the API: discovery, watching, finalizers, status."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import kopf
import pytest

from .conftest import Api, until
from .test_api_custom import group, widget  # noqa: F401 - the fixture
from .test_api_objects import gone


async def test_an_operator_handles_a_resource(
    api: Api,
    group: str,  # noqa: F811
    kubeconfig: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    registry = kopf.OperatorRegistry()
    deleted = asyncio.Event()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> Any:
        return kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.create(group, "widgets", registry=registry)
    async def created(spec: kopf.Spec, patch: kopf.Patch, **_: Any) -> None:
        patch.status["phase"] = f"made {spec['size']}"

    @kopf.on.delete(group, "widgets", registry=registry)
    async def removed(**_: Any) -> None:
        deleted.set()

    ready, stop = asyncio.Event(), asyncio.Event()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    operator = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
            namespaces=[api.namespace],
            standalone=True,
            ready_flag=ready,
            stop_flag=stop,
        )
    )
    async with asyncio.timeout(30):
        await ready.wait()
        made = await api.create(widget(group))

        async def handled() -> bool:
            return bool((await api.get(made)).get("status", {}).get("phase") == "made small")

        await until(handled, 20)
        assert (await api.get(made))["metadata"]["finalizers"]
        await api.delete(made)
        await deleted.wait()
        await until(lambda: gone(api, made), 20)
        stop.set()
        await operator
