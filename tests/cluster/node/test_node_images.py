"""Servers that a manifest takes from public images: Redis and PostgreSQL, with their probes and a restart."""

import json

import pytest

from hack.devcluster.objects import status_of
from hack.devcluster.resources import PERSISTENT_VOLUME_CLAIMS, PODS
from tests.support.cluster import PYTHON, Cluster, Space, container, eventually, pod, script


async def test_redis_answers_on_its_address(space: Space) -> None:
    probe = {"exec": {"command": ["redis-cli", "ping"]}, "periodSeconds": 1, "timeoutSeconds": 5}
    redis = {
        "name": "redis",
        "image": "redis:7-alpine",
        "args": ["--save", "", "--appendonly", "no"],
        "readinessProbe": probe,
    }
    await space.create(PODS, pod("redis", redis))
    address = status_of(await space.until_ready("redis"))["podIP"]
    code = (
        "import socket,sys\n"
        "s = socket.create_connection((sys.argv[1], 6379), 5)\n"
        "s.sendall(b'SET a 1\\r\\nGET a\\r\\n'); f = s.makefile('rb')\n"
        "print(f.readline(), f.readline(), f.readline())\n"
    )
    await space.create(PODS, pod("client", container("python", "-c", code, address), restartPolicy="Never"))
    await space.until_phase("client", "Succeeded")
    assert (await space.logs("client")).strip() == r"b'+OK\r\n' b'$1\r\n' b'1\r\n'"


async def test_postgres_initialises_and_keeps_its_data(space: Space) -> None:
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "100Mi"}}},
    }
    await space.create(PERSISTENT_VOLUME_CLAIMS, claim)
    server = {
        "name": "postgres",
        "image": "postgres:17-alpine",
        "env": [
            {"name": "POSTGRES_USER", "value": "haat"},
            {"name": "POSTGRES_PASSWORD", "value": "pw"},
            {"name": "POSTGRES_DB", "value": "shop"},
            {"name": "PGDATA", "value": "/var/lib/postgresql/data/pgdata"},
        ],
        "args": ["-c", "max_connections=40"],
        "readinessProbe": {"exec": {"command": ["pg_isready", "-U", "haat"]}, "periodSeconds": 1, "timeoutSeconds": 5},
        "volumeMounts": [{"name": "data", "mountPath": "/var/lib/postgresql/data"}],
    }
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    for turn, statement in enumerate(("CREATE TABLE t(x int); INSERT INTO t VALUES (7)", "SELECT x FROM t")):
        await space.create(PODS, pod("pg", server, volumes=volumes, terminationGracePeriodSeconds=20))
        address = status_of(await space.until_ready("pg"))["podIP"]
        client = {
            "name": "main",
            "image": "postgres:17-alpine",
            "command": ["psql", "-h", address, "-U", "haat", "-d", "shop", "-tAc", statement],
            "env": [{"name": "PGPASSWORD", "value": "pw"}],
        }
        await space.create(PODS, pod(f"client{turn}", client, restartPolicy="Never"))
        await space.until_phase(f"client{turn}", "Succeeded")
        await space.client.delete(PODS, (space.name, "pg"))
        await space.until_gone(PODS, "pg")
    assert (await space.logs("client1")).strip() == "7"


async def test_pod_speaks_to_the_api_as_its_account(space: Space, cluster: Cluster) -> None:
    if cluster.node_process is None:
        pytest.skip("clusters with containers hand out the token as a file")
    code = (
        "import json,os,ssl,urllib.request,urllib.error\n"
        "config = json.load(open(os.environ['KUBECONFIG']))\n"
        "server, token = config['clusters'][0]['cluster']['server'], config['users'][0]['user']['token']\n"
        "context = ssl._create_unverified_context()\n"
        "request = urllib.request.Request(server + '/api/v1/nodes', headers={'Authorization': 'Bearer ' + token})\n"
        "try: urllib.request.urlopen(request, context=context, timeout=5); print(200)\n"
        "except urllib.error.HTTPError as error: print(error.code, json.load(error)['message'])\n"
    )
    await space.create(PODS, pod("p", script(code), restartPolicy="Never"))
    await space.until_phase("p", "Succeeded")
    text = await space.logs("p")
    assert text.startswith("403 "), text
    assert f"system:serviceaccount:{space.name}:default" in text


async def test_environment_of_haat_images_finds_the_checkout(space: Space, cluster: Cluster) -> None:
    if cluster.node_process is None:
        pytest.skip("the image is not published")
    code = "import json,sys,hack.devcluster.objects as m; print(json.dumps([sys.prefix, m.__file__]))"
    main = {"name": "main", "image": "haat/any:dev", "command": ["python", "-c", code]}
    await space.create(PODS, pod("p", main, restartPolicy="Never"))
    await space.until_phase("p", "Succeeded")
    prefix, module = json.loads(await space.logs("p"))
    assert prefix.endswith("/.venv")
    assert module.endswith("/hack/devcluster/objects.py")


async def test_memory_limit_kills(space: Space) -> None:
    code = (
        "import time\nblock = bytearray(80 * 2**20)\nfor i in range(0, len(block), 4096): block[i] = 1\ntime.sleep(120)"
    )
    main = {
        "name": "main",
        "image": PYTHON,
        "command": ["python", "-c", code],
        "resources": {"limits": {"memory": "40Mi"}},
    }
    await space.create(PODS, pod("p", main, restartPolicy="Never"))
    found = await space.until_phase("p", "Failed")
    assert status_of(found)["containerStatuses"][0]["state"]["terminated"]["reason"] == "OOMKilled"


async def test_stats_are_served(space: Space, cluster: Cluster) -> None:
    if cluster.node_process is None:
        pytest.skip("the kubelet's port is not open to this machine")
    await space.create(PODS, pod("p", script("import time\nwhile True: time.sleep(0.01)")))
    await space.until_ready("p")
    node = await space.client.request("GET", "/api/v1/nodes/haat")
    address = status_of(node)["addresses"][0]["address"]

    async def seen() -> bool:
        async with space.client.session.get(f"http://{address}:10250/metrics") as answer:
            return f'namespace="{space.name}"' in await answer.text()

    await eventually(seen, "the pod's usage")
