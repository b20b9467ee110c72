"""How far lessons can be relied on, from what they say against each other and from how they turned out.

A lesson claims that an action, in a situation, goes well or badly. It stands for or against that claim of every other
lesson of about the same situation and action: two that tell of results alike bear each other out, two that tell of
opposite ones cannot both be right, and the newer one is rather believed. ``feedback`` says of the lesson itself whether
it helped or misled. Whether the result it tells of was good or bad says nothing of how good the lesson is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Iterable, Mapping
from heapq import nlargest
from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

from agentmem.records import Lesson
from agentmem.retrieval.lexical import query_terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

Key = TypeVar("Key", bound=Hashable)

UNTRIED: Final = 0.5
"""The standing of a lesson that nothing speaks for or against."""
FADED: Final = 0.2
"""A lesson that stands below this has turned out wrong."""
_KEPT: Final = 0.7
"""What each newer lesson leaves of the weight of those before it."""
_UNLIKE, _ALIKE = 0.6, 0.9
"""Cosines of the words: up to the first, two situations or actions have nothing to do with each other; from the second
on they are the same. To take two situations for one does more harm than the reverse: the lessons of both would fade."""
_FELT: Final = 1.5
"""What feedback counts beside other lessons: to have misled twice, of late, is enough to fade."""
_LIFT: Final = 0.3
_COMPARED: Final = 100
"""What is new is compared with so many of the newest situations that share a word with it, by word."""
_WITNESSES: Final = 40
"""So many of the newest lessons about the same speak for and against one: the weight of any before them is nothing."""
_NEGATED: Final = re.compile(r"\b(?:not|never|no|without|avoid|skip|\w+n['’]t)\b", re.IGNORECASE)


class Told(NamedTuple):
    """A lesson as far as it is compared with others.

    Args:
        situation, action: Their terms.
        negated: The action is to leave something.
        learned: When, as numbers that no other lesson has: the greater, the later.
        trusted: What an untrusted author wrote is no evidence for or against what a trusted one did.
    """

    situation: frozenset[int]
    action: frozenset[int]
    negated: bool
    result: float
    learned: tuple[int, ...]
    trusted: bool


class Witness(NamedTuple):
    """Another lesson, how it turned out itself (-1..1), and how far it is about the same (0..1)."""

    lesson: Told
    outcome: float
    same: float


def told(lesson: Lesson, *, learned: tuple[int, ...], trusted: bool) -> Told:
    """What of a lesson is compared."""
    return Told(
        frozenset(query_terms(lesson.situation)),
        frozenset(query_terms(lesson.action)),
        _NEGATED.search(lesson.action) is not None,
        lesson.result,
        learned,
        trusted,
    )


def standing(lesson: Told, *, outcome: float = 0.0, others: Iterable[Witness] = ()) -> float:
    """How far the lesson can be relied on, 0..1: .5 with nothing for or against it, below ``FADED`` it was wrong.

    Args:
        outcome: -1 (it misled) to 1 (it helped), as ``feedback`` left it.
        others: The lessons about the same. What misled is no evidence.
    """
    itself = Witness(lesson, 0.0, 1.0)
    heard = [each for each in others if each.lesson.trusted or not lesson.trusted]
    borne_out, weighed, newer = 0.0, 0.0, 0.0
    for each in sorted((itself, *heard), key=lambda each: each.lesson.learned, reverse=True):
        weight = each.same * _KEPT**newer * min(1.0, 1 + each.outcome)
        newer += each.same
        weighed += weight
        if each is not itself:
            borne_out += weight * (1 - abs(lesson.result - each.lesson.result))
    return min(1.0, max(0.0, UNTRIED + (borne_out / weighed + _FELT * outcome) / 2))


def moved(standing: Floats) -> Floats:
    """How far each lesson is to be lifted (up to .3) or lowered (down to -1); 0 where nothing is known, or for NaN.

    To have proved right makes a lesson no more about the question, so that it lifts less than having misled lowers.
    """
    import numpy as np

    known = 2 * (np.nan_to_num(standing, nan=UNTRIED) - UNTRIED)
    lifted: Floats = np.where(known > 0, np.float32(_LIFT) * known, known).astype(np.float32)
    return lifted


class Standings(Generic[Key]):
    """How a changing set of lessons stands; a change costs what the lessons about the same cost. Not thread-safe."""

    def __init__(self) -> None:
        self.of: dict[Key, float] = {}
        """The standing of each lesson."""
        self._lessons: dict[Key, tuple[Told, float]] = {}
        self._by_topic: dict[_Topic, set[Key]] = {}
        self._near: dict[_Topic, dict[_Topic, float]] = {}
        self._holding: dict[int, dict[_Topic, None]] = {}

    def update(self, lessons: Mapping[Key, tuple[Told, float]]) -> None:
        """From now on these lessons are all there are; each with its outcome."""
        touched: set[_Topic] = set()
        for key in self._lessons.keys() - lessons.keys():
            topic = _topic(self._lessons[key][0])
            self._by_topic[topic].remove(key)
            del self.of[key]
            touched.add(topic)
        for key, (lesson, outcome) in lessons.items():
            known = self._lessons.get(key)
            if known is None or known[1] != outcome:
                topic = _topic(lesson)
                if topic not in self._near:
                    self._compare(topic, lesson)
                self._by_topic[topic].add(key)
                touched.add(topic)
        self._lessons = dict(lessons)
        for each in {near for topic in touched for near in self._near[topic]}:
            self._judge(each)
        for topic in touched:
            if not self._by_topic[topic]:
                self._drop(topic)

    def _compare(self, topic: _Topic, lesson: Told) -> None:
        """Note which of the newest topics are about the same."""
        near: dict[_Topic, float] = {topic: 1.0}
        for term in lesson.situation:
            holding = self._holding.setdefault(term, {})
            for other in islice(reversed(holding), _COMPARED):
                if other not in near:
                    near[other] = _same(topic, other)
            holding[topic] = None
        self._near[topic] = {other: share for other, share in near.items() if share}
        for other, share in self._near[topic].items():
            self._near[other][topic] = share
        self._by_topic[topic] = set()

    def _drop(self, topic: _Topic) -> None:
        for other in self._near.pop(topic):
            if other != topic:
                del self._near[other][topic]
        for term in topic[0]:
            del self._holding[term][topic]
        del self._by_topic[topic]

    def _judge(self, topic: _Topic) -> None:
        """Work out how the lessons of a topic stand."""
        witnesses = (
            (key, Witness(*self._lessons[key], share))
            for near, share in self._near[topic].items()
            for key in self._by_topic[near]
        )
        newest = nlargest(_WITNESSES, witnesses, key=lambda each: each[1].lesson.learned)
        heard = {key for key, _ in newest}
        long_ago: dict[tuple[float, bool, float], float] = {}
        for key in self._by_topic[topic]:
            lesson, outcome = self._lessons[key]
            alike = lesson.result, lesson.trusted, outcome
            if key in heard or alike not in long_ago:
                others = [witness for other, witness in newest if other != key]
                found = self.of[key] = standing(lesson, outcome=outcome, others=others)
                if key not in heard:
                    long_ago[alike] = found
            else:
                self.of[key] = long_ago[alike]


_Topic = tuple[frozenset[int], frozenset[int], bool]


def _topic(lesson: Told) -> _Topic:
    """What it is about, word for word."""
    return lesson.situation, lesson.action, lesson.negated


def _same(one: _Topic, other: _Topic) -> float:
    """How far both are about the same action in the same situation, 0..1."""
    if one[2] != other[2] or not (actions := _alike(one[1], other[1])):
        return 0.0
    return actions * _alike(one[0], other[0])


def _alike(one: frozenset[int], other: frozenset[int]) -> float:
    """The cosine of two texts' terms: 0 up to ``_UNLIKE``, 1 from ``_ALIKE`` on."""
    if not one or not other:
        return 0.0
    cosine = len(one & other) / math.sqrt(len(one) * len(other))
    return min(1.0, max(0.0, (cosine - _UNLIKE) / (_ALIKE - _UNLIKE)))
