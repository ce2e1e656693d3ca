"""The recorder's store: a volume of the chart's own with one pod, or S3 with several and a way out."""

from typing import Any

import pytest
from helm_python import HelmError

from tests.unit.charts.conftest import AUTH, Obj, merged, named, of_kind, render, rendered

S3: Obj = {
    "ha": {"enabled": True},
    "recorder": {
        "storage": {
            "url": "s3://live/haat",
            "endpoint": "https://s3.example.com",
            "region": "ap-south-1",
            "existingSecret": "s3-keys",
            "ports": [9000],
        }
    },
}


def environment(documents: list[Obj]) -> dict[str, Any]:
    container = named(documents, "Deployment", "recorder")["spec"]["template"]["spec"]["containers"][0]
    return {item["name"]: item.get("value", item.get("valueFrom")) for item in container["env"]}


def test_recordings_are_on_a_volume_that_outlives_the_release() -> None:
    documents = rendered("default")
    claim = named(documents, "PersistentVolumeClaim", "recordings")
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    found = environment(documents)
    assert found["HAAT_RECORDER_STORAGE_URL"] == "file:///var/lib/haat/recordings"
    assert int(found["HAAT_RECORDER_SPOOL_BYTES"]) == 4 * 1024**3 * 9 // 10
    assert "AWS_ENDPOINT_URL" not in found


def test_one_pod_mounts_a_volume_of_one_node() -> None:
    spec = named(rendered("ha"), "Deployment", "recorder")["spec"]
    assert spec["replicas"] == 1
    assert spec["strategy"] == {"type": "Recreate"}


def test_several_pods_share_a_bucket() -> None:
    documents = render(merged(AUTH, S3))
    assert not of_kind(documents, "PersistentVolumeClaim")
    spec = named(documents, "Deployment", "recorder")["spec"]
    assert spec["replicas"] == 2
    assert spec["strategy"]["type"] == "RollingUpdate"
    found = environment(documents)
    assert found["HAAT_RECORDER_STORAGE_URL"] == "s3://live/haat"
    assert found["AWS_ENDPOINT_URL"] == "https://s3.example.com"
    assert found["AWS_REGION"] == "ap-south-1"
    assert found["AWS_SECRET_ACCESS_KEY"]["secretKeyRef"] == {"name": "s3-keys", "key": "secret-access-key"}
    policy = named(documents, "NetworkPolicy", "recorder-storage")["spec"]
    assert policy["egress"] == [{"ports": [{"port": 9000, "protocol": "TCP"}]}]


def test_several_pods_share_a_volume_that_many_may_write() -> None:
    values = merged(AUTH, {"recorder": {"replicas": 3, "storage": {"accessMode": "ReadWriteMany"}}})
    documents = render(values)
    assert named(documents, "Deployment", "recorder")["spec"]["replicas"] == 3
    assert named(documents, "PersistentVolumeClaim", "recordings")["spec"]["accessModes"] == ["ReadWriteMany"]


def test_clips_are_ordered_here_and_replays_go_through_the_edge() -> None:
    paths = named(rendered("default"), "Ingress", "haat")["spec"]["rules"][0]["http"]["paths"]
    found = {item["path"]: item["backend"]["service"]["name"] for item in paths}
    assert {path for path, service in found.items() if service == "recorder"} == {"/api/v1/clips"}
    assert found["/"] == "edge"
    container = named(rendered("default"), "Deployment", "edge")["spec"]["template"]["spec"]["containers"][0]
    assert "HAAT_RECORDER_URL" in {item["name"] for item in container["env"]}


@pytest.mark.parametrize("storage", [{"url": "/mnt/x"}, {"spool": "1GB"}, {"accessMode": "Any"}, {"bucket": "x"}])
def test_wrong_values_are_refused(storage: Obj) -> None:
    with pytest.raises(HelmError, match="recorder"):
        render(merged(AUTH, {"recorder": {"storage": storage}}))
