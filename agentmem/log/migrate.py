"""Bringing a database to the schema this code needs. Alembic is imported only when there is something to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from agentmem.errors import BackendError, SchemaTooNew
from agentmem.log.engine import Database
from agentmem.log.schema import REVISION, VERSION_TABLE

_SCRIPTS = Path(__file__).parent / "migrations"
_UPGRADE_LOCK = 0x6167656E746D656D  # "agentmem": PostgreSQL's advisory locks are numbers


def current_revision(connection: Connection) -> str | None:
    """The revision the database is at, or None if it holds no log yet."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found = connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()  # noqa: S608 - a constant
    return None if found is None else str(found)


def ensure_schema(database: Database) -> None:
    """Create or upgrade the tables where that is ours to do.

    A new database is set up; an older SQLite file is upgraded. An older PostgreSQL database is left to
    ``agentmem upgrade``, because other processes may still run the older code.

    Raises:
        SchemaTooNew: a newer agentmem wrote it.
        BackendError: an older PostgreSQL schema.
    """
    with database.reading() as connection:
        found = current_revision(connection)
    if found == REVISION:
        return
    if found is not None and found > REVISION:
        raise SchemaTooNew(
            f"{database.place}: written by a newer agentmem (schema {found}, this one knows {REVISION}).",
            hint="pip install -U pyagentmem",
        )
    if found is not None and not database.is_sqlite:
        raise BackendError(
            f"{database.place}: schema {found} is older than {REVISION}.", hint="Run `agentmem upgrade` once."
        )
    upgrade(database)


def upgrade(database: Database) -> tuple[str | None, str]:
    """Bring the schema to this code's revision in one transaction; from which revision to which."""
    with _quiet_alembic(), database.writing() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _UPGRADE_LOCK})
        # Another process may have done it while this one waited for the lock.
        before = current_revision(connection)
        if before is None or before < REVISION:
            from alembic import command
            from alembic.config import Config

            config = Config()
            config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
            config.attributes["connection"] = connection
            command.upgrade(config, REVISION)
    return before, REVISION


@contextmanager
def _quiet_alembic() -> Iterator[None]:
    """Keep alembic's news out of the application's log; its level is given back, as the application may use it too."""
    logger = logging.getLogger("alembic")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
