"""A journal of what was erased, in a file outside the database: an older backup cannot bring any of it back.

Each line is ``<kind> <payload> <CRC-32>``; the first names the log. The database remembers how far it has followed
its journal. What comes after that it has not seen: it is an older backup (or a process died between journal and
commit), and ``replaying`` carries it out before anything is served, and before anything else is forgotten.

    J <id>        which journal this is
    F <id>        one that was lost, and that this one takes the place of
    T <hashes>    tombstones, 32 hexadecimal digits each
    S <subject>   all of a subject, recorded before any of it is erased
    R <receipt>   an entry of a tenant's chain of receipts, as JSON
    H <head>      where a tenant's chain stands after a restore, as JSON

The line comes before the commit: a forget that is in the journal and not in the database is carried out later,
the other way round a backup could undo one. A transaction that fails takes its lines back, since a forget that
raised must not happen after all; only a process that dies in between leaves them, and then to forget was the wish.
"""

from __future__ import annotations

import errno
import json
import os
import weakref
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from sqlalchemy import Connection

from agentmem.errors import BackendError, ConfigError, StoreFull
from agentmem.log import settings, tombstones
from agentmem.log.engine import BUSY_TIMEOUT_S
from agentmem.log.writelock import WriteLock

_SETTING: Final = "journal"
_ID_BYTES: Final = 16
_HASHES_A_LINE: Final = 1_000


class Line(NamedTuple):
    kind: str
    payload: str


class Followed(NamedTuple):
    """What a database knows of its journal: which it is, and how many bytes of it are carried out."""

    id: bytes
    offset: int


class Page:
    """The lines of one transaction."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._lines: list[Line] = []

    def bury(self, hashes: Sequence[bytes]) -> None:
        for start in range(0, len(hashes), _HASHES_A_LINE):
            self._lines.append(Line("T", b"".join(hashes[start : start + _HASHES_A_LINE]).hex()))

    def doom(self, subject: bytes) -> None:
        self._lines.append(Line("S", subject.hex()))

    def receipt(self, row: Mapping[str, Any]) -> None:
        self._lines.append(Line("R", _dumped(row)))

    def head(self, tenant: str, place: int, hash: bytes) -> None:
        self._lines.append(Line("H", _dumped({"tenant": tenant, "place": place, "hash": hash})))

    def keep(self, connection: Connection) -> None:
        """Write the lines durably, and let the transaction remember that its database has followed them."""
        if self._journal.path is None or not self._lines:
            return
        known = followed(connection)
        if known is None or known.offset > self._journal.size():
            # The file is younger than the database, or has lost its end: it gets what the database knows.
            whole = Page(self._journal)
            whole.bury(tombstones.every(connection))
            self._lines = whole._lines + self._lines
        end = self._journal.append(self._lines)
        follow(connection, Followed(self._journal.id(), end))
        self._lines = []


class Journal:
    """The file; with ``path=None`` there is none, and nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lock = WriteLock(path.with_name(path.name + ".lock") if path else None, timeout_s=BUSY_TIMEOUT_S)
        _open.add(self)

    @property
    def exists(self) -> bool:
        return self.path is not None and self.path.exists()

    def size(self) -> int:
        assert self.path is not None
        try:
            return self.path.stat().st_size
        except OSError as error:
            raise BackendError(
                f"{self.path}: the journal of what was forgotten is gone; nothing was written.",
                hint="Put the file back; without it a backup could bring back what was forgotten.",
            ) from error

    @contextmanager
    def writing(self, first: Callable[[Page], object] = lambda page: None) -> Iterator[Page]:
        """Lines for one transaction, which begins and ends inside the block; taken back if that raises.

        Args:
            first: What to do before, under the same lock, with a page and a transaction of its own.
        """
        if self.path is None:
            yield Page(self)
            return
        with self._lock.hold():
            with self._taken_back_if_it_raises(self.path):
                first(Page(self))
            with self._taken_back_if_it_raises(self.path):
                yield Page(self)

    @contextmanager
    def _taken_back_if_it_raises(self, path: Path) -> Iterator[None]:
        before = self.size()
        try:
            yield
        except BaseException:
            # Whatever it was, the database has undone it.
            with open(path, "r+b") as file:
                file.truncate(min(before, file.seek(0, os.SEEK_END)))
            raise

    def create(self, *, instead_of: bytes | None = None) -> None:
        """Begin a new file, readable by its owner only; one that another process began meanwhile stays."""
        beginning = [Line("J", os.urandom(_ID_BYTES).hex())]
        if instead_of is not None:
            beginning.append(Line("F", instead_of.hex()))
        assert self.path is not None
        new = self.path.with_name(self.path.name + ".new")
        with self._lock.hold():
            if self.path.exists():
                return
            try:
                os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600))
                _write_at_end(new, beginning)
                new.replace(self.path)
            except OSError as error:
                raise BackendError(f"{self.path}: the journal cannot be begun: {error.strerror}.") from error

    def id(self) -> bytes:
        first = next(self.lines(), None)
        if first is None or first.kind != "J":
            raise ConfigError(f"{self.path} is no journal of agentmem.", hint="Name another file: journal_file=…")
        return bytes.fromhex(first.payload)

    def takes_the_place_of(self, id: bytes) -> bool:
        return any(line == Line("F", id.hex()) for line in self.lines())

    def append(self, lines: Sequence[Line]) -> int:
        """Write the lines and wait for the disk; the file's size then."""
        assert self.path is not None
        try:
            return _write_at_end(self.path, lines)
        except OSError as error:
            kind = StoreFull if error.errno == errno.ENOSPC else BackendError
            raise kind(
                f"{self.path}: the journal of what is forgotten cannot be written ({error.strerror}); nothing changed.",
                hint="Free some space, or check the rights of the file.",
            ) from error

    def lines(self, after: int = 0, *, until: int | None = None) -> Iterator[Line]:
        """The lines from a byte on; a last one that a crash cut off is left out.

        Raises:
            BackendError: a line in the middle is damaged.
        """
        assert self.path is not None
        with open(self.path, "rb") as file:
            file.seek(after)
            place = after
            for raw in file:
                place += len(raw)
                if until is not None and place > until:
                    return
                line = _decoded(raw)
                if line is not None:
                    yield line
                elif raw.endswith(b"\n"):
                    raise BackendError(
                        f"{self.path}: damaged before byte {place:,}: what was forgotten cannot be read from it.",
                        hint="Restore the file from a copy.",
                    )

    def close(self) -> None:
        self._lock.close()

    def after_fork(self) -> None:
        self._lock.after_fork()


