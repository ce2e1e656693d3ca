"""Settings of the ingest container."""

from pydantic import Field

from workloads.common.settings import Settings


class IngestSettings(Settings):
    """Environment of ingest, beside what every container has."""

    rtmp_port: int = Field(1935, ge=1, le=65535)
    srt_port: int = Field(0, ge=0, le=65535, description="UDP; 0: no SRT")
    srt_latency_ms: int = Field(200, ge=20, le=8000)
    seal_key: str = ""
    max_connections: int = Field(500, ge=1)
    max_answer_bytes: int = Field(65_536, ge=4096)
    handshake_timeout_seconds: float = Field(5.0, gt=0)
    idle_timeout_seconds: float = Field(30.0, gt=0)
