"""Work that a write leaves behind, kept in the write's own transaction: a crash in between loses none of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlalchemy import ColumnElement, Connection, and_, delete, select, text

from agentmem.interfaces import Task
from agentmem.log.schema import partition, task
from agentmem.log.scoping import STANDS

SETTLE: Final = "settle"
"""The key is ``fact_key`` in hexadecimal: facts that may supersede each other, to be looked at again."""
RETELL: Final = "retell"
"""The key is ``fact_key:since:erased_at``, in hexadecimal and microseconds: the history since then is told anew."""
SUMMARISE: Final = "summarise"
"""The key is the name of a session, "" for turns without one; what follows the job's name says how it was made."""

_LEAVE: Final = text(
    "INSERT INTO agentmem_task (partition_id, job, key) VALUES (:partition_id, :job, :key) ON CONFLICT DO NOTHING"
)


def leave(connection: Connection, partition_id: int, job: str, keys: Iterable[str]) -> None:
    """Leave the tasks, in a transaction that has taken a ticket of the partition; no statement for no keys."""
    rows = [{"partition_id": partition_id, "job": job, "key": key} for key in sorted(set(keys))]
    if rows:
        connection.execute(_LEAVE, rows)


def summarise(written_by: str) -> str:
    """The job that makes a summary again that such a one wrote."""
    who, how = (*written_by.split(":", 1), "")[:2]
    return f"{SUMMARISE}:{how}" if who == "compressor" and how else SUMMARISE


def leave_settling(connection: Connection, partition_id: int, fact_keys: Iterable[bytes | None]) -> None:
    """Let the facts of these keys be settled again; what is no fact has no key."""
    leave(connection, partition_id, SETTLE, (key.hex() for key in fact_keys if key is not None))


def leave_retelling(connection: Connection, partition_id: int, since: Mapping[bytes, int], *, erased_at: int) -> None:
    """Let the history of these fact keys since then be told anew when they are settled next."""
    leave(connection, partition_id, RETELL, (f"{key.hex()}:{moment}:{erased_at}" for key, moment in since.items()))


def retelling(connection: Connection, settling: Task) -> tuple[int, int] | None:
    """Since when the history of the key that is settled is to be told anew, and when that was left to do; or None."""
    keys = connection.execute(select(task.c.key).where(_retelling(settling))).scalars()
    left = [[int(each) for each in key.split(":")[1:]] for key in keys]
    return (min(since for since, _ in left), min(erased_at for _, erased_at in left)) if left else None


def finish_retelling(connection: Connection, settling: Task) -> None:
    connection.execute(delete(task).where(_retelling(settling)))


def _retelling(settling: Task) -> ColumnElement[bool]:
    of_key = task.c.key.startswith(f"{settling.key}:", autoescape=True)
    return and_(task.c.partition_id == settling.partition, task.c.job == RETELL, of_key)


def waiting(connection: Connection, job: str, *, limit: int, after: Task | None = None) -> list[Task]:
    """Tasks of this job, whatever the way, behind ``after``, by partition and key; none of partitions to be erased."""
    statement = (
        select(task.c.partition_id, task.c.job, task.c.key)
        .join(partition, task.c.partition_id == partition.c.id)
        .where((task.c.job == job) | task.c.job.startswith(f"{job}:", autoescape=True), STANDS)
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
