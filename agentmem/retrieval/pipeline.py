"""From a question to its answer: vector, partitions, evidence, rank, budget.

The log says which partitions the scope reads, the cache holds them, ranking is pure (``fusion``); the text of the
best few and of their neighbours comes from the log again.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from agentmem.clock import Clock, to_micros, utc_now
from agentmem.embedders import from_blobs
from agentmem.embedders.generations import Generations
from agentmem.errors import BackendError, CorruptRecord
from agentmem.interfaces import (
    Embedder,
    EmbedRequest,
    EpisodicLog,
    Generation,
    Head,
    LogQuery,
    Outlived,
    Reranker,
    RerankRequest,
    Standing,
    TokenCounter,
    VectorQuery,
    VectorStore,
)
from agentmem.lifecycle.learning import FADED, moved
from agentmem.records import KINDS, Hit, Label, Memory, Retrieval, Scope
from agentmem.rerankers import as_scores
from agentmem.retrieval import confidence, fusion
from agentmem.retrieval.cache import CachedPartition, Judged, Key, PartitionCache, Rows, Taught
from agentmem.retrieval.conversation import pointed_at, worded
from agentmem.retrieval.explain import signals_of
from agentmem.retrieval.languages import ENGLISH
from agentmem.retrieval.lexical import (
    K1,
    MARK_OF_LANGUAGE,
    OF_USER,
    QUESTION,
    TIMED,
    AskedWords,
    Forms,
    asked_words,
    idf,
)
from agentmem.retrieval.options import RetrievalOptions
from agentmem.retrieval.prior import share
from agentmem.retrieval.question import Question
from agentmem.retrieval.related import Relative, relatives
from agentmem.retrieval.standing import says_the_same, together
from agentmem.retrieval.timewords import asks_when
from agentmem.retrieval.uses import Uses
from agentmem.vectors import index_name
from agentmem.vectors.exact import ExactVectors
from agentmem.where import parse_where

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentmem.interfaces import Vectors
    from agentmem.retrieval.fusion import Bools, Floats, Indices

__all__ = ["Question", "Readable", "RetrievalOptions", "Retriever"]

_READ_AT_ONCE: Final = 32
_JUDGED: Final = 10
"""The confidence of an answer looks at so many of the best, however many are wanted."""
_BACKGROUND: Final = 100
"""Memories without the question's words, thought beside those there are: a handful cannot tell which word is common,
and what one of them holds is no less telling than what none does."""
_FEW_EXACT: Final = 10
_WHOLE: Final = 0.999
"""Of the question's words by weight: all of them, but for the last bits."""
_OF_A_PART: Final = 0.7
"""What "Zahnarzt" is worth in "Zahnarzttermin", of what the same word is."""
_MOST_BORROWED: Final = 12
"""Terms that a question takes from the conversation at most: each costs time, and the rest tells little."""
_UNTOLD: Final = 5_000
"""At most so many of the newest rows are searched in the log while a vector store has not caught up with them."""
_OF_SELF: Final = re.compile(
    r"\b(?:i|me|mine|myself|we|us|ours|(?:my|our)(?! (?:\w+ )?(?:sister|brother|mother|mom|mum|father|dad|parents?|son"
    r"|daughter|child|kid|cousin|aunt|uncle|grand\w+|friend|boss|colleague|neighbou?r|niece|nephew)\b))\b",
    re.IGNORECASE,
)


@dataclass(slots=True)
class _AtOnce:
    """What was looked up of the log's state, for everything that is asked at once."""

    heads: dict[Scope, Sequence[Head]] = field(default_factory=dict)
    generation: tuple[Generation | None, str | None] | None = None


