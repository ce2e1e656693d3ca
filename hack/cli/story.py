"""`haat describe`: the story of one object, told from its spec, its status, its children and its events.

Pure: objects in, a document out, and the document to text. Times are Unix seconds, `now` is given.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from hack.cli.kinds import CHANNEL, SALE, STREAM
from hack.cli.output import columns, paint
from operators.api.base import seconds

Obj = dict[str, Any]
LAST_EVENTS = 8


def story(obj: Obj, children: Sequence[Obj], events: Sequence[Obj], now: float) -> Obj:
    """Everything that the text shows, as one document."""
    status = obj.get("status") or {}
    return {
        "kind": obj["kind"],
        "namespace": obj["metadata"].get("namespace", ""),
        "name": obj["metadata"]["name"],
        "title": obj["spec"].get("title") or obj["spec"].get("displayName") or "",
        "phase": status.get("phase") or "Pending",
        "reason": status.get("reason") or status.get("message") or "",
        "facts": dict(facts(obj)),
        "conditions": list(status.get("conditions") or ()),
        "children": [child(item) for item in children],
        "urls": {name: url for name, url in (status.get("urls") or status.get("ingest") or {}).items() if _is_url(url)},
        "next": upcoming(obj, now),
        "events": [event(item) for item in sorted(events, key=_when)[-LAST_EVENTS:]],
    }


def facts(obj: Obj) -> Iterator[tuple[str, str]]:
    """What a person asks first, by kind."""
    spec, status = obj["spec"], obj.get("status") or {}
    if obj["kind"] == STREAM.name:
        yield "channel", spec["channel"]["name"]
        yield "viewers", f"{status.get('viewers', 0)} (peak {status.get('peakViewers', 0)})"
        fanout, ingest = status.get("fanout") or {}, status.get("ingest") or {}
        yield (
            "room",
            f"{fanout.get('readyReplicas', 0)}/{fanout.get('replicas', 0)} pods, "
            f"{fanout.get('connections', 0)} sockets",
        )
        if ingest.get("protocol"):
            yield "publisher", f"{ingest['protocol']}, {ingest.get('bitrateKbps', 0)} kbit/s"
        if status.get("keySecret"):
            yield "key", f"Secret {status['keySecret']}"
        if status.get("endReason"):
            yield "ended", status["endReason"]
    elif obj["kind"] == SALE.name:
        stock = status.get("stock") or {}
        target = spec.get("stream") or spec.get("channel") or {}
        yield "on", ("stream " if spec.get("stream") else "channel ") + str(target.get("name", ""))
        yield "wanted", str(spec.get("state", "Scheduled"))
        yield "stock", " ".join(f"{name} {stock.get(name, 0)}" for name in ("total", "reserved", "sold", "remaining"))
    elif obj["kind"] == CHANNEL.name:
        yield "slug", spec.get("slug", "")
        active = [f"{item['name']} ({item.get('phase', '')})" for item in status.get("activeStreams") or ()]
        yield "streams", ", ".join(active) or "none"


def child(obj: Obj) -> Obj:
    """Kind, name and readiness of a child."""
    return {"kind": obj["kind"], "name": obj["metadata"]["name"], "ready": readiness(obj)}


def readiness(obj: Obj) -> str:
    """`1/2` for what has replicas, the phase of a pod (its worst container's reason first), `ok` for the rest."""
    status, spec = obj.get("status") or {}, obj.get("spec") or {}
    if obj["kind"] in ("Deployment", "StatefulSet"):
        return f"{status.get('readyReplicas', 0)}/{spec.get('replicas', 1)}"
    if obj["kind"] == "Pod":
        waiting = [
            (item.get("state") or {}).get("waiting", {}).get("reason") for item in status.get("containerStatuses") or ()
        ]
        return next((reason for reason in waiting if reason), str(status.get("phase") or "Pending"))
    if obj["kind"] == "Job":
        return "Completed" if status.get("succeeded") else "Failed" if status.get("failed") else "Running"
    return "ok"


def upcoming(obj: Obj, now: float) -> Obj | None:
    """The next moment that the clock brings: {"at", "in_seconds", "what"}; None when nothing is planned."""
    coming = [(when, what) for when, what in _moments(obj) if when > now]
    if not coming:
        return None
    when, what = min(coming)
    return {"at": _text(when), "in_seconds": round(when - now), "what": what}


def _moments(obj: Obj) -> Iterator[tuple[float, str]]:
    spec, status = obj["spec"], obj.get("status") or {}
    if obj["kind"] == SALE.name and spec.get("state") != "Cancelled":
        starts, ends = _epoch(spec["startsAt"]), _epoch(spec["endsAt"])
        prewarm = (spec.get("capacity") or {}).get("prewarm") or {}
        yield starts - seconds(prewarm.get("leadTime", "15m")), "capacity is made ready"
        for before in (spec.get("countdown") or {}).get("announceBefore") or ():
            yield starts - seconds(before), f"viewers hear of it ({before} before)"
        yield starts, "the sale opens"
        yield ends, "the sale closes"
        yield ends + seconds((spec.get("settlement") or {}).get("grace", "15m")), "open payments lapse"
    elif obj["kind"] == STREAM.name and not status.get("endedAt"):
        schedule = spec.get("schedule") or {}
        if schedule.get("startAt"):
            yield _epoch(schedule["startAt"]) - seconds(schedule.get("prepareBefore", "5m")), "the stream is prepared"
            yield _epoch(schedule["startAt"]), "the broadcast starts"
        if schedule.get("endAt"):
            yield _epoch(schedule["endAt"]), "the stream ends (endAt)"
        if status.get("interruptedAt"):
            yield (
                _epoch(status["interruptedAt"]) + seconds(schedule.get("endAfterIdle", "10m")),
                "it ends without a publisher",
            )
        if status.get("startedAt"):
            yield _epoch(status["startedAt"]) + seconds(schedule.get("maxDuration", "12h")), "it ends (maxDuration)"
    elif obj["kind"] == CHANNEL.name:
        programme = (status.get("programming") or {}).get("next") or {}
        if programme.get("startsAt"):
            yield _epoch(programme["startsAt"]), f"programme {programme.get('name', '')} starts"


def event(obj: Obj) -> Obj:
    """Type, reason, message and time of an event."""
    return {
        "at": _when(obj),
        "type": obj.get("type", "Normal"),
        "reason": obj.get("reason", ""),
        "object": (obj.get("involvedObject") or {}).get("name", ""),
        "message": obj.get("message", ""),
        "count": obj.get("count") or 1,
    }


def text(document: Obj, now: float, *, colours: bool = False) -> str:
    """The story for a terminal."""
    reason = f" ({document['reason']})" if document["reason"] else ""
    title = f"  {document['title']}" if document["title"] else ""
    parts = [
        f"{document['kind']} {document['namespace']}/{document['name']}{title}",
        f"Phase    {paint(document['phase'], colours=colours)}{reason}",
    ]
    if document["next"]:
        coming = document["next"]
        parts[-1] += f"\nNext     {coming['what']} in {duration(coming['in_seconds'])}, {coming['at']}"
    named = {**document["facts"], **document["urls"]}
    if named:
        width = max(map(len, named))
        parts.append("\n".join(f"{name:{width}}  {value}" for name, value in named.items()))
    if document["conditions"]:
        rows = [["CONDITION", "STATUS", "REASON", "SINCE", "MESSAGE"]]
        rows += [
            [
                item["type"],
                item["status"],
                item.get("reason", ""),
                _age(item.get("lastTransitionTime"), now),
                item.get("message", ""),
            ]
            for item in document["conditions"]
        ]
        parts.append(columns(rows, colours=colours))
    if document["children"]:
        rows = [["CHILD", "NAME", "READY"]]
        rows += [[item["kind"], item["name"], item["ready"]] for item in document["children"]]
        parts.append(columns(rows, colours=colours))
    parts.append(event_table(document["events"], now, colours=colours) if document["events"] else "no events")
    return "\n\n".join(parts)


def event_table(events: Sequence[Obj], now: float, *, colours: bool = False) -> str:
    """Events as columns, the newest last."""
    rows = [["AGE", "TYPE", "REASON", "OBJECT", "MESSAGE"]]
    rows += [[_age(e["at"], now), e["type"], e["reason"], e["object"], e["message"]] for e in events]
    return columns(rows, colours=colours)


def duration(total: float) -> str:
    """`45s`, `12m 3s`, `3h 20m`, `2d 4h`."""
    left = max(0, int(total))
    units = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))
    parts = []
    for unit, size in units:
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2]) or "0s"


def _age(moment: str | None, now: float) -> str:
    return duration(now - _epoch(moment)) if moment else ""


def _when(obj: Obj) -> str:
    candidates = (obj.get("eventTime"), obj.get("lastTimestamp"), obj.get("firstTimestamp"))
    return str(next(filter(None, candidates), obj["metadata"].get("creationTimestamp") or ""))


def _is_url(value: Any) -> bool:
    return isinstance(value, str) and "://" in value


def _epoch(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
