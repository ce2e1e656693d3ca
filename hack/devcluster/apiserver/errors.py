"""The API's errors, each one a `Status` object with the code, reason and message that Kubernetes clients expect.

Clients branch on `reason` and on `details.causes`, so the words here are those of upstream; everything raised inside
the server is an `ApiError`, mapped to HTTP in one place (`http`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec


@dataclass(frozen=True, slots=True)
class Cause:
    """One invalid field: `field` is a path such as `spec.items[0].price`, `message` starts with the kind of error."""

    field: str
    message: str
    reason: str = "FieldValueInvalid"

    def as_dict(self) -> dict[str, str]:
        """The cause as it stands in `details.causes`."""
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """An answer other than success; `status()` is its body, `token` the `continue` of a list that expired."""

    def __init__(
        self, code: int, reason: str, message: str, *, details: dict[str, Any] | None = None, retry_after: int = 0
    ) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.retry_after = retry_after
        self.token = ""

    def status(self) -> dict[str, Any]:
        """The `Status` object (metav1)."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {"continue": self.token} if self.token else {},
            "status": "Failure",
            "message": self.message,
        }
        if self.reason:
            body["reason"] = self.reason
        if self.details is not None:
            body["details"] = self.details
        if self.retry_after:
            body.setdefault("details", {})["retryAfterSeconds"] = self.retry_after
        body["code"] = self.code
        return body


def qualified(resource: str, group: str) -> str:
    """`deployments.apps`, or `pods` for the core group."""
    return f"{resource}.{group}" if group else resource


def _details(name: str, group: str, kind: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if group:
        details["group"] = group
    details["kind"] = kind
    return details


def not_found(resource: str, group: str, name: str) -> ApiError:
    """404 of one object."""
    return ApiError(
        404, "NotFound", f'{qualified(resource, group)} "{name}" not found', details=_details(name, group, resource)
    )


def no_route() -> ApiError:
    """404 of a path that is served by nobody."""
    return ApiError(404, "NotFound", "the server could not find the requested resource", details={})


def already_exists(resource: str, group: str, name: str) -> ApiError:
    """409 of a create."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, details=_details(name, group, resource))


def conflict(resource: str, group: str, name: str, why: str = "") -> ApiError:
    """409 of optimistic locking or a precondition."""
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return ApiError(409, "Conflict", message, details=_details(name, group, resource))


def invalid(kind: str, group: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """422 with one cause per field."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    details = _details(name, group, kind)
    details["causes"] = [cause.as_dict() for cause in causes]
    return ApiError(422, "Invalid", f'{qualified(kind, group)} "{name}" is invalid: {text}', details=details)


def bad_request(message: str) -> ApiError:
    """400."""
    return ApiError(400, "BadRequest", message)


def forbidden(resource: str, group: str, name: str, why: str) -> ApiError:
    """403; `why` follows the colon."""
    target = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    return ApiError(403, "Forbidden", f"{target} is forbidden: {why}", details=_details(name, group, resource))


def unauthorized() -> ApiError:
    """401."""
    return ApiError(401, "Unauthorized", "Unauthorized")


def expired(message: str) -> ApiError:
    """410 of a watch or a continue token that is too old."""
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    """405."""
    return ApiError(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource", details={}
    )


def unsupported_media(accepted: str = "") -> ApiError:
    """415 of a body whose content type the verb does not take."""
    if not accepted:
        return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", details={})
    message = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", message)


def not_implemented(what: str) -> ApiError:
    """501: honest refusal of a feature that devcluster does not have."""
    return ApiError(501, "NotImplemented", f"devcluster does not implement {what}")


def too_many_requests(message: str, *, causes: Sequence[Cause] = (), retry_after: int = 0) -> ApiError:
    """429, as an eviction that would break a budget."""
    details: dict[str, Any] = {"causes": [cause.as_dict() for cause in causes]} if causes else {}
    return ApiError(429, "TooManyRequests", message, details=details, retry_after=retry_after)


def required(field: str, why: str = "") -> Cause:
    """A missing value."""
    return Cause(field, "Required value" + (f": {why}" if why else ""), "FieldValueRequired")


def invalid_value(field: str, value: Any, why: str) -> Cause:
    """A value of the wrong form."""
    return Cause(field, f"Invalid value: {show(value)}: {why}")


def unsupported_value(field: str, value: Any, supported: Sequence[Any]) -> Cause:
    """A value outside a closed set."""
    return Cause(
        field,
        f"Unsupported value: {show(value)}: supported values: " + ", ".join(show(item) for item in supported),
        "FieldValueNotSupported",
    )


def duplicate(field: str, value: Any) -> Cause:
    """A second entry with the same key."""
    return Cause(field, f"Duplicate value: {show(value)}", "FieldValueDuplicate")


def immutable(field: str, value: Any) -> Cause:
    """A change of a field that may not change."""
    return Cause(field, f"Invalid value: {show(value)}: field is immutable")


def show(value: Any) -> str:
    """A value inside an error message: strings quoted, objects as compact JSON."""
    if isinstance(value, dict) and not value:
        return "{}"
    return msgspec.json.encode(value).decode()
