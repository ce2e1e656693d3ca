"""The certificate of the RTMPS port, read again when its files change: a renewed one is used without a restart."""

import asyncio
import logging
import ssl
from pathlib import Path

from workloads.common.loops import going_on

CHECK_SECONDS = 10.0

logger = logging.getLogger(__name__)


class CertificateError(Exception):
    """The files cannot be used; the message names them and the reason."""


class Certificate:
    """`context` serves new connections; `watch` keeps it fresh until cancelled."""

    def __init__(self, chain: Path, key: Path) -> None:
        self._chain = chain
        self._key = key
        self._seen = self._stamp()
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load()

    async def watch(self) -> None:
        """Load what was renewed; a broken renewal is logged and the old one stays."""
        while going_on():
            await asyncio.sleep(CHECK_SECONDS)
            self.refresh()

    def refresh(self) -> bool:
        """Whether another certificate was loaded."""
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return False
            self._seen = stamp
            self._load()
        except CertificateError as error:
            logger.error("the renewed certificate is not used: %s", error)
            return False
        logger.info("certificate renewed")
        return True

    def _load(self) -> None:
        try:
            self.context.load_cert_chain(self._chain, self._key)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(f"{self._chain} and {self._key} are no certificate and key: {error}") from error

    def _stamp(self) -> tuple[tuple[int, int], ...]:
        """What changes when a file does, also behind the link that a mounted Secret is."""
        try:
            return tuple((found.st_ino, found.st_mtime_ns) for found in (self._chain.stat(), self._key.stat()))
        except OSError as error:
            raise CertificateError(f"{error.filename} cannot be read: {error.strerror}") from error
