"""Which memories were answers: noted in passing, written behind the log a few seconds later.

A count that is lost costs nothing but a little of the prior, so nothing here ever fails or delays an answer.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Final

from agentmem.errors import AgentMemError
from agentmem.interfaces import EpisodicLog, Use

_EVERY_S: Final = 5.0
_MOST: Final = 10_000
"""So many different memories may wait; beyond that the ones noted first are given up."""


class Uses:
    """Counts answers until it is run, as a job of the worker or at ``write``. May be shared by threads.

    Args:
        every_s: It is due so long after the first answer that waits.
    """

    def __init__(
        self, log: EpisodicLog, *, every_s: float = _EVERY_S, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._monotonic = monotonic
        self._noted: Counter[tuple[int, str]] = Counter()
        self._since = 0.0
        self.lost = 0
        """Answers that were not counted: too many at once, or a log that takes no writes."""

    @property
    def is_due(self) -> bool:
        """True if it is time to wake the worker."""
        return bool(self._noted) and self._monotonic() - self._since >= self._every_s

    @property
    def is_needed(self) -> bool:
        return self.is_due

    def note(self, answers: Iterable[tuple[int, str]]) -> None:
        """These memories, as (partition, id), were answers."""
        # No lock, which a fork could leave held: what two threads do to one count at once may lose one of the two.
        noted = self._noted
        if not noted:
            self._since = self._monotonic()
        for answer in answers:
            noted[answer] += 1
        while len(noted) > _MOST:
            with suppress(StopIteration, KeyError, RuntimeError):  # another thread took it, or is adding one
                self.lost += noted.pop(next(iter(noted)))

    def run(self, pause: Callable[[float], bool]) -> bool:
        """Write what waits; nothing is left afterwards, written or not."""
        self.write()
        return True

    def write(self) -> None:
        """Write what waits, all at once."""
        noted, self._noted = self._noted, Counter()
        if not noted:
            return
        try:
            self._log.note_uses([Use(partition, id, accesses=count) for (partition, id), count in noted.items()])
        except AgentMemError:
            # A copy that is only read, another writer's long transaction, a closed log.
            self.lost += noted.total()

    def after_fork(self) -> None:
        # The parent writes what it noted.
        self._noted = Counter()
