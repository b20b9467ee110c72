"""Facts that may supersede each other, brought to where a pure function says they stand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, update

from agentmem.clock import Clock, from_micros, to_micros
from agentmem.errors import AgentMemError
from agentmem.interfaces import Settle, Standing, Task
from agentmem.log import reading, tasks, writing
from agentmem.log.rows import Row, as_said, dump_fact, load_fact, memory_of, next_version
from agentmem.log.schema import version
from agentmem.records import Memory

WRITTEN_BY: Final = "supersession"


class UndecidedError(AgentMemError):
    """It could not be said how the facts of a key stand; the original error is ``__cause__``."""


class _Fact(NamedTuple):
    """A current fact: how it stands, and how it shall."""

    row: Row
    now: Standing
    then: Standing

    @property
    def needs_a_version(self) -> bool:
        return self.now != replace(self.then, times=self.now.times)

    def settled(self) -> dict[str, Any]:
        """The columns that settling decides."""
        fact = replace(
            load_fact(self.row["fact"]),
            superseded_by=self.then.superseded_by,
            restates=self.then.restates,
            times=self.then.times,
        )
        return {"valid_to": to_micros(self.then.valid_to), "restates": fact.restates, "fact": dump_fact(fact)}


def settle_key(connection: Connection, task: Task, decide: Settle, *, clock: Clock) -> bool:
    """Settle one key and finish its task; False if there is nothing to do any more.

    Raises:
        UndecidedError: ``decide`` raised, or a fact's content does not match its hash.
    """
    # Looked for behind the lock: of two that settle the same key, the second finds no task left.
    if writing.take_next(connection, task.partition, 0) is None or not tasks.finish(connection, task):
        return False
    rows = reading.facts_of(connection, task.partition, bytes.fromhex(task.key))
    standings = decided(task, decide, [said_by(row, task) for row in rows])
    facts = [_Fact(row, standing_of(row), standings[row["id"]]) for row in rows]
    changed = [fact for fact in facts if fact.now != fact.then]
    if changed:
        ticket = writing.take_next(connection, task.partition, len(changed))
        assert ticket is not None, "its lock is held"
        _write_versions(connection, ticket, [fact for fact in changed if fact.needs_a_version], clock=clock)
        _count_anew(connection, ticket, [fact for fact in changed if not fact.needs_a_version])
    return True


def decided(task: Task, decide: Settle, said: Sequence[Memory]) -> dict[str, Standing]:
    """How each of the facts stands; one that ``decide`` leaves out stands as it was said.

    Raises:
        UndecidedError: ``decide`` raised.
    """
    try:
        standings = decide(said)
    # Somebody's own code: whatever it is, it must not hold up the other keys.
    except Exception as error:
        raise UndecidedError(_undecided(task)) from error
    return {memory.id: standings.get(memory.id, Standing(memory.valid_to)) for memory in said}


def said_by(row: Row, task: Task) -> Memory:
    """The memory of a fact's row without what settling worked out.

    Raises:
        UndecidedError: the content does not match its hash.
    """
    try:
        return memory_of({**row, "valid_to": row["stated_to"], "fact": dump_fact(as_said(load_fact(row["fact"])))})
    # A row that was tampered with may be anything.
    except Exception as error:
        raise UndecidedError(_undecided(task)) from error


def standing_of(row: Row) -> Standing:
    """How the row says that its fact stands."""
    fact = load_fact(row["fact"])
    return Standing(from_micros(row["valid_to"]), fact.superseded_by, fact.restates, fact.times)


def _undecided(task: Task) -> str:
    return f"The facts of partition {task.partition}, key {task.key} cannot be settled."


def _write_versions(connection: Connection, ticket: writing.Ticket, facts: Sequence[_Fact], *, clock: Clock) -> None:
    if not facts:
        return
    old = reading.whole_rows(connection, ticket.partition_id, [fact.row["seq"] for fact in facts])
    now = to_micros(clock())
    made = {"written_by": WRITTEN_BY, "reason": None}
    new = [
        next_version(old[fact.row["seq"]], seq=ticket.first_seq + place, now=now, changed={**fact.settled(), **made})
        for place, fact in enumerate(facts)
    ]
    writing.close_versions(connection, ticket.partition_id, list(old), seq=ticket.first_seq, now=now)
    writing.insert_next(connection, new)


def _count_anew(connection: Connection, ticket: writing.Ticket, facts: Sequence[_Fact]) -> None:
    """How often something was said changes in place: it is no news about the world."""
    if facts:
        connection.execute(
            _count_statement,
            [
                {
                    "at": ticket.partition_id,
                    "row": fact.row["seq"],
                    "counted": fact.settled()["fact"],
                    "counted_seq": ticket.first_seq,
                }
                for fact in facts
            ],
        )


_count_statement: Final = (
    update(version)
    .where(version.c.partition_id == bindparam("at"), version.c.seq == bindparam("row"))
    .values(fact=bindparam("counted"), used_seq=bindparam("counted_seq"))
)
