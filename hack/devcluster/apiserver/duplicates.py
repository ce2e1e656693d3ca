"""Fields that a JSON body names twice. Decoders keep the last one without a word; Kubernetes wants to say so.

The common case, no duplicate, costs one pass of the C scanner; only then is the body walked for the paths.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


class _Doubled(dict[str, Any]):
    """An object in which some keys came twice."""

    doubled: list[str]


def paths(raw: bytes) -> list[str]:
    """Paths such as `spec.replicas`, each once; empty for a body that is no JSON (its decoder will say so)."""
    found = False

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        found = True
        names = [key for key, _ in pairs]
        marked = _Doubled(plain)
        marked.doubled = [key for at, key in enumerate(names) if key in names[:at]]
        return marked

    try:
        value = json.loads(raw, object_pairs_hook=keep)
    except (ValueError, RecursionError):
        return []
    return list(dict.fromkeys(_walk(value, ""))) if found else []


def _walk(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value, _Doubled):
            yield from (f"{path}.{key}" if path else key for key in value.doubled)
        for key, item in value.items():
            yield from _walk(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for at, item in enumerate(value):
            yield from _walk(item, f"{path}[{at}]")
