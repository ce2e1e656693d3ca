"""The ledger's tables. Oversell is impossible by these constraints, not by care in the code above them.

A unit is free, reserved (held for a payment) or sold; `reserved + sold <= stock` is checked by the database on every
bucket, and what one person may have on every buyer row. Money is in integer minor units. Stock of a hot article can be
split into buckets; one bucket (0) is the plain case.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


products = Table(
    "products",
    metadata,
    Column("sku", Text, primary_key=True),
    Column("stream", Text, primary_key=True),
    Column("position", Integer, nullable=False, server_default="0"),
    Column("title", Text, nullable=False),
    Column("titles", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("description", Text, nullable=False, server_default=""),
    Column("image", Text, nullable=False, server_default=""),
    Column("price_amount", BigInteger, CheckConstraint("price_amount >= 0", name="price_positive"), nullable=False),
    Column("currency", Text, CheckConstraint("currency ~ '^[A-Z]{3}$'", name="currency_iso"), nullable=False),
    Column("list_price_amount", BigInteger),
    Column("stock", BigInteger, nullable=False, server_default="0"),
    _now("updated_at"),
    schema="shop",
)

sale = Table(
    "sale",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("stream", Text, nullable=False, index=True),
    Column("generation", BigInteger, nullable=False),
    Column("state", Text, CheckConstraint("state in ('Scheduled','Paused','Cancelled')", name="state"), nullable=False),
    Column("planned_starts_at", DateTime(timezone=True), nullable=False),
    Column("starts_at", DateTime(timezone=True), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("opened_at", DateTime(timezone=True)),
    Column("sold_out_at", DateTime(timezone=True)),
    Column("closed_at", DateTime(timezone=True)),
    Column("settled_at", DateTime(timezone=True)),
    Column("hold_seconds", BigInteger, nullable=False),
    Column("grace_seconds", BigInteger, nullable=False),
    Column("epoch", BigInteger, nullable=False, server_default="0"),
    Column("document", JSONB, nullable=False),
    _now("created_at"),
    schema="shop",
)

sale_item = Table(
    "sale_item",
    metadata,
    Column("sale_id", Uuid, ForeignKey("shop.sale.id", ondelete="RESTRICT"), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("image", Text, nullable=False, server_default=""),
    Column("price_amount", BigInteger, CheckConstraint("price_amount >= 0", name="price_positive"), nullable=False),
    Column("currency", Text, nullable=False),
    Column("list_price_amount", BigInteger),
    Column("per_user_limit", BigInteger, CheckConstraint("per_user_limit >= 1", name="limit_positive"), nullable=False),
    schema="shop",
)

sku_bucket = Table(
    "sku_bucket",
    metadata,
    Column("sale_id", Uuid, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("bucket", Integer, primary_key=True, server_default="0"),
    Column("stock", BigInteger, nullable=False),
    Column("reserved", BigInteger, nullable=False, server_default="0"),
    Column("sold", BigInteger, nullable=False, server_default="0"),
    ForeignKeyConstraint(["sale_id", "sku"], ["shop.sale_item.sale_id", "shop.sale_item.sku"]),
    CheckConstraint("reserved >= 0 AND sold >= 0 AND reserved + sold <= stock", name="no_oversell"),
    schema="shop",
)

buyer = Table(
    "buyer",
    metadata,
    Column("sale_id", Uuid, primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("user_id", Text, primary_key=True),
    Column("units", BigInteger, nullable=False),
    Column("unit_limit", BigInteger, nullable=False),
    ForeignKeyConstraint(["sale_id", "sku"], ["shop.sale_item.sale_id", "shop.sale_item.sku"]),
    CheckConstraint("units >= 0 AND units <= unit_limit", name="within_limit"),
    schema="shop",
)

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("sale_id", Uuid, ForeignKey("shop.sale.id"), nullable=False, index=True),
    Column("stream", Text, nullable=False),
    Column("user_id", Text, nullable=False, index=True),
    Column(
        "status",
        Text,
        CheckConstraint("status in ('held','paid','expired','cancelled')", name="status"),
        nullable=False,
    ),
    Column("total_amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    _now("created_at"),
    Column("hold_expires_at", DateTime(timezone=True), nullable=False),
    Column("paid_at", DateTime(timezone=True)),
    Index("ix_orders_held", "hold_expires_at", postgresql_where=text("status = 'held'")),
    schema="shop",
)

order_lines = Table(
    "order_lines",
    metadata,
    Column("order_id", Uuid, ForeignKey("shop.orders.id"), primary_key=True),
    Column("sku", Text, primary_key=True),
    Column("bucket", Integer, nullable=False, server_default="0"),
    Column("qty", BigInteger, CheckConstraint("qty >= 1", name="qty_positive"), nullable=False),
    Column("price_amount", BigInteger, nullable=False),
    schema="shop",
)

payments = Table(
    "payments",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("order_id", Uuid, ForeignKey("shop.orders.id"), nullable=False, unique=True),
    Column("provider", Text, nullable=False),
    Column("provider_ref", Text, nullable=False),
    Column(
        "status", Text, CheckConstraint("status in ('captured','voided','refunded')", name="status"), nullable=False
    ),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    _now("created_at"),
    UniqueConstraint("provider", "provider_ref", name="uq_payments_provider_ref"),
    schema="money",
)

entries = Table(
    "entries",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=True),
    Column("transaction_id", Uuid, nullable=False, index=True),
    Column("account", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    _now("created_at"),
    schema="money",
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("payload", JSONB, nullable=False),
    _now("created_at"),
    Column("published_at", DateTime(timezone=True)),
    Index("ix_outbox_unpublished", "created_at", postgresql_where=text("published_at IS NULL")),
    schema="ops",
)