class Retriever:
    """Answers questions from one log. May be shared by threads, and starts clean in a forked process.

    Args:
        embedder: None = words only.
        vectors: None or ``ExactVectors`` = exact search in the partition cache. Another store is asked for its
            nearest; what it left out of the best by words is looked up in the log.
        tokens: Counts what hits cost.
        generations: Shared with what writes, so that the embedder's fingerprint is taken once.
        outlived: The retention rules as of a moment; what they let expire is hidden, swept or not.
        uses: Where to note which memories were answers; None = nowhere.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        embedder: Embedder | None,
        vectors: VectorStore | None,
        tokens: TokenCounter,
        reranker: Reranker | None = None,
        options: RetrievalOptions | None = None,
        clock: Clock = utc_now,
        generations: Generations | None = None,
        outlived: Callable[[datetime], Sequence[Outlived]] = lambda now: (),
        uses: Uses | None = None,
    ) -> None:
        self._log = log
        self._embedder = embedder
        self._outlived = outlived
        self._uses = uses
        self._generations = generations or Generations(log, embedder)
        self._store = None if isinstance(vectors, ExactVectors) else vectors
        self._tokens = tokens
        self._reranker = reranker
        self._options = options or RetrievalOptions()
        self._clock = clock
        self._cache = PartitionCache(log, budget=self._options.cache_mb << 20)
        self._at_once: ContextVar[_AtOnce | None] = ContextVar("agentmem_at_once", default=None)
        self.has_met_expired = False
        """True once an answer left something out that has expired: if nobody writes, nobody else looks for it."""

    @property
    def cache_bytes(self) -> int:
        """Memory held by cached partitions, as last measured."""
        return self._cache.nbytes

    def drop_caches(self) -> None:
        """Let go of every cached partition."""
        self._cache.clear()

    def drop_gone(self, scope: Scope) -> None:
        """Let go of what is cached of this scope's own memories, so that nothing of a forgotten one stays."""
        self._cache.drop(scope)

    def retrieve(self, question: Question) -> Retrieval:
        """The best memories for the question, within its limits.

        Raises:
            BackendError: the log or the vector store failed. A failed embedder or reranker only degrades the answer.
        """
        meaning = self._meaning(question)
        ranking, trouble = self._reranked(question, self._ranking(question, meaning))
        return self._answered(question, ranking, degraded=meaning.degraded or trouble)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """What is asked inside the block is answered from one state of the log, which is looked up once."""
        token = self._at_once.set(_AtOnce())
        try:
            yield
        finally:
            self._at_once.reset(token)

    @contextmanager
    def readable(self, question: Question) -> Iterator[Readable]:
        """Everything that the question may reach, whatever its words, while the block runs."""
        generation, _ = self._compared()
        with self._partitions(question, _Meaning(generation=generation)) as partitions:
            view = _View(partitions)
            view.judge(self._judged(question.scope, partitions))
            view.teach(_standings(partitions))
            reach = self._reach(question, view)
            yield Readable(view, reach.shown, reach.over)

    def evidence(self, question: Question) -> tuple[list[str], confidence.Evidence]:
        """The ids of the best ten memories and what confidence in them rests on; to calibrate it."""
        ranking = self._ranking(question, self._meaning(question))
        best = ranking.best(_JUDGED)
        return [ranking.view.version_at(slot)[0] for slot in best], ranking.evidence.at(np.asarray(best, np.intp))

    # --- what is asked ----------------------------------------------------------------------------

    def _meaning(self, question: Question) -> _Meaning:
        """The question's vector, if the log's can be compared with it; otherwise why not."""
        generation, mismatch = self._compared()
        if mismatch is not None:
            return _Meaning(degraded=f"Searched by words only. {mismatch}")
        if self._embedder is None or generation is None:
            return _Meaning()
        try:
            vector = self._embedder.embed(EmbedRequest([self._worded(question)], purpose="query"))[0]
        except BackendError as error:
            return _Meaning(degraded=f"Searched by words only. The embedder failed. {error}")
        return _Meaning(vector if vector.any() else None, generation)

    @contextmanager
    def _partitions(self, question: Question, meaning: _Meaning) -> Iterator[list[CachedPartition]]:
        """The partitions that the scope reads, with vectors where they are searched here."""
        here = meaning.generation if self._store is None or question.known_at else None
        wanted = {"generation": here.number, "dimensions": here.dimensions} if here else _NO_VECTORS
        if question.known_at is not None:
            now = self._clock()
            yield self._cache.snapshot(
                question.scope, question.known_at, unexpired_at=now, outlived=self._outlived(now), **wanted
            )
        else:
            with self._cache.current(question.scope, heads=self._heads(question.scope), **wanted) as partitions:
                yield partitions

    def _heads(self, scope: Scope) -> Sequence[Head]:
        """The partitions that the scope reads, as they stand now, or stood when this was first asked at once."""
        at_once = self._at_once.get()
        if at_once is None:
            return self._log.heads(scope)
        reader = replace(scope, session=None)
        if reader not in at_once.heads:
            at_once.heads[reader] = self._log.heads(reader)
        return at_once.heads[reader]

    def _compared(self) -> tuple[Generation | None, str | None]:
        """The log's generation and whether the embedder's vectors are of it, now or when first asked at once."""
        at_once = self._at_once.get()
        if at_once is None:
            return self._generations.compared()
        if at_once.generation is None:
            at_once.generation = self._generations.compared()
        return at_once.generation

    def _asked(self, question: Question, languages: Sequence[str]) -> _AskedFor:
        """The question's words in memories of these languages; one that only points back borrows those it points at."""
        asked = asked_words(question.text, languages)
        weight = self._options.conversation
        pointed = pointed_at(question.text, question.conversation) if weight else []
        if not pointed:
            return _AskedFor(asked, dict.fromkeys(asked.forms, 1.0))
        borrowed: dict[int, float] = {}
        for each in pointed:
            borrowed = dict.fromkeys(asked_words(each.text, languages).forms, weight * each.share) | borrowed
        together = asked_words("\n".join([*(each.text for each in pointed), question.text]), languages)
        there = [term for term in together.forms if term in borrowed and term not in asked.forms]
        kept = frozenset(sorted(there, key=borrowed.__getitem__, reverse=True)[:_MOST_BORROWED])
        together = together.only(kept | asked.forms.keys())
        return _AskedFor(together, {term: borrowed[term] if term in kept else 1.0 for term in together.forms}, kept)

    def _worded(self, question: Question) -> str:
        return worded(question.text, question.conversation if self._options.conversation else ())

    # --- rank -------------------------------------------------------------------------------------

    def _ranking(self, question: Question, meaning: _Meaning) -> _Ranking:
        with self._partitions(question, meaning) as partitions:
            view = _View(partitions)
            view.judge(self._judged(question.scope, partitions))
            view.teach(_standings(partitions))
            return self._ranked(question, meaning, view)

    def _judged(self, scope: Scope, partitions: Sequence[CachedPartition]) -> Judged | None:
        """How facts stand whose key is in several partitions of the user; None if there are not several."""
        of_user = [each for each in partitions if each.has_facts and each.owner[1] is not None]
        if len(of_user) < 2:
            return None
        numbers = tuple(each.number for each in of_user)
        state = tuple(each.facts_changed for each in of_user)
        judged = of_user[-1].judged.get(numbers)
        if judged is None or judged.state != state:
            by_key = self._judged_by_key(scope, of_user, judged.by_key if judged else {})
            standings = {id: each for _, found in by_key.values() for id, each in found.items()}
            columns = {each.number: each.standing(standings) for each in of_user}
            judged = of_user[-1].judged[numbers] = Judged(state, by_key, standings, columns)
        return judged

    def _judged_by_key(
        self, scope: Scope, of_user: Sequence[CachedPartition], known: Mapping[Key, tuple[Rows, Mapping[str, Standing]]]
    ) -> dict[Key, tuple[Rows, Mapping[str, Standing]]]:
        """The rows of each key that is in several of the partitions, and how their facts stand; as it was, if known."""
        held = Counter(key for each in of_user for key in each.facts_by_key())
        rows = {key: _rows_of(key, of_user) for key, partitions in held.items() if partitions > 1}
        judged = {key: known[key] for key in rows if key in known and known[key][0] == rows[key]}
        fresh = tuple(row for key in rows if key not in judged for row in rows[key])
        alike: defaultdict[Key, list[Memory]] = defaultdict(list)
        # A damaged fact must not hold up an answer that it has no part in: its partition has settled it.
        with suppress(CorruptRecord):
            for memory in self._log.read(LogQuery(scope, rows=fresh)) if fresh else ():
                assert memory.fact is not None, "only facts have a key"
                alike[memory.fact.key].append(memory)
        return judged | {key: (rows[key], together(facts)) for key, facts in alike.items()}

    def _ranked(self, question: Question, meaning: _Meaning, view: _View) -> _Ranking:
        """Every memory in view: what of it the question may reach, and how it scores."""
        weights = self._options
        reach = self._reach(question, view)
        candidates = int(np.count_nonzero(reach.shown))
        asked = self._asked(question, view.languages)
        terms = asked.terms
        words = _Words.of(view, asked, weights)
        cosines = self._cosines(question, meaning, view, words.scores)
        smoothed = words.scores + words.lent
        if not terms and meaning.vector is None:
            # Only stopwords, and no meaning either: the latest is the best guess.
            shares = {"recency": fusion.ranks(view.column("occurred_at"))}
        else:
            lexical = np.float32(weights.lexical / fusion.largest(smoothed, reach.shown))
            session = np.float32(weights.session / fusion.largest(words.sessions, reach.shown))
            dense = np.float32(weights.dense / fusion.largest(cosines, reach.shown))
            shares = {
                "lexical": lexical * (words.scores - words.told),
                "conversation": lexical * words.told,
                "neighbours": lexical * words.lent,
                "related": np.float32(weights.related / fusion.largest(words.related, reach.shown)) * words.related,
                "session": session * words.sessions,
                "dense": dense * cosines,
                "speaker": np.float32(weights.speaker) * _is_of_whom(question, view, terms),
                "statement": np.float32(weights.statement) * ~view.marked(QUESTION),
                "author": np.float32(weights.author) * ~view.column("assistant"),
            }
            if asks_when(question.text):
                shares["time"] = np.float32(weights.time) * view.marked(TIMED)
            reach = reach.only((smoothed > 0) | (words.related > 0) | (cosines > 0))
        evidence = confidence.Evidence(
            coverage=words.coverage,
            fit=np.minimum(smoothed / words.highest, 1),
            lead=np.minimum(smoothed / fusion.largest(smoothed, reach.shown), 1),
            cosine=None if meaning.vector is None else cosines,
            size=candidates,
        )
        if question.min_confidence is not None:
            reach = reach.only(confidence.of_hits(evidence) >= question.min_confidence)
        scores = np.sum(list(shares.values()), axis=0)
        if weights.prior and "recency" not in shares and (priors := view.column("prior")).any():
            shares["prior"] = share(scores, priors, weights.prior)
            scores = scores + shares["prior"]
        if weights.standing and view.has_lessons:
            shares["standing"] = share(scores, moved(view.standing), weights.standing)
            scores = scores + shares["standing"]
        return _Ranking(view, reach, scores, shares, evidence)

    def _reach(self, question: Question, view: _View) -> _Reach:
        """What the question asks for, and what of it must stay hidden.

        What is true is judged at the moment that the question asks for; what has expired always now.
        """
        now = self._clock()
        moment = to_micros(question.as_of or question.known_at or now)
        searched = np.array([kind in question.searched_kinds for kind in KINDS])
        begun = view.alive & (view.column("valid_from") <= moment) if question.as_of is not None else view.alive
        asked = begun & searched[view.column("kind")]
        if question.where is not None and (predicate := parse_where(question.where)) is not None:
            where = question.where
            asked &= view.joined(lambda partition: partition.matching(where, predicate)).astype(np.bool_, copy=False)
        expired: Bools = view.column("expires_at") <= to_micros(now)
        if rules := self._outlived(now):
            expired = expired | view.joined(lambda partition: _outlived(partition, rules)).astype(np.bool_, copy=False)
        expired = view.with_derived(expired & view.alive)
        self.has_met_expired |= bool(expired.any())
        superseded: Bools = view.valid_to <= moment
        hidden = {"superseded": superseded, "expired": expired}
        told = begun & ~expired
        if not question.include_untrusted:
            hidden["untrusted"] = ~view.column("trusted").astype(np.bool_, copy=False)
            told &= ~hidden["untrusted"]
        visible = told & ~superseded
        if view.has_lessons and (question.kinds is None or "lesson" not in question.kinds):
            hidden["faded"] = view.standing < FADED
            visible &= ~hidden["faded"]
        if view.has_facts and "fact" in question.searched_kinds:
            hidden["restated"] = view.restated(asked & visible)
            visible &= ~hidden["restated"]
        return _Reach(asked, hidden, visible, told, moment)

    def _cosines(self, question: Question, meaning: _Meaning, view: _View, lexical: Floats) -> Floats:
        """The cosine of every memory to the question, 0 where it is below 0 or not known."""
        vector, generation = meaning.vector, meaning.generation
        if vector is None or generation is None:
            return np.zeros(view.size, np.float32)
        if self._store is None or question.known_at is not None:
            cosines: Floats = view.joined(lambda each: _table_cosines(each, vector))
        else:
            cosines = self._stored_cosines(question, vector, generation, view, lexical)
        return np.maximum(cosines, 0)

    def _stored_cosines(
        self, question: Question, vector: Vectors, generation: Generation, view: _View, lexical: Floats
    ) -> Floats:
        """Cosines of the nearest that the store gives; from the log of the best by words and of what it lacks yet."""
        assert self._store is not None
        pool = self._options.dense_pool
        cosines = np.zeros(view.size, np.float32)
        late = np.zeros(view.size, np.bool_)
        for partition, offset in zip(view.partitions, view.offsets, strict=True):
            # Before the search: what the store is told in between is then looked up once too often, never missed.
            told = self._log.cursor(index_name(self._store), generation.number, partition.number)
            late[offset : offset + len(partition)] = partition["row"] > told
            near = self._store.search(VectorQuery(generation, partition.number, vector, pool))
            slots = partition.slots_of(near.rows)
            cosines[slots[slots >= 0] + offset] = near.scores[slots >= 0]
        missing = fusion.best_first(lexical, (lexical > 0) & (cosines == 0), pool)[:pool]
        untold = np.flatnonzero(late & view.alive & (cosines == 0))[-_UNTOLD:]
        places = {view.row_at(slot): slot for slot in (*missing.tolist(), *untold.tolist())}
        found = self._log.vectors(question.scope, list(places))
        if found:
            cosines[[places[row] for row in found]] = from_blobs(list(found.values()), generation.dimensions) @ vector
        return cosines

    def _reranked(self, question: Question, ranking: _Ranking) -> tuple[_Ranking, str | None]:
        """The ranking with the reranker's opinion of its best added, and what went wrong."""
        if self._reranker is None or not self._options.rerank:
            return ranking, None
        pool = ranking.best(self._options.rerank_pool)
        memories = self._memories(question, ranking.view, pool)
        slots = [slot for slot in pool if slot in memories]
        if not slots:
            return ranking, None
        try:
            texts = [memories[slot].content for slot in slots]
            opinions = as_scores(
                self._reranker.rerank(RerankRequest(self._worded(question), texts)), len(texts), "configured"
            )
        except BackendError as error:
            return ranking, f"Not reranked: the reranker failed. {error}"
        share = np.zeros(ranking.view.size, np.float32)
        share[slots] = self._options.rerank * ranking.scores[slots].max() * _pinned(opinions, ranking.evidence, slots)
        return replace(ranking, scores=ranking.scores + share, shares={**ranking.shares, "rerank": share}), None

    # --- answer -----------------------------------------------------------------------------------

    def _answered(self, question: Question, ranking: _Ranking, *, degraded: str | None) -> Retrieval:
        """The best hits that the question's limits allow, with their neighbours."""
        hits: list[Hit] = []
        slots: list[int] = []
        spent = 0
        longest = question.max_each or question.max_tokens
        for slot, hit in self._hits(question, ranking):
            cost = self._tokens.count(hit.content)
            if longest is not None and cost > longest:
                continue  # no answer has room for it
            if question.max_tokens is not None and spent + cost > question.max_tokens:
                break
            spent += cost
            hits.append(hit)
            slots.append(slot)
            if len(hits) == question.limit:
                break
        self._note_uses(question, ranking, slots)
        return Retrieval(
            query=question.query,
            hits=tuple(hits),
            confidence=confidence.of_answer(ranking.evidence.at(np.asarray(ranking.best(_JUDGED), np.intp))),
            hidden=ranking.hidden(max(len(hits), question.limit or 0)),
            tokens=spent,
            tokens_estimated=not self._tokens.is_exact,
            degraded=degraded,
        )

    def _hits(self, question: Question, ranking: _Ranking) -> Iterator[tuple[int, Hit]]:
        """Hits with their slots, best first, read from the log a few at a time."""
        view = ranking.view
        confidences = confidence.of_hits(ranking.evidence)
        wanted = question.limit or _READ_AT_ONCE
        done = 0
        while len(slots := ranking.best(done + wanted)[done:]):
            around = {slot: ranking.neighbours(slot) if question.neighbours else [] for slot in slots}
            facts = {slot: ranking.facts(slot) if view.has_facts else _Facts() for slot in slots}
            beside = (near for slot in slots for near in (*around[slot], *facts[slot].beside))
            memories = self._memories(question, view, {*slots, *beside})
            for slot in slots:
                if slot not in memories:  # forgotten since it was ranked
                    continue
                corrections = facts[slot].corrections(memories)
                yield (
                    slot,
                    Hit(
                        memory=memories[slot],
                        score=float(ranking.scores[slot]),
                        confidence=float(confidences[slot]),
                        signals=signals_of(ranking.shares, slot) if question.explain else {},
                        neighbours=tuple(memories[near] for near in around[slot] if near in memories),
                        facts=tuple(memories[fact] for fact in facts[slot].slots if fact in memories),
                        labels=ranking.labels(slot, is_outdated=bool(corrections)),
                        corrections=tuple({each.id: each for each in corrections if each is not None}.values()),
                        standing=view.standing_at(slot),
                    ),
                )
            done += len(slots)
            wanted = _READ_AT_ONCE

    def _memories(self, question: Question, view: _View, slots: Collection[int]) -> dict[int, Memory]:
        """The memories in these slots, where the log still has them."""
        places = {view.version_at(slot): slot for slot in slots}
        found = self._log.read(LogQuery(question.scope, rows=tuple(view.row_at(slot) for slot in slots)))
        return {places[memory.id, memory.version]: memory for memory in found}

    def _note_uses(self, question: Question, ranking: _Ranking, slots: Sequence[int]) -> None:
        if self._uses is not None and question.known_at is None:
            view = ranking.view
            self._uses.note((view.row_at(slot)[0], view.version_at(slot)[0]) for slot in slots)


