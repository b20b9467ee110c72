"""Turns that the log could not take in time: on disk, fsynced, until it has them.

    agentmem.db.spill/
        lock                  held by whoever stores what lies here, or is about to erase
        <UUIDv7>.jsonl        the turns of one call, a line each: JSON, and its CRC-32

Every turn has an idempotency key, so it does not matter who stores it how often: its own call, which was only late;
the worker, when the log is back; another process, when this one died. A file is removed when its turns are in the
log. While the call's own write may still come through, the file is locked: ``forget`` waits for that, since what was
erased must not come back behind it. Of this process it waits for every write, whether it has a file or not.

All of it is in the clear, so a sealed log has none.
"""

from __future__ import annotations

import json
import logging
import os
import re
import secrets
import threading
import time
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from agentmem.clock import Clock, utc_now
from agentmem.errors import IdempotencyConflict, InvalidInput, ScopeError, StoreBusy
from agentmem.lifecycle.jobs import Pause
from agentmem.log.writelock import WriteLock, try_lock
from agentmem.records import Finding, Scope, Turn

log = logging.getLogger("agentmem.clients")

NEVER_STORED: Final = (InvalidInput, IdempotencyConflict, ScopeError)
"""What no later try changes."""
MAX_BYTES: Final = 64 << 20
"""So much may lie in the spill files of one process."""
_PATIENCE_S: Final = 30.0
_GLANCE_S: Final = 0.01
_BEGINS_S: Final = 1.0
"""Older than that, a file that nobody has locked was not just begun."""
_ENOUGH: Final = 3
_PAUSES_S: Final = (0.5, 1.0, 2.0)
_TURNS_AT_ONCE: Final = 500
_COUNTER_BITS: Final = 12
_OWNER: Final = re.compile(r'said:[^"\n]{1,80}","scope":')
"""Stands before the scope in every line that a client wrote; what was said cannot hold it, its quotes are escaped."""
_SUFFIX: Final = ".jsonl"
_UNFINISHED: Final = ".new"


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """Turns that lie in a file; ``descriptor`` holds its lock while their own write may still come through."""

    path: Path
    scope: Scope
    bytes: int
    descriptor: int | None


