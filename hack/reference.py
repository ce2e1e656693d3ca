"""docs/reference/resources.md out of the same models as the CRDs: every field with its type, default and rules."""

from typing import Any

from operators.api import KINDS
from operators.api.crd import schema

INTRO = """# Custom resources

Group `haat.dev`, version `v1alpha1`. Generated from `operators/api`; `kubectl explain livestream.spec` says the same.
Durations are written like `90s`, `5m` or `1h30m`; money is in minor units with an ISO 4217 code.
"""


def markdown() -> str:
    """The whole page."""
    parts = [INTRO]
    for kind in KINDS:
        document = schema(kind)
        parts.append(f"## {kind.kind_name}\n\n{kind.description}\n\nShort name: `{', '.join(kind.short_names)}`.\n")
        for part in ("spec", "status"):
            rows = list(_rows(document["properties"][part], ""))
            head = f"### {kind.kind_name} {part}\n\n| field | type | default | notes |\n|---|---|---|---|\n"
            parts.append(head + "\n".join(rows) + "\n")
        rules = [rule for _, rule in _rules(document, "")]
        if rules:
            parts.append("Rules: " + "; ".join(rules) + ".\n")
    return "\n".join(parts)


def _rows(node: dict[str, Any], path: str) -> Any:
    required = set(node.get("required", []))
    for name, field in sorted(node.get("properties", {}).items()):
        where = f"{path}{name}"
        items = field.get("items", {})
        kind = f"{items.get('type', 'object')}[]" if field.get("type") == "array" else field.get("type", "")
        default = field.get("default", "")
        shown = "" if default in ("", {}, []) else f"`{str(default).lower() if isinstance(default, bool) else default}`"
        notes = _notes(field, items, name in required)
        yield f"| `{where}` | {kind} | {shown} | {notes} |"
        yield from _rows(field, f"{where}.")
        yield from _rows(items, f"{where}[].")


def _notes(field: dict[str, Any], items: dict[str, Any], required: bool) -> str:
    notes = ["required"] if required else []
    allowed = field.get("enum") or items.get("enum")
    if allowed:
        notes.append("one of " + ", ".join(f"`{value}`" for value in allowed))
    low, high = field.get("minimum"), field.get("maximum")
    if low is not None or high is not None:
        notes.append(f"{'' if low is None else low} to {'' if high is None else high}".strip())
    if field.get("description"):
        notes.append(str(field["description"]).rstrip("."))
    return "; ".join(notes).replace("|", "\\|")


def _rules(node: dict[str, Any], path: str) -> Any:
    for rule in node.get("x-kubernetes-validations", []):
        yield path, rule["message"]
    for name, field in node.get("properties", {}).items():
        yield from _rules(field, f"{path}{name}.")
    if "items" in node:
        yield from _rules(node["items"], path)
