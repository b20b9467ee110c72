"""Forgetting in the log: rows of every version go, numbers stay for the caches, keyed hashes for the imports."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from sqlalchemy import Connection, Select, Table, delete, func, insert, select, text, update

from agentmem.clock import Clock, to_micros
from agentmem.errors import ScopeError, unknown_memory
from agentmem.interfaces import Erasure, ErasureRequest
from agentmem.log import holds, reading, receipts, retelling, settings, tasks, tombstones, writing
from agentmem.log.journal import Page
from agentmem.log.receipts import ToDrop
from agentmem.log.rows import new_id
from agentmem.log.schema import cursor, erasure, lineage, partition, task, version
from agentmem.log.scoping import STANDS, address, parameters, writable
from agentmem.records import ForgetMode, Receipt, Scope

BATCH: Final = 5_000
"""Rows that one transaction of ``erase_some`` removes: other writers wait no longer than for so many."""

ERASED_IN: Final = "erased_in"
"""Setting of a PostgreSQL log: the table's file at the time of the last erasure, whose bytes are still in it."""


@dataclass(frozen=True)
class Desk:
    """One transaction that forgets: its connection, its page of the journal, the key of the tombstones."""

    connection: Connection
    page: Page
    key: bytes
    clock: Clock

    @cached_property
    def now(self) -> int:
        return to_micros(self.clock())

    def condemn(self, owner: Mapping[str, str], by: str, *, among: Sequence[int] | None = None) -> int:
        """Order the owner's key to be destroyed, where there are keys; how many.

        Args:
            by: The request.
            among: Only a key that something in these partitions is sealed with.
        """
        return 0

    def bury(self, subject: bytes, ids: Iterable[str]) -> int:
        """Leave tombstones of the subject's ids; how many were new."""
        return self.bury_hashes(tombstones.keyed_hash(subject, id) for id in ids)

    def mark_sessions(self, subject: bytes, sessions: Iterable[str]) -> None:
        """Remember that turns of these sessions ("" for none) were forgotten, or private: what is sent again may be."""
        if marked := set(sessions):
            self.bury_hashes(tombstones.session_mark(subject, session) for session in {"", *marked})

    def bury_hashes(self, hashes: Iterable[bytes]) -> int:
        new = tombstones.bury(self.connection, hashes, at=self.now)
        self.page.bury(new)
        return len(new)

    def receipt(
        self, request: ErasureRequest, mode: ForgetMode, erased: Erasure, owner: Mapping[str, str], to_drop: ToDrop
    ) -> None:
        made = Receipt(
            id=request.id,
            status="pending",
            mode=mode,
            requested_at=request.requested_at,
            done_at=None,
            memories=erased.memories,
            rows=_counted(erased.rows),
            remaining=("indexes and files",),
            reason=request.reason,
            requested_by=request.requested_by,
        )
        subject = tombstones.subject_hash(tombstones.subject_key(self.key, owner))
        receipts.append(
            self.connection, self.page, made, tenant=owner["tenant"], subject=subject, to_drop=to_drop.dumped()
        )


# --- some memories --------------------------------------------------------------------------------


def erase(desk: Desk, scope: Scope, ids: Sequence[str], *, request: ErasureRequest | None) -> Erasure:
    """Remove the memories, what was derived from them, and their whole history."""
    tickets = lock_subject(desk.connection, scope) if ids else {}
    places = _doomed(desk.connection, scope, ids)
    holds.require_none(desk.connection, places.values())
    subject = tombstones.subject_key(desk.key, address(scope))
    return erase_places(desk, places, tickets, subject, owner=address(scope), request=request)


def would_erase(connection: Connection, scope: Scope, ids: Sequence[str]) -> Erasure:
    """What ``erase`` would remove; nothing is touched."""
    places = _doomed(connection, scope, ids)
    holds.require_none(connection, places.values())
    rows = sum(len(_rows_of(connection, partition_id, doomed)) for partition_id, doomed in _by_partition(places))
    return Erasure(len(places), _counted({"version": rows}))