class Spill:
    """The spill files of one log, as this process uses them. Thread-safe; a job of the manager's worker.

    Args:
        folder: Where they lie, made when it is first needed; None keeps nothing.
        store: Puts turns into the log.
        max_bytes: Most of what this process may have lying there.
        clock: Says when what is kept was said.
    """

    def __init__(
        self,
        folder: Path | None,
        *,
        store: Callable[[Sequence[Turn], Scope], object],
        max_bytes: int = MAX_BYTES,
        clock: Clock = utc_now,
    ) -> None:
        self.folder = folder
        self.lost_turns = 0
        """Turns that lay here and that the log would not take, or that could not be read any more."""
        self.wake: Callable[[], None] = _nobody
        """Tells whoever runs this job that there is something to do."""
        self._store = store
        self._max_bytes = max_bytes
        self._clock = clock
        path = folder / "lock" if folder is not None else None
        self._patient = WriteLock(path, timeout_s=_PATIENCE_S)
        self._hasty = WriteLock(path, timeout_s=0.0)
        self._lock = threading.Lock()
        self._own: dict[Path, Kept] = {}
        self._sessions: Counter[Scope] = Counter()
        self._bytes = 0
        self._under_way: dict[Future[None], Scope] = {}
        self._last_place: int | None = None
        self.is_needed = bool(self.files())

    # --- keeping

    def begin(self, scope: Scope, ended: Future[None]) -> int:
        """Know of a write until it has ended, whether or not it will ever lie here; its place among all that was said.

        Places rise whatever the clock does: each stands behind those given before, and behind all that lies here.
        """
        now = time.time_ns() // 1_000_000 << _COUNTER_BITS
        with self._lock:
            self._under_way[ended] = scope
            if self._last_place is None:
                self._last_place = max(map(_place_of, self.files()), default=0)
            self._last_place = place = max(now, self._last_place + 1)
        ended.add_done_callback(self._ended)
        return place

    def _ended(self, ended: Future[None]) -> None:
        with self._lock:
            self._under_way.pop(ended, None)

    def keep(self, turns: Sequence[Turn], scope: Scope, place: int, *, is_written: bool = False) -> Kept | None:
        """The turns, durably on disk; None if they could not be put there.

        Args:
            turns: With idempotency keys.
            place: Theirs among all that was said: ``begin`` gave it.
            is_written: Their own write is still under way: ``stored`` or ``left`` follows.
        """
        if self.folder is None:
            return None
        now = self._clock()
        lines = b"".join(_line(scope, replace(turn, occurred_at=turn.occurred_at or now)) for turn in turns)
        if self._bytes + len(lines) > self._max_bytes:
            return None
        try:
            path, descriptor = _written(self.folder, _name(place), lines, is_held=is_written)
        except OSError as error:
            log.error("What could not be stored could not be spilled either: %s", error.strerror)
            return None
        kept = Kept(path, scope, len(lines), descriptor)
        with self._lock:
            self._own[path] = kept
            self._sessions[scope] += 1
            self._bytes += kept.bytes
            self.is_needed = True
        self.wake()
        return kept

    def stored(self, kept: Kept) -> None:
        """Its own write came through."""
        kept.path.unlink(missing_ok=True)
        self._let_go(kept.path)
        self.left(kept)

    def left(self, kept: Kept) -> None:
        """Its own write did not come through: from now on it is stored from here."""
        if kept.descriptor is not None:
            os.close(kept.descriptor)
        self.wake()

    def holds(self, scope: Scope) -> bool:
        """Whether turns of exactly this scope and session, of this process, may lie here."""
        return self._sessions[scope] > 0

    # --- storing

    def replay(self, scope: Scope | None = None) -> None:
        """Store what lies here: of one session of this process, or all there is, other processes' too.

        Raises:
            Exception: something is left; of one session: what comes later must stand behind it.
        """
        if self.folder is None or not self.folder.exists():
            return
        with self._hasty.hold():
            with self._lock:
                own = {path: kept.scope for path, kept in self._own.items()}
            paths = self.files() if scope is None else sorted(path for path, each in own.items() if each == scope)
            failed = self._replay(list(_files(paths)))
            _remove_unfinished(paths)
            self._drop([torn for torn in _torn(paths) if torn.is_blank])
            for path in own:
                if not path.exists():
                    self._let_go(path)  # another process may have stored it
        if failed:
            raise failed[0]

    def run(self, pause: Pause) -> bool:
        for pause_s in (*_PAUSES_S, None):
            with suppress(Exception):  # the log may fail in any way; what lies here is still there
                self.replay()
            files = self.files()
            self.is_needed = any(_files(files)) or any(path.suffix == _UNFINISHED for path in files)
            if not self.is_needed or pause_s is None or pause(pause_s):
                break
        return not self.is_needed

    def look(self) -> bool:
        """Whether anything lies here, of this process or of others."""
        self.is_needed = self.is_needed or bool(self.files())
        return self.is_needed

    # --- forgetting

    def clear(self, scope: Scope, *, drops: bool = False) -> None:
        """Store everything that is on its way and that the scope may change, so that it can be erased.

        Args:
            drops: What cannot be stored, or not even be read, is dropped: it was to be erased anyway.

        Raises:
            AgentMemError: something is left; nothing may be erased.
        """
        deadline = time.monotonic() + _PATIENCE_S
        self._wait_for_writes(scope, deadline)
        if not self.files():
            return
        with self._patient.hold():
            for path in self.files():
                _wait_until_finished(path, deadline)
            files = [file for file in _files(self.files()) if _may_change(scope, file.scope)]
            failed = self._replay(files)
            if failed and not drops:
                raise StoreBusy(
                    f"{self.folder}: turns that wait to be stored cannot be; nothing was forgotten.",
                    hint="Try again once the log can be written to.",
                ) from failed[0]
            for file in files:
                _wait_for_its_write(file.path, deadline)
                file.path.unlink(missing_ok=True)
                self._let_go(file.path)
            torn = [each for each in _torn(self.files()) if each.scope is not None and _may_change(scope, each.scope)]
            self._drop(torn if drops else [])

    def _wait_for_writes(self, scope: Scope, deadline: float) -> None:
        with self._lock:
            writes = [ended for ended, own in self._under_way.items() if _may_change(scope, own)]
        if wait(writes, max(deadline - time.monotonic(), 0)).not_done:
            raise _still_stored("What was said in a wrapped client")

    def files(self) -> list[Path]:
        """The files that hold turns, in the order in which they were kept."""
        if self.folder is None:
            return []
        try:
            names = os.listdir(self.folder)
        except OSError:
            return []
        return [self.folder / name for name in sorted(names) if name.endswith((_SUFFIX, _UNFINISHED))]

    def has(self, scope: Scope) -> bool:
        """Whether anything is on its way that the scope may change, or may be that."""
        with self._lock:
            scopes = list(self._under_way.values())
        return bool(self.files()) or any(_may_change(scope, own) for own in scopes)

    def unreadable(self, scope: Scope | None = None) -> list[Path]:
        """Files that nobody can read any more: those that may be the scope's, or all."""
        return [
            torn.path
            for torn in _torn(self.files())
            if scope is None or torn.scope is None or _may_change(scope, torn.scope)
        ]

    def check(self) -> tuple[Finding, ...]:
        """What ``verify`` says of it."""
        turns = sum(len(file.turns) for file in _files(self.files()))
        detail = f"{turns:,} turns wait to be stored" if turns else "no turn waits to be stored"
        if unreadable := self.unreadable():
            detail = f"{detail}; {len(unreadable)} files in {self.folder} are unreadable"
            return (Finding("spill", False, detail, "Look at them, and remove them."),)
        remedy = "flush() stores them once the log can be written to." if turns else ""
        return (Finding("spill", not turns, detail, remedy),) if self.folder is not None else ()

    def close(self) -> None:
        """Store nothing any more; what lies here, or comes here yet, is stored by the next who opens the log."""
        self._patient.close()
        self._hasty.close()

    def after_fork(self) -> None:
        self._patient.after_fork()
        self._hasty.after_fork()
        self._lock = threading.Lock()
        for kept in self._own.values():
            if kept.descriptor is not None:
                os.close(kept.descriptor)  # the lock is the parent's, and must end with it
        self._own.clear()
        self._sessions.clear()
        self._under_way.clear()
        self._bytes = 0

    # --- how

    def _let_go(self, path: Path) -> None:
        with self._lock:
            kept = self._own.pop(path, None)
            if kept is not None:
                self._bytes -= kept.bytes
                self._sessions[kept.scope] -= 1
                if not self._sessions[kept.scope]:
                    del self._sessions[kept.scope]

    def _replay(self, files: Sequence[_File]) -> list[Exception]:
        """Store the turns of these files, each session's in order; why some are left."""
        sessions: defaultdict[Scope, list[_File]] = defaultdict(list)
        for file in files:
            sessions[file.scope].append(file)
        failed: list[Exception] = []
        for each in sessions.values():
            try:
                for part in _parts(each):
                    self._store_part(part)
            except Exception as error:  # noqa: BLE001  a log may fail in any way; what lies here is still there
                failed.append(error)
                if len(failed) == _ENOUGH:
                    break  # it is the log, not the session
        return failed

    def _store_part(self, part: Sequence[_File]) -> None:
        try:
            self._store([turn for file in part for turn in file.turns], part[0].scope)
        except NEVER_STORED as error:
            if len(part) > 1:
                for file in part:
                    self._store_part([file])
                return
            self._lose(len(part[0].turns), error.code)
        for file in part:
            if file.damaged:
                self._lose(file.damaged, "damaged")
            if _removed(file.path):
                self._let_go(file.path)

    def _drop(self, files: Iterable[_Torn]) -> None:
        for file in files:
            if _removed(file.path):
                self._let_go(file.path)
                self._lose(file.lines, "damaged")

    def _lose(self, turns: int, why: str) -> None:
        self.lost_turns += turns
        log.error("%d spilled turns are lost: %s", turns, why)


