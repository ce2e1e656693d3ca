"""The finalize Job's work with a real Redis: once told, however often it runs."""

import json
import uuid

from redis.asyncio import Redis

from tests.support.servers import RedisServer
from workloads.common import events, rooms
from workloads.common.redis import connect
from workloads.finalize.close import HISTORY_SECONDS, Broadcast, close


async def test_a_broadcast_is_told_once_and_its_room_gets_an_end(shared_redis: RedisServer) -> None:
    redis: Redis = connect(shared_redis.url)
    uid = uuid.uuid4().hex
    broadcast = Broadcast(f"shop/{uid[:8]}", uid, 42, "2027-01-15T07:30:00Z", "2027-01-15T08:30:00Z", "Requested")
    meta, log, _ = rooms.keys(broadcast.stream)
    await rooms.Rooms(redis).publish(broadcast.stream, "chat", {"text": "hello"})
    assert [await close(redis, broadcast), await close(redis, broadcast)] == [True, False]
    told = [fields for _, fields in await redis.xrange(events.STREAM) if fields["stream"] == broadcast.stream]
    assert [json.loads(fields["data"])["peak_viewers"] for fields in told if fields["kind"] == "stream.ended"] == [42]
    for key in (meta, log):
        assert 0 < await redis.ttl(key) <= HISTORY_SECONDS
    await redis.aclose()
