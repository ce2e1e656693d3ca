"""Leader election over a Lease: 15 s lease, 10 s to renew, 2 s between tries; a lost lease ends the process.

The library gives no hand-over, so a clean stop empties the Lease's holder: the next replica leads at once instead of
waiting for the lease to run out.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

from operators.runtime.client import ApiError, KubeClient
from operators.runtime.metrics import LEADER

LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS = 15.0, 10.0, 2.0
NAME = "haat-operators"

logger = logging.getLogger(__name__)


class LeadershipLost(Exception):
    """The Lease could not be renewed in time: another replica may lead already."""


async def lead(
    client: KubeClient, *, namespace: str, identity: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event
) -> None:
    """Wait for the Lease, run `work` while it is held, give it back when `stop` is set."""
    failures: list[BaseException] = []

    async def started() -> None:
        LEADER.set(1)
        logger.info("leading", extra={"identity": identity})
        try:
            await work()
        except Exception as error:  # noqa: BLE001 - handed to the caller below
            failures.append(error)
        stop.set()

    async def stopped() -> None:
        LEADER.set(0)

    lock = LeaseLock(NAME, namespace, identity, client.api)
    election = LeaderElection(Config(lock, LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, started, stopped))
    running = asyncio.create_task(election.run())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({running, stopping}, return_when=asyncio.FIRST_COMPLETED)
    lost = running.done() and not stop.is_set()
    running.cancel()
    stopping.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    if failures:
        raise failures[0]
    if lost:
        raise LeadershipLost(f"the Lease {namespace}/{NAME} could not be renewed")
    await _give_back(client, namespace, identity)


async def _give_back(client: KubeClient, namespace: str, identity: str) -> None:
    url = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/{NAME}"
    try:
        lease = await client.call("GET", url)
        if (lease.get("spec") or {}).get("holderIdentity") == identity:
            lease["spec"]["holderIdentity"] = ""
            lease["spec"]["leaseDurationSeconds"] = 1
            await client.call("PUT", url, body=lease)
    except ApiError as error:
        logger.info("the lease runs out by itself: %s", error)
