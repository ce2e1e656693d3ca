"""Kubernetes quantities ("250m", "1.5Gi") as numbers. Source: k8s.io/apimachinery/pkg/api/resource."""

import math

_SUFFIXES = {
    "n": 1e-9,
    "u": 1e-6,
    "m": 1e-3,
    "": 1.0,
    "k": 1e3,
    "M": 1e6,
    "G": 1e9,
    "T": 1e12,
    "P": 1e15,
    "E": 1e18,
    "Ki": 2.0**10,
    "Mi": 2.0**20,
    "Gi": 2.0**30,
    "Ti": 2.0**40,
    "Pi": 2.0**50,
    "Ei": 2.0**60,
}


class QuantityError(ValueError):
    """Not a quantity."""


def parse_quantity(value: str | int | float) -> float:
    """Raises QuantityError on text that is no quantity."""
    if isinstance(value, int | float):
        return float(value)
    text = value.strip()
    digits = text.rstrip("numkKMGTPEi")
    suffix = text[len(digits) :]
    try:
        if digits != digits.rstrip():
            raise ValueError("white space")
        # "1e3" and "1E3" are exponents, not the suffix E.
        return float(text) if suffix == "" else float(digits) * _SUFFIXES[suffix]
    except (KeyError, ValueError) as error:
        raise QuantityError(f"{value!r} is not a quantity") from error


def divide(value: str | int | float, divisor: str | int | float) -> int:
    """The value in units of the divisor, rounded up, as the Downward API gives it ("0" means 1)."""
    unit = parse_quantity(divisor) or 1.0
    return math.ceil(parse_quantity(value) / unit - 1e-9)
