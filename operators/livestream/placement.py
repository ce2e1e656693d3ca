"""Where a stream is transcoded: on a worker of a pool, or in pods of its own."""

from operators.api import LiveStream
from operators.api.livestream import Placement


def pooled(stream: LiveStream) -> bool:
    """Whether a pool's worker takes the stream."""
    return stream.spec.transcode.placement == Placement.POOLED


def pool_name(stream: LiveStream) -> str:
    """The pool of a pooled stream."""
    return stream.spec.transcode.pool_ref.name if stream.spec.transcode.pool_ref else "default"
