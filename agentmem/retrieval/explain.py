"""Why a hit stands where it stands: each signal's share of its score.

lexical       its own words match             speaker    the question names who said it
conversation  words that "it" points at do    time       the question asks when, and it speaks of a time
related       words of like meaning do        statement  it is not itself a question
neighbours    what was said around it does    author     it is not the assistant's own words
session       the whole conversation does     recency    nothing to go by: the latest first
dense         its meaning is near             rerank     the reranker's opinion
speaker       also: the question says "I", and it is a fact about the user
standing      of a lesson: it has proved right, or (below 0) wrong
prior         importance, outcome, accesses and arousal lift it, or lower it (below 0)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.retrieval.fusion import Floats


def signals_of(shares: Mapping[str, Floats], slot: int) -> dict[str, float]:
    """The shares of one slot that are not 0, largest first; together they are its score."""
    present = {name: float(share[slot]) for name, share in shares.items() if share[slot]}
    return dict(sorted(present.items(), key=lambda item: -item[1]))
