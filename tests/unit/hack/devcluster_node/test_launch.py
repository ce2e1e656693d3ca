"""What a container is started with, where mounts and the machine's own paths meet."""

from pathlib import Path

from hack.devcluster.images.table import LocalImage
from hack.devcluster.node.environment import Sources
from hack.devcluster.node.launch import Surroundings, plan_launch


def test_a_checkout_below_tmp_survives_a_pod_that_mounts_tmp(tmp_path: Path) -> None:
    image = LocalImage(
        names=("haat/*",),
        resolve=lambda command, args, _: [*command, *args],
        path=("/tmp/checkout/.venv/bin",),
        environment={"PYTHONPATH": "/tmp/checkout", "PGDATA": "/tmp/data"},
    )
    container = {
        "name": "edge",
        "command": ["python", "/tmp/script"],
        "env": [{"name": "CACHE", "value": "/tmp/cache"}],
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    pod = {"metadata": {"name": "edge", "namespace": "shop", "uid": "u"}, "spec": {"containers": [container]}}
    around = Surroundings(
        inherited={"PATH": "/usr/bin"},
        services={},
        marker="HAAT_DEVCLUSTER=x",
        address="127.64.0.2",
        kubeconfig=None,
        root=tmp_path / "pod",
    )
    volume = tmp_path / "volume"
    volume.mkdir()
    plan = plan_launch(
        pod,
        container,
        image=image,
        volumes={"tmp": volume},
        sources=Sources(config_map={}.get, secret={}.get, capacity={}),
        around=around,
    )
    assert plan.environment["PYTHONPATH"] == "/tmp/checkout"
    assert plan.environment["PATH"].startswith("/tmp/checkout/.venv/bin:")
    assert plan.environment["CACHE"] == f"{volume}/cache"
    assert plan.environment["PGDATA"] == f"{volume}/data"
    assert plan.argv == ["python", f"{volume}/script"]
