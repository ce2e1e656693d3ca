"""`x-kubernetes-validations`: CEL rules, compiled when the CRD is created, evaluated on every write.

The rules run in the `cel-expr-python` library (Google's C++ evaluator) with the functions of `cellib`; a CRD with a
rule that does not compile is refused at creation. Values are passed as plain data; `format: date-time` and `duration`
fields become timestamps and durations, as upstream. Runaway rules end by the evaluator's bound on loop steps of one
rule and by `BUDGET_SECONDS` for an object; the estimate of costs that upstream makes when a CRD is created is not made.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from google.protobuf import duration_pb2, timestamp_pb2  # type: ignore[import-untyped]

from hack.devcluster.apiserver import cellib, fieldsets, schema
from hack.devcluster.apiserver.celerrors import EvalError, OverBudget
from hack.devcluster.apiserver.errors import Cause, show
from hack.devcluster.apiserver.schema import Node

BUDGET_SECONDS = 1.0  # for all rules on one object; upstream's budget of the same purpose counts steps, not time
_UNIT = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_WORDS = frozenset(
    {
        *[
            "true",
            "false",
            "null",
            "in",
            "as",
            "break",
            "const",
            "continue",
            "else",
            "for",
            "function",
            "if",
            "import",
            "let",
            "loop",
            "package",
            "namespace",
            "return",
        ],
        *["var", "void", "while"],
    }
)


@dataclass(frozen=True, slots=True)
class Rule:
    """One compiled rule."""

    expression: Any
    text: str
    message: str
    message_expression: Any
    field_path: str
    reason: str
    transition: bool
    optional_old: bool


@lru_cache(maxsize=1)
def environment() -> Any:
    """The CEL environment of rules."""
    return cellib.environment("self", "oldSelf")


def compile_rule(text: str) -> Any:
    """The compiled text of a rule. Raises RuleError."""
    return cellib.compile_text(environment(), text)


def compile_rules(raw: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of one schema node. Raises RuleError."""
    rules = []
    for item in raw.get("x-kubernetes-validations") or ():
        text = item.get("rule", "").strip()
        optional = bool(item.get("optionalOldSelf"))
        message_expression = item.get("messageExpression")
        rules.append(
            Rule(
                expression=compile_rule(as_optional(text) if optional else text),
                text=text,
                message=item.get("message", "").strip(),
                message_expression=compile_rule(message_expression) if message_expression else None,
                field_path=item.get("fieldPath", ""),
                reason=item.get("reason", "FieldValueInvalid"),
                transition=OLD_SELF.search(text) is not None,
                optional_old=optional,
            )
        )
    return tuple(rules)


OLD_SELF = re.compile(r"\boldSelf\b")


def as_optional(text: str) -> str:
    """`oldSelf` is data of a map with one optional key, because the evaluator takes no optional from outside."""
    return OLD_SELF.sub("oldSelf.?value", text)


def has_rules(node: Node) -> bool:
    """Whether any rule stands in the tree."""
    if node.raw is None:
        return False
    children = [*node.fields.values(), node.items, node.values]
    return bool(node.extra) or any(has_rules(child) for child in children if child is not None)


def to_cel(value: Any, node: Node) -> Any:
    """Plain data with the CEL types of formats, field names escaped as Kubernetes escapes them."""
    if isinstance(value, str) and node.raw is not None:
        return _formatted(value, str(node.raw.get("format", "")))
    if isinstance(value, dict):
        if node.type == schema.OBJECT:
            return {escape(key): to_cel(item, node.child(key)) for key, item in value.items() if item is not None}
        return {key: to_cel(item, node.child(key)) for key, item in value.items()}
    if isinstance(value, list) and node.items is not None:
        return [to_cel(item, node.items) for item in value]
    return value


def escape(name: str) -> str:
    """A property name as CEL identifier (`__dot__`, `__dash__`, reserved words)."""
    if name in _WORDS:
        return f"__{name}__"
    return (
        name.replace("__", "__underscores__").replace(".", "__dot__").replace("-", "__dash__").replace("/", "__slash__")
    )


def _formatted(value: str, form: str) -> Any:
    try:
        if form == "date-time":
            moment = timestamp_pb2.Timestamp()
            moment.FromDatetime(datetime.fromisoformat(value))
            return moment
        if form == "duration":
            length = duration_pb2.Duration()
            length.FromTimedelta(parse_duration(value))
            return length
    except ValueError:
        return value
    return value


