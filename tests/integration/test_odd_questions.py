"""Questions and memories at the ends of what there is: a sensible answer or an error of ours, in bounded time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from agentmem import InvalidInput, MemoryManager, Scope, Turn
from agentmem.log.sql import SQLLog

ANA = Scope(user="ana")
MAY = datetime(2026, 5, 1, 9, tzinfo=UTC)
SECONDS: float = 3.0
"""Far more than any answer here takes, and far less than what grows with the square of its input would."""

ODD = {
    "a single stopword": "the",
    "only stopwords": "what is it and why?",
    "only emoji": "🎂🎉👍🏽",
    "only punctuation": "?!… —",
    "50,000 characters": "Where did I put the blue bicycle? " * 1_471,
    "5,000 different words": " ".join(f"word{number}" for number in range(5_000)),
    "50,000 characters without a space": "x" * 50_000,
    "50,000 characters without a space, Chinese": "自行车" * 16_667,
    "a German word without end": "Donaudampfschifffahrt" * 2_381,
    "another language": "Wo habe ich mein blaues Fahrrad hingestellt?",
    "another script": "أين وضعت دراجتي الزرقاء؟",
    "half a combined character": "́̂̃",
    "right to left marks": "\u202ebicycle\u202c",
    "numbers": "3.5 1,000 2026-05-01 ٣",
}


@pytest.fixture
def memory() -> Iterator[MemoryManager]:
    with MemoryManager(SQLLog("sqlite://"), embedder="static", extractor=None) as memory:
        yield memory


def asked(memory: MemoryManager, question: str, *, limit: int = 10) -> list[str]:
    """What is found, checked as every answer can be."""
    started = time.perf_counter()
    found = memory.retrieve(question, scope=ANA, k=limit)
    assert time.perf_counter() - started < SECONDS
    assert len(found) <= limit
    assert 0 <= found.confidence <= 1
    assert all(0 <= hit.confidence <= 1 for hit in found)
    assert [hit.score for hit in found] == sorted((hit.score for hit in found), reverse=True)
    return [hit.content for hit in found]


@pytest.mark.parametrize("question", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("others", [0, 1, 300])
def test_an_odd_question_is_answered_in_bounded_time(memory: MemoryManager, question: str, others: int) -> None:
    told = [f"Note {number}: die Katze und der Hund sind im Garten {number}." for number in range(others)]
    assert memory.store_many(told, scope=ANA) or not others
    assert set(asked(memory, question)) <= set(told)


@pytest.mark.parametrize("question", ["", " ", "\n\t", "\u3000"])
def test_an_empty_question_is_refused(memory: MemoryManager, question: str) -> None:
    with pytest.raises(InvalidInput):
        memory.retrieve(question, scope=ANA)


def test_the_only_memory_is_found_by_its_words_and_is_not_sure_of_others(memory: MemoryManager) -> None:
    memory.store("The blue bicycle is in the cellar.", scope=ANA)
    assert asked(memory, "Where is the blue bicycle?") == ["The blue bicycle is in the cellar."]
    sure = memory.retrieve("Where is the blue bicycle?", scope=ANA).confidence
    assert memory.retrieve("Which medicine does Tom take?", scope=ANA).confidence < sure


def test_emoji_find_the_turn_that_has_them(memory: MemoryManager) -> None:
    memory.store_many([f"Nothing much happened on day {number}." for number in range(40)], scope=ANA)
    memory.store("We ate 🎂 at Tom's", scope=ANA)
    assert asked(memory, "🎂", limit=1) == ["We ate 🎂 at Tom's"]


def test_the_end_of_a_question_beyond_all_bounds_is_cut_and_its_beginning_counts(memory: MemoryManager) -> None:
    memory.store_many(["The bicycle is blue.", "The piano is old.", "The tent is wet."], scope=ANA)
    assert asked(memory, "bicycle " + "of the " * 10_000 + "piano", limit=1) == ["The bicycle is blue."]


def test_duplicate_turns_are_all_kept_and_the_latest_comes_first(memory: MemoryManager) -> None:
    said = [Turn("I like figs.", occurred_at=MAY + timedelta(days=day)) for day in range(50)]
    kept = memory.store_many([*said, Turn("Ben likes dates.")], scope=ANA)
    found = memory.retrieve("Who likes figs?", scope=ANA, k=60)
    assert [hit.content for hit in found][:50] == ["I like figs."] * 50
    assert len({hit.id for hit in found}) == len(found)
    assert memory.retrieve("figs", scope=ANA, k=1)[0].id == kept[49].id


@pytest.mark.parametrize("per_session", [1, 5_000])
def test_sessions_of_one_turn_and_of_thousands(memory: MemoryManager, per_session: int) -> None:
    turns = [
        Turn(
            f"Entry {number} is about topic{number % 97}.",
            session=f"session {number // per_session}",
            occurred_at=MAY + timedelta(minutes=number),
        )
        for number in range(5_000)
    ]
    turns[2_500] = Turn("The violin was sold to Marta.", session=turns[2_500].session, occurred_at=MAY)
    memory.store_many(turns, scope=ANA)
    assert asked(memory, "Who bought the violin?", limit=1) == ["The violin was sold to Marta."]
    neighbours = memory.retrieve("Who bought the violin?", scope=ANA, k=1)[0].neighbours
    assert len(neighbours) == (0 if per_session == 1 else 2)
