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
_VITAL: Final = 0.5
_TRIVIAL: Final = 0.2
_STIRRED: Final = 0.5
_MANY_ACCESSES: Final = 100
"""From so many on, more say nothing more."""


def prior(*, importance: Numbers, outcome: Numbers, accesses: Numbers, arousal: Numbers) -> Floats:
    """How far each memory is to be lifted (up to 1) or lowered (down to -1); 0 where nothing stands out.

    Args:
        importance: 0..1, NaN where nobody said. More than a half lifts, less than a fifth lowers: what lies between
            is ordinary, and to tell it apart misleads more often than it helps.
        outcome: -1..1, as ``feedback`` left it.
        accesses: How often it was an answer; counts by its logarithm.
        arousal: 0..1; more than a half lifts.
    """
    vital, trivial = (importance - _VITAL) / (1 - _VITAL), (_TRIVIAL - importance) / _TRIVIAL
    matters = np.nan_to_num(np.clip(vital, 0, 1) - np.clip(trivial, 0, 1), nan=0.0)
    known = np.log1p(np.minimum(accesses, _MANY_ACCESSES)) / np.log1p(_MANY_ACCESSES)
    stirs = np.clip((arousal - _STIRRED) / (1 - _STIRRED), 0, 1)
    moved = _OUTCOME * outcome + _IMPORTANCE * matters + _ACCESSES * known + _AROUSAL * stirs
    bounded: Floats = np.clip(moved, -1, 1).astype(np.float32)
    return bounded


def share(scores: Floats, prior: Floats, weight: float) -> Floats:
    """What the prior adds to each score: at most ``weight`` times the score, up or down.

    A score that is more than ``(1 + weight) / (1 - weight)`` times another stays above it.
    """
    return scores * (np.float32(weight) * prior)
