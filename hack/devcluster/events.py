"""Posting Events, folded by (object, reason, message) into one object with a count.

Trap avoided: an event must never hold up or break the work it tells of, so posting runs in the background and
failures are logged only.
"""

import asyncio
import logging
import time
from collections import OrderedDict

from hack.devcluster.client import ApiClient, ApiError
from hack.devcluster.objects import Obj, format_time, name_of, namespace_of, object_reference, uid_of
from hack.devcluster.resources import EVENTS, Resource

log = logging.getLogger(__name__)

_REMEMBERED = 1024


class EventRecorder:
    """Posts core/v1 Events in the name of one component."""

    def __init__(self, client: ApiClient, *, component: str, host: str) -> None:
        self._client = client
        self._source = {"component": component, "host": host}
        self._seen: OrderedDict[tuple[str, str, str], tuple[str, int]] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def normal(self, obj: Obj, resource: Resource, reason: str, message: str) -> None:
        self._spawn(obj, resource, "Normal", reason, message)

    def warning(self, obj: Obj, resource: Resource, reason: str, message: str) -> None:
        self._spawn(obj, resource, "Warning", reason, message)

    def _spawn(self, obj: Obj, resource: Resource, kind: str, reason: str, message: str) -> None:
        task = asyncio.get_running_loop().create_task(self._post(obj, resource, kind, reason, message[:1024]))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _post(self, obj: Obj, resource: Resource, kind: str, reason: str, message: str) -> None:
        identity = (uid_of(obj), reason, message)
        namespace = namespace_of(obj) or "default"
        now = time.time()
        name, count = self._seen.get(identity, ("", 0))
        self._seen[identity] = (name or f"{name_of(obj)}.{int(now * 1e6):016x}", count + 1)
        self._seen.move_to_end(identity)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        name = self._seen[identity][0]
        try:
            if count:
                fields = {"count": count + 1, "lastTimestamp": format_time(now)}
                await self._client.patch(EVENTS, (namespace, name), fields)
                return
            await self._client.create(EVENTS, self._body(obj, resource, namespace, name, kind, reason, message, now))
        except ApiError as error:
            self._seen.pop(identity, None)
            log.debug("event %s of %s was not posted: %s", reason, name_of(obj), error)

    def _body(
        self, obj: Obj, resource: Resource, namespace: str, name: str, kind: str, reason: str, message: str, now: float
    ) -> Obj:
        return {
            "metadata": {"name": name, "namespace": namespace},
            "involvedObject": object_reference(obj, resource),
            "type": kind,
            "reason": reason,
            "message": message,
            "count": 1,
            "firstTimestamp": format_time(now),
            "lastTimestamp": format_time(now),
            "source": self._source,
            "reportingComponent": self._source["component"],
            "reportingInstance": self._source["host"],
        }
