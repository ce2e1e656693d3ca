"""The node: its Node object and Lease, one worker per bound pod, limits, claims.

Trap avoided: a pod that is replaced by a namesake (StatefulSet) is another pod; workers are kept by uid, never by name.
"""

import asyncio
import contextlib
import logging
import os
import platform
import shutil
import time
from functools import partial
from pathlib import Path

from hack.devcluster.client import ApiError, Conflict, NotFound
from hack.devcluster.node.addresses import KUBELET_PORT
from hack.devcluster.node.context import NODE_NAME, NodeContext
from hack.devcluster.node.pod import PodWorker
from hack.devcluster.node.quantity import QuantityError, parse_quantity
from hack.devcluster.node.stats import INTERVAL, Sampler
from hack.devcluster.objects import (
    Obj,
    format_time,
    is_deleting,
    key_of,
    merge_condition,
    meta,
    namespace_of,
    spec_of,
    status_of,
    uid_of,
)
from hack.devcluster.resources import LEASES, NAMESPACES, NODES

log = logging.getLogger(__name__)

_HEARTBEAT = 10.0
_LEASE_SECONDS = 40
_STOP_SECONDS = 15.0
NODE_LABELS = {
    "kubernetes.io/hostname": NODE_NAME,
    "kubernetes.io/os": "linux",
    "kubernetes.io/arch": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
}


