"""Guests get a session; bad names get a problem document."""

import json

import httpx
import pytest

from workloads.common.health import Readiness
from workloads.common.tokens import Signer, Verifier, new_private_key
from workloads.identity.app import build_app

SIGNER = Signer(new_private_key())


@pytest.fixture
def client() -> httpx.AsyncClient:
    readiness = Readiness()
    readiness.started = True
    transport = httpx.ASGITransport(build_app(SIGNER, readiness))
    return httpx.AsyncClient(transport=transport, base_url="http://identity")


async def test_a_guest_gets_a_token_of_a_viewer(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/session", json={"name": " রিনা "})
    assert answer.status_code == 201
    body = answer.json()
    claims = Verifier(SIGNER.jwks()).verify(body["token"])
    assert (claims.sub, claims.name, claims.role) == (body["user"]["id"], "রিনা", "viewer")


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": "   "}, {"name": "x" * 41}, {"name": "a\u0000b"}, {"name": 5}, []]
)
async def test_a_bad_name_is_a_problem_that_names_the_field(client: httpx.AsyncClient, body: object) -> None:
    answer = await client.post("/api/v1/session", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "invalid_request"
    assert problem["errors"]
    assert problem["errors"][0]["reason"]


async def test_the_public_keys_hold_no_private_part(client: httpx.AsyncClient) -> None:
    keys = (await client.get("/.well-known/jwks.json")).json()["keys"]
    assert [set(key) for key in keys] == [{"crv", "kty", "x", "kid", "use", "alg"}]
    assert "PRIVATE" not in json.dumps(keys)


async def test_unknown_paths_are_problems_too(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nope")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
