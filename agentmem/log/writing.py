"""Writes: every one bumps its partition's head first, which orders the partition's writers on both databases."""

from __future__ import annotations

import importlib
import json
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from agentmem.clock import Clock, to_micros
from agentmem.errors import IdempotencyConflict, InvalidInput, StoreBusy, VersionConflict, unknown_memory
from agentmem.interfaces import Revision
from agentmem.log import reading, tasks
from agentmem.log.rows import (
    Row,
    as_said,
    content_hash,
    dump_affect,
    dump_fact,
    dump_json,
    dump_source,
    fact_key,
    load_fact,
    load_source,
    memory_of,
    next_version,
    row_of,
    standing_like,
)
from agentmem.log.schema import generation, lineage, partition, version
from agentmem.log.scoping import STANDS, address, parameters
from agentmem.records import Draft, Fact, Memory, Scope, Unset


class Ticket(NamedTuple):
    """A partition's write: the numbers it may use, and the generation whose vectors it may keep."""

    partition_id: int
    first_seq: int
    generation: int | None


def append(
    connection: Connection,
    scope: Scope,
    drafts: Sequence[Draft],
    *,
    generation: int | None,
    replacing: frozenset[str],
    clock: Clock,
) -> list[Memory]:
    """Insert the drafts as first versions; a draft whose idempotency key is known yields the memory it made then."""
    ticket = take_ticket(connection, scope, max(1, len(drafts)))
    owner = address(scope)
    now = to_micros(clock())
    kept = ticket.generation if ticket.generation == generation else None
    known = _known_keys(connection, ticket.partition_id, drafts)
    standing = _Standing(connection, ticket, replacing, now) if replacing else None
    rows: list[Row] = []
    answer: list[Row] = []
    for place, draft in enumerate(drafts):
        seq = ticket.first_seq + place
        row = known.get(draft.idempotency_key) if draft.idempotency_key is not None else None
        if row is not None and row.get("first_hash", row["content_hash"]) != content_hash(draft.content):
            raise IdempotencyConflict(
                f"The idempotency key {draft.idempotency_key!r} was used in this scope for other content.",
                hint="Use a new key for new content, or update() the memory.",
            )
        if row is None and standing is not None:
            row = standing.take(draft, seq)
        if row is None:
            row = row_of(draft, partition_id=ticket.partition_id, seq=seq, recorded_from=now, generation=kept)
        if row["seq"] == seq:
            rows.append(row)
            if draft.idempotency_key is not None:
                known[draft.idempotency_key] = row
        answer.append(row)
    if standing is not None:
        standing.close()
    _require_new(connection, scope, [draft.id for draft in drafts if draft.id])
    _insert(connection, ticket.partition_id, rows)
    tasks.leave_settling(connection, ticket.partition_id, (row["fact_key"] for row in rows))
    return [memory_of({**row, **owner}) for row in answer]


def revise(
    connection: Connection,
    scope: Scope,
    id: str,
    revision: Revision,
    *,
    expected_version: int | None,
    generation: int | None,
    clock: Clock,
) -> Memory:
    """Close the current version and insert the next one."""
    partition_id = reading.writable_partition(connection, scope, id)
    ticket = take_next(connection, partition_id)
    if ticket is None:
        raise unknown_memory(id)
    # Read after the bump: from here on no other writer of this partition can come between.
    old = reading.current_row(connection, partition_id, id)
    if expected_version is not None and old["version"] != expected_version:
        raise VersionConflict(
            f"Memory {id} is at version {old['version']}, not {expected_version}.",
            hint="Read it again with get() and repeat the change on what you find.",
        )
    kept = ticket.generation if ticket.generation == generation else None
    now = to_micros(clock())
    new = next_version(old, seq=ticket.first_seq, now=now, changed=_changes(old, revision, kept))
    close_versions(connection, partition_id, [old["seq"]], seq=ticket.first_seq, now=now)
    insert_next(connection, [new])
    if any(new[name] != old[name] for name in _SETTLED_BY):
        tasks.leave_settling(connection, partition_id, (old["fact_key"], new["fact_key"]))
    return memory_of({**new, **reading.owner(connection, partition_id)})


