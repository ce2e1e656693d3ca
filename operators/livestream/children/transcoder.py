"""Deployment `<name>-transcoder`: one pod that makes the renditions and is their origin."""

from operators.api import LiveStream
from operators.core.children import child, selector
from operators.core.plan import Manifest
from operators.core.platform import Platform, Size
from operators.livestream import names
from operators.livestream.children.secret import ACCEPTED
from operators.livestream.children.workload import pod_template

KEY_DIR = "/etc/haat/keys"
GRACE_SECONDS = 60


def build_transcoder(stream: LiveStream, platform: Platform) -> Manifest:
    """The Deployment. Recreate, because two transcoders of one stream would both claim its publisher."""
    wanted, default = stream.spec.transcode.resources, platform.sizes.transcoder
    size = Size(
        cpu=wanted.cpu or default.cpu,
        memory=wanted.memory or default.memory,
        memory_limit=wanted.memory or default.memory_limit,
    )
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
    return child(
        stream,
        api_version="apps/v1",
        kind="Deployment",
        name=names.transcoder(stream),
        component="transcoder",
        spec={
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": selector(stream, "transcoder")},
            "template": template,
        },
    )
