"""Facts brought to where they stand, after the writes that touched their keys."""

from __future__ import annotations

from typing import Final

from agentmem.errors import AgentMemError
from agentmem.interfaces import EpisodicLog
from agentmem.lifecycle.jobs import Pause, Stopped
from agentmem.lifecycle.supersession import decide
from agentmem.records import Finding

_KEYS_AT_ONCE: Final = 100


class Settling:
    """Settles the keys that writes left to be settled: behind the log as a job, or at once by ``drain``."""

    is_needed = True
    """Whoever stores a fact leaves a key to settle, whether there is an extractor or not."""

    def __init__(self, log: EpisodicLog) -> None:
        self._log = log
        self._trouble = ""

    def run(self, pause: Pause) -> bool:
        """Settle all there is; True if nothing is left."""
        return self._settle(pause)

    def drain(self) -> None:
        """Settle all there is, before whoever changed a fact reads on. What fails is left to the job: never raises."""
        self._settle(None)

    def check(self) -> list[Finding]:
        """What ``verify`` reports: trouble, if there was any."""
        if not self._trouble:
            return []
        return [Finding("supersession", False, self._trouble, "It is tried again on its own.")]

    def after_fork(self) -> None:
        return

    def _settle(self, pause: Pause | None) -> bool:
        try:
            while self._log.settle(decide, limit=_KEYS_AT_ONCE):
                if pause is not None and pause(0):
                    raise Stopped
        except AgentMemError as error:
            self._trouble = error.message
            return False
        self._trouble = ""
        return True
