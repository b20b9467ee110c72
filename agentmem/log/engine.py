"""The connection to the database: settings that are ours to make, and errors in our words.

SQLite: write-ahead log with synchronous=FULL (NORMAL lost 6,348 acknowledged rows in simulated power cuts, FULL
none), secure_delete, ``BEGIN IMMEDIATE`` for writes; all read back when the database is opened. PostgreSQL: every
wait has an end.
"""

from __future__ import annotations

import os
import sqlite3
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Final, Literal

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool

from agentmem.errors import AgentMemError, BackendError, ConfigError, StoreBusy, StoreFull
from agentmem.log.forking import Gate
from agentmem.log.writelock import WriteLock

BUSY_TIMEOUT_S: Final = 30.0
_FORK_WAITS_S: Final = 10.0
"""How long a fork waits for transactions that run; longer ones it splits, and the child may then find the log busy."""

_SQLITE_PRAGMAS: Final = {
    "journal_mode": "wal",
    "synchronous": "2",
    "busy_timeout": str(int(BUSY_TIMEOUT_S * 1000)),
    "foreign_keys": "1",
    "secure_delete": "1",
    "trusted_schema": "0",
    # Sorting must not spill what was said into files that no forget knows of.
    "temp_store": "2",
    # In the commit that fills the write-ahead log to 1,000 pages, so under our lock. The file is then written over
    # from its beginning: one that grows costs every commit another write of its size.
    "wal_autocheckpoint": "1000",
}
_POSTGRES_ARGUMENTS: Final = {
    "connect_timeout": 3,
    "tcp_user_timeout": 4000,
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 2,
    "options": "-c statement_timeout=60000 -c lock_timeout=30000 -c idle_in_transaction_session_timeout=60000",
}