def _rows_of(key: Key, partitions: Sequence[CachedPartition]) -> Rows:
    return tuple(
        (partition.number, int(partition["row"][slot]))
        for partition in partitions
        for slot in partition.facts_by_key().get(key, ())
    )


def _standings(partitions: Sequence[CachedPartition]) -> Mapping[tuple[int, int], float]:
    """How the lessons of the partitions stand among one another, by partition and slot."""
    of_lessons = [partition for partition in partitions if partition.lessons]
    if not of_lessons:
        return {}
    taught = of_lessons[-1].taught.setdefault(tuple(each.number for each in of_lessons), Taught())
    state = tuple(each.lessons_changed for each in of_lessons)
    if taught.state != state:
        taught.standings.update(
            {
                (partition.number, slot): (lesson, partition.outcome_at(slot))
                for partition in of_lessons
                for slot, lesson in partition.lessons.items()
            }
        )
        taught.state = state
    return taught.standings.of


_NO_FORMS: Final[Forms] = {}
_NO_VECTORS: Final[Mapping[str, Any]] = {"generation": None, "dimensions": 0}


class _Meaning(NamedTuple):
    """A question's vector and whose it is; ``degraded`` says why there is none though there should be."""

    vector: Vectors | None = None
    generation: Generation | None = None
    degraded: str | None = None


