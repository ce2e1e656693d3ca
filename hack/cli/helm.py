"""`python -m hack.cli.helm KUBECONFIG VALUES_FILE...`: install or upgrade both charts with Helm's own library.

Values files are YAML or JSON; a later one goes over an earlier one.

A process of its own: the library is Go, and its memory goes with it.
"""

import sys
from pathlib import Path
from typing import Any

import yaml
from helm_python import Config, HelmError

from hack.cli.paths import CHARTS

NAMESPACE = "haat-system"


def main(kubeconfig: str, *values_files: str) -> int:
    """Bring both releases to the charts' state; 1 with Helm's words on stderr when it fails."""
    values: dict[str, Any] = {}
    for file in values_files:
        values = merged(values, yaml.safe_load(Path(file).read_text()) or {})
    try:
        with Config(kubeconfig_path=kubeconfig, namespace=NAMESPACE, qps=200, burst_limit=400) as config:
            deploy(config, "haat-crds", {})
            deploy(config, "haat", values)
    except HelmError as error:
        sys.stderr.write(f"helm: {error}\n")
        return 1
    return 0


def merged(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    """`second` over `first`, mappings member by member, as Helm does with several values files."""
    result = dict(first)
    for key, value in second.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merged(result[key], value) if both else value
    return result


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
