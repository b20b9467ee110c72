"""What lessons say of each other: whom to believe, by what they tell, when, and how they turned out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.lifecycle.learning import FADED, UNTRIED, Standings, moved, told
from agentmem.records import Lesson

OUT_OF_MEMORY = "the build runs out of memory"
HALVE = "halve the parallel jobs"


def lesson(result: float, situation: str = OUT_OF_MEMORY, action: str = HALVE) -> Lesson:
    return Lesson(situation, action, "so it went", result)


def stand(
    lessons: Sequence[Lesson],
    *,
    outcomes: Sequence[float] | None = None,
    said_at: Sequence[int] | None = None,
    trusted: Sequence[bool] | None = None,
) -> list[float]:
    count = len(lessons)
    outcomes = [0.0] * count if outcomes is None else outcomes
    said_at = range(count) if said_at is None else said_at
    trusted = [True] * count if trusted is None else trusted
    rows = zip(range(count), lessons, outcomes, said_at, trusted, strict=True)
    book: Standings[int] = Standings()
    book.update({n: (told(each, learned=(at, n), trusted=is_trusted), out) for n, each, out, at, is_trusted in rows})
    return [book.of[number] for number in range(count)]


def test_a_lesson_alone_stands_in_the_middle_whether_it_tells_of_a_failure_or_a_success() -> None:
    assert stand([lesson(-1.0)]) == stand([lesson(1.0)]) == [UNTRIED]
    assert stand([]) == []


def test_lessons_that_tell_the_same_bear_each_other_out_failures_like_successes() -> None:
    for result in (-1.0, 1.0):
        assert all(standing > UNTRIED for standing in stand([lesson(result), lesson(result)]))


def test_of_two_that_contradict_each_other_the_newer_is_rather_believed_and_neither_fades_at_once() -> None:
    older, newer = stand([lesson(1.0), lesson(-1.0)])
    assert FADED < older < newer < UNTRIED


def test_a_lesson_fades_when_two_newer_ones_say_the_opposite_and_those_hold() -> None:
    first, *later = stand([lesson(1.0), lesson(-1.0), lesson(-1.0)])
    assert first < FADED
    assert all(standing > UNTRIED for standing in later)


def test_what_was_learned_later_counts_as_newer_in_whatever_order_it_is_kept() -> None:
    assert stand([lesson(-1.0), lesson(1.0)], said_at=[2, 1]) == stand([lesson(1.0), lesson(-1.0)])[::-1]


def test_a_warning_that_helped_rises_and_one_that_misled_sinks_as_any_lesson_does() -> None:
    for result in (-1.0, 1.0):
        standing = [stand([lesson(result)], outcomes=[outcome])[0] for outcome in (-0.55, -0.33, 0.0, 0.33, 0.6)]
        assert all(low < high for low, high in pairwise(standing))
        assert standing[0] < FADED < standing[1]


def test_a_lesson_that_misled_speaks_against_no_other() -> None:
    held, _ = stand([lesson(1.0), lesson(-1.0)], outcomes=[0.0, -1.0])
    assert held == UNTRIED


@pytest.mark.parametrize(
    ("situation", "action"),
    [
        ("the tests hang on the network", HALVE),
        (OUT_OF_MEMORY, "clear the cache of the compiler"),
        (OUT_OF_MEMORY, f"do not {HALVE}"),
    ],
)
def test_another_situation_another_action_or_its_opposite_is_no_contradiction(situation: str, action: str) -> None:
    assert stand([lesson(1.0), lesson(-1.0, situation, action)]) == [UNTRIED, UNTRIED]


def test_the_same_in_other_words_is_a_contradiction() -> None:
    held, _ = stand([lesson(1.0), lesson(-1.0, "a build ran out of memory", "halving the parallel job")])
    assert held < UNTRIED


def test_what_an_untrusted_author_wrote_speaks_against_nothing_that_a_trusted_one_did() -> None:
    held, untrusted = stand([lesson(1.0), lesson(-1.0)], trusted=[True, False])
    assert held == UNTRIED
    assert untrusted < UNTRIED


def test_a_thousand_old_lessons_do_not_outweigh_what_has_been_learned_since() -> None:
    standing = stand([lesson(1.0)] * 1_000 + [lesson(-1.0)] * 6)
    assert max(standing[:1_000]) < FADED
    assert min(standing[1_000:]) > UNTRIED


results = st.floats(-1, 1, width=16)


@given(st.lists(st.tuples(results, results, st.sampled_from([OUT_OF_MEMORY, "disk full"]), st.booleans()), max_size=8))
def test_a_standing_lies_between_nothing_and_one(lessons: list[tuple[float, float, str, bool]]) -> None:
    found = stand(
        [lesson(result, situation) for result, _, situation, _ in lessons],
        outcomes=[outcome for _, outcome, _, _ in lessons],
        trusted=[trusted for *_, trusted in lessons],
    )
    assert all(0 <= standing <= 1 for standing in found)


@given(st.lists(results, min_size=1, max_size=6))
def test_what_is_said_once_more_never_stands_lower_for_it(told_results: list[float]) -> None:
    before = stand([lesson(each) for each in told_results])[-1]
    assert stand([lesson(each) for each in (*told_results, told_results[-1])])[-1] >= before - 1e-6


def test_having_misled_lowers_more_than_having_proved_right_lifts() -> None:
    low, unknown, none, high = moved(np.array([0.0, UNTRIED, np.nan, 1.0], np.float32)).tolist()
    assert low == -1
    assert unknown == none == 0
    assert 0 < high < 0.5


numbered = st.dictionaries(
    st.integers(0, 7), st.tuples(results, st.sampled_from([OUT_OF_MEMORY, "disk full"]), results), max_size=6
)


@given(st.lists(numbered, min_size=1, max_size=5))
def test_standings_that_follow_changes_are_those_of_a_fresh_start(
    states: list[dict[int, tuple[float, str, float]]],
) -> None:
    followed: Standings[tuple[int, float, str]] = Standings()
    for state in states:
        lessons = {
            (number, result, situation): (told(lesson(result, situation), learned=(number,), trusted=True), outcome)
            for number, (result, situation, outcome) in state.items()
        }
        followed.update(lessons)
        fresh: Standings[tuple[int, float, str]] = Standings()
        fresh.update(lessons)
        assert followed.of == pytest.approx(fresh.of)