class Readable(NamedTuple):
    """Partitions side by side, and by slot what of them may be shown, and what might be if it still held."""

    view: _View
    shown: Bools
    over: Bools


class _View:
    """Several partitions side by side, as one range of slots."""

    def __init__(self, partitions: Sequence[CachedPartition]) -> None:
        self.partitions = partitions
        self.offsets: list[int] = np.cumsum([0, *(len(partition) for partition in partitions)])[:-1].tolist()
        self.sizes = [len(partition) for partition in partitions]
        self.size = sum(self.sizes)
        self.lengths: Floats = self.joined(lambda partition: partition.postings.lengths)
        self.alive: Bools = self.joined(lambda partition: partition.postings.alive).astype(np.bool_, copy=False)
        self.has_facts = any(partition.has_facts for partition in partitions)
        self.valid_to: NDArray[np.int64] = self.column("valid_to")
        self.restating: Bools = self.column("restated").astype(np.bool_, copy=False)
        self._standings: Mapping[str, Standing] = {}
        self.has_lessons = False
        self.standing: Floats = np.zeros(0, np.float32)
        """Of the lessons, by slot; NaN for everything else. Empty where there are none."""
        self.previous = self._links("previous")
        self.following = self._links("following")

    def judge(self, judged: Judged | None) -> None:
        """Let facts stand as they do for who reads several partitions, and not as each has settled them."""
        if judged is None or not judged.standings:
            return
        self._standings = judged.standings
        self.valid_to, self.restating = self.valid_to.copy(), self.restating.copy()
        for partition, offset in zip(self.partitions, self.offsets, strict=True):
            if partition.number in judged.columns:
                slots, valid_to, restating = judged.columns[partition.number]
                self.valid_to[slots + offset] = valid_to
                self.restating[slots + offset] = restating

    def teach(self, standings: Mapping[tuple[int, int], float]) -> None:
        """Let lessons stand as ``_standings`` gives them."""
        self.has_lessons = bool(standings)
        if self.has_lessons:
            offsets = {each.number: offset for each, offset in zip(self.partitions, self.offsets, strict=True)}
            self.standing = np.full(self.size, np.nan, np.float32)
            self.standing[[offsets[number] + slot for number, slot in standings]] = list(standings.values())

    def standing_at(self, slot: int) -> float | None:
        """How far the lesson in a slot can be relied on; None if it is none."""
        return None if not self.has_lessons or np.isnan(self.standing[slot]) else float(self.standing[slot])

    def joined(self, values: Callable[[CachedPartition], NDArray[Any]]) -> NDArray[Any]:
        """The partitions' arrays behind one another; of a single one, its own."""
        return _joined([values(partition) for partition in self.partitions])

    def column(self, name: str) -> NDArray[Any]:
        """A column of ``CachedPartition``."""
        return self.joined(lambda partition: partition[name]) if self.size else np.zeros(0, np.int8)

    @property
    def languages(self) -> list[str]:
        """What other languages than English some of the memories are in."""
        marks = list(MARK_OF_LANGUAGE.values())
        held = [part.postings.find(marks) for part in self.partitions]
        return [
            language for place, language in enumerate(MARK_OF_LANGUAGE) if any(len(found[place][0]) for found in held)
        ]

    def marked(self, mark: int) -> Bools:
        """Which memories carry a mark of ``lexical`` in their bag."""
        return self.joined(lambda partition: _marked(partition, mark)).astype(np.bool_, copy=False)

    def row_at(self, slot: int) -> tuple[int, int]:
        partition, own = self._place(slot)
        return partition.number, int(partition["row"][own])

    def version_at(self, slot: int) -> tuple[str, int]:
        partition, own = self._place(slot)
        return partition.version_at(own)

    def at(self, slot: int, column: str) -> int:
        """What stands in a column of a slot."""
        partition, own = self._place(slot)
        return int(partition[column][own])

    def facts_of(self, id: str) -> list[int]:
        """The slots of the facts that were taken from the memory of this id, in the order stored."""
        return self._slots(lambda partition: partition.facts_of(id))

    def with_derived(self, expired: Bools) -> Bools:
        """What has expired and what was made from it, and from that again."""
        if not any(partition.has_derived for partition in self.partitions):
            return expired
        found = expired.copy()
        fresh = np.flatnonzero(found).tolist()
        while fresh:
            made = {derived for slot in fresh for derived in self._made_from(self.version_at(slot)[0])}
            fresh = [slot for slot in made if not found[slot]]
            found[fresh] = True
        return found

    def holding(self, slot: int, moment: int) -> int | None:
        """The fact that holds in place of this one at the moment: what closed it, what closed that, and so on."""
        seen: set[int] = set()
        following: int | None = slot
        while following is not None and following not in seen:
            seen.add(following)
            restates = self._restates(following)
            if restates is None and self.valid_to[following] > moment:
                return following
            following = self._fact_slot(restates or self._superseded_by(following) or "")
        return None

    def restated(self, readable: Bools) -> Bools:
        """Which of the readable facts only say again what another of them says."""
        again: defaultdict[str | None, list[int]] = defaultdict(list)
        for slot in np.flatnonzero(self.restating & readable).tolist():
            again[self._restates(slot)].append(slot)
        folded = np.zeros(self.size, np.bool_)
        for first, slots in again.items():
            place = self._fact_slot(first or "")
            is_there = place is not None and readable[place]
            folded[slots if is_there else sorted(slots, key=self._when)[1:]] = True
        return folded

    def said(self, first: int, readable: Bools) -> int | None:
        """This fact if it is readable, else the earliest readable one that restates it."""
        if readable[first]:
            return first
        id = self.version_at(first)[0]
        again = (slot for slot in np.flatnonzero(self.restating & readable).tolist() if self._restates(slot) == id)
        return min(again, key=self._when, default=None)

    def polarity(self, slot: int) -> str | None:
        """The polarity of the fact in a slot."""
        partition, own = self._place(slot)
        polarity: str | None = partition.fact_at(own).get("polarity")
        return polarity

    def _restates(self, slot: int) -> str | None:
        """The id of what the fact in a slot restates."""
        partition, own = self._place(slot)
        standing = self._standing(partition, own)
        return partition.restates(own) if standing is None else standing.restates

    def _superseded_by(self, slot: int) -> str | None:
        """The id of what closed the fact in a slot."""
        partition, own = self._place(slot)
        standing = self._standing(partition, own)
        return partition.fact_at(own).get("superseded_by") if standing is None else standing.superseded_by

    def _standing(self, partition: CachedPartition, own: int) -> Standing | None:
        return self._standings.get(partition.version_at(own)[0]) if self._standings else None

    def _made_from(self, id: str) -> list[int]:
        return self._slots(lambda partition: partition.derived_from(id))

    def _when(self, slot: int) -> tuple[int, int, int, str]:
        valid_from, occurred_at, position = (self.at(slot, name) for name in ("valid_from", "occurred_at", "position"))
        return valid_from, occurred_at, position, self.version_at(slot)[0]

    def _fact_slot(self, id: str) -> int | None:
        for partition, offset, size in zip(self.partitions, self.offsets, self.sizes, strict=True):
            slot = partition.fact_slot(id)
            if slot is not None and slot < size:
                return offset + slot
        return None

    def _slots(self, own: Callable[[CachedPartition], Sequence[int]]) -> list[int]:
        """The slots in view of each partition's own."""
        # One that was stored since the ranking was not looked at.
        return [
            offset + slot
            for partition, offset, size in zip(self.partitions, self.offsets, self.sizes, strict=True)
            for slot in own(partition)
            if slot < size
        ]

    def _place(self, slot: int) -> tuple[CachedPartition, int]:
        number = bisect_right(self.offsets, slot) - 1
        return self.partitions[number], slot - self.offsets[number]

    def _links(self, name: str) -> Indices:
        if len(self.partitions) < 2:
            return self.column(name)
        shifted = [
            np.where(partition[name] < 0, -1, partition[name] + offset)
            for partition, offset in zip(self.partitions, self.offsets, strict=True)
        ]
        return np.concatenate(shifted)


