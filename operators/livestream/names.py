"""Names of a LiveStream's children: deterministic, so that every reconcile finds them again."""

from operators.api import LiveStream


def transcoder(stream: LiveStream) -> str:
    """Deployment and Service of the transcoder."""
    return f"{stream.metadata.name}-transcoder"


def standby(stream: LiveStream) -> str:
    """Deployment and Service of the second transcoder of a redundant stream."""
    return f"{stream.metadata.name}-transcoder-b"


def finalize(stream: LiveStream) -> str:
    """Job that closes the broadcast's books."""
    return f"{stream.metadata.name}-finalize"


def restream(stream: LiveStream) -> str:
    """Deployment and NetworkPolicy of the copies for other platforms."""
    return f"{stream.metadata.name}-restream"


def fanout(stream: LiveStream) -> str:
    """Deployment, Service and disruption budget of the room."""
    return f"{stream.metadata.name}-fanout"


def key_secret(stream: LiveStream) -> str:
    """Secret with the stream key."""
    return f"{stream.metadata.name}-stream-key"


def config_map(stream: LiveStream) -> str:
    """ConfigMap with stream.json."""
    return f"{stream.metadata.name}-stream"


def service_account(stream: LiveStream) -> str:
    """Account of the stream's pods; it has no rights at all."""
    return f"{stream.metadata.name}-stream"


def ingress(stream: LiveStream) -> str:
    """Ingress of the room and the studio."""
    return f"{stream.metadata.name}-stream"
