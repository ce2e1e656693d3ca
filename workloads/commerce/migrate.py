"""Bring the database to the newest version, once, however many pods start at the same time.

An advisory lock serialises them; a pod that finds the version right does not even load Alembic.
"""

import logging
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

HEAD = "0001"
_LOCK = 4_215_001

logger = logging.getLogger(__name__)


async def migrate(url: str) -> None:
    """Upgrade to HEAD. `url` is a plain postgresql:// URL."""
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1))
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            if await _version(connection) == HEAD:
                return
            await connection.run_sync(_upgrade)
            logger.info("the database is at version %s", HEAD)
    finally:
        await engine.dispose()


async def _version(connection: Any) -> str | None:
    exists = await connection.scalar(text("SELECT to_regclass('public.alembic_version')"))
    if exists is None:
        return None
    version: str | None = await connection.scalar(text("SELECT version_num FROM public.alembic_version"))
    return version


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
