"""Writes the API server's type tables from the `kubernetes` package's Pydantic models.

The models carry field names, types and descriptions, but not how lists merge: that comes from
`apiserver/listtypes.py`. Run `python -m hack.devcluster.generate_schemas` after an update of the package; the output
is deterministic, so a test can compare it. The server itself never imports `kubernetes`: reading the tables costs
milliseconds instead of a second.
"""

from __future__ import annotations

import datetime
import gzip
import importlib
import json
import sys
import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel

DATA = Path(__file__).parent / "apiserver" / "data"

ROOTS = (
    *[
        "V1Namespace",
        "V1Pod",
        "V1Service",
        "V1Endpoints",
        "V1ConfigMap",
        "V1Secret",
        "V1ServiceAccount",
        "CoreV1Event",
        "V1Node",
        "V1Binding",
    ],
    *[
        "V1PersistentVolumeClaim",
        "V1PersistentVolume",
        "V1LimitRange",
        "V1ResourceQuota",
        "V1PodTemplate",
        "V1Status",
        "V1Scale",
    ],
    *["V1Deployment", "V1ReplicaSet", "V1StatefulSet", "V1DaemonSet", "V1ControllerRevision", "V1Job", "V1CronJob"],
    *[
        "V1Ingress",
        "V1IngressClass",
        "V1NetworkPolicy",
        "V1PodDisruptionBudget",
        "V1Eviction",
        "V2HorizontalPodAutoscaler",
    ],
    *[
        "V1Lease",
        "V1EndpointSlice",
        "EventsV1Event",
        "V1Role",
        "V1RoleBinding",
        "V1ClusterRole",
        "V1ClusterRoleBinding",
    ],
    *["V1CustomResourceDefinition", "V1PriorityClass", "V1StorageClass", "V1MutatingWebhookConfiguration"],
    *["V1ValidatingWebhookConfiguration", "V1TokenReview", "V1SelfSubjectReview", "V1SubjectAccessReview"],
    *["V1SelfSubjectAccessReview", "V1LocalSubjectAccessReview", "V1SelfSubjectRulesReview", "V1DeleteOptions"],
    *[
        "AuthenticationV1TokenRequest",
        "V1ValidatingAdmissionPolicy",
        "V1ValidatingAdmissionPolicyBinding",
        "V1RuntimeClass",
    ],
)

SCALARS: dict[Any, str] = {
    str: "s",
    int: "i",
    float: "n",
    bool: "b",
    bytes: "B",
    datetime.datetime: "t",
    Any: "x",
    object: "x",
}


def type_code(annotation: Any, pending: list[type[BaseModel]]) -> str:
    """The compact code of a field's type: a scalar letter, `[T` a list, `{T` a map, or the name of a definition."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return type_code(typing.get_args(annotation)[0], pending)
    if origin in (typing.Union, types.UnionType):
        codes = {type_code(arg, pending) for arg in typing.get_args(annotation) if arg is not type(None)}
        return union_code(codes)
    if origin is list:
        return "[" + type_code(typing.get_args(annotation)[0], pending)
    if origin is dict:
        return "{" + type_code(typing.get_args(annotation)[1], pending)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        pending.append(annotation)
        return annotation.__name__
    return SCALARS[annotation]


def union_code(codes: set[str]) -> str:
    """The code of a union: itself when single, `I` for int-or-string, `n` for int or float, else anything."""
    if len(codes) == 1:
        return codes.pop()
    if codes == {"i", "s"}:
        return "I"
    if codes == {"i", "n"}:
        return "n"
    if codes == {"s", "B"}:
        return "B"
    return "x"


def describe(model: type[BaseModel], pending: list[type[BaseModel]]) -> tuple[dict[str, Any], dict[str, str]]:
    """(type table entry, descriptions by field; `` holds the model's own)."""
    hints = typing.get_type_hints(model, vars(sys.modules[model.__module__]), include_extras=True)
    fields: dict[str, str] = {}
    required: list[str] = []
    docs = {"": (model.__doc__ or "").strip().split("\n\n")[0].strip()}
    for name, field in model.model_fields.items():
        alias = field.serialization_alias or field.alias or name
        fields[alias] = type_code(hints[name], pending)
        if field.is_required():
            required.append(alias)
        if field.description:
            docs[alias] = field.description
    return {"f": fields, "r": required} if required else {"f": fields}, docs


def collect() -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """(types by definition name, descriptions by definition name), closed over references."""
    models = importlib.import_module("kubernetes.client")
    pending: list[type[BaseModel]] = [getattr(models, name) for name in ROOTS if hasattr(models, name)]
    table: dict[str, Any] = {}
    docs: dict[str, dict[str, str]] = {}
    while pending:
        model = pending.pop()
        if model.__name__ not in table:
            table[model.__name__], docs[model.__name__] = describe(model, pending)
    return dict(sorted(table.items())), dict(sorted(docs.items()))


def main() -> None:
    """Write `types.json` and `docs.json.gz` into the API server's data folder."""
    table, docs = collect()
    DATA.mkdir(exist_ok=True)
    (DATA / "types.json").write_text(json.dumps(table, separators=(",", ":")) + "\n", encoding="utf-8")
    text = json.dumps(docs, separators=(",", ":"), ensure_ascii=False).encode()
    (DATA / "docs.json.gz").write_bytes(gzip.compress(text, 9, mtime=0))
    sys.stdout.write(f"{len(table)} definitions\n")


if __name__ == "__main__":
    main()
