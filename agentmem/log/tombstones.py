"""Keyed hashes of what was erased: enough to refuse its return, nothing to read it from.

The key of a SQLite log lies in a file beside it (0600), so that the database alone, or a backup of it, does not
tell whether a known id was erased. A PostgreSQL log keeps it in its ``setting`` table unless it is given a file.

Subjects (whose memory it was) are hashed in two steps, so that an erasure that goes on after a crash needs no name:
the key and the subject make the subject's own key, and that and an id make a tombstone.

A session that a turn was forgotten of, or was private in, has one too: what of it is sent again is not taken for new.
Of words there is none: who has the key could guess at them.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

from sqlalchemy import Connection, insert, select

from agentmem.errors import BackendError, ConfigError
from agentmem.log import settings
from agentmem.log.engine import Database
from agentmem.log.reading import in_parts
from agentmem.log.schema import partition, tombstone, version
from agentmem.log.writelock import WriteLock

GO_ON: Final = "To go on without what it is good for, open the log once with accept_missing_journal=True."
_KEY_BYTES: Final = 32
_KEY: Final = "tombstone_key"
_MARK: Final = "tombstone_key_mark"


def load_key(database: Database, key_file: Path | None, *, is_bound: Callable[[], bool]) -> bytes:
    """The key of this log, made at its first opening, when it leaves its mark in the database.

    Args:
        is_bound: Whether only the key that left the mark will do; asked if it is gone, or another one is there.

    Raises:
        ConfigError: it is bound to a key that is not to be had.
    """
    if key_file is None:
        key_file = default_key_file(database.path)
    with database.reading() as connection:
        is_marked = settings.read(connection, _MARK) is not None
        is_there = settings.read(connection, _KEY) is not None if key_file is None else key_file.exists()
    if is_marked and not is_there and is_bound():
        raise _without_its_key(database, key_file)
    key = (
        settings.settled(database, _KEY, unset=os.urandom(_KEY_BYTES))
        if key_file is None
        else _key_in_file(key_file, database.lock)
    )
    mark = hmac.digest(key, b"agentmem tombstones", "sha256")[:16]
    if not hmac.compare_digest(settings.settled(database, _MARK, unset=mark), mark):
        if is_bound():
            raise _without_its_key(database, key_file)
        with database.writing() as connection:
            settings.write(connection, _MARK, mark)
    return key


def default_key_file(path: Path | None) -> Path | None:
    """Where the key of a SQLite file lies unless it is told otherwise."""
    return None if path is None else path.with_name(path.name + ".key")


def subject_key(key: bytes, owner: Mapping[str, str]) -> bytes:
    """32 bytes of HMAC-SHA256 over tenant and owner.

    The owner is the user whatever the agent, or the agent of a layer without user: what a person had forgotten
    does not come back by way of another agent.
    """
    subject = (owner["tenant"], owner["user_id"], "" if owner["user_id"] else owner["agent_id"])
    # Lengths first: no two different tuples may read the same.
    parts = [part.encode("utf-8") for part in subject]
    message = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return hmac.digest(key, message, "sha256")


def keyed_hash(subject: bytes, id: str) -> bytes:
    """16 bytes of HMAC-SHA256 over the id, by the subject's key: a tombstone."""
    return hmac.digest(subject, id.encode("utf-8"), "sha256")[:16]


def session_mark(subject: bytes, session: str | None) -> bytes:
    """The tombstone that a session has once a turn of it was forgotten or private; without one, that any turn was."""
    # No id begins with a NUL.
    return keyed_hash(subject, f"\0{session or ''}")


def subject_hash(subject: bytes) -> bytes:
    """16 bytes by which receipts name a subject; nothing that could make tombstones."""
    return hashlib.sha256(subject).digest()[:16]


def bury(connection: Connection, hashes: Iterable[bytes], *, at: int) -> list[bytes]:
    """Keep the hashes; those that were new, ascending."""
    wanted = set(hashes)
    new = sorted(wanted - found(connection, wanted))
    if new:
        connection.execute(insert(tombstone), [{"keyed_hash": each, "erased_at": at} for each in new])
    return new


def found(connection: Connection, hashes: Iterable[bytes]) -> set[bytes]:
    """Those of the hashes that are tombstones."""
    wanted = sorted(hashes)
    buried: set[bytes] = set()
    for part in in_parts(wanted):
        statement = select(tombstone.c.keyed_hash).where(tombstone.c.keyed_hash.in_(part))
        buried.update(bytes(each) for each in connection.execute(statement).scalars())
    return buried


def forgotten(connection: Connection, subject: bytes, ids: Iterable[str]) -> set[str]:
    """Those of the ids that were erased, or that lie where all is to be erased, which may take a while."""
    by_hash = {keyed_hash(subject, id): id for id in ids}
    gone = {by_hash[each] for each in found(connection, by_hash)}
    left = sorted(set(by_hash.values()) - gone)
    for part in in_parts(left):
        statement = (
            select(version.c.id)
            .join(partition, version.c.partition_id == partition.c.id)
            .where(partition.c.user_id == subject.hex(), partition.c.doomed_by.is_not(None), version.c.id.in_(part))
        )
        gone.update(connection.execute(statement).scalars())
    return gone


def every(connection: Connection) -> list[bytes]:
    """All tombstones, ascending."""
    return [bytes(each) for each in connection.execute(select(tombstone.c.keyed_hash).order_by("keyed_hash")).scalars()]


def are_there(connection: Connection) -> bool:
    """Whether anything was ever forgotten here."""
    return connection.execute(select(tombstone.c.keyed_hash).limit(1)).first() is not None


def _without_its_key(database: Database, key_file: Path | None) -> ConfigError:
    what = f"{database.place} knows what was forgotten by a key"
    if key_file is None:
        return ConfigError(f"{what}, and was not told where that is.", hint=f"Give it: tombstone_key_file=… {GO_ON}")
    found = "is another one" if key_file.exists() else "is not there"
    return ConfigError(
        f"{what}, and {key_file} {found}: an import or a backup could bring back what was forgotten.",
        hint=f"Put the file back, or name its place: tombstone_key_file=… {GO_ON}",
    )


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
