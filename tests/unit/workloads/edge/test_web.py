"""The web application's files."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from workloads.edge.serve.web import Web, content_security_policy, inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "dist" / "assets").mkdir(parents=True)
    (tmp_path / "dist" / "index.html").write_text("<!doctype html><title>Haat</title>")
    (tmp_path / "dist" / "assets" / "app-1a2b.js").write_text("console.log('haat');\n" * 100)
    (tmp_path / "dist" / "manifest.webmanifest").write_text("{}")
    (tmp_path / "secret.txt").write_text("secret")
    return tmp_path / "dist"


@pytest.fixture
async def client(root: Path) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Web(root))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        yield client


async def test_pages_of_the_application_are_its_entry_page(client: httpx.AsyncClient) -> None:
    for path in ("/", "/s/shop/launch", "/studio"):
        response = await client.get(path, headers={"accept": "text/html"})
        assert (response.status_code, response.headers["cache-control"]) == (200, "no-cache")
        assert "<title>Haat</title>" in response.text


async def test_assets_are_kept_for_ever_and_compressed(client: httpx.AsyncClient) -> None:
    response = await client.get("/assets/app-1a2b.js")
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in response.headers["cache-control"]
    assert response.headers["content-encoding"] == "gzip"
    assert response.text.startswith("console.log")


async def test_a_missing_file_is_not_a_page(client: httpx.AsyncClient) -> None:
    response = await client.get("/assets/app-old.js", headers={"accept": "*/*"})
    assert (response.status_code, response.headers["content-type"]) == (404, "application/problem+json")


async def test_conditional_requests(client: httpx.AsyncClient, root: Path) -> None:
    etag = (await client.get("/")).headers["etag"]
    assert (await client.get("/", headers={"if-none-match": etag})).status_code == 304
    (root / "index.html").write_text("<!doctype html><title>Haat, rebuilt</title>")
    response = await client.get("/", headers={"if-none-match": etag})
    assert (response.status_code, "rebuilt" in response.text) == (200, True)


async def test_only_reading_is_allowed(client: httpx.AsyncClient) -> None:
    response = await client.post("/")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, HEAD")
    head = await client.head("/")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.parametrize("path", ["/../secret.txt", "/%2e%2e/secret.txt", "/assets/..%2f..%2fsecret.txt", "/link.txt"])
async def test_nothing_outside_the_root_is_served(client: httpx.AsyncClient, root: Path, path: str) -> None:
    (root / "link.txt").symlink_to(root.parent / "secret.txt")
    assert "secret" not in (await client.get(path)).text


def test_names_that_leave_the_root_have_no_file(root: Path) -> None:
    assert inside(root, "../secret.txt") is None
    assert inside(root, "assets/\x00") is None
    assert inside(root, "assets/app-1a2b.js") == root / "assets" / "app-1a2b.js"


async def test_scripts_come_from_here_alone(client: httpx.AsyncClient) -> None:
    response = await client.get("/")
    policy = dict(item.split(" ", 1) for item in response.headers["content-security-policy"].split("; "))
    assert policy["script-src"] == "'self'"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "wss://fanout.example" in content_security_policy("wss://fanout.example")


async def test_an_application_that_was_not_built_is_named(tmp_path: Path) -> None:
    transport = httpx.ASGITransport(app=Web(tmp_path / "absent"))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
        response = await client.get("/", headers={"accept": "text/html"})
    assert (response.status_code, response.json()["code"]) == (503, "web_not_built")
