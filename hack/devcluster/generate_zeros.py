"""Writes the table of zero values: which fields of built-in kinds a real API server leaves out when they hold theirs,
and which are there in an object that nobody filled in.

Built-in kinds are decoded into Go structs; a field tagged `omitempty` vanishes when it is "", 0, false or empty, unless
its Go type is a pointer (then an empty value was meant) or a struct (which `omitempty` never drops; `omitzero` does).
The OpenAPI documents do not say which is which, so the struct tags of checkouts of `k8s.io/api`,
`k8s.io/apimachinery` and `k8s.io/apiextensions-apiserver` are read. Run `python -m hack.devcluster.generate_zeros
API_DIR APIMACHINERY_DIR APIEXTENSIONS_DIR`. Trap avoided: the definition `V1Subject` exists in several groups, so the
structs that know most of a definition's fields stand for it, and a field on which they disagree stays.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

DATA = Path(__file__).parent / "apiserver" / "data"
OUT = DATA / "zeros.json"
FOLDERS = (
    ("*/v1", "*/v2"),
    ("pkg/apis/meta/v1", "pkg/types", "pkg/runtime", "pkg/api/resource", "pkg/util/intstr", "pkg/version"),
    ("pkg/apis/apiextensions/v1",),
)
NUMBERS = ("byte", "int", "int32", "int64", "uint32", "uint64", "float64")
SCALARS: dict[str, Any] = {"string": "", "bool": False, **dict.fromkeys(NUMBERS, 0)}
FOREIGN = {"types.UID": "", "types.NodeName": "", "intstr.IntOrString": 0, "resource.Quantity": "0"}
OPAQUE = ("Time", "MicroTime", "RawExtension", "FieldsV1", "JSON")
_STRUCT = re.compile(r"^type (\w+) struct \{")
_ALIAS = re.compile(r"^type (\w+) ([\w.*\[\]]+)\s*$")
_FIELD = re.compile(r'^\s+(?:(\w+)\s+)?([\w.*\[\]]+)\s+`[^`]*json:"([^"]*)"')
_DEFINITION = re.compile(r"^([A-Z][a-z]+)?(V\d)([A-Z]\w+)$")

Key = tuple[str, str]
Fields = dict[str, tuple[str, str]]
Entry = dict[str, Any]


class Structs:
    """Every struct of the packages: JSON name -> (Go type, tag options), embedded ones flattened."""

    def __init__(self, roots: Iterable[Path]) -> None:
        self._raw: dict[Key, list[tuple[str, str, str]]] = {}
        self._aliases: dict[Key, str] = {}
        for root, patterns in zip(roots, FOLDERS, strict=True):
            for pattern in patterns:
                for folder in sorted(root.glob(pattern)):
                    self._read("/".join(folder.parts[-2:]), folder)

    def _read(self, package: str, folder: Path) -> None:
        for path in sorted(folder.glob("*.go")):
            fields: list[tuple[str, str, str]] | None = None
            for line in path.read_text(encoding="utf-8").splitlines():
                if struct := _STRUCT.match(line):
                    fields = self._raw.setdefault((package, struct.group(1)), [])
                elif alias := _ALIAS.match(line):
                    self._aliases[(package, alias.group(1))] = alias.group(2)
                elif line.startswith("}"):
                    fields = None
                elif fields is not None and (field := _FIELD.match(line)):
                    name, _, options = field.group(3).partition(",")
                    fields.append((name, field.group(2), options))

    def named(self, name: str, version: str) -> list[Key]:
        """Structs of that name in packages of that version; those of `meta/v1` serve every version."""
        return [key for key in self._raw if key[1] == name and (key[0].endswith(version) or key[0] == "meta/v1")]

    def fields(self, key: Key) -> Fields:
        """The fields of a struct as JSON shows them."""
        found: Fields = {}
        for name, go, options in self._raw.get(key, ()):
            if name:
                found[name] = (go, options)
            else:
                found |= self.fields(self._key(go.lstrip("*"), key[0]))
        return found

    def _key(self, go: str, package: str) -> Key:
        prefix, _, name = go.rpartition(".")
        home = {"metav1": "meta/v1", "v1": "core/v1", "corev1": "core/v1"}.get(prefix, prefix) if prefix else package
        return home, name

    def zero(self, go: str, package: str) -> Any:
        """The zero value of a Go type as JSON shows it; `{}` stands for a struct, whose own fields follow."""
        if go.startswith(("*", "[]", "map[")):
            return None
        if go in SCALARS or go in FOREIGN:
            return SCALARS.get(go, FOREIGN.get(go))
        key = self._key(go, package)
        if key in self._aliases:
            return self.zero(self._aliases[key], key[0])
        return None if key[1] in OPAQUE else {}

    def droppable(self, field: tuple[str, str], package: str) -> bool:
        """Whether the zero value of a field (Go type, tag options) is left out and may come from a client."""
        go, options = field
        if "omitempty" not in options or go.startswith("*"):
            return False
        structure = self.zero(go, package) == {} or go.rpartition(".")[2] in (*OPAQUE, "Quantity", "IntOrString")
        return not structure or "omitzero" in options

    def present(self, field: tuple[str, str], package: str) -> bool:
        """Whether the field is there even when nobody set it."""
        go, options = field
        return (
            "omitzero" not in options
            and not self.droppable(field, package)
            and not (go.startswith("*") and "omitempty" in options)
        )


def entry(definition: str, known: Mapping[str, str], structs: Structs) -> Entry | None:
    """`o`: the fields that vanish when empty; `z`: the zero values of those always there. None: no struct fits."""
    match = _DEFINITION.match(definition)
    if match is None:
        return None
    prefix, version, name = (match.group(1) or "").lower(), match.group(2).lower(), match.group(3)
    named = {key: structs.fields(key) for key in structs.named(name, version) if prefix in key[0]}
    best = max((len(known.keys() & fields.keys()) for fields in named.values()), default=0)
    if 2 * best <= len(known):
        return None
    fitting = [(key[0], fields) for key, fields in named.items() if len(known.keys() & fields.keys()) == best]
    shared = [item for item in sorted(known) if all(item in fields for _, fields in fitting)]
    omitted = [item for item in shared if all(structs.droppable(fields[item], package) for package, fields in fitting)]
    package, fields = fitting[0]
    present = [item for item in shared if all(structs.present(fields[item], package) for package, fields in fitting)]
    zeros = {item: structs.zero(fields[item][0], package) for item in present}
    return {key: value for key, value in (("o", omitted), ("z", zeros)) if value}


def main(argv: list[str]) -> None:
    """Read the three checkouts, write `zeros.json`; name the definitions that no struct fits."""
    structs = Structs(Path(item) for item in argv)
    types = json.loads((DATA / "types.json").read_text(encoding="utf-8"))
    table = {name: entry(name, item["f"], structs) for name, item in types.items()}
    kept = {name: found for name, found in table.items() if found}
    OUT.write_text(json.dumps(kept, separators=(",", ":")) + "\n", encoding="utf-8")
    alone = " ".join(name for name, found in table.items() if found is None)
    sys.stdout.write(f"{len(kept)} definitions; no struct for: {alone or 'none'}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
