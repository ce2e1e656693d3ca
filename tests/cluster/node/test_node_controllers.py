"""Deployment, StatefulSet, Job, Service and Ingress as a user sees them."""

import aiohttp
import pytest

from hack.devcluster.objects import condition_true, name_of, spec_of, status_of
from hack.devcluster.resources import (
    DEPLOYMENTS,
    ENDPOINT_SLICES,
    INGRESSES,
    JOBS,
    PERSISTENT_VOLUME_CLAIMS,
    POD_DISRUPTION_BUDGETS,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
)
from tests.support.cluster import Cluster, Space, eventually, pod, script, server, template


def deployment(name: str, replicas: int, colour: str) -> dict[str, object]:
    return {
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": template(name, server(env=[{"name": "COLOUR", "value": colour}])),
            "strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        },
    }


def service(name: str) -> dict[str, object]:
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 8081, "targetPort": "http", "protocol": "TCP"}],
        },
    }


async def until_rolled_out(space: Space, name: str, replicas: int) -> None:
    def done(found: dict[str, object]) -> bool:
        status = status_of(found)
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]  # type: ignore[index]
            and status.get("updatedReplicas") == status.get("availableReplicas") == status.get("replicas") == replicas
        )

    await space.until(DEPLOYMENTS, name, done, "rolled out")


