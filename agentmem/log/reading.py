"""Reads: every SELECT that returns memories, each with its scope."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    literal,
    null,
    or_,
    select,
    true,
    tuple_,
    union,
)

from agentmem.clock import to_micros
from agentmem.errors import ScopeError, unknown_memory
from agentmem.interfaces import Head, IndexBatch, IndexQuery, IndexRow, LogQuery, Outlived
from agentmem.log.rows import INDEX_COLUMNS, MEMORY_COLUMNS, Row, memory_of
from agentmem.log.schema import erasure, generation, lineage, partition, version
from agentmem.log.scoping import Reader, parameters, reader, visible, writable
from agentmem.records import Memory, Scope

_PARAMETERS_AT_ONCE: Final = 5_000
"""Values of one IN list; SQLite takes 32,766 parameters in a statement."""

T = TypeVar("T")

_current: Final = version.c.closed_seq.is_(None)
_newer: Final = version.alias("newer")
_is_followed: Final = and_(
    _newer.c.partition_id == version.c.partition_id,
    _newer.c.id == version.c.id,
    _newer.c.version > version.c.version,
)
_alike: Final = version.alias("alike")
is_last: Final = ~exists().where(_is_followed)
_joined: Final = version.join(partition, version.c.partition_id == partition.c.id)


# --- for callers ----------------------------------------------------------------------------------


def heads(connection: Connection, scope: Scope) -> list[Head]:
    """The partitions that the scope reads."""
    found = connection.execute(_heads_statement(reader(scope)), parameters(scope))
    return [Head(row[0], row[1], row[2] or None, row[3] or None, row[4]) for row in found]


def read(connection: Connection, query: LogQuery) -> list[Memory]:
    """The memories that match, in the order stored."""
    if query.ids is not None and len(query.ids) > _PARAMETERS_AT_ONCE:
        found = [each for part in in_parts(query.ids) for each in _select(connection, query, version.c.id.in_(part))]
        return sorted(found, key=lambda memory: memory.position)[: query.limit]
    if query.rows is not None:
        return _read_rows(connection, query, query.rows)
    return _select(connection, query, version.c.id.in_(query.ids) if query.ids is not None else None)


def history(connection: Connection, scope: Scope, id: str) -> list[Memory]:
    """Every version, oldest first."""
    statement = (
        select(*MEMORY_COLUMNS)
        .select_from(_joined)
        .where(visible(reader(scope)), version.c.id == id)
        .order_by(version.c.partition_id, version.c.version)
    )
    found = [memory_of(row) for row in connection.execute(statement, parameters(scope)).mappings()]
    if not found:
        raise unknown_memory(id)
    return found


def partitions_of(connection: Connection, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
    """The partition of each id that the scope reads."""
    statement = _place_statement(reader(scope), may_write=False, retired=False)
    found: dict[str, int] = {}
    for part in in_parts(ids):
        found |= {row[0]: row[1] for row in connection.execute(statement, {**parameters(scope), "ids": part})}
    return found


def changes(connection: Connection, scope: Scope, start: datetime, end: datetime) -> list[Memory]:
    """Every version that was recorded or closed in [start, end), in the order stored."""
    first, last = to_micros(start), to_micros(end)
    recorded, closed = version.c.recorded_from, version.c.recorded_to
    statement = (
        select(*MEMORY_COLUMNS)
        .select_from(_joined)
        .where(
            visible(reader(scope)),
            or_(and_(recorded >= first, recorded < last), and_(closed >= first, closed < last)),
        )
        .order_by(version.c.partition_id, version.c.position, version.c.version)
    )
    return [memory_of(row) for row in connection.execute(statement, parameters(scope)).mappings()]


def index_rows(connection: Connection, query: IndexQuery) -> IndexBatch:
    """What an index of the partition lacks."""
    seq = connection.execute(
        _head_statement(reader(query.scope)), {**parameters(query.scope), "at": query.partition}
    ).scalar()
    if seq is None:
        raise ScopeError(f"{query.scope} does not read partition {query.partition}.")
    at = {"at": query.partition, "after": query.after}
    if query.known_at is not None:
        rows = connection.execute(_snapshot_statement(query), {**parameters(query.scope), "at": query.partition})
        return IndexBatch(seq, list(map(IndexRow._make, rows.all())))
    rows = connection.execute(_rows_statement(query.vectors), at)
    batch = list(map(IndexRow._make, rows.all()))
    if query.after == 0:
        return IndexBatch(seq, batch)
    gone = [row[0] for row in connection.execute(_gone_statement, at)]
    late = connection.execute(_late_vectors_statement, at) if query.vectors else ()
    vectors = {row: (number, vector) for row, number, vector in late if vector is not None}
    uses = {row: (accesses, outcome) for row, accesses, outcome in connection.execute(_uses_statement, at)}
    return IndexBatch(seq, batch, gone, vectors, uses)


def vectors(connection: Connection, scope: Scope, rows: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
    """The current generation's vectors of these (partition, row) pairs, where there are any."""
    found: dict[tuple[int, int], bytes] = {}
    for partition_id, numbers in _by_partition(rows):
        values = {**parameters(scope), "at": partition_id, "numbers": numbers}
        found |= {
            (partition_id, seq): blob for seq, blob in connection.execute(_vectors_statement(reader(scope)), values)
        }
    return found


