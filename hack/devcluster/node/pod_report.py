"""Reporting a pod's status to the API.

Trap avoided: status writes must not outrun one another, so a single task writes, and only what has changed.
"""

import asyncio
import logging
import time
from typing import Protocol

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.node.container import ContainerRunner
from hack.devcluster.node.context import NodeContext
from hack.devcluster.node.pod_status import pod_conditions, pod_phase
from hack.devcluster.objects import Obj, format_time, key_of, status_of, uid_of
from hack.devcluster.resources import PODS

log = logging.getLogger(__name__)

_SETTLE = 0.01


class Reported(Protocol):
    """What the report reads of the pod's worker."""

    pod: Obj
    uid: str
    address: str
    stopping: bool
    gone: bool
    final: Obj
    init: list[ContainerRunner]
    main: list[ContainerRunner]


class StatusReport:
    """Builds and writes the status of one pod."""

    def __init__(self, worker: Reported, context: NodeContext) -> None:
        self.dirty = asyncio.Event()
        self.start_time = status_of(worker.pod).get("startTime") or format_time(time.time())
        self._worker = worker
        self._context = context

    def build(self) -> Obj:
        init = [runner.status() for runner in self._worker.init]
        main = [runner.status() for runner in self._worker.main]
        phase = self._worker.final.get("phase") or pod_phase(self._worker.pod, init=init, main=main)
        if self._worker.stopping and phase in ("Pending", "Running") and self._all_ended():
            phase = self._phase_after_stop(main)
        previous = status_of(self._worker.pod).get("conditions") or []
        return {
            **self._worker.final,
            "phase": phase,
            "conditions": pod_conditions(
                self._worker.pod, previous=previous, phase=phase, init=init, main=main, now=time.time()
            ),
            "hostIP": self._context.node_ip,
            "hostIPs": [{"ip": self._context.node_ip}],
            "podIP": self._worker.address,
            "podIPs": [{"ip": self._worker.address}],
            "startTime": self.start_time,
            "containerStatuses": main,
            **({"initContainerStatuses": init} if init else {}),
        }

    def _all_ended(self) -> bool:
        return all(runner.process is None for runner in [*self._worker.main, *self._worker.init])

    def _phase_after_stop(self, main: list[Obj]) -> str:
        codes = [(entry["state"].get("terminated") or {}).get("exitCode", 137) for entry in main]
        return "Succeeded" if not any(codes) else "Failed"

    async def run(self) -> None:
        """Write whenever something changed, until cancelled."""
        sent: Obj = {}
        while True:
            await self.dirty.wait()
            await asyncio.sleep(_SETTLE)
            self.dirty.clear()
            if self._worker.gone:
                continue
            status = self.build()
            if status == sent or _covers(status_of(self._worker.pod), status):
                continue
            try:
                await self.patch(status)
                sent = status
            except (NotFound, Conflict):
                continue
            except ApiError as error:
                log.warning("status of %s/%s was not written: %s", *key_of(self._worker.pod), error)
                self.dirty.set()
                await asyncio.sleep(0.5)

    async def patch(self, status: Obj) -> None:
        body: Obj = {"metadata": {"uid": self._worker.uid}, "status": status}
        answer = await self._context.client.patch(PODS, key_of(self._worker.pod), body, subresource="status")
        if uid_of(answer) == self._worker.uid:
            self._context.pods.observe(answer)


def _covers(current: Obj, wanted: Obj) -> bool:
    return all(current.get(key) == value for key, value in wanted.items())
