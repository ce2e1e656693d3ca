"""Kinds by all the names that people type, their URL paths, and finding one object by its name.

A name without a namespace is looked for in the context's namespace, and then everywhere: shops rarely share a name, and
when they do the error says which namespaces to choose from.
"""

from dataclasses import dataclass

import click

from hack.cli.errors import UserError
from hack.cli.kube import Kube, Obj, Refused, not_there

API = "/apis/haat.dev/v1alpha1"


@dataclass(frozen=True, slots=True)
class Kind:
    """One custom resource."""

    name: str
    plural: str
    word: str
    aliases: tuple[str, ...]

    def path(self, namespace: str = "", name: str = "") -> str:
        """URL path of the collection or of one object."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{API}{scope}/{self.plural}" + (f"/{name}" if name else "")


CHANNEL = Kind("Channel", "channels", "channel", ("channels", "channel", "lch", "ch"))
STREAM = Kind(
    "LiveStream", "livestreams", "stream", ("streams", "stream", "livestreams", "livestream", "lstream", "st")
)
SALE = Kind("FlashSale", "flashsales", "sale", ("sales", "sale", "flashsales", "flashsale", "fsale"))
KINDS = (CHANNEL, STREAM, SALE)


class KindType(click.ParamType[Kind]):
    """A kind by any of its names."""

    name = "kind"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Kind:
        """The kind; a usage error that lists the names otherwise."""
        if isinstance(value, Kind):
            return value
        for kind in KINDS:
            if str(value).lower() in kind.aliases:
                return kind
        self.fail(f"{value!r} is no kind; give channels, streams or sales.", param, ctx)


def namespace_of(obj: Obj) -> str:
    """Namespace of an object."""
    return str(obj["metadata"].get("namespace") or "")


def reference(obj: Obj) -> str:
    """`shop/launch`."""
    return f"{namespace_of(obj)}/{obj['metadata']['name']}"


async def items(kube: Kube, kind: Kind, namespace: str = "") -> list[Obj]:
    """All objects of a kind. UserError when the cluster does not know the kind."""
    try:
        found: list[Obj] = (await kube.get(kind.path(namespace)))["items"]
    except Refused as error:
        if error.status == 404:
            raise UserError(
                f"{kube.server} does not serve {kind.plural}.haat.dev; install charts/haat-crds."
            ) from error
        raise
    return [{"apiVersion": "haat.dev/v1alpha1", "kind": kind.name, **item} for item in found]


async def find(kube: Kube, kind: Kind, name: str, namespace: str = "") -> Obj:
    """One object by name. Missing, or UserError when several namespaces have it."""
    if "/" in name and not namespace:
        namespace, _, name = name.partition("/")
    for place in dict.fromkeys(filter(None, (namespace, "" if namespace else kube.namespace))):
        found = await kube.find(kind.path(place, name))
        if found:
            return found
    if namespace:
        raise not_there(f"{kind.word} {namespace}/{name}")
    matches = [item for item in await items(kube, kind) if item["metadata"]["name"] == name]
    if not matches:
        raise not_there(f"{kind.word} {name}")
    if len(matches) > 1:
        places = ", ".join(sorted(namespace_of(item) for item in matches))
        raise UserError(f"there is a {kind.word} {name} in {places}; choose one with -n.")
    return matches[0]
