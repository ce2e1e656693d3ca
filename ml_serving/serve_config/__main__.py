"""Command line: `python -m ml_serving.serve_config FILE`.

Exit status 0 after a stop signal, 2 when the document is wrong, 1 when Ray or an application does not start.
"""

import logging
import os
import subprocess
import sys
from pathlib import Path

from ml_serving.serve_config.environment import prepare
from ml_serving.serve_config.guard import Guard
from workloads.common import logs
from workloads.common.settings import Settings

LOG_OUTPUT = "HAAT_LOG_OUTPUT"
"""Read by the replicas (ml_serving.apps.common): their log lines come out of this process's stdout."""

logger = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Serve the document until a stop signal."""
    settings = Settings()
    logs.configure(settings.log_level)
    if len(arguments) != 1:
        logger.error("usage: python -m ml_serving.serve_config FILE")
        return 2
    folder = prepare(os.environ)
    os.environ.setdefault(LOG_OUTPUT, f"/proc/{os.getpid()}/fd/1")
    guard = Guard(folder)
    try:
        return serve(Path(arguments[0]), folder, address=settings.pod_ip)
    finally:
        end(guard)


def serve(path: Path, folder: Path, *, address: str) -> int:
    """Exit status; Ray is imported here, after its environment is complete."""
    from ray.exceptions import RayError

    from ml_serving.serve_config.document import ConfigError
    from ml_serving.serve_config.runner import follow

    try:
        follow(path, folder, address=address)
    except ConfigError as error:
        logger.error("the configuration cannot be served: %s", error, extra={"field": error.field})
        return 2
    except (RuntimeError, OSError, RayError) as error:
        logger.error("not served: %s", error)
        return 1
    return 0


def end(guard: Guard) -> None:
    """Let the guard end what is left."""
    try:
        guard.close()
    except subprocess.TimeoutExpired:
        logger.error("processes of Ray are left")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
