"""Rules when their CRD is created: compiled into the type tree, or refused with the field at fault."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from hack.devcluster.apiserver import celrules, schema
from hack.devcluster.apiserver.celerrors import RuleError
from hack.devcluster.apiserver.schema import Node


def prepare(node: Node, path: str = "", *, correlatable: bool = True) -> Iterator[tuple[str, Any, str]]:
    """Compile the rules of a tree into `node.extra`; yields (path, bad value, problem) for each that is refused."""
    if node.raw is None:
        return
    for at, item in enumerate(node.raw.get("x-kubernetes-validations") or ()):
        yield from _faults(item, f"{path}.x-kubernetes-validations[{at}]", node, correlatable=correlatable)
    try:
        node.extra = celrules.compile_rules(node.raw)
    except RuleError:
        node.extra = ()
    for name, child in node.fields.items():
        yield from prepare(child, f"{path}.properties[{name}]", correlatable=correlatable)
    if node.items is not None and node.items is not schema.ANYTHING:
        yield from prepare(node.items, f"{path}.items", correlatable=correlatable and node.list_type == "map")
    if node.values is not None and node.values is not schema.ANYTHING:
        yield from prepare(node.values, f"{path}.additionalProperties", correlatable=correlatable)


def _faults(item: Mapping[str, Any], path: str, node: Node, *, correlatable: bool) -> Iterator[tuple[str, Any, str]]:
    text = str(item.get("rule", "")).strip()
    if not text:
        yield f"{path}.rule", None, "rule is not specified"
        return
    optional = bool(item.get("optionalOldSelf"))
    for name, result in (("rule", "bool"), ("messageExpression", "string")):
        if not item.get(name):
            continue
        try:
            compiled = celrules.compile_rule(
                celrules.as_optional(item[name]) if optional and name == "rule" else item[name]
            )
        except RuleError as problem:
            yield f"{path}.{name}", _shown(item), f"compilation failed: {problem}"
            continue
        if unknown := undefined_field(item[name], node):
            yield f"{path}.{name}", _shown(item), f"compilation failed: {unknown}"
            continue
        if compiled.return_type().name().lower() not in (result, "dyn"):
            what = "cel expression must evaluate to a bool" if name == "rule" else f"{name} must evaluate to a string"
            yield f"{path}.{name}", _shown(item), what
    message = item.get("message", "")
    if "\n" in message:
        yield f"{path}.message", message, "must not contain line breaks"
    transition = celrules.OLD_SELF.search(text) is not None
    if transition and not correlatable:
        yield f"{path}.rule", text, "oldSelf cannot be used on the uncorrelatable portion of the schema"
    if "optionalOldSelf" in item and not transition:
        yield f"{path}.optionalOldSelf", item["optionalOldSelf"], "may not be set if oldSelf is not used in rule"


_LITERAL = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*\"""")
_CHAIN = re.compile(r"(?<![\w.])(?:self|oldSelf)((?:\.[A-Za-z_]\w*(?!\w*\())+)")


def undefined_field(text: str, node: Node) -> str:
    """The compiler's words for a field that the schema does not have, or an empty string.

    The evaluator sees plain data, so this looks at chains such as `self.spec.size` itself; fields of loop variables and
    behind an index are found only when the rule runs.
    """
    plain = _LITERAL.sub(lambda match: " " * len(match.group(0)), text)
    for match in _CHAIN.finditer(plain):
        at, here = match.start(1), node
        for name in match.group(1).split(".")[1:]:
            known = {celrules.escape(key) for key in here.fields}
            if here.type != schema.OBJECT or here.preserve or (here.raw or {}).get("x-kubernetes-embedded-resource"):
                break
            if name not in known:
                shown = text.splitlines()[0] if "\n" not in text else text
                return f"ERROR: <input>:1:{at + 1}: undefined field '{name}'\n | {shown}\n | {'.' * at}^"
            here = next(child for key, child in here.fields.items() if celrules.escape(key) == name)
            at += len(name) + 1
    return ""


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    names = ("rule", "message", "messageExpression", "reason", "fieldPath", "optionalOldSelf")
    empty = {"reason": None, "optionalOldSelf": None}
    return {name[0].upper() + name[1:]: item.get(name, empty.get(name, "")) for name in names}
