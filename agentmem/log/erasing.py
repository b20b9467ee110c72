"""Forgetting in the log: rows of every version go, numbers stay for the caches, keyed hashes for the imports."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Select, Table, delete, func, insert, select

from agentmem.clock import Clock, to_micros
from agentmem.errors import ScopeError, unknown_memory
from agentmem.interfaces import Erasure
from agentmem.log import reading, tombstones, writing
from agentmem.log.schema import cursor, erasure, lineage, partition, version
from agentmem.log.scoping import parameters, writable
from agentmem.records import Scope

KeyedHash = Callable[[Mapping[str, str], str], bytes]


def erase(
    connection: Connection, scope: Scope, ids: Sequence[str], *, dry_run: bool, keyed: KeyedHash, clock: Clock
) -> Erasure:
    """Remove the memories, what was derived from them, and their whole history."""
    counts: Counter[str] = Counter()
    dropped: list[tuple[int, int]] = []
    forgotten = 0
    tickets = {} if dry_run else _lock_subject(connection, scope)
    places = reading.writable_partitions(connection, scope, ids, retired=True)
    for partition_id, doomed in _by_partition(_with_descendants(connection, scope, places)):
        rows = _rows_of(connection, partition_id, doomed)
        counts["version"] += len(rows)
        forgotten += len(doomed)
        if dry_run:
            continue
        _delete_in(connection, version, version.c.id, partition_id, doomed)
        counts["lineage"] += _delete_in(connection, lineage, lineage.c.source_id, partition_id, doomed)
        counts["lineage"] += _delete_in(connection, lineage, lineage.c.derived_id, partition_id, doomed)
        numbers = [{"partition_id": partition_id, "seq": tickets[partition_id].first_seq, "row": row} for row in rows]
        connection.execute(insert(erasure), numbers)
        owner = reading.owner(connection, partition_id)
        tombstones.bury(connection, (keyed(owner, id) for id in doomed), at=to_micros(clock()))
        dropped += [(partition_id, row) for row in rows]
    return Erasure(forgotten, dict(counts), dropped)


def retire(connection: Connection, scope: Scope, ids: Sequence[str], *, dry_run: bool, clock: Clock) -> Erasure:
    """Close the current versions of the memories and of what was derived from them: hidden, kept in the history."""
    places = _with_descendants(connection, scope, reading.writable_partitions(connection, scope, ids))
    if dry_run:
        return Erasure(len(places), {})
    dropped: list[tuple[int, int]] = []
    for partition_id, wanted in _by_partition(places):
        ticket = writing.take_next(connection, partition_id)
        if ticket is None:
            raise unknown_memory(wanted[0])
        rows = _rows_of(connection, partition_id, wanted, current=True)
        writing.close_versions(connection, partition_id, rows, seq=ticket.first_seq, now=to_micros(clock()))
        dropped += [(partition_id, row) for row in rows]
    return Erasure(len(dropped), {}, dropped)


def erase_everything(connection: Connection, scope: Scope, *, dry_run: bool, keyed: KeyedHash, clock: Clock) -> Erasure:
    """Remove every row of one user, or of one agent's layer, and the partitions themselves."""
    if scope.user is not None and scope.agent is not None:
        raise ScopeError(
            "forget(everything=True) takes a scope of one user alone or one agent alone.",
            hint="Write Scope(user=…) to forget a person with every agent, or select with where=.",
        )
    # Waits for writers of these partitions, so that no row slips in behind the count.
    partitions = _of_subject(connection, scope) if dry_run else list(_lock_subject(connection, scope))
    counts: Counter[str] = Counter()
    forgotten = 0
    for partition_id in partitions:
        of_partition = version.c.partition_id == partition_id
        ids = list(connection.execute(select(version.c.id).where(of_partition).distinct()).scalars())
        forgotten += len(ids)
        counts["version"] += connection.execute(select(func.count()).where(of_partition)).scalar_one()
        if dry_run:
            continue
        owner = reading.owner(connection, partition_id)
        tombstones.bury(connection, (keyed(owner, id) for id in ids), at=to_micros(clock()))
        for table in (lineage, erasure, cursor):
            counts[table.name.removeprefix("agentmem_")] += connection.execute(
                delete(table).where(table.c.partition_id == partition_id)
            ).rowcount
        connection.execute(delete(version).where(of_partition))
        connection.execute(delete(partition).where(partition.c.id == partition_id))
        counts["partition"] += 1
    return Erasure(forgotten, {name: count for name, count in counts.items() if count}, (), tuple(partitions))


def _subject(scope: Scope) -> Select[Any]:
    """Every partition of the scope's user, whatever the agent; or the agent's own layer."""
    return select(partition.c.id).where(writable("user" if scope.user is not None else "agent"))


def _of_subject(connection: Connection, scope: Scope) -> list[int]:
    return list(connection.execute(_subject(scope).order_by(partition.c.id), parameters(scope)).scalars())


def _lock_subject(connection: Connection, scope: Scope) -> dict[int, writing.Ticket]:
    """Wait for every writer of the subject's partitions: nothing is derived any more from what goes."""
    tickets = (writing.take_next(connection, partition_id) for partition_id in _of_subject(connection, scope))
    return {ticket.partition_id: ticket for ticket in tickets if ticket is not None}


def _with_descendants(connection: Connection, scope: Scope, places: dict[str, int]) -> dict[str, int]:
    """The ids and everything derived from them, directly or not: a summary must not outlive what it quotes.

    What was derived under another agent of the same user goes too, even if this scope itself could not change it.
    """
    doomed = dict(places)
    frontier = list(places)
    while frontier:
        children: dict[str, int] = {}
        for part in reading.in_parts(frontier):
            statement = select(lineage.c.derived_id, lineage.c.partition_id).where(
                lineage.c.partition_id.in_(_subject(scope)), lineage.c.source_id.in_(part)
            )
            children |= {row[0]: row[1] for row in connection.execute(statement, parameters(scope))}
        frontier = [id for id in children if id not in doomed]
        doomed = children | doomed
    return doomed


def _rows_of(connection: Connection, partition_id: int, ids: Sequence[str], *, current: bool = False) -> list[int]:
    """The rows of these ids, every version or only the ``current`` ones."""
    rows: list[int] = []
    for part in reading.in_parts(ids):
        statement = select(version.c.seq).where(version.c.partition_id == partition_id, version.c.id.in_(part))
        if current:
            statement = statement.where(version.c.closed_seq.is_(None))
        rows += connection.execute(statement).scalars()
    return rows


def _delete_in(connection: Connection, table: Table, column: object, partition_id: int, ids: Sequence[str]) -> int:
    deleted = 0
    for part in reading.in_parts(ids):
        condition = column.in_(part)  # type: ignore[attr-defined]
        deleted += connection.execute(delete(table).where(table.c.partition_id == partition_id, condition)).rowcount
    return deleted


def _by_partition(places: dict[str, int]) -> list[tuple[int, list[str]]]:
    grouped: defaultdict[int, list[str]] = defaultdict(list)
    for id, partition_id in places.items():
        grouped[partition_id].append(id)
    # In one order everywhere: two forgets must not wait for each other crosswise.
    return sorted(grouped.items())
