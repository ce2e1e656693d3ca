"""Settings of the operators' container."""

from pathlib import Path

from pydantic import AliasChoices, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class OperatorSettings(BaseSettings):
    """Environment of `python -m operators`."""

    model_config = SettingsConfigDict(env_prefix="HAAT_", extra="ignore", populate_by_name=True)

    pod_ip: str = Field("127.0.0.1", validation_alias=AliasChoices("POD_IP", "pod_ip"))
    pod_name: str = Field("local", validation_alias=AliasChoices("POD_NAME", "pod_name"))
    pod_namespace: str = Field("haat-system", validation_alias=AliasChoices("POD_NAMESPACE", "pod_namespace"))
    listen_port: int = Field(8080, ge=1, le=65535)
    platform_file: Path = Path("/etc/haat/platform/platform.yaml")
    redis_url: str = "redis://127.0.0.1:6379/0"
    seal_key: str = Field("", description="Closes stream keys for ingest; without it there is no SRT.")
    log_level: str = "INFO"
    workers: int = Field(16, ge=1, le=256)
    watch_namespaces: str = Field("", description="Comma-separated namespaces; empty: the whole cluster.")
    leader_election: bool = True
    resync_seconds: float = Field(300.0, gt=0)
    sweep_seconds: float = Field(1.0, gt=0)

    @property
    def namespaces(self) -> list[str]:
        """The namespaces to watch; empty means all."""
        return [name.strip() for name in self.watch_namespaces.split(",") if name.strip()]
