"""`python -m hack.cli.helm KUBECONFIG VALUES_FILE`: install or upgrade both charts with Helm's own library.

A process of its own: the library is Go, and its memory goes with it.
"""

import json
import sys
from pathlib import Path
from typing import Any

from helm_python import Config, HelmError

from hack.cli.paths import CHARTS

NAMESPACE = "haat-system"


def main(kubeconfig: str, values_file: str) -> int:
    """Bring both releases to the charts' state; 1 with Helm's words on stderr when it fails."""
    values = json.loads(Path(values_file).read_text())
    try:
        with Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE, qps=200, burst_limit=400) as config:
            deploy(config, "haat-crds", {})
            deploy(config, "haat", values)
    except HelmError as error:
        sys.stderr.write(f"helm: {error}\n")
        return 1
    return 0


def deploy(config: Config, name: str, values: dict[str, Any]) -> None:
    """Install the release, or upgrade it when it is there."""
    chart = str(CHARTS / name)
    installed = {release["name"] for release in config.list()}
    if name in installed:
        config.upgrade(chart, name, values, namespace=NAMESPACE)
    else:
        config.install(chart, name, values, namespace=NAMESPACE, create_namespace=True)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
