"""Work that a write leaves behind, kept in the write's own transaction: a crash in between loses none of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from sqlalchemy import Connection, delete, select, text

from agentmem.interfaces import Task
from agentmem.log.schema import partition, task
from agentmem.log.scoping import STANDS

SETTLE: Final = "settle"
"""The key is ``fact_key`` in hexadecimal: facts that may supersede each other, to be looked at again."""
SUMMARISE: Final = "summarise"
"""The key is the name of a session, "" for turns without one."""

_LEAVE: Final = text(
    "INSERT INTO agentmem_task (partition_id, job, key) VALUES (:partition_id, :job, :key) ON CONFLICT DO NOTHING"
)


def leave(connection: Connection, partition_id: int, job: str, keys: Iterable[str]) -> None:
    """Leave the tasks, in a transaction that has taken a ticket of the partition; no statement for no keys."""
    rows = [{"partition_id": partition_id, "job": job, "key": key} for key in sorted(set(keys))]
    if rows:
        connection.execute(_LEAVE, rows)


def leave_settling(connection: Connection, partition_id: int, fact_keys: Iterable[bytes | None]) -> None:
    """Let the facts of these keys be settled again; what is no fact has no key."""
    leave(connection, partition_id, SETTLE, (key.hex() for key in fact_keys if key is not None))


def waiting(connection: Connection, job: str, *, limit: int, after: Task | None = None) -> list[Task]:
    """Tasks of this job behind ``after``, by partition and key; none of partitions that are to be erased."""
    statement = (
        select(task.c.partition_id, task.c.job, task.c.key)
        .join(partition, task.c.partition_id == partition.c.id)
        .where(task.c.job == job, STANDS)
        .order_by(task.c.partition_id, task.c.key)
        .limit(limit)
    )
    if after is not None:
        statement = statement.where(
            (task.c.partition_id > after.partition)
            | ((task.c.partition_id == after.partition) & (task.c.key > after.key))
        )
    return [Task(*row) for row in connection.execute(statement)]


def finish(connection: Connection, done: Task) -> bool:
    """Remove the task; False if it was not there."""
    is_done = (task.c.partition_id == done.partition) & (task.c.job == done.job) & (task.c.key == done.key)
    return bool(connection.execute(delete(task).where(is_done)).rowcount)