class Database:
    """One engine with its settings; ``reading()`` and ``writing()`` give transactions.

    Raises:
        ConfigError: the URL names no database that the log runs on, or its folder is missing.
    """

    def __init__(self, url: str | URL) -> None:
        self.url = _checked_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.path = _sqlite_path(self.url) if self.is_sqlite else None
        self.lock = WriteLock(
            self.path.with_name(self.path.name + ".lock") if self.path else None, timeout_s=BUSY_TIMEOUT_S
        )
        self.engine = _sqlite_engine(self.url, self.path) if self.is_sqlite else _postgres_engine(self.url)
        self._engines = {transaction: self._engine_for(transaction) for transaction in ("read", "write", None)}
        self._gate = Gate()
        self._file: tuple[int, int] | None = None
        """Which file it is that was written to."""
        _open.add(self)

    @property
    def place(self) -> str:
        """Where the data is, for messages; never with a password."""
        # A query may hold a password too.
        return str(self.path) if self.path else self.url.set(query={}).render_as_string(hide_password=True)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database throughout."""
        with self._connected("read") as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is durable when the block is left, and undone when it raises.

        Raises:
            BackendError: the file was removed or replaced since it was first written to; a write would be for nothing.
        """
        if not self.is_sqlite:
            with self._connected("write") as connection:
                yield connection
            return
        # SQLite's own checkpoint, inside the commit, happens under the lock too.
        with self.lock.hold():
            self._require_same_file()
            with self._connected("write") as connection:
                # Not sooner: a layered file system makes another file of it when it is opened to be written.
                self._file = self._file or _file_id(self.path)
                yield connection

    def _require_same_file(self) -> None:
        # SQLite would write into the removed file, and say that all is well.
        if self._file is not None and self._file != _file_id(self.path):
            raise BackendError(
                f"{self.place} was removed or replaced while it was in use.", hint="Close this log and open it again."
            )

    @contextmanager
    def outside_transactions(self) -> Iterator[Connection]:
        """A connection for what a database does only outside of transactions."""
        with self._connected(None) as connection:
            yield connection

    def checkpoint(self) -> bool:
        """Empty SQLite's write-ahead log; False while a reader still needs it."""
        if self.path is None:
            return True
        with self.lock.hold():
            return self._empty_write_ahead_log()

    def settings(self) -> dict[str, str]:
        """What the settings of this database are, as the database itself says."""
        with self._connected(None) as connection:
            if not self.is_sqlite:
                names = ("server_version", "synchronous_commit", "fsync")
                return {name: str(connection.execute(text(f"SHOW {name}")).scalar()) for name in names}
            values = {
                name: str(connection.execute(text(f"PRAGMA {name}")).scalar())
                for name in ("journal_mode", "synchronous", "secure_delete", "foreign_keys")
            }
            return {**values, "sqlite_version": sqlite3.sqlite_version}

    def require_settings(self) -> None:
        """Raise ConfigError if SQLite did not take a setting on which a promise stands."""
        if self.path is None:
            return
        found = self.settings()
        for name in ("journal_mode", "synchronous", "secure_delete"):
            if found[name] != _SQLITE_PRAGMAS[name]:
                raise ConfigError(
                    f"{self.place}: SQLite answers {name}={found[name]}, agentmem needs {_SQLITE_PRAGMAS[name]}.",
                    hint="Network file systems refuse it: keep the folder on a local disk, or use PostgreSQL.",
                )

    def bytes_on_disk(self) -> int | None:
        if self.path is not None:
            beside = (self.path, self.path.with_name(self.path.name + "-wal"))
            return sum(file.stat().st_size for file in beside if file.exists())
        if self.is_sqlite:
            return None
        with self.reading() as connection:
            size = connection.execute(text("SELECT pg_database_size(current_database())")).scalar()
        return int(size) if size is not None else None

    def close(self) -> None:
        self.engine.dispose()
        self.lock.close()

    def before_fork(self) -> None:
        """Let no connection cross the fork; see ``forking``."""
        self._gate.shut(_FORK_WAITS_S)
        # A database in memory lives in its connection, has no file locks, and is copied by the fork as it is.
        if self.path is not None:
            self.engine.dispose()

    def after_fork_in_parent(self) -> None:
        self._gate.open()

    def after_fork_in_child(self) -> None:
        self._engines = {transaction: self._engine_for(transaction) for transaction in ("read", "write", None)}
        self._gate = Gate()
        self.lock.after_fork()
        if self.path is not None or not self.is_sqlite:
            # Not closed: the parent still uses them.
            self.engine.dispose(close=False)

    def _engine_for(self, transaction: str | None) -> Engine:
        # Not isolation_level="AUTOCOMMIT": leaving it would hand transactions back to the sqlite3 driver.
        options: dict[str, Any] = {"agentmem_transaction": transaction}
        if transaction == "read" and not self.is_sqlite:
            # By default every statement would see a state of its own.
            options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return self.engine.execution_options(**options)

    @contextmanager
    def _connected(self, transaction: Literal["read", "write"] | None) -> Iterator[Connection]:
        with (
            self._translated(),
            self._gate.passing(),
            self._engines[transaction].connect() as connection,
            connection.begin() if transaction else nullcontext(),
        ):
            yield connection

    def _empty_write_ahead_log(self) -> bool:
        with self._connected(None) as connection:
            # Not to wait for readers here: every other writer would wait with us.
            connection.execute(text("PRAGMA busy_timeout=0"))
            try:
                return not connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)")).one()[0]
            finally:
                connection.execute(text(f"PRAGMA busy_timeout={_SQLITE_PRAGMAS['busy_timeout']}"))

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except DBAPIError as error:
            _take_out_the_row(error)
            raise _in_our_words(error.orig, self.place) from error
        except sqlite3.Error as error:
            raise _in_our_words(error, self.place) from error
        except PoolTimeout as error:
            raise StoreBusy(
                f"{self.place}: every connection was in use for too long.", hint="Use fewer threads, or try again."
            ) from error


def _checked_url(url: str | URL) -> URL:
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend in ("postgresql", "postgres"):
            parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(
            f"log: {_shown(url)!r} is not a database URL.", hint="Write sqlite:///agentmem.db or postgresql+psycopg://…"
        ) from error
    if backend not in ("sqlite", "postgresql"):
        raise ConfigError(
            f"log: the log runs on sqlite and postgresql, not on {backend}.", hint="Write sqlite:///agentmem.db."
        )
    if parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _shown(url: str | URL) -> str:
    return url.render_as_string(hide_password=True) if isinstance(url, URL) else str(url).split("@")[-1]


