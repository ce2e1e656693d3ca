"""CEL of admission: the variables of matchConditions and of ValidatingAdmissionPolicies, compiled and evaluated.

`object`, `oldObject`, `request`, `params`, `namespaceObject` and `variables` are plain data. `authorizer` is not
served: an expression that names it is refused with 501 when the configuration is created. The evaluator is loaded at
the first expression.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.attributes import Attributes
from hack.devcluster.apiserver.celerrors import RuleError
from hack.devcluster.apiserver.kinds import Resource

Obj = dict[str, Any]
_VARIABLE = re.compile(r"\bvariables\.([A-Za-z_]\w*)")


@lru_cache(maxsize=1)
def environment() -> Any:
    """The environment of admission expressions."""
    from hack.devcluster.apiserver import cellib

    return cellib.environment("object", "oldObject", "request", "params", "namespaceObject", "variables")


@lru_cache(maxsize=1024)
def compiled(text: str) -> Any:
    """The compiled expression; compiled once per text. Raises RuleError."""
    from hack.devcluster.apiserver import cellib

    return cellib.compile_text(environment(), text)


def check(text: Any, path: str, causes: list[err.Cause], *, result: str = "bool") -> None:
    """Add a cause when an expression is missing or does not compile. Raises 501 for `authorizer`."""
    if not str(text or "").strip():
        causes.append(err.required(path))
        return
    if re.search(r"\bauthorizer\b", str(text)):
        raise err.not_implemented(f"the CEL variable authorizer ({path})")
    try:
        kind = compiled(str(text).strip()).return_type().name().lower()
        if result and kind not in (result, "dyn"):
            causes.append(err.invalid_value(path, text, f"must evaluate to {result} but got {kind}"))
    except RuleError as problem:
        causes.append(err.invalid_value(path, text, f"compilation failed: {problem}"))


def data_of(request: Attributes, seen: Resource, *, namespace: Obj | None = None, params: Obj | None = None) -> Obj:
    """What the expressions of one request see."""
    group, version, kind = request.kind
    asked = dict(zip(("group", "version", "resource"), request.resource_names, strict=True))
    about = {
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": seen.group, "version": seen.version, "resource": seen.plural},
        "subResource": request.subresource,
        "requestKind": {"group": group, "version": version, "kind": kind},
        "requestResource": asked,
        "requestSubResource": request.subresource,
        "name": request.name,
        "namespace": request.namespace,
        "operation": request.operation,
        "userInfo": {"extra": {}, "uid": "", **request.call.user.as_info()},
        "dryRun": request.dry_run,
        "options": {},
    }
    space = None
    if namespace is not None:
        space = {"kind": "Namespace", "apiVersion": "v1", **namespace}
    return {
        "object": request.obj,
        "oldObject": request.old,
        "request": about,
        "params": params,
        "namespaceObject": space,
        "variables": {},
    }


def used_variables(text: str) -> set[str]:
    """Names of the composed variables that an expression reads."""
    return set(_VARIABLE.findall(text))


def run(text: str, data: Obj) -> Any:
    """The value of an expression. Raises EvalError."""
    from hack.devcluster.apiserver import cellib

    return cellib.evaluate(compiled(text.strip()), data)
