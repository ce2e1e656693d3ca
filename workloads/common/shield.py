"""The shield of a flash sale: who may even ask the ledger.

Redis answers most taps without the ledger: not open, limit reached, sold out. A "reserved" of the shield is a ticket to
the committer, never a promise to the buyer; only the ledger's answer is told. Every write carries the epoch of the
ledger's recovery, so a shield that was rebuilt is never changed by a writer that does not know it.

Keys of a sale share one hash tag: `{sale:<uid>}:s` state, `:u` units by buyer and known orders, `:x` reservations.
"""

import uuid
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from redis.asyncio import Redis

ORDER_NAMESPACE = uuid.UUID("6f1f2cf2-6f0e-4a57-9d5e-0c6f5d1a7b10")

_RESERVE = """
local s, u, x = KEYS[1], KEYS[2], KEYS[3]
local user, sku, qty, order, reply, idem = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4], ARGV[5], ARGV[6]
local v = redis.call('HMGET', s, 'epoch', 'state', 'opens_ms', 'closes_ms', 'left:' .. sku, 'limit:' .. sku)
if not v[1] then return {-4, 0} end
local function enqueue()
  redis.call('XADD', x, '*', 'order', order, 'user', user, 'sku', sku, 'qty', qty, 'reply', reply,
             'idem', idem, 'epoch', v[1])
end
if redis.call('HEXISTS', u, 'o:' .. order) == 1 then
  enqueue()
  return {2, tonumber(v[5] or 0)}
end
if v[2] == 'Hold' then return {-4, 0} end
if not v[5] then return {-5, 0} end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
if v[2] == 'Closed' or now >= tonumber(v[4]) then return {-6, 0} end
if v[2] ~= 'Open' or now < tonumber(v[3]) then return {-3, tonumber(v[5])} end
local mine = tonumber(redis.call('HGET', u, 'u:' .. user .. ':' .. sku) or 0)
if mine + qty > tonumber(v[6]) then return {-2, tonumber(v[5])} end
local left = tonumber(v[5])
if left < qty then return {-1, left} end
redis.call('HINCRBY', s, 'left:' .. sku, -qty)
redis.call('HINCRBY', u, 'u:' .. user .. ':' .. sku, qty)
redis.call('HSET', u, 'o:' .. order, sku .. ' ' .. qty)
enqueue()
return {1, left - qty}
"""

_RELEASE = """
local s, u = KEYS[1], KEYS[2]
if redis.call('HGET', s, 'epoch') ~= ARGV[1] then return 0 end
local user, sku, qty, order = ARGV[2], ARGV[3], tonumber(ARGV[4]), ARGV[5]
if redis.call('HDEL', u, 'o:' .. order) == 0 then return 0 end
redis.call('HINCRBY', s, 'left:' .. sku, qty)
redis.call('HINCRBY', u, 'u:' .. user .. ':' .. sku, -qty)
return 1
"""


class Verdict(IntEnum):
    """What the shield says to one tap."""

    RESERVED = 1
    REPLAY = 2
    SOLD_OUT = -1
    LIMIT = -2
    NOT_OPEN = -3
    HOLD_ON = -4
    UNKNOWN_SKU = -5
    CLOSED = -6


STATUS = {
    Verdict.SOLD_OUT: "sold_out",
    Verdict.LIMIT: "limit",
    Verdict.NOT_OPEN: "not_open",
    Verdict.HOLD_ON: "hold_on",
    Verdict.UNKNOWN_SKU: "unknown_sku",
    Verdict.CLOSED: "closed",
}


@dataclass(frozen=True, slots=True)
class Tap:
    """One wish to buy. `idempotency_key` is the client's; the order id follows from it and the user."""

    sale: str
    user: str
    sku: str
    qty: int
    idempotency_key: str

    @property
    def order_id(self) -> str:
        """The order that this tap makes, the same however often it is sent; another user's key makes another one."""
        return str(uuid.uuid5(ORDER_NAMESPACE, f"{self.sale}\n{self.user}\n{self.idempotency_key}"))


def keys(sale: str) -> tuple[str, str, str]:
    """(state hash, buyers hash, reservations stream) of a sale."""
    base = f"{{sale:{sale}}}"
    return f"{base}:s", f"{base}:u", f"{base}:x"


class Shield:
    """The scripts over one Redis client. A retried reserve is a replay, so the client may retry."""

    def __init__(self, redis: Redis) -> None:
        self._reserve = redis.register_script(_RESERVE)
        self._release = redis.register_script(_RELEASE)

    async def reserve(self, tap: Tap, *, reply_to: str) -> Verdict:
        """Ask for units; RESERVED and REPLAY mean that the committer will answer to `reply_to`."""
        answer: list[Any] = await self._reserve(
            keys=list(keys(tap.sale)),
            args=[tap.user, tap.sku, tap.qty, tap.order_id, reply_to, tap.idempotency_key],
        )
        return Verdict(int(answer[0]))

    async def release(self, *, sale: str, epoch: int, user: str, sku: str, qty: int, order: str) -> bool:
        """Give units back that the ledger refused or that expired; False when this epoch is over or they are back."""
        state, buyers, _ = keys(sale)
        return bool(await self._release(keys=[state, buyers], args=[str(epoch), user, sku, qty, order]))
