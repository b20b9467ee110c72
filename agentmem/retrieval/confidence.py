"""How sure an answer is, 0 to 1: of one hit, and of a whole retrieval that any hit is relevant.

Scores of ranking are relative: even for a question that nothing fits, something comes first. These figures look at
what is absolute: how much of the question a memory holds, how well its words fit, how near its meaning is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentmem.retrieval.fusion import Floats, Indices


class Evidence(NamedTuple):
    """What speaks for each memory, by slot, 0..1, and how many memories there are.

    Args:
        coverage: The share of the question's terms, weighted by IDF, that it holds itself.
        fit: Its BM25, neighbours included, over the highest that any text could have for the question.
        lead: The same over the best memory's.
        cosine: Of the vectors; None where the question was not compared by meaning.
        size: So many memories could have been shown. Among many, some fit by chance.
    """

    coverage: Floats
    fit: Floats
    lead: Floats
    cosine: Floats | None
    size: int

    def at(self, slots: Indices) -> Evidence:
        """The evidence of these slots, in their order."""
        cosine = None if self.cosine is None else self.cosine[slots]
        return Evidence(self.coverage[slots], self.fit[slots], self.lead[slots], cosine, self.size)

    def strongest(self) -> Evidence:
        """Of each kind the most that any slot has, as one slot."""
        cosine = None if self.cosine is None else self.cosine.max(keepdims=True)
        coverage, fit, lead = (each.max(keepdims=True) for each in self[:3])
        return Evidence(coverage, fit, lead, cosine, self.size)


def of_hits(evidence: Evidence) -> Floats:
    """The probability of each memory to answer the question, or to stand right beside what does."""
    model = _HIT["words" if evidence.cosine is None else "both"]
    return _probability(model, evidence)


def of_answer(best: Evidence) -> float:
    """The probability that any of the best memories is relevant; ``best`` is the evidence of the first ten."""
    if not len(best.coverage):
        return 0.0
    model = _ANSWER["words" if best.cosine is None else "both"]
    return float(_probability(model, best.strongest())[0])


class _Model(NamedTuple):
    """Log odds: a constant, what each evidence adds at 1, and what ten times as many memories add."""

    constant: float
    tenfold: float
    coverage: float
    fit: float
    lead: float = 0.0
    cosine: float = 0.0


# Logistic regressions, rounded; `python -m bench.confidence` fits them anew and prints how well they hold.
_ANSWER: Final[Mapping[str, _Model]] = {
    "both": _Model(-3.3, -1.0, coverage=5.0, fit=4.0, cosine=5.6),
    "words": _Model(-2.4, -0.8, coverage=6.2, fit=5.7),
}
_HIT: Final[Mapping[str, _Model]] = {
    "both": _Model(-3.5, -0.6, coverage=1.9, fit=2.2, lead=1.5, cosine=2.8),
    "words": _Model(-3.2, -0.6, coverage=2.4, fit=3.1, lead=1.6),
}


def _probability(model: _Model, evidence: Evidence) -> NDArray[np.float32]:
    odds = (
        model.constant
        + model.tenfold * math.log10(max(evidence.size, 1))
        + model.coverage * evidence.coverage
        + model.fit * evidence.fit
        + model.lead * evidence.lead
    )
    if evidence.cosine is not None:
        odds = odds + model.cosine * evidence.cosine
    probability: NDArray[np.float32] = 1 / (1 + np.exp(-odds))
    return probability
