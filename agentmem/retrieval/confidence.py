"""How sure an answer is, 0 to 1: of one hit, and of a whole retrieval that any hit is relevant.

Scores of ranking are relative: even for a question that nothing fits, something comes first. These figures look at
what is absolute: how much of the question a memory holds, how well its words fit, how near its meaning is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentmem.retrieval.fusion import Floats, Indices


class Evidence(NamedTuple):
    """What is absolute about each memory and the question, by slot, 0..1.

    Args:
        coverage: The share of the question's terms, weighted by IDF, that it holds itself.
        fit: Its BM25, neighbours included, over the highest that any text could have for the question.
        cosine: Of the vectors; None where the question was not compared by meaning.
    """

    coverage: Floats
    fit: Floats
    cosine: Floats | None

    def at(self, slots: Indices) -> Evidence:
        """The evidence of these slots, in their order."""
        cosine = None if self.cosine is None else self.cosine[slots]
        return Evidence(self.coverage[slots], self.fit[slots], cosine)


def of_hits(evidence: Evidence) -> Floats:
    """The probability of each memory to be relevant."""
    model = _HIT["words" if evidence.cosine is None else "both"]
    return _probability(model, *evidence)


def of_answer(best: Evidence) -> float:
    """The probability that any of the best memories is relevant; ``best`` is the evidence of the first ten."""
    if not len(best.coverage):
        return 0.0
    model = _ANSWER["words" if best.cosine is None else "both"]
    return float(_probability(model, *(None if each is None else each.max() for each in best)))


class _Model(NamedTuple):
    """Log odds: a constant, and what each evidence adds at 1."""

    constant: float
    coverage: float
    fit: float
    cosine: float = 0.0


# Logistic regressions, rounded, of LoCoMo (categories 1-4) and LongMemEval-S development questions, both data sets
# weighing the same. Relevant = gold among the best ten. Not relevant = the same question asked of another
# conversation, or gold missed. AUC of an answer .94 and .93 (words only .94 and .91), Brier .10 and .11; of the
# foreign questions 3 % get .5 or more. Of hits (gold among all of the best ten) AUC .84 and .87.
_ANSWER: Final[Mapping[str, _Model]] = {"both": _Model(-5.2, 3.7, 3.8, 4.7), "words": _Model(-4.0, 4.3, 5.2)}
_HIT: Final[Mapping[str, _Model]] = {"both": _Model(-4.5, 2.3, 1.2, 2.4), "words": _Model(-4.0, 2.7, 1.8)}


def _probability(model: _Model, coverage: Any, fit: Any, cosine: Any) -> NDArray[np.float32]:
    odds = model.constant + model.coverage * coverage + model.fit * fit
    if cosine is not None:
        odds = odds + model.cosine * cosine
    probability: NDArray[np.float32] = 1 / (1 + np.exp(-odds))
    return probability
