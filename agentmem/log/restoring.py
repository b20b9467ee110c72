"""Bringing back: an old state as a new current version, and what was retired together with it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Connection

from agentmem.clock import Clock, to_micros
from agentmem.errors import InvalidInput, MemoryNotFound, unknown_memory
from agentmem.log import reading, tasks, writing
from agentmem.log.rows import Row, as_said, dump_fact, load_fact, memory_of, next_version, standing_like
from agentmem.records import Memory, Scope

WRITTEN_BY: Final = "restore"
_OF_THE_MEMORY: Final = frozenset(
    {
        *("partition_id", "seq", "id", "version", "position", "idempotency_key", "accesses", "outcome"),
        *("recorded_from", "recorded_to", "closed_seq", "vector_seq", "used_seq"),
    }
)
"""The columns that an old version does not bring back."""


def restore(
    connection: Connection, scope: Scope, id: str, *, version: int | None, reason: str | None, clock: Clock
) -> Memory:
    """A new current version like an old one; of a retired memory, with what was derived from it and retired with it."""
    place = reading.writable_partitions(connection, scope, [id], retired=True)[id]
    wanted = reading.partitions_of_subject(connection, scope)
    subject = [each for each in wanted if writing.take_next(connection, each, 0) is not None]
    if place not in subject:
        raise unknown_memory(id)
    # Behind the locks: from here on no other writer of the subject can come between.
    last, old = _last_and_wanted(reading.versions_of(connection, place, id), id, version)
    pairs = [(last, old), *((row, row) for row in _retired_with(connection, subject, last))]
    new = _write_versions(connection, pairs, {"written_by": WRITTEN_BY, "reason": reason}, now=to_micros(clock()))
    return memory_of({**new[place, id], **reading.owner(connection, place)})


def _last_and_wanted(versions: Sequence[Row], id: str, number: int | None) -> tuple[Row, Row]:
    if not versions:
        raise unknown_memory(id)
    last = versions[-1]
    wanted = last if number is None else next((row for row in versions if row["version"] == number), None)
    if wanted is None:
        raise MemoryNotFound(
            f"Memory {id} has no version {number}.", hint=f"It has 1 to {last['version']}; they are its history."
        )
    if wanted is last and last["closed_seq"] is None:
        raise InvalidInput(
            f"Nothing to restore: memory {id} is current as version {last['version']}.",
            hint="Name an older version; they are its history.",
        )
    return last, wanted


def _retired_with(connection: Connection, partitions: Sequence[int], retired: Row) -> list[Row]:
    """The last versions of what was derived from it, directly or not, and was closed by the same act."""
    if retired["closed_seq"] is None:
        return []
    found: dict[str, Row] = {}
    frontier = [retired["id"]]
    while frontier:
        derived = [
            row
            for row in reading.derived_rows(connection, partitions, frontier)
            if row["id"] not in found and _closed_together(row, retired)
        ]
        found |= {row["id"]: row for row in derived}
        frontier = [row["id"] for row in derived]
    found.pop(retired["id"], None)
    return list(found.values())


def _closed_together(row: Row, retired: Row) -> bool:
    if row["partition_id"] == retired["partition_id"]:
        return bool(row["closed_seq"] == retired["closed_seq"])
    # Every partition counts its own writes, so that only the moment is common to all of an act.
    return row["closed_seq"] is not None and row["recorded_to"] == retired["recorded_to"]


def _write_versions(
    connection: Connection, pairs: Sequence[tuple[Row, Row]], made: Row, *, now: int
) -> dict[tuple[int, str], Row]:
    """The new versions, by partition and id; of each pair the second is the state that comes back."""
    by_partition: defaultdict[int, list[tuple[Row, Row]]] = defaultdict(list)
    for last, old in pairs:
        by_partition[last["partition_id"]].append((last, old))
    written: dict[tuple[int, str], Row] = {}
    for partition_id, group in sorted(by_partition.items()):
        ticket = writing.take_next(connection, partition_id, len(group))
        assert ticket is not None, "its lock is held"
        current = [last["seq"] for last, _ in group if last["closed_seq"] is None]
        writing.close_versions(connection, partition_id, current, seq=ticket.first_seq, now=now)
        new = [
            next_version(last, seq=ticket.first_seq + place, now=now, changed={**_state_of(old, last), **made})
            for place, (last, old) in enumerate(group)
        ]
        writing.insert_next(connection, new)
        tasks.leave_settling(connection, partition_id, (row["fact_key"] for pair in group for row in pair))
        written |= {(partition_id, row["id"]): row for row in new}
    return written


def _state_of(old: Row, last: Row) -> Row:
    """The columns of the old version; a fact stands as it did last, as far as that can be, until it is settled."""
    state: dict[str, Any] = {name: value for name, value in old.items() if name not in _OF_THE_MEMORY}
    state |= {"valid_to": old["stated_to"], "restates": None}
    if old["fact_key"] is None:
        return state
    fact = as_said(load_fact(old["fact"]))
    if old["fact_key"] == last["fact_key"]:
        fact = standing_like(fact, load_fact(last["fact"]))
        state["restates"] = fact.restates
        if old["stated_to"] == last["stated_to"]:
            state["valid_to"] = last["valid_to"]
    return {**state, "fact": dump_fact(fact)}