def close_versions(connection: Connection, partition_id: int, rows: Sequence[int], *, seq: int, now: int) -> None:
    """End these versions at ``now``; an index learns of it by ``closed_seq``."""
    for part in reading.in_parts(rows):
        connection.execute(
            update(version)
            .where(version.c.partition_id == partition_id, version.c.seq.in_(part))
            # A clock that jumped back must not end a version before it began.
            .values(closed_seq=seq, recorded_to=reading.greatest(connection, now, version.c.recorded_from + 1))
        )


def insert_next(connection: Connection, rows: Sequence[Row]) -> None:
    """Insert versions that follow others."""
    connection.execute(_insert_version, list(rows))


def take_ticket(connection: Connection, scope: Scope, count: int) -> Ticket:
    """Reserve ``count`` numbers in the scope's own partition, which is made if it is new."""
    row = connection.execute(_bump_owned, {**parameters(scope), "count": count}).first()
    if row is None:
        # Not for all at once: it would touch the table's sequence too, another page of every commit.
        row = connection.execute(_ticket_statement(connection.dialect.name), {**address(scope), "head": count}).first()
    if row is None:
        raise StoreBusy(
            f"Everything of {scope} is being forgotten; nothing was written.",
            hint="Try again; if the process that began it has died, opening the memory anew finishes it.",
        )
    return Ticket(row[0], row[1] - count + 1, row[2])


def take_next(connection: Connection, partition_id: int, count: int = 1) -> Ticket | None:
    """Reserve ``count`` numbers in a partition; other writers of it wait from here on.

    None where it is no longer, or is to be erased as a whole: on PostgreSQL that may happen while this waits for it.
    With a ``count`` of 0 they wait all the same, and the head stays.
    """
    row = connection.execute(_bump, {"at": partition_id, "count": count}).first()
    return None if row is None else Ticket(partition_id, row[0] - count + 1, row[1])


# Built once: SQLAlchemy works out how to run a statement when it first meets it.
_insert_version = insert(version)
_current_generation = select(func.max(generation.c.number)).scalar_subquery()
_bump = (
    update(partition)
    .where(partition.c.id == bindparam("at"), STANDS)
    .values(head=partition.c.head + bindparam("count"))
    .returning(partition.c.head, _current_generation)
)
_bump_owned = (
    update(partition)
    .where(
        partition.c.tenant == bindparam("scope_tenant"),
        partition.c.user_id == bindparam("scope_user"),
        partition.c.agent_id == bindparam("scope_agent"),
        STANDS,
    )
    .values(head=partition.c.head + bindparam("count"))
    .returning(partition.c.id, partition.c.head, _current_generation)
)


@cache
def _ticket_statement(dialect: str) -> Any:
    # Only the one that is used: importing a dialect costs tens of milliseconds.
    insert_or_update: Any = importlib.import_module(f"sqlalchemy.dialects.{dialect}").insert
    made = insert_or_update(partition)
    return made.on_conflict_do_update(
        index_elements=["tenant", "user_id", "agent_id"],
        set_={"head": partition.c.head + made.excluded.head},
        where=STANDS,
    ).returning(partition.c.id, partition.c.head, _current_generation)


class _Standing:
    """The chunks that stand where a document is replaced: what is taken stays, what is left is closed."""

    def __init__(self, connection: Connection, ticket: Ticket, names: frozenset[str], now: int) -> None:
        self._connection = connection
        self._ticket = ticket
        self._now = now
        self._names = names
        self._closed: list[int] = []
        self._chunks: defaultdict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for name in sorted(names):
            for row in reading.document_rows(connection, ticket.partition_id, name):
                self._chunks[name, _headings(row["source"]), row["content_hash"]].append(row)

    def take(self, draft: Draft, seq: int) -> Row | None:
        """The row of the same chunk, as it is or in a new version at ``seq`` where its place has changed."""
        if draft.source is None or draft.source.name not in self._names:
            return None
        same = self._chunks[draft.source.name, draft.source.headings, content_hash(draft.content)]
        if not same:
            return None
        row = same.pop(0)
        given = {
            "source": dump_source(draft.source),
            "metadata": dump_json(draft.metadata),
            "integrity": draft.integrity,
            "importance": draft.importance,
            "expires_at": to_micros(draft.expires_at),
        }
        if all(row[name] == value for name, value in given.items()):
            return row
        self._closed.append(row["seq"])
        changed = {**given, "written_by": draft.written_by, "reason": draft.reason}
        return next_version(row, seq=seq, now=self._now, changed=changed)

    def close(self) -> None:
        """End what was replaced and what no draft took."""
        self._closed += [row["seq"] for rows in self._chunks.values() for row in rows]
        if self._closed:
            close_versions(
                self._connection, self._ticket.partition_id, self._closed, seq=self._ticket.first_seq, now=self._now
            )


