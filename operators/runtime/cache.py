"""The watched objects behind plain look-ups.

kopf calls the indexing functions for every custom resource before the first event handler runs, and each informer lists
before it follows, so a reconcile never mistakes "not seen yet" for "gone". The objects are kept as the API server sent
them, without the record of their managers, and turned into models when somebody looks: two thousand resources that wait
cost little.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from operators.api import Channel, FlashSale, LiveStream
from operators.api.base import Metadata, Resource
from operators.core.plan import Manifest

KINDS: dict[str, type[Resource]] = {"Channel": Channel, "LiveStream": LiveStream, "FlashSale": FlashSale}
PARSED = 1024
"""Models that are kept, of some 14 KB each. Every stream looks at all streams of its channel: with less room than a
busy channel's streams, each look would parse them all again."""
Kind = TypeVar("Kind", bound=Resource)
Key = tuple[str, str, str]


class InvalidResource(Exception):
    """An object that the API server let through and our models do not: its definition is of another version."""

    def __init__(self, kind: type[Resource], metadata: Metadata, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.metadata = metadata


class Cache:
    """Look-ups over what was seen: resources by (kind, namespace, name), children and pods by (namespace, owner)."""

    def __init__(self) -> None:
        self.indexed = False
        self.unlisted: set[str] = set()
        self._resources: dict[Key, Manifest] = {}
        self._names: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._by_channel: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        self._children: dict[tuple[str, str], dict[tuple[str, str], Manifest]] = defaultdict(dict)
        self._owners: dict[Key, str] = {}
        self._pods: dict[tuple[str, str], dict[str, Manifest]] = defaultdict(dict)
        self._config_maps: dict[tuple[str, str], Manifest] = {}
        self._parsed: OrderedDict[Key, tuple[str, Resource | InvalidResource]] = OrderedDict()

    # What the watches put in.

    def put(self, body: Mapping[str, Any]) -> None:
        """A custom resource as it is now."""
        kind, namespace, name = key = _key(body)
        self._resources[key] = slim(body)
        self._names[(kind, namespace)][name] = None
        if kind == "LiveStream":
            self._by_channel[(namespace, _channel_of(body))][name] = None

    def drop(self, body: Mapping[str, Any]) -> None:
        """A custom resource is gone."""
        kind, namespace, name = key = _key(body)
        self._resources.pop(key, None)
        self._parsed.pop(key, None)
        self._names[(kind, namespace)].pop(name, None)
        if kind == "LiveStream":
            self._by_channel[(namespace, _channel_of(body))].pop(name, None)

    @property
    def bound(self) -> bool:
        """Whether everything that exists was seen: the custom resources and all kinds of children."""
        return self.indexed and not self.unlisted

    def put_child(self, body: Mapping[str, Any], owner: str) -> str:
        """A child as it is now; the owner that it had before. Pods are kept apart, because nobody plans them."""
        kind, namespace, name = key = _key(body)
        before = self._owners.get(key, owner)
        if before != owner:
            self.drop_child(kind, namespace, name)
        self._owners[key] = owner
        if kind == "Pod":
            self._pods[(namespace, owner)][name] = slim(body)
        else:
            self._children[(namespace, owner)][(kind, name)] = slim(body)
        return before

    def drop_child(self, kind: str, namespace: str, name: str) -> str:
        """A child is gone; the owner that it had, or "" for one that was not seen."""
        owner = self._owners.pop((kind, namespace, name), "")
        table: dict[tuple[str, str], Any] = self._pods if kind == "Pod" else self._children
        held = table.get((namespace, owner), {})
        held.pop(name if kind == "Pod" else (kind, name), None)
        if not held:
            table.pop((namespace, owner), None)
        return owner

    def child_versions(self, kind: str, namespace: str = "") -> dict[tuple[str, str], str]:
        """Resource versions of a kind's children, in one namespace or in all, by (namespace, name)."""
        found = {}
        for (what, space, name), owner in self._owners.items():
            if what == kind and namespace in ("", space):
                held: Manifest = self._pods[(space, owner)][name] if kind == "Pod" else self._held(kind, space, name)
                found[(space, name)] = str(held["metadata"].get("resourceVersion"))
        return found

    def _held(self, kind: str, namespace: str, name: str) -> Manifest:
        return self._children[(namespace, self._owners[(kind, namespace, name)])][(kind, name)]

    def put_config_map(self, body: Mapping[str, Any]) -> None:
        """A ConfigMap that some stream may name as its catalogue."""
        _, namespace, name = _key(body)
        self._config_maps[(namespace, name)] = slim(body)

    def drop_config_map(self, body: Mapping[str, Any]) -> None:
        """Such a ConfigMap is gone."""
        _, namespace, name = _key(body)
        self._config_maps.pop((namespace, name), None)

    # What the reconciles look up.

    def channel(self, namespace: str, name: str) -> Channel | None:
        """One Channel. InvalidResource when it cannot be read."""
        return self._one(Channel, namespace, name)

    def stream(self, namespace: str, name: str) -> LiveStream | None:
        """One LiveStream. InvalidResource when it cannot be read."""
        return self._one(LiveStream, namespace, name)

    def sale(self, namespace: str, name: str) -> FlashSale | None:
        """One FlashSale. InvalidResource when it cannot be read."""
        return self._one(FlashSale, namespace, name)

    def streams(
        self, namespace: str | None = None, *, that: Callable[[Manifest], bool] | None = None
    ) -> list[LiveStream]:
        """LiveStreams (of a namespace) that can be read, oldest first; `that` looks at the plain object first."""
        return sorted(self._all(LiveStream, namespace, that), key=_age)

    def streams_of(self, namespace: str, channel: str) -> list[LiveStream]:
        """LiveStreams of a channel, oldest first."""
        names = list(self._by_channel.get((namespace, channel), ()))
        return sorted((item for name in names for item in self.readable(LiveStream, namespace, name)), key=_age)

    def stream_names(self, namespace: str, channel: str) -> list[str]:
        """Names of the LiveStreams of a channel."""
        return list(self._by_channel.get((namespace, channel), ()))

    def channels(self, namespace: str | None = None) -> list[Channel]:
        """Channels (of a namespace) that can be read."""
        return self._all(Channel, namespace)

    def sales(self, namespace: str | None = None) -> list[FlashSale]:
        """FlashSales (of a namespace) that can be read."""
        return self._all(FlashSale, namespace)

    def resource_keys(self) -> list[Key]:
        """(kind, namespace, name) of every custom resource."""
        return list(self._resources)

    def bodies(self) -> Iterator[Manifest]:
        """Every custom resource as the API server sent it."""
        yield from list(self._resources.values())

    def stream_ids(self) -> list[str]:
        """`<namespace>/<name>` of every LiveStream."""
        return [f"{namespace}/{name}" for kind, namespace, name in self._resources if kind == "LiveStream"]

    def children(self, owner: Resource) -> dict[tuple[str, str], Manifest]:
        """Live children of an owner by (kind, name); another life of the same name does not count."""
        found = self._children.get((owner.metadata.namespace, label_of(owner)), {})
        return {key: body for key, body in found.items() if owner.metadata.uid in _owners(body)}

    def has_child(self, kind: str, namespace: str, name: str) -> bool:
        """Whether somebody's child of that kind and name was seen."""
        return (kind, namespace, name) in self._owners

    def pods(self, owner: Resource) -> list[Manifest]:
        """Pods of an owner's workloads, by name."""
        return self.pods_labelled(owner.metadata.namespace, label_of(owner))

    def pods_labelled(self, namespace: str, owner: str) -> list[Manifest]:
        """Pods with this owner label, by name."""
        found = self._pods.get((namespace, owner), {})
        return [found[name] for name in sorted(found)]

    def labelled(self, namespace: str, owner: str) -> dict[tuple[str, str], Manifest]:
        """Objects with this owner label that belong to no custom resource, by (kind, name)."""
        return dict(self._children.get((namespace, owner), {}))

    def owner_labels(self) -> set[tuple[str, str]]:
        """(namespace, owner label) of all children."""
        return set(self._children)

    def all_pods(self) -> list[Manifest]:
        """Every pod of every stream, channel, sale and pool."""
        return [body for found in list(self._pods.values()) for body in found.values()]

    def config_map(self, namespace: str, name: str) -> Manifest | None:
        """A ConfigMap that some stream names as its catalogue."""
        return self._config_maps.get((namespace, name))

    def _one(self, kind: type[Kind], namespace: str, name: str) -> Kind | None:
        key = (kind.kind_name, namespace, name)
        body = self._resources.get(key)
        if body is None:
            return None
        version = str(body["metadata"].get("resourceVersion"))
        known = self._parsed.get(key)
        if known is None or known[0] != version:
            known = (version, parse(body))
            self._parsed[key] = known
            if len(self._parsed) > PARSED:
                self._parsed.popitem(last=False)
        self._parsed.move_to_end(key)
        if isinstance(known[1], InvalidResource):
            raise known[1]
        return known[1] if isinstance(known[1], kind) else None

    def readable(self, kind: type[Kind], namespace: str, name: str) -> Iterator[Kind]:
        """The object, or nothing when there is none or it cannot be read: one such must not hide the others."""
        try:
            found = self._one(kind, namespace, name)
        except InvalidResource:
            return
        if found is not None:
            yield found

    def _all(
        self, kind: type[Kind], namespace: str | None, that: Callable[[Manifest], bool] | None = None
    ) -> list[Kind]:
        keys: Iterable[Key]
        if namespace is not None:
            names = list(self._names.get((kind.kind_name, namespace), ()))
            keys = [(kind.kind_name, namespace, name) for name in names]
        else:
            keys = [key for key in self._resources if key[0] == kind.kind_name]
        wanted = [key for key in keys if that is None or that(self._resources[key])]
        return [item for _, space, name in wanted for item in self.readable(kind, space, name)]


def parse(body: Mapping[str, Any]) -> Resource | InvalidResource:
    """An object of one of our kinds as a model."""
    kind = KINDS[body["kind"]]
    try:
        return kind.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return InvalidResource(kind, Metadata.model_validate(body["metadata"]), f"{field}: {first['msg']}")


def slim(body: Mapping[str, Any]) -> Manifest:
    """An object as it is kept here: without the record of its managers, which is larger than the rest."""
    metadata = {key: value for key, value in body["metadata"].items() if key != "managedFields"}
    annotations = metadata.get("annotations")
    if annotations and LAST_APPLIED in annotations:
        metadata["annotations"] = {key: value for key, value in annotations.items() if key != LAST_APPLIED}
    return dict(body) | {"metadata": metadata}


LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def label_of(owner: Resource) -> str:
    """Value of `haat.dev/owner` on an owner's children."""
    return f"{owner.kind_name.lower()}.{owner.metadata.name}"[:63]


def _key(body: Mapping[str, Any]) -> Key:
    metadata = body["metadata"]
    return str(body["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"])


def _channel_of(body: Mapping[str, Any]) -> str:
    return str(((body.get("spec") or {}).get("channel") or {}).get("name") or "")


def _owners(body: Manifest) -> set[str]:
    return {reference.get("uid", "") for reference in body["metadata"].get("ownerReferences") or ()}


def _age(stream: LiveStream) -> tuple[str, str]:
    return stream.metadata.creation_timestamp, stream.metadata.name
