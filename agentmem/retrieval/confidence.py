"""How sure an answer is, 0 to 1: of one hit, and of a whole retrieval that any hit is relevant.

Scores of ranking are relative: even for a question that nothing fits, something comes first. These figures look at
what is absolute: how much of the question a memory holds, how well its words fit, how near its meaning is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from agentmem.retrieval.fusion import Floats, Indices


class Evidence(NamedTuple):
    """What is absolute about each memory and the question, by slot, 0..1.

    Args:
        coverage: The share of the question's terms, weighted by IDF, that it holds itself.
        fit: Its BM25, neighbours included, over the highest that any text could have for the question.
        cosine: Of the vectors; 0 where there is none.
    """

    coverage: Floats
    fit: Floats
    cosine: Floats

    def at(self, slots: Indices) -> Evidence:
        """The evidence of these slots, in their order."""
        return Evidence(self.coverage[slots], self.fit[slots], self.cosine[slots])


def of_hits(evidence: Evidence) -> Floats:
    """The probability of each memory to be relevant."""
    odds = -4.0 + 2.0 * evidence.coverage + 2.0 * evidence.fit + 2.0 * evidence.cosine
    probabilities: Floats = 1 / (1 + np.exp(-odds))
    return probabilities


def of_answer(evidence: Evidence) -> float:
    """The probability that any of the best memories is relevant.

    Args:
        evidence: Of the best few, best first.
    """
    return float(of_hits(evidence).max(initial=0.0))
