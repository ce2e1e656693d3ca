"""Settings of the probe."""

from pydantic import Field

from workloads.common.settings import Settings


class ProbeSettings(Settings):
    """Environment of the probe, beside what every container has."""

    edge_url: str = "http://127.0.0.1:8080"
    max_watched: int = Field(20, ge=1, le=500, description="Streams that are watched at the same time.")
    watch_seconds: float = Field(15.0, ge=2, le=300, description="How long a stream is watched before another's turn.")
