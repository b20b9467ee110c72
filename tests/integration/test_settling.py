"""What follows from a change behind the log: facts settled, summaries made again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

import pytest

from agentmem import MemoryManager, Scope, Turn
from agentmem.errors import StoreBusy
from agentmem.extractors.sentences import sentence
from agentmem.lifecycle.compressing import Resummarising
from agentmem.lifecycle.jobs import Stopped
from agentmem.lifecycle.settling import Settling
from agentmem.records import Fact, Memory

ANA = Scope(user="ana", agent="coach", session="monday")


@pytest.fixture
def memory(folder: Path) -> Iterator[MemoryManager]:
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        yield memory


def at(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def lives(memory: MemoryManager, place: str, since: int, scope: Scope = ANA) -> Memory:
    fact = Fact("user", "home", place)
    return memory.store(Turn(sentence(fact), kind="fact", fact=fact, valid_from=at(since)), scope=scope)


def homes(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    assert memory.flush(10)
    return [fact.fact.value for fact in memory.list(scope=scope, kinds={"fact"}) if fact.fact]


def test_a_fact_that_a_caller_states_closes_the_one_before(memory: MemoryManager) -> None:
    porto = lives(memory, "Porto", 2020)
    rome = lives(memory, "Rome", 2023)
    assert homes(memory) == ["Rome"]
    settled = memory.get(porto.id, scope=ANA)
    assert settled.valid_to == at(2023)
    assert settled.written_by == "supersession"
    assert settled.fact is not None
    assert settled.fact.superseded_by == rome.id
    assert [version.valid_to for version in memory.history(porto.id, scope=ANA)] == [None, at(2023)]


def test_the_same_fact_of_two_users_is_two_facts(memory: MemoryManager) -> None:
    ben = Scope(user="ben", agent="coach")
    lives(memory, "Porto", 2020)
    lives(memory, "Rome", 2023, ben)
    assert homes(memory) == ["Porto"]
    assert homes(memory, ben) == ["Rome"]


def test_forgetting_what_closed_a_fact_reopens_it_before_forget_returns(memory: MemoryManager) -> None:
    lives(memory, "Porto", 2020)
    rome = lives(memory, "Rome", 2023)
    assert homes(memory) == ["Rome"]
    memory.forget(rome.id, scope=ANA)
    assert [fact.content for fact in memory.list(scope=ANA, kinds={"fact"})] == ["The user lives in Porto."]


class Busy:
    """A log that another process writes to."""

    def __init__(self) -> None:
        self.is_busy = True
        self.left = 3

    def settle(self, decide: object, *, limit: int = 100) -> int:
        if self.is_busy:
            raise StoreBusy("Another process writes.")
        self.left -= 1
        return self.left

    def tasks(self, job: str, *, limit: int = 100) -> list[object]:
        if self.is_busy:
            raise StoreBusy("Another process writes.")
        return []


def test_what_cannot_be_settled_now_is_told_and_left_to_the_job() -> None:
    log = Busy()
    settling = Settling(log)  # type: ignore[arg-type]  # as much of a log as it needs
    settling.drain()
    assert not settling.run(lambda _: False)
    assert [finding.detail for finding in settling.check()] == ["Another process writes."]
    log.is_busy = False
    assert settling.run(lambda _: False)
    assert log.left == 0
    assert settling.check() == []


def test_settling_stops_between_batches_when_it_must() -> None:
    log = Busy()
    log.is_busy = False
    with pytest.raises(Stopped):
        Settling(log).run(lambda _: True)  # type: ignore[arg-type]  # as much of a log as it needs
    assert log.left == 2


# --- summaries ------------------------------------------------------------------------------------


def summaries(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    return [summary.content for summary in memory.list(scope=scope, kinds={"summary"})]


def told(memory: MemoryManager) -> list[Memory]:
    texts = ("The boiler broke on Monday.", "The plumber Ivo came on Tuesday.", "Now the boiler works again.")
    turns = [memory.store(text, scope=ANA) for text in texts]
    memory.compress(scope=ANA)
    return turns


def test_a_summary_is_made_again_without_the_turn_that_was_forgotten(memory: MemoryManager) -> None:
    _, plumber, _ = told(memory)
    assert "Ivo" in summaries(memory)[0]
    memory.forget(plumber.id, scope=ANA)
    assert memory.flush(10)
    (again,) = summaries(memory)
    assert "boiler" in again
    assert "Ivo" not in again
    assert memory.log.tasks("summarise") == []


def test_a_session_that_nobody_summarised_stays_without_a_summary(memory: MemoryManager) -> None:
    other = Scope(user="ana", agent="coach", session="tuesday")
    memory.store("Something else happened.", scope=other)
    _, plumber, _ = told(memory)
    memory.forget(plumber.id, scope=ANA)
    assert memory.flush(10)
    assert {summary.scope.session for summary in memory.list(scope=ANA, kinds={"summary"})} == {"monday"}


def test_a_session_of_which_nothing_is_left_has_no_summary(memory: MemoryManager) -> None:
    memory.forget([turn.id for turn in told(memory)], scope=ANA)
    assert memory.flush(10)
    assert summaries(memory) == []


def test_trouble_with_summaries_is_told_and_they_are_made_later(memory: MemoryManager) -> None:
    log = Busy()
    job = Resummarising(log, makers={"session": _never})  # type: ignore[arg-type]  # as above
    assert not job.run(lambda _: False)
    assert [finding.detail for finding in job.check()] == ["Another process writes."]
    log.is_busy = False
    assert job.run(lambda _: False)
    assert job.check() == []


def _never(*_: object) -> NoReturn:
    raise AssertionError("There is nothing to summarise.")


def test_under_a_hold_a_session_can_be_summarised_anew(memory: MemoryManager) -> None:
    told(memory)
    memory.log.hold(Scope(user="ana"), reason="a lawsuit")
    memory.store("The plumber Ivo sent a bill of 300 euros.", scope=ANA)
    memory.compress(scope=ANA)
    (summary,) = summaries(memory)
    assert "300" in summary
