"""How far lessons can be relied on, from what they say against each other and from how they turned out. Pure.

A lesson claims that an action, in a situation, goes well or badly. It stands for or against that claim of every other
lesson of about the same situation and action: two that tell of results alike bear each other out, two that tell of
opposite ones cannot both be right, and the newer one is rather believed. ``feedback`` says of the lesson itself whether
it helped or misled. Whether the result it tells of was good or bad says nothing of how good the lesson is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from agentmem.records import Lesson
from agentmem.retrieval.lexical import idf, query_terms

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]

UNTRIED: Final = 0.5
"""The standing of a lesson that nothing speaks for or against."""
FADED: Final = 0.2
"""A lesson that stands below this has turned out wrong."""
_KEPT: Final = 0.7
"""What each newer lesson leaves of the weight of those before it."""
_EVIDENCE: Final = 500
"""So many of the newest lessons speak for and against the others; what is older has been said again since, or not."""
_UNLIKE, _ALIKE = 0.5, 0.9
"""Cosines of the words: up to the first, two situations or actions have nothing to do with each other; from the second
on they are the same. To take two situations for one does more harm than the reverse: the lessons of both would fade."""
_FEATURES: Final = 512
_NEGATED: Final = re.compile(r"\b(?:not|never|no|without|avoid|skip|\w+n['’]t)\b", re.IGNORECASE)


class Told(NamedTuple):
    """A lesson as far as it is compared with others: the terms of its situation and of its action."""

    situation: tuple[int, ...]
    action: tuple[int, ...]
    negated: bool
    result: float


def told(lesson: Lesson) -> Told:
    """What of a lesson is compared."""
    return Told(
        tuple(query_terms(lesson.situation)),
        tuple(query_terms(lesson.action)),
        _NEGATED.search(lesson.action) is not None,
        lesson.result,
    )


def standings(lessons: Sequence[Told], *, said_at: NDArray[np.int64], outcomes: Floats, trusted: Bools) -> Floats:
    """How far each lesson can be relied on, 0..1: .5 with nothing for or against it, below ``FADED`` turned out wrong.

    Args:
        said_at: When each was learned; of equals the later one is the newer.
        outcomes: -1 (it misled) to 1 (it helped), as ``feedback`` left them. What misled is no evidence against others.
        trusted: What an untrusted author wrote is no evidence for or against what a trusted one did.
    """
    if not lessons:
        return np.zeros(0, np.float32)
    newest_first = np.lexsort((np.arange(len(lessons)), said_at))[::-1]
    borne_out = np.zeros(len(lessons), np.float32)
    borne_out[newest_first] = _borne_out([lessons[place] for place in newest_first], outcomes, trusted, newest_first)
    standing: Floats = np.clip(UNTRIED + (borne_out + outcomes) / 2, 0, 1).astype(np.float32)
    return standing


def _borne_out(lessons: Sequence[Told], outcomes: Floats, trusted: Bools, order: NDArray[Any]) -> Floats:
    """What the newest lessons say of each, -1 (all the opposite) to below 1 (all the same); newest first."""
    count = min(len(lessons), _EVIDENCE)
    results = np.array([lesson.result for lesson in lessons], np.float32)
    agree = 1 - np.abs(results[:, None] - results[None, :count])
    same = _same(lessons, count)
    same[~trusted[order][:count][None, :] & trusted[order][:, None]] = 0
    own = np.arange(len(lessons))[:, None] == np.arange(count)[None, :]
    same[own] = 1
    newer = np.cumsum(same, axis=1) - same
    weights = same * np.float32(_KEPT) ** newer
    oldest = np.float32(_KEPT) ** same.sum(axis=1)
    of_itself = np.where(np.arange(len(lessons)) < count, (weights * own).sum(axis=1), oldest)
    weights = weights * ~own * np.clip(1 + outcomes[order][:count], 0, 1)[None, :]
    said: Floats = (weights * agree).sum(axis=1) / (weights.sum(axis=1) + of_itself)
    return said


def _same(lessons: Sequence[Told], count: int) -> Floats:
    """How far each lesson is of the situation and the action of each of the first ``count``, 0..1."""
    negated = np.array([lesson.negated for lesson in lessons], np.bool_)
    situations = _alike([lesson.situation for lesson in lessons], count)
    actions = _alike([lesson.action for lesson in lessons], count)
    same: Floats = situations * actions * (negated[:, None] == negated[None, :count])
    return same


def _alike(texts: Sequence[tuple[int, ...]], count: int) -> Floats:
    """How alike each text is to each of the first ``count``: 0 up to ``_UNLIKE``, 1 from ``_ALIKE`` on."""
    held = Counter(term for text in texts for term in text)
    features = np.zeros((len(texts), _FEATURES), np.float32)
    for row, text in zip(features, texts, strict=True):
        for term in text:
            row[term % _FEATURES] += idf(held[term], len(texts) + 1)
    features /= np.maximum(np.linalg.norm(features, axis=1, keepdims=True), np.float32(1e-6))
    alike: Floats = np.clip((features @ features[:count].T - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1)
    return alike
