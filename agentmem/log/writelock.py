"""One writer at a time for a SQLite file, across threads and processes, with room for a safe checkpoint.

SQLite before 3.51.3 can corrupt a database when one connection checkpoints while another writes. So a writer
holds this lock from before its transaction until after the checkpoint that may follow it. Readers never take it.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from agentmem.errors import BackendError, StoreBusy

if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_FIRST_PAUSE_S: Final = 0.0005
_LONGEST_PAUSE_S: Final = 0.01


class WriteLock:
    """A lock on a file beside the database; ``path=None`` locks between threads only (a database in memory)."""

    def __init__(self, path: Path | None, *, timeout_s: float) -> None:
        self._path = path
        self._timeout_s = timeout_s
        self._threads = threading.Lock()
        self._descriptor = -1
        self._pid = -1

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            StoreBusy: it was not free within the timeout.
        """
        deadline = time.monotonic() + self._timeout_s
        if not self._threads.acquire(timeout=self._timeout_s):
            raise self._busy()
        try:
            if self._path is None:
                yield
                return
            descriptor = self._open()
            self._wait(descriptor, deadline)
            try:
                yield
            finally:
                _unlock(descriptor)
        finally:
            self._threads.release()

    def close(self) -> None:
        with self._threads:
            if self._descriptor >= 0 and self._pid == os.getpid():
                os.close(self._descriptor)
            self._descriptor = -1

    def after_fork(self) -> None:
        """Let go of the parent's lock: a forked child shares its open file and would share its lock."""
        if self._descriptor >= 0:
            # This does not unlock it for the parent; left open, it would keep the lock of a parent that is killed.
            os.close(self._descriptor)
        self._threads = threading.Lock()
        self._descriptor = -1

    def _open(self) -> int:
        if self._descriptor < 0 or self._pid != os.getpid():
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0)
            try:
                self._descriptor = os.open(str(self._path), flags, 0o600)
            except OSError as error:
                raise BackendError(
                    f"{self._path}: cannot be opened for writing: {error.strerror}; nothing was written.",
                    hint="Check the rights of the folder and the space on its disk.",
                ) from error
            self._pid = os.getpid()
        return self._descriptor

    def _wait(self, descriptor: int, deadline: float) -> None:
        pause_s = _FIRST_PAUSE_S
        while not try_lock(descriptor):
            if time.monotonic() >= deadline:
                raise self._busy()
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _busy(self) -> StoreBusy:
        return StoreBusy(
            f"{self._path or 'The database'}: another writer held it for {self._timeout_s:g} s; nothing was written.",
            hint="Try again, or look for a process that hangs in a write.",
        )