def erase_places(
    desk: Desk,
    places: Mapping[str, int],
    tickets: Mapping[int, writing.Ticket],
    subject: bytes,
    *,
    owner: Mapping[str, str],
    request: ErasureRequest | None,
) -> Erasure:
    """Remove these memories of one subject (id to partition) from partitions that are locked."""
    connection = desk.connection
    counts: Counter[str] = Counter()
    dropped: list[tuple[int, int]] = []
    for partition_id, doomed in _by_partition(places):
        left = _left_behind(connection, partition_id, doomed)
        traces = retelling.traces_of(connection, partition_id, doomed)
        rows = _rows_of(connection, partition_id, doomed)
        desk.mark_sessions(subject, _sessions_of(connection, partition_id, doomed))
        counts["version"] += len(rows)
        _delete_in(connection, version, version.c.id, partition_id, doomed)
        counts["lineage"] += _delete_in(connection, lineage, lineage.c.source_id, partition_id, doomed)
        counts["lineage"] += _delete_in(connection, lineage, lineage.c.derived_id, partition_id, doomed)
        seq = tickets[partition_id].first_seq
        connection.execute(insert(erasure), [{"partition_id": partition_id, "seq": seq, "row": row} for row in rows])
        left.keep(connection)
        retelling.take_out(connection, partition_id, doomed, traces, now=desk.now)
        desk.bury(subject, doomed)
        dropped += [(partition_id, row) for row in rows]
    if dropped:
        _note_file(connection)
    erased = Erasure(len(places), _counted(counts), dropped, receipt=request.id if request else None)
    if request is not None:
        writes = {(partition_id, tickets[partition_id].first_seq) for partition_id in places.values()}
        desk.receipt(request, "erase", erased, owner, ToDrop(writes=tuple(sorted(writes))))
    return erased


def retire(desk: Desk, scope: Scope, ids: Sequence[str], *, request: ErasureRequest | None) -> Erasure:
    """Close the current versions of the memories and of what was derived from them: hidden, kept in the history."""
    connection = desk.connection
    subject = tombstones.subject_key(desk.key, address(scope))
    places = _with_descendants(connection, scope, reading.writable_partitions(connection, scope, ids))
    dropped: list[tuple[int, int]] = []
    writes: list[tuple[int, int]] = []
    for partition_id, wanted in _by_partition(places):
        ticket = writing.take_next(connection, partition_id)
        if ticket is None:
            raise unknown_memory(wanted[0])
        left = _left_behind(connection, partition_id, wanted)
        desk.mark_sessions(subject, _sessions_of(connection, partition_id, wanted))
        rows = _rows_of(connection, partition_id, wanted, current=True)
        writing.close_versions(connection, partition_id, rows, seq=ticket.first_seq, now=desk.now)
        left.keep(connection)
        dropped += [(partition_id, row) for row in rows]
        writes.append((partition_id, ticket.first_seq))
    retired = Erasure(len(dropped), {}, dropped, receipt=request.id if request else None)
    if request is not None:
        desk.receipt(request, "retire", retired, address(scope), ToDrop(writes=tuple(writes)))
    return retired


def would_retire(connection: Connection, scope: Scope, ids: Sequence[str]) -> Erasure:
    """What ``retire`` would hide; nothing is touched."""
    return Erasure(len(_with_descendants(connection, scope, reading.writable_partitions(connection, scope, ids))), {})


# --- everything of a subject ----------------------------------------------------------------------


def doom(desk: Desk, scope: Scope, *, request: ErasureRequest | None) -> Erasure:
    """Record the wish to erase every row of one user, or of one agent's layer: from now on nobody reads them.

    The partitions lose their owner's name, so that the same person's next memory begins a new one.
    """
    _require_whole(scope)
    connection, owner = desk.connection, address(scope)
    by = request.id if request else new_id()
    keys = desk.condemn(owner, by)
    # Waits for writers of these partitions, so that no row slips in behind the count.
    partitions = list(lock_subject(connection, scope))
    holds.require_none(connection, partitions)
    counted = _count(connection, partitions)
    rows = _counted({**counted.rows, "key": keys})
    erased = Erasure(counted.memories, rows, partitions=tuple(partitions), receipt=request.id if request else None)
    if partitions:
        subject = tombstones.subject_key(desk.key, owner)
        desk.page.doom(tombstones.subject_hash(subject))
        for partition_id in partitions:
            desk.mark_sessions(subject, connection.execute(_sessions(partition_id)).scalars())
    _give_up(desk, partitions, owner, by=by)
    if request is not None:
        desk.receipt(request, "erase", erased, owner, ToDrop(partitions=tuple(partitions)))
    return erased


