"""The ledger: catalogue, sales, orders, money and outbox.

The first version is written from the table definitions; later ones spell out what they change.
"""

from alembic import op

from workloads.commerce.schema import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    for schema in ("shop", "money", "ops"):
        op.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
    metadata.create_all(op.get_bind())
