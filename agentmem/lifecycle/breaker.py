"""Leaving a backend alone that fails: a circuit breaker, below the retries of ``lifecycle.jobs``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, TypeVar

from agentmem.errors import BackendError, RequestRejected

T = TypeVar("T")

_LONGEST_REST_S: Final = 3600.0


class Breaker:
    """Makes no call for a while after so many failures in a row; then one call tries, and decides for the others.

    What a failing backend says of when to come back is honoured, up to an hour. A request that it rejects is no
    failure: it is there.

    Args:
        who: What is called, for messages.
        opens_after: Failures in a row.
        rests_s: Seconds without a call.
        clock: Seconds that only go forward; for tests.
    """

    def __init__(
        self, who: str, *, opens_after: int = 5, rests_s: float = 30.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._who = who
        self._opens_after = opens_after
        self._rests_s = rests_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._resumes_at: float | None = None
        self._reason = ""
        self._is_trying = False

    def call(self, call: Callable[[], T]) -> T:
        """What the call returns.

        Raises:
            BackendError: what the call raised; or that none is made now, and for how long (``retry_after_s``).
        """
        self._admit()
        try:
            answer = call()
        except RequestRejected:
            self._succeed()
            raise
        except BackendError as error:
            self._fail(error)
            raise
        except BaseException:
            # Stopped midway: neither a success nor a failure, but the next one may try.
            self._is_trying = False
            raise
        self._succeed()
        return answer

    def rest(self, seconds: float, reason: str) -> None:
        """Make no call for so long, and give that reason."""
        with self._lock:
            self._reason = reason
            self._resumes_at = max(self._resumes_at or 0, self._clock() + min(seconds, _LONGEST_REST_S))

    def _admit(self) -> None:
        with self._lock:
            if self._resumes_at is None:
                return
            left_s = self._resumes_at - self._clock()
            if left_s > 0 or self._is_trying:
                raise BackendError(
                    f"{self._who} is left alone for {max(left_s, 1):.0f} s. {self._reason}",
                    retry_after_s=max(left_s, 1.0),
                )
            self._is_trying = True

    def _succeed(self) -> None:
        with self._lock:
            self._failures = 0
            self._resumes_at = None
            self._is_trying = False

    def _fail(self, error: BackendError) -> None:
        with self._lock:
            self._failures += 1
            self._is_trying = False
            is_open = self._failures >= self._opens_after
        wanted_s = max(self._rests_s if is_open else 0, error.retry_after_s or 0)
        if wanted_s:
            self.rest(wanted_s, error.message)