def doom_again(desk: Desk, partitions: Sequence[int], owner: Mapping[str, str], *, request: ErasureRequest) -> Erasure:
    """Give up what the journal says was given up before; holds do not stop it, and the journal has it already."""
    # Not a key that the same person has by now: what it sealed is in no older backup.
    keys = desk.condemn(owner, request.id, among=partitions)
    lock(desk.connection, partitions)
    counted = _count(desk.connection, partitions)
    rows = _counted({**counted.rows, "key": keys})
    erased = Erasure(counted.memories, rows, partitions=tuple(partitions), receipt=request.id)
    _give_up(desk, partitions, owner, by=request.id)
    desk.receipt(request, "erase", erased, owner, ToDrop(partitions=tuple(partitions)))
    return erased


def would_doom(connection: Connection, scope: Scope) -> Erasure:
    """What ``doom`` would give up; nothing is touched."""
    _require_whole(scope)
    partitions = _of_subject(connection, scope)
    holds.require_none(connection, partitions)
    counted = _count(connection, partitions)
    return Erasure(counted.memories, counted.rows, partitions=tuple(partitions))


def doomed(connection: Connection) -> dict[str, list[int]]:
    """The partitions that are given up and not yet gone, by the request that did it."""
    found: defaultdict[str, list[int]] = defaultdict(list)
    for row in connection.execute(select(partition.c.doomed_by, partition.c.id).where(~STANDS).order_by("id")):
        found[row[0]].append(row[1])
    return dict(found)


def erase_some(desk: Desk, partition_id: int) -> Counter[str] | None:
    """Remove up to ``BATCH`` rows of a partition that was given up, in the end itself; None when it is gone."""
    connection = desk.connection
    # Two processes may carry out one wish; each batch is one's alone.
    locked = select(partition.c.user_id).where(partition.c.id == partition_id, ~STANDS).with_for_update()
    subject = connection.execute(locked).scalar()
    if subject is None:
        return None
    rows = connection.execute(
        select(version.c.seq, version.c.id)
        .where(version.c.partition_id == partition_id)
        .order_by(version.c.seq)
        .limit(BATCH)
    ).all()
    removed: Counter[str] = Counter()
    if rows:
        removed["memories"] = desk.bury(bytes.fromhex(subject), {row.id for row in rows})
        removed["version"] = len(rows)
        connection.execute(delete(version).where(version.c.partition_id == partition_id, version.c.seq <= rows[-1].seq))
    if len(rows) == BATCH:
        return removed
    for table in (lineage, erasure, cursor, task):
        count = _delete_some(connection, table, partition_id)
        removed[table.name.removeprefix("agentmem_")] = count
        if count == BATCH:
            return removed
    connection.execute(delete(partition).where(partition.c.id == partition_id))
    return removed + Counter(partition=1)


# --- how ------------------------------------------------------------------------------------------


class _LeftBehind:
    """Tasks that an erasure leaves: facts to settle again, summaries to make again.

    Args:
        summaries: By the session of each that is missed, "" for none: who wrote it.
    """

    def __init__(self, partition_id: int, fact_keys: Sequence[bytes], summaries: Mapping[str, set[str]]) -> None:
        self._partition_id = partition_id
        self._fact_keys = fact_keys
        self._summaries = summaries

    def keep(self, connection: Connection) -> None:
        """Leave them, but for sessions without any turns left."""
        tasks.leave_settling(connection, self._partition_id, self._fact_keys)
        for session, writers in self._summaries.items():
            if self._has_turns(connection, session):
                for written_by in writers:
                    tasks.leave(connection, self._partition_id, tasks.summarise(written_by), [session])

    def _has_turns(self, connection: Connection, session: str) -> bool:
        statement = select(version.c.seq).where(
            version.c.partition_id == self._partition_id, version.c.kind == "turn", version.c.closed_seq.is_(None)
        )
        if session:
            # What has no session may be of all of them.
            statement = statement.where(version.c.session == session)
        return connection.execute(statement.limit(1)).first() is not None


