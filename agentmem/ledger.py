"""What memory takes: of prompts, of callers' time, of models. Totals since a manager was opened, for ``stats()``."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator

from agentmem.forked import start_clean
from agentmem.interfaces import LLM, Completion, CompletionRequest
from agentmem.records import Cost, MemoryStatus


class Ledger:
    """Adds up costs. Thread-safe."""

    def __init__(self) -> None:
        self._cost = Cost()
        self._statuses: Counter[str] = Counter()
        start_clean(self)

    def _start_clean(self) -> None:
        self._lock = threading.Lock()

    def add(self, cost: Cost) -> None:
        with self._lock:
            self._cost += cost

    def count(self, status: MemoryStatus, *, instead_of: MemoryStatus | None = None) -> None:
        """Count how a call fared; ``instead_of`` when it had been counted and got worse."""
        with self._lock:
            self._statuses[status] += 1
            if instead_of is not None:
                self._statuses[instead_of] -= 1

    @property
    def total(self) -> Cost:
        with self._lock:
            return self._cost + Cost(statuses=self._statuses)


class CountedLLM(LLM):
    """A model of memory's own, whose calls and tokens are counted; it is whoever gave it who closes it."""

    def __init__(self, llm: LLM, ledger: Ledger) -> None:
        self._llm = llm
        self._ledger = ledger

    def complete(self, request: CompletionRequest) -> Completion:
        self._ledger.add(Cost(llm_calls=1))
        completion = self._llm.complete(request)
        self._ledger.add(Cost(llm_tokens=(completion.prompt_tokens or 0) + (completion.completion_tokens or 0)))
        return completion

    def stream(self, request: CompletionRequest) -> Iterator[str]:
        self._ledger.add(Cost(llm_calls=1))
        return self._llm.stream(request)
