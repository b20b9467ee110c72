"""What is known of a memory before any question: how much it matters, how it turned out, how often it was an answer.

It may lift or lower a score by a bounded share, and decides between near equals; it never hides anything. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentmem.retrieval.fusion import Floats

    Numbers = NDArray[Any]

_OUTCOME: Final = 0.4
_IMPORTANCE: Final = 0.3
_ACCESSES: Final = 0.2
_AROUSAL: Final = 0.1
"""What each may move at most; together 1."""
_MANY_ACCESSES: Final = 100
"""From so many on, more say nothing more."""


def prior(*, importance: Numbers, outcome: Numbers, accesses: Numbers, arousal: Numbers) -> Floats:
    """How far each memory is to be lifted (up to 1) or lowered (down to -1); 0 where nothing is known.

    Args:
        importance: 0..1, NaN where nobody said; a half neither lifts nor lowers.
        outcome: -1..1, as ``feedback`` left it.
        accesses: How often it was an answer; counts by its logarithm.
        arousal: 0..1.
    """
    matters = np.nan_to_num(2 * importance - 1, nan=0.0)
    known = np.log1p(np.minimum(accesses, _MANY_ACCESSES)) / np.log1p(_MANY_ACCESSES)
    moved = _OUTCOME * outcome + _IMPORTANCE * matters + _ACCESSES * known + _AROUSAL * arousal
    bounded: Floats = np.clip(moved, -1, 1).astype(np.float32)
    return bounded


def share(scores: Floats, prior: Floats, weight: float) -> Floats:
    """What the prior adds to each score: at most ``weight`` times the score, up or down.

    A score that is more than ``(1 + weight) / (1 - weight)`` times another stays above it.
    """
    return scores * (np.float32(weight) * prior)
