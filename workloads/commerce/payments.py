"""Paying: authorise, claim the order in the ledger, capture. Never a capture without a claim.

Providers implement `PaymentProvider`; `TestProvider` is the one that always pays and is marked as such everywhere.
"""

import uuid
from dataclasses import dataclass
from typing import Any, Protocol

import asyncpg
import uuid_utils


class CannotPay(Exception):
    """The order cannot be paid; `code` is stable, the message is for the buyer."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class PaymentProvider(Protocol):
    """A payment service. References are the provider's own; amounts are minor units."""

    name: str

    async def authorize(self, *, order_id: str, amount: int, currency: str) -> str:
        """Reserve the money; the reference of the authorisation."""

    async def capture(self, reference: str) -> None:
        """Take the reserved money."""

    async def void(self, reference: str) -> None:
        """Let the reserved money go."""


class TestProvider:
    """Authorises everything and moves no money."""

    name = "test"

    async def authorize(self, *, order_id: str, amount: int, currency: str) -> str:
        """A reference that follows from the order, so that a repeated authorisation is the same one."""
        return f"test_{order_id}"

    async def capture(self, reference: str) -> None:
        """Nothing to take."""

    async def void(self, reference: str) -> None:
        """Nothing to let go."""


@dataclass(frozen=True, slots=True)
class Due:
    """What an order costs."""

    order_id: str
    amount: int
    currency: str


async def pay(pool: asyncpg.Pool, provider: PaymentProvider, *, order_id: str, user: str) -> None:
    """Pay the user's order; paying a paid order again changes nothing. CannotPay names why not."""
    due = await _due(pool, order_id, user)
    if due is None:
        return
    reference = await provider.authorize(order_id=order_id, amount=due.amount, currency=due.currency)
    if not await claim(pool, due, provider=provider.name, reference=reference):
        await provider.void(reference)
        if await _due(pool, order_id, user) is None:
            return
        raise CannotPay("hold_expired", "The reservation ran out before the payment; the units went back on sale.")
    await provider.capture(reference)


async def _due(pool: asyncpg.Pool, order_id: str, user: str) -> Due | None:
    """What is to pay; None when it is paid already."""
    row = await pool.fetchrow(
        "SELECT status, total_amount, currency FROM shop.orders WHERE id = $1 AND user_id = $2",
        uuid.UUID(order_id),
        user,
    )
    if row is None:
        raise CannotPay("unknown_order", "There is no such order of yours.")
    if row["status"] == "paid":
        return None
    if row["status"] != "held":
        raise CannotPay("hold_expired", "The reservation ran out; the units went back on sale.")
    return Due(order_id, row["total_amount"], row["currency"])


async def claim(pool: asyncpg.Pool, due: Due, *, provider: str, reference: str) -> bool:
    """Turn the held order into a sold one, with its payment and its double entry; False when it is held no more."""
    async with pool.acquire() as connection, connection.transaction():
        row = await connection.fetchrow(
            """UPDATE shop.orders SET status = 'paid', paid_at = clock_timestamp()
                WHERE id = $1 AND status = 'held' AND hold_expires_at > clock_timestamp()
            RETURNING id, sale_id, stream""",
            uuid.UUID(due.order_id),
        )
        if row is None:
            return False
        await connection.execute(
            """UPDATE shop.sku_bucket b SET reserved = b.reserved - l.qty, sold = b.sold + l.qty
                 FROM shop.order_lines l
                WHERE l.order_id = $1 AND b.sale_id = $2 AND b.sku = l.sku AND b.bucket = l.bucket""",
            row["id"],
            row["sale_id"],
        )
        await _book(connection, row, due, provider=provider, reference=reference)
    return True


async def _book(connection: asyncpg.Connection, order: Any, due: Due, *, provider: str, reference: str) -> None:
    """The payment and its two entries, whose sum is zero."""
    payment = uuid.UUID(str(uuid_utils.uuid7()))
    await connection.execute(
        """INSERT INTO money.payments (id, order_id, provider, provider_ref, status, amount, currency)
           VALUES ($1, $2, $3, $4, 'captured', $5, $6)""",
        payment,
        order["id"],
        provider,
        reference,
        due.amount,
        due.currency,
    )
    await connection.executemany(
        "INSERT INTO money.entries (transaction_id, account, amount, currency) VALUES ($1, $2, $3, $4)",
        [
            (payment, f"provider:{provider}", due.amount, due.currency),
            (payment, f"merchant:{order['stream'].partition('/')[0]}", -due.amount, due.currency),
        ],
    )
    await connection.execute(
        "INSERT INTO ops.outbox (id, topic, key, payload) VALUES ($1, 'order.paid', $2, $3)",
        uuid.UUID(str(uuid_utils.uuid7())),
        due.order_id,
        {"order": due.order_id, "amount": due.amount, "currency": due.currency},
    )
