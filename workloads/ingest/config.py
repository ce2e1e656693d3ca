"""Settings of the ingest container."""

from pathlib import Path

from pydantic import Field

from workloads.common.settings import Settings


class IngestSettings(Settings):
    """Environment of ingest, beside what every container has."""

    rtmp_port: int = Field(1935, ge=1, le=65535)
    rtmps_port: int = Field(0, ge=0, le=65535, description="0: no RTMPS")
    tls_chain_file: Path = Path("/etc/haat/tls/tls.crt")
    tls_key_file: Path = Path("/etc/haat/tls/tls.key")
    srt_port: int = Field(0, ge=0, le=65535, description="UDP; 0: no SRT")
    srt_latency_ms: int = Field(200, ge=20, le=8000)
    seal_key: str = ""
    pull_networks: str = Field("", description="Private networks that sources may be in, separated by commas.")
    pull_root: Path | None = Field(None, description="Folder of files that may be pulled; none without it.")
    max_pulls: int = Field(20, ge=0)
    ffmpeg: str = Field("", description="Path of ffmpeg; default: the wheel's.")
    max_publish_kbps: int = Field(40_000, ge=100)
    max_connections: int = Field(500, ge=1)
    max_answer_bytes: int = Field(65_536, ge=4096)
    handshake_timeout_seconds: float = Field(5.0, gt=0)
    idle_timeout_seconds: float = Field(30.0, gt=0)
