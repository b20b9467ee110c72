"""Drafts into the log, with their vectors where the embedder is at hand."""

from __future__ import annotations

from collections.abc import Sequence

from agentmem.embedders.generations import Generations
from agentmem.interfaces import Embedder, EpisodicLog
from agentmem.lifecycle.drafting import completed, embed_drafts
from agentmem.records import Draft, Memory, Scope


class Storing:
    """Stores drafts as every verb and every job stores them. Thread-safe.

    Args:
        embedder: None, or one that is not local, stores without vectors; those follow.
    """

    def __init__(self, log: EpisodicLog, *, embedder: Embedder | None, generations: Generations) -> None:
        self._log = log
        self._embedder = embedder if embedder is not None and embedder.is_local else None
        self._generations = generations

    def store(
        self, drafts: Sequence[Draft], scope: Scope, *, replacing: frozenset[str] = frozenset()
    ) -> Sequence[Memory]:
        """The memories of the drafts, all or none; drafts without a token bag are checked and get one."""
        drafts = [draft if draft.terms else completed(draft) for draft in drafts]
        generation = None
        if self._embedder is not None:
            generation = self._generations.number_for_writes()
            if generation is not None and drafts:
                drafts = embed_drafts(drafts, self._embedder)
        return self._log.append(scope, drafts, generation=generation, replacing=replacing)