# --- for the writes of the same transaction -------------------------------------------------------


def writable_partition(connection: Connection, scope: Scope, id: str) -> int:
    """Where the current version of the id lies.

    Raises:
        MemoryNotFound: unknown, foreign or retired.
        ScopeError: this scope sees it but may not change it.
    """
    return writable_partitions(connection, scope, [id])[id]


def writable_partitions(
    connection: Connection, scope: Scope, ids: Iterable[str], *, retired: bool = False
) -> dict[str, int]:
    """``writable_partition`` of many ids at once; ``retired`` finds what was retired too."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, int] = {}
    for part in in_parts(wanted):
        statement = _place_statement(reader(scope), may_write=True, retired=retired)
        places = connection.execute(statement, {**parameters(scope), "ids": part})
        found |= {row[0]: row[1] for row in places}
    missing = [id for id in wanted if id not in found]
    if missing:
        # What is retired is not visible to anybody.
        statement = _place_statement(reader(scope), may_write=False, retired=False)
        seen = connection.execute(statement, {**parameters(scope), "ids": missing[:_PARAMETERS_AT_ONCE]}).first()
        if seen is not None:
            raise ScopeError(
                f"Memory {seen[0]} is visible to this scope but not its to change: it belongs to another layer.",
                hint="Use the scope of its owner (memory.scope): the user alone, or the agent alone.",
            )
        raise unknown_memory(missing[0])
    return found


def current_row(connection: Connection, partition_id: int, id: str) -> Row:
    """The whole row of a current version, in a partition that the caller has checked."""
    statement = select(version).where(version.c.partition_id == partition_id, version.c.id == id, _current)
    row = connection.execute(statement).mappings().first()
    if row is None:
        raise unknown_memory(id)
    return _plain(row)


def versions_of(connection: Connection, partition_id: int, id: str) -> list[Row]:
    """The whole rows of every version, oldest first, in a partition that the caller has checked."""
    statement = select(version).where(version.c.partition_id == partition_id, version.c.id == id)
    return [_plain(row) for row in connection.execute(statement.order_by(version.c.version)).mappings()]


def whole_rows(connection: Connection, partition_id: int, numbers: Sequence[int]) -> dict[int, Row]:
    """Row number to the whole row."""
    statement = select(version).where(_at, _numbers)
    found: dict[int, Row] = {}
    for part in in_parts(numbers):
        rows = connection.execute(statement, {"at": partition_id, "numbers": part}).mappings()
        found |= {row["seq"]: _plain(row) for row in rows}
    return found


def facts_of(connection: Connection, partition_id: int, key: bytes) -> list[Row]:
    """The current facts of one key, in the order stored: a memory's columns and ``stated_to``."""
    statement = (
        select(*MEMORY_COLUMNS, version.c.stated_to)
        .select_from(_joined)
        .where(version.c.partition_id == partition_id, version.c.fact_key == key, _current)
    )
    # Sorted here: for an ORDER BY SQLite goes through the whole partition by its positions.
    return sorted(map(_plain, connection.execute(statement).mappings()), key=lambda row: row["position"])


