"""Does the live object already say what we want?

Server-side apply is idempotent, but each call costs some milliseconds; comparing first makes a reconcile of a settled
object free of calls. The hash annotation catches what a subset comparison cannot see: a field that we stopped wanting.
"""

import hashlib
import json
from typing import Any

HASH_ANNOTATION = "haat.dev/desired-hash"


def with_hash(manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the hash of its wanted content as an annotation."""
    canonical = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations", {}) | {HASH_ANNOTATION: digest}
    return manifest | {"metadata": metadata | {"annotations": annotations}}


def is_applied(desired: dict[str, Any], live: dict[str, Any] | None) -> bool:
    """Whether `live` carries everything that `desired` (with its hash) says."""
    return live is not None and contains(live, desired)


def contains(live: Any, desired: Any) -> bool:
    """Whether every value in `desired` stands at the same place in `live`.

    Lists of named objects match by `name`, other lists by position and length, because the API server adds defaults
    inside elements but no elements.
    """
    if isinstance(desired, dict):
        return isinstance(live, dict) and all(
            (key in live and contains(live[key], value)) or (key not in live and value in ({}, [], None, ""))
            for key, value in desired.items()
        )
    if isinstance(desired, list):
        return isinstance(live, list) and _contains_list(live, desired)
    return bool(live == desired)


def _contains_list(live: list[Any], desired: list[Any]) -> bool:
    if desired and all(isinstance(item, dict) and "name" in item for item in desired):
        by_name = {item.get("name"): item for item in live if isinstance(item, dict)}
        return len(live) == len(desired) and all(contains(by_name.get(item["name"]), item) for item in desired)
    return len(live) == len(desired) and all(contains(a, b) for a, b in zip(live, desired, strict=True))
