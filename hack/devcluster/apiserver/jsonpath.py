"""The JSON paths of printer columns: `.a.b`, `['k']`, `[0]`, `[-1]`, `[*]`, and filters `[?(@.type=="Ready")]`."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

import msgspec

_STEP = re.compile(
    r"""\.(?P<name>(?:[^.\[\]\\]|\\.)+) | \[\s*'(?P<quoted>[^']*)'\s*\] | \[\s*"(?P<double>[^"]*)"\s*\]
      | \[\s*(?P<index>-?\d+)\s*\] | (?P<all>\[\s*\*\s*\]|\.\*)
      | \[\s*\?\(\s*@\.(?P<key>[^=!<>\s]+)\s*(?P<op>==|!=)\s*(?P<value>"[^"]*"|'[^']*'|[^)\s]+)\s*\)\s*\]""",
    re.VERBOSE,
)

Step = tuple[str, Any]


@lru_cache(maxsize=512)
def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path. ValueError when it is not understood."""
    text = path.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1]
    text = text.removeprefix("$")
    if text and text[0] not in ".[":
        text = "." + text
    steps: list[Step] = []
    at = 0
    while at < len(text):
        match = _STEP.match(text, at)
        if match is None:
            raise ValueError(f"JSON path {path!r} is not understood at {text[at:]!r}")
        steps.append(_step(match))
        at = match.end()
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    if match.group("all"):
        return ("all", None)
    if match.group("name"):
        return ("key", re.sub(r"\\(.)", r"\1", match.group("name")))
    if match.group("index"):
        return ("index", int(match.group("index")))
    if match.group("key"):
        return ("filter", (match.group("key").split("."), match.group("op"), match.group("value").strip("\"'")))
    quoted = match.group("quoted")
    return ("key", quoted if quoted is not None else match.group("double"))


def find(value: Any, path: str) -> list[Any]:
    """Every value at the path; a path that is not understood finds nothing."""
    try:
        steps = parse(path)
    except ValueError:
        return []
    found = [value]
    for kind, arg in steps:
        found = [item for current in found for item in _take(current, kind, arg)]
    return found


def _take(value: Any, kind: str, arg: Any) -> list[Any]:
    if kind == "key":
        return [value[arg]] if isinstance(value, dict) and arg in value else []
    if kind == "index":
        return [value[arg]] if isinstance(value, list) and -len(value) <= arg < len(value) else []
    items = value if isinstance(value, list) else list(value.values()) if isinstance(value, dict) else []
    if kind == "all":
        return list(items)
    keys, op, wanted = arg
    return [item for item in items if (_text_at(item, keys) == wanted) == (op == "==")]


def _text_at(value: Any, keys: list[str]) -> str | None:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return None
        value = value[key]
    return show(value)


def show(value: Any) -> str:
    """A value as a cell shows it."""
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode()
