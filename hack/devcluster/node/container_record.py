"""The recorded life of a container: what its ContainerStatus says. No process is started or stopped here.

Trap avoided: a new life of the agent must not forget restarts; it takes over what the last one recorded.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

from hack.devcluster.node.host import Host
from hack.devcluster.node.launch import LaunchPlan
from hack.devcluster.node.process import Process
from hack.devcluster.objects import Obj, format_time


class ContainerRecord:
    """State, last state, readiness and restart count of one container."""

    def __init__(self, host: Host, spec: Obj, *, restart: Callable[[int], bool]) -> None:
        self.spec = spec
        self.name = str(spec["name"])
        self.restarts = 0
        self.ready = False
        self.started = False
        self.state: Obj = {"waiting": {"reason": "ContainerCreating"}}
        self.last_state: Obj = {}
        self.process: Process | None = None
        self.finished = asyncio.Event()
        self._host = host
        self._restart = restart
        self._plan: LaunchPlan | None = None
        self._kill_reason = ""
        self._ever_started = False

    def seed(self, status: Obj) -> None:
        """Take over what an earlier life of the agent recorded."""
        self.restarts = int(status.get("restartCount") or 0)
        state = status.get("state") or {}
        if "running" in state:
            stopped = {
                "exitCode": 137,
                "reason": "Error",
                "message": "the node agent was restarted",
                "startedAt": state["running"].get("startedAt"),
                "finishedAt": format_time(time.time()),
            }
            self.state = {"terminated": stopped}
        elif "terminated" in state:
            self.state = state
        else:
            self.last_state = status.get("lastState") or {}
            self._ever_started = bool(self.last_state)
            return
        self._ever_started = True
        if not self._restart(int(self.state["terminated"].get("exitCode", 137))):
            self.finished.set()

    def status(self) -> Obj:
        """The ContainerStatus."""
        image = str(self.spec.get("image", ""))
        result: Obj = {
            "name": self.name,
            "image": image,
            "imageID": f"local://{image}" if self._ever_started else "",
            "ready": self.ready,
            "started": self.started,
            "restartCount": self.restarts,
            "state": self.state,
            "lastState": self.last_state,
        }
        if self._ever_started:
            result["containerID"] = f"process://{self._host.uid}/{self.name}/{self.restarts}"
        return result

    def _record_exit(self, code: int, begun: float) -> None:
        self.ready = self.started = False
        reason = self._kill_reason if self._kill_reason == "OOMKilled" else ("Completed" if code == 0 else "Error")
        ended: Obj = {
            "exitCode": code,
            "reason": reason,
            "startedAt": format_time(begun),
            "finishedAt": format_time(time.time()),
            "containerID": f"process://{self._host.uid}/{self.name}/{self.restarts}",
        }
        if code > 128:
            ended["signal"] = code - 128
        message = self._termination_message(code)
        if message:
            ended["message"] = message
        self.state = {"terminated": ended}
        self.process = None
        self._host.changed()

    def _termination_message(self, code: int) -> str:
        """What the process left at terminationMessagePath, or its last output where the policy asks for it."""
        if self._plan is not None:
            with contextlib.suppress(OSError):
                text = self._plan.termination.read_bytes()[:4096].decode("utf-8", "replace")
                if text:
                    return text
        if code == 0 or self.spec.get("terminationMessagePolicy") != "FallbackToLogsOnError":
            return ""
        path = self._host.log_file(self.name, self.restarts).path
        try:
            return path.read_bytes()[-2048:].decode("utf-8", "replace")
        except OSError:
            return ""

    def _wait(self, reason: str, message: str) -> None:
        self.state = {"waiting": {"reason": reason, "message": message}}
        self._host.changed()

    def _waiting_reason(self) -> str:
        return str((self.state.get("waiting") or {}).get("reason", ""))
