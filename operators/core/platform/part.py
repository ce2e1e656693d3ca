"""The base of everything in the platform file, and sizes."""

from pydantic import ConfigDict
from pydantic.alias_generators import to_camel

from operators.api.base import Model


class Part(Model):
    """Base of every part of the file."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid", frozen=True)


class Size(Part):
    """Requests and limits of a component."""

    cpu: str = "100m"
    memory: str = "128Mi"
    memory_limit: str = "512Mi"
