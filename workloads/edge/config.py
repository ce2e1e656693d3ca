"""Settings of the edge container."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from workloads.common.access.config import AccessSettings
from workloads.edge.limit.overload import Limits
from workloads.edge.limit.sessions import SessionLimits

_WEB_DIST = Path(__file__).resolve().parent.parent / "web" / "dist"


class EdgeSettings(AccessSettings):
    """Environment of the edge, beside what every container has.

    `recorder_url` is the base address of the recorder, empty where there is none. An account may have
    `edge_account_sessions` at a time (0: any number), a viewer `edge_viewer_kbps` (0: any).
    """

    web_root: Path = _WEB_DIST
    web_connect_src: str = ""
    edge_cache_bytes: int = Field(256 * 1024 * 1024, ge=1024 * 1024)
    edge_max_pending: int = Field(4096, ge=1)
    origin_connect_timeout_seconds: float = Field(1.0, gt=0)
    origin_timeout_seconds: float = Field(10.0, gt=0)
    recorder_url: str = Field("", pattern=r"^(https?://[^/\s]+)?$")
    edge_account_sessions: int = Field(0, ge=0)
    edge_account_policy: Literal["evict", "refuse"] = "evict"
    edge_viewer_kbps: int = Field(0, ge=0)
    edge_max_connections: int = Field(20_000, ge=1)
    edge_max_lag_seconds: float = Field(0.25, gt=0)

    @property
    def session_limits(self) -> SessionLimits:
        """How many sessions an account may have, and how much a viewer may take."""
        return SessionLimits(self.edge_account_sessions, self.edge_account_policy, self.edge_viewer_kbps)

    @property
    def overload_limits(self) -> Limits:
        """When new viewers are turned away."""
        return Limits(self.edge_max_lag_seconds, self.edge_max_connections, self.edge_max_pending)
