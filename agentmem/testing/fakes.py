"""Fakes for tests: small, deterministic, without a network; they keep the promises of their role.

>>> near, far = WordHashEmbedder().embed(EmbedRequest(["a cat sat here", "quarterly tax report"]))
>>> question = WordHashEmbedder().embed(EmbedRequest(["where is the cat"], purpose="query"))[0]
>>> bool(question @ near > question @ far)
True
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agentmem.errors import BackendError
from agentmem.interfaces import (
    LLM,
    Completion,
    CompletionRequest,
    Embedder,
    EmbedRequest,
    ExtractedFact,
    ExtractionRequest,
    Extractor,
    Reranker,
    RerankRequest,
)
from agentmem.records import Draft, Memory, Scope

if TYPE_CHECKING:
    from agentmem.interfaces import Scores, Vectors

A_MONDAY: Final = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
"""When the fakes' clocks start and their memories were said."""


# --- memories -------------------------------------------------------------------------------------


def draft(content: str = "The cat sat on the mat.", **fields: Any) -> Draft:
    """A valid Draft of the content, as the manager would hand it to a log; any field may be given.

    >>> draft("I moved to Lisbon.", kind="rule", importance=0.5).kind
    'rule'
    """
    from agentmem.retrieval.lexical import memory_terms

    filled: dict[str, Any] = {
        "kind": "turn",
        "role": "user",
        "speaker": None,
        "session": None,
        "occurred_at": A_MONDAY,
        "metadata": {},
        "importance": None,
        "affect": None,
        "integrity": "user",
        "expires_at": None,
        "idempotency_key": None,
        "derived_from": (),
        "source": None,
    } | fields
    if "terms" not in filled:
        terms, length = memory_terms(content, speaker=filled["speaker"], occurred_at=filled["occurred_at"])
        filled |= {"terms": terms, "length": length}
    return Draft(content=content, **filled)


def memory(content: str = "The cat sat on the mat.", **fields: Any) -> Memory:
    """A Memory as a log would return it, without a log; any field may be given.

    >>> memory("I moved to Lisbon.", id="m1").id
    'm1'
    """
    filled: dict[str, Any] = {
        "id": hashlib.blake2b(content.encode(), digest_size=16).hexdigest(),
        "version": 1,
        "kind": "turn",
        "scope": Scope(user="ana"),
        "role": "user",
        "speaker": None,
        "position": 1,
        "occurred_at": A_MONDAY,
        "recorded_from": A_MONDAY,
        "recorded_to": None,
        "valid_from": A_MONDAY,
        "valid_to": None,
        "metadata": {},
        "importance": None,
        "affect": None,
        "integrity": "user",
        "expires_at": None,
        "idempotency_key": None,
        "derived_from": (),
        "source": None,
    } | fields
    return Memory(content=content, **filled)


# --- clocks ---------------------------------------------------------------------------------------


class FrozenClock:
    """A clock that stands still until it is told to move.

    >>> clock = FrozenClock()
    >>> clock() == clock()
    True
    >>> clock.advance(days=1)
    >>> clock().isoformat()
    '2026-01-06T12:00:00+00:00'
    """

    def __init__(self, at: datetime = A_MONDAY) -> None:
        self.now = at

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **time: float) -> None:
        """Move by ``timedelta(**time)``; negative goes back."""
        self.now += timedelta(**time)


class SteppingClock(FrozenClock):
    """A clock that moves one step every time it is looked at, so that no two readings are equal.

    >>> clock = SteppingClock(step=timedelta(minutes=1))
    >>> (clock() - clock()).total_seconds()
    -60.0
    """

    def __init__(self, start: datetime = A_MONDAY, step: timedelta = timedelta(seconds=1)) -> None:
        super().__init__(start)
        self.step = step

    def __call__(self) -> datetime:
        now = self.now
        self.now += self.step
        return now


# --- models ---------------------------------------------------------------------------------------


