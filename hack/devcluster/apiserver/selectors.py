"""Label and field selectors as they stand in a query string.

The grammar is that of `k8s.io/apimachinery/pkg/labels`: `a=b,c!=d,e in (x,y),f notin (z),g,!h,i>3`. A wrong selector
is a 400, never an empty list.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from hack.devcluster.apiserver.errors import ApiError, bad_request

Matcher = Callable[[Mapping[str, str]], bool]

_TOKEN = re.compile(r"\s*(?P<op>==|=|!=|>|<|!|\(|\)|,)|\s*(?P<word>[^\s=!<>(),]+)")
_KEY = re.compile(r"^([a-z0-9A-Z]([-a-z0-9A-Z.]*[a-z0-9A-Z])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$")


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    text = text.strip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise bad_request(f"unable to parse requirement: found '{text[at:]}', expected: identifier")
        found.append(match.group("op") or match.group("word"))
        at = match.end()
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def next(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def key(self) -> str:
        key = self.next()
        if not _KEY.match(key):
            raise bad_request(f"unable to parse requirement: invalid label key {key!r}")
        return key

    def values(self) -> frozenset[str]:
        if self.next() != "(":
            raise bad_request("unable to parse requirement: found '', expected: '('")
        found: set[str] = set()
        while self.peek() != ")":
            if not self.peek():
                raise bad_request("unable to parse requirement: found '', expected: ',', ')' or identifier")
            word = self.next()
            if word != ",":
                found.add(word)
        self.next()
        return frozenset(found)

    def requirement(self) -> Matcher:
        if self.peek() == "!":
            self.next()
            key = self.key()
            return lambda labels: key not in labels
        key = self.key()
        op = self.peek()
        if op in ("", ","):
            return lambda labels: key in labels
        self.next()
        if op in ("in", "notin"):
            wanted = self.values()
            return (lambda labels: labels.get(key) in wanted) if op == "in" else _not_in(key, wanted)
        value = "" if self.peek() in ("", ",") else self.next()
        return _compare(key, op, value)


def _not_in(key: str, wanted: frozenset[str]) -> Matcher:
    return lambda labels: labels.get(key) not in wanted


def _compare(key: str, op: str, value: str) -> Matcher:
    if op in ("=", "=="):
        return lambda labels: labels.get(key) == value
    if op == "!=":
        return lambda labels: labels.get(key) != value
    if op in (">", "<"):
        if not re.fullmatch(r"-?\d+", value):
            raise bad_request(
                f"unable to parse requirement: values[0][{key}]: Invalid value: {value!r}: must be an integer"
            )
        bound = int(value)
        sign = 1 if op == ">" else -1

        def numeric(labels: Mapping[str, str]) -> bool:
            text = labels.get(key, "")
            return bool(re.fullmatch(r"-?\d+", text)) and sign * (int(text) - bound) > 0

        return numeric
    raise bad_request(f"unable to parse requirement: found '{op}', expected: in, notin, =, ==, !=, gt, lt")


def parse_labels(text: str) -> Matcher | None:
    """The matcher of a `labelSelector`, or None when it selects everything."""
    if not text.strip():
        return None
    parser = _Parser(text)
    parts = [parser.requirement()]
    while parser.peek():
        if parser.next() != ",":
            raise bad_request(
                f"unable to parse requirement: found '{parser.tokens[parser.at - 1]}', expected: ',' or 'end of string'"
            )
        parts.append(parser.requirement())
    if len(parts) == 1:
        return parts[0]
    return lambda labels: all(part(labels) for part in parts)


def parse_fields(text: str, supported: frozenset[str], *, custom: bool = False) -> Matcher | None:
    """The matcher of a `fieldSelector`; 400 for a field that the kind does not select by."""
    if not text.strip():
        return None
    wanted: list[tuple[str, str, bool]] = []
    for part in re.split(r"(?<!\\),", text):
        match = re.fullmatch(r"\s*([^=!]+?)\s*(==|=|!=)\s*(.*?)\s*", part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        key, op, value = match.groups()
        if key not in supported and custom:
            raise bad_request(f"field label not supported: {key}")
        if key not in supported:
            raise ApiError(
                400,
                "BadRequest",
                f'"{key}" is not a known field selector: only ' + ", ".join(f'"{name}"' for name in sorted(supported)),
            )
        wanted.append((key, value.replace("\\,", ","), op != "!="))
    return lambda fields: all((fields.get(key, "") == value) is same for key, value, same in wanted)


def match_selector(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """Whether a LabelSelector object selects; None selects nothing, `{}` everything."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or ())


def _expression(item: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    key, values = item.get("key", ""), item.get("values") or ()
    match item.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False