def _nobody() -> None: ...


def _may_change(scope: Scope, own: Scope) -> bool:
    if (scope.tenant, scope.user) != (own.tenant, own.user):
        return False
    return scope.agent is None or scope.agent == own.agent


# --- files ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _File:
    """What can be read of a file; ``damaged`` lines are left out."""

    path: Path
    scope: Scope
    turns: list[Turn]
    damaged: int


@dataclass(frozen=True, slots=True)
class _Torn:
    """A file of which not one line can be read; ``scope`` is None where not even that is there any more."""

    path: Path
    scope: Scope | None
    lines: int
    is_blank: bool


def _files(paths: Iterable[Path]) -> Iterator[_File]:
    """Those of the files that are whole or nearly."""
    return (file for path in paths if isinstance(file := _read(path), _File))


def _torn(paths: Iterable[Path]) -> Iterator[_Torn]:
    """Those of the files that are not."""
    return (file for path in paths if isinstance(file := _read(path), _Torn))


def _parts(files: Iterable[_File]) -> Iterator[list[_File]]:
    """The files in groups of so many turns as one transaction may hold."""
    part: list[_File] = []
    for file in files:
        part.append(file)
        if sum(len(file.turns) for file in part) >= _TURNS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def _name(place: int) -> str:
    """A UUIDv7 as hex digits, with the place in its bits for milliseconds and those behind: names sort like places."""
    milliseconds, counter = place >> _COUNTER_BITS, place & (1 << _COUNTER_BITS) - 1
    value = milliseconds << 80 | 0x7 << 76 | counter << 64 | 0b10 << 62 | secrets.randbits(62)
    return f"{value:032x}"


def _place_of(path: Path) -> int:
    """The place in a file's name; 0 if it has none."""
    digits = path.name[:12] + path.name[13:16]
    return int(digits, 16) if re.fullmatch("[0-9a-f]{15}", digits) else 0


