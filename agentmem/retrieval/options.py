"""The weights of ranking and the bounds of its cache; the YAML block ``retrieval``."""

from __future__ import annotations

from dataclasses import dataclass, fields

from agentmem.errors import ConfigError


@dataclass(frozen=True, slots=True)
class RetrievalOptions:
    """How signals are weighed; 0 switches one off. Each signal lies in 0..1 before it is weighed.

    The defaults are one setting for short chats and long ones alike, found on LoCoMo and LongMemEval-S and rounded.

    Args:
        lexical: BM25 of the memory, what its neighbours lend it included.
        neighbours: How much of its BM25 a turn lends the ones beside it, of words that they lack; half of it to the
            second ones.
        neighbour_tokens: Longer turns stand for themselves: what they borrow shrinks with the square of their length
            over this, in tokens.
        related: BM25 of words that mean about what the question's words do ("dog" for "pet"); English only.
        session: BM25 of the whole session.
        dense: Cosine of the vectors.
        speaker: The question names the memory's speaker.
        time: The question asks when, and the memory speaks of a time.
        statement: The memory is not itself a question.
        author: The memory is not the assistant's own words, or it is a lesson.
        conversation: What a name or phrase of the conversation before counts that "it" or "she" in the question points
            at, beside 1 for the question's own words; 0 leaves the conversation out.
        prior: By so much of itself importance, outcome, accesses and arousal together may lift or lower a score, at
            most; they decide between near equals.
        standing: By so much of itself at most a lesson that turned out wrong is lowered, by less than a third of that
            one that proved right is lifted.
        rerank: The reranker, beside the fused score at 1; only where a reranker is configured.
        rerank_pool: So many of the best are shown to the reranker.
        dense_pool: So many nearest are asked of a vector store other than the exact one, per partition.
        count_accesses: Whether to note, a few seconds later, which memories were answers.
        cache_mb: The partitions kept in memory, in MiB; those longest unused go first.
    """

    lexical: float = 1.0
    neighbours: float = 0.7
    neighbour_tokens: float = 60.0
    related: float = 0.4
    session: float = 0.4
    dense: float = 0.5
    speaker: float = 0.5
    time: float = 0.2
    statement: float = 0.1
    author: float = 0.4
    conversation: float = 1.0
    prior: float = 0.1
    standing: float = 0.5
    rerank: float = 0.5
    rerank_pool: int = 50
    dense_pool: int = 200
    count_accesses: bool = True
    cache_mb: int = 384

    def __post_init__(self) -> None:
        for each in fields(self):
            value = getattr(self, each.name)
            if isinstance(each.default, bool):
                if not isinstance(value, bool):
                    raise ConfigError(f"retrieval.{each.name} must be true or false, not {value!r}.")
                continue
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
                raise ConfigError(f"retrieval.{each.name} must be a number of at least 0, not {value!r}.")
        for name in ("prior", "standing"):
            if getattr(self, name) > 1:
                value = getattr(self, name)
                raise ConfigError(f"retrieval.{name} must be at most 1, not {value!r}: no score may sink below 0.")
        for name in ("rerank_pool", "dense_pool", "cache_mb"):
            if not isinstance(getattr(self, name), int) or getattr(self, name) < 1:
                raise ConfigError(f"retrieval.{name} must be a whole number of at least 1.")
