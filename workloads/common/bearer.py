"""The bearer token of an HTTP request."""

from starlette.requests import Request

from workloads.common.problem import Problem
from workloads.common.tokens import Claims, TokenError, Verifier


def bearer_token(authorization: str) -> str:
    """The token inside an Authorization header's value; empty when it carries none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def require_claims(request: Request, verifier: Verifier) -> Claims:
    """Claims of the caller, or a 401 problem."""
    token = bearer_token(request.headers.get("authorization", ""))
    if not token:
        raise Problem(401, "token_missing", "Send a token as Authorization: Bearer (POST /api/v1/session gives one).")
    try:
        return verifier.verify(token)
    except TokenError as error:
        raise Problem(401, "token_invalid", f"Sign in again: {error}.") from error


def require_host(request: Request, verifier: Verifier, stream: str) -> Claims:
    """Claims of a host of `stream`, or a 401/403 problem."""
    claims = require_claims(request, verifier)
    if not claims.is_host_of(stream):
        raise Problem(403, "not_host", f"Only a host of {stream} may do this.")
    return claims
