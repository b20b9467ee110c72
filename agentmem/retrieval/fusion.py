"""Ranking as pure functions over arrays by slot: evidence, neighbours, sessions, and their weighted sum.

A slot is one memory. Arrays are float32 unless said otherwise, scores are 0 or more and higher is nearer.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from agentmem.retrieval.lexical import saturated

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Bools = NDArray[np.bool_]
    Indices = NDArray[np.intp]
    Found = Sequence[tuple[NDArray[np.int32], Floats]]
    """For each term the slots that hold it and its counts there."""

_TO_ITS_ANSWER: Final = np.float32(1.3)
_TO_THE_SECOND: Final = np.float32(0.5)
_OF_SHARED: Final = np.float32(0.3)


def bm25(found: Found, weights: Sequence[float], lengths: Floats, mean_length: float) -> Floats:
    """BM25 of every slot; ``weights`` are the terms' IDF, ``lengths`` tokens by slot."""
    scores = np.zeros(len(lengths), np.float32)
    for (slots, counts), weight in zip(found, weights, strict=True):
        scores[slots] += np.float32(weight) * saturated(counts, lengths[slots], mean_length)
    return scores


def coverage(found: Found, weights: Sequence[float], size: int) -> Floats:
    """How much of the question each slot holds, 0..1: the weights of its terms over those of all terms."""
    covered = np.zeros(size, np.float32)
    whole = sum(weights) or 1.0
    for (slots, _), weight in zip(found, weights, strict=True):
        covered[slots] += np.float32(weight / whole)
    return covered


def related(
    found: Found, places: Sequence[int], weights: Sequence[float], lengths: Floats, mean_length: float
) -> Floats:
    """BM25 of words that mean about what the question's do; each term of the question counts by its best relative.

    Args:
        found: Of the relatives, those of one term next to each other.
        places: The term each belongs to.
        weights: What each is worth.
    """
    scores = np.zeros(len(lengths), np.float32)
    for _, group in itertools.groupby(zip(places, found, weights, strict=True), key=itemgetter(0)):
        best = np.zeros(len(lengths), np.float32)
        for _, (slots, counts), weight in group:
            score = np.float32(weight) * saturated(counts, lengths[slots], mean_length)
            best[slots] = np.maximum(best[slots], score)
        scores += best
    return scores


def by_session(found: Found, sessions: Indices, count: int) -> list[tuple[NDArray[np.int32], Floats]]:
    """``found`` with sessions in place of slots; session 0 stands for none and is left out.

    Args:
        sessions: The session of every slot.
        count: How many sessions there are, 0 included.
    """
    grouped = []
    for slots, counts in found:
        totals = np.bincount(sessions[slots], counts, count).astype(np.float32)
        totals[0] = 0.0
        holding = np.flatnonzero(totals)
        grouped.append((holding.astype(np.int32), totals[holding]))
    return grouped


def lent(
    found: Found,
    weights: Sequence[float],
    lengths: Floats,
    mean_length: float,
    *,
    previous: Indices,
    following: Indices,
    asks: Bools,
    borrowing: Floats,
) -> Floats:
    """What the turns around it add to the BM25 of every slot, two each way, term by term.

    The neighbour that gives most lends a slot the term that it lacks, or a part of one that both hold: the day and the
    speaker, which a whole conversation shares, add little. The second neighbour gives half, a question more to its
    answer.

    Args:
        previous, following: The slot said just before and after in the same session, -1 for none.
        asks: Which slots are questions.
        borrowing: How much of a neighbour's score each slot takes, see ``damped``.
    """
    added, own, borrowed = (np.zeros(len(lengths), np.float32) for _ in range(3))
    for (slots, counts), weight in zip(found, weights, strict=True):
        score = np.float32(weight) * saturated(counts, lengths[slots], mean_length)
        own[slots] = score
        to_answer = np.where(asks[slots], _TO_ITS_ANSWER * score, score)
        next_one, one_before = following[slots], previous[slots]
        lendings = [
            _lend(borrowed, borrowing, next_one, to_answer),
            _lend(borrowed, borrowing, one_before, score),
            _lend(borrowed, borrowing, np.where(next_one < 0, -1, following[next_one]), _TO_THE_SECOND * score),
            _lend(borrowed, borrowing, np.where(one_before < 0, -1, previous[one_before]), _TO_THE_SECOND * score),
        ]
        borrowers = np.concatenate(lendings)
        has, gets = own[borrowers], borrowed[borrowers]
        # Assigned, not added in place: a slot that several lend to stands here several times.
        added[borrowers] = added[borrowers] + np.maximum(gets - has, 0) + _OF_SHARED * np.minimum(gets, has)
        own[slots], borrowed[borrowers] = 0, 0
    return added


def _lend(borrowed: Floats, borrowing: Floats, slots: Indices, scores: Floats) -> Indices:
    """Raise what those slots (-1 for none; each once) have borrowed to what is lent to them; the slots that are."""
    there = slots >= 0
    borrowers = slots[there]
    borrowed[borrowers] = np.maximum(borrowed[borrowers], borrowing[borrowers] * scores[there])
    return borrowers


def damped(weight: float, lengths: Floats, knee: float) -> Floats:
    """The weight, shrinking with the square of the length beyond ``knee`` tokens: long texts stand for themselves."""
    return np.float32(weight) * np.minimum(np.float32(1.0), np.float32(knee) / np.maximum(lengths, 1.0)) ** 2


def largest(scores: Floats, among: Bools) -> float:
    """The largest of the scores among those, to divide by; 1 if none is above 0."""
    return float(np.max(scores, where=among, initial=0.0)) or 1.0


def ranks(values: NDArray[Any]) -> Floats:
    """The place of each value in ascending order, over the number of values: above 0, at most 1."""
    places = np.empty(len(values), np.float32)
    places[np.argsort(values, kind="stable")] = np.arange(1, len(values) + 1) / max(len(values), 1)
    return places


def best_first(scores: Floats, among: Bools, count: int) -> Indices:
    """At least the ``count`` best slots among those, best first; of equals the later one first.

    A longer answer begins with the shorter one.
    """
    candidates = np.flatnonzero(among)
    if not count:
        return candidates[:0]
    values = scores[candidates]
    if count < len(candidates):
        bar = np.partition(values, len(values) - count)[len(values) - count]
        candidates = candidates[values >= bar]
        values = scores[candidates]
    return candidates[np.lexsort((-candidates, -values))]
