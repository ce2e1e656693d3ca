"""What a node does with pods: sidecars, hooks, probes, restarts, logs, exec."""

import asyncio

import pytest

from hack.devcluster.objects import Obj, condition, condition_true, is_deleting, status_of
from hack.devcluster.resources import EVENTS, PODS
from tests.cluster.controllers.conftest import Kubectl
from tests.cluster.controllers.shapes import sleeper
from tests.support.cluster import Space, container, downward, eventually, pod, script, server

pytestmark = pytest.mark.slow

LOG = [{"name": "shared", "mountPath": "/shared"}]
VOLUME = [{"name": "shared", "emptyDir": {}}]
STOPS = """
import signal, sys, time
def stop(*_):
    open('/shared/log', 'a').write('{name} ')
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
open('/shared/log', 'a').write('{name}-up ')
while True: time.sleep(0.05)
"""
READ = "print(open('/shared/log').read(), flush=True)"


def statuses(found: Obj, kind: str = "containerStatuses") -> list[Obj]:
    items: list[Obj] = status_of(found).get(kind) or []
    return items


async def test_a_sidecar_starts_before_and_ends_after_the_rest(space: Space) -> None:
    probe = {"exec": {"command": ["python", "-c", "open('/shared/log')"]}, "periodSeconds": 1, "timeoutSeconds": 5}
    side = {**script(STOPS.format(name="side"), volumeMounts=LOG), "name": "side", "restartPolicy": "Always"}
    side["startupProbe"] = {**probe, "failureThreshold": 30}
    main = script(f"{READ}\nopen('/shared/log','a').write('main ')", volumeMounts=LOG)
    body = pod("p", main, initContainers=[side], volumes=VOLUME, restartPolicy="Never")
    await space.create(PODS, body)
    found = await space.until_phase("p", "Succeeded")
    assert (await space.logs("p", container="main")).split() == ["side-up"]
    ended = statuses(found, "initContainerStatuses")[0]["state"]["terminated"]
    assert ended["exitCode"] == 0


async def test_a_sidecar_that_is_not_ready_keeps_the_pod_from_being_ready(space: Space) -> None:
    never = {"exec": {"command": ["python", "-c", "raise SystemExit(1)"]}, "periodSeconds": 1, "timeoutSeconds": 5}
    side = {**sleeper(), "name": "side", "restartPolicy": "Always", "readinessProbe": never}
    await space.create(PODS, pod("p", sleeper(), initContainers=[side], terminationGracePeriodSeconds=0))

    def main_only(found: Obj) -> bool:
        return bool(statuses(found)) and statuses(found)[0]["ready"] is True

    found = await space.until(PODS, "p", main_only, "the main container is ready")
    assert not condition_true(found, "Ready")
    assert "side" in (condition(found, "ContainersReady") or {})["message"]


async def test_hooks(space: Space) -> None:
    code = STOPS.format(name="main").replace("sys.exit(0)", f"{READ}; sys.exit(0)")
    started = {"exec": {"command": ["python", "-c", "open('/shared/log','a').write('post ')"]}}
    ending = {"exec": {"command": ["python", "-c", "open('/shared/log','a').write('pre ')"]}}
    main = script(code, volumeMounts=LOG, lifecycle={"postStart": started, "preStop": ending})
    await space.create(PODS, pod("p", main, volumes=VOLUME))
    await space.until_ready("p")

    async def up() -> bool:
        return bool(statuses(await space.get(PODS, "p") or {})[0]["state"].get("running"))

    await eventually(up, "running")
    # The hook runs beside the start of the command, so its line may come before the command's own.
    await asyncio.sleep(0.5)
    follow = asyncio.create_task(space.logs("p", follow="true"))
    await asyncio.sleep(0.3)
    await space.client.delete(PODS, (space.name, "p"))
    words = (await asyncio.wait_for(follow, 20)).split()
    assert sorted(words[:2]) == ["main-up", "post"]
    assert words[2:] == ["pre", "main"]


