"""plan(channel, observed, platform, now): everything that one reconcile of a Channel wants done."""

from operators.api import Channel
from operators.api.base import API_VERSION
from operators.api.channel import ChannelPhase, DeletionPolicy, Mode
from operators.channel import names, status
from operators.channel.children.access import build_access
from operators.channel.children.config import build_config_map
from operators.channel.children.playout import build_playout, build_playout_budget
from operators.channel.children.policies import build_default_deny, build_playout_policy
from operators.channel.children.routes import build_routes
from operators.channel.children.schedule import build_schedule
from operators.channel.children.secrets import build_key_secret, build_playback_secret
from operators.channel.children.streams import build_output, build_showings
from operators.channel.observe import OVER, ChannelObserved, owned_by
from operators.channel.publish import publications, withdrawn
from operators.channel.transitions import deadline, transitions
from operators.channel.view import View, key_secret_of, look, output_of
from operators.core.conditions import Fact, merge
from operators.core.plan import Event, Manifest, ObjectRef, Plan, ref_of
from operators.core.platform import Platform
from operators.core.times import epoch
from operators.livestream.pinning import pinned


def plan(channel: Channel, observed: ChannelObserved, platform: Platform, now: float) -> Plan:
    """The plan; see `Plan` for the order in which it is carried out."""
    view = look(channel, observed, platform, now)
    if channel.deleting:
        return _deletion(channel, observed, view, now)
    desired = children(channel, observed, view, platform, now)
    facts = status.facts(channel, observed, view, platform, desired)
    phase = status.phase(channel, observed, facts)
    return Plan(
        applies=tuple(desired),
        deletes=(*_surplus(observed, view, desired), *_streams_to_delete(channel, observed, view, desired, now)),
        publications=publications(channel, observed, view, platform),
        status=status.document(
            channel,
            observed,
            view,
            platform,
            conditions=merge(facts, channel.status.conditions, generation=channel.metadata.generation, now=now),
            phase_name=phase,
            now=now,
        ),
        events=transitions(channel, view, facts, phase),
        requeue_after=deadline(channel, observed, view, facts, now),
    )


def children(channel: Channel, observed: ChannelObserved, view: View, platform: Platform, now: float) -> list[Manifest]:
    """The wanted child objects; what a playout needs comes before it."""
    secrets = _secrets(channel, view)
    readable = [names.config_map(channel), *([names.schedule(channel)] if view.line else [])]
    named = {item["metadata"]["name"] for item in secrets} | {key_secret_of(channel)}
    routes = [] if observed.rivals else build_routes(channel, platform, observed.capabilities)
    return [
        *secrets,
        build_config_map(channel, platform, view.playback_keys),
        *build_access(channel, config_maps=readable, secrets=sorted(named)),
        *build_default_deny(channel, platform),
        *routes,
        *(_linear(channel, observed, view, platform, now) if view.follows_programme else []),
    ]


def _secrets(channel: Channel, view: View) -> list[Manifest]:
    made = []
    if view.keys:
        made.append(build_key_secret(channel, view.keys.main))
        if view.keys.upcoming:
            made.append(build_key_secret(channel, view.keys.upcoming, upcoming=True))
    if view.playback_keys:
        made.append(build_playback_secret(channel, view.playback_keys))
    return made


def _linear(channel: Channel, observed: ChannelObserved, view: View, platform: Platform, now: float) -> list[Manifest]:
    """Schedule, playout and streams of a Linear channel."""
    playout = build_playout(channel, platform, key_secret=key_secret_of(channel))
    live = observed.child("Deployment", names.playout(channel))
    made = [
        *([build_schedule(channel, view.line, view.span)] if view.span else []),
        *build_playout_policy(channel, platform),
        pinned(playout, live, started=bool(observed.on_air), policy=platform.rollout_policy),
        *([build_playout_budget(channel)] if observed.on_air else []),
    ]
    gone = {stream.metadata.name for stream in observed.streams if stream.deleting}
    output = output_of(channel, observed)
    streams = [] if output is not None and output.status.phase in OVER else [build_output(channel)]
    streams += build_showings(channel, view.line, now)
    return [*made, *(item for item in streams if item["metadata"]["name"] not in gone)]


def _surplus(observed: ChannelObserved, view: View, desired: list[Manifest]) -> list[ObjectRef]:
    """Children that nobody wants any more, except streams: those are people's evenings and have rules of their own."""
    if view.keeps_children:
        return []
    wanted = {(item["kind"], item["metadata"]["name"]) for item in desired}
    return [
        ref_of(live) for key, live in sorted(observed.children.items()) if key not in wanted and key[0] != "LiveStream"
    ]


def _streams_to_delete(
    channel: Channel, observed: ChannelObserved, view: View, desired: list[Manifest], now: float
) -> list[ObjectRef]:
    """The output once it has ended, so that the next reconcile makes a fresh one, and showings that were taken off the
    programme before they began."""
    if view.keeps_children:
        return []
    wanted = {item["metadata"]["name"] for item in desired if item["kind"] == "LiveStream"}
    linear = channel.spec.mode == Mode.LINEAR
    found = []
    for stream in observed.streams:
        name, start = stream.metadata.name, stream.spec.schedule.start_at
        if stream.deleting or not owned_by(stream, channel) or name in wanted:
            continue
        if name == names.linear(channel):
            unwanted = not linear or (view.follows_programme and stream.status.phase in OVER)
        else:
            unwanted = start is not None and now < epoch(start) and stream not in observed.on_air
        if unwanted:
            found.append(_stream_ref(channel, name))
    return found


def _deletion(channel: Channel, observed: ChannelObserved, view: View, now: float) -> Plan:
    """Wait for the live streams to end, or end them when the policy says so; then nothing of the channel is left."""
    ends = channel.spec.deletion_policy == DeletionPolicy.DELETE
    if not observed.on_air or ends:
        refs = [_stream_ref(channel, item.metadata.name) for item in observed.active if not item.deleting]
        return Plan(
            deletes=tuple(refs) if ends else (),
            publications=() if observed.on_air else withdrawn(channel, observed, view.keys),
            release=not observed.on_air,
            requeue_after=1.0 if observed.on_air else None,
        )
    live = ", ".join(stream.metadata.name for stream in observed.on_air)
    hint = "End them, set spec.suspended, or set spec.deletionPolicy to Delete."
    fact = Fact("Ready", False, "StreamsActive", f"Deletion waits until these streams end: {live}. {hint}")
    known = {item.type: item for item in channel.status.conditions}
    told = known.get("Ready") is not None and known["Ready"].reason == fact.reason
    kept = [item for item in channel.status.conditions if item.type != "Ready"]
    generation = channel.metadata.generation
    body = channel.status.model_dump(by_alias=True, exclude_none=True, mode="json")
    return Plan(
        status=body
        | {
            "observedGeneration": generation,
            "conditions": [
                *(item.model_dump(by_alias=True, exclude_none=True) for item in kept),
                *merge([fact], channel.status.conditions, generation=generation, now=now),
            ],
            "phase": ChannelPhase.TERMINATING.value,
        },
        events=() if told else (Event("Warning", fact.reason, fact.message),),
        requeue_after=30.0,
    )


def _stream_ref(channel: Channel, name: str) -> ObjectRef:
    return ObjectRef(API_VERSION, "LiveStream", channel.metadata.namespace, name)
