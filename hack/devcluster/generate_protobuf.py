"""Writes the API server's protobuf tables from the struct tags in checkouts of `k8s.io/api` and
`k8s.io/apimachinery`.

`kubectl create`, `auth can-i` and other typed clients send protobuf, so the server must read it. A Go struct tag
carries what is needed: field number, JSON name, whether the field is inlined, and (by the Go type) whether a zero
value was set on purpose. Run `python -m hack.devcluster.generate_protobuf API_DIR APIMACHINERY_DIR`; only kinds that
the server serves are kept.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "apiserver" / "data" / "proto.json"
PACKAGES = {
    "api": [
        *[
            "core/v1",
            "apps/v1",
            "batch/v1",
            "networking/v1",
            "policy/v1",
            "autoscaling/v1",
            "autoscaling/v2",
            "coordination/v1",
            "discovery/v1",
        ],
        *["events/v1", "rbac/v1", "scheduling/v1", "storage/v1", "authentication/v1", "authorization/v1"],
    ],
    "apimachinery": ["pkg/apis/meta/v1", "pkg/types"],
}
ROOTS = {
    "core/v1": (
        "Namespace Pod Service Endpoints ConfigMap Secret ServiceAccount Event Node Binding PersistentVolumeClaim "
        "LimitRange ResourceQuota"
    ),
    "apps/v1": "Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision",
    "batch/v1": "Job CronJob",
    "networking/v1": "Ingress IngressClass NetworkPolicy",
    "policy/v1": "PodDisruptionBudget Eviction",
    "autoscaling/v1": "Scale",
    "autoscaling/v2": "HorizontalPodAutoscaler",
    "coordination/v1": "Lease",
    "discovery/v1": "EndpointSlice",
    "events/v1": "Event",
    "rbac/v1": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "scheduling/v1": "PriorityClass",
    "storage/v1": "StorageClass",
    "authentication/v1": "TokenReview TokenRequest SelfSubjectReview",
    "authorization/v1": "SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview",
    "meta/v1": "DeleteOptions",
}
BASIC = {"string": "s", "bool": "b", "byte": "i", "float64": "d", "int": "i", "int32": "i", "int64": "i", "uint32": "i"}
SPECIAL = {
    "Time": "T",
    "MicroTime": "U",
    "Quantity": "Q",
    "IntOrString": "I",
    "FieldsV1": "F",
    "RawExtension": "R",
    "Duration": "D",
}
_FIELD = re.compile(r'^\s+(?:(\w+)\s+)?([\w.*\[\]]+)\s+`[^`]*json:"([^"]*)"[^`]*protobuf:"(\w+),(\d+),(\w+)')
_STRUCT = re.compile(r"^type (\w+) struct \{")
_ALIAS = re.compile(r"^type (\w+) ([\w.*\[\]]+)\s*$")


class Source:
    """Every struct and alias of the packages, by package and name."""

    def __init__(self) -> None:
        self.structs: dict[tuple[str, str], list[tuple[str, str, int]]] = {}
        self.aliases: dict[tuple[str, str], str] = {}

    def read(self, package: str, folder: Path) -> None:
        """Parse the Go files of one package."""
        for path in sorted(folder.glob("*.go")):
            fields: list[tuple[str, str, int]] | None = None
            for line in path.read_text(encoding="utf-8").splitlines():
                if struct := _STRUCT.match(line):
                    fields = self.structs.setdefault((package, struct.group(1)), [])
                elif alias := _ALIAS.match(line):
                    self.aliases[(package, alias.group(1))] = alias.group(2)
                elif line.startswith("}"):
                    fields = None
                elif fields is not None and (field := _FIELD.match(line)):
                    fields.append((field.group(3), field.group(2), int(field.group(5))))


def package_of(prefix: str, current: str) -> str:
    """The package an import name stands for."""
    return {"metav1": "meta/v1", "v1": "core/v1", "corev1": "core/v1", "apiv1": "core/v1", "types": "types"}.get(
        prefix, current
    )


def code(go: str, package: str, source: Source, pending: list[tuple[str, str]]) -> str:
    """The compact type code: letter, `[T`, `{T`, `package.Type`; empty for a type of a package that is not read."""
    go = go.lstrip("*")
    if go == "[]byte":
        return "B"
    if go.startswith("[]"):
        return "[" + code(go[2:], package, source, pending)
    if match := re.match(r"map\[[\w.]+\](.+)", go):
        return "{" + code(match.group(1), package, source, pending)
    if go in BASIC:
        return BASIC[go]
    prefix, _, name = go.rpartition(".")
    if name in SPECIAL:
        return SPECIAL[name]
    home = package_of(prefix, package) if prefix else package
    if (home, name) in source.structs:
        pending.append((home, name))
        return f"{home}.{name}"
    if (home, name) in source.aliases:
        return code(source.aliases[(home, name)], home, source, pending)
    return ""


def collect(source: Source) -> dict[str, Any]:
    """Message name -> field number -> [JSON name, code, flags]; flags: `p` pointer, `<` inlined."""
    pending = [(package, name) for package, names in ROOTS.items() for name in names.split()]
    table: dict[str, Any] = {}
    while pending:
        package, name = pending.pop()
        key = f"{package}.{name}"
        if key in table:
            continue
        table[key] = {}
        for tag, go, number in source.structs[(package, name)]:
            alias, _, options = tag.partition(",")
            flags = ("p" if go.startswith("*") else "") + ("<" if "inline" in options or not alias else "")
            if (found := code(go, package, source, pending)) not in ("", "[", "{"):
                table[key][str(number)] = [alias, found, flags]
    return dict(sorted(table.items()))


def main(argv: list[str]) -> None:
    """Read the two checkouts, write `proto.json`."""
    source = Source()
    roots = dict(zip(("api", "apimachinery"), (Path(item) for item in argv), strict=True))
    for repository, packages in PACKAGES.items():
        for package in packages:
            source.read(package.removeprefix("pkg/apis/").removeprefix("pkg/"), roots[repository] / package)
    table = collect(source)
    OUT.write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(table)} messages\n")


if __name__ == "__main__":
    main(sys.argv[1:])
