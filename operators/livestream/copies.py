"""The condition `Restreaming`: how the copies for other platforms are doing. It never makes a stream less ready."""

from collections.abc import Mapping

from operators.api import Channel
from operators.core.conditions import Fact


def restreaming(channel: Channel | None, told: Mapping[str, str] | None, *, on_air: bool) -> tuple[Fact, ...]:
    """The condition; none for a channel that restreams nowhere. `told` is target -> state, None while no pod tells."""
    wanted = sorted(item.name for item in channel.spec.restream) if channel else []
    if not wanted:
        return ()
    if not on_air:
        return (Fact("Restreaming", False, "NotOnAir"),)
    if told is None:
        return (Fact("Restreaming", None, "Starting"),)
    missing = [name for name in wanted if name not in told]
    failing = [f"{name}: {told[name]}" for name in wanted if name in told and told[name] != "Live"]
    if missing:
        text = f"The Secret of {', '.join(missing)} is missing, or has no key `url`."
        return (Fact("Restreaming", False, "TargetMissing", text),)
    if failing:
        return (Fact("Restreaming", False, "TargetsFailing", "; ".join(failing)[:500]),)
    return (Fact("Restreaming", True, "AllTargetsLive"),)
