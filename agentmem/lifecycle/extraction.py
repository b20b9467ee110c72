"""Facts behind the log: an extractor reads what people said and leaves facts that cite it.

Follows each partition by a cursor, at least once and idempotently: a fact of the same turn and span is one fact. What
fails holds up no write and loses nothing; the turn is the truth, a fact is derived from it.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from agentmem.errors import AgentMemError, MemoryNotFound, ScopeError
from agentmem.interfaces import EpisodicLog, ExtractedFact, ExtractionRequest, Extractor, Head, IndexQuery, LogQuery
from agentmem.lifecycle.jobs import Backoff, Pause, Stopped, retried
from agentmem.records import TRUSTED, Fact, Finding, Memory, Scope, Turn

Store = Callable[[Sequence[Turn], Scope], object]
"""Stores turns in a scope, all or none."""

_TURNS_AT_ONCE: Final = 50
_GENERATION: Final = 0
"""Extraction has no generations: its cursor stands under this number."""


class Extraction:
    """Runs an extractor over the turns that it has not seen. Untrusted turns are left out.

    Args:
        extractor: None never has anything to do.
        store: Keeps the facts, as any memory is kept.
    """

    def __init__(
        self, log: EpisodicLog, *, extractor: Extractor | None, store: Store, backoff: Backoff | None = None
    ) -> None:
        self._log = log
        self._extractor = extractor
        self._store = store
        self._backoff = backoff or Backoff()
        self._working = threading.Lock()
        self._reached: dict[int, int] = {}
        self._dropped = 0
        self._trouble = ""

    @property
    def is_needed(self) -> bool:
        return self._extractor is not None

    def run(self, pause: Pause) -> bool:
        """Extract from every partition that has grown; True if nothing is left."""
        if self._extractor is None:
            return True
        with self._working:
            self._trouble = ""
            for head in self._log.all_heads():
                try:
                    self._follow(self._extractor, head, pause)
                except AgentMemError as error:
                    self._trouble = error.message
                if pause(0):
                    raise Stopped
            return not self._trouble

    def check(self) -> list[Finding]:
        """What ``verify`` reports: trouble, and facts dropped because they cited no turn or no span of it."""
        if self._extractor is None:
            return []
        outcomes = self._extractor.describe_outcomes()
        if self._trouble:
            said = " ".join(filter(None, (self._trouble, outcomes)))
            return [Finding("extraction", False, said, "It is tried again on its own.")]
        dropped = f"{self._dropped} facts were dropped for want of evidence."
        return [Finding("extraction", True, " ".join(filter(None, (dropped, outcomes))))]

    def after_fork(self) -> None:
        self._working = threading.Lock()

    def _follow(self, extractor: Extractor, head: Head, pause: Pause) -> None:
        if self._reached.get(head.partition, -1) >= head.seq:
            return
        name = f"extractor:{type(extractor).__module__}.{type(extractor).__qualname__}"
        scope = Scope(user=head.user, agent=head.agent, tenant=head.tenant)
        cursor = self._log.cursor(name, _GENERATION, head.partition)
        try:
            batch = self._log.index_rows(IndexQuery(scope, head.partition, after=cursor, vectors=False))
        except ScopeError:
            return  # forgotten as a whole meanwhile
        rows = [row.row for row in batch.rows if row.kind == "turn" and row.integrity in TRUSTED]
        for start in range(0, len(rows), _TURNS_AT_ONCE):
            chunk = rows[start : start + _TURNS_AT_ONCE]
            turns = self._log.read(LogQuery(scope=scope, rows=tuple((head.partition, row) for row in chunk)))
            self._keep(turns, self._extracted(extractor, turns, pause))
            # Only now: a crash in between extracts the same again, which stores nothing new. And each time: what an
            # extractor has read at a cost is not read again because it fails later.
            self._log.move_cursor(name, _GENERATION, head.partition, chunk[-1])
        self._log.move_cursor(name, _GENERATION, head.partition, batch.seq)
        self._reached[head.partition] = batch.seq

    def _extracted(self, extractor: Extractor, turns: Sequence[Memory], pause: Pause) -> Sequence[ExtractedFact]:
        request = ExtractionRequest(turns)
        return retried(lambda: extractor.extract(request), backoff=self._backoff, pause=pause)

    def _keep(self, turns: Sequence[Memory], facts: Sequence[ExtractedFact]) -> None:
        said = {turn.id: turn for turn in turns}
        supported = [fact for fact in facts if _is_supported(fact, said)]
        self._dropped += len(facts) - len(supported)
        for turn in turns:
            if turn.version > 1:
                self._forget_former(turn)
            mine = [_turn_of(fact, turn) for fact in supported if fact.derived_from == turn.id]
            if mine:
                # A turn that was forgotten meanwhile has no facts.
                with suppress(MemoryNotFound):
                    self._store(mine, turn.scope)

    def _forget_former(self, turn: Memory) -> None:
        """What was read from words that have since been changed."""
        query = LogQuery(scope=turn.scope, writable=True, kinds=frozenset({"fact"}), derived_from=(turn.id,))
        former = [fact.id for fact in self._log.read(query)]
        if former:
            self._log.erase(turn.scope, former, mode="erase")


def _is_supported(fact: ExtractedFact, said: dict[str, Memory]) -> bool:
    turn = said.get(fact.derived_from)
    return turn is not None and 0 <= fact.start < fact.end <= len(turn.content) and bool(fact.value.strip())


def _turn_of(fact: ExtractedFact, turn: Memory) -> Turn:
    denial = "" if fact.polarity == "affirmed" else "not "
    return Turn(
        f"{fact.subject} {fact.attribute}: {denial}{fact.value}",
        kind="fact",
        role=turn.role,
        speaker=turn.speaker,
        occurred_at=turn.occurred_at,
        valid_from=fact.valid_from,
        valid_to=fact.valid_to,
        fact=Fact(
            fact.subject, fact.attribute, fact.value, fact.polarity, topic=fact.topic, span=(fact.start, fact.end)
        ),
        integrity=turn.integrity,
        expires_at=turn.expires_at,
        idempotency_key=_key(fact, turn),
        derived_from=(turn.id,),
    )


def _key(fact: ExtractedFact, turn: Memory) -> str:
    parts = (turn.id, turn.version, fact.subject, fact.attribute, fact.value, fact.polarity, fact.start, fact.end)
    return "fact:" + hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=16).hexdigest()
