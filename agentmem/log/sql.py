"""The episodic log on SQLite and PostgreSQL: which step of which transaction, in the order of the verbs."""

from __future__ import annotations

import hmac
import logging
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection

from agentmem.clock import Clock, utc_now
from agentmem.errors import ConfigError, ManagerClosed, unknown_memory
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
from agentmem.log import (
    erasing,
    holds,
    reading,
    receipts,
    replaying,
    restoring,
    retelling,
    settings,
    settling,
    tasks,
    tombstones,
    upkeep,
    writing,
)
from agentmem.log.backup import back_up, remove_leftovers, unfinished_copies
from agentmem.log.engine import Database
from agentmem.log.journal import Journal, Page, default_journal_file
from agentmem.log.migrate import ensure_schema
from agentmem.log.replaying import follow
from agentmem.log.scoping import address
from agentmem.records import Draft, Finding, ForgetMode, Hold, Memory, Receipt, Scope, require_text

_logger = logging.getLogger("agentmem.log")

_CHECKPOINT_TRIES: Final = 5
_CHECKPOINT_PAUSE_S: Final = 0.02
_TURN_S: Final = 0.02
SEALED: Final = "sealed"
"""Setting of a log whose words are sealed: which keys they take."""
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
        journal_file: Where the journal of what was forgotten is, which keeps backups from bringing it back; unset =
            beside the SQLite file, and none for PostgreSQL.
        accept_missing_journal: Go on without a journal, or a key of the tombstones, that is gone: with a new one where
            there is a place for it. What was forgotten before can then come back, by a backup or an import.
        clock: Gives the present; for tests.

    Attributes:
        forgotten_again: How many memories an older backup had brought back and this opening forgot again.

    Raises:
        ConfigError: the URL or the file system will not do, the journal that this log keeps or the key that
            its tombstones were made with is gone, or its words are sealed (``SealedLog``).
        SchemaTooNew: a newer agentmem wrote the database.
    """

    def __init__(
        self,
        url: str = "sqlite:///agentmem.db",
        *,
        tombstone_key_file: str | Path | None = None,
        journal_file: str | Path | None = None,
        accept_missing_journal: bool = False,
        clock: Clock = utc_now,
    ) -> None:
        self._clock = clock
        self._database = Database(url)
        self._journal = Journal(Path(journal_file) if journal_file else default_journal_file(self._database.path))
        self._closed = False
        try:
            self._database.require_settings()
            ensure_schema(self._database)
            if self._database.path is not None:
                remove_leftovers(self._database.path)
            self._require_readable()
            self._key = tombstones.load_key(
                self._database,
                Path(tombstone_key_file) if tombstone_key_file else None,
                is_bound=lambda: not accept_missing_journal and self._has_forgotten_anything(),
            )
            # Before anything is served: an older backup may hold what was forgotten since.
            self.forgotten_again = follow(self._database, self._journal, self._desk, anew=accept_missing_journal)
        except BaseException:
            self._journal.close()
            self._database.close()
            raise

    @property
    def place(self) -> str:
        """Where the data is; never with a password."""
        return self._database.place

    @property
    def spill_folder(self) -> Path | None:
        file = self._database.path
        return None if file is None or self.is_sealed else file.with_name(file.name + ".spill")

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
            self._admit(connection, scope, drafts)
            memories = writing.append(
                connection, scope, drafts, generation=generation, replacing=replacing, clock=self._clock
            )
            # After the write, which waits for a forget that is under way: what it forgot must not live on in these.
            own = {draft.id for draft in drafts if draft.id}
            self._require_unforgotten(connection, scope, own.union(*(draft.derived_from for draft in drafts)))
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
        if dry_run:
            with self._reading() as connection:
                would = erasing.would_retire if mode == "retire" else erasing.would_erase
                return would(connection, scope, ids)
        with self._forgetting() as desk:
            forget = erasing.retire if mode == "retire" else erasing.erase
            return forget(desk, scope, ids, request=request)

    def erase_everything(
        self, scope: Scope, *, dry_run: bool = False, request: ErasureRequest | None = None
    ) -> Erasure:
        if dry_run:
            with self._reading() as connection:
                return erasing.would_doom(connection, scope)
        with self._forgetting() as desk:
            erasure = erasing.doom(desk, scope, request=request)
        self._erase_doomed(erasure.partitions)
        return erasure

    def resume(self) -> list[Erasure]:
        with self._reading() as connection:
            doomed = erasing.doomed(connection)
        return [
            Erasure(counts.pop("memories", 0), counts, partitions=tuple(partitions), receipt=request)
            for request, partitions in doomed.items()
            for counts in [self._erase_doomed(partitions)]
        ]

    def hold(self, scope: Scope, *, reason: str) -> Hold:
        with self._writing() as connection:
            # An erasure that is under way is waited for, so that from here on none is.
            erasing.lock_subject(connection, scope)
            return holds.place(connection, scope, reason, clock=self._clock)

    def release(self, scope: Scope, *, reason: str | None = None) -> bool:
        with self._writing() as connection:
            return holds.release(connection, scope, None if reason is None else require_text(reason, "reason"))

    def holds(self, scope: Scope) -> list[Hold]:
        with self._reading() as connection:
            return holds.covering(connection, scope)

    def receipts(self, scope: Scope) -> list[Receipt]:
        subject = tombstones.subject_hash(self._subject(scope))
        with self._reading() as connection:
            return receipts.of_subject(connection, scope.tenant, subject)

    def unfinished_receipts(self) -> list[tuple[Receipt, Erasure]]:
        with self._reading() as connection:
            return receipts.unfinished(connection)

    def close_receipt(self, receipt: Receipt) -> Receipt:
        with self._forgetting() as desk:
            return receipts.close(desk.connection, desk.page, receipt) or receipt

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
        file, journal = self._database.path, self._journal.path
        own = [file.with_name(file.name + end) for end in ("", "-wal", "-shm")] if file is not None else []
        copies = unfinished_copies(file) if file is not None else []
        return [each for each in (*own, *copies, journal) if each is not None and each.exists()]

    def copies(self, contents: Sequence[str]) -> Mapping[str, int]:
        with self._reading() as connection:
            return {content: erasing.copies(connection, content) for content in contents}

    def backup(self, path: str | Path) -> None:
        """Write a copy of a SQLite log to a new file (0600), checked.

        Without the key and the journal, which ``restore_backup`` needs: keep those apart from the backups.

        Raises:
            InvalidInput: the file exists.
            BackendError: it cannot be written, or the log is no file (the hint says what else to use).
        """
        self._require_open()
        back_up(self._database, Path(path).absolute())

    def partitions_of(self, scope: Scope, ids: Sequence[str]) -> dict[str, int]:
        with self._reading() as connection:
            return reading.partitions_of(connection, scope, ids)

    # --- reads

    def tombstoned(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
        with self._reading() as connection:
            return frozenset(tombstones.forgotten(connection, self._subject(scope), ids))

    def has_forgotten(self, scope: Scope) -> bool:
        mark = tombstones.session_mark(self._subject(scope), scope.session)
        with self._reading() as connection:
            return bool(tombstones.found(connection, [mark]))

    def mark_private(self, scope: Scope) -> None:
        with self._forgetting() as desk:
            desk.mark_sessions(self._subject(scope), [scope.session or ""])

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
        findings = [*upkeep.check(self._database, deep=deep), self._derived_finding()]
        with self._reading() as connection:
            findings += [receipts.check(connection, self._journal), replaying.check(connection, self._journal)]
        return findings

    def repair(self) -> list[str]:
        with self._writing() as connection:
            return upkeep.repair(connection)

    def purge_traces(self) -> tuple[str, ...]:
        self._require_open()
        if not self._database.is_sqlite:
            with self._reading() as connection:
                return _LEFT_ON_POSTGRES if erasing.file_holds_traces(connection) else ()
        for _ in range(_CHECKPOINT_TRIES):
            if self._database.checkpoint():
                return ()
            time.sleep(_CHECKPOINT_PAUSE_S)
        return _LEFT_IN_WAL

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._journal.close()
            self._database.close()

    def _require_readable(self) -> None:
        """Raise ConfigError if this log cannot read what the database holds."""
        with self._database.reading() as connection:
            if settings.read(connection, SEALED) is not None:
                raise ConfigError(
                    f"{self.place} is sealed: its words take the keys that it was sealed with.",
                    hint="Name their folder: {type: sealed, url: …, keys: …}; for a backup, restore_backup(…, keys=…).",
                )

    def _has_forgotten_anything(self) -> bool:
        """Whether the database or its journal holds what only the key can be matched with."""
        with self._database.reading() as connection:
            if tombstones.are_there(connection):
                return True
        return self._journal.exists and any(line.kind in "TS" for line in self._journal.lines())

    def _admit(self, connection: Connection, scope: Scope, drafts: Sequence[Draft]) -> None:
        """For logs that have a reason to refuse drafts once nobody else can write; this one has none."""

    def _derived_finding(self) -> Finding:
        with self._reading() as connection:
            by_hash = {self._keyed(owner, id): id for owner, id in upkeep.sources_gone(connection)}
            erased = len(tombstones.found(connection, by_hash))
        detail = f"{erased} erased memories left something behind that was derived from them"
        remedy = "list() what has them in derived_from, and forget() it." if erased else ""
        return Finding("derived", not erased, detail, remedy)

    def _settle(self, task: Task, decide: Settle) -> bool:
        try:
            with self._writing() as connection:
                if not settling.settle_key(connection, task, decide, clock=self._clock):
                    return False
                self._retell(connection, task, decide)
                return True
        except settling.UndecidedError as error:
            _warn(error)
            return False

    def _retell(self, connection: Connection, task: Task, decide: Settle) -> None:
        try:
            retelling.retell_key(connection, task, decide)
        except settling.UndecidedError as error:
            # What is current is settled; a former version that is damaged must not hold it up.
            _warn(error)

    def _require_unforgotten(self, connection: Connection, scope: Scope, ids: set[str]) -> None:
        if ids:
            for id in tombstones.forgotten(connection, self._subject(scope), ids):
                raise unknown_memory(id)

    def fence_key(self) -> bytes:
        return hmac.digest(self._key, b"agentmem fences", "sha256")

    def _subject(self, scope: Scope) -> bytes:
        return tombstones.subject_key(self._key, address(scope))

    def _keyed(self, owner: Mapping[str, str], id: str) -> bytes:
        return tombstones.keyed_hash(tombstones.subject_key(self._key, owner), id)

    def _erase_doomed(self, partitions: Sequence[int]) -> Counter[str]:
        """Carry out a wish that is recorded, batch by batch; what was removed."""
        removed: Counter[str] = Counter()
        for partition in partitions:
            more: Counter[str] | None = Counter()
            while more is not None:
                removed.update(more)
                with self._forgetting() as desk:
                    more = erasing.erase_some(desk, partition)
                if more and not more["partition"]:
                    # Long enough for others to look again whether they may write: nobody queues for the lock.
                    time.sleep(_TURN_S)
        return removed

    def _require_open(self) -> None:
        if self._closed:
            raise ManagerClosed(f"The log {self.place} is closed.", hint="Open a new one.")

    def _desk(self, connection: Connection, page: Page) -> erasing.Desk:
        return erasing.Desk(connection, page, self._key, self._clock)

    @contextmanager
    def _forgetting(self) -> Iterator[erasing.Desk]:
        """A transaction whose tombstones and receipts are in the journal before it is committed."""
        self._require_open()
        behind = False

        def catch_up(page: Page) -> None:
            nonlocal behind
            behind = replaying.catch_up(self._database, self._journal, page, self._desk)

        with self._journal.writing(first=catch_up) as page, self._database.writing() as connection:
            yield self._desk(connection, page)
            page.keep(connection)
        if behind:
            self.resume()

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


def _warn(error: settling.UndecidedError) -> None:
    # The message alone: what went wrong may quote a fact.
    _logger.warning("%s (%s)", error, type(error.__cause__).__name__)
