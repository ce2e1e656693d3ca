"""What a reconcile wants: the one value that passes from the pure planners to the executor."""

from dataclasses import dataclass, field
from typing import Any, Literal

from operators.core.pooling import Wish

Manifest = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """Names one object of the cluster."""

    api_version: str
    kind: str
    namespace: str
    name: str


def ref_of(manifest: Manifest) -> ObjectRef:
    """The reference of a manifest."""
    metadata = manifest["metadata"]
    return ObjectRef(manifest["apiVersion"], manifest["kind"], metadata.get("namespace", ""), metadata["name"])


@dataclass(frozen=True, slots=True)
class Event:
    """A Kubernetes event on the reconciled object."""

    type: Literal["Normal", "Warning"]
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Publication:
    """One field of a Redis hash that the data plane reads; `value` None removes it.

    What is `sealed` leaves this process closed, and not at all when the platform has no key for that.
    """

    key: str
    field: str
    value: str | None
    announce: str | None = None
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Patch:
    """A JSON merge patch of an object that somebody else made, such as a pod of a Deployment."""

    ref: ObjectRef
    body: Manifest


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything one reconcile does, in this order: patches, applies, deletes, publications, status, events.

    `delete_self` removes the object itself (its time to live is over); `release` takes our finalizer off. `wish` is the
    place on a pool's worker that a pooled stream wants; without one it gives its place back.
    """

    patches: tuple[Patch, ...] = ()
    wish: Wish | None = None
    applies: tuple[Manifest, ...] = ()
    deletes: tuple[ObjectRef, ...] = ()
    publications: tuple[Publication, ...] = ()
    status: dict[str, Any] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    requeue_after: float | None = None
    release: bool = False
    delete_self: bool = False
