"""Walks the fields of a spec and changes them one by one, for tests that ask whether each one has an effect."""

import enum
import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

Spec = dict[str, Any]


def leaves(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """(path, field) of everything below a model that holds a value; `items[].sku` is a member of a list's elements."""
    for name, info in model.model_fields.items():
        path = f"{prefix}{info.alias or name}"
        inner, is_list = _inner(info.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from leaves(inner, f"{path}[]." if is_list else f"{path}.")
        else:
            yield path, info


def changed(spec: Spec, path: str, value: Any) -> Spec:
    """The spec with another value at `path`; of a list the first element is changed."""
    head, _, rest = path.partition(".")
    name, is_list = head.removesuffix("[]"), head.endswith("[]")
    if not rest:
        return spec | {name: value}
    if is_list:
        first, *others = spec[name]
        return spec | {name: [changed(first, rest, value), *others]}
    return spec | {name: changed(spec[name], rest, value)}


def value_at(spec: Spec, path: str) -> Any:
    """What stands at `path`; KeyError when nothing does."""
    here: Any = spec
    for part in path.split("."):
        here = here[part.removesuffix("[]")]
        here = here[0] if part.endswith("[]") else here
    return here


def other(value: Any, info: FieldInfo) -> Any:
    """Another value of the same kind. Texts have rules of their own: their tests say what else they may be."""
    kind, _ = _inner(info.annotation)
    if isinstance(kind, type) and issubclass(kind, enum.Enum) and not isinstance(value, list):
        return next(member.value for member in kind if member.value != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    raise LookupError(f"no other value for {value!r}")


def _inner(annotation: Any) -> tuple[Any, bool]:
    """(type of the value or of a list's elements, whether it is a list)."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return _inner(next(item for item in get_args(annotation) if item is not type(None)))
    if origin is tuple:
        return _inner(get_args(annotation)[0])[0], True
    if origin is dict:
        return dict, False
    if hasattr(annotation, "__metadata__"):
        return _inner(get_args(annotation)[0])
    return annotation, False
