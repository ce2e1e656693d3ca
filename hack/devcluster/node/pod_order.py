"""Which containers of a pod start again, and in which order sidecars stop.

Trap avoided: a sidecar starts again whatever the pod's restart policy says, but never once the others are done.
"""

import time
from collections.abc import Callable, Sequence

from hack.devcluster.node.container import ContainerRunner
from hack.devcluster.node.pod_status import is_sidecar
from hack.devcluster.objects import Obj, spec_of

Rule = Callable[[int], bool]
"""Whether an exit code leads to another start."""


def _policy(pod: Obj) -> str:
    return str(spec_of(pod).get("restartPolicy") or "Always")


def init_rules(pod: Obj) -> list[tuple[Obj, Rule]]:
    """Init containers and sidecars with their rules, in the order of their start."""
    never = _policy(pod) == "Never"

    def again(code: int) -> bool:
        return code != 0 and not never

    def always(code: int) -> bool:
        del code
        return True

    return [(spec, always if is_sidecar(spec) else again) for spec in spec_of(pod).get("initContainers") or []]


def main_rules(pod: Obj) -> list[tuple[Obj, Rule]]:
    """The main containers with their rules."""
    policy = _policy(pod)

    def rule(code: int) -> bool:
        return policy == "Always" or (policy == "OnFailure" and code != 0)

    return [(spec, rule) for spec in spec_of(pod).get("containers") or []]


async def stop_sidecars(init: Sequence[ContainerRunner], grace: float) -> None:
    """One after another, the last one started first, within one grace."""
    sidecars = [runner for runner in init if is_sidecar(runner.spec)]
    for runner in sidecars:
        runner.retire()
    end = time.monotonic() + grace
    for runner in reversed(sidecars):
        await runner.stop(max(0.0, end - time.monotonic()))