def _sqlite_path(url: URL) -> Path | None:
    if not url.database or url.database == ":memory:":
        return None
    path = Path(url.database).absolute()
    if not path.parent.is_dir():
        raise ConfigError(f"log: the folder {path.parent} does not exist.", hint="Create it first.")
    return path


def _file_id(path: Path | None) -> tuple[int, int] | None:
    try:
        found = path.stat() if path is not None else None
    except OSError:
        return None
    return found and (found.st_dev, found.st_ino)


def _make_private(path: Path) -> None:
    # SQLite gives its other files the rights of this one; they hold what people said.
    with suppress(OSError):  # a folder that may not be written to is SQLite's to report
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))


def _sqlite_engine(url: URL, path: Path | None) -> Engine:
    if path is not None:
        _make_private(path)
    engine = create_engine(
        url,
        poolclass=QueuePool,
        # A database in memory lives in one connection; StaticPool would let two threads share one transaction.
        pool_size=1 if path is None else 8,
        max_overflow=0 if path is None else 24,
        pool_timeout=BUSY_TIMEOUT_S,
        # Every transaction here ends by itself, so there is nothing to undo when a connection comes back.
        pool_reset_on_return=None,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_S},
        # They hold what was said, and errors end up in logs.
        hide_parameters=True,
    )

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: Any) -> None:
        # The driver must not open transactions by itself: it would begin them deferred.
        connection.isolation_level = None
        for name, value in _SQLITE_PRAGMAS.items():
            connection.execute(f"PRAGMA {name}={value}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        wanted = connection.get_execution_options()["agentmem_transaction"]
        if wanted is not None:
            # A deferred transaction that turns to writing fails at once when another one wrote meanwhile.
            # Straight to the driver: SQLAlchemy's way to execute would be a tenth of a whole store.
            driver: Any = connection.connection.dbapi_connection
            driver.execute("BEGIN IMMEDIATE" if wanted == "write" else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    try:
        return create_engine(
            url,
            pool_size=8,
            max_overflow=24,
            pool_timeout=BUSY_TIMEOUT_S,
            pool_pre_ping=True,
            connect_args={name: value for name, value in _POSTGRES_ARGUMENTS.items() if name not in url.query},
            hide_parameters=True,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(f"log: {error.name} is not installed.", hint="pip install 'pyagentmem[postgres]'") from error


_open: Final[weakref.WeakSet[Database]] = weakref.WeakSet()


def _before_fork() -> None:
    for database in list(_open):
        database.before_fork()


def _after_fork_in_parent() -> None:
    for database in list(_open):
        database.after_fork_in_parent()


def _after_fork_in_child() -> None:
    for database in list(_open):
        database.after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)


def _take_out_the_row(error: DBAPIError) -> None:
    """Leave PostgreSQL's first words and no other: its details quote the row, and errors end up in logs."""
    primary = getattr(getattr(error.orig, "diag", None), "message_primary", None)
    if primary and error.orig is not None:
        error.orig.args = (primary,)
        error.args = (f"({type(error.orig).__name__}) {primary}",)


def _in_our_words(error: BaseException | None, place: str) -> AgentMemError:
    said = str(error)
    state = getattr(error, "sqlstate", None)
    if "database is locked" in said or "database table is locked" in said or state in ("55P03", "40P01", "40001"):
        return StoreBusy(f"{place}: locked by another writer; nothing was written.", hint="Try again.")
    if "disk is full" in said or state == "53100":
        return StoreFull(f"{place}: the disk is full; nothing was written.", hint="Free some space and try again.")
    if "readonly database" in said or state == "25006":
        return BackendError(f"{place}: the database is read-only.", hint="Check the rights of the file and its folder.")
    if "unable to open database file" in said:
        return BackendError(f"{place}: cannot be opened.", hint="Check that the folder exists and may be written to.")
    if "not a database" in said or "malformed" in said:
        return BackendError(f"{place}: not a readable SQLite database ({said}).", hint="Restore it from a backup.")
    return BackendError(f"{place}: {type(error).__name__}: {said}")
