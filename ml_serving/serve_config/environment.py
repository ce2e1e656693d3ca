"""Ray's settings that are read at import time, so they are set before anything imports Ray.

What the pod's manifest sets stays as it is.
"""

import os
import secrets
import tempfile
from collections.abc import MutableMapping
from pathlib import Path

LONGEST_FOLDER = 36
"""Ray adds 66 characters (session and socket names) and one more level; a Unix socket's path may have 107."""

_DEFAULTS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Request path on one loop, gRPC between proxy and replica.
    "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
    # Replicas would listen on ports of their own and drain 30 s for a load balancer that is not there.
    "RAY_SERVE_ENABLE_DIRECT_INGRESS": "0",
    # Two clusters on one machine: the usual fixed range of worker ports would be handed out twice.
    "RAY_USE_RANDOM_PORTS": "1",
    # A node that idles should cost little: the controller's default is ten rounds a second.
    "RAY_SERVE_CONTROL_LOOP_INTERVAL_S": "0.3",
    "REPORTER_UPDATE_INTERVAL_MS": "30000",
    # Ray's gRPC servers listen on every interface.
    "RAY_AUTH_MODE": "token",
}


def prepare(environment: MutableMapping[str, str]) -> Path:
    """Fill `environment`; the fresh private folder of this run."""
    for name, value in _DEFAULTS.items():
        environment.setdefault(name, value)
    if environment["RAY_AUTH_MODE"] == "token" and "RAY_AUTH_TOKEN_PATH" not in environment:
        # Otherwise Ray would write a token into the home folder.
        environment.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))
    return private_folder(environment.get("TMPDIR", ""))


def private_folder(wanted: str) -> Path:
    """A fresh folder (mode 0700) under `wanted`, or under /tmp where that path is too long for Ray's sockets."""
    parent = wanted if wanted and len(wanted) + len("/haat-12345678") <= LONGEST_FOLDER else "/tmp"  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="haat-", dir=parent if os.path.isdir(parent) else None))