def _left_behind(connection: Connection, partition_id: int, ids: Sequence[str]) -> _LeftBehind:
    # A summary that goes alone is replaced or unwanted; one that goes with what it was made from is missed.
    summaries: defaultdict[str, set[str]] = defaultdict(set)
    gone = set(ids)
    for part in reading.in_parts(ids):
        statement = (
            select(func.coalesce(version.c.session, ""), version.c.written_by, lineage.c.source_id)
            .join(
                lineage,
                (lineage.c.partition_id == version.c.partition_id) & (lineage.c.derived_id == version.c.id),
            )
            .where(
                version.c.partition_id == partition_id,
                version.c.kind == "summary",
                version.c.id.in_(part),
                version.c.closed_seq.is_(None),
            )
        )
        for session, written_by, source in connection.execute(statement):
            if source in gone:
                summaries[session].add(written_by)
    return _LeftBehind(partition_id, _fact_keys(connection, partition_id, ids), summaries)


def _fact_keys(connection: Connection, partition_id: int, ids: Sequence[str]) -> list[bytes]:
    keys: set[bytes] = set()
    for part in reading.in_parts(ids):
        statement = select(version.c.fact_key).where(
            version.c.partition_id == partition_id, version.c.id.in_(part), version.c.fact_key.is_not(None)
        )
        keys.update(bytes(key) for key in connection.execute(statement.distinct()).scalars())
    return sorted(keys)


def _give_up(desk: Desk, partitions: Sequence[int], owner: Mapping[str, str], *, by: str) -> None:
    """Mark the partitions; their owner is replaced by the key that their tombstones need."""
    _note_file(desk.connection)
    subject = tombstones.subject_key(desk.key, owner)
    for partition_id in partitions:
        desk.connection.execute(
            update(partition)
            .where(partition.c.id == partition_id)
            .values(doomed_by=by, user_id=subject.hex(), agent_id=str(partition_id))
        )


def _require_whole(scope: Scope) -> None:
    if scope.user is not None and scope.agent is not None:
        raise ScopeError(
            "forget(everything=True) takes a scope of one user alone or one agent alone.",
            hint="Write Scope(user=…) to forget a person with every agent, or select with where=.",
        )


def _count(connection: Connection, partitions: Sequence[int]) -> Erasure:
    counts: Counter[str] = Counter(partition=len(partitions))
    memories = 0
    for partition_id in partitions:
        ids = select(func.count(version.c.id.distinct())).where(version.c.partition_id == partition_id)
        memories += connection.execute(ids).scalar_one()
        for table in (version, lineage, erasure, cursor, task):
            rows = select(func.count()).select_from(table).where(table.c.partition_id == partition_id)
            counts[table.name.removeprefix("agentmem_")] += connection.execute(rows).scalar_one()
    return Erasure(memories, _counted(counts))


def _counted(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in counts.items() if count}


def _subject(scope: Scope) -> Select[Any]:
    """Every partition of the scope's user, whatever the agent; or the agent's own layer."""
    return select(partition.c.id).where(writable("user" if scope.user is not None else "agent"))


def _of_subject(connection: Connection, scope: Scope) -> list[int]:
    return list(connection.execute(_subject(scope).order_by(partition.c.id), parameters(scope)).scalars())


def lock(connection: Connection, partitions: Iterable[int]) -> dict[int, writing.Ticket]:
    """Wait for every writer of the partitions: nothing is derived any more from what goes."""
    # In one order everywhere: two forgets must not wait for each other crosswise.
    tickets = (writing.take_next(connection, partition_id) for partition_id in sorted(partitions))
    return {ticket.partition_id: ticket for ticket in tickets if ticket is not None}


def lock_subject(connection: Connection, scope: Scope) -> dict[int, writing.Ticket]:
    """``lock`` of every partition of the scope's user, or of the agent's layer."""
    return lock(connection, _of_subject(connection, scope))