class _AskedFor(NamedTuple):
    """A question's words, what each term counts, and which terms are the conversation's."""

    words: AskedWords
    terms: dict[int, float]
    borrowed: Collection[int] = ()


class _Words(NamedTuple):
    """What the words say of every slot: BM25 of its own and how much of it is the conversation's, what neighbours lend
    it, BM25 of related words and of its session, coverage; and the highest BM25 there could be.

    IDF and mean lengths are those of everything in view; for IDF of memories it lies in a ``_BACKGROUND``.
    """

    scores: Floats
    told: Floats
    lent: Floats
    related: Floats
    sessions: Floats
    coverage: Floats
    highest: float

    @classmethod
    def of(cls, view: _View, question: _AskedFor, options: RetrievalOptions) -> _Words:
        asked, terms, borrowed = question
        parts = view.partitions
        lengths = [part.postings.lengths for part in parts]
        count = sum(part.postings.count for part in parts)
        mean = sum(part.postings.tokens for part in parts) / max(count, 1)
        found, rarities = _found(parts, list(terms), count, asked.forms)
        weights = [rarity * own for rarity, own in zip(rarities, terms.values(), strict=True)]

        akin = _akin(asked)
        akin_found, rarities = _found(parts, [each.term for each in akin], count)
        # A rare relative is no more telling than the word that was asked for.
        akin_weights = [each.nearness * min(r, weights[each.place]) for each, r in zip(akin, rarities, strict=True)]
        places = [each.place for each in akin]

        grouped = [
            fusion.by_session(each, part["unit"], len(part.session_tokens))
            for each, part in zip(found, parts, strict=True)
        ]
        sessions = sum(part.session_count for part in parts)
        session_mean = sum(float(part.session_tokens[1:].sum()) for part in parts) / max(sessions, 1)
        session_weights = [
            idf(n, sessions) * own for n, own in zip(_held(grouped, len(terms)), terms.values(), strict=True)
        ]
        of_sessions = [
            fusion.bm25(each, session_weights, part.session_tokens, session_mean)[part["unit"]]
            for each, part in zip(grouped, parts, strict=True)
        ]
        of_neighbours = [
            fusion.lent(
                each,
                weights,
                own,
                mean,
                previous=part["previous"],
                following=part["following"],
                asks=_marked(part, QUESTION),
                borrowing=fusion.damped(options.neighbours, own, options.neighbour_tokens),
            )
            for each, own, part in zip(found, lengths, parts, strict=True)
        ]
        scores = _joined([fusion.bm25(each, weights, own, mean) for each, own in zip(found, lengths, strict=True)])
        told = np.zeros_like(scores)
        if borrowed:
            of_them = [weight if term in borrowed else 0.0 for term, weight in zip(terms, weights, strict=True)]
            told = _joined([fusion.bm25(each, of_them, own, mean) for each, own in zip(found, lengths, strict=True)])
        return cls(
            scores,
            told,
            _joined(of_neighbours),
            _joined(
                [
                    fusion.related(each, places, akin_weights, own, mean)
                    for each, own in zip(akin_found, lengths, strict=True)
                ]
            ),
            _joined(of_sessions),
            _joined([fusion.coverage(each, weights, len(own)) for each, own in zip(found, lengths, strict=True)]),
            sum(weights) * (K1 + 1) or 1.0,
        )


