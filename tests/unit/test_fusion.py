"""Ranking as pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from agentmem.retrieval import fusion

SIZE = 12
evidence = arrays(np.float32, SIZE, elements=st.floats(0, 100, width=32))
masks = arrays(np.bool_, SIZE)


def chain(size: int = SIZE) -> tuple[Any, Any]:
    """One session, in the order of slots."""
    previous = np.arange(-1, size - 1)
    following = np.append(np.arange(1, size), -1)
    return previous, following


def lent(*terms: dict[int, float], links: Any = None, asks: Any = (), size: int = SIZE) -> list[float]:
    """What is lent where each term counts so often in these slots, all of one length; borrowing is whole."""
    previous, following = links or chain(size)
    asking = np.isin(np.arange(size), asks)
    found = [(np.array(list(term), np.int32), np.float32(list(term.values()))) for term in terms]
    ones = np.ones(size, np.float32)
    details = {"previous": previous, "following": following, "asks": asking, "borrowing": ones}
    return fusion.lent(found, [1.0] * len(terms), ones, 1.0, **details).tolist()


def test_a_neighbour_lends_a_word_and_the_second_one_half_of_it() -> None:
    assert lent({3: 1}, size=7) == pytest.approx([0, 0.5, 1, 0, 1, 0.5, 0])


def test_of_a_word_that_both_hold_little_is_lent() -> None:
    assert lent({3: 1, 4: 1}, size=8) == pytest.approx([0, 0.5, 1, 0.3, 0.3, 1, 0.5, 0])


def test_every_word_is_lent_by_who_gives_most() -> None:
    assert lent({0: 1, 2: 1}, size=3)[1] == pytest.approx(1)
    assert lent({0: 1}, {2: 1}, size=3)[1] == pytest.approx(2)


def test_a_question_lends_its_answer_more() -> None:
    assert lent({1: 1}, size=4, asks=[1]) == pytest.approx([1, 0, 1.3, 0.5])


@given(st.sets(st.integers(0, SIZE - 1)))
def test_lending_is_symmetric(slots: set[int]) -> None:
    forward = lent(dict.fromkeys(sorted(slots), 1.0))
    assert lent({SIZE - 1 - slot: 1.0 for slot in slots})[::-1] == pytest.approx(forward)


@given(st.sets(st.integers(0, SIZE - 1)))
def test_nothing_is_lent_across_sessions(slots: set[int]) -> None:
    alone = np.full(SIZE, -1)
    assert lent(dict.fromkeys(sorted(slots), 1.0), links=(alone, alone)) == [0] * SIZE


def test_a_long_turn_borrows_less_and_a_short_one_all() -> None:
    borrowed = fusion.damped(0.5, np.float32([1, 60, 120, 600]), 60)
    np.testing.assert_allclose(borrowed, [0.5, 0.5, 0.125, 0.005], rtol=1e-5)


@given(evidence, evidence, st.integers(0, SIZE - 1), st.floats(0.5, 50, width=32))
def test_more_evidence_never_lowers_a_place(own: Any, other: Any, slot: int, more: float) -> None:
    everything = np.ones(SIZE, np.bool_)

    def place(scores: Any) -> int:
        return fusion.best_first(scores + other, everything, SIZE).tolist().index(slot)

    raised = own.copy()
    raised[slot] += more
    assert place(raised) <= place(own)


@given(evidence, masks, st.integers(1, SIZE), st.integers(1, SIZE))
def test_a_longer_answer_begins_with_the_shorter_one(scores: Any, among: Any, one: int, other: int) -> None:
    short, long = sorted((one, other))
    best = fusion.best_first(scores, among, long)[:long].tolist()
    assert fusion.best_first(scores, among, short)[:short].tolist() == best[:short]


@given(evidence, masks, st.integers(0, SIZE))
def test_the_best_are_those_and_only_among_those(scores: Any, among: Any, count: int) -> None:
    best = fusion.best_first(scores, among, count)[:count]
    expected = sorted(np.flatnonzero(among).tolist(), key=lambda slot: (-scores[slot], -slot))[:count]
    assert best.tolist() == expected


def test_of_equals_the_later_comes_first() -> None:
    assert fusion.best_first(np.ones(4, np.float32), np.ones(4, np.bool_), 4).tolist() == [3, 2, 1, 0]


def test_the_largest_looks_only_among_those_and_never_is_zero() -> None:
    scores = np.float32([1, 5, 3])
    assert fusion.largest(scores, np.array([True, False, True])) == 3
    assert fusion.largest(np.zeros(3, np.float32), np.ones(3, np.bool_)) == 1
    assert fusion.largest(np.zeros(0, np.float32), np.zeros(0, np.bool_)) == 1


def test_sessions_gather_the_counts_of_their_turns_and_none_is_no_session() -> None:
    found = [(np.array([0, 1, 3], np.int32), np.float32([1, 2, 5]))]
    sessions, counts = fusion.by_session(found, np.array([1, 1, 2, 0]), 3)[0]
    assert (sessions.tolist(), counts.tolist()) == ([1], [3.0])


@given(arrays(np.int64, SIZE, elements=st.integers(0, 5)))
def test_ranks_rise_with_the_values_and_end_at_one(values: Any) -> None:
    ranks = fusion.ranks(values)
    order = np.argsort(ranks)
    assert sorted(values.tolist()) == values[order].tolist()
    assert ranks.min() > 0
    assert ranks.max() == 1


def test_coverage_is_whole_where_every_term_stands() -> None:
    found = [(np.array([0, 1], np.int32), np.float32([1, 9])), (np.array([1], np.int32), np.float32([1]))]
    np.testing.assert_allclose(fusion.coverage(found, [1.0, 3.0], 3), [0.25, 1.0, 0.0])