def _known_keys(connection: Connection, partition_id: int, drafts: Sequence[Draft]) -> dict[str, Row]:
    keys = [draft.idempotency_key for draft in drafts if draft.idempotency_key is not None]
    return reading.rows_by_key(connection, partition_id, keys) if keys else {}


def _require_new(connection: Connection, scope: Scope, ids: Sequence[str]) -> None:
    taken = reading.existing_ids(connection, scope, ids) if ids else set()
    if taken or len(set(ids)) < len(ids):
        raise InvalidInput(
            f"The id {min(taken) if taken else min(ids)} exists already in this scope.",
            hint="Leave the id out, or update() the memory.",
        )


def _insert(connection: Connection, partition_id: int, rows: Sequence[Row]) -> None:
    if not rows:
        return
    connection.execute(_insert_version, rows[0] if len(rows) == 1 else list(rows))
    descent = [
        {"partition_id": partition_id, "source_id": source, "derived_id": row["id"]}
        for row in rows
        if row["derived_from"] and row["version"] == 1
        for source in dict.fromkeys(json.loads(row["derived_from"]))
    ]
    if descent:
        connection.execute(insert(lineage), descent)


_SETTLED_BY: Final = ("fact", "valid_from", "stated_to")
"""What decides how a fact stands among those of its key."""


def _changes(old: Row, revision: Revision, generation: int | None) -> Row:
    changed: dict[str, Any] = {"written_by": revision.written_by, "reason": revision.reason}
    if not isinstance(revision.content, Unset):
        changed |= {
            "content": revision.content,
            "content_hash": content_hash(revision.content),
            "terms": revision.terms,
            "length": revision.length,
            "generation": generation,
            "vector": revision.vector if generation is not None else None,
        }
    if not isinstance(revision.metadata, Unset):
        changed["metadata"] = dump_json(revision.metadata)
    if not isinstance(revision.importance, Unset):
        changed["importance"] = revision.importance
    if not isinstance(revision.affect, Unset):
        changed["affect"] = dump_affect(revision.affect)
    if not isinstance(revision.source, Unset):
        changed["source"] = dump_source(revision.source)
    if not isinstance(revision.fact, Unset):
        changed |= _fact_of(old, revision.fact)
    if not isinstance(revision.valid_from, Unset):
        changed["valid_from"] = to_micros(revision.valid_from)
    if not isinstance(revision.valid_to, Unset):
        stated_to = to_micros(revision.valid_to)
        # What was stated before is no news: a fact that another one has closed stays closed.
        if old["fact_key"] is None or stated_to != old["stated_to"]:
            changed |= {"valid_to": stated_to, "stated_to": stated_to}
    if not isinstance(revision.expires_at, Unset):
        changed["expires_at"] = to_micros(revision.expires_at)
    return changed


def _fact_of(old: Row, fact: Fact) -> Row:
    """The columns of a fact in place of the old row's; under the same key it stands as it did until it is settled."""
    key = fact_key(fact)
    if key == old["fact_key"]:
        return {"fact": dump_fact(standing_like(fact, load_fact(old["fact"])))}
    return {"fact_key": key, "fact": dump_fact(as_said(fact)), "restates": None, "valid_to": old["stated_to"]}


def _headings(source: str | None) -> tuple[str, ...]:
    return load_source(source).headings if source else ()
