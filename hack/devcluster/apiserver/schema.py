"""The tree of types behind every kind: what a field is and how it merges, for built-in kinds and for CRDs alike.

Built-in nodes are made lazily from `data/types.json`, so a server that only ever sees Pods never builds the rest. A
node is shared by everybody and never changed after it was made.
"""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from hack.devcluster.apiserver import listtypes

DATA = Path(__file__).parent / "data"

STRING, INTEGER, NUMBER, BOOLEAN, TIME, MICROTIME, BYTES = (
    "string",
    "integer",
    "number",
    "boolean",
    "time",
    "micro",
    "bytes",
)
ANY, INT_OR_STRING, QUANTITY, OBJECT, LIST, MAP = "any", "int-or-string", "quantity", "object", "list", "map"
SCALARS = frozenset({STRING, INTEGER, NUMBER, BOOLEAN, TIME, MICROTIME, BYTES, INT_OR_STRING, QUANTITY})
_CODES = {"s": STRING, "i": INTEGER, "n": NUMBER, "b": BOOLEAN, "t": TIME, "B": BYTES, "x": ANY, "I": INT_OR_STRING}


@dataclass(slots=True)
class Node:
    """One type. `fields` belongs to objects, `values` to maps, `items` to lists; `omitted` fields vanish when empty.

    `zeros` are the fields that are there even when nobody set them (`{}` for an object with zeros of its own).
    """

    type: str
    name: str = ""
    fields: dict[str, Node] = field(default_factory=dict)
    values: Node | None = None
    items: Node | None = None
    list_type: str = "atomic"
    keys: tuple[str, ...] = ()
    key_defaults: Mapping[str, Any] = field(default_factory=dict)
    atomic: bool = False
    strategy: str = ""
    merge_key: str = ""
    required: tuple[str, ...] = ()
    omitted: frozenset[str] = frozenset()
    zeros: Mapping[str, Any] = field(default_factory=dict)
    preserve: bool = False
    raw: Mapping[str, Any] | None = None
    extra: Any = None

    def child(self, key: str) -> Node:
        """The type of a member; unknown members have type `any`."""
        found = self.fields.get(key)
        if found is not None:
            return found
        return self.values if self.values is not None else ANYTHING


ANYTHING = Node(ANY)
_SCALAR_NODES = {code: Node(name) for code, name in _CODES.items()} | {"Q": Node(QUANTITY), "m": Node(MICROTIME)}


@lru_cache(maxsize=1)
def _table() -> dict[str, Any]:
    return dict(msgspec.json.decode((DATA / "types.json").read_bytes()))


@lru_cache(maxsize=1)
def _zeros() -> dict[str, dict[str, Any]]:
    return dict(msgspec.json.decode((DATA / "zeros.json").read_bytes()))


class Types:
    """The built-in definitions, made on demand; `Types().node("V1Pod")`."""

    def __init__(self) -> None:
        self._made: dict[str, Node] = {}

    def node(self, name: str) -> Node:
        """The node of a definition; KeyError when there is none."""
        made = self._made.get(name)
        if made is not None:
            return made
        entry, zeros = _table()[name], _zeros().get(name, {})
        made = Node(
            OBJECT,
            name=name,
            atomic=name in listtypes.ATOMIC_DEFINITIONS,
            required=tuple(entry.get("r", ())),
            omitted=frozenset(zeros.get("o", ())),
            zeros=zeros.get("z", {}),
        )
        self._made[name] = made  # before the fields: JSONSchemaProps refers to itself
        for key, code in entry["f"].items():
            made.fields[key] = self._field(name, key, code)
        return made

    def _field(self, owner: str, key: str, code: str) -> Node:
        if (owner, key) in listtypes.QUANTITIES:
            code = code[:-1] + "Q"
        elif (owner, key) in listtypes.MICRO_TIMES:
            code = "m"
        if code[0] == "[":
            rule = listtypes.list_rule(owner, key)
            return Node(
                LIST,
                items=self._of(code[1:]),
                list_type=rule.list_type,
                keys=rule.keys,
                key_defaults=listtypes.KEY_DEFAULTS.get((owner, key), {}),
                strategy=rule.strategy,
                merge_key=rule.merge_key,
            )
        if code[0] == "{":
            return Node(MAP, values=self._of(code[1:]), atomic=(owner, key) in listtypes.ATOMIC_MAPS)
        node = self._of(code)
        if (owner, key) in listtypes.RETAIN_KEYS:
            return replace(node, strategy="retainKeys")
        return node

    def _of(self, code: str) -> Node:
        if code[0] == "[":
            return Node(LIST, items=self._of(code[1:]))
        if code[0] == "{":
            return Node(MAP, values=self._of(code[1:]))
        return _SCALAR_NODES.get(code) or self.node(code)


def definitions() -> dict[str, Any]:
    """The raw table: definition name -> `{"f": {field: code}, "r": [required]}`."""
    return _table()


def descriptions() -> dict[str, dict[str, str]]:
    """Field descriptions by definition; read anew at each call because only `explain` needs these 1.5 MB."""
    return dict(msgspec.json.decode(gzip.decompress((DATA / "docs.json.gz").read_bytes())))
