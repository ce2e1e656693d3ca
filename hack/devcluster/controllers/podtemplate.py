"""Pods from a template."""

from collections.abc import Mapping

from hack.devcluster.objects import Obj, clone, namespace_of, owner_reference, random_suffix
from hack.devcluster.resources import Resource


def pod_from_template(
    owner: Obj, kind: Resource, template: Obj, *, name: str = "", labels: Mapping[str, str] | None = None
) -> Obj:
    """A pod owned by `owner`; with a random name below the owner's unless one is given."""
    base = clone(template)
    metadata = base.get("metadata") or {}
    fresh = {
        "name": name or f"{owner['metadata']['name'][:57]}-{random_suffix()}",
        "namespace": namespace_of(owner),
        "labels": {**(metadata.get("labels") or {}), **(labels or {})},
        "ownerReferences": [owner_reference(owner, kind)],
    }
    if metadata.get("annotations"):
        fresh["annotations"] = metadata["annotations"]
    if metadata.get("finalizers"):
        fresh["finalizers"] = metadata["finalizers"]
    return {"metadata": fresh, "spec": base.get("spec") or {}}
