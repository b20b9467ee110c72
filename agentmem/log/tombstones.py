"""Keyed hashes of what was erased: enough to refuse its return, nothing to read it from.

The key of a SQLite log lies in a file beside it (0600), so that the database alone, or a backup of it, does not
tell whether a known id was erased. A PostgreSQL log keeps it in its ``setting`` table unless it is given a file.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select, text

from agentmem.errors import BackendError, ConfigError
from agentmem.log.engine import Database
from agentmem.log.reading import in_parts
from agentmem.log.schema import setting, tombstone
from agentmem.log.writelock import WriteLock

_KEY_BYTES: Final = 32
_KEY: Final = "tombstone_key"
_MARK: Final = "tombstone_key_mark"
_SET: Final = text("INSERT INTO agentmem_setting (name, value) VALUES (:name, :value) ON CONFLICT (name) DO NOTHING")


def load_key(database: Database, key_file: Path | None) -> bytes:
    """The key of this log, made at its first opening."""
    if key_file is None and database.path is not None:
        key_file = database.path.with_name(database.path.name + ".key")
    return (
        _key_in_file(key_file, database.lock)
        if key_file is not None
        else _setting(database, _KEY, unset=os.urandom(_KEY_BYTES))
    )


def keyed_hash(key: bytes, owner: Mapping[str, str], id: str) -> bytes:
    """16 bytes of HMAC-SHA256 over tenant, owner and id.

    The owner is the user whatever the agent, or the agent of a layer without user: what a person had forgotten
    does not come back by way of another agent.
    """
    subject = (owner["tenant"], owner["user_id"], "" if owner["user_id"] else owner["agent_id"])
    # Lengths first: no two different tuples may read the same.
    parts = [part.encode("utf-8") for part in (*subject, id)]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.new(key, message, hashlib.sha256).digest()[:16]


def bury(connection: Connection, hashes: Iterable[bytes], *, at: int) -> int:
    """Keep the hashes; how many were new."""
    wanted = set(hashes)
    new = wanted - found(connection, wanted)
    if new:
        connection.execute(insert(tombstone), [{"keyed_hash": each, "erased_at": at} for each in sorted(new)])
    return len(new)


def found(connection: Connection, hashes: Iterable[bytes]) -> set[bytes]:
    """Those of the hashes that are tombstones."""
    wanted = sorted(hashes)
    buried: set[bytes] = set()
    for part in in_parts(wanted):
        statement = select(tombstone.c.keyed_hash).where(tombstone.c.keyed_hash.in_(part))
        buried.update(bytes(each) for each in connection.execute(statement).scalars())
    return buried


def is_known(database: Database, key: bytes) -> bool:
    """False if the tombstones of this log were made with another key, which then stop nothing any more.

    The first key that a log is opened with leaves its mark there.
    """
    mark = hmac.new(key, b"agentmem tombstones", hashlib.sha256).digest()[:16]
    return hmac.compare_digest(_setting(database, _MARK, unset=mark), mark)


def _key_in_file(path: Path, lock: WriteLock) -> bytes:
    if not path.exists():
        with lock.hold():
            # Two processes that open a new log at once must not work with two keys.
            if not path.exists():
                _make_key(path)
    try:
        key = path.read_bytes()
    except OSError as error:
        raise BackendError(f"{path}: the key of the tombstones cannot be read: {error.strerror}.") from error
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            f"{path}: {len(key)} bytes are not the key of the tombstones.",
            hint="Restore it from a backup; with a new one, imports may bring back what was forgotten.",
        )
    return key


def _make_key(path: Path) -> None:
    new = path.with_name(path.name + ".new")
    # open() rather than os.open(): on Windows that would turn a newline among the random bytes into two.
    with open(new, "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(os.urandom(_KEY_BYTES))
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def _setting(database: Database, name: str, *, unset: bytes) -> bytes:
    """The value of a setting; ``unset`` if it had none, which it keeps. Of two processes that set it the first wins."""

    def read(connection: Connection) -> bytes | None:
        value = connection.execute(select(setting.c.value).where(setting.c.name == name)).scalar()
        return bytes(value) if value is not None else None

    with database.reading() as connection:
        found = read(connection)
    if found is None:
        with database.writing() as connection:
            connection.execute(_SET, {"name": name, "value": unset})
            found = read(connection)
    assert found is not None
    return found
