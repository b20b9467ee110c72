"""The episodic log on SQLite and PostgreSQL: which step of which transaction, in the order of the verbs."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from agentmem.clock import Clock, utc_now
from agentmem.errors import ManagerClosed, unknown_memory
from agentmem.interfaces import (
    Embedded,
    EpisodicLog,
    Erasure,
    ErasureRequest,
    Generation,
    Head,
    IndexBatch,
    IndexQuery,
    LogQuery,
    Outlived,
    Revision,
    Settle,
    Task,
    Use,
)
from agentmem.log import erasing, reading, restoring, settling, tasks, tombstones, upkeep, writing
from agentmem.log.engine import Database
from agentmem.log.migrate import ensure_schema
from agentmem.log.scoping import address
from agentmem.records import Draft, Finding, ForgetMode, Hold, Memory, Receipt, Scope

_logger = logging.getLogger("agentmem.log")

_CHECKPOINT_TRIES: Final = 5
_CHECKPOINT_PAUSE_S: Final = 0.02
_LEFT_ON_POSTGRES: Final = (
    "PostgreSQL keeps the bytes of deleted rows: run VACUUM FULL agentmem_version (or drop the tenant's partition); "
    "archived WAL, replicas and backups keep theirs until they expire",
)
_LEFT_IN_WAL: Final = ("the write-ahead log, which a reader still needs: flush() or close() tries again",)


class SQLLog(EpisodicLog):
    """The log in a SQL database.

    Args:
        url: ``sqlite:///path/agentmem.db``, ``sqlite://`` (in memory) or ``postgresql+psycopg://…``.
        tombstone_key_file: Where the key of the tombstones is; unset = beside the SQLite file, or in
            PostgreSQL's own settings table.
        clock: Gives the present; for tests.

    Raises:
        ConfigError: the URL or the file system will not do.
        SchemaTooNew: a newer agentmem wrote the database.
    """

    def __init__(
        self,
        url: str = "sqlite:///agentmem.db",
        *,
        tombstone_key_file: str | Path | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._clock = clock
        self._database = Database(url)
        self._closed = False
        try:
            self._database.require_settings()
            ensure_schema(self._database)
            key = tombstones.load_key(self._database, Path(tombstone_key_file) if tombstone_key_file else None)
            self._key_is_known = tombstones.is_known(self._database, key)
        except BaseException:
            self._database.close()
            raise
        self._keyed: erasing.KeyedHash = lambda owner, id: tombstones.keyed_hash(key, owner, id)

    @property
    def place(self) -> str:
        """Where the data is; never with a password."""
        return self._database.place

    # --- writes

    def append(
        self,
        scope: Scope,
        drafts: Sequence[Draft],
        *,
        generation: int | None,
        replacing: frozenset[str] = frozenset(),
    ) -> list[Memory]:
        if not drafts and not replacing:
            return []
        with self._writing() as connection:
            memories = writing.append(
                connection, scope, drafts, generation=generation, replacing=replacing, clock=self._clock
            )
            # After the write, which waits for a forget that is under way: what it forgot must not live on in these.
            self._require_unforgotten(connection, scope, {id for draft in drafts for id in draft.derived_from})
            return memories

    def revise(
        self, scope: Scope, id: str, revision: Revision, *, expected_version: int | None, generation: int | None
    ) -> Memory:
        with self._writing() as connection:
            return writing.revise(
                connection,
                scope,
                id,
                revision,
                expected_version=expected_version,
                generation=generation,
                clock=self._clock,
            )

    def restore(self, scope: Scope, id: str, *, version: int | None, reason: str | None) -> Memory:
        with self._writing() as connection:
            return restoring.restore(connection, scope, id, version=version, reason=reason, clock=self._clock)

    def erase(
        self,
        scope: Scope,
        ids: Sequence[str],
        *,
        mode: ForgetMode,
        dry_run: bool = False,
        request: ErasureRequest | None = None,
    ) -> Erasure:
        with self._reading() if dry_run else self._writing() as connection:
            if mode == "retire":
                return erasing.retire(connection, scope, ids, dry_run=dry_run, clock=self._clock)
            return erasing.erase(connection, scope, ids, dry_run=dry_run, keyed=self._keyed, clock=self._clock)

    def erase_everything(
        self, scope: Scope, *, dry_run: bool = False, request: ErasureRequest | None = None
    ) -> Erasure:
        with self._reading() if dry_run else self._writing() as connection:
            return erasing.erase_everything(connection, scope, dry_run=dry_run, keyed=self._keyed, clock=self._clock)

    def resume(self) -> list[Erasure]:
        raise NotImplementedError

    def hold(self, scope: Scope, *, reason: str) -> Hold:
        raise NotImplementedError

    def release(self, scope: Scope) -> bool:
        raise NotImplementedError

    def holds(self, scope: Scope) -> list[Hold]:
        raise NotImplementedError

    def receipts(self, scope: Scope) -> list[Receipt]:
        raise NotImplementedError

    def unfinished_receipts(self) -> list[tuple[Receipt, Erasure]]:
        raise NotImplementedError

    def close_receipt(self, receipt: Receipt) -> Receipt:
        raise NotImplementedError

    def settle(self, decide: Settle, *, limit: int = 100) -> int:
        settled = 0
        last: Task | None = None
        while settled < limit:
            with self._reading() as connection:
                waiting = tasks.waiting(connection, tasks.SETTLE, limit=limit - settled, after=last)
            if not waiting:
                break
            settled += sum(self._settle(task, decide) for task in waiting)
            last = waiting[-1]
        return settled

    def tasks(self, job: str, *, limit: int = 100) -> list[Task]:
        with self._reading() as connection:
            return tasks.waiting(connection, job, limit=limit)

    def finish(self, task: Task) -> None:
        with self._writing() as connection:
            tasks.finish(connection, task)

    def note_uses(self, uses: Sequence[Use]) -> None:
        if uses:
            with self._writing() as connection:
                upkeep.note_uses(connection, uses)

    def changes(self, scope: Scope, start: datetime, end: datetime) -> list[Memory]:
        with self._reading() as connection:
            return reading.changes(connection, scope, start, end)

    def overdue(self, head: Head, *, at: datetime, outlived: Sequence[Outlived], limit: int) -> list[str]:
        with self._reading() as connection:
            return upkeep.overdue(connection, head.partition, at=at, outlived=outlived, limit=limit)

    def files(self) -> Sequence[Path]:
        raise NotImplementedError

    def copies(self, contents: Sequence[str]) -> Mapping[str, int]:
        raise NotImplementedError

    def partitions_of(self, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
        with self._reading() as connection:
            return reading.partitions_of(connection, scope, ids)

    # --- reads

    def tombstoned(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        owner = address(scope)
        by_hash = {self._keyed(owner, id): id for id in ids}
        with self._reading() as connection:
            return frozenset(by_hash[each] for each in tombstones.found(connection, by_hash))

    def read(self, query: LogQuery) -> list[Memory]:
        with self._reading() as connection:
            return reading.read(connection, query)

    def history(self, scope: Scope, id: str) -> list[Memory]:
        with self._reading() as connection:
            return reading.history(connection, scope, id)

    def heads(self, scope: Scope) -> list[Head]:
        with self._reading() as connection:
            return reading.heads(connection, scope)

    def index_rows(self, query: IndexQuery) -> IndexBatch:
        with self._reading() as connection:
            return reading.index_rows(connection, query)

    def vectors(self, scope: Scope, rows: Sequence[tuple[int, int]]) -> dict[tuple[int, int], bytes]:
        with self._reading() as connection:
            return reading.vectors(connection, scope, rows)

    # --- vectors that follow, and cursors of indexes

    def generation(self) -> Generation | None:
        with self._reading() as connection:
            return upkeep.current_generation(connection)

    def start_generation(self, fingerprint: str, dimensions: int, embedder: str) -> Generation:
        with self._writing() as connection:
            return upkeep.start_generation(connection, fingerprint, dimensions, embedder, clock=self._clock)

    def all_heads(self) -> list[Head]:
        with self._reading() as connection:
            return upkeep.all_heads(connection)

    def without_vector(self, head: Head, generation: int, *, after: int, limit: int) -> list[tuple[int, Memory]]:
        with self._reading() as connection:
            return upkeep.without_vector(connection, head.partition, generation, after=after, limit=limit)

    def put_vectors(self, generation: int, embedded: Sequence[Embedded]) -> None:
        with self._writing() as connection:
            upkeep.put_vectors(connection, generation, embedded)

    def cursor(self, index: str, generation: int, partition: int) -> int:
        with self._reading() as connection:
            return upkeep.read_cursor(connection, index, generation, partition)

    def move_cursor(self, index: str, generation: int, partition: int, seq: int) -> None:
        with self._writing() as connection:
            upkeep.move_cursor(connection, index, generation, partition, seq)

    # --- upkeep

    def counts(self) -> Mapping[str, Any]:
        with self._reading() as connection:
            counted = upkeep.counts(connection)
        return {**counted, "bytes_on_disk": self._database.bytes_on_disk()}

    def check(self, *, deep: bool = False) -> list[Finding]:
        self._require_open()
        findings = upkeep.check(self._database, deep=deep)
        if not self._key_is_known:
            findings.append(
                Finding(
                    "tombstones",
                    False,
                    "the key they were made with is gone: an import may bring back what was forgotten",
                    "Restore the .key file that lay beside the database from a backup.",
                )
            )
        return findings

    def repair(self) -> list[str]:
        with self._writing() as connection:
            return upkeep.repair(connection)

    def purge_traces(self) -> tuple[str, ...]:
        self._require_open()
        if not self._database.is_sqlite:
            return _LEFT_ON_POSTGRES
        for _ in range(_CHECKPOINT_TRIES):
            if self._database.checkpoint():
                return ()
            time.sleep(_CHECKPOINT_PAUSE_S)
        return _LEFT_IN_WAL

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._database.close()

    def _settle(self, task: Task, decide: Settle) -> bool:
        try:
            with self._writing() as connection:
                return settling.settle_key(connection, task, decide, clock=self._clock)
        except settling.UndecidedError as error:
            # The message alone: what went wrong may quote a fact.
            _logger.warning("%s (%s)", error, type(error.__cause__).__name__)
            return False

    def _require_unforgotten(self, connection: Connection, scope: Scope, ids: set[str]) -> None:
        owner = address(scope)
        by_hash = {self._keyed(owner, id): id for id in ids}
        for each in tombstones.found(connection, by_hash):
            raise unknown_memory(by_hash[each])

    def _require_open(self) -> None:
        if self._closed:
            raise ManagerClosed(f"The log {self.place} is closed.", hint="Open a new one.")

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        self._require_open()
        with self._database.reading() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        self._require_open()
        with self._database.writing() as connection:
            yield connection
