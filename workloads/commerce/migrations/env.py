"""Alembic's entry: runs the versions over the connection that `migrate` opened."""

from alembic import context

from workloads.commerce.schema import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, include_schemas=True)
with context.begin_transaction():
    context.run_migrations()
