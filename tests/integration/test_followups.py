"""Questions that point at the conversation, over our own memories: floors under what `bench.followups` measures."""

from __future__ import annotations

from agentmem.retrieval.options import RetrievalOptions
from bench.followups import of_set


def test_follow_up_questions_find_what_they_point_at() -> None:
    figures = of_set()
    for part, floor in (("made with", 0.8), ("asked after", 0.75)):
        assert figures[part]["hit@1 with conversation"] >= floor, figures
        assert figures[part]["hit@3 with conversation"] >= 0.9, figures
        assert figures[part]["hit@1 alone"] <= 0.65, "the set asks nothing that needs a conversation"


def test_self_contained_questions_are_answered_the_same_whatever_was_said_before() -> None:
    figures = of_set()["self-contained"]
    assert figures["hit@1 with conversation"] == figures["hit@1 alone"] == 1.0


def test_without_its_weight_the_conversation_is_left_out() -> None:
    for figures in of_set(RetrievalOptions(conversation=0)).values():
        assert figures["hit@1 with conversation"] == figures["hit@1 alone"]
        assert figures["hit@3 with conversation"] == figures["hit@3 alone"]
