"""Kubernetes' own CEL functions, for the evaluator library: lists, regex, url, ip, cidr, quantity, semver, sets.

The evaluator cannot carry opaque Python values, so an IP, a URL, a quantity or a version is a map with a `kind` key
that no JSON object of a rule has by accident. A function that is not here (named formats, `indexOf` of a list,
authorizer) does not compile: the CRD is refused and the compiler's message names it. Source of names and meanings: the
CEL libraries page of the Kubernetes reference.
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

from cel_expr_python import cel
from cel_expr_python.ext import ext_bindings, ext_encoders, ext_math, ext_optional, ext_strings

from hack.devcluster.apiserver import quantity
from hack.devcluster.apiserver.celerrors import EvalError, OverBudget, RuleError

K = cel.Type
KIND = "k8s:kind"
Value = dict[str, Any]


def _find(text: str, pattern: str) -> str:
    match = re.search(pattern, text)
    return match.group(0) if match else ""


def _find_all(text: str, pattern: str) -> list[str]:
    return [match.group(0) for match in re.finditer(pattern, text)]


def _find_some(text: str, pattern: str, limit: int) -> list[str]:
    found = _find_all(text, pattern)
    return found if limit < 0 else found[:limit]


def _sorted(items: list[Any]) -> bool:
    return all(left <= right for left, right in pairwise(items))


def _parses(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def check(text: str) -> bool:
        try:
            parse(text)
        except (ValueError, ArithmeticError):
            return False
        return True

    return check


def _url(text: str) -> Value:
    parts = urllib.parse.urlsplit(text)
    if not parts.scheme and not text.startswith("/"):
        raise ValueError(f"URL parse error during conversion from string: parse {text!r}: invalid URI for request")
    return {KIND: "url", "text": text}


def _url_part(read: Callable[[urllib.parse.SplitResult], Any]) -> Callable[[Value], Any]:
    return lambda value: read(urllib.parse.urlsplit(value["text"]))


def _ip(text: str) -> Value:
    if "%" in text or "." in text.partition(":")[2]:
        raise ValueError(f"IP Address {text!r} parse error during conversion from string")
    return {KIND: "ip", "text": str(ipaddress.ip_address(text))}


def _address(value: Any) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    return ipaddress.ip_address(value["text"] if isinstance(value, dict) else value)


def _cidr(text: str) -> Value:
    return {KIND: "cidr", "text": str(ipaddress.ip_interface(text)) if "/" in text else _no_cidr(text)}


def _no_cidr(text: str) -> str:
    raise ValueError(f"network address parse error during conversion from string: {text!r} has no prefix")


def _network(value: Any) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    return ipaddress.ip_network(value["text"] if isinstance(value, dict) else value, strict=False)


def _holds(value: Value, other: Any) -> bool:
    outer, inner = _network(value), _network(other)
    return outer.version == inner.version and inner.subnet_of(outer)  # type: ignore[arg-type]


def _quantity(text: str) -> Value:
    quantity.value_of(text)
    return {KIND: "quantity", "text": quantity.canonical(text)}


def _number(value: Any) -> Decimal:
    return quantity.value_of(value["text"]) if isinstance(value, dict) else Decimal(value)


def _made(number: Decimal) -> Value:
    return {KIND: "quantity", "text": quantity.canonical(format(number, "f"))}


_SEMVER = re.compile(
    r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[A-Za-z-][\dA-Za-z-]*)(?:\.(?:0|[1-9]\d*|\d*[A-Za-z-]"
    r"[\dA-Za-z-]*))*))?(?:\+[\dA-Za-z.-]+)?"
)


def _semver(text: str) -> Value:
    if _SEMVER.fullmatch(text) is None:
        raise ValueError(f"semver {text!r} parse error during conversion from string")
    return {KIND: "semver", "text": text}


def _release(value: Value) -> tuple[Any, ...]:
    match = _SEMVER.fullmatch(value["text"])
    if match is None:
        raise ValueError("not a semver")
    numbers = tuple(int(match.group(at)) for at in (1, 2, 3))
    early = match.group(4)
    parts = tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in (early or "").split("."))
    return (*numbers, 0 if early else 1, parts if early else ())


def _order(left: Value, right: Value) -> int:
    a: Any = _release(left) if left[KIND] == "semver" else _number(left)
    b: Any = _release(right) if right[KIND] == "semver" else _number(right)
    return int(a > b) - int(a < b)


def _major(at: int) -> Callable[[Value], int]:
    return lambda value: int(_release(value)[at])


def _index_of(where: str | list[Any], what: Any) -> int:
    if isinstance(where, str):
        return where.find(what)
    return next((at for at, item in enumerate(where) if item == what), -1)


def _last_index_of(where: str | list[Any], what: Any) -> int:
    if isinstance(where, str):
        return where.rfind(what)
    return next((at for at in range(len(where) - 1, -1, -1) if where[at] == what), -1)


def _contains_all(items: list[Any], others: list[Any]) -> bool:
    return all(item in items for item in others)


def _function(name: str, result: Any, takes: list[Any], work: Any, *, member: bool) -> Any:
    ident = f"haat_{name.replace('.', '_')}_{'m' if member else 'g'}{len(takes)}"
    return cel.Overload(ident, result, takes, member, work)


def _members() -> dict[str, list[Any]]:
    flags = {
        "isUnspecified": "is_unspecified",
        "isLoopback": "is_loopback",
        "isLinkLocalUnicast": "is_link_local",
        "isGlobalUnicast": "is_global",
    }
    table: list[tuple[str, Any, list[Any], Any]] = [
        ("isSorted", K.BOOL, [K.LIST], _sorted),
        ("sum", K.DYN, [K.LIST], sum),
        ("min", K.DYN, [K.LIST], min),
        ("max", K.DYN, [K.LIST], max),
        (INDEX_OF, K.INT, [K.DYN, K.DYN], _index_of),
        (LAST_INDEX_OF, K.INT, [K.DYN, K.DYN], _last_index_of),
        ("find", K.STRING, [K.STRING, K.STRING], _find),
        ("findAll", K.LIST, [K.STRING, K.STRING], _find_all),
        ("findAll", K.LIST, [K.STRING, K.STRING, K.INT], _find_some),
        ("getScheme", K.STRING, [K.DYN], _url_part(lambda url: url.scheme)),
        ("getHost", K.STRING, [K.DYN], _url_part(lambda url: url.netloc.rpartition("@")[2])),
        ("getHostname", K.STRING, [K.DYN], _url_part(lambda url: url.hostname or "")),
        ("getPort", K.STRING, [K.DYN], _url_part(lambda url: str(url.port or ""))),
        (
            "getEscapedPath",
            K.STRING,
            [K.DYN],
            _url_part(lambda url: urllib.parse.quote(url.path, safe="/%:@!$&'()*+,;=")),
        ),
        ("getQuery", K.MAP, [K.DYN], _url_part(lambda url: urllib.parse.parse_qs(url.query, keep_blank_values=True))),
        ("family", K.INT, [K.DYN], lambda value: _address(value).version),
        *(
            (name, K.BOOL, [K.DYN], lambda value, flag=flag: getattr(_address(value), flag))
            for name, flag in flags.items()
        ),
        ("containsIP", K.BOOL, [K.DYN, K.DYN], lambda value, other: _address(other) in _network(value)),
        ("containsCIDR", K.BOOL, [K.DYN, K.DYN], _holds),
        ("masked", K.DYN, [K.DYN], lambda value: {KIND: "cidr", "text": str(_network(value))}),
        ("prefixLength", K.INT, [K.DYN], lambda value: _network(value).prefixlen),
        ("ip", K.DYN, [K.DYN], lambda value: _ip(value["text"].partition("/")[0])),
        ("sign", K.INT, [K.DYN], lambda value: (_number(value) > 0) - (_number(value) < 0)),
        ("isInteger", K.BOOL, [K.DYN], lambda value: _number(value) == int(_number(value))),
        ("asInteger", K.INT, [K.DYN], lambda value: int(_number(value))),
        ("asApproximateFloat", K.DOUBLE, [K.DYN], lambda value: float(_number(value))),
        ("add", K.DYN, [K.DYN, K.DYN], lambda value, other: _made(_number(value) + _number(other))),
        ("sub", K.DYN, [K.DYN, K.DYN], lambda value, other: _made(_number(value) - _number(other))),
        ("isLessThan", K.BOOL, [K.DYN, K.DYN], lambda value, other: _order(value, other) < 0),
        ("isGreaterThan", K.BOOL, [K.DYN, K.DYN], lambda value, other: _order(value, other) > 0),
        ("compareTo", K.INT, [K.DYN, K.DYN], _order),
        *((name, K.INT, [K.DYN], _major(at)) for at, name in enumerate(("major", "minor", "patch"))),
    ]
    made: dict[str, list[Any]] = {}
    for name, result, takes, work in table:
        made.setdefault(name, []).append(_function(name, result, takes, work, member=True))
    return made


def _globals() -> dict[str, list[Any]]:
    table: list[tuple[str, Any, list[Any], Any]] = [
        ("url", K.DYN, [K.STRING], _url),
        ("isURL", K.BOOL, [K.STRING], _parses(_url)),
        ("ip", K.DYN, [K.STRING], _ip),
        ("isIP", K.BOOL, [K.STRING], _parses(_ip)),
        ("ip.isCanonical", K.BOOL, [K.STRING], lambda text: str(ipaddress.ip_address(text)) == text),
        ("cidr", K.DYN, [K.STRING], _cidr),
        ("isCIDR", K.BOOL, [K.STRING], _parses(_cidr)),
        ("quantity", K.DYN, [K.STRING], _quantity),
        ("isQuantity", K.BOOL, [K.STRING], _parses(_quantity)),
        ("semver", K.DYN, [K.STRING], _semver),
        ("isSemver", K.BOOL, [K.STRING], _parses(_semver)),
        ("sets.contains", K.BOOL, [K.LIST, K.LIST], _contains_all),
        ("sets.equivalent", K.BOOL, [K.LIST, K.LIST], lambda a, b: _contains_all(a, b) and _contains_all(b, a)),
        ("sets.intersects", K.BOOL, [K.LIST, K.LIST], lambda a, b: any(item in a for item in b)),
    ]
    return {name: [_function(name, result, takes, work, member=False)] for name, result, takes, work in table}


def environment(*variables: str) -> Any:
    """An environment with these functions; every variable is of type dyn."""
    parts = [extension(), ext_strings.ExtStrings(), ext_math.ExtMath(), ext_optional.ExtOptional()]
    parts += [ext_bindings.ExtBindings(), ext_encoders.ExtEncoders()]
    return cel.NewEnv(variables=dict.fromkeys(variables, K.DYN), extensions=parts)


def compile_text(environment: Any, text: str) -> Any:
    """The compiled expression. Raises RuleError.

    The evaluator knows `indexOf` of strings only and lets nobody add to it, so calls with one argument go to ours.
    """
    try:
        return environment.compile(_INDEXED.sub(lambda found: found[1] or f".{_RENAMED[found[2]]}({found[3]})", text))
    except (RuntimeError, ValueError) as problem:
        text = _CODE.sub("", str(problem).removeprefix("INVALID_ARGUMENT: "))
        raise RuleError(text or "does not compile") from problem


INDEX_OF, LAST_INDEX_OF = "k8sIndexOf", "k8sLastIndexOf"
_RENAMED = {"indexOf": INDEX_OF, "lastIndexOf": LAST_INDEX_OF}
_INDEXED = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|\.(indexOf|lastIndexOf)\(([^(),]*)\)""")
_CODE = re.compile(r" \[[A-Z_]+\]$")
_MISSING = re.compile(r'Key not found in map : "(.*)"')


def evaluate(expression: Any, data: dict[str, Any]) -> Any:
    """The plain value. Raises EvalError with upstream's words where they are known, OverBudget for a runaway."""
    try:
        result = expression.eval(data=data)
    except RuntimeError as problem:
        if "budget exceeded" in str(problem):
            raise OverBudget("operation cancelled: actual cost limit exceeded") from problem
        raise EvalError(str(problem)) from problem
    if result.type().name().upper() == "ERROR":
        text = str(result.value())
        missing = _MISSING.search(text)
        if missing:
            raise EvalError(f"no such key: {missing.group(1)}")
        text = text.partition(": ")[2] or text
        raise EvalError("division by zero" if text == "divide by zero" else text)
    return result.plain_value()


def extension() -> Any:
    """All of them as one extension of the evaluator."""
    made = _members()
    for name, overloads in _globals().items():
        made.setdefault(name, []).extend(overloads)
    return cel.CelExtension("kubernetes", [cel.FunctionDecl(name, overloads) for name, overloads in made.items()])
