"""Entry point: `python -m workloads.finalize`, run once as a Job."""

import asyncio
import logging
import sys

from pydantic import BaseModel, ConfigDict, Field

from workloads.common import logs, redis
from workloads.common.mounted import ConfigError, read_document
from workloads.common.settings import Settings
from workloads.finalize.close import Broadcast, close

logger = logging.getLogger(__name__)


class FinalizeSettings(Settings):
    """What the operators know of the broadcast."""

    peak_viewers: int = Field(0, ge=0)
    started_at: str = ""
    ended_at: str = ""
    end_reason: str = ""


class StreamSpec(BaseModel):
    """`stream.json`, as far as it is needed here."""

    model_config = ConfigDict(extra="ignore")

    stream: str
    uid: str = ""


def main() -> None:
    """Exit status 0 when done, 2 when the manifest is wrong, 1 when Redis did not answer (the Job tries again)."""
    settings = FinalizeSettings()
    logs.configure(settings.log_level)
    try:
        if settings.stream_file is None:
            raise ConfigError("HAAT_STREAM_FILE is not set")
        spec = read_document(settings.stream_file, StreamSpec)
    except ConfigError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    broadcast = Broadcast(
        stream=spec.stream,
        uid=spec.uid,
        peak_viewers=settings.peak_viewers,
        started_at=settings.started_at,
        ended_at=settings.ended_at,
        end_reason=settings.end_reason,
    )
    asyncio.run(_run(settings.redis_url, broadcast))
    logger.info("the broadcast is closed", extra={"stream": spec.stream})


async def _run(redis_url: str, broadcast: Broadcast) -> None:
    store = redis.connect(redis_url)
    try:
        await close(store, broadcast)
    finally:
        await store.aclose()


if __name__ == "__main__":
    main()
