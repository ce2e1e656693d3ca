"""Where everything is: the content of `.haat/endpoints.json`."""

from typing import TypedDict

from hack.cli import cluster, keys, samples
from hack.cli.errors import UserError
from hack.cli.paths import KUBECONFIG, STATE
from hack.cli.ports import Ports
from hack.devcluster.client import ApiClient

HOST_TOKEN_HOURS = 24.0


class Endpoints(TypedDict):
    """Addresses of the running platform and the key to publish with."""

    viewer: str
    studio: str
    api: str
    hls: str
    ws: str
    rtmp: str
    stream_key: str
    kubeconfig: str
    metrics: str


async def build(client: ApiClient, ports: Ports) -> Endpoints:
    """Read the sample's key and put the addresses together."""
    stream = f"{samples.NAMESPACE}/{samples.STREAM}"
    key = await cluster.secret_text(client, samples.NAMESPACE, f"{samples.STREAM}-stream-key", "stream-key")
    if key is None:
        raise UserError(f"the operators made no stream key for {stream}; look at `kubectl describe livestream`.")
    return assemble(key, ports)


def assemble(key: str, ports: Ports) -> Endpoints:
    """The addresses of the sample's stream on this machine."""
    stream = f"{samples.NAMESPACE}/{samples.STREAM}"
    base = f"http://127.0.0.1:{ports.http}"
    host = keys.token(STATE / "auth.json", name="Host", role="host", streams=[stream], hours=HOST_TOKEN_HOURS)
    return Endpoints(
        viewer=f"{base}/s/{stream}",
        studio=f"{base}/studio/{stream}#token={host}",
        api=f"{base}/api/v1",
        hls=f"{base}/hls/{stream}/master.m3u8",
        ws=f"ws://127.0.0.1:{ports.http}/ws/{stream}",
        rtmp=f"rtmp://127.0.0.1:{ports.rtmp}/live",
        stream_key=key,
        kubeconfig=str(KUBECONFIG),
        metrics=f"{base}/operators/metrics",
    )
