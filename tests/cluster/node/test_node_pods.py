"""Pods: environment, volumes, probes, restarts, logs, stop."""

import asyncio
import json

from hack.devcluster.objects import condition, status_of
from hack.devcluster.resources import CONFIG_MAPS, PERSISTENT_VOLUME_CLAIMS, PODS, SECRETS
from tests.support.cluster import Space, container, downward, eventually, pod, script, server


def first(found: dict[str, object]) -> dict[str, object]:
    statuses = status_of(found)["containerStatuses"]
    status: dict[str, object] = statuses[0]
    return status


async def test_environment_and_arguments(space: Space) -> None:
    await space.create(CONFIG_MAPS, {"metadata": {"name": "cm"}, "data": {"KEY": "from-map", "OTHER": "o"}})
    await space.create(SECRETS, {"metadata": {"name": "s"}, "stringData": {"PW": "secret"}})
    code = "import json,os,sys; print(json.dumps({'env': dict(os.environ), 'argv': sys.argv[1:]}))"
    main = container("python", "-c", code)
    main["args"] = ["--name=$(POD_NAME)", "$$(POD_NAME)", "$(NOT_THERE)"]
    main["envFrom"] = [
        {"configMapRef": {"name": "cm"}, "prefix": "CM_"},
        {"secretRef": {"name": "gone", "optional": True}},
    ]
    main["env"] = [
        *downward(),
        {"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "PW"}}},
        {"name": "URL", "value": "http://$(POD_IP):8080"},
    ]
    await space.create(PODS, pod("p", main, restartPolicy="Never"))
    found = await space.until_phase("p", "Succeeded")
    seen = json.loads(await space.logs("p"))
    assert seen["argv"] == ["--name=p", "$(POD_NAME)", "$(NOT_THERE)"]
    assert seen["env"]["CM_KEY"] == "from-map"
    assert seen["env"]["PW"] == "secret"
    assert seen["env"]["URL"] == f"http://{status_of(found)['podIP']}:8080"


async def test_volumes_follow_their_sources(space: Space) -> None:
    await space.create(CONFIG_MAPS, {"metadata": {"name": "cm"}, "data": {"a.txt": "one"}})
    await space.create(
        PERSISTENT_VOLUME_CLAIMS,
        {
            "metadata": {"name": "claim"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
        },
    )
    code = (
        "import os,time\n"
        "open(os.environ['DATA'] + '/kept', 'w').write('x')\n"
        "while True:\n print(open('/etc/app/a.txt').read(), flush=True); time.sleep(0.1)\n"
    )
    mounts = [{"name": "cfg", "mountPath": "/etc/app"}, {"name": "data", "mountPath": "/var/data"}]
    main = script(code, volumeMounts=mounts, env=[{"name": "DATA", "value": "/var/data"}])
    volumes = [
        {"name": "cfg", "configMap": {"name": "cm"}},
        {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
    ]
    await space.create(PODS, pod("p", main, volumes=volumes))
    await space.until_ready("p")
    await space.client.patch(CONFIG_MAPS, (space.name, "cm"), {"data": {"a.txt": "two"}})

    async def changed() -> bool:
        return "two" in await space.logs("p", tailLines="1")

    await eventually(changed, "the new content", patience=90)
    claim = await space.get(PERSISTENT_VOLUME_CLAIMS, "claim")
    assert claim is not None
    assert status_of(claim)["phase"] == "Bound"


async def test_missing_config_map_heals(space: Space) -> None:
    main = script("print('ok')", env=[{"name": "X", "valueFrom": {"configMapKeyRef": {"name": "late", "key": "k"}}}])
    await space.create(PODS, pod("p", main, restartPolicy="Never"))

    def waiting(found: dict[str, object]) -> bool:
        statuses = status_of(found).get("containerStatuses") or [{}]
        return bool((statuses[0].get("state") or {}).get("waiting", {}).get("reason") == "CreateContainerConfigError")

    await space.until(PODS, "p", waiting, "CreateContainerConfigError")
    await space.create(CONFIG_MAPS, {"metadata": {"name": "late"}, "data": {"k": "v"}})
    await space.until_phase("p", "Succeeded")


async def test_unknown_image_waits(space: Space) -> None:
    main = {"name": "main", "image": "registry.invalid/none:1", "command": ["true"]}
    await space.create(PODS, pod("p", main))

    def pulling(found: dict[str, object]) -> bool:
        statuses = status_of(found).get("containerStatuses") or [{}]
        reason = (statuses[0].get("state") or {}).get("waiting", {}).get("reason")
        return reason in ("ErrImagePull", "ImagePullBackOff")

    await space.until(PODS, "p", pulling, "ErrImagePull")


async def test_node_selector_that_does_not_match(space: Space) -> None:
    await space.create(PODS, pod("p", script("pass"), nodeSelector={"no": "where"}))
    found = await space.until(
        PODS, "p", lambda one: (condition(one, "PodScheduled") or {}).get("status") == "False", "unschedulable"
    )
    assert (condition(found, "PodScheduled") or {})["reason"] == "Unschedulable"
    await space.until_event("p", ["FailedScheduling"])


async def test_init_containers_run_in_order_before_the_rest(space: Space) -> None:
    mount = [{"name": "shared", "mountPath": "/shared"}]
    one = {**script("open('/shared/log','a').write('1')", volumeMounts=mount), "name": "one"}
    two = {**script("open('/shared/log','a').write('2')", volumeMounts=mount), "name": "two"}
    main = script("print(open('/shared/log').read())", volumeMounts=mount)
    volumes = [{"name": "shared", "emptyDir": {}}]
    await space.create(PODS, pod("p", main, initContainers=[one, two], volumes=volumes, restartPolicy="Never"))
    await space.until_phase("p", "Succeeded")
    assert (await space.logs("p")).strip() == "12"


async def test_liveness_restarts_and_keeps_the_previous_log(space: Space) -> None:
    # Fails once for each life, and not before that life has spoken.
    check = "import os, sys\nif os.path.exists('/log/spoken'):\n os.remove('/log/spoken')\n sys.exit(1)"
    probe = {
        "exec": {"command": ["python", "-c", check]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "timeoutSeconds": 10,
    }
    code = "import time; print('life', flush=True); open('/log/spoken', 'w').close(); time.sleep(60)"
    main = script(code, livenessProbe=probe, volumeMounts=[{"name": "log", "mountPath": "/log"}])
    volumes = [{"name": "log", "emptyDir": {}}]
    await space.create(PODS, pod("p", main, volumes=volumes, terminationGracePeriodSeconds=1))
    found = await space.until(
        PODS,
        "p",
        lambda one: (status_of(one).get("containerStatuses") or [{}])[0].get("restartCount", 0) >= 1,
        "restart",
    )
    assert "terminated" in first(found)["lastState"]  # type: ignore[operator]
    assert "life" in await space.logs("p", previous="true")
    await space.until_event("p", ["Unhealthy", "Killing"])


async def test_crash_loop_backs_off(space: Space) -> None:
    await space.create(PODS, pod("p", script("raise SystemExit(3)")))

    def backing_off(found: dict[str, object]) -> bool:
        status = (status_of(found).get("containerStatuses") or [{}])[0]
        return bool((status.get("state") or {}).get("waiting", {}).get("reason") == "CrashLoopBackOff")

    found = await space.until(PODS, "p", backing_off, "CrashLoopBackOff")
    assert first(found)["lastState"]["terminated"]["exitCode"] == 3  # type: ignore[index]


async def test_readiness_follows_the_probe(space: Space) -> None:
    probe = {
        "exec": {"command": ["python", "-c", "open('/s/ready')"]},
        "periodSeconds": 1,
        "failureThreshold": 1,
        "timeoutSeconds": 5,
    }
    code = "import time,os\nopen('/s/ready','w').close()\ntime.sleep(10)\nos.unlink('/s/ready')\ntime.sleep(60)"
    main = script(code, readinessProbe=probe, volumeMounts=[{"name": "s", "mountPath": "/s"}])
    await space.create(PODS, pod("p", main, volumes=[{"name": "s", "emptyDir": {}}]))
    await space.until_ready("p")
    await space.until(PODS, "p", lambda one: (condition(one, "Ready") or {}).get("status") == "False", "unready again")


async def test_graceful_stop_runs_to_its_end(space: Space) -> None:
    await space.create(CONFIG_MAPS, {"metadata": {"name": "cm"}, "data": {"k": "v"}})
    code = (
        "import signal,sys,time\n"
        "def stop(*_):\n print('stopping', flush=True); time.sleep(1); print('stopped', flush=True); sys.exit(0)\n"
        "signal.signal(signal.SIGTERM, stop)\nprint('up', flush=True)\nwhile True: time.sleep(0.1)\n"
    )
    await space.create(PODS, pod("p", script(code), terminationGracePeriodSeconds=20))
    await space.until_ready("p")

    async def up() -> bool:
        return "up" in await space.logs("p")

    await eventually(up, "the first line")
    follow = asyncio.create_task(space.logs("p", follow="true"))
    await asyncio.sleep(0.3)
    await space.client.delete(PODS, (space.name, "p"))
    found = await space.get(PODS, "p")
    assert found is not None
    assert found["metadata"]["deletionTimestamp"]
    await space.until_gone(PODS, "p")
    assert (await asyncio.wait_for(follow, 10)).splitlines() == ["up", "stopping", "stopped"]


async def test_deadline_fails_the_pod(space: Space) -> None:
    await space.create(PODS, pod("p", script("import time; time.sleep(60)"), activeDeadlineSeconds=1))
    found = await space.until_phase("p", "Failed")
    assert status_of(found)["reason"] == "DeadlineExceeded"


async def test_log_options(space: Space) -> None:
    code = "import time\nfor i in range(5): print('line', i, flush=True)\ntime.sleep(60)"
    await space.create(PODS, pod("p", script(code)))

    async def complete() -> bool:
        return (
            "line 4" in await space.logs("p")
            if (await space.get(PODS, "p") or {}).get("status", {}).get("podIP")
            else False
        )

    await space.until_ready("p")
    await eventually(complete, "all lines")
    assert (await space.logs("p", tailLines="2")).splitlines() == ["line 3", "line 4"]
    assert (await space.logs("p", limitBytes="4")) == "line"
    stamped = (await space.logs("p", timestamps="true", tailLines="1")).strip()
    assert stamped.endswith("Z line 4")


async def test_two_servers_share_a_port_number(space: Space) -> None:
    for name in ("a", "b"):
        await space.create(PODS, pod(name, server()))
    addresses = {status_of(await space.until_ready(name))["podIP"] for name in ("a", "b")}
    assert len(addresses) == 2
