"""Facts behind the log: an extractor reads what people said and leaves facts that cite it.

Follows each partition by a cursor, at least once and idempotently: what a turn says is the same memory however often
it is said in it, and whoever reads it. What fails holds up no write and loses nothing; the turn is the truth, a fact is
derived from it. A fact that was forgotten stays forgotten, and one that somebody corrected stays corrected, however
often its turn is read or reworded.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from agentmem.errors import AgentMemError, CorruptRecord, InvalidInput, MemoryNotFound, ScopeError, VersionConflict
from agentmem.extractors.attributes import DUE
from agentmem.extractors.sentences import sentence
from agentmem.interfaces import (
    EpisodicLog,
    ExtractedFact,
    ExtractionRequest,
    Extractor,
    Head,
    IndexQuery,
    IndexRow,
    LogQuery,
    Revision,
)
from agentmem.lifecycle.closing import EVER, NEVER, Closings
from agentmem.lifecycle.drafting import index_terms
from agentmem.lifecycle.jobs import Backoff, Pause, Stopped, retried
from agentmem.lifecycle.supersession import decide
from agentmem.records import NOTED, POLARITIES, TRUSTED, Draft, Fact, Finding, Memory, Scope

Store = Callable[[Sequence[Draft], Scope], object]
"""Stores drafts, which have no token bag yet, in a scope: all or none."""

_TURNS_AT_ONCE: Final = 50
_UNSETTLED_S: Final = 1.0
"""How long new facts may wait to be settled: a key that many of them share is better settled once."""
_GENERATION: Final = 0
"""Extraction has no generations: its cursor stands under this number."""
_PREFIX: Final = "fact:"
"""What the ids of extracted facts begin with."""
_CLOSINGS: Final = "closings"
"""Who is said to have read that something promised is done or off."""
_UNSAID: Final = "its turn no longer says so"
"""The reason on a fact that was retired because its words are gone, not because somebody wished it."""


class Extraction:
    """Runs an extractor over the turns that it has not seen, but for untrusted ones and notes of memory tools.

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
        self._counting = threading.Lock()
        self._reached: dict[int, int] = {}
        self._waiting: dict[int, float] = {}
        self._hurries = 0
        self._dropped = 0
        self._unread: list[str] = []
        self._latest: dict[int, datetime] = {}
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
            heads = self._log.all_heads()
            # A partition that was forgotten as a whole waits for nothing.
            self._waiting = {
                head.partition: self._waiting[head.partition] for head in heads if head.partition in self._waiting
            }
            for head in heads:
                try:
                    self._follow(self._extractor, head, pause)
                except AgentMemError as error:
                    self._trouble = error.message
                if pause(0):
                    raise Stopped
            return not self._trouble and not self._waiting

    @contextmanager
    def hurried(self) -> Iterator[None]:
        """Meanwhile no turn waits for others to be read with."""
        with self._counting:
            self._hurries += 1
        try:
            yield
        finally:
            with self._counting:
                self._hurries -= 1

    def check(self) -> list[Finding]:
        """What ``verify`` reports: trouble, and facts dropped because they cited no turn or no span of it."""
        if self._extractor is None:
            return []
        outcomes = self._extractor.describe_outcomes()
        if self._trouble:
            said = " ".join(filter(None, (self._trouble, outcomes)))
            return [Finding("extraction", False, said, "It is tried again on its own.")]
        if self._unread:
            said = f"{len(self._unread)} turns could not be read; first {self._unread[0]}."
            return [Finding("extraction", False, said, "They stay turns. Tell whoever wrote the extractor.")]
        dropped = f"{self._dropped} facts were dropped for want of evidence."
        return [Finding("extraction", True, " ".join(filter(None, (dropped, outcomes))))]

    def after_fork(self) -> None:
        self._working = threading.Lock()
        self._counting = threading.Lock()

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
        rows = [row.row for row in batch.rows if _is_read(row)]
        if not self._is_due(extractor, head.partition, len(rows)):
            return
        settled_at = time.monotonic()
        closings = Closings(
            self._log,
            scope,
            head.partition,
            rows={row.id: row.row for row in batch.rows},
            cursor=cursor,
            latest=self._latest.get(head.partition, EVER if cursor else NEVER),
            read=partial(self._readable, scope),
        )
        for start in range(0, len(rows), _TURNS_AT_ONCE):
            chunk = rows[start : start + _TURNS_AT_ONCE]
            turns = self._readable(scope, [(head.partition, row) for row in chunk])
            drafts = self._drafts(extractor, turns, pause)
            for turn, fact in closings.among(turns, drafts.values()):
                draft = _draft(fact, turn, _CLOSINGS)
                drafts.setdefault(str(draft.id), draft)
            self._keep(scope, turns, drafts)
            self._latest[head.partition] = closings.latest
            # Only now: a crash in between extracts the same again, which stores nothing new. And each time: what an
            # extractor has read at a cost is not read again because it fails later.
            self._log.move_cursor(name, _GENERATION, head.partition, chunk[-1])
            if time.monotonic() > settled_at + _UNSETTLED_S:
                self._log.settle(decide)
                settled_at = time.monotonic()
            if pause(0):
                raise Stopped
        if rows:
            self._log.settle(decide)
        if batch.rows:
            # Not for uses and vectors, which come often: to look past them again costs nothing.
            self._log.move_cursor(name, _GENERATION, head.partition, batch.seq)
        self._reached[head.partition] = batch.seq

    def _readable(self, scope: Scope, rows: Sequence[tuple[int, int]]) -> list[Memory]:
        """The turns of these rows, but for damaged ones: they hold up no other, and a deep ``verify`` names them."""
        try:
            return self._log.read(LogQuery(scope=scope, rows=tuple(rows)))
        except CorruptRecord:
            return [turn for row in rows for turn in self._readable(scope, [row])] if len(rows) > 1 else []

    def _is_due(self, extractor: Extractor, partition: int, turns: int) -> bool:
        """Whether the turns are many or none, or have waited long enough for others to be read with."""
        since = self._waiting.setdefault(partition, time.monotonic())
        is_full = turns == 0 or turns >= _TURNS_AT_ONCE
        is_due = is_full or bool(self._hurries) or time.monotonic() - since >= extractor.waits_s
        if is_due:
            del self._waiting[partition]
        return is_due

    def _drafts(self, extractor: Extractor, turns: Sequence[Memory], pause: Pause) -> dict[str, Draft]:
        """The facts of the turns, by id."""
        facts = self._extracted(extractor, turns, pause)
        said = {turn.id: turn for turn in turns}
        supported = [fact for fact in facts if _is_supported(fact, said)]
        self._dropped += len(facts) - len(supported)
        drafts: dict[str, Draft] = {}
        for fact in supported:
            draft = _draft(fact, said[fact.derived_from], extractor.name)
            drafts.setdefault(str(draft.id), draft)
        return drafts

    def _extracted(self, extractor: Extractor, turns: Sequence[Memory], pause: Pause) -> Sequence[ExtractedFact]:
        if not turns:
            return []
        request = ExtractionRequest(turns)
        try:
            return retried(lambda: extractor.extract(request), backoff=self._backoff, pause=pause)
        except (AgentMemError, Stopped):
            raise
        # Somebody's own code: a turn that it cannot read must not hold up those behind it, nor the other jobs.
        except Exception as error:  # noqa: BLE001
            if len(turns) > 1:
                return [fact for turn in turns for fact in self._extracted(extractor, [turn], pause)]
            self._unread.append(f"{turns[0].id}: {type(error).__name__}")
            return []

    def _keep(self, scope: Scope, turns: Sequence[Memory], drafts: Mapping[str, Draft]) -> None:
        """Have exactly these facts of the turns, but for those that somebody has forgotten or corrected.

        There may be facts of other turns among them, which are stored too.
        """
        unwanted = {id for turn in turns if turn.version > 1 for id in self._follow_new_words(turn, drafts)}
        ids = tuple(drafts)
        if ids:
            unwanted |= {fact.id for fact in self._log.read(LogQuery(scope=scope, ids=ids, retired=True))}
            unwanted |= self._log.tombstoned(scope, ids)
        # An extractor may take its time, and a turn that was retired meanwhile hides what was read from it.
        sources = {source for draft in drafts.values() for source in draft.derived_from}
        there = self._log.partitions_of(scope, [*sources]) if ids else {}
        new = [draft for id, draft in drafts.items() if id not in unwanted and there.keys() >= {*draft.derived_from}]
        try:
            if new:
                self._store(new, scope)
        except (MemoryNotFound, InvalidInput):
            for draft in new:
                self._keep_one(draft, scope)

    def _keep_one(self, draft: Draft, scope: Scope) -> None:
        try:
            self._store([draft], scope)
        except MemoryNotFound:
            return  # its turn was forgotten meanwhile
        except InvalidInput:
            # No log can hold it, or another process has read the same turn at the same time.
            self._dropped += not self._log.read(LogQuery(scope=scope, ids=(str(draft.id),)))

    def _follow_new_words(self, turn: Memory, drafts: Mapping[str, Draft]) -> set[str]:
        """Bring the facts read from former words of the turn to what its words say now.

        What somebody has corrected, so that it says something else than its id, stays as they put it.

        Returns:
            Ids of facts that would say the same as corrected ones.
        """
        query = LogQuery(
            scope=turn.scope, writable=True, kinds=frozenset({"fact"}), derived_from=(turn.id,), retired=True
        )
        corrected: set[str] = set()
        for memory in self._log.read(query):
            if memory.fact is None or not memory.id.startswith(_PREFIX):
                continue
            says = _id_of(memory.fact, turn)
            if says != memory.id:
                corrected.add(says)
                continue
            with suppress(MemoryNotFound, VersionConflict, InvalidInput):  # somebody else was at it meanwhile
                self._follow_words(memory, drafts.get(memory.id))
        return corrected

    def _follow_words(self, fact: Memory, draft: Draft | None) -> None:
        """Retire what is not said any more, bring back what is said again, reword what is said in other words."""
        is_retired = fact.recorded_to is not None
        if draft is None and not is_retired:
            self._revise(fact, Revision(written_by="extraction", reason=_UNSAID))
            self._log.erase(fact.scope, [fact.id], mode="retire")
        elif draft is not None and is_retired and fact.reason == _UNSAID:
            self._reword(self._log.restore(fact.scope, fact.id, version=None, reason="its turn says so again"), draft)
        elif draft is not None and not is_retired:
            self._reword(fact, draft)

    def _reword(self, memory: Memory, draft: Draft) -> None:
        """Have the fact cite the new words, in their spelling, with the days they name unless a caller has set them."""
        assert memory.fact is not None
        assert draft.fact is not None
        begins = draft.valid_from or memory.occurred_at
        says = (begins, draft.metadata) == (memory.valid_from, memory.metadata)
        is_dated = says or self._was_changed_by_a_caller(memory)
        if is_dated and (memory.content, memory.fact.span) == (draft.content, draft.fact.span):
            return
        revision = Revision(fact=draft.fact, written_by=draft.written_by, reason="its turn was reworded")
        if not is_dated:
            revision = replace(revision, valid_from=begins, valid_to=draft.valid_to, metadata=draft.metadata)
        if draft.content != memory.content:
            terms, length = index_terms(
                draft.content, speaker=memory.speaker, occurred_at=memory.occurred_at, fact=draft.fact
            )
            revision = replace(revision, content=draft.content, terms=terms, length=length)
        self._revise(memory, revision)

    def _was_changed_by_a_caller(self, fact: Memory) -> bool:
        return any(version.written_by == "caller" for version in self._log.history(fact.scope, fact.id))

    def _revise(self, fact: Memory, revision: Revision) -> None:
        self._log.revise(fact.scope, fact.id, revision, expected_version=fact.version, generation=None)


