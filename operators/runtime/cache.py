"""The watched objects, as kopf's indices hold them, behind plain look-ups.

kopf fills every index before the first event handler runs, so a reconcile never mistakes "not seen yet" for "gone".
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from operators.api import Channel, FlashSale, LiveStream
from operators.api.base import Resource
from operators.core.plan import Manifest

KINDS: dict[str, type[Resource]] = {"Channel": Channel, "LiveStream": LiveStream, "FlashSale": FlashSale}


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

    def bind(self, resources: Index, children: Index, config_maps: Index) -> None:
        """Take over the indices that kopf hands to handlers; they stay the same objects for the process's life."""
        self._resources, self._children, self._config_maps = resources, children, config_maps

    @property
    def bound(self) -> bool:
        """Whether the first event has come."""
        return self._resources is not None

    def channel(self, namespace: str, name: str) -> Channel | None:
        """One Channel."""
        body = self._body("Channel", namespace, name)
        return Channel.model_validate(body) if body else None

    def stream(self, namespace: str, name: str) -> LiveStream | None:
        """One LiveStream."""
        body = self._body("LiveStream", namespace, name)
        return LiveStream.model_validate(body) if body else None

    def sale(self, namespace: str, name: str) -> FlashSale | None:
        """One FlashSale."""
        body = self._body("FlashSale", namespace, name)
        return FlashSale.model_validate(body) if body else None

    def streams(self, namespace: str | None = None) -> list[LiveStream]:
        """All LiveStreams (of a namespace), oldest first."""
        found = [LiveStream.model_validate(body) for body in self._bodies("LiveStream", namespace)]
        return sorted(found, key=lambda item: (item.metadata.creation_timestamp, item.metadata.name))

    def channels(self, namespace: str | None = None) -> list[Channel]:
        """All Channels (of a namespace)."""
        return [Channel.model_validate(body) for body in self._bodies("Channel", namespace)]

    def sales(self, namespace: str | None = None) -> list[FlashSale]:
        """All FlashSales (of a namespace)."""
        return [FlashSale.model_validate(body) for body in self._bodies("FlashSale", namespace)]

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

    def config_map(self, namespace: str, name: str) -> Manifest | None:
        """A ConfigMap that some stream names as its catalogue."""
        key = (namespace, name)
        if self._config_maps is None or key not in self._config_maps:
            return None
        return next(iter(self._config_maps[key]), None)

    def _body(self, kind: str, namespace: str, name: str) -> Mapping[str, Any] | None:
        key = (kind, namespace, name)
        if self._resources is None or key not in self._resources:
            return None
        return next(iter(self._resources[key]), None)

    def _bodies(self, kind: str, namespace: str | None) -> list[Mapping[str, Any]]:
        return [
            body
            for key in self.resource_keys()
            if key[0] == kind and namespace in (None, key[1])
            for body in [self._body(*key)]
            if body is not None
        ]
