"""Read a serveConfigV2 document and find what changed in it.

Trap avoided: a document that is half written or wrong must not take away what is being served, so reading raises one
typed error with the place and the reason, and the caller keeps what it has.
"""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

DEFAULT_PORT = 8000
_UNUSED = ("deployments", "runtime_env", "external_scaler_enabled")


class ConfigError(Exception):
    """The document cannot be served: `field` says where, the text why."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Application:
    """One application of the document."""

    name: str
    route_prefix: str | None
    import_path: str
    args: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Document:
    """What is asked for."""

    port: int
    applications: tuple[Application, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """How to get from one document to the next: what to deploy (new or changed) and what to delete."""

    deploy: tuple[Application, ...]
    delete: tuple[str, ...]


def parse(text: str) -> Document:
    """Raises ConfigError for what is not YAML, not ServeDeploySchema, or not supported on one node."""
    from ray.serve.schema import ServeDeploySchema

    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError("", f"not YAML: {error}") from error
    if not isinstance(raw, dict):
        raise ConfigError("", "not an object")
    try:
        schema = ServeDeploySchema.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(".".join(str(part) for part in first["loc"]), first["msg"]) from error
    for index, application in enumerate(raw.get("applications") or []):
        for name in _UNUSED:
            if application.get(name):
                raise ConfigError(f"applications.{index}.{name}", "not supported on one node; use args")
    port = (raw.get("http_options") or {}).get("port", DEFAULT_PORT)
    return Document(
        int(port),
        tuple(
            Application(item.name, item.route_prefix, item.import_path, dict(item.args)) for item in schema.applications
        ),
    )


def read(path: Path) -> str:
    """Text of the file. Raises ConfigError."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("", f"cannot read {path}: {error}") from error


def change(before: Document, after: Document) -> Change:
    """Raises ConfigError when the port differs: the proxy's listener cannot move."""
    if before.port != after.port:
        raise ConfigError("http_options.port", "cannot change while it runs")
    known = {item.name: item for item in before.applications}
    wanted = {item.name for item in after.applications}
    return Change(
        deploy=tuple(item for item in after.applications if known.get(item.name) != item),
        delete=tuple(name for name in known if name not in wanted),
    )


def load(application: Application) -> Any:
    """The Ray Serve application made by the builder at `module:attribute`. Raises ConfigError."""
    module, _, attribute = application.import_path.partition(":")
    try:
        builder = getattr(importlib.import_module(module), attribute or "build")
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(application.name, f"cannot import {application.import_path}: {error}") from error
    if not callable(builder):
        raise ConfigError(application.name, f"{application.import_path} is not a builder")
    try:
        return builder(dict(application.args))
    except (ValueError, TypeError) as error:
        raise ConfigError(application.name, f"args: {error}") from error
