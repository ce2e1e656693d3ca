"""What runs is not replaced while people watch: pod templates of a started stream stay as they are until it has ended.

An upgrade of the operators or a new platform file changes templates. Rolling them out at once would end every
broadcast, so a started stream keeps the template that it was given; `rolloutPolicy: Immediate` in the platform file,
for a security fix, overrides it. The template that we gave is kept as an annotation: what somebody else changed in it
is repaired, because only our own changes wait.
"""

import json

from operators.core.plan import Manifest
from operators.core.platform import RolloutPolicy

ANNOTATION = "haat.dev/template"


def pinned(desired: Manifest, live: Manifest | None, *, started: bool, policy: RolloutPolicy) -> Manifest:
    """`desired` with the template that the stream runs on, where a rollout would disturb it."""
    template = desired["spec"]["template"]
    given = _given(live)
    if started and policy == RolloutPolicy.WHEN_IDLE and given is not None:
        template = given
    metadata = desired["metadata"]
    note = {ANNOTATION: json.dumps(template, sort_keys=True, separators=(",", ":"))}
    return desired | {
        "metadata": metadata | {"annotations": metadata.get("annotations", {}) | note},
        "spec": desired["spec"] | {"template": template},
    }


def _given(live: Manifest | None) -> Manifest | None:
    """The template that we applied last; None when that cannot be told."""
    text = ((live or {}).get("metadata", {}).get("annotations") or {}).get(ANNOTATION)
    try:
        found = json.loads(text) if text else None
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