async def test_rolling_update(space: Space) -> None:
    await space.create(DEPLOYMENTS, deployment("web", 2, "red"))
    await until_rolled_out(space, "web", 2)
    before = {name_of(entry) for entry in await space.pods("app=web")}
    wanted = deployment("web", 3, "blue")
    await space.client.patch(DEPLOYMENTS, (space.name, "web"), {"spec": wanted["spec"]})
    await until_rolled_out(space, "web", 3)

    async def replaced() -> bool:
        return len(await space.pods("app=web")) == 3

    await eventually(replaced, "old pods gone")
    assert not before & {name_of(entry) for entry in await space.pods("app=web")}
    sets = (await space.client.list(REPLICA_SETS, space.name))["items"]
    assert sorted(spec_of(entry)["replicas"] for entry in sets) == [0, 3]
    found = await space.get(DEPLOYMENTS, "web")
    assert found is not None
    assert condition_true(found, "Available")
    assert found["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"


async def test_deleted_pod_is_replaced_and_deleting_the_deployment_takes_all(space: Space) -> None:
    await space.create(DEPLOYMENTS, deployment("web", 1, "red"))
    await until_rolled_out(space, "web", 1)
    (old,) = await space.pods("app=web")
    await space.client.delete(PODS, (space.name, name_of(old)))
    await space.until_gone(PODS, name_of(old))
    await until_rolled_out(space, "web", 1)
    await space.client.delete(DEPLOYMENTS, (space.name, "web"))

    async def empty() -> bool:
        return not await space.pods() and not (await space.client.list(REPLICA_SETS, space.name))["items"]

    await eventually(empty, "nothing left")


async def test_service_balances_over_ready_pods(space: Space) -> None:
    await space.create(SERVICES, service("web"))
    await space.create(DEPLOYMENTS, deployment("web", 2, "red"))
    await until_rolled_out(space, "web", 2)

    async def both() -> bool:
        items = (await space.client.list(ENDPOINT_SLICES, space.name))["items"]
        ready = [one for entry in items for one in entry.get("endpoints") or [] if one["conditions"]["ready"]]
        return len(ready) == 2

    await eventually(both, "two ready endpoints")
    code = (
        "import os,urllib.request\n"
        "url = 'http://%s:%s/' % (os.environ['WEB_SERVICE_HOST'], os.environ['WEB_SERVICE_PORT'])\n"
        "seen = {urllib.request.urlopen(url, timeout=5).read().split()[0] for _ in range(40)}\n"
        "print(len(seen))\n"
    )
    await space.create(PODS, pod("client", script(code), restartPolicy="Never"))
    await space.until_phase("client", "Succeeded")
    assert (await space.logs("client")).strip() == "2"


async def test_ingress_routes_by_path(space: Space, cluster: Cluster) -> None:
    if not cluster.ingress:
        pytest.skip("HAAT_TEST_INGRESS_URL is not set")
    backend = {"service": {"name": "web", "port": {"name": "http"}}}
    path = f"/{space.name}"
    rules = [{"http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}]
    await space.create(INGRESSES, {"metadata": {"name": "web"}, "spec": {"rules": rules}})
    await space.create(SERVICES, service("web"))
    async with aiohttp.ClientSession(cluster.ingress) as session:

        async def status() -> int:
            async with session.get(f"{path}/x") as answer:
                return answer.status

        async def is_503() -> bool:
            return await status() == 503

        await eventually(is_503, "503 without pods")
        await space.create(DEPLOYMENTS, deployment("web", 1, "red"))
        await until_rolled_out(space, "web", 1)

        async def is_200() -> bool:
            return await status() == 200

        await eventually(is_200, "200 with a pod")
        async with session.get(f"{path}/y?z=1") as answer:
            assert (await answer.text()).split()[1:] == ["red", f"{path}/y?z=1"]
    await space.until(
        INGRESSES, "web", lambda one: bool(status_of(one).get("loadBalancer", {}).get("ingress")), "address"
    )


async def test_stateful_set_keeps_names_and_claims(space: Space) -> None:
    mounts = [{"name": "data", "mountPath": "/data"}]
    code = (
        "import os,time\nopen('/data/n','a').write('x')\nprint(len(open('/data/n').read()), flush=True)\ntime.sleep(60)"
    )
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }
    spec = {
        "serviceName": "db",
        "replicas": 2,
        "selector": {"matchLabels": {"app": "db"}},
        "template": template("db", script(code, volumeMounts=mounts), terminationGracePeriodSeconds=1),
        "volumeClaimTemplates": [claim],
    }
    await space.create(STATEFUL_SETS, {"metadata": {"name": "db"}, "spec": spec})
    await space.until(STATEFUL_SETS, "db", lambda one: status_of(one).get("readyReplicas") == 2, "two ready")
    assert {name_of(entry) for entry in await space.pods()} == {"db-0", "db-1"}
    old = await space.get(PODS, "db-0")
    assert old is not None

    async def first() -> bool:
        return (await space.logs("db-0")).strip() == "1"

    # Without a probe a pod is ready as soon as its process is there; it has not written yet.
    await eventually(first, "the first pod's data")
    await space.client.delete(PODS, (space.name, "db-0"))
    await space.until(PODS, "db-0", lambda one: one["metadata"]["uid"] != old["metadata"]["uid"], "a new pod")
    await space.until_ready("db-0")

    async def second() -> bool:
        return (await space.logs("db-0")).strip() == "2"

    await eventually(second, "the data of the first pod")
    claims = (await space.client.list(PERSISTENT_VOLUME_CLAIMS, space.name))["items"]
    assert {name_of(entry) for entry in claims} == {"data-db-0", "data-db-1"}


async def test_job_completes(space: Space) -> None:
    spec = {
        "completions": 3,
        "parallelism": 2,
        "template": template("j", script("print('done')"), restartPolicy="Never"),
    }
    await space.create(JOBS, {"metadata": {"name": "j"}, "spec": spec})
    found = await space.until(JOBS, "j", lambda one: condition_true(one, "Complete"), "complete")
    assert status_of(found)["succeeded"] == 3


async def test_job_fails_after_its_limit(space: Space) -> None:
    spec = {"backoffLimit": 0, "template": template("j", script("raise SystemExit(1)"), restartPolicy="Never")}
    await space.create(JOBS, {"metadata": {"name": "j"}, "spec": spec})
    found = await space.until(JOBS, "j", lambda one: condition_true(one, "Failed"), "failed")
    assert status_of(found)["failed"] == 1


async def test_finished_job_is_removed_after_its_time(space: Space) -> None:
    spec = {"ttlSecondsAfterFinished": 1, "template": template("j", script("pass"), restartPolicy="Never")}
    await space.create(JOBS, {"metadata": {"name": "j"}, "spec": spec})
    await space.until_gone(JOBS, "j")


async def test_disruption_budget_counts(space: Space) -> None:
    budget = {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}
    await space.create(POD_DISRUPTION_BUDGETS, {"metadata": {"name": "b"}, "spec": budget})
    await space.create(DEPLOYMENTS, deployment("web", 2, "red"))
    found = await space.until(
        POD_DISRUPTION_BUDGETS, "b", lambda one: status_of(one).get("currentHealthy") == 2, "healthy"
    )
    assert status_of(found)["disruptionsAllowed"] == 1