def fact_versions(connection: Connection, partition_id: int, keys: Sequence[bytes]) -> list[Row]:
    """Every version of the facts of these keys: a memory's columns and what the log notes of it, by id and number."""
    statement = (
        select(*MEMORY_COLUMNS, version.c.fact_key, version.c.stated_to, version.c.closed_seq)
        .select_from(_joined)
        .where(version.c.partition_id == partition_id, version.c.fact_key.in_(keys))
    )
    # Sorted here, as above.
    return sorted(map(_plain, connection.execute(statement).mappings()), key=lambda row: (row["id"], row["version"]))


def derived_rows(connection: Connection, partitions: Sequence[int], sources: Sequence[str]) -> list[Row]:
    """The whole row of the last version of what was derived from the sources, in partitions the caller has checked."""
    statement = (
        select(version)
        .join(
            lineage,
            and_(lineage.c.partition_id == version.c.partition_id, lineage.c.derived_id == version.c.id),
        )
        .where(version.c.partition_id.in_(partitions), is_last)
        .order_by(version.c.partition_id, version.c.seq)
    )
    return [
        _plain(row)
        for part in in_parts(sources)
        for row in connection.execute(statement.where(lineage.c.source_id.in_(part))).mappings()
    ]


def partitions_of_subject(connection: Connection, scope: Scope) -> list[int]:
    """Every partition of the scope's user, whatever the agent; or the agent's own layer."""
    condition = writable("user" if scope.user is not None else "agent")
    statement = select(partition.c.id).where(condition).order_by(partition.c.id)
    return list(connection.execute(statement, parameters(scope)).scalars())


def rows_by_key(connection: Connection, partition_id: int, keys: Sequence[str]) -> dict[str, Row]:
    """Key to the current (or last) row of the memory it made, with the first version's content hash."""
    found: dict[str, Row] = {}
    for part in in_parts(keys):
        at = {"at": partition_id, "keys": part}
        # Nearly every key is new, and to see that takes a tenth of the time.
        if connection.execute(_MADE_BY_KEY, at).first() is not None:
            for row in connection.execute(_ROWS_BY_KEY, at).mappings():
                found[row["idempotency_key"]] = _plain(row)
    return found


_FIRST: Final = version.alias()
_WITH_KEY: Final = and_(
    _FIRST.c.partition_id == bindparam("at"),
    _FIRST.c.version == 1,
    _FIRST.c.idempotency_key.in_(bindparam("keys", expanding=True)),
)
_MADE_BY_KEY: Final = select(_FIRST.c.seq).where(_WITH_KEY).limit(1)
_ROWS_BY_KEY: Final = (
    select(version, _FIRST.c.content_hash.label("first_hash"))
    .join(_FIRST, and_(_FIRST.c.partition_id == version.c.partition_id, _FIRST.c.id == version.c.id))
    .where(_WITH_KEY)
    .order_by(version.c.version)
)


def existing_ids(connection: Connection, scope: Scope, ids: Sequence[str]) -> set[str]:
    """Those of the ids that the scope's user (or else its agent) has anywhere, retired ones too."""
    # Of every agent of the user: a forget by the user's scope must find one memory, and all of it.
    owner = replace(scope, agent=None) if scope.user is not None else scope
    found: set[str] = set()
    for part in in_parts(ids):
        statement = _place_statement(reader(owner), may_write=True, retired=True)
        found.update(connection.execute(statement, {**parameters(owner), "ids": part}).scalars())
    return found


