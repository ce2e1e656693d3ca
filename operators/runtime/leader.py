"""Leader election over a Lease: 15 s lease, 10 s to renew, 2 s between tries; a lost lease ends the process.

The rules are those of client-go: a holder is trusted for the lease's length after the last change that *we saw*, so
clocks need not agree; every write carries the resource version that it read, so two candidates can never both win.
A clean stop empties the holder, and the next replica leads at once. The client library's own lock for Leases (37.0.2)
fails its own argument check, hence this one.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from operators.runtime.client import ApiError, KubeClient
from operators.runtime.metrics import LEADER

LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 15, 10, 2
NAME = "haat-operators"

logger = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """The Lease could not be renewed in time: another replica may lead already."""


class Lease:
    """One candidate's view of the Lease. `clock` is monotonic seconds."""

    def __init__(
        self, client: KubeClient, *, namespace: str, identity: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._identity = identity
        self._namespace = namespace
        self._clock = clock
        self._seen: tuple[Any, float] | None = None
        self._collection = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def try_hold(self) -> bool:
        """Acquire or renew; False when somebody else holds it or the API server does not answer."""
        try:
            lease = await self._read()
            if lease is None:
                await self._client.call("POST", self._collection, body=self._fresh())
                return True
            if not self._may_take(lease):
                return False
            self._claim(lease["spec"])
            await self._client.call("PUT", f"{self._collection}/{NAME}", body=lease)
        except ApiError as error:
            if error.status != 409:
                logger.warning("the lease cannot be renewed: %s", error)
            return False
        return True

    async def give_back(self) -> None:
        """Empty the holder if it is still us."""
        try:
            lease = await self._read()
            if lease and lease["spec"].get("holderIdentity") == self._identity:
                lease["spec"] |= {"holderIdentity": "", "leaseDurationSeconds": 1}
                await self._client.call("PUT", f"{self._collection}/{NAME}", body=lease)
        except ApiError as error:
            logger.info("the lease runs out by itself: %s", error)

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._client.call("GET", f"{self._collection}/{NAME}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def _may_take(self, lease: dict[str, Any]) -> bool:
        spec = lease.get("spec") or {}
        version = lease["metadata"]["resourceVersion"]
        if self._seen is None or self._seen[0] != version:
            self._seen = (version, self._clock())
        holder = spec.get("holderIdentity") or ""
        length = float(spec.get("leaseDurationSeconds") or LEASE_SECONDS)
        return holder in ("", self._identity) or self._clock() - self._seen[1] > length

    def _claim(self, spec: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        if spec.get("holderIdentity") != self._identity:
            spec["acquireTime"] = now
            spec["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1
        spec |= {"holderIdentity": self._identity, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}

    def _fresh(self) -> dict[str, Any]:
        spec: dict[str, Any] = {}
        self._claim(spec)
        metadata = {"name": NAME, "namespace": self._namespace}
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


async def lead(
    client: KubeClient, *, namespace: str, identity: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Wait for the Lease, run `work` while it is held, give it back at `stop`. LeadershipLost when it is lost."""
    lease = Lease(client, namespace=namespace, identity=identity)
    while not await lease.try_hold():
        if await _stopped_within(stop, RETRY_SECONDS):
            return
    LEADER.set(1)
    logger.info("leading", extra={"identity": identity})
    working = asyncio.ensure_future(work())
    renewing = asyncio.create_task(_renew(lease, stop))
    try:
        await asyncio.wait({working, renewing}, return_when=asyncio.FIRST_COMPLETED)
        for task in (renewing, working):
            if task.done():
                await task
    finally:
        LEADER.set(0)
        stop.set()
        renewing.cancel()
        await asyncio.gather(working, renewing, return_exceptions=True)
    await lease.give_back()


async def _renew(lease: Lease, stop: asyncio.Event) -> None:
    renewed = time.monotonic()
    while not await _stopped_within(stop, RETRY_SECONDS):
        if await lease.try_hold():
            renewed = time.monotonic()
        elif time.monotonic() - renewed > RENEW_SECONDS:
            raise LeadershipLost(f"the Lease {NAME} could not be renewed for {RENEW_SECONDS} s")


async def _stopped_within(stop: asyncio.Event, seconds: float) -> bool:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return False
    return True
