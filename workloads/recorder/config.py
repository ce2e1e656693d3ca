"""Settings of the recorder container."""

from pathlib import Path

from pydantic import Field

from workloads.common.settings import Settings

_MIB = 1024 * 1024


class RecorderSettings(Settings):
    """Environment of the recorder, beside what every container has.

    `recorder_storage_url` is `file:///folder` or `s3://bucket/prefix`; for the latter the usual AWS variables give
    endpoint and credentials. The spool holds what is not stored yet; above `recorder_spool_bytes` the oldest segments
    are given up.
    """

    recorder_storage_url: str = Field("file:///tmp/haat-recordings", pattern=r"^(file:///.+|s3://[a-z0-9].+)$")
    recorder_spool_dir: Path = Path("/tmp/haat-spool")  # noqa: S108 - a volume of the pod's own
    recorder_spool_bytes: int = Field(2048 * _MIB, ge=_MIB)
    recorder_max_streams: int = Field(64, ge=1)
    recorder_max_seconds: float = Field(12 * 3600.0, gt=0)
    recorder_storage_timeout_seconds: float = Field(15.0, gt=0)
    recorder_sweep_seconds: float = Field(300.0, gt=0)
    recorder_abandoned_seconds: float = Field(600.0, gt=0)
    recorder_clip_max_seconds: float = Field(300.0, ge=1)
