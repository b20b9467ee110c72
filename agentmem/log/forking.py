"""No connection crosses a fork.

SQLite keeps its file locks in tables of the process. A child that is forked while a connection is open inherits
tables that say it holds locks which it does not, or which nobody will ever release. So a fork waits for the
transactions that run, the parent closes its connections before it, and each side opens its own afterwards.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Lets any number of transactions through, and none while it is shut."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_shut = False

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Wait until the gate is open, and keep ``shut`` waiting until the block is left. Not to be nested."""
        with self._changed:
            while self._is_shut:
                self._changed.wait()
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                if self._is_shut:
                    self._changed.notify_all()

    def shut(self, timeout_s: float) -> None:
        """Let nobody in any more, and wait until all are out or the time is."""
        with self._changed:
            self._is_shut = True
            self._changed.wait_for(lambda: self._inside == 0, timeout_s)

    def open(self) -> None:
        with self._changed:
            self._is_shut = False
            self._changed.notify_all()
