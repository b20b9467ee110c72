"""Drafts into the log, with their vectors where the embedder is at hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from agentmem.clock import Clock
from agentmem.embedders.generations import Generations
from agentmem.interfaces import Embedder, EpisodicLog, TokenCounter
from agentmem.lifecycle.drafting import Drafts, completed, embed_drafts, prepare
from agentmem.records import Draft, Memory, Scope, Turn


class Storing:
    """Stores drafts as every verb and every job stores them. Thread-safe.

    Args:
        tokens: Counts what the chunks of a document cost.
        embedder: None, or one that is not local, stores without vectors; those follow.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        embedder: Embedder | None,
        generations: Generations,
        tokens: TokenCounter,
        clock: Clock,
    ) -> None:
        self._log = log
        self._tokens = tokens
        self._clock = clock
        self._embedder = embedder if embedder is not None and embedder.is_local else None
        self._generations = generations

    def prepare(self, items: Iterable[object], scope: Scope) -> Drafts:
        """The drafts of turns, documents and mappings, checked; see ``drafting.prepare``."""
        return prepare(items, scope=scope, counter=self._tokens, clock=self._clock)

    def store_turn(self, turn: Turn, /, *, scope: Scope, written_by: str = "caller") -> Memory:
        """The memory of one turn."""
        drafts = [replace(draft, written_by=written_by) for draft in self.prepare([turn], scope).drafts]
        return self.store(drafts, scope)[0]

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
