"""`x-kubernetes-validations`: CEL rules, compiled when the CRD is created, evaluated on every write.

The rules run in the `cel-expr-python` library (Google's C++ evaluator). Kubernetes' own extension functions for
lists, regular expressions and URLs that ordinary rules use are added here; a CRD with a rule that does not compile is
refused at creation. Values are passed as plain data; `format: date-time` and `duration` fields become timestamps and
durations, as upstream.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_math, ext_optional, ext_strings
from google.protobuf import duration_pb2, timestamp_pb2  # type: ignore[import-untyped]

from hack.devcluster.apiserver import fieldsets, schema
from hack.devcluster.apiserver.errors import Cause, show
from hack.devcluster.apiserver.schema import Node

_REASONS = frozenset({"FieldValueInvalid", "FieldValueForbidden", "FieldValueRequired", "FieldValueDuplicate"})
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


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match.group(0) if match else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [match.group(0) for match in re.finditer(pattern, text)]


def _sorted(items: list[Any]) -> bool:
    return all(left <= right for left, right in pairwise(items))


@lru_cache(maxsize=1)
def environment() -> Any:
    """The CEL environment: `self` and `oldSelf` of any type, and the added functions."""
    kind = cel.Type

    def member(name: str, result: Any, parameters: list[Any], work: Any) -> Any:
        overload = cel.Overload(f"haat_{name}_{len(parameters)}", result, parameters, True, work)
        return cel.FunctionDecl(name, [overload])

    functions = [
        member("isSorted", kind.BOOL, [kind.LIST], _sorted),
        member("sum", kind.DYN, [kind.LIST], sum),
        member("min", kind.DYN, [kind.LIST], min),
        member("max", kind.DYN, [kind.LIST], max),
        member("find", kind.STRING, [kind.STRING, kind.STRING], _find),
        member("findAll", kind.LIST, [kind.STRING, kind.STRING], _find_all),
    ]
    lists = cel.CelExtension("haat.lists", functions)
    variables = {"self": kind.DYN, "oldSelf": kind.DYN}
    extensions = [lists, ext_strings.ExtStrings(), ext_math.ExtMath(), ext_optional.ExtOptional()]
    return cel.NewEnv(variables=variables, extensions=extensions)


class RuleError(ValueError):
    """A rule that does not compile; the text is the compiler's."""


def _compile(text: str) -> Any:
    try:
        return environment().compile(text)
    except (RuntimeError, ValueError) as problem:
        raise RuleError(str(problem).splitlines()[0] if str(problem) else "does not compile") from problem


def compile_rules(raw: Mapping[str, Any]) -> tuple[Rule, ...]:
    """The rules of one schema node. Raises RuleError."""
    rules = []
    for item in raw.get("x-kubernetes-validations") or ():
        text = item.get("rule", "").strip()
        transition = re.search(r"\boldSelf\b", text) is not None
        message_expression = item.get("messageExpression")
        rules.append(
            Rule(
                expression=_compile(text),
                text=text,
                message=item.get("message", ""),
                message_expression=_compile(message_expression) if message_expression else None,
                field_path=item.get("fieldPath", ""),
                reason=item.get("reason", "FieldValueInvalid"),
                transition=transition,
                optional_old=bool(item.get("optionalOldSelf")),
            )
        )
    return tuple(rules)


def prepare(node: Node, path: str = "") -> Iterator[tuple[str, str]]:
    """Compile the rules of a tree into `node.extra`; yields (path, problem) for each that fails."""
    if node.raw is None:
        return
    if node.raw.get("x-kubernetes-validations"):
        try:
            node.extra = compile_rules(node.raw)
        except RuleError as problem:
            yield path, str(problem)
    for name, child in node.fields.items():
        yield from prepare(child, f"{path}.properties[{name}]")
    for inner, word in ((node.items, "items"), (node.values, "additionalProperties")):
        if inner is not None and inner is not schema.ANYTHING:
            yield from prepare(inner, f"{path}.{word}")


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


def evaluate(new: Any, old: Any, node: Node, path: str, causes: list[Cause], *, has_old: bool) -> None:
    """Add a cause for every rule that fails at or below `path`. Transition rules need a correlatable old value."""
    if node.raw is None or new is None:
        return
    for rule in node.extra or ():
        if not rule.transition or has_old:
            _run(rule, new, old, node, path, causes)
    if isinstance(new, dict):
        for key, item in new.items():
            child = node.fields.get(key) or (node.values if node.type == schema.MAP else None)
            if child is not None:
                known = has_old and isinstance(old, dict) and key in old
                here = f"{path}.{key}" if path else key
                evaluate(item, old[key] if known else None, child, here, causes, has_old=known)
    elif isinstance(new, list) and node.items is not None:
        before = _by_key(old, node) if has_old and isinstance(old, list) and node.list_type == "map" else {}
        for at, item in enumerate(new):
            known_item = before.get(_key(item, node)) if before else None
            evaluate(item, known_item, node.items, f"{path}[{at}]", causes, has_old=known_item is not None)


def _key(item: Any, node: Node) -> str:
    try:
        return fieldsets.item_element(item, node)
    except (KeyError, AttributeError, TypeError):
        return ""


def _by_key(items: list[Any], node: Node) -> dict[str, Any]:
    return {_key(item, node): item for item in items}


def _run(rule: Rule, new: Any, old: Any, node: Node, path: str, causes: list[Cause]) -> None:
    data = {"self": to_cel(new, node)}
    if rule.transition:
        data["oldSelf"] = to_cel(old, node)
    result = rule.expression.eval(data=data)
    value = result.value()
    if value is True:
        return
    field = path + rule.field_path if rule.field_path else path
    shown = show(new) if not isinstance(new, dict | list) else show("object" if isinstance(new, dict) else "array")
    if value is not False:
        text = f"Invalid value: {shown}: rule evaluation error: {value}: {rule.text}"
        causes.append(Cause(field or "<nil>", text))
        return
    message = rule.message or f"failed rule: {rule.text}"
    if rule.message_expression is not None:
        made = rule.message_expression.eval(data=data).value()
        if isinstance(made, str) and made.strip():
            message = made
    reason = rule.reason if rule.reason in _REASONS else "FieldValueInvalid"
    words = {"FieldValueForbidden": "Forbidden", "FieldValueRequired": "Required value"}
    head = words.get(reason) or (
        f"Duplicate value: {shown}" if reason == "FieldValueDuplicate" else f"Invalid value: {shown}"
    )
    causes.append(Cause(field or "<nil>", f"{head}: {message}", reason))