def document_rows(connection: Connection, partition_id: int, name: str) -> list[Row]:
    """The current chunks of a document, in the order stored."""
    statement = (
        select(version)
        .where(version.c.partition_id == partition_id, version.c.source_name == name, _current)
        .order_by(version.c.position)
    )
    return [_plain(row) for row in connection.execute(statement).mappings()]


def owner(connection: Connection, partition_id: int) -> Row:
    """tenant, user_id and agent_id of a partition."""
    statement = select(partition.c.tenant, partition.c.user_id, partition.c.agent_id).where(
        partition.c.id == partition_id
    )
    return _plain(connection.execute(statement).mappings().one())


def in_parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """The values in runs that one statement's IN list can take."""
    return (values[start : start + _PARAMETERS_AT_ONCE] for start in range(0, len(values), _PARAMETERS_AT_ONCE))


def greatest(connection: Connection, value: int, column: ColumnElement[int]) -> ColumnElement[int]:
    """The larger of a value and a column, which the two databases call differently."""
    name = "max" if connection.dialect.name == "sqlite" else "greatest"
    return getattr(func, name)(literal(value), column)  # type: ignore[no-any-return]


# --- statements, built once -----------------------------------------------------------------------

_at: Final = version.c.partition_id == bindparam("at")
_after: Final = version.c.seq > bindparam("after")
_numbers: Final = version.c.seq.in_(bindparam("numbers", expanding=True))


@cache
def _heads_statement(reader: Reader) -> Select[Any]:
    columns = (partition.c.id, partition.c.tenant, partition.c.user_id, partition.c.agent_id, partition.c.head)
    return select(*columns).where(visible(reader)).order_by(partition.c.id)


@cache
def _head_statement(reader: Reader) -> Select[Any]:
    return select(partition.c.head).where(visible(reader), partition.c.id == bindparam("at"))


@cache
def _rows_statement(vectors: bool) -> Select[Any]:
    vector = version.c.vector if vectors else null()
    return select(*INDEX_COLUMNS, vector).where(_at, _after, _current).order_by(version.c.seq)


def _snapshot_statement(query: IndexQuery) -> Select[Any]:
    assert query.known_at is not None
    columns: dict[str, ColumnElement[Any]] = dict(
        zip(IndexRow._fields, (*INDEX_COLUMNS, version.c.vector if query.vectors else null()), strict=True)
    )
    if query.unexpired_at is not None:
        at, expires_at = to_micros(query.unexpired_at), version.c.expires_at
        expired = ~_is_unexpired(reader(query.scope), query.unexpired_at, query.outlived)
        # An end that was taken back since is none either.
        columns["expires_at"] = case((expired, at), (expires_at > at, expires_at), else_=null())
    return (
        select(*columns.values())
        .select_from(_joined)
        .where(_at, *_was_held(to_micros(query.known_at)))
        .order_by(version.c.seq)
    )


_gone_statement: Final = (
    select(version.c.seq)
    .where(_at, version.c.closed_seq > bindparam("after"))
    .union_all(
        select(erasure.c.row).where(erasure.c.partition_id == bindparam("at"), erasure.c.seq > bindparam("after"))
    )
)
_late_vectors_statement: Final = select(version.c.seq, version.c.generation, version.c.vector).where(
    _at, version.c.vector_seq > bindparam("after"), version.c.seq <= bindparam("after"), _current
)
_uses_statement: Final = select(version.c.seq, version.c.accesses, version.c.outcome).where(
    _at, version.c.used_seq > bindparam("after"), version.c.seq <= bindparam("after"), _current
)


@cache
def _vectors_statement(reader: Reader) -> Select[Any]:
    of_this_generation = version.c.generation == select(func.max(generation.c.number)).scalar_subquery()
    conditions = (visible(reader), _at, _numbers, of_this_generation, version.c.vector.is_not(None))
    return select(version.c.seq, version.c.vector).select_from(_joined).where(*conditions)


