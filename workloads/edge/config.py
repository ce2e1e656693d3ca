"""Settings of the edge container."""

from pathlib import Path

from pydantic import Field

from workloads.common.access.config import AccessSettings

_WEB_DIST = Path(__file__).resolve().parent.parent / "web" / "dist"


class EdgeSettings(AccessSettings):
    """Environment of the edge, beside what every container has.

    `recorder_url` is the base address of the recorder, empty where there is none.
    """

    web_root: Path = _WEB_DIST
    web_connect_src: str = ""
    edge_cache_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024)
    edge_max_pending: int = Field(4096, ge=1)
    origin_connect_timeout_seconds: float = Field(1.0, gt=0)
    origin_timeout_seconds: float = Field(10.0, gt=0)
    recorder_url: str = Field("", pattern=r"^(https?://[^/\s]+)?$")
