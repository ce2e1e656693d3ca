"""ServiceAccount `<name>-channel` with a Role: tools of the channel's owner may read its own ConfigMaps and Secrets,
and nothing else; by name, because a list would show everybody's."""

from operators.api import Channel
from operators.channel import names
from operators.core.children import child
from operators.core.plan import Manifest

_RBAC = "rbac.authorization.k8s.io"


def build_access(channel: Channel, *, config_maps: list[str], secrets: list[str]) -> list[Manifest]:
    """Account, Role and RoleBinding."""
    name = names.account(channel)
    readable = [("configmaps", config_maps), ("secrets", secrets)]
    rules = [
        {"apiGroups": [""], "resources": [resource], "resourceNames": sorted(allowed), "verbs": ["get"]}
        for resource, allowed in readable
        if allowed
    ]
    account = child(
        channel,
        api_version="v1",
        kind="ServiceAccount",
        name=name,
        component="channel",
        automountServiceAccountToken=False,
    )
    role = child(channel, api_version=f"{_RBAC}/v1", kind="Role", name=name, component="channel", rules=rules)
    binding = child(
        channel,
        api_version=f"{_RBAC}/v1",
        kind="RoleBinding",
        name=name,
        component="channel",
        roleRef={"apiGroup": _RBAC, "kind": "Role", "name": name},
        subjects=[{"kind": "ServiceAccount", "name": name, "namespace": channel.metadata.namespace}],
    )
    return [account, role, binding]
