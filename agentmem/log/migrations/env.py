"""Alembic's entry: runs the scripts on the connection, and in the transaction, that ``migrate.upgrade`` hands in."""

from __future__ import annotations

from alembic import context

from agentmem.log.schema import VERSION_TABLE, metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
)
context.run_migrations()
