"""The fixtures and the few helpers that the stories about the log share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from agentmem.interfaces import EpisodicLog, Head, IndexQuery, IndexRow, LogQuery
from agentmem.records import Draft, Memory, Scope
from agentmem.testing.fakes import draft
from agentmem.testing.suites.base import Suite, fixture_missing

ANA = Scope(user="ana", agent="coach", session="monday")
BEN = Scope(user="ben", agent="coach", session="monday")
ANA_ELSEWHERE = Scope(user="ana", agent="coach", session="monday", tenant="elsewhere")
DIMENSIONS = 8


class LogSuite(Suite):
    @pytest.fixture
    def log(self) -> EpisodicLog:
        fixture_missing("log", "a fresh, empty EpisodicLog.")

    @pytest.fixture
    def reopen(self) -> Callable[[], EpisodicLog]:
        pytest.skip("no fixture 'reopen': this log does not outlive its process")

    @pytest.fixture
    def raw_text(self) -> Callable[[], bytes]:
        pytest.skip("no fixture 'raw_text': nothing but the log can look inside")

    @pytest.fixture
    def tamper(self) -> Callable[[str], None]:
        pytest.skip("no fixture 'tamper': nothing but the log can write inside")


def append(log: EpisodicLog, scope: Scope, *contents: str) -> list[Memory]:
    """Turns without vectors."""
    return log.append(scope, [draft(content, session=scope.session) for content in contents], generation=None)


def append_one(log: EpisodicLog, scope: Scope, one: Draft, *, generation: int | None = None) -> Memory:
    [memory] = log.append(scope, [one], generation=generation)
    return memory


def contents(memories: Sequence[Memory]) -> list[str]:
    return [memory.content for memory in memories]


def all_contents(log: EpisodicLog, scope: Scope) -> list[str]:
    return contents(log.read(LogQuery(scope)))


def own_head(log: EpisodicLog, scope: Scope) -> Head | None:
    """The head of the partition that the scope writes to."""
    address = (scope.tenant, scope.user, scope.agent)
    return next((head for head in log.heads(scope) if (head.tenant, head.user, head.agent) == address), None)


def own_partition(log: EpisodicLog, scope: Scope) -> int:
    head = own_head(log, scope)
    assert head is not None, "a scope that was written to has a head"
    return head.partition


def seq_of(log: EpisodicLog, scope: Scope) -> int:
    head = own_head(log, scope)
    return head.seq if head else 0


def index_rows(log: EpisodicLog, scope: Scope) -> dict[str, IndexRow]:
    """The current rows of the scope's own partition, by memory id."""
    batch = log.index_rows(IndexQuery(scope, own_partition(log, scope)))
    return {row.id: row for row in batch.rows}


def blob(direction: int) -> bytes:
    """The float16 bytes of a unit vector that no other direction (modulo DIMENSIONS) shares."""
    vector = np.zeros(DIMENSIONS, dtype=np.float16)
    vector[direction % DIMENSIONS] = 1
    return vector.tobytes()
