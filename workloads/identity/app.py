"""HTTP interface of identity: `POST /api/v1/session` and the public key set."""

from typing import Annotated

import uuid_utils
from fastapi import FastAPI
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from workloads.common import health, problem
from workloads.common.tokens import Signer

GUEST_TTL_SECONDS = 12 * 3600
Name = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")
]


class SessionRequest(BaseModel):
    """A guest gives a name and nothing else."""

    name: Name


class User(BaseModel):
    """The person behind a token."""

    id: str
    name: str
    role: str


class Session(BaseModel):
    """A token and what it says."""

    token: str
    expires_in: int = Field(description="Seconds until the token expires.")
    user: User


def build_app(signer: Signer, readiness: health.Readiness) -> FastAPI:
    """The application; `signer` holds the platform's key."""
    app = FastAPI(title="Haat identity", version="0.1.0", docs_url=None, redoc_url=None)
    problem.install(app)
    app.router.routes.extend(health.routes(readiness))

    @app.post("/api/v1/session", status_code=201)
    async def session(body: SessionRequest) -> Session:
        user = User(id=str(uuid_utils.uuid7()), name=body.name, role="viewer")
        token = signer.issue(sub=user.id, name=user.name, role="viewer", streams=["*"], ttl_seconds=GUEST_TTL_SECONDS)
        return Session(token=token, expires_in=GUEST_TTL_SECONDS, user=user)

    @app.get("/.well-known/jwks.json", include_in_schema=False)
    async def keys() -> Response:
        return Response(signer.jwks(), media_type="application/jwk-set+json")

    return app
