"""Facts that settle, holds, receipts: what updating and forgetting need beside the versions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_Number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("agentmem_partition", sa.Column("doomed_by", sa.String(), nullable=True))
    for column in (
        sa.Column("fact_key", sa.LargeBinary(), nullable=True),
        sa.Column("fact", sa.Text(), nullable=True),
        sa.Column("restates", sa.String(), nullable=True),
        sa.Column("origin", sa.String(), nullable=True),
        sa.Column("written_by", sa.String(), nullable=False, server_default="caller"),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("accesses", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("outcome", sa.Float(), nullable=False, server_default="0"),
        sa.Column("used_seq", sa.BigInteger(), nullable=True),
        sa.Column("stated_to", sa.BigInteger(), nullable=True),
    ):
        op.add_column("agentmem_version", column)
    op.execute("UPDATE agentmem_version SET origin = source_name WHERE source_name IS NOT NULL")
    for name, indexed in (
        ("used", "used_seq"),
        ("fact_key", "fact_key"),
        ("origin", "origin"),
        ("expiry", "expires_at"),
    ):
        op.create_index(
            f"agentmem_version_{name}",
            "agentmem_version",
            ["partition_id", indexed],
            unique=False,
            sqlite_where=sa.text(f"{indexed} IS NOT NULL"),
            postgresql_where=sa.text(f"{indexed} IS NOT NULL"),
        )
    op.create_table(
        "agentmem_task",
        sa.Column("partition_id", _Number, nullable=False),
        sa.Column("job", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["partition_id"], ["agentmem_partition.id"]),
        sa.PrimaryKeyConstraint("partition_id", "job", "key"),
    )
    op.create_table(
        "agentmem_hold",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("user_id", sa.String(), nullable=False),
        sa.Column("agent_id", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("placed_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", "agent_id", "reason"),
    )
    op.create_table(
        "agentmem_receipt",
        sa.Column("tenant", sa.String(), nullable=False),
        sa.Column("place", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("subject", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("to_drop", sa.Text(), nullable=True),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "place"),
    )
    op.create_index("agentmem_receipt_subject", "agentmem_receipt", ["subject"], unique=False)
