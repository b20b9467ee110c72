"""Facts about the database itself, kept in it by name."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Connection, delete, select, text

from agentmem.log.engine import Database
from agentmem.log.schema import setting

_FIRST: Final = text("INSERT INTO agentmem_setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")
_ALWAYS: Final = text(
    "INSERT INTO agentmem_setting (name, value) VALUES (:name, :value)"
    " ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)


def read(connection: Connection, name: str) -> bytes | None:
    value = connection.execute(select(setting.c.value).where(setting.c.name == name)).scalar()
    return bytes(value) if value is not None else None


def beginning_with(connection: Connection, prefix: str) -> dict[str, bytes]:
    """The settings whose names begin so, by name."""
    statement = select(setting).where(setting.c.name.startswith(prefix, autoescape=True)).order_by(setting.c.name)
    return {row.name: bytes(row.value) for row in connection.execute(statement)}


def write(connection: Connection, name: str, value: bytes | None) -> None:
    """Keep the value, or nothing more for None."""
    if value is None:
        connection.execute(delete(setting).where(setting.c.name == name))
    else:
        connection.execute(_ALWAYS, {"name": name, "value": value})


def settled(database: Database, name: str, *, unset: bytes) -> bytes:
    """The value of a setting; ``unset`` if it had none, which it keeps. Of two processes that set it the first wins."""
    with database.reading() as connection:
        found = read(connection, name)
    if found is None:
        with database.writing() as connection:
            connection.execute(_FIRST, {"name": name, "value": unset})
            found = read(connection, name)
    assert found is not None
    return found
