"""A lesson in parts and in words: the two always tell the same, or it is not stored."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.errors import InvalidInput
from agentmem.lifecycle.drafting import prepare
from agentmem.lifecycle.revising import revision_of
from agentmem.records import Lesson, Memory, Scope, Turn, Unset
from agentmem.testing import FrozenClock, memory
from agentmem.tokens import EstimatedCounter

LESSON = Lesson("the build runs out of memory", "halve the parallel jobs", "it went through", 1.0)
WORDS = "When the build runs out of memory: halve the parallel jobs; outcome: it went through"


def kept(lesson: Lesson = LESSON, content: str | None = None) -> Memory:
    return memory(content or lesson.words, kind="lesson", metadata={"lesson": lesson.to_dict(), "by": "ana"})


def drafted(turn: Turn) -> Any:
    return prepare([turn], scope=Scope(user="ana"), counter=EstimatedCounter(), clock=FrozenClock()).drafts[0]


def revised(old: Memory, **changes: Any) -> tuple[str, Lesson | None]:
    revision = revision_of(old, **changes)
    content = old.content if isinstance(revision.content, Unset) else revision.content
    metadata = old.metadata if isinstance(revision.metadata, Unset) else revision.metadata
    return content, memory(content, kind="lesson", metadata=metadata).lesson


def test_a_lesson_is_worded_and_read_back() -> None:
    turn = Turn.of_lesson(LESSON, importance=0.9, metadata={"by": "ana"})
    assert (turn.content, turn.kind, turn.role, turn.importance) == (WORDS, "lesson", "assistant", 0.9)
    assert turn.metadata == {"by": "ana", "lesson": LESSON.to_dict()}
    assert kept().lesson == LESSON


@pytest.mark.parametrize(
    ("situation", "action", "words"),
    [
        ("When the user is tired.", "Rest.", "When the user is tired: Rest; outcome: OK."),
        ("if tests fail", "look at them...", "When tests fail: look at them...; outcome: OK."),
        ("whenever", ".", "When whenever: .; outcome: OK."),
    ],
)
def test_a_lesson_says_when_once_and_stops_at_its_end(situation: str, action: str, words: str) -> None:
    lesson = Lesson(situation, action, "OK.", 1.0)
    assert lesson.words == words
    assert drafted(Turn.of_lesson(lesson)).metadata["lesson"]["situation"] == situation


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ({"situation": " "}, "situation is blank"),
        ({"action": 5}, "action must be a string"),
        ({"outcome": "a\x00b"}, "outcome holds a NUL"),
        ({"result": 1.5}, "result must be a number from -1 to 1"),
        ({"result": True}, "result must be a number"),
        ({"result": None}, "result must be a number"),
        ({"mood": "good"}, "takes situation, action, outcome, result"),
    ],
)
def test_a_lesson_that_is_not_whole_is_refused_by_the_place(parts: dict[str, Any], place: str) -> None:
    told = {**LESSON.to_dict(), **parts}
    with pytest.raises(InvalidInput, match=rf"metadata\.lesson.*{place}"):
        drafted(Turn("Halve the jobs.", kind="lesson", metadata={"lesson": told}))


def test_only_a_lesson_has_parts_to_check_and_one_in_free_words_has_none() -> None:
    assert drafted(Turn("We spoke of lesson 5.", metadata={"lesson": 5})).metadata == {"lesson": 5}
    assert drafted(Turn("Measure twice.", kind="lesson")).metadata == {}
    assert memory("Measure twice.", kind="lesson").lesson is None
    assert memory("We spoke.", metadata={"lesson": LESSON.to_dict()}).lesson is None


def test_new_words_in_the_old_form_change_the_parts_and_leave_other_metadata() -> None:
    new = "When the linker runs out of memory: halve the parallel jobs; outcome: it went through"
    assert revised(kept(), content=new) == (new, Lesson("the linker runs out of memory", *_rest(LESSON)))
    assert dict(revision_of(kept(), content=new).metadata)["by"] == "ana"  # type: ignore[arg-type]  # it is given


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("Never halve the jobs.", "does not say which are"),
        ("When it builds: ; outcome: fine", "does not say which are"),
        (WORDS.replace("it went through", "it failed"), "does not follow from the words"),
        ("When a: b: c; outcome: it went through", "does not say which are"),
    ],
)
def test_new_words_from_which_the_parts_do_not_follow_are_refused(content: str, why: str) -> None:
    with pytest.raises(InvalidInput, match=why):
        revision_of(kept(), content=content)


def test_new_parts_are_worded_anew() -> None:
    changed = Lesson("the build runs out of disk", "clear the cache", "it did not help", -1.0)
    assert revised(kept(), metadata={"lesson": changed.to_dict()}) == (changed.words, changed)


def test_other_metadata_and_another_result_leave_the_words_and_never_lose_the_parts() -> None:
    assert revised(kept(), metadata={"by": "bob"}) == (WORDS, LESSON)
    content, lesson = revised(kept(), metadata={"lesson": {**LESSON.to_dict(), "result": 0.5}})
    assert (content, lesson and lesson.result) == (WORDS, 0.5)


def test_words_of_ones_own_change_together_with_the_parts_or_not_at_all() -> None:
    own = kept(content="Beim Bauen weniger parallel arbeiten.")
    changed = {"lesson": {**LESSON.to_dict(), "action": "build on a larger machine"}}
    with pytest.raises(InvalidInput, match="Pass content= with them"):
        revision_of(own, metadata=changed)
    assert revised(own, metadata=changed, content="Größere Maschine nehmen.")[0] == "Größere Maschine nehmen."


parts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12).filter(
    lambda text: text.strip()
)


@given(parts, parts, parts, parts)
def test_new_words_are_read_as_written_or_refused(situation: str, action: str, outcome: str, new: str) -> None:
    lesson = Lesson(situation.strip(), action.strip(), outcome.strip(), 1.0)
    changed = Lesson(new.strip(), action.strip(), outcome.strip(), 1.0)
    try:
        content, read = revised(kept(lesson), content=changed.words)
    except InvalidInput:
        return
    assert read is not None
    assert (content, read.words) == (changed.words, changed.words)


def _rest(lesson: Lesson) -> tuple[str, str, float]:
    return lesson.action, lesson.outcome, lesson.result