@cache
def _place_statement(reader: Reader, *, may_write: bool, retired: bool) -> Select[Any]:
    condition = writable(reader) if may_write else visible(reader)
    statement = (
        select(version.c.id, version.c.partition_id)
        .distinct()
        .select_from(_joined)
        .where(condition, version.c.id.in_(bindparam("ids", expanding=True)))
        .order_by(version.c.partition_id)
    )
    return statement if retired else statement.where(_current)


@cache
def _rows_by_number_statement(reader: Reader) -> Select[Any]:
    return select(*MEMORY_COLUMNS).select_from(_joined).where(visible(reader), _at, _numbers).order_by(version.c.seq)


def _read_rows(connection: Connection, query: LogQuery, rows: Sequence[tuple[int, int]]) -> list[Memory]:
    # By number whatever version it is: the caller's index knew it as current a moment ago.
    found: list[Memory] = []
    statement = _rows_by_number_statement(reader(query.scope))
    for partition_id, numbers in _by_partition(rows):
        values = {**parameters(query.scope), "at": partition_id, "numbers": numbers}
        found.extend(memory_of(row) for row in connection.execute(statement, values).mappings())
    return found


def _select(connection: Connection, query: LogQuery, narrowed: ColumnElement[bool] | None) -> list[Memory]:
    who = reader(query.scope)
    conditions = [writable(who) if query.writable else visible(who)]
    if narrowed is not None:
        conditions.append(narrowed)
    if query.kinds is not None:
        conditions.append(version.c.kind.in_(sorted(query.kinds)))
    if query.session is not None:
        conditions.append(version.c.session == query.session)
    if query.source is not None:
        conditions.append(version.c.source_name == query.source)
    if query.as_of is not None:
        as_of = to_micros(query.as_of)
        conditions += [
            version.c.valid_from <= as_of,
            or_(version.c.valid_to.is_(None), version.c.valid_to > as_of),
        ]
    conditions += _versions_held(query)
    if query.derived_from is not None:
        derived = select(lineage.c.derived_id).join(partition, lineage.c.partition_id == partition.c.id)
        # On its own, so that what was derived is looked up and not every memory asked what it came from.
        among = derived.where(visible(who), lineage.c.source_id.in_(query.derived_from)).correlate(None)
        conditions += [version.c.id.in_(among), _is_derived_from(query.derived_from)]
    if query.same_key is not None:
        keys = select(_alike.c.fact_key).where(_alike.c.partition_id.in_(_seen(who)), _alike.c.id.in_(query.same_key))
        conditions.append(version.c.fact_key.in_(keys))
    if query.outlived or (query.unexpired_at is not None and _has_ended(connection, query)):
        conditions.append(_is_unexpired(who, query.unexpired_at, query.outlived))
    if query.ended_at is not None:
        conditions.append(or_(version.c.valid_to.is_(None), version.c.valid_to > to_micros(query.ended_at)))
    if query.origin is not None:
        conditions.append(version.c.origin == query.origin)
    if query.after is not None:
        partition_id, position = query.after
        conditions.append(
            or_(
                version.c.partition_id > partition_id,
                and_(version.c.partition_id == partition_id, version.c.position > position),
            )
        )
    statement = (
        select(*MEMORY_COLUMNS)
        .select_from(_joined)
        .where(*conditions)
        .order_by(version.c.partition_id, version.c.position)
        .limit(query.limit)
    )
    return [memory_of(row) for row in connection.execute(statement, parameters(query.scope)).mappings()]


def _plain(row: RowMapping) -> Row:
    # RowMapping's keys are typed as columns or names; ours are names.
    return {str(name): value for name, value in row.items()}


def _is_derived_from(sources: Sequence[str]) -> ColumnElement[bool]:
    return exists().where(
        lineage.c.partition_id == version.c.partition_id,
        lineage.c.derived_id == version.c.id,
        lineage.c.source_id.in_(sources),
    )


