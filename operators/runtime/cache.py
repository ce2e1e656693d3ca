"""The watched objects, as kopf's indices hold them, behind plain look-ups.

kopf fills every index before the first event handler runs, so a reconcile never mistakes "not seen yet" for "gone".
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from operators.api import Channel, FlashSale, LiveStream
from operators.api.base import Metadata, Resource
from operators.core.plan import Manifest

KINDS: dict[str, type[Resource]] = {"Channel": Channel, "LiveStream": LiveStream, "FlashSale": FlashSale}
Kind = TypeVar("Kind", bound=Resource)


class InvalidResource(Exception):
    """An object that the API server let through and our models do not: its definition is of another version."""

    def __init__(self, kind: type[Resource], metadata: Metadata, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.metadata = metadata


class Index(Protocol):
    """The part of a kopf index that is read here: key -> values."""

    def __getitem__(self, key: Any, /) -> Iterable[Any]: ...
    def __contains__(self, key: Any, /) -> bool: ...
    def __iter__(self) -> Iterator[Any]: ...


class Cache:
    """Look-ups over the indices: resources by (kind, namespace, name), children by (namespace, owner)."""

    def __init__(self) -> None:
        self._resources: Index | None = None
        self._children: Index | None = None
        self._config_maps: Index | None = None
        self._pods: Index | None = None

    def bind(self, resources: Index, children: Index, config_maps: Index, pods: Index) -> None:
        """Take over the indices that kopf hands to handlers; they stay the same objects for the process's life."""
        self._resources, self._children, self._config_maps, self._pods = resources, children, config_maps, pods

    @property
    def bound(self) -> bool:
        """Whether the first event has come."""
        return self._resources is not None

    def channel(self, namespace: str, name: str) -> Channel | None:
        """One Channel. InvalidResource when it cannot be read."""
        return self._one(Channel, namespace, name)

    def stream(self, namespace: str, name: str) -> LiveStream | None:
        """One LiveStream. InvalidResource when it cannot be read."""
        return self._one(LiveStream, namespace, name)

    def sale(self, namespace: str, name: str) -> FlashSale | None:
        """One FlashSale. InvalidResource when it cannot be read."""
        return self._one(FlashSale, namespace, name)

    def streams(self, namespace: str | None = None) -> list[LiveStream]:
        """All LiveStreams (of a namespace) that can be read, oldest first."""
        return sorted(
            self._all(LiveStream, namespace), key=lambda item: (item.metadata.creation_timestamp, item.metadata.name)
        )

    def channels(self, namespace: str | None = None) -> list[Channel]:
        """All Channels (of a namespace) that can be read."""
        return self._all(Channel, namespace)

    def sales(self, namespace: str | None = None) -> list[FlashSale]:
        """All FlashSales (of a namespace) that can be read."""
        return self._all(FlashSale, namespace)

    def _one(self, kind: type[Kind], namespace: str, name: str) -> Kind | None:
        key = (kind.kind_name, namespace, name)
        if self._resources is None or key not in self._resources:
            return None
        found = next(iter(self._resources[key]), None)
        if isinstance(found, InvalidResource):
            raise found
        return found if isinstance(found, kind) else None

    def _all(self, kind: type[Kind], namespace: str | None) -> list[Kind]:
        """One object that cannot be read must not hide the others."""
        return [
            item
            for key in self.resource_keys()
            if key[0] == kind.kind_name and namespace in (None, key[1])
            for item in (self._resources or {})[key]
            if isinstance(item, kind)
        ]

    def resource_keys(self) -> list[tuple[str, str, str]]:
        """(kind, namespace, name) of every custom resource."""
        return list(self._resources) if self._resources else []

    def children(self, owner: Resource) -> dict[tuple[str, str], Manifest]:
        """Live children of an owner by (kind, name); another life of the same name does not count."""
        key = (owner.metadata.namespace, f"{owner.kind_name.lower()}.{owner.metadata.name}"[:63])
        if self._children is None or key not in self._children:
            return {}
        found: dict[tuple[str, str], Manifest] = {}
        for body in self._children[key]:
            references = body["metadata"].get("ownerReferences") or ()
            if any(reference.get("uid") == owner.metadata.uid for reference in references):
                found[(body["kind"], body["metadata"]["name"])] = body
        return found

    def pods(self, owner: Resource) -> list[Manifest]:
        """Pods of an owner's workloads, by name."""
        return self.pods_labelled(owner.metadata.namespace, f"{owner.kind_name.lower()}.{owner.metadata.name}"[:63])

    def pods_labelled(self, namespace: str, owner: str) -> list[Manifest]:
        """Pods with this owner label, by name."""
        key = (namespace, owner)
        if self._pods is None or key not in self._pods:
            return []
        return sorted(self._pods[key], key=lambda body: str(body["metadata"]["name"]))

    def labelled(self, namespace: str, owner: str) -> dict[tuple[str, str], Manifest]:
        """Objects with this owner label that belong to no custom resource, by (kind, name)."""
        key = (namespace, owner)
        if self._children is None or key not in self._children:
            return {}
        return {(body["kind"], body["metadata"]["name"]): body for body in self._children[key]}

    def owner_labels(self) -> set[tuple[str, str]]:
        """(namespace, owner label) of all children."""
        return set(self._children) if self._children else set()

    def all_pods(self) -> list[Manifest]:
        """Every pod of every stream, channel, sale and pool."""
        if self._pods is None:
            return []
        return [body for key in self._pods for body in self._pods[key]]

    def config_map(self, namespace: str, name: str) -> Manifest | None:
        """A ConfigMap that some stream names as its catalogue."""
        key = (namespace, name)
        if self._config_maps is None or key not in self._config_maps:
            return None
        return next(iter(self._config_maps[key]), None)


def parse(body: Mapping[str, Any]) -> Resource | InvalidResource:
    """An object of one of our kinds as it is kept here."""
    kind = KINDS[body["kind"]]
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return InvalidResource(kind, Metadata.model_validate(body["metadata"]), f"{field}: {first['msg']}")


def slim(body: Mapping[str, Any]) -> Manifest:
    """A child as it is kept here: without the record of its managers, which is larger than the rest."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    return dict(body) | {"metadata": metadata}
