"""A memory as a row of the version table, and back. The content's hash is checked on the way out."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import RowMapping

from agentmem.clock import from_micros, to_micros
from agentmem.errors import CorruptRecord
from agentmem.interfaces import IndexRow
from agentmem.log.schema import partition, version
from agentmem.records import Affect, Draft, Fact, Memory, Scope, Source

Row = Mapping[str, Any]

_NOT_IN_A_MEMORY: Final = (
    "terms",
    "length",
    "vector",
    "generation",
    "closed_seq",
    "vector_seq",
    "used_seq",
    "fact_key",
    "restates",
    "stated_to",
)

MEMORY_COLUMNS: Final = (
    *(column for column in version.c if column.name not in _NOT_IN_A_MEMORY),
    partition.c.tenant,
    partition.c.user_id,
    partition.c.agent_id,
)

INDEX_COLUMNS: Final = (
    *(version.c[{"row": "seq", "source": "source_name"}.get(name, name)] for name in IndexRow._fields[:-1]),
)
"""The columns of an IndexRow, in its order, all but the vector."""


def new_id() -> str:
    """A UUIDv7 (RFC 9562) as 32 hex digits: ids made later sort later."""
    milliseconds = time.time_ns() // 1_000_000
    noise = int.from_bytes(os.urandom(10), "big")
    value = (milliseconds << 80) | (0x7 << 76) | ((noise >> 62 & 0xFFF) << 64) | (0b10 << 62) | (noise & (1 << 62) - 1)
    return f"{value:032x}"


def content_hash(content: str) -> bytes:
    """16 bytes of BLAKE2b over the UTF-8 text."""
    return hashlib.blake2b(content.encode("utf-8"), digest_size=16).digest()


def row_of(draft: Draft, *, partition_id: int, seq: int, recorded_from: int, generation: int | None) -> dict[str, Any]:
    """The first version of a memory. Its first row number is its position in its session."""
    return {
        "partition_id": partition_id,
        "seq": seq,
        "id": draft.id or new_id(),
        "version": 1,
        "kind": draft.kind,
        "role": draft.role,
        "speaker": draft.speaker,
        "session": draft.session,
        "position": seq,
        "content": draft.content,
        "content_hash": content_hash(draft.content),
        "occurred_at": to_micros(draft.occurred_at),
        "recorded_from": recorded_from,
        "recorded_to": None,
        "valid_from": to_micros(draft.valid_from or draft.occurred_at),
        "valid_to": to_micros(draft.valid_to),
        "expires_at": to_micros(draft.expires_at),
        "metadata": dump_json(draft.metadata) if draft.metadata else "{}",
        "importance": draft.importance,
        "affect": dump_affect(draft.affect),
        "integrity": draft.integrity,
        "idempotency_key": draft.idempotency_key,
        "derived_from": dump_json(draft.derived_from) if draft.derived_from else None,
        "source_name": draft.source.name if draft.source else None,
        "source": dump_source(draft.source),
        "terms": draft.terms,
        "length": draft.length,
        "generation": generation,
        "vector": draft.vector if generation is not None else None,
        "closed_seq": None,
        "vector_seq": None,
        "fact_key": fact_key(draft.fact),
        "fact": dump_fact(as_said(draft.fact)) if draft.fact else None,
        "restates": None,
        "origin": draft.origin or (draft.source.name if draft.source else None),
        "written_by": draft.written_by,
        "reason": draft.reason,
        "accesses": 0,
        "outcome": 0.0,
        "used_seq": None,
        "stated_to": to_micros(draft.valid_to),
    }


def next_version(row: Row, *, seq: int, now: int, changed: Row) -> Row:
    """The version that follows ``row``: what is not changed is carried on, use and settled state included."""
    return {
        **row,
        "seq": seq,
        "version": row["version"] + 1,
        # A clock that jumped back must not let it begin before the one it follows has ended.
        "recorded_from": max(now, row["recorded_to"] or row["recorded_from"] + 1),
        "recorded_to": None,
        "closed_seq": None,
        "vector_seq": None,
        "used_seq": None,
        **changed,
    }


def memory_of(row: RowMapping | Row) -> Memory:
    """The memory of a row of MEMORY_COLUMNS.

    Raises:
        CorruptRecord: the content is not what its hash says.
    """
    content: str = row["content"]
    if content_hash(content) != row["content_hash"]:
        raise CorruptRecord(
            f"Memory {row['id']}, version {row['version']}: the content does not match its hash.",
            hint="Restore it from a backup; `agentmem doctor --deep` lists every such row.",
        )
    affect, source, derived_from, fact = row["affect"], row["source"], row["derived_from"], row["fact"]
    return Memory(
        id=row["id"],
        version=row["version"],
        kind=row["kind"],
        content=content,
        scope=_scope(row["tenant"], row["user_id"], row["agent_id"], row["session"]),
        role=row["role"],
        speaker=row["speaker"],
        position=row["position"],
        occurred_at=from_micros(row["occurred_at"]),
        recorded_from=from_micros(row["recorded_from"]),
        recorded_to=from_micros(row["recorded_to"]),
        valid_from=from_micros(row["valid_from"]),
        valid_to=from_micros(row["valid_to"]),
        metadata={} if row["metadata"] == "{}" else json.loads(row["metadata"]),
        importance=row["importance"],
        affect=Affect(**json.loads(affect)) if affect else None,
        integrity=row["integrity"],
        expires_at=from_micros(row["expires_at"]),
        idempotency_key=row["idempotency_key"],
        derived_from=tuple(json.loads(derived_from)) if derived_from else (),
        source=load_source(source) if source else None,
        fact=load_fact(fact) if fact else None,
        origin=row["origin"],
        written_by=row["written_by"],
        reason=row["reason"],
        accesses=row["accesses"],
        outcome=row["outcome"],
    )


@lru_cache(maxsize=4096)
def _scope(tenant: str, user: str, agent: str, session: str | None) -> Scope:
    # Checked once: the rows of an answer share a few owners.
    return Scope(user=user or None, agent=agent or None, session=session, tenant=tenant)


def dump_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def dump_affect(affect: Affect | None) -> str | None:
    if affect is None:
        return None
    return dump_json({"valence": affect.valence, "arousal": affect.arousal, "label": affect.label})


def fact_key(fact: Fact | None) -> bytes | None:
    """16 bytes of the fact's ``key``."""
    if fact is None:
        return None
    return hashlib.blake2b("\x1f".join(fact.key).encode("utf-8"), digest_size=16).digest()


def as_said(fact: Fact) -> Fact:
    """The fact without what settling worked out."""
    return replace(fact, superseded_by=None, restates=None, times=1)


def standing_like(fact: Fact, settled: Fact) -> Fact:
    """The fact with what settling worked out for another state of it."""
    return replace(fact, superseded_by=settled.superseded_by, restates=settled.restates, times=settled.times)


def dump_fact(fact: Fact) -> str:
    return dump_json({each.name: getattr(fact, each.name) for each in fields(fact)})


def load_fact(text: str) -> Fact:
    stored = json.loads(text)
    return Fact(**{**stored, "span": tuple(stored["span"]) if stored["span"] else None})


def dump_source(source: Source | None) -> str | None:
    if source is None:
        return None
    return dump_json([source.name, source.headings, source.place, source.start, source.end])


def load_source(text: str) -> Source:
    name, headings, place, start, end = json.loads(text)
    return Source(name=name, headings=tuple(headings), place=place, start=start, end=end)
