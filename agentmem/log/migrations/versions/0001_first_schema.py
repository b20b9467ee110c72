"""The first schema: partitions, versions, and what erasing and indexing need."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "agentmem_generation",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("dimensions", sa.Integer(), nullable=False),
        sa.Column("embedder", sa.String(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
    )
    op.create_table(
        "agentmem_partition",
        sa.Column("id", _Number, autoincrement=True, nullable=False),
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("head", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("tenant", "user_id", "agent_id", name="agentmem_partition_owner"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "agentmem_setting",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "agentmem_tombstone",
        sa.Column("keyed_hash", sa.LargeBinary(), nullable=False),
        sa.Column("erased_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("keyed_hash"),
    )
    op.create_table(
        "agentmem_cursor",
        sa.Column("index_name", sa.String(), nullable=False),
        sa.Column("generation", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("partition_id", _Number, nullable=False),
        sa.Column("applied_seq", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition_id"],
            ["agentmem_partition.id"],
        ),
        sa.PrimaryKeyConstraint("index_name", "generation", "partition_id"),
    )
    op.create_table(
        "agentmem_erasure",
        sa.Column("partition_id", _Number, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(
            ["partition_id"],
            ["agentmem_partition.id"],
        ),
        sa.PrimaryKeyConstraint("partition_id", "seq", "row"),
    )
    op.create_table(
        "agentmem_lineage",
        sa.Column("partition_id", _Number, nullable=False),
        sa.Column("source_id", sa.String(), nullable=False),
        sa.Column("derived_id", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["partition_id"],
            ["agentmem_partition.id"],
        ),
        sa.PrimaryKeyConstraint("partition_id", "source_id", "derived_id"),
    )
    op.create_table(
        "agentmem_version",
        sa.Column("partition_id", _Number, nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("speaker", sa.String(), nullable=True),
        sa.Column("session", sa.String(), nullable=True),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("content_hash", sa.LargeBinary(), nullable=False),
        sa.Column("occurred_at", sa.BigInteger(), nullable=False),
        sa.Column("recorded_from", sa.BigInteger(), nullable=False),
        sa.Column("recorded_to", sa.BigInteger(), nullable=True),
        sa.Column("valid_from", sa.BigInteger(), nullable=False),
        sa.Column("valid_to", sa.BigInteger(), nullable=True),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("metadata", sa.Text(), nullable=False),
        sa.Column("importance", sa.Float(), nullable=True),
        sa.Column("affect", sa.Text(), nullable=True),
        sa.Column("integrity", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("derived_from", sa.Text(), nullable=True),
        sa.Column("source_name", sa.String(), nullable=True),
        sa.Column("source", sa.Text(), nullable=True),
        sa.Column("terms", sa.LargeBinary(), nullable=False),
        sa.Column("length", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=True),
        sa.Column("vector", sa.LargeBinary(), nullable=True),
        sa.Column("closed_seq", sa.BigInteger(), nullable=True),
        sa.Column("vector_seq", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["partition_id"],
            ["agentmem_partition.id"],
        ),
        sa.PrimaryKeyConstraint("partition_id", "seq"),
    )
    op.create_index(
        "agentmem_version_closed",
        "agentmem_version",
        ["partition_id", "closed_seq"],
        unique=False,
        sqlite_where=sa.text("closed_seq IS NOT NULL"),
        postgresql_where=sa.text("closed_seq IS NOT NULL"),
    )
    op.create_index("agentmem_version_id", "agentmem_version", ["partition_id", "id", "version"], unique=True)
    op.create_index(
        "agentmem_version_idempotency",
        "agentmem_version",
        ["partition_id", "idempotency_key"],
        unique=True,
        sqlite_where=sa.text("idempotency_key IS NOT NULL AND version = 1"),
        postgresql_where=sa.text("idempotency_key IS NOT NULL AND version = 1"),
    )
    op.create_index(
        "agentmem_version_late_vector",
        "agentmem_version",
        ["partition_id", "vector_seq"],
        unique=False,
        sqlite_where=sa.text("vector_seq IS NOT NULL"),
        postgresql_where=sa.text("vector_seq IS NOT NULL"),
    )
    op.create_index("agentmem_version_position", "agentmem_version", ["partition_id", "position"], unique=False)
    op.create_index(
        "agentmem_version_source",
        "agentmem_version",
        ["partition_id", "source_name"],
        unique=False,
        sqlite_where=sa.text("source_name IS NOT NULL"),
        postgresql_where=sa.text("source_name IS NOT NULL"),
    )