def default_journal_file(path: Path | None) -> Path | None:
    """Where the journal of a SQLite file lies unless it is told otherwise."""
    return None if path is None else path.with_name(path.name + ".journal")


def followed(connection: Connection) -> Followed | None:
    """How far the database has followed its journal; None if it never had one."""
    value = settings.read(connection, _SETTING)
    return None if value is None else Followed(value[:_ID_BYTES], int.from_bytes(value[_ID_BYTES:], "big"))


def follow(connection: Connection, state: Followed | None) -> None:
    value = None if state is None else state.id + state.offset.to_bytes(8, "big")
    settings.write(connection, _SETTING, value)


def parsed(payload: str) -> dict[str, Any]:
    """The row or head of a line; bytes are bytes again."""
    row: dict[str, Any] = json.loads(payload)
    return {name: bytes.fromhex(value[1]) if isinstance(value, list) else value for name, value in row.items()}


def buried(lines: Iterable[Line]) -> set[bytes]:
    """The tombstones among the lines."""
    found = (bytes.fromhex(line.payload) for line in lines if line.kind == "T")
    return {hashes[start : start + 16] for hashes in found for start in range(0, len(hashes), 16)}


def _dumped(row: Mapping[str, Any]) -> str:
    # A row has no lists of its own, so that one can stand for bytes.
    plain = {name: ["hex", value.hex()] if isinstance(value, bytes) else value for name, value in row.items()}
    return json.dumps(plain, separators=(",", ":"))


def _encoded(line: Line) -> bytes:
    body = f"{line.kind} {line.payload}".encode("ascii")
    return body + b" %08x\n" % zlib.crc32(body)


def _decoded(raw: bytes) -> Line | None:
    body, _, checksum = raw.rstrip(b"\n").rpartition(b" ")
    if not raw.endswith(b"\n") or checksum != b"%08x" % zlib.crc32(body):
        return None
    kind, _, payload = body.decode("ascii").partition(" ")
    return Line(kind, payload)


def _write_at_end(path: Path, lines: Sequence[Line]) -> int:
    data = b"".join(_encoded(line) for line in lines)
    with open(path, "r+b") as file:
        # A line that a crash cut off would swallow the next one.
        end = file.truncate(_end_of_last_line(file))
        file.seek(end)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return end + len(data)


def _end_of_last_line(file: BinaryIO) -> int:
    """Where the last whole line ends; looks at the end of the file only."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - (1 << 16))
        file.seek(start)
        newline = file.read(end - start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0


_open: Final[weakref.WeakSet[Journal]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for journal in list(_open):
        journal.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
