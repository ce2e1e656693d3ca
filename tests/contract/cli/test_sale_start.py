"""`haat sale start`: the address and the key come from the cluster, and the shop gets a host's token for that stream."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import yaml

from tests.contract.cli.conftest import Cluster
from workloads.common.tokens import Signer, Verifier, new_private_key

KEY = new_private_key()
Call = tuple[str, str, dict[str, Any]]


class Door:
    """The public port of a shop, as far as `start` knocks on it: keeps what came, answers as told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.answer: tuple[int, dict[str, Any]] = (200, {"phase": "Scheduled"})
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = str(self.headers["Authorization"]).removeprefix("Bearer ")
                door.calls.append((self.path, token, json.loads(body)))
                status, document = door.answer
                self.send_response(status)
                self.end_headers()
                self.wfile.write(json.dumps(document).encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture
def door() -> Iterator[Door]:
    found = Door()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    yield found
    found.server.shutdown()
    found.server.server_close()
    thread.join()


@pytest.fixture
def system(api: Cluster, shop: tuple[str, Any], door: Door) -> str:
    """A platform's namespace with its address and its key."""
    name = f"{shop[0]}-system"
    api.ask("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    platform = {
        "metadata": {"name": "haat-platform"},
        "data": {"platform.yaml": yaml.safe_dump({"publicUrl": door.url})},
    }
    api.ask("POST", f"/api/v1/namespaces/{name}/configmaps", platform)
    secret = {"metadata": {"name": "haat-auth"}, "data": {"private-key": base64.b64encode(KEY.encode()).decode()}}
    api.ask("POST", f"/api/v1/namespaces/{name}/secrets", secret)
    return name


def test_the_shop_is_asked_as_the_streams_host(api: Cluster, shop: tuple[str, Any], system: str, door: Door) -> None:
    namespace, haat = shop
    result = haat("sale", "start", "drop", "--countdown", "5", "--system-namespace", system)
    assert result.returncode == 0, result.stderr
    assert f"{namespace}/drop opens in 5 s" in result.stdout
    uid = api.ask("GET", f"/apis/haat.dev/v1alpha1/namespaces/{namespace}/flashsales/drop")["metadata"]["uid"]
    ((path, token, body),) = door.calls
    assert path == f"/api/v1/sales/{uid}/start"
    assert body == {"countdown_seconds": 5}
    claims = Verifier(Signer(KEY).jwks()).verify(token)
    assert claims.is_host_of(f"{namespace}/launch")
    assert not claims.is_host_of("other/launch")


def test_a_refusal_is_the_shops_own_sentence(shop: tuple[str, Any], system: str, door: Door) -> None:
    _, haat = shop
    door.answer = (409, {"title": "Conflict", "detail": "The sale is open already."})
    result = haat("sale", "start", "drop", "--system-namespace", system)
    assert result.returncode == 1
    assert "the shop refused: The sale is open already." in result.stderr


def test_a_shop_that_does_not_answer_names_the_address(shop: tuple[str, Any], system: str) -> None:
    _, haat = shop
    result = haat("sale", "start", "drop", "--system-namespace", system, "--url", "http://127.0.0.1:1")
    assert result.returncode == 1
    assert "http://127.0.0.1:1/api/v1/sales/" in result.stderr
    assert "--url changes it" in result.stderr


def test_a_platform_elsewhere_is_asked_for(shop: tuple[str, Any]) -> None:
    _, haat = shop
    result = haat("sale", "start", "drop", "--system-namespace", "nowhere")
    assert result.returncode == 1
    assert "--system-namespace" in result.stderr
