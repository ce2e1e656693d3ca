"""Services, EndpointSlices and Ingresses, seen from inside the cluster and through the Ingress's address."""

import aiohttp
import pytest

from hack.devcluster.objects import Obj, is_deleting, name_of, status_of
from hack.devcluster.resources import DEPLOYMENTS, ENDPOINT_SLICES, INGRESSES, PODS, SERVICES
from tests.cluster.controllers.shapes import deployment, until_rolled_out
from tests.support.cluster import Cluster, Space, eventually, pod, script, server

ASK = """
import os, urllib.request
host = os.environ["WEB_SERVICE_HOST"]
for _ in range(8):
    print(urllib.request.urlopen(f"http://{host}:8081/", timeout=10).read().decode().split()[0])
"""


def service(name: str, **spec: object) -> Obj:
    port = {"name": "http", "port": 8081, "targetPort": "http", "protocol": "TCP"}
    return {"metadata": {"name": name}, "spec": {"selector": {"app": name}, "ports": [port], **spec}}


async def serve(space: Space, name: str, replicas: int = 1, **spec: object) -> Obj:
    await space.create(DEPLOYMENTS, deployment(name, replicas, server()))
    made = await space.create(SERVICES, service(name, **spec))
    await until_rolled_out(space, name)

    async def listed() -> bool:
        return len([one for one in await endpoints(space, name) if one["conditions"]["ready"]]) == replicas

    await eventually(listed, "ready endpoints")
    return made


async def endpoints(space: Space, name: str) -> list[Obj]:
    params = {"labelSelector": f"kubernetes.io/service-name={name}"}
    slices = (await space.client.list(ENDPOINT_SLICES, space.name, params=params))["items"]
    return [one for entry in slices for one in entry.get("endpoints") or []]


async def answers(space: Space, name: str) -> list[str]:
    await space.create(PODS, pod(name, script(ASK), restartPolicy="Never"))
    await space.until_phase(name, "Succeeded")
    return (await space.logs(name)).split()


async def test_a_service_reaches_its_pods(space: Space) -> None:
    await serve(space, "web", 2)
    seen = await answers(space, "client")
    assert set(seen) == {name_of(one) for one in await space.pods("app=web")}


async def test_session_affinity_keeps_the_pod(space: Space) -> None:
    await serve(space, "web", 2, sessionAffinity="ClientIP")
    assert len(set(await answers(space, "client"))) == 1


async def test_ports_and_addresses_by_type(space: Space) -> None:
    node = await serve(space, "web", type="NodePort")
    assert node["spec"]["ports"][0]["nodePort"] >= 30_000
    headless = await space.create(
        SERVICES,
        {**service("web"), "metadata": {"name": "bare"}, "spec": {**service("web")["spec"], "clusterIP": "None"}},
    )
    assert headless["spec"]["clusterIP"] == "None"

    async def listed() -> bool:
        return len(await endpoints(space, "bare")) == 1

    await eventually(listed, "endpoints of the headless Service")


async def test_a_pod_that_ends_is_told_as_terminating(space: Space) -> None:
    slow = server()
    slow["lifecycle"] = {"preStop": {"exec": {"command": ["python", "-c", "import time; time.sleep(3)"]}}}
    await space.create(PODS, pod("web", slow, terminationGracePeriodSeconds=10))
    await space.create(SERVICES, service("web"))
    await space.until_ready("web")

    async def ready() -> bool:
        return [one["conditions"]["ready"] for one in await endpoints(space, "web")] == [True]

    await eventually(ready, "ready")
    await space.client.delete(PODS, (space.name, "web"))

    async def draining() -> bool:
        found = [one["conditions"] for one in await endpoints(space, "web")]
        return found == [{"ready": False, "serving": True, "terminating": True}]

    await eventually(draining, "serving and terminating")
    await space.until_gone(PODS, "web")

    async def gone() -> bool:
        return await endpoints(space, "web") == []

    await eventually(gone, "no endpoint")


def ingress(host: str, *paths: tuple[str, str, str]) -> Obj:
    rules = [
        {
            "path": path,
            "pathType": kind,
            "backend": {"service": {"name": target, "port": {"name": "http"}}},
        }
        for path, kind, target in paths
    ]
    return {"metadata": {"name": "shop"}, "spec": {"rules": [{"host": host, "http": {"paths": rules}}]}}


async def test_ingress_paths_and_hosts(space: Space, cluster: Cluster) -> None:
    if not cluster.ingress:
        pytest.skip("the cluster has no Ingress this machine can reach")
    await serve(space, "web")
    await serve(space, "api")
    host = f"{space.name}.example"
    paths = [("/", "Prefix", "web"), ("/api", "Prefix", "api"), ("/only", "Exact", "api"), ("/none", "Prefix", "none")]
    await space.create(INGRESSES, ingress(host, *paths))
    wild = ingress(f"*.{host}", ("/", "ImplementationSpecific", "api"))
    await space.create(INGRESSES, {**wild, "metadata": {"name": "wild"}})
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:

        async def ask(path: str, name: str = host) -> tuple[int, str]:
            async with session.get(cluster.ingress + path, headers={"Host": name}) as answer:
                return answer.status, (await answer.text()).split("-")[0]

        async def routed() -> bool:
            return await ask("/") == (200, "web") and (await ask("/", f"a.{host}"))[0] == 200

        await eventually(routed, "the routes")
        assert await ask("/api/items") == (200, "api")
        assert await ask("/apis") == (200, "web")
        assert await ask("/only") == (200, "api")
        assert await ask("/only/more") == (200, "web")
        assert await ask("/", f"a.{host}") == (200, "api")
        assert (await ask("/", f"a.b.{host}"))[0] == 404
        assert (await ask("/none"))[0] == 503
    found = await space.until(
        INGRESSES, "shop", lambda one: bool((status_of(one).get("loadBalancer") or {}).get("ingress")), "an address"
    )
    assert not is_deleting(found)