class WordHashEmbedder(Embedder):
    """Every word is a fixed random direction and a text their sum: texts that share words are near."""

    name = "word-hash"

    def __init__(self, dimensions: int = 64) -> None:
        self.dimensions = dimensions
        self._directions: dict[str, Vectors] = {}

    def embed(self, request: EmbedRequest) -> Vectors:
        vectors = np.zeros((len(request.texts), self.dimensions), dtype=np.float32)
        for row, text in zip(vectors, request.texts, strict=True):
            for word in words_of(text):
                row += self._direction(word)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors

    def _direction(self, word: str) -> Vectors:
        if word not in self._directions:
            seed = int.from_bytes(hashlib.blake2b(word.encode(), digest_size=8).digest(), "big")
            direction = np.random.default_rng(seed).standard_normal(self.dimensions, dtype=np.float32)
            self._directions[word] = direction / np.linalg.norm(direction)
        return self._directions[word]


class FailingEmbedder(Embedder):
    """Another embedder, behind a connection that fails on cue: while ``broken``, every call raises BackendError.

    >>> embedder = FailingEmbedder(WordHashEmbedder())
    >>> embedder.broken = True
    >>> embedder.embed(EmbedRequest(["a"]))
    Traceback (most recent call last):
    agentmem.errors.BackendError: The embedder 'word-hash' is broken, as the test asked.
    """

    is_local = False

    def __init__(self, embedder: Embedder, *, broken: bool = False) -> None:
        self.name = embedder.name
        self.dimensions = embedder.dimensions
        self.broken = broken
        self.calls = 0
        self._embedder = embedder

    def embed(self, request: EmbedRequest) -> Vectors:
        self.calls += 1
        if self.broken:
            raise BackendError(f"The embedder {self.name!r} is broken, as the test asked.")
        return self._embedder.embed(request)

    def fingerprint(self) -> str:
        # A service that is down does not make its vectors those of another model.
        return self._embedder.fingerprint()


Answer = str | Completion | Exception


class ScriptedLLM(LLM):
    """Gives the scripted answers in turn, raises those that are errors, and records every request.

    >>> from agentmem.interfaces import Message
    >>> llm = ScriptedLLM("Lisbon.", BackendError("The model is overloaded."))
    >>> llm.complete(CompletionRequest([Message("user", "Where does she live?")])).text
    'Lisbon.'
    >>> llm.requests[0].messages[0].content
    'Where does she live?'

    One function instead of answers is asked each time: ``ScriptedLLM(lambda request: "yes")``.
    """

    def __init__(self, *answers: Answer | Callable[[CompletionRequest], Answer]) -> None:
        self.requests: list[CompletionRequest] = []
        self._answers = list(answers)

    def complete(self, request: CompletionRequest) -> Completion:
        self.requests.append(request)
        answer = self._next(request)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, Completion) else Completion(answer, finish_reason="stop")

    def _next(self, request: CompletionRequest) -> Answer:
        if len(self._answers) == 1 and callable(self._answers[0]):
            return self._answers[0](request)
        if not self._answers:
            raise BackendError("ScriptedLLM has no answer left.", hint="Give it one more, or one function.")
        answer = self._answers.pop(0)
        return answer(request) if callable(answer) else answer


class ScriptedExtractor(Extractor):
    """Finds the facts it was told of, wherever a turn says the value word by word.

    >>> extractor = ScriptedExtractor([("Ana", "lives in", "Lisbon")])
    >>> [fact] = extractor.extract(ExtractionRequest([memory("I moved to Lisbon.", id="m1")]))
    >>> fact.derived_from, fact.start, fact.end
    ('m1', 11, 17)
    """

    def __init__(self, facts: Iterable[tuple[str, str, str]]) -> None:
        self._facts = tuple(facts)

    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
        return [
            ExtractedFact(subject, attribute, value, "affirmed", turn.id, found.start(), found.end())
            for turn in request.memories
            for subject, attribute, value in self._facts
            if (found := re.search(rf"\b{re.escape(value)}\b", turn.content))
        ]


class OverlapReranker(Reranker):
    """The share of the question's words that a text holds.

    >>> OverlapReranker().rerank(RerankRequest("a red fox", ["The red fox ran.", "a dog"])).round(2).tolist()
    [0.6700000166893005, 0.33000001311302185]
    """

    def rerank(self, request: RerankRequest) -> Scores:
        wanted = set(words_of(request.query))
        shares = [len(wanted & set(words_of(text))) / max(1, len(wanted)) for text in request.texts]
        return np.array(shares, dtype=np.float32)


def words_of(text: str) -> list[str]:
    """The words of a text in lower case.

    >>> words_of("Don't PANIC, please")
    ["don't", 'panic', 'please']
    """
    return re.findall(r"[\w']+", text.lower())
