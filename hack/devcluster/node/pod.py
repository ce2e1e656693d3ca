"""One pod on this node, from its binding to its removal.

The worker runs volumes, init containers and containers in order, reports status, and stops everything when the pod is
deleted. Trap avoided: status writes must not outrun one another, so a single task writes, and only what has changed.
"""

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.node.account import TOKEN_SECONDS, request_token, wants_token, write_kubeconfig
from hack.devcluster.node.container import ContainerRunner
from hack.devcluster.node.context import NodeContext, inherited_environment
from hack.devcluster.node.environment import Sources
from hack.devcluster.node.launch import LaunchPlan, Surroundings, links_enabled, plan_launch
from hack.devcluster.node.logs import LogFile
from hack.devcluster.node.pod_report import StatusReport
from hack.devcluster.node.pod_status import is_sidecar
from hack.devcluster.node.service_env import service_environment
from hack.devcluster.node.volumes import MountError, VolumeSources, needs_refresh, volume_folder
from hack.devcluster.objects import (
    Obj,
    is_deleting,
    key_of,
    meta,
    namespace_of,
    parse_time,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import PODS

log = logging.getLogger(__name__)

_KILL_GRACE = 30.0
_LOG_REST = 2.0


def restart_rule(policy: str, *, init: bool) -> Callable[[int], bool]:
    """Whether an exit code leads to another start."""
    if init:
        return lambda code: code != 0 and policy != "Never"
    return lambda code: policy == "Always" or (policy == "OnFailure" and code != 0)


class PodWorker:
    """Runs one pod object (by uid)."""

    def __init__(self, context: NodeContext, pod: Obj) -> None:
        self.pod = pod
        self.uid = uid_of(pod)
        self.stopping = False
        self.address = context.addresses.acquire(self.uid, preferred=str(status_of(pod).get("podIP") or ""))
        self._context = context
        self._root = context.pod_folder(self.uid)
        self._kubeconfig: Path | None = None
        self._token = ""
        self._folders: dict[str, Path] = {}
        self._logs: dict[tuple[str, int], LogFile] = {}
        self._poked = asyncio.Event()
        self._stopped = asyncio.Event()
        self.final: Obj = {}
        self.gone = False
        policy = spec_of(pod).get("restartPolicy") or "Always"
        self.init: list[ContainerRunner] = []
        self.main: list[ContainerRunner] = []
        for spec in spec_of(pod).get("initContainers") or []:
            rule = (lambda _code: True) if is_sidecar(spec) else restart_rule(policy, init=True)
            self.init.append(ContainerRunner(self, spec, restart=rule))
        for spec in spec_of(pod).get("containers") or []:
            self.main.append(ContainerRunner(self, spec, restart=restart_rule(policy, init=False)))
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
        if needs_refresh(self.pod) and self._folders:
            self._refresh_volumes()

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
        """Launch plan of a container as things are now. Raises what plan_launch raises, and ImageError."""
        context, namespace = self._context, namespace_of(self.pod)
        image = context.images.find(str(container.get("image", "")))
        services = service_environment(context.services.all(), namespace=namespace, links=links_enabled(self.pod))
        around = Surroundings(
            inherited=inherited_environment(),
            services=services,
            marker=context.marker,
            address=self.address,
            kubeconfig=self._kubeconfig,
            root=self._root,
        )
        sources = Sources(
            config_map=context.config_map_lookup(namespace),
            secret=context.secret_lookup(namespace),
            capacity=context.capacity,
        )
        return plan_launch(self._view(), container, image=image, volumes=self._folders, sources=sources, around=around)

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
            upkeep.append(asyncio.create_task(self._keep_token_fresh()))
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
                if not self._token and await wants_token(self._context.client, self.pod):
                    await self._renew_token()
                self._mount()
                return
            except MountError as error:
                self.event("Warning", "FailedMount", f"MountVolume.SetUp failed: {error}")
            except (ApiError, OSError) as error:
                self.event("Warning", "FailedMount", f"service account token: {error}")
            await self.pause(1.0)

    def _mount(self) -> None:
        sources = self._volume_sources()
        folders: dict[str, Path] = {}
        for volume in spec_of(self.pod).get("volumes") or []:
            folders[volume["name"]] = volume_folder(self._view(), volume, self._root, sources)
        self._folders = folders

    def _refresh_volumes(self) -> None:
        """Follow changes of ConfigMaps and Secrets; a missing one keeps the last content."""
        with contextlib.suppress(MountError, OSError):
            self._mount()

    def _volume_sources(self) -> VolumeSources:
        context, namespace = self._context, namespace_of(self.pod)
        return VolumeSources(
            config_map=context.config_map_lookup(namespace),
            secret=context.secret_lookup(namespace),
            claim_folder=partial(context.claim_folder, namespace),
            token=lambda _source: self._token.encode(),
            capacity=context.capacity,
        )

    async def _renew_token(self) -> None:
        client = self._context.client
        self._token = await request_token(client, self.pod)
        self._kubeconfig = write_kubeconfig(
            self._root / "account",
            server=client.server,
            ca=client.ca,
            token=self._token,
            namespace=namespace_of(self.pod),
        )

    async def _keep_token_fresh(self) -> None:
        pause = TOKEN_SECONDS / 2
        while self._token:
            await asyncio.sleep(pause)
            try:
                await self._renew_token()
                self._refresh_volumes()
                pause = TOKEN_SECONDS / 2
            except (ApiError, OSError) as error:
                log.warning("token of %s/%s was not renewed: %s", *key_of(self.pod), error)
                pause = 60.0

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
        runners = [runner for runner in self.init if is_sidecar(runner.spec)]
        for runner in runners:
            runner.retire()
        await asyncio.gather(*(runner.stop(self.grace()) for runner in runners))
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
        await asyncio.gather(*(runner.process.exited for runner in self.main if runner.process is not None))
        await asyncio.gather(*(runner.stop(grace) for runner in self.init))

    async def _end(self, writer: "asyncio.Task[None]") -> None:
        """Last status, removal of the object, folders and address."""
        writer.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await writer
        if not self.gone:
            await self._finish_object()
        self._context.addresses.release(self.uid)
        if not self.gone or self._context.pods.get(key_of(self.pod)) is None:
            await asyncio.to_thread(shutil.rmtree, self._root, True)
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

    # Status

    def _view(self) -> Obj:
        """The pod as its containers see it: with addresses that the API does not know yet."""
        status = {**status_of(self.pod), "podIP": self.address, "hostIP": self._context.node_ip}
        return {**self.pod, "status": status}


def _log_failure(task: "asyncio.Future[None]") -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("stopping a container failed", exc_info=task.exception())
