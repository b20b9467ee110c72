"""What a least confidence costs in recall and brings in precision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final, NamedTuple

SHOWN: Final = 10
CUTS: Final = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.07, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7)
KEPT_RECALL: Final = 0.95


class Judged(NamedTuple):
    """One hit: its confidence, whether it is a gold turn, and whether it is one or stands right beside one."""

    confidence: float
    is_gold: bool
    is_near: bool


@dataclass(frozen=True, slots=True)
class Cut:
    """What ``retrieve(min_confidence=…)`` leaves of ten hits, over all questions.

    Args:
        hits: Mean number of hits shown.
        precision: Share of all hits shown that are gold turns.
        beside: The same of gold turns and their neighbours.
        recall: Mean share of the gold turns that are shown.
    """

    min_confidence: float
    hits: float
    precision: float
    beside: float
    recall: float


def cuts(answers: Sequence[tuple[Sequence[Judged], int]], at: Sequence[float] = CUTS) -> list[Cut]:
    """The curve over answers.

    Args:
        answers: Of each the hits, best first and more than are shown, and how many gold turns there are.
    """
    return [_cut(answers, least) for least in at]


def at_kept_recall(curve: Sequence[Cut], share: float = KEPT_RECALL) -> Cut:
    """The highest cut that keeps this share of the first one's recall."""
    return max((cut for cut in curve if cut.recall >= share * curve[0].recall), key=lambda cut: cut.min_confidence)


def near(gold: frozenset[int], sessions: Sequence[int]) -> frozenset[int]:
    """The gold turns with the turn just before and just after each in its session."""
    around = {turn + step for turn in gold for step in (-1, 0, 1) if 0 <= turn + step < len(sessions)}
    return frozenset(
        turn for turn in around if any(abs(turn - each) < 2 and sessions[turn] == sessions[each] for each in gold)
    )


def _cut(answers: Sequence[tuple[Sequence[Judged], int]], least: float) -> Cut:
    shown = [[hit for hit in hits if hit.confidence >= least][:SHOWN] for hits, _ in answers]
    count = sum(map(len, shown))
    return Cut(
        least,
        hits=count / max(len(answers), 1),
        precision=sum(hit.is_gold for hits in shown for hit in hits) / max(count, 1),
        beside=sum(hit.is_near for hits in shown for hit in hits) / max(count, 1),
        recall=fmean(sum(hit.is_gold for hit in hits) / gold for hits, (_, gold) in zip(shown, answers, strict=True)),
    )
