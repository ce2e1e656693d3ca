"""Job `<name>-finalize`: runs once after the last viewer has left and closes the books of the broadcast."""

from operators.api import LiveStream
from operators.core.children import RESTRICTED_CONTAINER, RESTRICTED_POD, child, labels
from operators.core.plan import Manifest
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.children.workload import STREAM_DIR, common_env


def build_finalize(stream: LiveStream, platform: Platform) -> Manifest:
    """The Job; running it twice does nothing twice."""
    facts = {
        "HAAT_PEAK_VIEWERS": str(stream.status.peak_viewers),
        "HAAT_STARTED_AT": stream.status.started_at or "",
        "HAAT_ENDED_AT": stream.status.ended_at or "",
        "HAAT_END_REASON": stream.status.end_reason,
    }
    container = {
        "name": "finalize",
        "image": platform.images.workloads,
        "imagePullPolicy": platform.images.pull_policy,
        "command": ["python", "-m", "workloads.finalize"],
        "env": [*common_env(platform), *({"name": name, "value": value} for name, value in facts.items())],
        "resources": {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "securityContext": RESTRICTED_CONTAINER,
        "volumeMounts": [{"name": "stream", "mountPath": STREAM_DIR, "readOnly": True}],
    }
    pod = {
        "serviceAccountName": names.service_account(stream),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "OnFailure",
        "securityContext": RESTRICTED_POD,
        "containers": [container],
        "volumes": [{"name": "stream", "configMap": {"name": names.config_map(stream)}}],
    }
    return child(
        stream,
        api_version="batch/v1",
        kind="Job",
        name=names.finalize(stream),
        component="finalize",
        spec={
            "backoffLimit": 6,
            "activeDeadlineSeconds": 600,
            "template": {"metadata": {"labels": labels(stream, "finalize")}, "spec": pod},
        },
    )
