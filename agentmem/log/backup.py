"""Backups of a SQLite log, and bringing one back without anything that was forgotten since."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final

from agentmem.clock import Clock, utc_now
from agentmem.errors import AgentMemError, BackendError, ConfigError, InvalidInput, StoreBusy
from agentmem.log import tombstones
from agentmem.log.engine import BUSY_TIMEOUT_S, Database
from agentmem.log.journal import default_journal_file
from agentmem.log.keyring import MASTER_KEY_VARIABLE
from agentmem.log.rows import new_id
from agentmem.log.schema import VERSION_TABLE
from agentmem.log.writelock import WriteLock

_OUR_COPY: Final = re.compile(r"\.[0-9a-f]{32}\.(new|restoring)$")
"""How the names of copies end while they are made."""
_WITH_POSTGRES: Final = (
    "PostgreSQL's own tools do it: pg_dump -Fc, and pg_restore. With journal_file=… the next opening of a restored"
    " database erases what was forgotten since the dump."
)


def back_up(database: Database, path: Path) -> None:
    """Write a copy of the database, as it is at one moment, readable by its owner only and checked.

    Neither the key of the tombstones nor the journal is in it: keep those apart from the backups.
    """
    if database.path is None:
        kind = "a log in memory" if database.is_sqlite else "a PostgreSQL log"
        raise BackendError(f"{database.place}: {kind} cannot be copied to a file.", hint=_WITH_POSTGRES)
    if path.exists():
        raise InvalidInput(f"{path} exists already.", hint="Name another file, or remove it first.")
    try:
        with copying(database.path, path.with_name(f"{path.name}.{new_id()}.new")) as new:
            _make_empty(new)
            # Whole pages only of what is there: nothing that was deleted is copied.
            with database.outside_transactions() as connection:
                connection.exec_driver_sql("VACUUM INTO ?", (str(new),))
            _require_sound(new)
            _sync(new)
            new.replace(path)
            _sync(path.parent)
    except OSError as error:
        raise BackendError(f"{path}: the backup cannot be written: {error.strerror}.") from error


def restore_backup(
    backup: str | Path,
    url: str | Path,
    *,
    tombstone_key_file: str | Path | None = None,
    journal_file: str | Path | None = None,
    accept_missing_journal: bool = False,
    keys: str | Path | None = None,
    master_key_variable: str = MASTER_KEY_VARIABLE,
    clock: Clock = utc_now,
) -> int:
    """Put a backup in the place of a SQLite log, without what was forgotten since; how many memories that were.

    What was forgotten is erased from a copy of the backup first; only then the copy takes the log's place, in one
    step. What was stored since the backup is lost. Close every manager of the log before; indexes that keep files of
    their own (Chroma) are to be built again afterwards (``repair``).

    Args:
        backup: A file that ``SQLLog.backup`` wrote.
        url: The log's file, or its ``sqlite:///`` URL.
        tombstone_key_file, journal_file: As the log is opened with; for a sealed one ``keys`` and
            ``master_key_variable`` too.
        accept_missing_journal: Restore without the journal or the key, and begin new ones: everything that the backup
            holds comes back.

    Raises:
        ConfigError: the journal or the key is missing: without them nobody knows what was forgotten; or the backup is
            sealed, and these are not its keys.
        StoreBusy: another connection has the log open.
        BackendError: the backup is damaged, or no backup.
    """
    from agentmem.log.sealed import SealedLog
    from agentmem.log.sql import SQLLog

    source, live = Path(backup), _file_of(url)
    key = Path(tombstone_key_file) if tombstone_key_file else tombstones.default_key_file(live)
    journal = Path(journal_file) if journal_file else default_journal_file(live)
    assert key is not None and journal is not None
    _require_backup(source)
    for file, what in ((journal, "the journal of what was forgotten"), (key, "the key of the tombstones")):
        if not accept_missing_journal and not file.is_file():
            raise ConfigError(
                f"{file}: {what} is not there, so the backup could bring it back; nothing was restored.",
                hint="Put the file back, or name its place: journal_file=…, tombstone_key_file=…. To restore all that "
                "the backup holds: accept_missing_journal=True.",
            )
    try:
        with copying(live, live.with_name(f"{live.name}.{new_id()}.restoring")) as copy:
            shutil.copyfile(source, _make_empty(copy))
            made = partial(SealedLog, keys=keys, master_key_variable=master_key_variable) if keys else SQLLog
            log = made(
                f"sqlite:///{copy}",
                tombstone_key_file=key,
                journal_file=journal,
                accept_missing_journal=accept_missing_journal,
                clock=clock,
            )
            try:
                log.resume()
                again = log.forgotten_again
                left = log.purge_traces()
            finally:
                log.close()
            if left:
                raise BackendError(f"{copy}: {left[0]}", hint="Close what has it open, and restore again.")
            _sync(copy)
            _require_unused(live)
            for end in ("-wal", "-shm"):
                # A write-ahead log of the database that goes would be taken for the new one's.
                live.with_name(live.name + end).unlink(missing_ok=True)
            copy.replace(live)
            _sync(live.parent)
    except OSError as error:
        raise BackendError(f"{live}: the backup cannot be restored: {error.strerror or error}.") from error
    return again


# --- copies that are being made -------------------------------------------------------------------


def unfinished_copies(file: Path) -> list[Path]:
    """The files of a copy of this database that is being made, or that a process died over: they hold what it holds."""
    copy = _noted(_note_of(file))
    return [each for each in _files_of(copy) if each.exists()] if copy is not None else []


def remove_leftovers(file: Path) -> None:
    """Remove a copy of this database that nobody makes any more."""
    note = _note_of(file)
    if _noted(note) is None:
        return
    # Whoever holds the lock still makes the copy; where nothing may be written, nothing can be removed either.
    with suppress(AgentMemError, OSError), _locked(note, timeout_s=0.0):
        _clear(note)


@contextmanager
def copying(file: Path, copy: Path) -> Iterator[Path]:
    """The copy to be made; whatever happens meanwhile, a note beside the database says what to remove."""
    note = _note_of(file)
    with _locked(note, timeout_s=BUSY_TIMEOUT_S):
        _clear(note)
        note.write_text(str(copy), encoding="utf-8")
        _sync(note)
        try:
            yield copy
        finally:
            _clear(note)


def _note_of(file: Path) -> Path:
    return file.with_name(file.name + ".copying")


@contextmanager
def _locked(note: Path, *, timeout_s: float) -> Iterator[None]:
    lock = WriteLock(note.with_name(note.name + ".lock"), timeout_s=timeout_s)
    with closing(lock), lock.hold():
        yield


def _noted(note: Path) -> Path | None:
    """The copy that the note names, if it is one that could be ours."""
    try:
        copy = Path(note.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None
    return copy if _OUR_COPY.search(copy.name) else None


def _clear(note: Path) -> None:
    """Remove the copy that the note names, and the note."""
    copy = _noted(note)
    for each in _files_of(copy) if copy is not None else ():
        each.unlink(missing_ok=True)
    note.unlink(missing_ok=True)


def _files_of(copy: Path) -> list[Path]:
    return [copy.with_name(copy.name + end) for end in ("", "-wal", "-shm", "-journal", ".lock")]


# --- how ------------------------------------------------------------------------------------------


def _file_of(url: str | Path) -> Path:
    if isinstance(url, Path) or "://" not in url:
        return Path(url).absolute()
    database = Database(url)
    try:
        if database.path is None:
            raise ConfigError(f"{database.place}: only a SQLite file can be restored here.", hint=_WITH_POSTGRES)
        return database.path
    finally:
        database.close()


def _require_backup(source: Path) -> None:
    if not source.is_file():
        raise BackendError(f"{source}: there is no such backup.", hint="Name a file that backup(path) wrote.")
    _require_sound(source)


def _require_sound(file: Path) -> None:
    """Raise BackendError unless the file is a whole database of ours."""
    try:
        with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check")]
            ours = connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", [VERSION_TABLE]).fetchone()
    except sqlite3.Error as error:
        raise BackendError(f"{file}: not a readable SQLite database ({error}).") from error
    if said != ["ok"]:
        raise BackendError(f"{file}: damaged: {'; '.join(said[:3])}.", hint="Use another backup.")
    if ours is None:
        raise BackendError(f"{file}: a database, but not a log of agentmem.")


def _require_unused(live: Path) -> None:
    """Raise StoreBusy while somebody has the log open: what it writes from now on would be lost."""
    if not live.exists():
        return
    try:
        with closing(sqlite3.connect(live, isolation_level=None, timeout=1.0)) as connection:
            # SQLite leaves its write-ahead log only when no other connection is there.
            connection.execute("PRAGMA journal_mode=DELETE").fetchone()
    except sqlite3.OperationalError as error:
        if "locked" in str(error) or "busy" in str(error):
            raise StoreBusy(f"{live}: somebody has it open; nothing was restored.", hint="Close it first.") from error
        raise BackendError(f"{live}: {error}; nothing was restored.") from error
    except sqlite3.DatabaseError:
        return  # damaged: what a backup is for


def _make_empty(file: Path) -> Path:
    os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    return file


def _sync(path: Path) -> None:
    if os.name == "nt" and path.is_dir():
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
