"""Whether a Channel may work as it is asked for: its slug, its references, its programme."""

from collections.abc import Iterable, Iterator

from operators.api import Channel
from operators.channel.observe import ChannelObserved
from operators.channel.programme import ProgrammeError
from operators.core.conditions import Fact
from operators.core.platform import Platform


def acceptance(
    channel: Channel, observed: ChannelObserved, platform: Platform, unresolved: ProgrammeError | None = None
) -> Fact:
    """The condition `Accepted`: the first thing that is wrong, with what would help. `unresolved` is why the programme
    of a Linear channel makes no line."""
    found = next(_problems(channel, observed, platform, unresolved), None)
    if found is None:
        return Fact("Accepted", True, "Accepted")
    return Fact("Accepted", False, *found)


def _problems(
    channel: Channel, observed: ChannelObserved, platform: Platform, unresolved: ProgrammeError | None
) -> Iterator[tuple[str, str]]:
    spec = channel.spec
    if observed.rivals:
        yield "SlugTaken", f"Channel {observed.rivals[0]} is older and has the slug {spec.slug}; choose another one."
    if spec.suspended:
        yield "Suspended", "spec.suspended is set."
    for use in spec.delivery.cdns:
        if use.provider not in platform.cdn_providers:
            yield "ProviderNotFound", f"Provider {use.provider} is not configured; {_known(platform.cdn_providers)}."
    if spec.encoding.ladder_ref and spec.encoding.ladder_ref.name not in platform.ladders:
        yield "LadderNotFound", f"Ladder {spec.encoding.ladder_ref.name} is not configured; {_known(platform.ladders)}."
    for use_of_model in spec.models:
        model = platform.models.get(use_of_model.model_ref.name)
        if model is None:
            message = f"Model {use_of_model.model_ref.name} is not configured; {_known(platform.models)}."
            yield "ModelNotFound", message
        elif model.role != use_of_model.role:
            name = use_of_model.model_ref.name
            yield (
                "ModelRoleMismatch",
                f"Model {name} is made for {model.role.value}, not for {use_of_model.role.value}.",
            )
    if unresolved is not None:
        yield unresolved.reason, str(unresolved)


def _known(names: Iterable[str]) -> str:
    return f"known: {', '.join(sorted(names)) or 'none'}"
