"""Settings of a container, read from the environment that its manifest sets.

One class for all workloads; a workload with settings of its own subclasses it. Values are checked at start, so that a
wrong manifest fails with the variable's name instead of at the first request.
"""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Environment of every Haat container (see docs/explanation/contracts.md)."""

    model_config = SettingsConfigDict(env_prefix="HAAT_", extra="ignore", populate_by_name=True)

    pod_ip: str = Field("127.0.0.1", validation_alias=AliasChoices("POD_IP", "pod_ip"))
    pod_name: str = Field("local", validation_alias=AliasChoices("POD_NAME", "pod_name"))
    pod_namespace: str = Field("default", validation_alias=AliasChoices("POD_NAMESPACE", "pod_namespace"))
    listen_port: int = Field(8080, ge=1, le=65535)
    redis_url: str = "redis://127.0.0.1:6379/0"
    database_url: str = ""
    auth_jwks: str = ""
    log_level: str = "INFO"
    stream_file: Path | None = None
    drain_seconds: float = Field(20.0, ge=0, le=3600)