def _written(folder: Path, name: str, lines: bytes, *, is_held: bool) -> tuple[Path, int | None]:
    """A new file with the lines, durable; and the descriptor that holds its lock, if it is to be held."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{name}{_SUFFIX}"
    begun = path.with_name(path.name + _UNFINISHED)
    descriptor = os.open(begun, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0), 0o600)
    try:
        try_lock(descriptor)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(lines)
        os.fsync(descriptor)
        begun.rename(path)
        _sync_folder(folder)
    except BaseException:  # half a file is none, whatever stopped it
        begun.unlink(missing_ok=True)
        os.close(descriptor)
        raise
    if is_held:
        return path, descriptor
    os.close(descriptor)
    return path, None


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # Windows has no folders to open
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _removed(path: Path) -> bool:
    """Remove a file whose turns are in the log; False while their own write may still come: then that removes it."""
    with suppress(FileNotFoundError), _opened(path) as descriptor:
        if not try_lock(descriptor):
            return False
        path.unlink()
    return True


def _remove_unfinished(paths: Iterable[Path]) -> None:
    """Remove what a process that died was about to keep: nobody was told that it is kept."""
    for path in paths:
        with suppress(FileNotFoundError):
            if path.suffix == _UNFINISHED and time.time() - path.stat().st_mtime > _BEGINS_S:
                _removed(path)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _wait_for_its_write(path: Path, deadline: float) -> None:
    """Return when the write of the file's own call can come through no more.

    Raises:
        StoreBusy: that took too long.
    """
    with suppress(FileNotFoundError), _opened(path) as descriptor:
        while not try_lock(descriptor):
            if time.monotonic() > deadline:
                raise _still_stored(f"{path}: what lies here")
            time.sleep(_GLANCE_S)


def _wait_until_finished(path: Path, deadline: float) -> None:
    """Return when a file that was only begun has its name, or is removed because nobody is at it.

    Raises:
        StoreBusy: that took too long.
    """
    begun = time.monotonic()
    while path.suffix == _UNFINISHED and path.exists():
        if time.monotonic() > begun + _BEGINS_S:
            with suppress(FileNotFoundError):
                _removed(path)
        if time.monotonic() > deadline:
            raise _still_stored(f"{path}: what lies here")
        time.sleep(_GLANCE_S)


def _still_stored(what: str) -> StoreBusy:
    return StoreBusy(
        f"{what} is still being stored, and could come back; nothing was forgotten.",
        hint="Try again, or look for a process of yours that hangs in a write.",
    )


def _line(scope: Scope, turn: Turn) -> bytes:
    body = {
        "key": turn.idempotency_key,
        "scope": [scope.tenant, scope.user, scope.agent, scope.session],
        "role": turn.role,
        "speaker": turn.speaker,
        "said_at": turn.occurred_at.isoformat() if turn.occurred_at else None,
        "metadata": turn.metadata,
        "content": turn.content,
    }
    encoded = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    return encoded + b" %08x\n" % zlib.crc32(encoded)


def _read(path: Path) -> _File | _Torn | None:
    """What a file holds, as far as it can be read; None if it has gone, or is not finished."""
    if path.suffix != _SUFFIX:
        return None
    try:
        written = path.read_bytes()
    except OSError:
        return None
    lines = written.splitlines()
    bodies = [body for line in lines if (body := _decoded(line)) is not None]
    if not bodies:
        return _Torn(path, _owner_in(written), max(len(lines), 1), is_blank=not written.strip(b"\0"))
    tenant, user, agent, session = bodies[0]["scope"]
    turns = [
        Turn(
            body["content"],
            role=body["role"],
            speaker=body["speaker"],
            occurred_at=datetime.fromisoformat(body["said_at"]),
            metadata=body["metadata"],
            idempotency_key=body["key"],
        )
        for body in bodies
    ]
    return _File(path, Scope(user, agent, session, tenant), turns, len(lines) - len(bodies))


def _owner_in(written: bytes) -> Scope | None:
    """Whose the lines are, if what is left of them tells, and tells of one alone."""
    text = written.decode("utf-8", "replace")
    owners: set[Scope] = set()
    for match in _OWNER.finditer(text):
        with suppress(ValueError, TypeError, InvalidInput):
            tenant, user, agent, session = json.JSONDecoder().raw_decode(text, match.end())[0]
            owners.add(Scope(user, agent, session, tenant))
    return owners.pop() if len(owners) == 1 else None


def _decoded(line: bytes) -> dict[str, Any] | None:
    encoded, _, checksum = line.rpartition(b" ")
    if not encoded or checksum != b"%08x" % zlib.crc32(encoded):
        return None
    body: dict[str, Any] = json.loads(encoded)
    return body
