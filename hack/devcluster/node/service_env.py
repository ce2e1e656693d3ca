"""The Service environment variables that every container gets.

Source: kubernetes.io/docs/tutorials/services/connect-applications-service (environment variables). Services of the
pod's own namespace, and `kubernetes` of `default`.
"""

from collections.abc import Iterable

from hack.devcluster.objects import Obj, name_of, namespace_of, spec_of


def service_environment(services: Iterable[Obj], *, namespace: str, links: bool = True) -> dict[str, str]:
    """Variables of the services a namespace sees; `links=False` (enableServiceLinks) keeps only `kubernetes`."""
    variables: dict[str, str] = {}
    for service in sorted(services, key=lambda entry: (namespace_of(entry) == namespace, name_of(entry))):
        master = (namespace_of(service), name_of(service)) == ("default", "kubernetes")
        if master or (links and namespace_of(service) == namespace):
            variables.update(_variables_of(service))
    return variables


def _variables_of(service: Obj) -> dict[str, str]:
    spec = spec_of(service)
    address, ports = spec.get("clusterIP"), spec.get("ports") or []
    if not address or address == "None" or not ports:
        return {}
    prefix = _env_name(name_of(service))
    variables = {f"{prefix}_SERVICE_HOST": address, f"{prefix}_SERVICE_PORT": str(ports[0]["port"])}
    for index, port in enumerate(ports):
        number, protocol = str(port["port"]), str(port.get("protocol") or "TCP")
        if port.get("name"):
            variables[f"{prefix}_SERVICE_PORT_{_env_name(port['name'])}"] = number
        url = f"{protocol.lower()}://{address}:{number}"
        if index == 0:
            variables[f"{prefix}_PORT"] = url
        link = f"{prefix}_PORT_{number}_{protocol.upper()}"
        variables[link] = url
        variables[f"{link}_PROTO"] = protocol.lower()
        variables[f"{link}_PORT"] = number
        variables[f"{link}_ADDR"] = address
    return variables


def _env_name(name: str) -> str:
    return name.upper().replace("-", "_")
