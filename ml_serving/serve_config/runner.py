"""Deploy the document, follow its changes, stop on SIGTERM.

Trap avoided: Serve gives an imperatively deployed application a new version each time, which replaces its replicas;
so only applications whose entry changed are deployed again. And a wrong document changes nothing: it is logged, and
what runs goes on.
"""

import logging
import os
import signal
import threading
import time
from pathlib import Path
from types import FrameType

from ray import serve
from ray.exceptions import RayError

from ml_serving.serve_config import cluster, document
from ml_serving.serve_config.document import ConfigError, Document

POLL_SECONDS = 0.5
STOP_SECONDS = 8.0

logger = logging.getLogger(__name__)


class Stop(BaseException):
    """SIGTERM or SIGINT; not an Exception, so that no handler for failures swallows it."""


def follow(path: Path, folder: Path, *, address: str) -> None:
    """Serve until a stop signal. Raises ConfigError when the first document is wrong, RuntimeError or
    RayError when Ray or an application does not start or Ray ends."""
    text = document.read(path)
    wanted = document.parse(text)
    _on_stop_signals()
    try:
        cluster.start(folder, address=address, port=wanted.port)
        # Ray has set handlers of its own.
        _on_stop_signals()
        served = apply(Document(wanted.port, ()), wanted)
        logger.info("serving", extra={"address": address, "port": wanted.port, "applications": _names(served)})
        while cluster.alive():
            time.sleep(POLL_SECONDS)
            text, served = check(path, text, served)
        raise RuntimeError("a server of Ray has ended")
    except Stop:
        logger.info("stopping")
    finally:
        _stop()


def check(path: Path, text: str, served: Document) -> tuple[str, Document]:
    """Text and document after one look at the file; a document that cannot be served changes nothing but the log."""
    try:
        found = document.read(path)
        if found == text:
            return text, served
        text = found
        served = apply(served, document.parse(found))
        logger.info("the configuration has changed", extra={"applications": _names(served)})
    except ConfigError as error:
        logger.error("the configuration is not taken over: %s", error, extra={"field": error.field})
    except (RuntimeError, RayError) as error:
        logger.error("an application does not start: %s", error)
    return text, served


def apply(before: Document, after: Document) -> Document:
    """Make Serve run `after`; every builder is called before anything changes."""
    step = document.change(before, after)
    targets = [serve.RunTarget(document.load(item), item.name, item.route_prefix) for item in step.deploy]
    for name in step.delete:
        serve.delete(name)
    if targets:
        serve.run_many(targets)
    return after


def _stop() -> None:
    """Stop Ray in bounded time: a shutdown that hangs is cut short, and the guard ends what is left."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    limit = threading.Timer(STOP_SECONDS, os._exit, (0,))
    limit.daemon = True
    limit.start()
    try:
        cluster.stop()
    except RayError as error:
        logger.warning("Ray was already gone: %s", error)
    finally:
        limit.cancel()


def _names(served: Document) -> list[str]:
    return [item.name for item in served.applications]


def _on_stop_signals() -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, signal.SIG_IGN)
        raise Stop(signal.Signals(number).name)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