async def test_sleep_hook_delays_the_stop(space: Space) -> None:
    main = server(lifecycle={"preStop": {"sleep": {"seconds": 2}}})
    await space.create(PODS, pod("p", main, terminationGracePeriodSeconds=10))
    await space.until_ready("p")
    await space.client.delete(PODS, (space.name, "p"))
    await asyncio.sleep(1)
    found = await space.get(PODS, "p")
    assert found is not None
    assert is_deleting(found)
    assert statuses(found)[0]["state"].get("running")
    await space.until_gone(PODS, "p")


async def test_tcp_probe(space: Space) -> None:
    main = server()
    main["readinessProbe"] = {"tcpSocket": {"port": "http"}, "periodSeconds": 1}
    await space.create(PODS, pod("open", main))
    closed = script("import time; time.sleep(600)", env=downward())
    closed["readinessProbe"] = {"tcpSocket": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 1}
    await space.create(PODS, pod("closed", closed, terminationGracePeriodSeconds=0))
    await space.until_ready("open")
    await space.until_event("closed", ["Unhealthy"])
    assert not condition_true(await space.get(PODS, "closed") or {}, "Ready")


async def test_a_restart_keeps_the_last_state(space: Space) -> None:
    code = "import sys; open('/dev/termination-log','w').write('why'); sys.exit(3)"
    await space.create(PODS, pod("p", script(code), restartPolicy="Always"))

    def waits(found: Obj) -> bool:
        state = (statuses(found) or [{}])[0].get("state") or {}
        return bool((state.get("waiting") or {}).get("reason") == "CrashLoopBackOff")

    found = await space.until(PODS, "p", waits, "CrashLoopBackOff")
    last = statuses(found)[0]["lastState"]["terminated"]
    assert (last["exitCode"], last["reason"], last["message"]) == (3, "Error", "why")
    assert statuses(found)[0]["restartCount"] >= 1


async def test_an_unknown_image_backs_off(space: Space) -> None:
    await space.create(PODS, pod("p", {**sleeper(), "image": "registry.invalid/none:1"}))

    def backs_off(found: Obj) -> bool:
        state = (statuses(found) or [{}])[0].get("state") or {}
        return bool((state.get("waiting") or {}).get("reason") == "ImagePullBackOff")

    await space.until(PODS, "p", backs_off, "ImagePullBackOff")
    await space.until_event("p", ["Failed", "BackOff"])
    await asyncio.sleep(2)
    events = (await space.client.list(EVENTS, space.name))["items"]
    assert sum(int(entry.get("count") or 1) for entry in events) < 20


async def test_exec(space: Space, kubectl: Kubectl) -> None:
    await space.create(PODS, pod("p", sleeper(), terminationGracePeriodSeconds=0))
    await space.until_ready("p")
    done = await asyncio.to_thread(kubectl, "exec", "p", "--", "python", "-c", "print(6 * 7)")
    assert done.stdout.strip() == "42"


async def test_a_pod_that_never_restarts_fails(space: Space) -> None:
    await space.create(PODS, pod("p", container("python", "-c", "raise SystemExit(7)"), restartPolicy="Never"))
    found = await space.until_phase("p", "Failed")
    assert statuses(found)[0]["state"]["terminated"]["exitCode"] == 7
    assert statuses(found)[0]["restartCount"] == 0


@pytest.mark.parametrize("kind", ["livenessProbe", "startupProbe"])
async def test_a_failed_probe_restarts(space: Space, kind: str) -> None:
    probe = {"tcpSocket": {"port": 1}, "periodSeconds": 1, "failureThreshold": 1}
    await space.create(PODS, pod("p", sleeper(**{kind: probe}), terminationGracePeriodSeconds=0))
    await space.until(PODS, "p", lambda one: (statuses(one) or [{}])[0].get("restartCount", 0) >= 1, "restarted")
    await space.until_event("p", ["Unhealthy", "Killing"])