def _versions_held(query: LogQuery) -> list[ColumnElement[bool]]:
    """The version of each memory that counts: the one that is current, or was; with ``retired`` the last one else."""
    if query.known_at is None:
        return [or_(_current, is_last) if query.retired else _current]
    known_at = to_micros(query.known_at)
    was_begun, was_open = _was_held(known_at)
    was_last = ~exists().where(_is_followed, _newer.c.recorded_from <= known_at)
    return [was_begun, or_(was_open, was_last) if query.retired else was_open]


def _was_held(known_at: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    recorded_to = version.c.recorded_to
    return version.c.recorded_from <= known_at, or_(recorded_to.is_(None), recorded_to > known_at)


def _seen(who: Reader) -> Select[Any]:
    """The numbers of the partitions that the reader sees."""
    return select(partition.c.id).where(visible(who)).correlate(None)


def _has_ended(connection: Connection, query: LogQuery) -> bool:
    """Whether anything in view had come to its end: usually nothing has, and there is nothing to leave out."""
    at = {**parameters(query.scope), "at": to_micros(query.unexpired_at)}
    return connection.execute(_ended_statement(reader(query.scope)), at).first() is not None


@cache
def _ended_statement(reader: Reader) -> Select[Any]:
    ended = version.c.expires_at <= bindparam("at")
    return select(version.c.seq).select_from(_joined).where(visible(reader), ended).limit(1)


def _is_unexpired(who: Reader, at: datetime | None, rules: Sequence[Outlived]) -> ColumnElement[bool]:
    """That a memory has not come to its end, nor anything that it was made from."""
    is_there = tuple_(version.c.partition_id, version.c.id).not_in(_gone(who, at, rules))
    # When something occurred never changes, so each row can be asked by itself.
    return and_(is_there, ~has_outlived(rules)) if rules else is_there


def _gone(who: Reader, at: datetime | None, rules: Sequence[Outlived]) -> Select[Any]:
    """Partition and id of what the reader sees and its last version lets expire, and of what was made from it."""
    place = select(version.c.partition_id, version.c.id).select_from(_joined).where(visible(who), is_last)
    made_of = select(lineage.c.source_id).where(lineage.c.partition_id.in_(_seen(who)))
    first = union(
        place.where(false() if at is None else version.c.expires_at <= to_micros(at)),
        *([place.where(version.c.id.in_(made_of), has_outlived(rules))] if rules else ()),
    ).subquery()
    gone = select(first.c.partition_id, first.c.id).cte("gone", recursive=True)
    made = select(lineage.c.partition_id, lineage.c.derived_id).join(gone, gone.c.id == lineage.c.source_id)
    gone = gone.union(made.where(lineage.c.partition_id.in_(_seen(who))))
    return select(gone.c.partition_id, gone.c.id)


def has_outlived(rules: Sequence[Outlived]) -> ColumnElement[bool]:
    """That the first rule which matches a memory lets it expire."""
    return case(*((_matches(rule), _occurred_before(rule.before)) for rule in rules), else_=false())


def _matches(rule: Outlived) -> ColumnElement[bool]:
    given = [
        column == value
        for column, value in (
            (partition.c.tenant, rule.tenant),
            (partition.c.user_id, rule.user),
            (partition.c.agent_id, rule.agent),
        )
        if value is not None
    ]
    if rule.kinds is not None:
        given.append(version.c.kind.in_(sorted(rule.kinds)))
    return and_(true(), *given)


def _occurred_before(moment: datetime | None) -> ColumnElement[bool]:
    return false() if moment is None else version.c.occurred_at < to_micros(moment)


def _by_partition(rows: Sequence[tuple[int, int]]) -> Iterator[tuple[int, Sequence[int]]]:
    grouped: dict[int, list[int]] = {}
    for partition_id, row in rows:
        grouped.setdefault(partition_id, []).append(row)
    for partition_id, numbers in grouped.items():
        for part in in_parts(numbers):
            yield partition_id, part
