"""What runs is not replaced while people watch: pod templates of a started stream stay as they are until it has ended.

An upgrade of the operators or a new platform file changes templates. Rolling them out at once would end every
broadcast, so a started stream keeps the template that it has; `rolloutPolicy: Immediate` in the platform file (for a
security fix) overrides it.
"""

from operators.core.diff import contains
from operators.core.plan import Manifest
from operators.core.platform import RolloutPolicy


def pinned(desired: Manifest, live: Manifest | None, *, started: bool, policy: RolloutPolicy) -> Manifest:
    """`desired` with the live pod template where a rollout would disturb a started stream."""
    if live is None or not started or policy == RolloutPolicy.IMMEDIATE:
        return desired
    template = live["spec"].get("template")
    if template is None or contains(template, desired["spec"]["template"]):
        return desired
    return desired | {"spec": desired["spec"] | {"template": template}}
