"""Every step of the ranking has a name in `retrieval:`, shows its share in `explain`, and is gone at 0."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from agentmem import Lesson, MemoryManager, Scope, Turn
from agentmem.config import from_mapping
from agentmem.interfaces import Reranker, RerankRequest
from agentmem.log.sql import SQLLog

ANA = Scope(user="ana", agent="coach")
SWITCHES = [
    "lexical",
    "neighbours",
    "related",
    "session",
    "dense",
    "speaker",
    "time",
    "statement",
    "author",
    "prior",
    "standing",
    "rerank",
    "conversation",
]
WITHIN = {"lexical": {"neighbours", "conversation"}}
"""What is a part of another signal goes with it."""


class Likes(Reranker):
    """Whatever it is asked."""

    def rerank(self, request: RerankRequest) -> Any:
        return np.full(len(request.texts), 0.5, np.float32)


@pytest.fixture
def log() -> Iterator[SQLLog]:
    log = SQLLog("sqlite://")
    with MemoryManager(log, extractor=None) as memory:
        said = datetime(2026, 5, 4, tzinfo=UTC)
        turns = [
            ("Ana", "user", "My pottery class begins in May, every Tuesday at six."),
            ("Ben", "assistant", "How was the pottery class?"),
            ("Ana", "user", "I made a bowl, and my dog barked at it."),
        ]
        for speaker, role, text in turns:
            memory.store(text, speaker=speaker, role=role, occurred_at=said, scope=Scope("ana", "coach", "monday"))
        memory.store("Pottery is important to Ana.", importance=1.0, scope=ANA)
        lesson = Lesson("Pottery class in May", "Registered in January", "Got a place", 1.0)
        kept = memory.store(Turn.of_lesson(lesson), scope=ANA)
        memory.feedback(kept.id, scope=ANA, outcome=1.0)
    yield log
    log.close()


def signals(log: SQLLog, **weights: float) -> set[str]:
    """Every signal that has a share in any hit of two questions, one of which points at the other."""
    options = from_mapping({"version": 1, "retrieval": weights}).retrieval_options()
    with MemoryManager(log, extractor=None, reranker=Likes(), retrieval=options) as memory:
        before = [{"role": "user", "content": "Tell me about the pottery class."}]
        answers = [
            memory.retrieve("When does Ana go to the ceramics or pottery class with her pet?", scope=ANA, explain=True),
            memory.retrieve("When is it?", conversation=before, scope=ANA, explain=True),
        ]
    return {name for answer in answers for hit in answer for name in hit.signals}


def test_by_default_every_signal_has_a_share(log: SQLLog) -> None:
    assert signals(log) == set(SWITCHES)


@pytest.mark.parametrize("switch", SWITCHES)
def test_at_zero_a_signal_has_none_and_the_others_keep_theirs(log: SQLLog, switch: str) -> None:
    assert signals(log, **{switch: 0}) == set(SWITCHES) - {switch} - WITHIN.get(switch, set())