def _doomed(connection: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
    """The ids and what was derived from them, each with its partition."""
    places = reading.writable_partitions(connection, scope, ids, retired=True) if ids else {}
    return _with_descendants(connection, scope, places)


def _with_descendants(connection: Connection, scope: Scope, places: dict[str, int]) -> dict[str, int]:
    """The ids and everything derived from them, directly or not: a summary must not outlive what it quotes.

    What was derived under another agent of the same user goes too, even if this scope itself could not change it.
    """
    return with_descendants(connection, _of_subject(connection, scope), places)


def with_descendants(connection: Connection, partitions: Sequence[int], places: Mapping[str, int]) -> dict[str, int]:
    """The ids and everything derived from them within these partitions, each with its own."""
    doomed = dict(places)
    frontier = list(places)
    while frontier:
        children: dict[str, int] = {}
        for part in reading.in_parts(frontier):
            statement = select(lineage.c.derived_id, lineage.c.partition_id).where(
                lineage.c.partition_id.in_(partitions), lineage.c.source_id.in_(part)
            )
            children |= {row[0]: row[1] for row in connection.execute(statement)}
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


def _sessions_of(connection: Connection, partition_id: int, ids: Sequence[str]) -> set[str]:
    """The sessions of the turns among these ids; "" for none."""
    sessions: set[str] = set()
    for part in reading.in_parts(ids):
        sessions.update(connection.execute(_sessions(partition_id).where(version.c.id.in_(part))).scalars())
    return sessions


def _sessions(partition_id: int) -> Select[Any]:
    session = func.coalesce(version.c.session, "")
    return select(session).where(version.c.partition_id == partition_id, version.c.kind == "turn").distinct()


def _delete_in(connection: Connection, table: Table, column: object, partition_id: int, ids: Sequence[str]) -> int:
    deleted = 0
    for part in reading.in_parts(ids):
        condition = column.in_(part)  # type: ignore[attr-defined]
        deleted += connection.execute(delete(table).where(table.c.partition_id == partition_id, condition)).rowcount
    return deleted


def _delete_some(connection: Connection, table: Table, partition_id: int) -> int:
    """Delete up to ``BATCH`` of the partition's rows; how many."""
    row = "rowid" if connection.dialect.name == "sqlite" else "ctid"
    chosen = f"SELECT {row} FROM {table.name} WHERE partition_id = :at LIMIT {BATCH}"  # noqa: S608 - our own names
    statement = text(f"DELETE FROM {table.name} WHERE {row} IN ({chosen})")  # noqa: S608
    return connection.execute(statement, {"at": partition_id}).rowcount


def _note_file(connection: Connection) -> None:
    """Remember which file of PostgreSQL's still holds the bytes; VACUUM FULL writes another one."""
    if connection.dialect.name == "postgresql":
        settings.write(connection, ERASED_IN, _table_file(connection))


def file_holds_traces(connection: Connection) -> bool:
    """Whether PostgreSQL still uses the file that held what was erased last."""
    return settings.read(connection, ERASED_IN) == _table_file(connection)


def copies(connection: Connection, content: str) -> int:
    """How often rows of anybody hold the words, alone or among others."""
    occurrences = [
        (func.length(column) - func.length(func.replace(column, content, ""))) / len(content) for column in _WORDY
    ]
    counted = [func.coalesce(func.sum(each), 0) for each in occurrences]
    return sum(int(count) for count in connection.execute(select(*counted)).one()) if content else 0


_WORDY: Final = (version.c.content, version.c.metadata, version.c.idempotency_key, version.c.speaker, version.c.fact)


def _table_file(connection: Connection) -> bytes:
    """The number of the file that holds the versions, on PostgreSQL."""
    number = connection.execute(text("SELECT pg_relation_filenode('agentmem_version')")).scalar_one()
    return str(number).encode("ascii")


def _by_partition(places: Mapping[str, int]) -> list[tuple[int, list[str]]]:
    grouped: defaultdict[int, list[str]] = defaultdict(list)
    for id, partition_id in places.items():
        grouped[partition_id].append(id)
    # In one order everywhere: two forgets must not wait for each other crosswise.
    return sorted(grouped.items())
