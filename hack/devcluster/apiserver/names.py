"""Form of names, labels and annotations (RFC 1123 and Kubernetes' own limits), each check giving causes, never
raising.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from hack.devcluster.apiserver.errors import Cause, invalid_value, required

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_PATH = re.compile(r"(?!\.{1,2}$)[^/%]+")
ANNOTATION_BYTES = 256 * 1024

LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start"
    " and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is"
    " '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic"
    " character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and "
    "must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', "
    "regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
KEY_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)

_LABEL_KINDS = frozenset({"Namespace"})
_PATH_KINDS = frozenset({"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})


def name_problem(kind: str, name: str) -> str:
    """Why a name is not valid for the kind, or an empty string."""
    if kind in _PATH_KINDS:
        return "" if _PATH.fullmatch(name) else "may not contain '/' or '%'"
    if kind in _LABEL_KINDS:
        return label_problem(name)
    if kind == "Service":
        if len(name) > 63:
            return "must be no more than 63 characters"
        return "" if _LABEL_1035.fullmatch(name) else LABEL_1035_WORDS
    if len(name) > 253:
        return "must be no more than 253 characters"
    return "" if _SUBDOMAIN.fullmatch(name) else SUBDOMAIN_WORDS


def label_problem(name: str) -> str:
    """Why a text is no RFC 1123 label, or an empty string."""
    if len(name) > 63:
        return "must be no more than 63 characters"
    return "" if _LABEL.fullmatch(name) else LABEL_WORDS


def key_problem(key: str) -> str:
    """Why a text is no qualified name (label or annotation key), or an empty string."""
    prefix, slash, name = key.rpartition("/")
    if slash and (not prefix or len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return "prefix part " + SUBDOMAIN_WORDS
    if not name:
        return "name part must be non-empty"
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    return "" if _NAME_PART.fullmatch(name) else KEY_WORDS


def check_labels(labels: Mapping[str, Any], path: str) -> list[Cause]:
    """Causes for wrong keys and values."""
    causes: list[Cause] = []
    for key, value in labels.items():
        if problem := key_problem(key):
            causes.append(invalid_value(path, key, problem))
        if len(value) > 63:
            causes.append(invalid_value(path, value, "must be no more than 63 characters"))
        elif value and not _NAME_PART.fullmatch(value):
            causes.append(invalid_value(path, value, VALUE_WORDS))
    return causes


def check_metadata(kind: str, meta: Mapping[str, Any], *, core: bool = True) -> list[Cause]:
    """Causes for the name, labels, annotations, owner references and finalizers of an object.

    Kinds of the `core` of Kubernetes take no finalizer of one word but the known ones; others do.
    """
    causes: list[Cause] = []
    name = meta.get("name", "")
    if not name:
        causes.append(required("metadata.name", "name or generateName is required"))
    elif problem := name_problem(kind, name):
        causes.append(invalid_value("metadata.name", name, problem))
    causes += check_labels(meta.get("labels") or {}, "metadata.labels")
    size = 0
    for key, value in (meta.get("annotations") or {}).items():
        size += len(key) + len(value)
        if problem := key_problem(key.lower()):
            causes.append(invalid_value("metadata.annotations", key, problem))
    if size > ANNOTATION_BYTES:
        causes.append(Cause("metadata.annotations", "Too long: may not be more than 262144 bytes", "FieldValueTooLong"))
    causes += _check_owners(meta.get("ownerReferences") or [])
    for at, finalizer in enumerate(meta.get("finalizers") or ()):
        path = f"metadata.finalizers[{at}]"
        if problem := key_problem(finalizer):
            causes.append(invalid_value(path, finalizer, problem))
        elif core and "/" not in finalizer and finalizer not in _FINALIZERS:
            why = "name is neither a standard finalizer name nor is it fully qualified"
            causes.append(invalid_value(path, finalizer, why))
    if {"orphan", "foregroundDeletion"} <= set(meta.get("finalizers") or ()):
        why = "finalizer orphan and foregroundDeletion cannot be both set"
        causes.append(invalid_value("metadata.finalizers", meta["finalizers"], why))
    return causes


_FINALIZERS = frozenset({"orphan", "foregroundDeletion", "kubernetes"})
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
CONFIG_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def _check_owners(owners: list[Any]) -> list[Cause]:
    causes: list[Cause] = []
    controllers = 0
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                word = "version must not be empty" if field == "apiVersion" else "must not be empty"
                causes.append(invalid_value(f"metadata.ownerReferences.{field}", "", word))
        controllers += bool(owner.get("controller"))
    if controllers > 1:
        why = "Only one reference can have Controller set to true."
        causes.append(invalid_value("metadata.ownerReferences", owners, why))
    return causes


def check_config_keys(data: Mapping[str, Any], path: str) -> list[Cause]:
    """Causes for keys of a ConfigMap or Secret."""
    causes: list[Cause] = []
    for key in data:
        if not _CONFIG_KEY.fullmatch(key) or len(key) > 253:
            causes.append(invalid_value(f"{path}[{key}]", key, CONFIG_KEY_WORDS))
    return causes
