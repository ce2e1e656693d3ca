"""The API server as the commands see it: plain JSON over `kubernetes.aio`, with its ways to sign in (tokens, client
certificates, exec plug-ins), and errors that name the fix.

Which cluster: `--kubeconfig`, else KUBECONFIG, else the platform of this checkout, else ~/.kube/config.
Trap avoided: the library costs most of a second to import, so it is imported when a command connects, not by `--help`.
"""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import Any

import aiohttp

from hack.cli.errors import Missing, UserError
from hack.cli.paths import KUBECONFIG

Obj = dict[str, Any]
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
TIMEOUT_SECONDS = 15.0


class Refused(UserError):
    """The API server answered with an error; `status` is its code."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def kubeconfig_path(given: Path | None) -> Path:
    """The file to use. UserError when there is none."""
    if given:
        if not given.exists():
            raise UserError(f"{given} is not there; give --kubeconfig a file that is.")
        return given
    named = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    for path in (*named, KUBECONFIG, Path.home() / ".kube" / "config"):
        if path.exists():
            return path
    raise UserError("no cluster is known: `make up` starts one here, or set KUBECONFIG or --kubeconfig.")


class Kube:
    """One connection pool; use as an async context manager. `namespace` is the context's own, or empty, which it is
    too where the context says `default`: tools write that when nobody chose one."""

    def __init__(self, api: Any, *, namespace: str, server: str) -> None:
        self._api = api
        self.namespace = namespace
        self.server = server

    @classmethod
    async def connect(cls, kubeconfig: Path | None = None, context: str | None = None) -> "Kube":
        """Read the kubeconfig and sign in. UserError when it is malformed or has no such context."""
        from kubernetes.aio import config
        from kubernetes.aio.client import ApiClient, Configuration

        path, configuration = kubeconfig_path(kubeconfig), Configuration()
        try:
            contexts, active = config.list_kube_config_contexts(str(path))
            chosen = next((item for item in contexts if item["name"] == context), None) if context else active
            if chosen is None:
                known = ", ".join(item["name"] for item in contexts)
                raise UserError(f"{path} has no context {context}; it has: {known}.")
            await config.load_kube_config(
                config_file=str(path), context=chosen["name"], client_configuration=configuration
            )
        except config.ConfigException as error:
            raise UserError(f"{path} cannot be used: {error}") from error
        namespace = str((chosen.get("context") or {}).get("namespace") or "")
        chosen_by_nobody = namespace == "default"
        return cls(
            ApiClient(configuration), namespace="" if chosen_by_nobody else namespace, server=str(configuration.host)
        )

    async def __aenter__(self) -> "Kube":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.close()

    async def get(self, path: str, *, query: Obj | None = None, accept: str = "application/json") -> Obj:
        """GET a JSON document."""
        return await self.call("GET", path, query=query, accept=accept)

    async def find(self, path: str, *, query: Obj | None = None) -> Obj | None:
        """GET, or None where there is nothing."""
        try:
            return await self.get(path, query=query)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Obj | None = None,
        body: Obj | None = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Obj:
        """One request with JSON in and out. Refused with the server's own words."""
        response = await self._open(method, path, query or {}, body, content_type, accept, TIMEOUT_SECONDS)
        try:
            text = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error
        document: Obj = json.loads(text) if text else {}
        return document

    async def lines(self, path: str, *, query: Obj) -> AsyncIterator[str]:
        """Lines of a text answer as they come, of any length."""
        forever = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
        response = await self._open("GET", path, query, None, "application/json", "*/*", forever)
        rest = b""
        try:
            async for chunk in response.response.content.iter_any():
                *whole, rest = (rest + chunk).split(b"\n")
                for line in whole:
                    yield line.decode(errors="replace")
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error
        finally:
            response.response.close()
        if rest:
            yield rest.decode(errors="replace")

    async def _open(
        self, method: str, path: str, query: Obj, body: Obj | None, content_type: str, accept: str, timeout: Any
    ) -> Any:
        from kubernetes.aio.client.exceptions import ApiException

        request = await self._api.param_serialize(
            method,
            path,
            query_params=[(name, str(value)) for name, value in query.items()],
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            response = await self._api.call_api(*request, _request_timeout=timeout)
            if 200 <= response.status <= 299:
                return response
            raise refusal(response.status, await response.read())
        except ApiException as error:
            raise refusal(error.status or 0, error.body) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> Refused:
        why = str(error) or type(error).__name__
        return Refused(0, f"the cluster at {self.server} does not answer ({why}); is it running? `make up` starts one.")


def refusal(status: int, body: Any) -> UserError:
    """The error of an answer other than 2xx."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        text = str(json.loads(text).get("message") or text)
    except (ValueError, AttributeError):
        text = text[:500]
    if status == 401:
        text = f"the cluster does not know you: {text}; sign in again or choose another --context."
    elif status == 403:
        text = f"you may not do that: {text}; ask for the role haat-view or haat-edit in that namespace."
    return Refused(status, text or f"the cluster answered {status}")


def not_there(what: str) -> Missing:
    """The error for an object that does not exist."""
    return Missing(f"{what} does not exist; `haat get all -A` shows what does.")
