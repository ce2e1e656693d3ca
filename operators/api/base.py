"""What every custom resource shares: naming, references, durations, conditions and the description of a CRD.

Field names are snake_case in Python and camelCase on the wire. Unknown fields are ignored here, because the API
server prunes them and an older operator must read a newer object.
"""

import re
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "haat.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

DURATION_PATTERN = r"^([0-9]+h)?([0-9]+m)?([0-9]+s)?$"
NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class Model(BaseModel):
    """Base of every object inside a custom resource."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore", frozen=True)


def rules(*pairs: tuple[str, str]) -> dict[str, Any]:
    """CEL rules for a model's or field's schema: (rule, message) each."""
    return {"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in pairs]}


def set_list(max_items: int, **extra: Any) -> Any:
    """A list of unique scalars with at most `max_items` entries."""
    return Field(default=(), max_length=max_items, json_schema_extra={"x-kubernetes-list-type": "set"} | extra)


def map_list(key: str, max_items: int, *, min_items: int = 0, required: bool = False, **extra: Any) -> Any:
    """A list of objects that `key` identifies."""
    schema = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [key]} | extra
    default: Any = ... if required else ()
    return Field(default, max_length=max_items, min_length=min_items or None, json_schema_extra=schema)


def seconds(duration: str) -> float:
    """Seconds of a duration such as `1h30m`; ValueError when it is not one."""
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", duration)
    if not match or not duration:
        raise ValueError(f"{duration!r} is not a duration such as 90s, 5m or 1h30m")
    hours, minutes, secs = (int(part or 0) for part in match.groups())
    return float(hours * 3600 + minutes * 60 + secs)


def _checked(duration: str) -> str:
    seconds(duration)
    return duration


Duration = Annotated[
    str, Field(pattern=DURATION_PATTERN, min_length=2, max_length=20, examples=["90s"]), AfterValidator(_checked)
]
DateTime = Annotated[str, Field(json_schema_extra={"format": "date-time"}, max_length=40)]
TimeZone = Annotated[
    str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_+/-]*$", description="IANA name.")
]
CpuQuantity = Annotated[str, Field(max_length=16, pattern=r"^([0-9]+m?|[0-9]+\.[0-9]+)?$")]
MemoryQuantity = Annotated[str, Field(max_length=16, pattern=r"^([0-9]+(Ki|Mi|Gi)?)?$")]
ObjectName = Annotated[str, Field(min_length=1, max_length=63, pattern=NAME_PATTERN)]


class Ref(Model):
    """A reference to an object of the same namespace."""

    name: ObjectName


class Condition(Model):
    """metav1.Condition: `status` is True, False or Unknown; `reason` is one CamelCase word."""

    type: Annotated[str, Field(max_length=316)]
    status: Annotated[str, Field(json_schema_extra={"enum": ["True", "False", "Unknown"]})]
    reason: Annotated[str, Field(min_length=1, max_length=1024)]
    message: Annotated[str, Field(max_length=32768)] = ""
    observed_generation: int | None = Field(None, ge=0)
    last_transition_time: DateTime


class Column(BaseModel):
    """One printer column of `kubectl get`."""

    name: str
    type: str = "string"
    path: str
    priority: int = 0

    def manifest(self) -> dict[str, Any]:
        """The column as the CRD wants it."""
        column: dict[str, Any] = {"name": self.name, "type": self.type, "jsonPath": self.path}
        return column | ({"priority": self.priority} if self.priority else {})


def ready_columns() -> tuple[Column, ...]:
    """The columns that every kind ends with."""
    return (
        Column(name="Reason", path='.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column(name="Age", type="date", path=".metadata.creationTimestamp"),
    )


READY_COLUMN = Column(name="Ready", path='.status.conditions[?(@.type=="Ready")].status')


class OwnerReference(Model):
    """The part of an owner reference that the operators read."""

    uid: str
    kind: str
    name: str
    controller: bool = False


class Metadata(Model):
    """The part of ObjectMeta that the operators read."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    owner_references: tuple[OwnerReference, ...] = ()


class Resource(Model):
    """A whole custom resource: subclasses add `spec` and `status` and describe their CRD."""

    kind_name: ClassVar[str]
    plural: ClassVar[str]
    short_names: ClassVar[tuple[str, ...]]
    description: ClassVar[str]
    columns: ClassVar[tuple[Column, ...]]
    root_rules: ClassVar[tuple[tuple[str, str], ...]] = ()

    metadata: Metadata

    @property
    def id(self) -> str:
        """`<namespace>/<name>`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"

    @property
    def deleting(self) -> bool:
        """Whether the object waits for its finalizers."""
        return self.metadata.deletion_timestamp is not None