def parse_duration(text: str) -> timedelta:
    """Go's duration syntax. ValueError otherwise."""
    match = re.fullmatch(r"([+-]?)((?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h))+|0", text)
    if match is None:
        raise ValueError(text)
    parts = re.findall(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)", text)
    seconds = sum(float(number) * _UNIT[unit] for number, unit in parts)
    return timedelta(seconds=-seconds if text.startswith("-") else seconds)


@dataclass(slots=True)
class Run:
    """One validation of one object: what failed, what only warns, and the time that is left."""

    causes: list[Cause] = field(default_factory=list)
    ratcheted: list[Cause] = field(default_factory=list)
    deadline: float = 0.0
    over: bool = False


def validate(new: Any, old: Any, node: Node, *, has_old: bool) -> Run:
    """Run every rule of the tree on an object. A rule that fails on a part that did not change is `ratcheted`."""
    run = Run(deadline=time.monotonic() + BUDGET_SECONDS)
    _walk(run, new, old, node, "", has_old=has_old)
    return run


def _walk(run: Run, new: Any, old: Any, node: Node, path: str, *, has_old: bool) -> None:
    if node.raw is None or new is None or run.over:
        return
    for rule in node.extra or ():
        if (not rule.transition or has_old or rule.optional_old) and not run.over:
            _check(run, rule, new, old, node, path, has_old=has_old)
    if isinstance(new, dict):
        for key, item in new.items():
            child = node.fields.get(key) or (node.values if node.type == schema.MAP else None)
            if child is not None:
                known = has_old and isinstance(old, dict) and key in old
                here = f"{path}.{key}" if node.type != schema.MAP else f"{path}[{key}]"
                _walk(run, item, old[key] if known else None, child, here.lstrip("."), has_old=known)
    elif isinstance(new, list) and node.items is not None:
        before = _by_key(old, node) if has_old and isinstance(old, list) and node.list_type == "map" else {}
        for at, item in enumerate(new):
            known_item = before.get(_key(item, node)) if before else None
            _walk(run, item, known_item, node.items, f"{path}[{at}]", has_old=known_item is not None)


def _key(item: Any, node: Node) -> str:
    try:
        return fieldsets.item_element(item, node)
    except (KeyError, AttributeError, TypeError):
        return ""


def _by_key(items: list[Any], node: Node) -> dict[str, Any]:
    return {_key(item, node): item for item in items}


def _check(run: Run, rule: Rule, new: Any, old: Any, node: Node, path: str, *, has_old: bool) -> None:
    data = {"self": to_cel(new, node)}
    before = to_cel(old, node) if has_old else None
    if rule.optional_old:
        data["oldSelf"] = {"value": before} if has_old else {}
    elif rule.transition:
        data["oldSelf"] = before
    shown = show(new) if not isinstance(new, dict | list) else show("object" if isinstance(new, dict) else "array")
    where = path or "<nil>"
    try:
        passed = cellib.evaluate(rule.expression, data)
    except OverBudget as problem:
        why = (
            f"'{problem}': no further validation rules will be run due to call cost exceeds limit for rule: {rule.text}"
        )
        run.causes.append(Cause(where, f"Invalid value: {shown}: {why}"))
        run.over = True
        return
    except EvalError as problem:
        run.causes.append(Cause(where, f"Invalid value: {shown}: {problem} evaluating rule: {rule.text}"))
        return
    if passed is not True:
        if rule.optional_old:
            data["oldSelf"] = before
        cause = _cause(rule, new, path, shown, _message(rule, data))
        unchanged = has_old and not rule.transition and new == old
        (run.ratcheted if unchanged else run.causes).append(cause)
    if time.monotonic() > run.deadline:
        why = "validation failed due to running out of cost budget, no further validation rules will be run"
        run.causes.append(Cause(where, f"Invalid value: {shown}: {why}"))
        run.over = True


def _message(rule: Rule, data: dict[str, Any]) -> str:
    if rule.message_expression is not None:
        try:
            made = cellib.evaluate(rule.message_expression, data)
        except EvalError:
            made = None
        if isinstance(made, str) and made.strip() and "\n" not in made:
            return made.strip()
    return rule.message or f"failed rule: {rule.text}"


def _cause(rule: Rule, new: Any, path: str, shown: str, message: str) -> Cause:
    where = (path + rule.field_path).lstrip(".") or "<nil>"
    plain = isinstance(new, dict | list)
    match rule.reason:
        case "FieldValueForbidden":
            return Cause(where, f"Forbidden: {message}", rule.reason)
        case "FieldValueRequired":
            return Cause(where, f"Required value: {message}", rule.reason)
        case "FieldValueDuplicate":
            return Cause(where, f"Duplicate value{'' if plain else ': ' + shown}", rule.reason)
    return Cause(where, f"Invalid value{'' if plain else ': ' + shown}: {message}")
