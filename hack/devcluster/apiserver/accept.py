"""Content negotiation: the representations of an answer, chosen by the Accept header."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hack.devcluster.apiserver.errors import ApiError


@dataclass(frozen=True, slots=True)
class Form:
    """The representation: `shape` is empty, `Table`, `PartialObjectMetadata` or `APIGroupDiscoveryList`."""

    shape: str = ""
    version: str = ""
    yaml: bool = False

    @property
    def content_type(self) -> str:
        """The Content-Type header."""
        if self.yaml:
            return "application/yaml"
        if self.shape == "APIGroupDiscoveryList":
            return f"application/json;g=apidiscovery.k8s.io;v={self.version};as=APIGroupDiscoveryList"
        return "application/json"


PLAIN = Form()
_SHAPES = {
    "Table": ("meta.k8s.io", ("v1", "v1beta1")),
    "PartialObjectMetadata": ("meta.k8s.io", ("v1", "v1beta1")),
    "PartialObjectMetadataList": ("meta.k8s.io", ("v1", "v1beta1")),
    "APIGroupDiscoveryList": ("apidiscovery.k8s.io", ("v2", "v2beta1")),
}


@lru_cache(maxsize=256)
def negotiate(header: str) -> Form:
    """The first acceptable form; 406 when there is none."""
    if not header.strip():
        return PLAIN
    for clause in header.split(","):
        media, _, rest = clause.strip().partition(";")
        options = dict(part.strip().partition("=")[::2] for part in rest.split(";") if part.strip())
        if media not in ("application/json", "application/yaml", "*/*", "application/*"):
            continue
        yaml = media == "application/yaml"
        shape = options.get("as", "")
        if not shape:
            return Form(yaml=yaml)
        group, versions = _SHAPES.get(shape, ("", ()))
        if options.get("g") == group and options.get("v") in versions:
            return Form(
                shape=shape.removesuffix("MetadataList") + "Metadata" if shape.endswith("MetadataList") else shape,
                version=options["v"],
                yaml=yaml,
            )
    text = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml"
    raise ApiError(406, "NotAcceptable", text, details={})
