"""One container of a pod across its restarts: start, probes, exit, back-off, stop.

The runner owns the container's status; the pod worker owns when it may run. Trap avoided: a restart must not race
with the stop of the pod, so the one flag `stopping` is looked at after every await that leads to a start.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from hack.devcluster.images.table import CommandError, ImageError
from hack.devcluster.node.container_record import ContainerRecord
from hack.devcluster.node.environment import ConfigError
from hack.devcluster.node.host import Host
from hack.devcluster.node.launch import LaunchPlan, check_executable, container_marker
from hack.devcluster.node.probe_state import BackOff, ProbeKind
from hack.devcluster.node.prober import Outcome, UnsupportedHandler, check, read_output
from hack.devcluster.node.process import Process, kill_strays, spawn
from hack.devcluster.node.volumes import MountError
from hack.devcluster.node.watch import Watch
from hack.devcluster.objects import Obj, format_time

log = logging.getLogger(__name__)

_CONFIG_RETRY = 5.0
_PULL_SECONDS = 1.0


class ContainerRunner(ContainerRecord):
    """Runs one container until it will not run again."""

    def __init__(self, host: Host, spec: Obj, *, restart: Callable[[int], bool]) -> None:
        super().__init__(host, spec, restart=restart)
        self.start_passed = asyncio.Event()
        self._backoff = BackOff()
        self._pull_backoff = BackOff()
        self._stop_task: asyncio.Task[None] | None = None
        self._retired = False

    def retire(self) -> None:
        """No further start, whatever the restart policy says."""
        self._retired = True

    async def run(self) -> None:
        """Start, watch and restart until finished or the pod stops."""
        while not self._over():
            process = await self._try_start()
            if process is None:
                continue
            begun = time.time()
            code = await self._supervise(process)
            self._record_exit(code, begun)
            if self._over() or not self._restart(code):
                break
            delay = self._backoff.delay_after(ran=time.time() - begun)
            if delay:
                await self._crash_pause(delay)
        self.finished.set()
        self._host.changed()

    async def execute(self, command: Sequence[str], timeout: float) -> tuple[int | None, str]:
        """Run a command in the container's surroundings: (exit code or None on time-out, output)."""
        plan = self._plan or self._host.plan(self.spec)
        memory = os.memfd_create("probe")
        try:
            process = spawn(
                [plan.rewriter.text(word) for word in command],
                environment=plan.environment,
                folder=plan.folder,
                output=memory,
            )
            code = await process.wait(timeout)
            if code is None:
                process.kill()
                await process.wait(5)
        except OSError as error:
            os.close(memory)
            return 126, str(error)
        return code, read_output(memory)

    async def stop(self, grace: float) -> None:
        """preStop, SIGTERM, and SIGKILL to the group when the grace is over. Times in seconds."""
        process = self.process
        if process is None or not process.running:
            return
        deadline = time.monotonic() + grace
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace > 0:
            await self._pre_stop(hook, process, grace)
        if grace > 0:
            process.terminate(self._plan.stop_signal if self._plan else signal.SIGTERM)
            left = max(deadline - time.monotonic(), 2.0 if hook else 0.0)
            if await process.wait(left) is not None:
                return
        process.kill()
        await process.wait(5)

    def restart_now(self, reason: str, grace: float) -> None:
        """Kill for a probe or a limit; the restart policy decides what follows."""
        self._kill_reason = reason
        if self._stop_task is None or self._stop_task.done():
            self._stop_task = asyncio.get_running_loop().create_task(self.stop(grace))

    async def _pre_stop(self, hook: Obj, process: Process, grace: float) -> None:
        work = asyncio.get_running_loop().create_task(self.hook(hook, grace))
        both: list[asyncio.Future[Any]] = [work, process.exited]
        await asyncio.wait(both, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            work.cancel()
            return
        if not work.result().success:
            self._host.event("Warning", "FailedPreStopHook", f"PreStopHook failed: {work.result().detail}")

    async def hook(self, hook: Obj, timeout: float) -> Outcome:
        if "sleep" in hook:
            await asyncio.sleep(min(float(hook["sleep"].get("seconds", 0)), timeout))
            return Outcome(True)
        try:
            return await check(
                hook, container=self.spec, address=self._host.address, timeout=timeout, execute=self.execute
            )
        except UnsupportedHandler as error:
            return Outcome(False, str(error))

    def begun(self) -> None:
        """The process runs and its postStart hook is done; without probes it is ready."""
        self.started = not self.spec.get("startupProbe")
        self.ready = self.started and not self.spec.get("readinessProbe")
        if self.started:
            self.start_passed.set()
        self._host.changed()

    def passed(self, kind: ProbeKind) -> None:
        """A probe reached its success threshold."""
        if kind is ProbeKind.STARTUP:
            self.started = True
            self.start_passed.set()
            self.ready = not self.spec.get("readinessProbe")
        elif kind is ProbeKind.READINESS:
            self.ready = True
        self._host.changed()

    def unready(self) -> None:
        """The readiness probe reached its failure threshold."""
        self.ready = False
        self._host.changed()

    async def _try_start(self) -> Process | None:
        """Start the process; on failure wait and let the caller try again."""
        try:
            plan = self._host.plan(self.spec)
            check_executable(plan)
            process = self._spawn(plan)
        except ImageError as error:
            await self._pull_failed(error)
        except (ConfigError, MountError) as error:
            missing = "executable" in str(error)
            self._wait("RunContainerError" if missing else "CreateContainerConfigError", str(error))
            self._host.event("Warning", "Failed", f"Error: {error}")
            await self._host.pause(_CONFIG_RETRY)
        except (CommandError, OSError, KeyError, ValueError) as error:
            self._wait("CreateContainerError", f"{type(error).__name__}: {error}")
            self._host.event("Warning", "Failed", f"Error: {error}")
            await self._host.pause(_CONFIG_RETRY)
        else:
            return process
        return None

    async def _pull_failed(self, error: ImageError) -> None:
        """ErrImagePull, then ImagePullBackOff for 10 s, doubling to 5 min."""
        image = self.spec.get("image")
        self._wait("ErrImagePull", str(error))
        self._host.event("Warning", "Failed", f'Failed to pull image "{image}": {error}')
        self._host.event("Warning", "Failed", "Error: ErrImagePull")
        await self._hold(_PULL_SECONDS)
        self._wait("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {error}')
        self._host.event("Normal", "BackOff", f'Back-off pulling image "{image}"')
        self._host.event("Warning", "Failed", "Error: ImagePullBackOff")
        self._pull_backoff.delay_after(ran=0.0)
        await self._hold(self._pull_backoff.pending)

    async def _hold(self, seconds: float) -> None:
        """Wait for the whole time unless the container shall not start any more; pokes do not cut it short."""
        end = time.monotonic() + seconds
        while not self._over() and (left := end - time.monotonic()) > 0:
            await self._host.pause(left)

    def _spawn(self, plan: LaunchPlan) -> Process:
        if self._ever_started:
            self.restarts += 1
            if "terminated" in self.state:
                self.last_state = self.state
            self._host.log_file(self.name, self.restarts - 2).remove()
        output_log = self._host.log_file(self.name, self.restarts)
        descriptor = output_log.open()
        try:
            process = spawn(plan.argv, environment=plan.environment, folder=plan.folder, output=descriptor)
        finally:
            os.close(descriptor)
        self._host.track_log(output_log, opened=True)
        self._plan, self.process, self._ever_started = plan, process, True
        self._kill_reason = ""
        self.state = {"running": {"startedAt": format_time(time.time())}}
        self.started = self.ready = False
        if not (self.spec.get("lifecycle") or {}).get("postStart"):
            self.begun()
        self._host.changed()
        image = self.spec.get("image")
        self._host.event("Normal", "Pulled", f'Container image "{image}" is mapped to a local command')
        self._host.event("Normal", "Created", f"Created container {self.name}")
        self._host.event("Normal", "Started", f"Started container {self.name}")
        return process

    async def _supervise(self, process: Process) -> int:
        """Probes beside the process until it ends."""
        watch = asyncio.get_running_loop().create_task(Watch(self, self._host).run())
        try:
            code = await process.exited
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch
        await kill_strays(container_marker(self._host.uid, self.name))
        self._host.track_log(self._host.log_file(self.name, self.restarts), opened=False)
        return code

    async def _crash_pause(self, delay: float) -> None:
        self.last_state = self.state
        self._wait("CrashLoopBackOff", f"back-off {delay:g}s restarting failed container={self.name}")
        self._host.event("Warning", "BackOff", f"Back-off restarting failed container {self.name}")
        await self._hold(delay)

    def _over(self) -> bool:
        return self._host.stopping or self._retired or self.finished.is_set()
