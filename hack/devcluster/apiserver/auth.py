"""Who is asking: the admin token, service-account tokens (JWT), anonymous.

Service-account tokens are bound to the account's uid, and to the pod when one was named: a token of an account that
was deleted and made again is refused, as upstream.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jwt

from hack.devcluster.apiserver.calls import MASTERS, User
from hack.devcluster.apiserver.errors import unauthorized
from hack.devcluster.apiserver.store import Store

ISSUER = "https://kubernetes.default.svc.cluster.local"
ANONYMOUS = User("system:anonymous", groups=("system:unauthenticated",))
ADMIN = User("kubernetes-admin", groups=(MASTERS, "system:authenticated"))
_ALGORITHM = "HS256"


def secret_file(path: Path) -> str:
    """The secret kept in a file, made with mode 0600 when missing."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        value = secrets.token_urlsafe(32)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(value)
        return value


class Authenticator:
    """Maps bearer tokens to users."""

    def __init__(self, state: Path, store: Store) -> None:
        self.admin_token = secret_file(state / "admin.token")
        self._key = secret_file(state / "serviceaccount.key")
        self._store = store

    def user_of(self, header: str | None) -> User:
        """The user behind an Authorization header; anonymous without one, 401 for a wrong one."""
        if not header:
            return ANONYMOUS
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise unauthorized()
        return self.user_of_token(token.strip())

    def user_of_token(self, token: str) -> User:
        """The user of a bare token. Raises 401."""
        if hmac.compare_digest(token.encode(), self.admin_token.encode()):
            return ADMIN
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                issuer=ISSUER,
                options={"verify_aud": False, "require": ["exp", "sub"]},
            )
        except jwt.PyJWTError as problem:
            raise unauthorized() from problem
        return self._account(claims)

    def _account(self, claims: Mapping[str, Any]) -> User:
        bound = claims.get("kubernetes.io") or {}
        namespace, account = bound.get("namespace", ""), bound.get("serviceaccount") or {}
        stored = self._store.collection("serviceaccounts").get(namespace, account.get("name", ""))
        if stored is None or stored.uid != account.get("uid"):
            raise unauthorized()
        pod = bound.get("pod")
        extra: dict[str, list[str]] = {}
        if pod:
            found = self._store.collection("pods").get(namespace, pod.get("name", ""))
            if found is None or found.uid != pod.get("uid"):
                raise unauthorized()
            extra = {
                "authentication.kubernetes.io/pod-name": [pod["name"]],
                "authentication.kubernetes.io/pod-uid": [pod["uid"]],
            }
        return service_account_user(namespace, stored.name, uid=stored.uid, extra=extra)

    def issue(
        self,
        *,
        namespace: str,
        name: str,
        uid: str,
        now: int,
        seconds: int,
        audiences: list[str],
        pod: Mapping[str, str] | None,
    ) -> str:
        """A signed token of a service account."""
        bound: dict[str, Any] = {"namespace": namespace, "serviceaccount": {"name": name, "uid": uid}}
        if pod:
            bound["pod"] = dict(pod)
        claims = {
            "iss": ISSUER,
            "sub": f"system:serviceaccount:{namespace}:{name}",
            "aud": audiences or [ISSUER],
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
            "jti": secrets.token_hex(8),
            "kubernetes.io": bound,
        }
        return jwt.encode(claims, self._key, algorithm=_ALGORITHM)


def service_account_user(
    namespace: str, name: str, *, uid: str = "", extra: Mapping[str, list[str]] | None = None
) -> User:
    """The user that a service account is."""
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
    return User(f"system:serviceaccount:{namespace}:{name}", uid=uid, groups=groups, extra=extra or {})
