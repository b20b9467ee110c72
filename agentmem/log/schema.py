"""The tables of the log, the same on SQLite and PostgreSQL. Times are microseconds since 1970 UTC.

partition   one row per (tenant, user, agent) layer; its head counts the layer's writes
version     one row per version of a memory, with its token bag and its vector
erasure     which rows were erased, for the caches of other processes; numbers only
lineage     which memory was derived from which
tombstone   keyed hashes of erased ids, and of sessions with forgotten turns: stop their return, hold no content
generation  one set of comparable vectors; the highest number is the current one
cursor      how far an index has followed a partition
setting     facts about the database itself
task        work that a write left behind: fact keys to settle, sessions to summarise
hold        scopes of which nothing may be erased, a row for each reason
receipt     what forget did, chained by tenant; no content
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

REVISION: Final = "0002"
"""The migration that this code needs; revisions are numbers, so a newer one compares greater."""

VERSION_TABLE: Final = "agentmem_schema"

# SQLite makes only a column of exactly INTEGER its row number.
_Number = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData()

partition = Table(
    "agentmem_partition",
    metadata,
    Column("id", _Number, primary_key=True, autoincrement=True),
    Column("tenant", String, nullable=False),
    # "" stands for none: a unique constraint does not see NULLs as equal.
    Column("user_id", String, nullable=False),
    Column("agent_id", String, nullable=False),
    Column("head", BigInteger, nullable=False),
    # Set when all of it is to be erased: from then on nobody reads it, and a crash cannot undo that.
    Column("doomed_by", String),
    UniqueConstraint("tenant", "user_id", "agent_id", name="agentmem_partition_owner"),
    # A partition number is never used twice, so that a cache cannot take a new partition for one that is gone.
    sqlite_autoincrement=True,
)

version = Table(
    "agentmem_version",
    metadata,
    Column("partition_id", _Number, ForeignKey("agentmem_partition.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("version", Integer, nullable=False),
    Column("kind", String, nullable=False),
    Column("role", String, nullable=False),
    Column("speaker", String),
    Column("session", String),
    Column("position", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("content_hash", LargeBinary, nullable=False),
    Column("occurred_at", BigInteger, nullable=False),
    Column("recorded_from", BigInteger, nullable=False),
    Column("recorded_to", BigInteger),
    Column("valid_from", BigInteger, nullable=False),
    Column("valid_to", BigInteger),
    Column("expires_at", BigInteger),
    Column("metadata", Text, nullable=False),
    Column("importance", Float),
    Column("affect", Text),
    Column("integrity", String, nullable=False),
    Column("idempotency_key", String),
    Column("derived_from", Text),
    Column("source_name", String),
    Column("source", Text),
    Column("terms", LargeBinary, nullable=False),
    Column("length", Integer, nullable=False),
    Column("generation", Integer),
    Column("vector", LargeBinary),
    # The write that closed this version; null while it is current.
    Column("closed_seq", BigInteger),
    # The write that brought the vector, where it came later than the row.
    Column("vector_seq", BigInteger),
    # Hash of a fact's (subject, attribute, topic); null for what is no fact.
    Column("fact_key", LargeBinary),
    Column("fact", Text),
    Column("restates", String),
    Column("origin", String),
    Column("written_by", String, nullable=False, server_default="caller"),
    Column("reason", Text),
    # Of the memory, not of the version: changed in place, and carried on by every new version.
    Column("accesses", Integer, nullable=False, server_default="0"),
    Column("outcome", Float, nullable=False, server_default="0"),
    # The write that changed accesses, outcome, or how often a fact was said.
    Column("used_seq", BigInteger),
    # valid_to as it was given; what settling closes has a valid_to that was not.
    Column("stated_to", BigInteger),
)

Index("agentmem_version_id", version.c.partition_id, version.c.id, version.c.version, unique=True)
# Pages of a listing follow the order stored, which an update must not change.
Index("agentmem_version_position", version.c.partition_id, version.c.position)
Index(
    "agentmem_version_idempotency",
    version.c.partition_id,
    version.c.idempotency_key,
    unique=True,
    sqlite_where=version.c.idempotency_key.is_not(None) & (version.c.version == 1),
    postgresql_where=version.c.idempotency_key.is_not(None) & (version.c.version == 1),
)
for _name, _column in (
    ("closed", version.c.closed_seq),
    ("late_vector", version.c.vector_seq),
    ("source", version.c.source_name),
    ("used", version.c.used_seq),
    ("fact_key", version.c.fact_key),
    ("origin", version.c.origin),
    ("expiry", version.c.expires_at),
):
    # Few rows have these, and only the catch-up of an index asks for them.
    Index(
        f"agentmem_version_{_name}",
        version.c.partition_id,
        _column,
        sqlite_where=_column.is_not(None),
        postgresql_where=_column.is_not(None),
    )

erasure = Table(
    "agentmem_erasure",
    metadata,
    Column("partition_id", _Number, ForeignKey("agentmem_partition.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("row", BigInteger, primary_key=True, autoincrement=False),
)

lineage = Table(
    "agentmem_lineage",
    metadata,
    Column("partition_id", _Number, ForeignKey("agentmem_partition.id"), primary_key=True),
    Column("source_id", String, primary_key=True),
    Column("derived_id", String, primary_key=True),
)

tombstone = Table(
    "agentmem_tombstone",
    metadata,
    Column("keyed_hash", LargeBinary, primary_key=True),
    Column("erased_at", BigInteger, nullable=False),
)

generation = Table(
    "agentmem_generation",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("fingerprint", String, nullable=False),
    Column("dimensions", Integer, nullable=False),
    Column("embedder", String, nullable=False),
    Column("started_at", BigInteger, nullable=False),
)

cursor = Table(
    "agentmem_cursor",
    metadata,
    Column("index_name", String, primary_key=True),
    Column("generation", Integer, primary_key=True, autoincrement=False),
    Column("partition_id", _Number, ForeignKey("agentmem_partition.id"), primary_key=True),
    Column("applied_seq", BigInteger, nullable=False),
)

setting = Table(
    "agentmem_setting",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

task = Table(
    "agentmem_task",
    metadata,
    Column("partition_id", _Number, ForeignKey("agentmem_partition.id"), primary_key=True),
    Column("job", String, primary_key=True),
    # Hexadecimal of a fact key, or the name of a session ("" for turns without one).
    Column("key", String, primary_key=True),
)

hold = Table(
    "agentmem_hold",
    metadata,
    Column("tenant", String, primary_key=True),
    Column("user_id", String, primary_key=True),
    Column("agent_id", String, primary_key=True),
    Column("reason", String, primary_key=True),
    Column("placed_at", BigInteger, nullable=False),
)

receipt = Table(
    "agentmem_receipt",
    metadata,
    Column("tenant", String, primary_key=True),
    # Places in the tenant's chain: 1, 2, 3, … without a gap. An erasure that stays pending has one entry more later.
    Column("place", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False),
    Column("subject", LargeBinary, nullable=False),
    Column("status", String, nullable=False),
    # The receipt as canonical JSON, without previous_hash and hash.
    Column("body", Text, nullable=False),
    # While pending: the rows and partitions that indexes must still drop, as JSON numbers.
    Column("to_drop", Text),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

Index("agentmem_receipt_subject", receipt.c.subject)
