"""Time in questions."""

from __future__ import annotations

from datetime import date

import pytest

from agentmem.retrieval.languages import ENGLISH, FUNCTION_WORDS
from agentmem.retrieval.timewords import TIME_WORDS, asks_when, date_words, written_days


@pytest.mark.parametrize(
    "query",
    [
        "When did Caroline go to the support group?",
        "And when was that?",
        "Since when does she paint?",
        "What day is the race?",
        "Which year did they meet?",
        "How long ago was it?",
        "How many weeks did it take?",
        "Wann ist der Termin?",
        "Seit wann malt sie?",
        "À quelle date part-il ?",
        "¿Desde cuándo pinta?",
        "Quando parte il treno?",
        "Tot wanneer blijft hij?",
    ],
)
def test_a_question_for_a_time_is_one(query: str) -> None:
    assert asks_when(query)


@pytest.mark.parametrize(
    "query", ["What did he do when he came home?", "Who paints?", "How many dogs are there?", "whenever you like"]
)
def test_another_question_is_not(query: str) -> None:
    assert not asks_when(query)


def test_a_day_in_words() -> None:
    assert date_words(date(2023, 5, 7)) == "7 may 2023 sunday"
    assert date_words(date(2023, 5, 7), "french") == "7 mai 2023 dimanche"


def test_every_language_with_small_words_knows_its_days() -> None:
    assert all(len(date_words(date(2023, 12, 31), language).split()) == 4 for language in FUNCTION_WORDS)
    assert FUNCTION_WORDS.keys() | {ENGLISH} == TIME_WORDS.keys()


def test_days_written_in_digits_are_read_and_impossible_ones_left_alone() -> None:
    assert written_days("from 2023-05-07 or 2023/5/8, not 2023-13-40") == "7 may 2023 sunday 8 may 2023 monday"
    assert written_days("call 12023-05-071") == ""
