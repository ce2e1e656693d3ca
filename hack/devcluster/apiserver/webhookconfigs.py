"""Webhook configurations and admission policies as objects: their default values and the rules of their fields."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from hack.devcluster.apiserver import admissioncel
from hack.devcluster.apiserver import errors as err
from hack.devcluster.apiserver.errors import Cause

Obj = dict[str, Any]
_OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


def default_webhooks(obj: Obj, *, mutating: bool) -> None:
    """Defaults of every webhook, in place."""
    for hook in obj.get("webhooks") or ():
        if isinstance(hook, dict):
            filled: Obj = {
                "failurePolicy": "Fail",
                "matchPolicy": "Equivalent",
                "namespaceSelector": {},
                "objectSelector": {},
                "timeoutSeconds": 10,
            }
            if mutating:
                filled["reinvocationPolicy"] = "Never"
            for key, value in filled.items():
                if hook.get(key) is None:
                    hook[key] = value
            _default_rules(hook.get("rules"))
            service = (hook.get("clientConfig") or {}).get("service")
            if isinstance(service, dict):
                service.setdefault("port", 443)


def _default_rules(rules: Any) -> None:
    for rule in rules or ():
        if rule.get("scope") is None:
            rule["scope"] = "*"


def default_policy(obj: Obj) -> None:
    """Defaults of a ValidatingAdmissionPolicy, in place."""
    spec = obj.get("spec")
    if isinstance(spec, dict):
        spec.setdefault("failurePolicy", "Fail")
        _default_match(spec.get("matchConstraints"))


def default_policy_binding(obj: Obj) -> None:
    """Defaults of a ValidatingAdmissionPolicyBinding, in place."""
    spec = obj.get("spec")
    if isinstance(spec, dict):
        _default_match(spec.get("matchResources"))


def _default_match(match: Any) -> None:
    if isinstance(match, dict):
        match.setdefault("matchPolicy", "Equivalent")
        match.setdefault("namespaceSelector", {})
        match.setdefault("objectSelector", {})
        for name in ("resourceRules", "excludeResourceRules"):
            _default_rules(match.get(name))


def check_webhooks(obj: Obj, _old: Obj | None) -> list[Cause]:
    """Causes against a webhook configuration."""
    causes: list[Cause] = []
    seen: set[str] = set()
    for at, hook in enumerate(obj.get("webhooks") or ()):
        path, name = f"webhooks[{at}]", str(hook.get("name", ""))
        if name in seen:
            causes.append(err.duplicate(f"{path}.name", name))
        seen.add(name)
        parts = name.split(".")
        if not name:
            causes.append(err.required(f"{path}.name"))
        elif len(parts) < 3 or any(_LABEL.fullmatch(part) is None for part in parts):
            causes.append(
                err.invalid_value(
                    f"{path}.name", name, "should be a domain with at least three segments separated by dots"
                )
            )
        causes += _client(hook.get("clientConfig") or {}, f"{path}.clientConfig")
        causes += _rules(hook.get("rules"), f"{path}.rules")
        causes += _choices(hook, path)
        for index, condition in enumerate(hook.get("matchConditions") or ()):
            admissioncel.check(condition.get("expression"), f"{path}.matchConditions[{index}].expression", causes)
    return causes


def _choices(hook: Obj, path: str) -> list[Cause]:
    causes: list[Cause] = []
    sides = hook.get("sideEffects")
    if sides is None:
        causes.append(err.required(f"{path}.sideEffects", "must specify one of None, NoneOnDryRun"))
    elif sides not in ("None", "NoneOnDryRun"):
        causes.append(err.unsupported_value(f"{path}.sideEffects", sides, ["None", "NoneOnDryRun"]))
    if hook.get("failurePolicy") not in ("Fail", "Ignore"):
        causes.append(err.unsupported_value(f"{path}.failurePolicy", hook.get("failurePolicy"), ["Fail", "Ignore"]))
    if hook.get("matchPolicy") not in ("Equivalent", "Exact"):
        causes.append(err.unsupported_value(f"{path}.matchPolicy", hook.get("matchPolicy"), ["Equivalent", "Exact"]))
    seconds = hook.get("timeoutSeconds", 10)
    if not 1 <= seconds <= 30:
        why = "the timeout value must be between 1 and 30 seconds"
        causes.append(err.invalid_value(f"{path}.timeoutSeconds", seconds, why))
    versions = hook.get("admissionReviewVersions") or []
    if not versions:
        causes.append(err.required(f"{path}.admissionReviewVersions", "must specify one of v1, v1beta1"))
    elif "v1" not in versions and "v1beta1" not in versions:
        why = "must include at least one of v1, v1beta1"
        causes.append(err.invalid_value(f"{path}.admissionReviewVersions", versions, why))
    elif "v1" not in versions:
        raise err.not_implemented("AdmissionReview v1beta1; the webhook must accept v1")
    return causes


def _client(config: Obj, path: str) -> list[Cause]:
    url, service = config.get("url"), config.get("service")
    if (url is None and service is None) or (url is not None and service is not None):
        return [err.required(path, "exactly one of url or service is required")]
    if url is not None:
        parts = urlsplit(url)
        form = "; desired format: https://host[/path]"
        if parts.scheme != "https":
            return [err.invalid_value(f"{path}.url", parts.scheme, f"'https' is the only allowed URL scheme{form}")]
        if not parts.hostname:
            return [err.invalid_value(f"{path}.url", url, f"host must be specified{form}")]
        return []
    return [err.required(f"{path}.service.{name}") for name in ("name", "namespace") if not (service or {}).get(name)]


def _rules(rules: Any, path: str) -> list[Cause]:
    causes: list[Cause] = []
    for at, rule in enumerate(rules or ()):
        where = f"{path}[{at}]"
        for name in ("operations", "apiGroups", "apiVersions", "resources"):
            if not rule.get(name):
                causes.append(err.required(f"{where}.{name}"))
        for index, name in enumerate(rule.get("operations") or ()):
            if name not in _OPERATIONS:
                causes.append(err.unsupported_value(f"{where}.operations[{index}]", name, _OPERATIONS))
        if rule.get("scope") not in ("*", "Cluster", "Namespaced"):
            causes.append(err.unsupported_value(f"{where}.scope", rule.get("scope"), ["*", "Cluster", "Namespaced"]))
    return causes


def check_policy(obj: Obj, _old: Obj | None) -> list[Cause]:
    """Causes against a ValidatingAdmissionPolicy."""
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if not spec.get("validations") and not spec.get("auditAnnotations"):
        text = "validations or auditAnnotations must contain at least one item"
        causes += [err.required(f"spec.{name}", text) for name in ("validations", "auditAnnotations")]
    if spec.get("failurePolicy") not in ("Fail", "Ignore"):
        causes.append(err.unsupported_value("spec.failurePolicy", spec.get("failurePolicy"), ["Fail", "Ignore"]))
    match = spec.get("matchConstraints")
    if match is None:
        causes.append(err.required("spec.matchConstraints"))
    elif not match.get("resourceRules"):
        causes.append(err.required("spec.matchConstraints.resourceRules"))
    else:
        causes += _rules(match["resourceRules"], "spec.matchConstraints.resourceRules")
    for field, key in (("matchConditions", "expression"), ("variables", "expression"), ("validations", "expression")):
        for at, item in enumerate(spec.get(field) or ()):
            result = "" if field == "variables" else "bool"
            admissioncel.check(item.get(key), f"spec.{field}[{at}].{key}", causes, result=result)
    for at, item in enumerate(spec.get("validations") or ()):
        if item.get("messageExpression"):
            where = f"spec.validations[{at}].messageExpression"
            admissioncel.check(item["messageExpression"], where, causes, result="string")
        reason = item.get("reason")
        if reason not in (None, "Unauthorized", "Forbidden", "Invalid", "RequestEntityTooLarge"):
            known = ["Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized"]
            causes.append(err.unsupported_value(f"spec.validations[{at}].reason", reason, known))
    return causes


def check_policy_binding(obj: Obj, _old: Obj | None) -> list[Cause]:
    """Causes against a ValidatingAdmissionPolicyBinding."""
    spec = obj.get("spec") or {}
    causes: list[Cause] = []
    if not spec.get("policyName"):
        causes.append(err.required("spec.policyName"))
    actions = spec.get("validationActions") or []
    if not actions:
        causes.append(err.required("spec.validationActions", "at least one validation action is required"))
    for at, action in enumerate(actions):
        if action not in ("Audit", "Deny", "Warn"):
            causes.append(err.unsupported_value(f"spec.validationActions[{at}]", action, ["Audit", "Deny", "Warn"]))
        if action in actions[:at]:
            causes.append(err.duplicate(f"spec.validationActions[{at}]", action))
    if {"Deny", "Warn"} <= set(actions):
        why = "must not contain both Deny and Warn (repeating the same validation failure information in the API "
        why += "response and headers serves no purpose)"
        causes.append(err.invalid_value("spec.validationActions", actions, why))
    ref = spec.get("paramRef")
    if ref is not None and bool(ref.get("name")) == (ref.get("selector") is not None):
        causes.append(err.required("spec.paramRef.name", "one of name or selector must be specified"))
    return causes
