"""A question says what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from agentmem.errors import InvalidInput
from agentmem.interfaces import Message
from agentmem.records import STORED_KINDS, Scope
from agentmem.retrieval.question import Question

ANA = Scope(user="ana")


@pytest.mark.parametrize(
    "wrong",
    [
        {"query": ""},
        {"query": "  \n"},
        {"query": "a\x00b"},
        {"query": "\ud800"},
        {"query": 5},
        {"scope": "ana"},
        {"k": 0},
        {"k": -1},
        {"k": 2.5},
        {"k": True},
        {"max_tokens": 0},
        {"min_confidence": 1.5},
        {"min_confidence": float("nan")},
        {"kinds": "turn"},
        {"kinds": frozenset()},
        {"kinds": {"turns"}},
        {"as_of": datetime(2023, 5, 7)},
        {"known_at": "2023-05-07"},
        {"where": {"colour": "red"}},
        {"where": {}},
        {"conversation": ({"role": "user"},)},
    ],
)
def test_what_cannot_be_asked_is_an_error(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Question(**{"query": "tea?", "scope": ANA, **wrong})


def test_the_defaults_are_ten_hits_of_what_callers_stored() -> None:
    question = Question("tea?", ANA)
    assert (question.limit, question.searched_kinds) == (10, STORED_KINDS)
    assert Question("tea?", ANA, max_tokens=100).limit is None
    assert Question("tea?", ANA, max_tokens=100, k=3).limit == 3


def test_a_conversation_may_be_messages_or_mappings() -> None:
    said = Question("And when?", ANA, conversation=({"role": "assistant", "content": "Tea"}, Message("user", "ok")))  # type: ignore[arg-type]
    assert said.conversation == (Message("assistant", "Tea"), Message("user", "ok"))


def test_times_become_utc() -> None:
    asked = Question("tea?", ANA, as_of=datetime.fromisoformat("2023-05-07T12:00:00+02:00"))
    assert asked.as_of == datetime(2023, 5, 7, 10, tzinfo=UTC)
    assert asked.as_of.tzinfo is UTC
