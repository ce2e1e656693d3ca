"""What all recordings of a process use, and the names under which open ones are known in Redis."""

from dataclasses import dataclass

from redis.asyncio import Redis

from workloads.recorder.config import RecorderSettings
from workloads.recorder.metrics import Metrics
from workloads.recorder.origin import Origin
from workloads.recorder.spool import Spool
from workloads.recorder.storage import Storage

OPEN_KEY = "haat:recordings"
"""Hash: stream id -> JSON `{"id","uid"}` of the recording that grows."""

ENDING_KEY = "haat:recordings:ending"
"""Set of `<ns>/<name>/<recording id>` that have to be finished."""

LATEST_KEY = "haat:recordings:latest"
"""Hash: stream id -> JSON `{"id","state","started_ms","ended_ms","duration_ms","master"}` of the newest recording."""


@dataclass(frozen=True, slots=True)
class Tools:
    """`writer` names this process in the documents that it writes, so that no two processes write the same."""

    settings: RecorderSettings
    storage: Storage
    spool: Spool
    origin: Origin
    redis: Redis
    metrics: Metrics
    writer: str
