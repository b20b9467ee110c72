"""Lessons in a real memory: found by situation, moved by how they turned out, hidden once they have faded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from agentmem import Lesson, Memory, MemoryManager, Scope, Turn
from agentmem.context.rendering import parse_block, render_hits

ANA = Scope(user="ana", agent="builder")
BOB = Scope(user="bob", agent="builder")
BUILDER = Scope(agent="builder")
LESSON = Lesson("the build runs out of memory", "halve the parallel jobs", "it went through", 1.0)
OPPOSITE = replace(LESSON, outcome="it ran out again", result=-1.0)
QUESTION = "The build is out of memory again."


@pytest.fixture
def memory(folder: Path) -> Iterator[MemoryManager]:
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        yield memory


def store(memory: MemoryManager, lesson: Lesson, scope: Scope = ANA, **details: object) -> Memory:
    return memory.store(Turn.of_lesson(lesson, **details), scope=scope)


def contents(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    return [hit.content for hit in memory.retrieve(QUESTION, scope=scope)]


def test_a_lesson_is_kept_with_its_parts_across_a_restart(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=None) as memory:
        id = store(memory, LESSON).id
    with MemoryManager.open(folder, embedder=None) as memory:
        assert memory.get(id, scope=ANA).lesson == LESSON
        assert memory.retrieve(QUESTION, scope=ANA)[0].memory.lesson == LESSON
        [only] = memory.list(scope=ANA, where={"metadata.lesson.result": {"$gt": 0}})
        assert only.id == id


def test_the_situation_counts_for_more_than_what_came_of_it(memory: MemoryManager) -> None:
    by_outcome = Lesson("the tests are slow", "split the suite", "the build runs out of memory no more", 1.0)
    wanted = store(memory, LESSON)
    store(memory, by_outcome)
    assert memory.retrieve("build runs out of memory", scope=ANA)[0].id == wanted.id


def test_an_embedder_is_shown_the_situation_alone(folder: Path) -> None:
    from agentmem.testing import WordHashEmbedder

    with MemoryManager.open(folder, embedder=WordHashEmbedder(), extractor=None) as memory:
        id = store(memory, LESSON).id
        signals = memory.retrieve(LESSON.situation, scope=ANA, explain=True)[0].signals
        assert signals["dense"] == pytest.approx(0.5)
        moved = memory.update(id, scope=ANA, content=LESSON.words.replace("of memory", "of disk space"))
        assert moved.lesson is not None
        assert memory.retrieve(moved.lesson.situation, scope=ANA, explain=True)[0].signals["dense"] == pytest.approx(
            0.5
        )


def test_to_have_misled_lowers_a_lesson_by_more_than_the_prior_could_and_to_have_helped_lifts_it(
    memory: MemoryManager,
) -> None:
    lesson = store(memory, LESSON)
    before = memory.retrieve(QUESTION, scope=ANA)[0].score
    memory.feedback(lesson, scope=ANA, outcome=-1.0)
    assert memory.retrieve(QUESTION, scope=ANA)[0].score < 0.8 * before
    for _ in range(8):
        memory.feedback(lesson, scope=ANA, outcome=1.0)
    assert memory.retrieve(QUESTION, scope=ANA)[0].score > 1.1 * before


def test_a_lesson_that_misled_again_and_again_fades_and_is_found_where_it_is_asked_for(memory: MemoryManager) -> None:
    misled = store(memory, LESSON)
    for _ in range(2):
        assert contents(memory) == [LESSON.words]
        memory.feedback(misled, scope=ANA, outcome=-1.0)
    answer = memory.retrieve(QUESTION, scope=ANA)
    assert (list(answer), answer.hidden) == ([], {"faded": 1})
    [hit] = memory.retrieve(QUESTION, scope=ANA, kinds={"lesson"})
    assert "faded" in hit.labels
    assert hit.standing is not None
    assert hit.standing < 0.2
    assert memory.get(misled.id, scope=ANA).lesson == LESSON
    assert [each.id for each in memory.list(scope=ANA, kinds={"lesson"})] == [misled.id]


def test_a_faded_lesson_comes_back_once_it_has_helped(memory: MemoryManager) -> None:
    lesson = store(memory, LESSON)
    for outcome, is_shown in ((-1.0, True), (-1.0, False), (1.0, True)):
        memory.feedback(lesson, scope=ANA, outcome=outcome)
        assert bool(contents(memory)) == is_shown


def test_a_warning_is_no_bad_lesson(memory: MemoryManager) -> None:
    warning = store(memory, OPPOSITE)
    memory.feedback(warning, scope=ANA, outcome=1.0)
    [hit] = memory.retrieve(QUESTION, scope=ANA, explain=True)
    assert hit.memory.lesson == OPPOSITE
    assert hit.standing == pytest.approx(0.75)
    assert hit.signals["standing"] > 0


def test_what_later_lessons_contradict_twice_has_faded(memory: MemoryManager) -> None:
    store(memory, LESSON)
    store(memory, OPPOSITE)
    assert LESSON.words in contents(memory)
    store(memory, OPPOSITE)
    assert contents(memory) == [OPPOSITE.words] * 2


def test_when_what_contradicted_it_is_forgotten_a_lesson_stands_again(memory: MemoryManager) -> None:
    store(memory, LESSON)
    against = [store(memory, OPPOSITE).id for _ in range(2)]
    assert LESSON.words not in contents(memory)
    memory.forget(against, scope=ANA)
    assert contents(memory) == [LESSON.words]


def test_one_users_experience_moves_an_agents_lesson_for_nobody_else(memory: MemoryManager) -> None:
    store(memory, LESSON, scope=BUILDER)
    for _ in range(2):
        store(memory, OPPOSITE)
    assert LESSON.words not in contents(memory)
    assert contents(memory, BOB) == [LESSON.words]
    assert contents(memory, BUILDER) == [LESSON.words]


def test_what_a_tool_claims_moves_no_lesson_of_ones_own(memory: MemoryManager) -> None:
    store(memory, LESSON)
    for _ in range(5):
        store(memory, OPPOSITE, integrity="tool")
    assert contents(memory) == [LESSON.words]
    assert memory.retrieve(QUESTION, scope=ANA)[0].standing == 0.5


def test_another_process_sees_the_same_standing(folder: Path, memory: MemoryManager) -> None:
    lesson = store(memory, LESSON)
    store(memory, OPPOSITE)
    memory.feedback(lesson, scope=ANA, outcome=0.4)
    with MemoryManager.open(folder, embedder=None, extractor=None) as another:
        seen = [{hit.id: hit.standing for hit in each.retrieve(QUESTION, scope=ANA)} for each in (memory, another)]
    assert seen[0] == seen[1]
    assert seen[0][lesson.id] != 0.5


def test_only_lessons_in_parts_have_a_standing(memory: MemoryManager) -> None:
    memory.store("The build ran out of memory.", scope=ANA)
    memory.store("Builds without memory: be patient.", kind="lesson", scope=ANA)
    store(memory, LESSON)
    assert [hit.standing for hit in memory.retrieve(QUESTION, scope=ANA)].count(None) == 2


def test_a_prompt_says_that_a_lesson_has_faded(memory: MemoryManager) -> None:
    lesson = store(memory, LESSON)
    for _ in range(3):
        memory.feedback(lesson, scope=ANA, outcome=-1.0)
    [line] = parse_block(render_hits(memory.retrieve(QUESTION, scope=ANA, kinds={"lesson"}).hits).text)
    assert line.faded
    assert line.content == LESSON.words