def _akin(asked: AskedWords) -> list[Relative]:
    """Of each word what means the same, in English, and what of a word put together is the same."""
    meant = relatives(list(asked.forms)) if asked.language == ENGLISH else []
    shared = [Relative(place, part, _OF_A_PART) for place, own in enumerate(asked.parts) for part in own]
    return sorted([*meant, *shared], key=attrgetter("place")) if shared else meant


def _found(
    parts: Sequence[CachedPartition], terms: Sequence[int], count: int, forms: Forms = _NO_FORMS
) -> tuple[list[fusion.Found], list[float]]:
    """Where the terms stand in each partition, and how telling each is among ``count`` memories and the background."""
    found: list[fusion.Found] = [part.postings.find(terms, forms) for part in parts]
    return found, [idf(n, count + _BACKGROUND) for n in _held(found, len(terms))]


def _held(found: Sequence[fusion.Found], terms: int) -> list[int]:
    """How many slots hold each of so many terms, in all partitions."""
    return [sum(len(each[place][0]) for each in found) for place in range(terms)]


def _joined(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The arrays behind one another; a single one as it is."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class _Reach:
    """By slot: what is asked for; why some of it is hidden; what may be shown to this reader at all; what may be told
    beside it, no longer true or not.

    ``moment`` is when things are to be true, in microseconds.
    """

    asked: Bools
    reasons: Mapping[str, Bools]
    visible: Bools
    told: Bools
    moment: int

    @property
    def shown(self) -> Bools:
        return self.asked & self.visible

    @property
    def over(self) -> Bools:
        return self.asked & self.told & self.reasons["superseded"]

    def only(self, among: Bools) -> _Reach:
        return replace(self, asked=self.asked & among)


@dataclass(frozen=True, slots=True)
class _Ranking:
    """Every slot's score and the shares that make it up."""

    view: _View
    reach: _Reach
    scores: Floats
    shares: Mapping[str, Floats]
    evidence: confidence.Evidence

    def best(self, count: int) -> list[int]:
        """The best slots that may be shown, best first."""
        best: list[int] = fusion.best_first(self.scores, self.reach.shown, count)[:count].tolist()
        return best

    def hidden(self, count: int) -> dict[str, int]:
        """Why some of the best ``count`` are not shown: reason to how many."""
        if not (self.reach.asked & ~self.reach.visible).any():
            return {}
        best = fusion.best_first(self.scores, self.reach.asked, count)[:count]
        counted = {}
        told = np.zeros(len(best), np.bool_)
        for reason, mask in self.reach.reasons.items():
            counted[reason] = int((mask[best] & ~told).sum())
            told |= mask[best]
        return {reason: number for reason, number in counted.items() if number}

    def neighbours(self, slot: int) -> list[int]:
        """The turns just before and after that may be shown, oldest first."""
        around = [int(self.view.previous[slot]), int(self.view.following[slot])]
        # A turn stored since the ranking may already be linked; it was not looked at, so it is left out.
        return [near for near in around if 0 <= near < self.view.size and self.reach.visible[near]]

    def facts(self, slot: int) -> _Facts:
        """What was taken from the memory in this slot, and what holds in place of it at the moment asked for."""
        view, moment = self.view, self.reach.moment
        found = [fact for fact in view.facts_of(view.version_at(slot)[0]) if self.reach.told[fact]]
        over = [fact for fact in found if view.valid_to[fact] <= moment and view.polarity(fact) in _STATED]
        holding = ((fact, view.holding(fact, moment)) for fact in over)
        return _Facts(
            tuple(found),
            {fact: first if first is None else view.said(first, self.reach.visible) for fact, first in holding},
        )

    def labels(self, slot: int, *, is_outdated: bool) -> tuple[Label, ...]:
        """What must be said of the memory in this slot beside its words."""
        labels: list[Label] = ["outdated"] if is_outdated else []
        if self.view.at(slot, "valid_from") > self.reach.moment:
            labels.append("upcoming")
        if (standing := self.view.standing_at(slot)) is not None and standing < FADED:
            labels.append("faded")
        return tuple(labels)


_STATED: Final = frozenset({"affirmed", "denied"})
"""Polarities of facts that can be outdated; that something ended stays true."""


class _Facts(NamedTuple):
    """By slot: the facts that were taken from a memory; of those that do not hold, what holds in place of each."""

    slots: tuple[int, ...] = ()
    over: Mapping[int, int | None] = {}

    @property
    def beside(self) -> tuple[int, ...]:
        return *self.slots, *(holds for holds in self.over.values() if holds is not None)

    def corrections(self, memories: Mapping[int, Memory]) -> list[Memory | None]:
        """What holds in place of each fact that is outdated: not of those which hold again, by another statement."""
        pairs = (
            (memories.get(fact), None if holds is None else memories.get(holds)) for fact, holds in self.over.items()
        )
        return [now for then, now in pairs if then is None or now is None or not says_the_same(now, then)]


def _outlived(partition: CachedPartition, rules: Sequence[Outlived]) -> Bools:
    """What the retention rules let expire; the first that covers a kind decides."""
    tenant, user, agent = partition.owner
    before = np.full(len(KINDS), np.iinfo(np.int64).min)
    for place, kind in enumerate(KINDS):
        rule = next((each for each in rules if each.covers(kind, tenant=tenant, user=user, agent=agent)), None)
        if rule is not None and rule.before is not None:
            before[place] = to_micros(rule.before)
    outlived: Bools = partition["occurred_at"] < before[partition["kind"]]
    return outlived


def _marked(partition: CachedPartition, mark: int) -> Bools:
    marked = np.zeros(len(partition), np.bool_)
    marked[partition.postings.find([mark])[0][0]] = True
    return marked


def _table_cosines(partition: CachedPartition, vector: Vectors) -> Floats:
    return partition.vectors.cosines(vector) if partition.vectors is not None else np.zeros(len(partition), np.float32)


def _pinned(opinions: Floats, evidence: confidence.Evidence, slots: Sequence[int]) -> Floats:
    """The opinions, of exact hits no worse than of any other: what stood below one cannot pass it.

    Exact is what holds every word of the question, where few do; where many do, words do not tell which one is meant.
    """
    is_exact = evidence.coverage >= _WHOLE
    if np.count_nonzero(is_exact) > _FEW_EXACT:
        return opinions
    return np.where(is_exact[slots], opinions.max(), opinions)


def _is_of_whom(question: Question, view: _View, terms: Mapping[int, float]) -> Bools:
    """Whose speaker the question names; for one who asks of "me", the facts about the user."""
    named: Bools = view.joined(lambda each: _named(each, terms)).astype(np.bool_, copy=False)
    return named | view.marked(OF_USER) if view.has_facts and _OF_SELF.search(question.text) else named


def _named(partition: CachedPartition, terms: Mapping[int, float]) -> Bools:
    """Whose speaker the question names, by any part of the name."""
    named = np.array([not terms.keys().isdisjoint(name) for name in partition.speaker_terms()], np.bool_)
    by_slot: Bools = named[partition["speaker"]]
    return by_slot
