"""Why a hit stands where it stands: each signal's share of its score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agentmem.records import Hit
    from agentmem.retrieval.fusion import Floats

MEANINGS: Final[Mapping[str, str]] = {
    "lexical": "its own words match",
    "neighbours": "what was said just before and after matches",
    "session": "the whole conversation matches",
    "dense": "its meaning is near",
    "speaker": "the question names who said it",
    "time": "the question asks when, and it speaks of a time",
    "statement": "it is not itself a question",
    "author": "it is not the assistant's own words",
    "rerank": "the reranker found it relevant",
}
"""What each signal says, in words."""


def signals_of(shares: Mapping[str, Floats], slot: int) -> dict[str, float]:
    """The shares of one slot that are not 0, largest first; together they are its score."""
    present = {name: float(share[slot]) for name, share in shares.items() if share[slot]}
    return dict(sorted(present.items(), key=lambda item: -item[1]))


def in_words(hit: Hit) -> str:
    """Why this hit, in one line: ``its own words match (0.81), its meaning is near (0.40)``."""
    return ", ".join(f"{MEANINGS.get(name, name)} ({share:.2f})" for name, share in hit.signals.items())
