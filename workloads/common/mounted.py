"""Documents that a ConfigMap mounts into a container: read as a model, or refused with the file and the field."""

import json
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Document = TypeVar("Document", bound=BaseModel)


class ConfigError(Exception):
    """A mounted file is missing or wrong; the message names the file and the field."""


def read_document(path: Path, model: type[Document]) -> Document:
    """The file's JSON as `model`; ConfigError when it is missing or wrong."""
    try:
        return model.model_validate(json.loads(path.read_text()))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except ValueError as error:
        raise ConfigError(f"{path}: not JSON: {error}") from error
