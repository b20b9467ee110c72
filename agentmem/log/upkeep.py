"""Reads and writes over all partitions, for jobs, counts and checks. None of it reaches a caller's answer."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Float, and_, bindparam, delete, exists, func, insert, or_, select, text, update

from agentmem.clock import Clock, to_micros
from agentmem.interfaces import Embedded, Generation, Head, Outlived, Use
from agentmem.log import holds, reading, tasks, writing
from agentmem.log.engine import Database
from agentmem.log.rows import MEMORY_COLUMNS, Row, load_fact, memory_of
from agentmem.log.schema import cursor, generation, lineage, partition, task, version
from agentmem.log.scoping import STANDS
from agentmem.records import Finding, Memory

SAFE_SQLITE: Final = (3, 51, 3)
"""The first SQLite without the bug that lets a checkpoint beside a writer corrupt the file."""

_current: Final = version.c.closed_seq.is_(None)
# Usually none are doomed: this asks nothing of each row.
_stands: Final = version.c.partition_id.not_in(select(partition.c.id).where(~STANDS))


# --- vectors and cursors --------------------------------------------------------------------------


_NEWEST: Final = select(generation).order_by(generation.c.number.desc()).limit(1)
"""Made once: every question asks it."""


def current_generation(connection: Connection) -> Generation | None:
    row = connection.execute(_NEWEST).first()
    return Generation(row.number, row.fingerprint, row.dimensions, row.embedder) if row else None


def start_generation(
    connection: Connection, fingerprint: str, dimensions: int, embedder: str, *, clock: Clock
) -> Generation:
    """The current generation if it has this fingerprint, else a new one."""
    if connection.dialect.name == "postgresql":
        # Two processes that open a new database at once must not both number a generation.
        connection.execute(text("LOCK TABLE agentmem_generation IN EXCLUSIVE MODE"))
    now = current_generation(connection)
    if now is not None and now.fingerprint == fingerprint:
        return now
    number = now.number + 1 if now else 1
    values = {
        "number": number,
        "fingerprint": fingerprint,
        "dimensions": dimensions,
        "embedder": embedder,
        "started_at": to_micros(clock()),
    }
    connection.execute(insert(generation), values)
    return Generation(number, fingerprint, dimensions, embedder)


def all_heads(connection: Connection) -> list[Head]:
    columns = (partition.c.id, partition.c.tenant, partition.c.user_id, partition.c.agent_id, partition.c.head)
    found = connection.execute(select(*columns).where(STANDS).order_by(partition.c.id))
    return [Head(row[0], row[1], row[2] or None, row[3] or None, row[4]) for row in found]


def without_vector(
    connection: Connection, partition_id: int, number: int, *, after: int, limit: int
) -> list[tuple[int, Memory]]:
    """(row, memory) of current rows that the generation has not embedded, ascending by row."""
    statement = (
        select(version.c.seq, *MEMORY_COLUMNS)
        .join(partition, version.c.partition_id == partition.c.id)
        .where(
            STANDS,
            version.c.partition_id == partition_id,
            version.c.seq > after,
            _current,
            or_(version.c.generation.is_(None), version.c.generation != number),
        )
        .order_by(version.c.seq)
        .limit(limit)
    )
    return [(row["seq"], memory_of(row)) for row in connection.execute(statement).mappings()]


def put_vectors(connection: Connection, number: int, embedded: Sequence[Embedded]) -> None:
    """Keep vectors that came later, if the generation is still the current one and the row is."""
    by_partition: defaultdict[int, list[Embedded]] = defaultdict(list)
    for each in embedded:
        by_partition[each.partition].append(each)
    for partition_id, group in sorted(by_partition.items()):
        ticket = writing.take_next(connection, partition_id)
        if ticket is None:
            continue  # forgotten as a whole
        if ticket.generation != number:
            return
        connection.execute(
            _put_statement,
            [
                {
                    "at": each.partition,
                    "row": each.row,
                    "put_generation": number,
                    "put_vector": each.vector,
                    "put_seq": ticket.first_seq,
                }
                for each in group
            ],
        )


_put_statement: Final = (
    update(version)
    .where(version.c.partition_id == bindparam("at"), version.c.seq == bindparam("row"), _current)
    .values(
        generation=bindparam("put_generation"),
        vector=bindparam("put_vector"),
        vector_seq=bindparam("put_seq"),
    )
)


def note_uses(connection: Connection, uses: Sequence[Use]) -> None:
    """Add accesses and outcomes to current memories, in place; nothing happens to those that are gone."""
    by_partition: defaultdict[int, list[Use]] = defaultdict(list)
    for each in uses:
        by_partition[each.partition].append(each)
    for partition_id, group in sorted(by_partition.items()):
        ticket = writing.take_next(connection, partition_id)
        if ticket is None:
            continue  # forgotten as a whole
        connection.execute(
            _use_statement,
            [
                {
                    "at": partition_id,
                    "used_id": use.id,
                    "more": use.accesses,
                    "said": use.outcome,
                    "put_seq": ticket.first_seq,
                }
                for use in group
            ],
        )


_OUTCOME_SHARE: Final = 1 / 3
"""How far one outcome moves the kept one towards itself."""

_use_statement: Final = (
    update(version)
    .where(version.c.partition_id == bindparam("at"), version.c.id == bindparam("used_id"), _current)
    .values(
        accesses=version.c.accesses + bindparam("more"),
        outcome=version.c.outcome
        + (func.coalesce(bindparam("said", type_=Float), version.c.outcome) - version.c.outcome) * _OUTCOME_SHARE,
        used_seq=bindparam("put_seq"),
    )
)


def read_cursor(connection: Connection, index: str, number: int, partition_id: int) -> int:
    return connection.execute(select(cursor.c.applied_seq).where(_is_cursor(index, number, partition_id))).scalar() or 0


def move_cursor(connection: Connection, index: str, number: int, partition_id: int, seq: int) -> None:
    """Set the cursor; nothing happens for a partition that was forgotten meanwhile."""
    if connection.execute(select(partition.c.id).where(partition.c.id == partition_id)).first() is None:
        return
    values = {"index_name": index, "generation": number, "partition_id": partition_id, "applied_seq": seq}
    moved = connection.execute(update(cursor).where(_is_cursor(index, number, partition_id)).values(applied_seq=seq))
    if not moved.rowcount:
        connection.execute(insert(cursor), values)


def _is_cursor(index: str, number: int, partition_id: int) -> Any:
    return and_(cursor.c.index_name == index, cursor.c.generation == number, cursor.c.partition_id == partition_id)


def overdue(
    connection: Connection, partition_id: int, *, at: datetime, outlived: Sequence[Outlived], limit: int
) -> list[str]:
    """Ids of memories of the partition that had expired then, retired ones too; none while a hold covers it."""
    columns = select(version.c.id).select_from(version.join(partition, version.c.partition_id == partition.c.id))
    of_this = columns.where(version.c.partition_id == partition_id, STANDS, ~holds.is_held(), reading.is_last)
    # Apart, because only one of the two has an index.
    expired = of_this.where(version.c.expires_at <= to_micros(at)).order_by(version.c.seq).limit(limit)
    found = list(connection.execute(expired).scalars())
    if outlived and len(found) < limit:
        rest = of_this.where(reading.has_outlived(outlived)).order_by(version.c.seq).limit(limit)
        found += [id for id in connection.execute(rest).scalars() if id not in set(found)]
    return found[:limit]


# --- counts and checks ----------------------------------------------------------------------------


def counts(connection: Connection) -> dict[str, Any]:
    """Numbers over the whole log."""
    now = current_generation(connection)
    number = now.number if now else 0
    by_kind = connection.execute(select(version.c.kind, func.count()).where(_stands, _current).group_by(version.c.kind))
    embedded = and_(_current, version.c.generation == number)

    def count(*conditions: Any) -> int:
        return connection.execute(select(func.count()).select_from(version).where(_stands, *conditions)).scalar_one()

    current = count(_current)
    return {
        "memories": {row[0]: row[1] for row in by_kind},
        "versions": count(),
        "partitions": connection.execute(select(func.count()).select_from(partition).where(STANDS)).scalar_one(),
        "vectors": count(embedded, version.c.vector.is_not(None)),
        "waiting": current - count(embedded),
    }


def check(database: Database, *, deep: bool) -> list[Finding]:
    """What ``verify`` reports of the log."""
    findings = _settings(database)
    with database.reading() as connection:
        if database.is_sqlite:
            findings.append(_integrity(connection, deep=deep))
        findings += [_heads(connection), _versions(connection), _lineage(connection), _facts(connection)]
        if deep:
            findings.append(_hashes(connection))
    return findings


def repair(connection: Connection) -> list[str]:
    """Mend what the checks found and what loses nothing to mend."""
    mended: list[str] = []
    highest = select(func.max(version.c.seq)).where(version.c.partition_id == partition.c.id).scalar_subquery()
    lagging = connection.execute(update(partition).where(partition.c.head < highest).values(head=highest)).rowcount
    if lagging:
        mended.append(f"{lagging} heads moved up to their last row")
    orphans = connection.execute(delete(lineage).where(~_derived_exists())).rowcount
    if orphans:
        mended.append(f"{orphans} lineage rows of memories that are gone removed")
    adrift = _adrift(connection)
    for partition_id, key in sorted(adrift):
        tasks.leave_settling(connection, partition_id, [key])
    if adrift:
        mended.append(f"{len(adrift)} facts' keys left to be settled again")
    return mended


def sources_gone(connection: Connection) -> list[tuple[Row, str]]:
    """(owner, id) of what something was derived from that is not, or no longer, in its partition."""
    is_there = exists().where(version.c.partition_id == lineage.c.partition_id, version.c.id == lineage.c.source_id)
    statement = (
        select(partition.c.tenant, partition.c.user_id, partition.c.agent_id, lineage.c.source_id)
        .join(partition, lineage.c.partition_id == partition.c.id)
        .where(STANDS, ~is_there)
    )
    return [(dict(row), row["source_id"]) for row in connection.execute(statement).mappings()]


def _settings(database: Database) -> list[Finding]:
    found = database.settings()
    if not database.is_sqlite:
        safe = found["synchronous_commit"] != "off" and found["fsync"] == "on"
        detail = ", ".join(f"{name}={value}" for name, value in found.items())
        return [Finding("durability", safe, detail, "" if safe else "Set fsync=on and synchronous_commit=on.")]
    expected = {"synchronous": "2", "secure_delete": "1", "foreign_keys": "1"}
    if database.path is not None:
        expected["journal_mode"] = "wal"
    wrong = {name: found[name] for name, value in expected.items() if found[name] != value}
    detail = ", ".join(f"{name}={found[name]}" for name in sorted(expected))
    safe_version = sqlite3.sqlite_version_info >= SAFE_SQLITE
    return [
        Finding("durability", not wrong, detail, f"Expected {expected}." if wrong else ""),
        # Writers and checkpoints take turns here, so an old SQLite is worth a word and not a failure.
        Finding(
            "sqlite version",
            True,
            f"{sqlite3.sqlite_version}" + ("" if safe_version else ": has the WAL-reset bug; agentmem works around it"),
            "" if safe_version else "Let no other program write to the file, or use a Python with SQLite 3.51.3.",
        ),
    ]


def _integrity(connection: Connection, *, deep: bool) -> Finding:
    said = connection.execute(text("PRAGMA integrity_check" if deep else "PRAGMA quick_check")).scalars().all()
    ok = said == ["ok"]
    return Finding("file", ok, "; ".join(said[:3]), "" if ok else "Restore it from a backup.")


def _heads(connection: Connection) -> Finding:
    highest = select(func.max(version.c.seq)).where(version.c.partition_id == partition.c.id).scalar_subquery()
    behind = connection.execute(select(func.count()).select_from(partition).where(partition.c.head < highest)).scalar()
    return Finding("heads", not behind, f"{behind} behind their last row", "agentmem doctor --fix" if behind else "")


def _versions(connection: Connection) -> Finding:
    doubled = (
        select(version.c.id)
        .where(_current)
        .group_by(version.c.partition_id, version.c.id)
        .having(func.count() > 1)
        .subquery()
    )
    count = connection.execute(select(func.count()).select_from(doubled)).scalar()
    return Finding("versions", not count, f"{count} memories with two current versions")


def _lineage(connection: Connection) -> Finding:
    orphans = connection.execute(select(func.count()).select_from(lineage).where(~_derived_exists())).scalar()
    remedy = "agentmem doctor --fix" if orphans else ""
    return Finding("lineage", not orphans, f"{orphans} rows of memories that are gone", remedy)


def _facts(connection: Connection) -> Finding:
    waiting = connection.execute(select(func.count()).select_from(task).where(task.c.job == tasks.SETTLE)).scalar_one()
    adrift = len(_adrift(connection))
    detail = f"{waiting} keys wait to be settled, {adrift} name a fact that is not there"
    return Finding("facts", not adrift, detail, "agentmem doctor --fix" if adrift else "")


def _adrift(connection: Connection) -> set[tuple[int, bytes]]:
    """Partition and key of current facts that were settled by one which is gone, and are left as they were."""
    columns = (version.c.partition_id, version.c.id, version.c.fact_key, version.c.fact)
    rows = connection.execute(select(*columns).where(_stands, _current, version.c.fact_key.is_not(None))).all()
    there = {(row.partition_id, row.id) for row in rows}
    waiting = {
        (row.partition_id, bytes.fromhex(row.key))
        for row in connection.execute(select(task).where(task.c.job == tasks.SETTLE))
    }
    found = set()
    for row in rows:
        fact = load_fact(row.fact)
        if any(id and (row.partition_id, id) not in there for id in (fact.superseded_by, fact.restates)):
            found.add((row.partition_id, bytes(row.fact_key)))
    return found - waiting


def _derived_exists() -> Any:
    return exists().where(version.c.partition_id == lineage.c.partition_id, version.c.id == lineage.c.derived_id)


def _hashes(connection: Connection) -> Finding:
    statement = select(version.c.id, version.c.content, version.c.content_hash).execution_options(yield_per=1_000)
    corrupt = [
        row.id
        for row in connection.execute(statement)
        if hashlib.blake2b(row.content.encode("utf-8", "surrogatepass"), digest_size=16).digest() != row.content_hash
    ]
    detail = f"{len(corrupt)} rows whose content does not match" + (f": {', '.join(corrupt[:5])}" if corrupt else "")
    return Finding("content hashes", not corrupt, detail, "Restore them from a backup." if corrupt else "")
