"""Deployment `<name>-transcoder`: one pod that makes the renditions and is their origin."""

from collections.abc import Iterable

from operators.api import LiveStream
from operators.core.children import child, of_component, selector
from operators.core.plan import Manifest, ObjectRef, Patch
from operators.core.platform import Platform
from operators.livestream import names
from operators.livestream.children.secret import ACCEPTED
from operators.livestream.children.workload import override, pod_template

KEY_DIR = "/etc/haat/keys"
GRACE_SECONDS = 60
SAFE_TO_EVICT = "cluster-autoscaler.kubernetes.io/safe-to-evict"


def build_transcoder(stream: LiveStream, platform: Platform, *, name: str) -> Manifest:
    """The Deployment. Recreate, because two pods of one Deployment would both claim the publisher."""
    size = override(platform.sizes.transcoder, stream.spec.transcode.resources)
    template = pod_template(
        stream,
        platform,
        component="transcoder",
        size=size,
        grace_seconds=GRACE_SECONDS,
        env=[
            {"name": "HAAT_STREAM_KEY_FILE", "value": f"{KEY_DIR}/{ACCEPTED}"},
            {"name": "HAAT_RTMP_URL", "value": platform.rtmp_url},
        ],
        volumes=[{"name": "keys", "secret": {"secretName": names.key_secret(stream)}}],
        mounts=[{"name": "keys", "mountPath": KEY_DIR, "readOnly": True}],
    )
    template["metadata"]["labels"] |= transcoder_selector(stream, name)
    return child(
        stream,
        api_version="apps/v1",
        kind="Deployment",
        name=name,
        component="transcoder",
        spec={
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": transcoder_selector(stream, name)},
            "template": template,
        },
    )


def transcoder_selector(stream: LiveStream, name: str) -> dict[str, str]:
    """Labels of one transcoder's pods; the second one of a redundant stream has a name of its own."""
    return selector(stream, "transcoder-b" if name == names.standby(stream) else "transcoder")


def build_transcoder_budget(stream: LiveStream, *, receiving: bool) -> Manifest | None:
    """While media arrives nobody may evict the transcoder; otherwise everybody may."""
    if not receiving:
        return None
    return child(
        stream,
        api_version="policy/v1",
        kind="PodDisruptionBudget",
        name=names.transcoder(stream),
        component="transcoder",
        spec={"maxUnavailable": 0, "selector": {"matchLabels": of_component(stream, "transcoder")}},
    )


def eviction_marks(stream: LiveStream, pods: Iterable[Manifest], *, receiving: bool) -> tuple[Patch, ...]:
    """Annotations that keep a cluster's autoscaler from moving a transcoder with media, and only then.

    They are patched onto the pods, because in the template they would replace the very pods that they protect.
    """
    wanted = "false" if receiving else "true"
    patches = []
    for pod in pods:
        metadata = pod["metadata"]
        component = (metadata.get("labels") or {}).get("app.kubernetes.io/component")
        present = (metadata.get("annotations") or {}).get(SAFE_TO_EVICT)
        if component == "transcoder" and present != wanted and (receiving or present is not None):
            ref = ObjectRef("v1", "Pod", stream.metadata.namespace, metadata["name"])
            patches.append(Patch(ref, {"metadata": {"annotations": {SAFE_TO_EVICT: wanted}}}))
    return tuple(patches)
