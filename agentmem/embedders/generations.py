"""Which vectors may be compared: the log's current generation against the embedder at hand."""

from __future__ import annotations

from typing import Protocol

from agentmem.errors import BackendError
from agentmem.interfaces import Embedder, Generation


class GenerationLog(Protocol):
    """The part of the log that generations need."""

    def generation(self) -> Generation | None: ...
    def start_generation(self, fingerprint: str, dimensions: int, embedder: str) -> Generation: ...


class Generations:
    """Tells whether the embedder's vectors belong to the log's current generation. Thread-safe.

    The fingerprint is computed once, when it is first needed: it runs the embedder on four probes.
    """

    def __init__(self, log: GenerationLog, embedder: Embedder | None) -> None:
        self._log = log
        self._embedder = embedder
        self._fingerprint: str | None = None
        self._number: int | None = None

    @property
    def fingerprint(self) -> str | None:
        """The embedder's, or None without one."""
        if self._embedder is None:
            return None
        # No lock: two threads may both compute it; a lock held at a fork would hang the child.
        if self._fingerprint is None:
            self._fingerprint = self._embedder.fingerprint()
        return self._fingerprint

    def ensure(self) -> Generation | None:
        """The log's generation if the embedder made it, else None; the first one of a log that has none is started."""
        if self._embedder is None or self.fingerprint is None:
            return None
        generation = self._log.generation()
        if generation is None:
            return self._log.start_generation(self.fingerprint, self._embedder.dimensions, self._embedder.name)
        return generation if generation.fingerprint == self.fingerprint else None

    def number_for_writes(self) -> int | None:
        """The generation that new vectors belong to; None where they must not be kept.

        Remembered: the log itself drops vectors of a generation that is no longer the current one.
        """
        if self._number is None:
            generation = self.ensure()
            self._number = generation.number if generation is not None else None
        return self._number

    def start_over(self) -> None:
        """Ask the log again which generation is written to, after it was given a new one."""
        self._number = None

    def compared(self) -> tuple[Generation | None, str | None]:
        """The log's generation, and why its vectors cannot be compared with the embedder's: None if they can."""
        generation = self._log.generation()
        if generation is None or self._embedder is None:
            return generation, None
        try:
            if generation.fingerprint == self.fingerprint:
                return generation, None
        except BackendError as error:
            return generation, f"The embedder failed. {error}"
        return generation, (
            f"The vectors were made by {generation.embedder!r}, the embedder is {self._embedder.name!r}. "
            "Run `agentmem reembed`, or go back to the former embedder."
        )
