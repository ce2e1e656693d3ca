"""What every part of the agent shares: client, caches, addresses, folders."""

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

from hack.devcluster.client import ApiClient
from hack.devcluster.events import EventRecorder
from hack.devcluster.images.table import ImageTable
from hack.devcluster.informer import Informer
from hack.devcluster.node.addresses import AddressPool
from hack.devcluster.node.environment import Lookup
from hack.devcluster.node.logs import LogTicker
from hack.devcluster.objects import Obj

NODE_NAME = "haat"
_INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "LD_LIBRARY_PATH",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_VISIBLE_DEVICES",
)


def cluster_marker(state_dir: Path) -> str:
    """`NAME=value` of the variable that every process of this cluster carries; unique to the state folder."""
    digest = hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:16]
    return f"HAAT_DEVCLUSTER={digest}"


def inherited_environment() -> dict[str, str]:
    """The few variables a container gets from the agent's own environment; a real one would get none."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


@dataclass(slots=True, kw_only=True)
class NodeContext:
    """Shared by scheduler, agent and pod workers."""

    client: ApiClient
    events: EventRecorder
    pods: Informer
    services: Informer
    config_maps: Informer
    secrets: Informer
    claims: Informer
    images: ImageTable
    addresses: AddressPool
    logs: LogTicker
    state_dir: Path
    node_ip: str
    marker: str
    capacity: dict[str, str] = field(default_factory=dict)

    def config_map_lookup(self, namespace: str) -> Lookup:
        return lambda name: self.config_maps.get((namespace, name))

    def secret_lookup(self, namespace: str) -> Lookup:
        return lambda name: self.secrets.get((namespace, name))

    def pod_folder(self, uid: str) -> Path:
        return self.state_dir / "pods" / uid

    def log_folder(self, pod: Obj) -> Path:
        metadata = pod["metadata"]
        return self.state_dir / "logs" / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"

    def claim_folder(self, namespace: str, name: str) -> Path | None:
        """Folder of a bound claim."""
        claim = self.claims.get((namespace, name))
        if claim is None or (claim.get("status") or {}).get("phase") != "Bound":
            return None
        return self.state_dir / "claims" / str(claim["metadata"]["uid"])
