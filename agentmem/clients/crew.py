"""Threads that work for wrapped clients: at most so many at once, kept for the next call, never in a program's way."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextvars import Context, copy_context
from typing import Any, Final, TypeVar

from agentmem.errors import BackendError, StoreBusy
from agentmem.forked import start_clean

T = TypeVar("T")

_LINGER_S: Final = 5.0
_STUCK_S: Final = 1.0
"""When nobody has begun or finished anything for so long, whoever would stand in line is told at once."""
_Job = tuple["Future[Any]", Context, Callable[[], Any]]


class Crew:
    """Does work in threads; with all of them busy, more work stands in line, and with all of them stuck it is refused.

    They are daemons: a program may end though a log hangs. Whoever needs work done before that waits for its future,
    and cancels it if it has waited long enough: what nobody has begun is not done then.

    Args:
        size: Threads at once.
        line: How much work may wait for one of them.
        is_patient: Work waits in line behind those who are stuck, too.
    """

    def __init__(self, size: int, *, line: int = 0, is_patient: bool = False) -> None:
        self._size = size
        self._line = line
        self._is_patient = is_patient
        start_clean(self)

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._waiting: deque[_Job] = deque()
        self._working = 0
        self._idle = 0
        self._moved_at = 0.0

    def start(self, work: Callable[[], T]) -> Future[T]:
        """The work's future; it runs in a copy of the caller's context, and fails with nothing but an Exception.

        Raises:
            StoreBusy: everyone is at work. RuntimeError: there are no more threads, or the interpreter is ending.
        """
        future: Future[T] = Future()
        job = (future, copy_context(), work)
        with self._lock:
            if self._working >= self._size:
                self._stand_in_line(job)
                return future
            self._working += 1
            self._moved_at = time.monotonic()
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

    def _stand_in_line(self, job: _Job) -> None:
        if len(self._waiting) >= self._line:
            self._waiting = deque(each for each in self._waiting if not each[0].cancelled())
        is_stuck = time.monotonic() - self._moved_at > _STUCK_S and not self._is_patient
        if is_stuck or len(self._waiting) >= self._line:
            raise StoreBusy("Memory is still busy with earlier calls.")
        self._waiting.append(job)

    def _serve(self, job: _Job | None) -> None:
        jobs = self._jobs
        while job is not None:
            job = self._do(*job)  # not kept longer than that: it holds what was said
            try:
                job = job or jobs.get(timeout=_LINGER_S)
            except queue.Empty:
                job = self._left_over(jobs)

    def _do(self, future: Future[Any], context: Context, work: Callable[[], Any]) -> _Job | None:
        """Do it, and give the next that waits in line."""
        failed: Exception | None = None
        result = None
        try:
            if future.set_running_or_notify_cancel():
                result = context.run(work)
        except BaseException as error:  # noqa: BLE001  handed to whoever waits
            failed = as_trouble(error)
        with self._lock:
            # Before anybody hears of it: who has waited for the work may start the next.
            self._moved_at = time.monotonic()
            following = self._waiting.popleft() if self._waiting else None
            if following is None:
                self._working -= 1
                self._idle += 1
        if failed is not None:
            future.set_exception(failed)
        elif not future.cancelled():
            future.set_result(result)
        return following

    def _left_over(self, jobs: queue.SimpleQueue[_Job]) -> _Job | None:
        """A job that came at the last moment; None if the thread may go."""
        with self._lock:
            try:
                return jobs.get_nowait()
            except queue.Empty:
                self._idle -= 1
                return None


def as_trouble(error: BaseException) -> Exception:
    """The error as one that is memory's own: what ends a thread of ours must not end the caller's.

    A panic of an extension in Rust is no ``Exception``, nor is a cancellation or an exit that was meant for the thread.
    """
    if isinstance(error, Exception):
        return error
    trouble = BackendError(f"Memory broke off with a {type(error).__name__}.")
    trouble.__cause__ = error
    return trouble
