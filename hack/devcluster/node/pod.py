"""One pod on this node, from its binding to its removal.

The worker runs volumes, init containers and containers in order, reports status, and stops everything when the pod is
deleted. Trap avoided: status writes must not outrun one another, so a single task writes, and only what has changed.
"""

import asyncio
import contextlib
import logging
import shutil
import time

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.node.container import ContainerRunner
from hack.devcluster.node.context import NodeContext
from hack.devcluster.node.launch import LaunchPlan
from hack.devcluster.node.logs import LogFile
from hack.devcluster.node.pod_ground import Ground
from hack.devcluster.node.pod_order import init_rules, main_rules, stop_sidecars
from hack.devcluster.node.pod_report import StatusReport
from hack.devcluster.node.pod_status import is_sidecar
from hack.devcluster.node.volumes import MountError
from hack.devcluster.objects import Obj, is_deleting, key_of, meta, parse_time, spec_of, status_of, uid_of
from hack.devcluster.resources import PODS

log = logging.getLogger(__name__)

_KILL_GRACE = 30.0
_LOG_REST = 2.0


class PodWorker:
    """Runs one pod object (by uid)."""

    def __init__(self, context: NodeContext, pod: Obj) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        self.stopping = False
        self.address = context.addresses.acquire(self.uid, preferred=str(status_of(pod).get("podIP") or ""))
        self._context = context
        self._ground = Ground(self, context, context.pod_folder(self.uid))
        self._logs: dict[tuple[str, int], LogFile] = {}
        self._poked = asyncio.Event()
        self._stopped = asyncio.Event()
        self.final: Obj = {}
        self.gone = False
        self.init = [ContainerRunner(self, spec, restart=rule) for spec, rule in init_rules(pod)]
        self.main = [ContainerRunner(self, spec, restart=rule) for spec, rule in main_rules(pod)]
        self._report = StatusReport(self, context)
        self._seed()
        self.done = asyncio.get_running_loop().create_task(self._run(), name=f"pod {key_of(pod)}")

    # What the agent calls

    def update(self, pod: Obj) -> None:
        """A newer version of the pod object."""
        shortened = meta(pod).get("deletionGracePeriodSeconds") != meta(self.pod).get("deletionGracePeriodSeconds")
        self.pod = pod
        if is_deleting(pod) and (not self.stopping or shortened):
            self._spawn_stop(float(meta(pod).get("deletionGracePeriodSeconds") or 0))
        self.poke()

    def removed(self) -> None:
        """The object is gone from the API: stop at once and write nothing more."""
        self.gone = True
        self._spawn_stop(0.0)

    def poke(self) -> None:
        """Something a volume or an environment refers to may have changed."""
        self._poked.set()
        self._ground.refresh()

    def shut_down(self, grace: float) -> None:
        """The agent ends: stop the containers, keep the pod object for the next life."""
        self.gone = True
        self._spawn_stop(min(grace, self.grace()))

    def runner(self, name: str) -> ContainerRunner | None:
        return next((runner for runner in [*self.main, *self.init] if runner.name == name), None)

    # Host protocol of the container runners

    def grace(self) -> float:
        value = spec_of(self.pod).get("terminationGracePeriodSeconds")
        return _KILL_GRACE if value is None else float(value)

    def changed(self) -> None:
        self._report.dirty.set()

    def event(self, kind: str, reason: str, message: str) -> None:
        post = self._context.events.normal if kind == "Normal" else self._context.events.warning
        post(self.pod, PODS, reason, message)

    async def pause(self, seconds: float) -> None:
        """Sleep until the time is over, the pod stops or something it refers to changes."""
        self._poked.clear()
        stop = asyncio.ensure_future(self._stopped.wait())
        poke = asyncio.ensure_future(self._poked.wait())
        try:
            await asyncio.wait({stop, poke}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            poke.cancel()

    def log_file(self, container: str, restart: int) -> LogFile:
        found = self._logs.get((container, restart))
        if found is None:
            found = LogFile(self._context.log_folder(self.pod) / container / f"{restart}.log")
            self._logs[container, restart] = found
        return found

    def track_log(self, log_file: LogFile, *, opened: bool) -> None:
        (self._context.logs.add if opened else self._context.logs.discard)(log_file)

    def plan(self, container: Obj) -> LaunchPlan:
        return self._ground.plan(container)

    # The life of the pod

    def _seed(self) -> None:
        """Continue what an earlier life of the agent recorded in the status."""
        status = status_of(self.pod)
        known = {entry["name"]: entry for entry in status.get("containerStatuses") or []}
        for runner in self.main:
            if runner.name in known:
                runner.seed(known[runner.name])
        if status.get("phase") in ("Succeeded", "Failed"):
            self.final = {"phase": status["phase"]}

    async def _run(self) -> None:
        writer = asyncio.create_task(self._report.run())
        if is_deleting(self.pod):
            self._spawn_stop(0.0)
        try:
            self._report.dirty.set()
            await self._live()
        except Exception:
            # The edge of one pod: whatever fails here must not take the agent along.
            log.exception("pod %s/%s failed in the agent", *key_of(self.pod))
        finally:
            await self._end(writer)

    async def _live(self) -> None:
        if self.final:
            for runner in self.main:
                runner.finished.set()
            await self._stopped.wait()
            return
        deadline = asyncio.create_task(self._deadline())
        upkeep: list[asyncio.Task[None]] = []
        try:
            await self._prepare()
            upkeep.append(asyncio.create_task(self._ground.keep_tokens_fresh()))
            sidecars = await self._run_init()
            if not self.stopping and not self._init_failed():
                await asyncio.gather(*(runner.run() for runner in self.main))
            await self._stop_sidecars(sidecars)
        finally:
            deadline.cancel()
            for task in upkeep:
                task.cancel()
        if not self.stopping:
            # Finished by itself; the object stays until somebody deletes it.
            await self._stopped.wait()

    async def _prepare(self) -> None:
        """Account and volumes; waits until they can be had."""
        while not self.stopping:
            try:
                await self._ground.prepare()
                return
            except MountError as error:
                self.event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
            except (ApiError, OSError) as error:
                self.event("Warning", "FailedMount", f"service account token: {error}")
            await self.pause(1.0)

    async def _run_init(self) -> list[asyncio.Task[None]]:
        """Init containers one after another; sidecars stay and are returned."""
        sidecars: list[asyncio.Task[None]] = []
        for runner in self.init:
            if self.stopping:
                break
            if not is_sidecar(runner.spec):
                await runner.run()
                if self._init_failed():
                    break
                continue
            sidecars.append(asyncio.create_task(runner.run()))
            await self._until_started(runner)
        return sidecars

    async def _until_started(self, runner: ContainerRunner) -> None:
        """A sidecar holds up its successors until its startup probe passes."""
        stop = asyncio.ensure_future(self._stopped.wait())
        start = asyncio.ensure_future(runner.start_passed.wait())
        try:
            await asyncio.wait({stop, start}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            start.cancel()

    def _init_failed(self) -> bool:
        return any(
            runner.finished.is_set() and (runner.state.get("terminated") or {}).get("exitCode", 0) != 0
            for runner in self.init
            if not is_sidecar(runner.spec)
        )

    async def _stop_sidecars(self, tasks: list[asyncio.Task[None]]) -> None:
        await stop_sidecars(self.init, self.grace())
        await asyncio.gather(*tasks)

    async def _deadline(self) -> None:
        seconds = spec_of(self.pod).get("activeDeadlineSeconds")
        if seconds is None:
            return
        begun = parse_time(self._report.start_time) or time.time()
        await asyncio.sleep(max(0.0, begun + float(seconds) - time.time()))
        self.final = {
            "phase": "Failed",
            "reason": "DeadlineExceeded",
            "message": "Pod was active on the node longer than the specified deadline",
        }
        self._fail_all()

    def _fail_all(self) -> None:
        """Stop all containers for good without deleting the pod."""
        for runner in [*self.main, *self.init]:
            runner.retire()
            runner.restart_now("Error", self.grace())
        self._poked.set()

    def evict(self, reason: str, message: str) -> None:
        """Fail the pod in place, as the kubelet does under node pressure."""
        self.final = {"phase": "Failed", "reason": reason, "message": message}
        self._fail_all()

    # Stopping

    def _spawn_stop(self, grace: float) -> None:
        first = not self.stopping
        self.stopping = True
        self._stopped.set()
        if first and any(runner.process for runner in [*self.main, *self.init]):
            self.event("Normal", "Killing", f"Stopping {len(self.main)} container(s)")
        for runner in self.main:
            asyncio.ensure_future(runner.stop(grace)).add_done_callback(_log_failure)
        if first:
            self._sidecar_stop = asyncio.create_task(self._stop_init_after_main(grace))

    async def _stop_init_after_main(self, grace: float) -> None:
        """The sidecars have what is left of the grace."""
        end = time.monotonic() + grace
        await asyncio.gather(*(runner.process.exited for runner in self.main if runner.process is not None))
        await stop_sidecars(self.init, max(0.0, end - time.monotonic()))
        await asyncio.gather(*(runner.stop(0.0) for runner in self.init))

    async def _end(self, writer: "asyncio.Task[None]") -> None:
        """Last status, removal of the object, folders and address."""
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
        if not self.gone:
            await self._finish_object()
        self._context.addresses.release(self.uid)
        if not self.gone or self._context.pods.get(key_of(self.pod)) is None:
            await asyncio.to_thread(shutil.rmtree, self._ground.root, True)
            # Followers of the log still have its end to read.
            await asyncio.sleep(_LOG_REST)
            await asyncio.to_thread(shutil.rmtree, self._context.log_folder(self.pod), True)

    async def _finish_object(self) -> None:
        for _ in range(5):
            try:
                await self._report.patch(self._report.build())
                await self._context.client.delete(PODS, key_of(self.pod), uid=self.uid, grace=0)
                return
            except (NotFound, Conflict):
                return
            except ApiError as error:
                log.warning("pod %s/%s could not be removed: %s", *key_of(self.pod), error)
                await asyncio.sleep(0.5)


def _log_failure(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("stopping a container failed", exc_info=task.exception())
