"""Threads that work for wrapped clients: at most so many at once, kept for the next call, never in a program's way."""

from __future__ import annotations

import os
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar

from agentmem.errors import StoreBusy

T = TypeVar("T")

_LINGER_S: Final = 5.0
_Job = tuple["Future[Any]", Context, Callable[[], Any]]


class Crew:
    """Does work in threads; with all of them stuck, more work is refused at once instead of waiting in line.

    They are daemons: a program may end though a log hangs. Whoever needs work done before that waits for its future.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._start_clean()
        _crews.add(self)

    def start(self, work: Callable[[], T]) -> Future[T]:
        """The work's future; it runs in a copy of the caller's context.

        Raises:
            StoreBusy: everyone is at work. RuntimeError: there are no more threads, or the interpreter is ending.
        """
        future: Future[T] = Future()
        job = (future, copy_context(), work)
        with self._lock:
            if self._working >= self._size:
                raise StoreBusy("Memory is still busy with earlier calls.")
            self._working += 1
            if self._idle:
                self._idle -= 1
                self._jobs.put(job)
                return future
        try:
            threading.Thread(target=self._serve, args=(job,), name="agentmem-wrap", daemon=True).start()
        except RuntimeError:
            with self._lock:
                self._working -= 1
            raise
        return future

    def _serve(self, job: _Job | None) -> None:
        jobs = self._jobs
        while job is not None:
            self._do(*job)
            del job  # it holds what was said
            try:
                job = jobs.get(timeout=_LINGER_S)
            except queue.Empty:
                job = self._left_over(jobs)

    def _do(self, future: Future[Any], context: Context, work: Callable[[], Any]) -> None:
        failed: BaseException | None = None
        result = None
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            failed = error
        with self._lock:
            # Before anybody hears of it: who has waited for the work may start the next.
            self._working -= 1
            self._idle += 1
        if failed is None:
            future.set_result(result)
        else:
            future.set_exception(failed)

    def _left_over(self, jobs: queue.SimpleQueue[_Job]) -> _Job | None:
        """A job that came at the last moment; None if the thread may go."""
        with self._lock:
            try:
                return jobs.get_nowait()
            except queue.Empty:
                self._idle -= 1
                return None

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._working = 0
        self._idle = 0


_crews: Final[weakref.WeakSet[Crew]] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    # A child has none of its parent's threads.
    for crew in _crews:
        crew._start_clean()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
