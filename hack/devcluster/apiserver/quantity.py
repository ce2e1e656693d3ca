"""Resource quantities in canonical form, as `resource.Quantity` writes them: `0.5` -> `500m`, `1000m` -> `1`, `1024Mi`
-> `1Gi`.
"""

from __future__ import annotations

import re
from decimal import ROUND_CEILING, Decimal
from typing import Any

_FORM = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?$")
_BINARY = {"Ki": 1, "Mi": 2, "Gi": 3, "Ti": 4, "Pi": 5, "Ei": 6}
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


def value_of(text: Any) -> Decimal:
    """The number; ValueError when the text is no quantity."""
    match = _FORM.match(str(text))
    if match is None:
        raise ValueError("quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'")
    number, suffix = Decimal(match.group(1)), match.group(2) or ""
    if suffix in _BINARY:
        return number * Decimal(1024) ** _BINARY[suffix]
    if suffix and suffix[0] in "eE" and len(suffix) > 1:
        return number.scaleb(int(suffix[1:]))
    return number.scaleb(_DECIMAL[suffix])


def canonical(text: Any) -> str:
    """The canonical text; ValueError as `value_of`."""
    if isinstance(text, str) and text.isdigit() and (text == "0" or text[0] != "0") and not text.endswith("000"):
        return text
    value = value_of(text)
    match = _FORM.match(str(text))
    suffix = (match.group(2) or "") if match else ""
    if suffix in _BINARY and value == value.to_integral_value():
        return _with_binary(value)
    nano = (value.scaleb(9)).to_integral_value(rounding=ROUND_CEILING)
    value = nano.scaleb(-9)
    if value == 0:
        return "0"
    scientific = suffix[:1] in ("e", "E") and len(suffix) > 1
    for name in ("E", "P", "T", "G", "M", "k", "", "m", "u", "n"):
        scaled = value.scaleb(-_DECIMAL[name])
        if scaled == scaled.to_integral_value():
            unit = f"e{_DECIMAL[name]}" if scientific and _DECIMAL[name] else name
            return f"{int(scaled)}{unit}"
    return str(text)


def _with_binary(value: Decimal) -> str:
    number = int(value)
    if number == 0:
        return "0"
    for name, power in reversed(_BINARY.items()):
        if number % (1024**power) == 0:
            return f"{number // 1024**power}{name}"
    return str(number)


def of_number(value: Decimal, *, binary: bool = False) -> str:
    """The canonical text of a number; whole numbers of bytes with binary units when asked."""
    if binary and value == value.to_integral_value():
        return _with_binary(value)
    return canonical(format(value, "f"))
