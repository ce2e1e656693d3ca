"""JSON patch (RFC 6902) and JSON merge patch (RFC 7396) on plain values.

Both return a new value; the input may be shared. A patch that does not fit is an `ApiError` with the code upstream
gives: 422 for a failing JSON patch, 400 for one that is no patch at all.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver.errors import ApiError, bad_request


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(target: Any, operations: Any) -> Any:
    """RFC 6902, all or nothing."""
    if not isinstance(operations, list):
        raise bad_request(
            "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp"
        )
    document = copy.deepcopy(target)
    for operation in operations:
        if not isinstance(operation, Mapping) or "op" not in operation or "path" not in operation:
            raise bad_request("error decoding patch: an operation needs op and path")
        document = _operate(document, operation)
    return document


def _failed(message: str) -> ApiError:
    del message  # upstream's answer does not tell; the words stay in the code for its reader
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request", details={})


def _pointer(path: Any) -> list[str]:
    if not isinstance(path, str) or (path and not path.startswith("/")):
        raise _failed(f"invalid JSON pointer {path!r}")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _operate(document: Any, operation: Mapping[str, Any]) -> Any:
    op, parts = operation["op"], _pointer(operation["path"])
    match op:
        case "add":
            return _add(document, parts, _value(operation))
        case "remove":
            _take(document, parts)
            return document
        case "replace":
            if parts and isinstance(_find(document, parts[:-1]), list):
                _take(document, parts)
            return _add(document, parts, _value(operation))
        case "move":
            source = _pointer(operation.get("from"))
            return _add(document, parts, _take(document, source))
        case "copy":
            return _add(document, parts, copy.deepcopy(_find(document, _pointer(operation.get("from")))))
        case "test":
            if not same(_find(document, parts, missing_ok=True), operation.get("value")):
                raise _failed(f"testing path {operation['path']} failed: test failed")
            return document
    raise _failed(f"Unexpected kind: {op}")


def same(left: Any, right: Any) -> bool:
    """JSON equality: `1 == True` is false, `1 == 1.0` is true."""
    if isinstance(left, bool) or isinstance(right, bool):
        return isinstance(left, bool) and isinstance(right, bool) and left == right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def _value(operation: Mapping[str, Any]) -> Any:
    if "value" not in operation:
        raise _failed(f"{operation['op']} operation needs a value")
    return copy.deepcopy(operation["value"])


def _find(document: Any, parts: list[str], *, missing_ok: bool = False) -> Any:
    for part in parts:
        if isinstance(document, dict) and part in document:
            document = document[part]
        elif isinstance(document, list) and part.isdigit() and int(part) < len(document):
            document = document[int(part)]
        elif missing_ok:
            return None
        else:
            raise _failed(f"doc is missing path: {'/' + '/'.join(parts)}: missing value")
    return document


def _take(document: Any, parts: list[str]) -> Any:
    if not parts:
        raise _failed("cannot remove the whole document")
    parent = _find(document, parts[:-1])
    last = parts[-1]
    if isinstance(parent, dict) and last in parent:
        return parent.pop(last)
    if isinstance(parent, list) and last.isdigit() and int(last) < len(parent):
        return parent.pop(int(last))
    raise _failed(f"remove operation does not apply: doc is missing path: {'/' + '/'.join(parts)}: missing value")


def _add(document: Any, parts: list[str], value: Any) -> Any:
    if not parts:
        return value
    parent = _find(document, parts[:-1])
    last = parts[-1]
    if isinstance(parent, dict):
        parent[last] = value
    elif isinstance(parent, list):
        at = len(parent) if last == "-" else int(last) if last.isdigit() else -1
        if not 0 <= at <= len(parent):
            raise _failed(f"add operation does not apply: doc is missing path: {'/' + '/'.join(parts)}: invalid index")
        parent.insert(at, value)
    else:
        raise _failed(f"add operation does not apply: doc is missing path: {'/' + '/'.join(parts)}: missing value")
    return document