def machine_capacity() -> dict[str, str]:
    """CPU, memory and pod count of this machine as quantities."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    disk = os.statvfs("/")
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": f"{pages // 1024}Ki",
        "ephemeral-storage": f"{disk.f_blocks * disk.f_frsize // 1024}Ki",
        "pods": "250",
    }


class Agent:
    """Runs the pods bound to the node."""

    def __init__(self, context: NodeContext) -> None:
        self.context = context
        self.workers: dict[str, PodWorker] = {}
        self.sampler = Sampler()
        self._stopping = False

    def attach(self) -> None:
        """Begin to follow pods and the objects they refer to."""
        self._remove_leftovers()
        self.context.pods.on_change(self._on_pod)
        for informer in (self.context.config_maps, self.context.secrets, self.context.claims):
            informer.on_change(self._on_reference)

    def _remove_leftovers(self) -> None:
        """Folders of pods that went while no agent was running."""
        known = {uid_of(pod) for pod in self.context.pods.all()}
        for folder in ("pods", "logs"):
            for entry in (self.context.state_dir / folder).glob("*"):
                if entry.name.rpartition("_")[2] not in known:
                    shutil.rmtree(entry, ignore_errors=True)

    def worker_of(self, namespace: str, name: str) -> PodWorker | None:
        pod = self.context.pods.get((namespace, name))
        return self.workers.get(uid_of(pod)) if pod else None

    def _on_pod(self, old: Obj | None, new: Obj | None) -> None:
        if self._stopping:
            return
        if new is None:
            worker = self.workers.get(uid_of(old or {}))
            if worker is not None:
                worker.removed()
            return
        if spec_of(new).get("nodeName") != NODE_NAME:
            return
        worker = self.workers.get(uid_of(new))
        if worker is None and _is_over(new):
            # Only somebody's finalizer keeps the object; there is nothing left to run or to stop.
            return
        if worker is None:
            worker = PodWorker(self.context, new)
            self.workers[uid_of(new)] = worker
            worker.done.add_done_callback(partial(self._forget, uid_of(new)))
        else:
            worker.update(new)

    def _forget(self, uid: str, _task: "asyncio.Task[None]") -> None:
        self.workers.pop(uid, None)

    def _on_reference(self, old: Obj | None, new: Obj | None) -> None:
        namespace = namespace_of(new or old or {})
        for worker in self.workers.values():
            if namespace_of(worker.pod) == namespace:
                worker.poke()

    async def register(self) -> None:
        """Create or update the Node object. Raises ApiError."""
        client = self.context.client
        body: Obj = {"metadata": {"name": NODE_NAME, "labels": NODE_LABELS}, "spec": {}}
        with contextlib.suppress(Conflict):
            await client.create(NODES, body)
        with contextlib.suppress(Conflict):
            await client.create(NAMESPACES, {"metadata": {"name": "kube-node-lease"}})
        await self._write_node_status()

    async def _write_node_status(self) -> None:
        node = await self.context.client.get(NODES, "", NODE_NAME)
        conditions = status_of(node).get("conditions") or []
        for kind, value, reason in (
            ("MemoryPressure", "False", "KubeletHasSufficientMemory"),
            ("DiskPressure", "False", "KubeletHasNoDiskPressure"),
            ("PIDPressure", "False", "KubeletHasSufficientPID"),
            ("Ready", "True", "KubeletReady"),
        ):
            conditions = merge_condition(
                conditions,
                kind=kind,
                status=value,
                reason=reason,
                now=time.time(),
                lastHeartbeatTime=format_time(time.time()),
            )
        status: Obj = {
            "conditions": conditions,
            "capacity": self.context.capacity,
            "allocatable": self.context.capacity,
            "addresses": [
                {"type": "InternalIP", "address": self.context.node_ip},
                {"type": "Hostname", "address": NODE_NAME},
            ],
            "daemonEndpoints": {"kubeletEndpoint": {"Port": KUBELET_PORT}},
            "nodeInfo": _node_info(),
        }
        body: Obj = {"metadata": {"labels": NODE_LABELS}, "status": status}
        await self.context.client.patch(NODES, ("", NODE_NAME), body, subresource="status")

    async def heartbeat(self) -> None:
        """Renew the Lease every few seconds and the Node's status every five minutes."""
        beats = 0
        while True:
            try:
                await self._renew_lease()
                if beats % 30 == 29:
                    await self._write_node_status()
                beats += 1
            except NotFound:
                with contextlib.suppress(ApiError):
                    await self.register()
            except ApiError as error:
                log.warning("heartbeat failed: %s", error)
            await asyncio.sleep(_HEARTBEAT)

    async def _renew_lease(self) -> None:
        key = ("kube-node-lease", NODE_NAME)
        spec = {
            "holderIdentity": NODE_NAME,
            "leaseDurationSeconds": _LEASE_SECONDS,
            "renewTime": format_time(time.time(), micro=True),
        }
        try:
            await self.context.client.patch(LEASES, key, {"spec": spec})
        except NotFound:
            await self.context.client.create(LEASES, {"metadata": {"namespace": key[0], "name": key[1]}, "spec": spec})

    async def watch_limits(self) -> None:
        """Sample usage; kill a container over its memory limit."""
        while True:
            await asyncio.sleep(INTERVAL)
            sessions: dict[int, tuple[PodWorker, str, float]] = {}
            for worker in self.workers.values():
                for runner in [*worker.main, *worker.init]:
                    if runner.process is not None:
                        sessions[runner.process.pid] = (worker, runner.name, memory_limit(runner.spec))
            samples = await self.sampler.sample(sessions)
            for session, sample in samples.items():
                worker, name, limit = sessions[session]
                found = worker.runner(name)
                if limit and sample.usage.memory_bytes > limit and found is not None:
                    log.warning("container %s of %s/%s is over its memory limit", name, *key_of(worker.pod))
                    found.restart_now("OOMKilled", 0.0)

    async def stop(self) -> None:
        """Stop all pods together, bounded; their objects stay for the next life of the agent."""
        self._stopping = True
        tasks = [worker.done for worker in self.workers.values()]
        for worker in list(self.workers.values()):
            worker.shut_down(_STOP_SECONDS - 3)
        if tasks:
            await asyncio.wait(tasks, timeout=_STOP_SECONDS)


def _is_over(pod: Obj) -> bool:
    ended = status_of(pod).get("phase") in ("Succeeded", "Failed")
    return ended and is_deleting(pod) and not meta(pod).get("deletionGracePeriodSeconds")


def memory_limit(container: Obj) -> float:
    """limits.memory in bytes, 0 for none."""
    value = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    try:
        return parse_quantity(value) if value is not None else 0.0
    except QuantityError:
        return 0.0


def _node_info() -> Obj:
    machine_id = Path("/etc/machine-id")
    return {
        "architecture": NODE_LABELS["kubernetes.io/arch"],
        "operatingSystem": "linux",
        "kernelVersion": platform.release(),
        "osImage": "haat devcluster",
        "containerRuntimeVersion": "process://1",
        "kubeletVersion": "v1.36.0-haat",
        "kubeProxyVersion": "v1.36.0-haat",
        "machineID": machine_id.read_text().strip() if machine_id.is_file() else "",
        "systemUUID": "",
        "bootID": "",
    }
