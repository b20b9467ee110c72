"""Forgetting in the log: rows of every version go, numbers stay for the caches, keyed hashes for the imports."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, Table, delete, func, insert, select

from agentmem.clock import Clock, to_micros
from agentmem.errors import ScopeError
from agentmem.interfaces import Erasure
from agentmem.log import reading, tombstones, writing
from agentmem.log.schema import cursor, erasure, lineage, partition, version
from agentmem.log.scoping import parameters, reader, writable
from agentmem.records import Scope

KeyedHash = Callable[[Mapping[str, str], str], bytes]

_AT_ONCE = 5_000


def erase(connection: Connection, scope: Scope, ids: Sequence[str], *, keyed: KeyedHash, clock: Clock) -> Erasure:
    """Remove the memories, what was derived from them, and their whole history."""
    counts: Counter[str] = Counter()
    dropped: list[tuple[int, int]] = []
    forgotten = 0
    places = reading.writable_partitions(connection, scope, ids, retired=True)
    for partition_id, doomed in _by_partition(_with_descendants(connection, scope, places)):
        owner = reading.owner(connection, partition_id)
        ticket = writing.take_next(connection, partition_id)
        rows = _rows_of(connection, partition_id, doomed)
        _delete_in(connection, version, version.c.id, partition_id, doomed)
        counts["version"] += len(rows)
        counts["lineage"] += _delete_in(connection, lineage, lineage.c.source_id, partition_id, doomed)
        counts["lineage"] += _delete_in(connection, lineage, lineage.c.derived_id, partition_id, doomed)
        numbers = [{"partition_id": partition_id, "seq": ticket.first_seq, "row": row} for row in rows]
        connection.execute(insert(erasure), numbers)
        tombstones.bury(connection, (keyed(owner, id) for id in doomed), at=to_micros(clock()))
        dropped += [(partition_id, row) for row in rows]
        forgotten += len(doomed)
    return Erasure(forgotten, dict(counts), dropped)


def retire(connection: Connection, scope: Scope, ids: Sequence[str], *, clock: Clock) -> Erasure:
    """Close the memories' current versions: hidden from reads, kept in the history."""
    dropped: list[tuple[int, int]] = []
    for partition_id, wanted in _by_partition(reading.writable_partitions(connection, scope, ids)):
        ticket = writing.take_next(connection, partition_id)
        rows = [reading.current_row(connection, partition_id, id)["seq"] for id in wanted]
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
    statement = select(partition.c.id).where(writable(reader(scope))).order_by(partition.c.id)
    partitions = list(connection.execute(statement, parameters(scope)).scalars())
    counts: Counter[str] = Counter()
    forgotten = 0
    for partition_id in partitions:
        if not dry_run:
            # Waits for writers of this partition, so that no row slips in behind the count.
            writing.take_next(connection, partition_id)
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


def _with_descendants(connection: Connection, scope: Scope, places: dict[str, int]) -> dict[str, int]:
    """The ids and everything derived from them, directly or not: a summary must not outlive what it quotes.

    What was derived under another agent of the same user goes too, even if this scope itself could not change it.
    """
    of_the_subject = select(partition.c.id).where(writable("user" if scope.user is not None else "agent"))
    doomed = dict(places)
    frontier = list(places)
    while frontier:
        children: dict[str, int] = {}
        for start in range(0, len(frontier), _AT_ONCE):
            statement = select(lineage.c.derived_id, lineage.c.partition_id).where(
                lineage.c.partition_id.in_(of_the_subject),
                lineage.c.source_id.in_(frontier[start : start + _AT_ONCE]),
            )
            children |= {row[0]: row[1] for row in connection.execute(statement, parameters(scope))}
        frontier = [id for id in children if id not in doomed]
        doomed = children | doomed
    return doomed


def _rows_of(connection: Connection, partition_id: int, ids: Sequence[str]) -> list[int]:
    rows: list[int] = []
    for start in range(0, len(ids), _AT_ONCE):
        statement = select(version.c.seq).where(
            version.c.partition_id == partition_id, version.c.id.in_(ids[start : start + _AT_ONCE])
        )
        rows += connection.execute(statement).scalars()
    return rows


def _delete_in(connection: Connection, table: Table, column: object, partition_id: int, ids: Sequence[str]) -> int:
    deleted = 0
    for start in range(0, len(ids), _AT_ONCE):
        condition = column.in_(ids[start : start + _AT_ONCE])  # type: ignore[attr-defined]
        deleted += connection.execute(delete(table).where(table.c.partition_id == partition_id, condition)).rowcount
    return deleted


def _by_partition(places: dict[str, int]) -> list[tuple[int, list[str]]]:
    grouped: defaultdict[int, list[str]] = defaultdict(list)
    for id, partition_id in places.items():
        grouped[partition_id].append(id)
    # In one order everywhere: two forgets must not wait for each other crosswise.
    return sorted(grouped.items())
