"""The options of requests in the query: read once, checked as upstream checks them, refused with its words.

Go decodes numbers before it validates, so a bad number is 400 and a bad word 422.
"""

from __future__ import annotations

from collections.abc import Mapping

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.errors import ApiError, Cause

META = "meta.k8s.io"
Query = Mapping[str, str]


def truth(text: str) -> bool:
    """A boolean of the query."""
    return text in ("1", "t", "T", "true", "TRUE", "True")


def number(query: Query, name: str) -> int:
    """A whole number of the query, 0 when absent or negative. Raises 400."""
    text = query.get(name, "")
    if not text:
        return 0
    try:
        return max(int(text), 0)
    except ValueError as problem:
        raise err.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax') from problem


def version(query: Query, *, watch: bool = False) -> int:
    """The resourceVersion asked for, 0 when absent. Raises 400."""
    text = query.get("resourceVersion", "")
    if not text:
        return 0
    if not text.isdigit():
        why = f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        raise err.bad_request(why if watch else f"invalid resource version: {why}")
    return int(text)


def check_write(query: Query, kind: str) -> None:
    """`dryRun` and `fieldValidation` of CreateOptions, UpdateOptions and PatchOptions. Raises 422."""
    causes: list[Cause] = []
    dry = query.get("dryRun", "")
    if dry not in ("", "All"):
        causes.append(err.unsupported_value("dryRun", [dry], ["All"]))
    if len(query.get("fieldManager", "")) > 128:
        causes.append(Cause("fieldManager", "Too long: may not be more than 128 bytes", "FieldValueTooLong"))
    validation = query.get("fieldValidation", "")
    if validation not in ("", "Ignore", "Strict", "Warn"):
        known = ["", "Ignore", "Strict", "Warn"]
        causes.append(err.unsupported_value("fieldValidation", validation, known))
    if causes:
        raise err.invalid(kind, META, "", causes)


def check_list(query: Query) -> None:
    """`resourceVersionMatch` and `sendInitialEvents` of a list. Raises 422."""
    match, causes = query.get("resourceVersionMatch", ""), list[Cause]()
    if match:
        if not query.get("resourceVersion"):
            causes.append(
                _never("resourceVersionMatch", "resourceVersionMatch is forbidden unless resourceVersion is provided")
            )
        if query.get("continue"):
            causes.append(_never("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
        if match not in ("Exact", "NotOlderThan"):
            causes.append(err.unsupported_value("resourceVersionMatch", match, ["Exact", "NotOlderThan", ""]))
        if match == "Exact" and query.get("resourceVersion") == "0":
            why = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
            causes.append(_never("resourceVersionMatch", why))
    if query.get("sendInitialEvents"):
        causes.append(_never("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    if causes:
        raise err.invalid("ListOptions", META, "", causes)


def check_watch(query: Query) -> bool:
    """The same of a watch; whether the present objects are to be sent first. Raises 422."""
    match, asked, causes = query.get("resourceVersionMatch", ""), query.get("sendInitialEvents", ""), list[Cause]()
    if asked and match != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        causes.append(_never("resourceVersionMatch", why))
    if match and not asked:
        why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        causes.append(_never("resourceVersionMatch", why))
    if match and match != "NotOlderThan":
        causes.append(err.unsupported_value("resourceVersionMatch", match, ["NotOlderThan"]))
    if match and query.get("continue"):
        causes.append(_never("resourceVersionMatch", "resourceVersionMatch is forbidden when continue is provided"))
    if causes:
        raise err.invalid("ListOptions", META, "", causes)
    return truth(asked)


def _never(field: str, why: str) -> Cause:
    return Cause(field, f"Forbidden: {why}", "FieldValueForbidden")


def too_large(wanted: int, current: int) -> ApiError:
    """504 for a version of the future."""
    cause = {"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}
    text = f"Timeout: Too large resource version: {wanted}, current: {current}"
    return ApiError(504, "Timeout", text, details={"causes": [cause]}, retry_after=1)