def _is_read(row: IndexRow) -> bool:
    """Whether it was said, by somebody trusted: a model's notes owe nothing and order nothing."""
    return row.kind == "turn" and row.integrity in TRUSTED and row.origin != NOTED


def _is_supported(fact: ExtractedFact, said: Mapping[str, Memory]) -> bool:
    turn = said.get(fact.derived_from)
    says_something = fact.polarity == "ended" or (fact.polarity in POLARITIES and bool(fact.value.strip()))
    return turn is not None and 0 <= fact.start < fact.end <= len(turn.content) and says_something


def _draft(found: ExtractedFact, turn: Memory, extractor: str) -> Draft:
    span = (found.start, found.end)
    topic = found.topic or None
    begins, due = _term(found, turn)
    fact = Fact(found.subject, found.attribute, found.value, found.polarity, topic=topic, span=span)
    return Draft(
        content=sentence(fact),
        kind="fact",
        role=turn.role,
        # Whoever said it is not whom it is about; the sentence names the one, the turn the other.
        speaker=None,
        session=turn.scope.session,
        occurred_at=turn.occurred_at,
        metadata={} if due is None else {DUE: due.isoformat()},
        importance=None,
        affect=None,
        integrity=turn.integrity,
        expires_at=turn.expires_at,
        idempotency_key=None,
        derived_from=(turn.id,),
        source=None,
        terms=b"",
        length=0,
        id=_id_of(fact, turn),
        valid_from=begins,
        valid_to=found.valid_to,
        fact=fact,
        written_by=f"extractor:{extractor}",
    )


def _term(found: ExtractedFact, turn: Memory) -> tuple[datetime | None, datetime | None]:
    """From when the fact is true, and when what it promises or plans is due: a promise binds as soon as it is made."""
    begins = found.valid_from
    if found.attribute not in ("plan", "commitment") or begins is None or begins <= turn.occurred_at:
        return begins, found.due
    due = found.due or begins + timedelta(days=1, seconds=-1)
    return (None if found.attribute == "commitment" else begins), due


def _id_of(fact: Fact, turn: Memory) -> str:
    """The same for the same fact of the turn, wherever in it, in whatever case and spacing, and whoever reads it."""
    parts = (turn.id, *fact.key, " ".join(fact.value.casefold().split()), fact.polarity)
    # Half a character gets an id as well: the log refuses it.
    text = "\x1f".join(parts).encode("utf-8", "surrogatepass")
    return _PREFIX + hashlib.blake2b(text, digest_size=16).hexdigest()
