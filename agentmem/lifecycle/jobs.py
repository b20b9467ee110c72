"""Work behind the log: one thread that comes when it is woken and goes when there is nothing to do."""

from __future__ import annotations

import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

from agentmem.errors import AgentMemError, BackendError

T = TypeVar("T")

Pause = Callable[[float], bool]
"""Waits that many seconds; True as soon as the work must stop."""

_CALM_S: Final = 0.05
_PATIENCE_S: Final = 1.0
_LINGER_S: Final = 1.0
_RETRY_S: Final = 30.0
_GLANCE_S: Final = 0.2


class Job(Protocol):
    """What a worker does."""

    @property
    def is_needed(self) -> bool:
        """False if there can never be anything to do: the worker then has no thread."""

    def run(self, pause: Pause) -> bool:
        """Do all there is, or until ``pause`` says stop; True if nothing is left."""

    def after_fork(self) -> None:
        """Forget locks: a child inherits them as they were held."""


class Jobs:
    """Several jobs as one, each after the other; what fails in one holds up no other."""

    def __init__(self, *jobs: Job) -> None:
        self._jobs = jobs

    @property
    def is_needed(self) -> bool:
        return any(job.is_needed for job in self._jobs)

    def run(self, pause: Pause) -> bool:
        # Every one of them runs, whatever the ones before it left.
        finished = [job.run(pause) for job in self._jobs if job.is_needed]
        return all(finished)

    def after_fork(self) -> None:
        for job in self._jobs:
            job.after_fork()


class Stopped(Exception):
    """The work must stop before it is done; what is left is found again from the log."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """How often a failing call is tried, and how long the pauses grow: doubling, each shortened by chance."""

    tries: int = 5
    first_s: float = 0.5
    longest_s: float = 20.0

    def pauses(self) -> Iterator[float]:
        """One pause fewer than tries, in seconds."""
        for number in range(self.tries - 1):
            # Jitter spreads processes that failed together.
            yield min(self.first_s * 2**number, self.longest_s) * random.uniform(0.5, 1.0)  # noqa: S311


def retried(call: Callable[[], T], *, backoff: Backoff, pause: Pause) -> T:
    """What the call returns, tried again after each BackendError, not before the backend wants to be asked again.

    Raises:
        BackendError: the last one, when every try failed, or one that asks for a pause longer than the longest.
        Stopped: the work must stop.
    """
    for pause_s in backoff.pauses():
        try:
            return call()
        except BackendError as error:
            wanted_s = max(pause_s, error.retry_after_s or 0)
            if wanted_s > backoff.longest_s:
                raise  # The job comes back on its own.
            if pause(wanted_s):
                raise Stopped from None
    return call()


class Worker:
    """Runs a job in one thread, started by the first ``wake`` and gone after a second without work.

    It gives way to those who wake it: it begins when they have been calm for a moment, or after a second, and while
    they are not, every ``pause`` of the job lasts that moment. Nobody waits for it but ``flush``, for which it hurries.
    The thread is not a daemon, so no write is ever cut in half, and it watches for the end of the program, so a
    manager that nobody closed does not keep the program alive. A job that could not finish is run again later.
    A forked child starts without a thread.
    """

    _thread: threading.Thread | None
    _asked: int
    _answered: int
    _woken_at: float
    _hurried: int
    _is_idle: bool

    def __init__(self, job: Job) -> None:
        self._job = job
        self._start_clean()
        _workers.add(self)

    def wake(self) -> None:
        """There may be something to do."""
        if self._job.is_needed:
            self._ask()

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until all that was asked for before is done; False if time ran out or some of it could not be done."""
        if not self._job.is_needed:
            return True
        with self._changed:
            self._hurried += 1
            try:
                asked = self._ask()
                self._changed.wait_for(lambda: self._answered >= asked or self._thread is None, timeout_s)
                return self._answered >= asked and self._finished
            finally:
                self._hurried -= 1

    def close(self, timeout_s: float = 10.0) -> None:
        """Finish what was begun, within the timeout, and end the thread. Closing twice is fine."""
        with self._changed:
            thread = self._thread
        if thread is not None:
            self.flush(timeout_s)
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _ask(self) -> int:
        with self._changed:
            self._asked += 1
            self._woken_at = time.monotonic()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="agentmem-worker")
                self._thread.start()
            if self._is_idle or self._hurried:
                self._changed.notify_all()
            return self._asked

    def _run(self) -> None:
        try:
            while self._has_work():
                self._give_way(_PATIENCE_S)
                asked = self._asked
                finished = False
                try:
                    finished = self._job.run(self._pause)
                except (AgentMemError, Stopped):
                    # The job keeps its own account of what failed; it is run again after a while.
                    finished = False
                finally:
                    self._answer(asked, finished)
        finally:
            self._leave()

    def _answer(self, asked: int, finished: bool) -> None:
        with self._changed:
            self._answered, self._finished = asked, finished
            self._changed.notify_all()

    def _has_work(self) -> bool:
        """Wait for something to do; False when the thread is to end."""
        with self._changed:
            retry_at = time.monotonic() + (_LINGER_S if self._finished else _RETRY_S)
            self._is_idle = True
            while self._asked == self._answered and not self._stopping() and time.monotonic() < retry_at:
                self._changed.wait(_GLANCE_S)
            self._is_idle = False
            if self._stopping() or (self._asked == self._answered and self._finished):
                # Still under the lock: the next ``wake`` either comes before and is seen, or starts a new thread.
                self._leave()
                return False
            return True

    def _leave(self) -> None:
        with self._changed:
            if self._thread is threading.current_thread():
                self._thread = None
                self._changed.notify_all()

    def _give_way(self, longest_s: float) -> None:
        """Wait until nobody has woken it for a moment."""
        deadline = time.monotonic() + longest_s
        with self._changed:
            while not (self._hurried or self._stopping()):
                left = min(deadline, self._woken_at + _CALM_S) - time.monotonic()
                if left <= 0:
                    return
                self._changed.wait(left)

    def _pause(self, seconds: float) -> bool:
        self._give_way(_CALM_S)
        deadline = time.monotonic() + seconds
        with self._changed:
            while not self._stopping() and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(min(left, _GLANCE_S))
            return self._stopping()

    def _stopping(self) -> bool:
        return self._closed or not threading.main_thread().is_alive()

    def _start_clean(self) -> None:
        self._changed = threading.Condition()
        self._thread = None
        self._asked = 0
        self._answered = 0
        self._woken_at = 0.0
        self._hurried = 0
        self._is_idle = False
        self._finished = True
        self._closed = False


_workers: Final[weakref.WeakSet[Worker]] = weakref.WeakSet()


def _start_clean_in_child() -> None:
    for worker in _workers:
        worker._start_clean()
        worker._job.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_clean_in_child)
