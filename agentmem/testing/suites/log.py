"""The suite of the episodic log: every promise of ``EpisodicLog``, told in six stories."""

from __future__ import annotations

from agentmem.testing.suites.log_forgetting import ForgettingPromises
from agentmem.testing.suites.log_indexing import IndexingPromises
from agentmem.testing.suites.log_layers import LayerPromises
from agentmem.testing.suites.log_memories import MemoryPromises
from agentmem.testing.suites.log_receipts import ReceiptPromises
from agentmem.testing.suites.log_time import TimePromises


class EpisodicLogTests(
    MemoryPromises, LayerPromises, ForgettingPromises, ReceiptPromises, IndexingPromises, TimePromises
):
    """The promises of ``EpisodicLog``.

    Fixtures:
        log: A fresh, empty log; closed by the fixture's own teardown.
        reopen: ``() -> EpisodicLog``, opens the same database once more (where it outlives its log).
        raw_text: ``() -> bytes``, everything that is stored, seen without the log (where one can look).
        tamper: ``(id) -> None``, changes the stored content of a memory behind the log's back.
    """
