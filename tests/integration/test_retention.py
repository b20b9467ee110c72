"""Retention: what is overdue is never read, sweeper or not, and gone once the sweeper has come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import MemoryManager
from agentmem.errors import BackendError, MemoryNotFound, UnderHold
from agentmem.interfaces import LogQuery, Outlived
from agentmem.lifecycle.jobs import Stopped
from agentmem.lifecycle.retention import RetentionRule, Sweeper, outlived
from agentmem.log.sql import SQLLog
from agentmem.records import Kind, Memory, Retrieval, Scope
from agentmem.retrieval.pipeline import Question, RetrievalOptions, Retriever
from agentmem.testing.fakes import A_MONDAY, FrozenClock, draft
from agentmem.tokens import EstimatedCounter

ANA = Scope(user="ana")
BEN = Scope(user="ben", agent="coach")
GUEST = Scope(user="guest")
RULES = (
    RetentionRule(kinds=frozenset({"rule"}), keep=True),
    RetentionRule(user="guest", expire_after=timedelta(hours=12)),
    RetentionRule(user="ben", agent="coach", keep=True),
    RetentionRule(kinds=frozenset({"turn"}), expire_after=timedelta(days=90)),
)


def never(seconds: float) -> bool:
    return False


class House:
    """A log, rules, what reads by them and what sweeps by them."""

    def __init__(self, log: SQLLog, clock: FrozenClock, rules: Sequence[RetentionRule] = RULES) -> None:
        self.log = log
        self.clock = clock
        self.rules = rules
        self.batches: list[int] = []
        self.compressed: list[Scope] = []
        self.retriever = Retriever(
            log,
            embedder=None,
            vectors=None,
            tokens=EstimatedCounter(),
            clock=clock,
            outlived=lambda now: outlived(rules, now),
        )
        self.sweeper = self.new_sweeper()

    def new_sweeper(self, **details: Any) -> Sweeper:
        given: dict[str, Any] = {"erase": self.erase, "compress": self.compressed.append, "clock": self.clock}
        return Sweeper(self.log, rules=self.rules, **given | details)

    def erase(self, scope: Scope, ids: Sequence[str]) -> None:
        self.log.erase(scope, ids, mode="erase")
        self.batches.append(len(ids))

    def store(
        self, content: str = "cello lessons", *, scope: Scope = ANA, kind: Kind = "turn", age: float = 0, **details: Any
    ) -> Memory:
        said = draft(content, kind=kind, occurred_at=self.clock() - timedelta(days=age), **details)
        return self.log.append(scope, [said], generation=None)[0]

    def ask(self, scope: Scope = ANA, **details: Any) -> Retrieval:
        return self.retriever.retrieve(Question("cello lessons", scope, k=100, **details))

    def kept(self, *scopes: Scope) -> set[str]:
        """The contents that the log still holds in any version."""
        read = (self.log.read(LogQuery(scope, retired=True)) for scope in scopes or (ANA, BEN, GUEST))
        return {memory.content for memories in read for memory in memories}


@pytest.fixture
def build() -> Iterator[Callable[..., House]]:
    logs: list[SQLLog] = []

    def built(*rules: RetentionRule) -> House:
        clock = FrozenClock(A_MONDAY)
        logs.append(SQLLog("sqlite://", clock=clock))
        return House(logs[-1], clock, rules)

    yield built
    for log in logs:
        log.close()


@pytest.fixture
def house(build: Callable[..., House]) -> House:
    return build(*RULES)


# --- what the rules mean ---------------------------------------------------------------------------


def test_the_first_rule_that_matches_decides(house: House) -> None:
    house.store("cello lessons, old", age=91)
    house.store("cello lessons, new", age=89)
    house.store("cello lessons, a rule", age=91, kind="rule")
    house.store("cello lessons, a lesson", age=91, kind="lesson")
    house.store("cello lessons, a guest's", age=1, scope=GUEST)
    house.store("cello lessons, a guest's rule", age=1, scope=GUEST, kind="rule")
    house.store("cello lessons, a guest's of this morning", age=0.4, scope=GUEST)
    house.store("cello lessons, Ben's", age=91, scope=BEN)
    shown = {hit.content.removeprefix("cello lessons, ") for scope in (ANA, GUEST, BEN) for hit in house.ask(scope)}
    assert shown == {"new", "a rule", "a lesson", "a guest's rule", "a guest's of this morning", "Ben's"}
    assert house.ask().hidden == {"expired": 1}
    assert house.sweeper.run(never)
    assert {content.removeprefix("cello lessons, ") for content in house.kept()} == shown


def test_what_says_what_an_expired_turn_said_is_not_shown_either(house: House) -> None:
    turn = house.store(age=91)
    for kind in ("fact", "summary"):
        house.store(f"cello lessons, a {kind}", age=91, kind=kind, derived_from=(turn.id,))
    assert not house.ask(kinds={"turn", "fact", "summary"}).hits


def test_a_read_of_the_log_and_a_retrieval_agree(house: House) -> None:
    for age in range(60, 120, 7):
        house.store(f"cello lessons {age}", age=age)
        house.store(f"cello lessons {age}, kept", age=age, kind="rule")
    read = house.log.read(LogQuery(ANA, outlived=outlived(RULES, house.clock())))
    assert {memory.id for memory in read} == {hit.id for hit in house.ask()}
    assert len(read) == 14


def test_an_end_that_was_given_counts_beside_the_rules_whichever_is_earlier(house: House) -> None:
    house.store("cello lessons, kept", kind="rule", expires_at=house.clock() + timedelta(days=2))
    house.store("cello lessons, long", expires_at=house.clock() + timedelta(days=300))
    assert len(house.ask()) == 2
    house.clock.advance(days=2)
    assert [hit.content for hit in house.ask()] == ["cello lessons, long"]
    house.clock.advance(days=89)
    assert house.ask().hits == ()
    assert house.sweeper.run(never)
    assert house.kept() == set()


def test_a_moment_in_the_past_shows_nothing_that_has_expired(house: House) -> None:
    memory = house.store(age=89)
    said = memory.occurred_at
    assert len(house.ask(as_of=said)) == 1
    house.clock.advance(days=2)
    assert house.ask(as_of=said).hits == ()
    assert house.ask(known_at=memory.recorded_from).hits == ()


def test_neighbours_and_facts_that_have_expired_are_not_shown_either(build: Callable[..., House]) -> None:
    house = build(RetentionRule(kinds=frozenset({"fact"}), expire_after=timedelta(days=5)))
    turn = house.store(age=6)
    house.store("The user takes cello lessons.", age=6, kind="fact", derived_from=(turn.id,))
    house.store("cello lessons again", expires_at=house.clock())
    (hit,) = house.ask()
    assert (hit.id, hit.neighbours, hit.facts) == (turn.id, (), ())


def test_rules_as_of_a_moment_keep_their_order_and_their_exceptions() -> None:
    assert outlived(RULES, A_MONDAY) == (
        Outlived(None, frozenset({"rule"})),
        Outlived(A_MONDAY - timedelta(hours=12), user="guest"),
        Outlived(None, user="ben", agent="coach"),
        Outlived(A_MONDAY - timedelta(days=90), frozenset({"turn", "fact", "summary"})),
    )


# --- the sweeper -----------------------------------------------------------------------------------


def test_what_has_come_to_its_end_is_purged_without_any_rule(build: Callable[..., House]) -> None:
    house = build()
    house.store("gone", expires_at=house.clock() + timedelta(hours=1))
    house.store("stays", expires_at=house.clock() + timedelta(days=1))
    assert house.sweeper.run(never)
    assert house.kept() == {"gone", "stays"}
    house.clock.advance(hours=1)
    assert house.sweeper.run(never)
    assert house.kept() == {"stays"}


def test_a_retired_memory_is_purged_too_with_every_version(house: House) -> None:
    memory = house.store(age=80)
    house.log.erase(ANA, [memory.id], mode="retire")
    house.clock.advance(days=11)
    assert house.sweeper.run(never)
    with pytest.raises(MemoryNotFound):
        house.log.history(ANA, memory.id)


def test_what_was_derived_from_what_is_purged_goes_with_it(house: House) -> None:
    turn = house.store(age=91)
    house.store("Cello, on Mondays.", kind="summary", derived_from=(turn.id,))
    assert house.sweeper.run(never)
    assert house.kept() == set()


def test_much_is_purged_in_bounded_batches(build: Callable[..., House]) -> None:
    house = build(RetentionRule(expire_after=timedelta(days=1)))
    drafts = [draft(f"line {n}", occurred_at=house.clock() - timedelta(days=2)) for n in range(1203)]
    house.log.append(ANA, drafts, generation=None)
    assert house.sweeper.run(never)
    assert house.batches == [500, 500, 203]
    assert "1203 memories purged" in house.sweeper.check()[0].detail


def test_a_sweep_that_was_stopped_goes_on_where_it_was(build: Callable[..., House]) -> None:
    house = build(RetentionRule(expire_after=timedelta(days=1)))
    drafts = [draft(f"line {n}", occurred_at=house.clock() - timedelta(days=2)) for n in range(700)]
    house.log.append(ANA, drafts, generation=None)
    with pytest.raises(Stopped):
        house.sweeper.run(lambda seconds: True)
    assert (len(house.kept()), house.sweeper.is_needed) == (200, True)
    assert house.new_sweeper().run(never)
    assert house.kept() == set()


def test_it_comes_no_more_often_than_it_may(house: House) -> None:
    assert house.sweeper.is_needed
    assert house.sweeper.run(never)
    assert not house.sweeper.is_needed
    house.clock.advance(minutes=59)
    assert not house.sweeper.is_needed
    house.clock.advance(minutes=1)
    assert house.sweeper.is_needed


def test_what_is_held_stays_and_stays_hidden(house: House) -> None:
    house.store(age=91)
    house.store(scope=GUEST, age=1)
    house.log.hold(ANA, reason="a lawsuit")
    assert house.sweeper.run(never)
    assert house.kept() == {"cello lessons"}
    assert house.ask().hits == ()
    assert house.kept(GUEST) == set()
    house.log.release(ANA)
    assert house.sweeper.run(never)
    assert house.kept() == set()


def test_one_that_cannot_go_does_not_keep_the_others(house: House) -> None:
    held = house.store("held", age=91)
    for n in range(5):
        house.store(f"line {n}", age=91)

    def erase(scope: Scope, ids: Sequence[str]) -> None:
        if held.id in ids:
            raise UnderHold("What was derived from it is held.")
        house.erase(scope, ids)

    sweeper = house.new_sweeper(erase=erase)
    assert sweeper.run(never)
    assert house.kept() == {"held"}


def test_trouble_in_one_partition_is_told_and_holds_up_no_other(house: House) -> None:
    house.store(age=91)
    house.store(scope=GUEST, age=91)

    def erase(scope: Scope, ids: Sequence[str]) -> None:
        if scope == ANA:
            raise BackendError("The disk is tired.")
        house.erase(scope, ids)

    sweeper = house.new_sweeper(erase=erase)
    assert not sweeper.run(never)
    assert house.kept(GUEST) == set()
    assert (sweeper.is_needed, sweeper.check()[0].ok, sweeper.check()[0].detail) == (True, False, "The disk is tired.")


# --- compression -----------------------------------------------------------------------------------

COMPRESS = RetentionRule(kinds=frozenset({"turn"}), compress_after=timedelta(days=30))


def sessions(house: House) -> list[str | None]:
    return [scope.session for scope in house.compressed]


def test_a_session_is_compressed_once_all_of_it_is_old(build: Callable[..., House]) -> None:
    house = build(COMPRESS)
    for name, age in (("a", 40), ("a", 39), ("b", 38), ("b", 20), ("c", 10)):
        house.store(f"{name} {age}", age=age, session=name)
    assert house.sweeper.run(never)
    assert house.compressed == [Scope(user="ana", session="a")]
    house.clock.advance(days=11)
    assert house.sweeper.run(never)
    assert sessions(house) == ["a", "b"]
    assert house.kept() == {"a 40", "a 39", "b 38", "b 20", "c 10"}


def test_a_session_that_grew_old_lines_later_is_compressed_again(build: Callable[..., House]) -> None:
    house = build(COMPRESS)
    house.store("first", age=40, session="a")
    assert house.sweeper.run(never)
    assert house.sweeper.run(never)
    assert sessions(house) == ["a"]
    house.store("imported", age=50, session="a")
    assert house.new_sweeper().run(never)
    assert sessions(house) == ["a", "a"]


def test_a_line_that_is_dated_ahead_holds_up_nothing(build: Callable[..., House]) -> None:
    house = build(COMPRESS)
    house.store("from the future", age=-3000, session="odd")
    house.store("old", age=40, session="a")
    assert house.sweeper.run(never)
    assert sessions(house) == ["a"]


def test_only_the_partitions_of_the_rule_are_compressed_each_by_itself(build: Callable[..., House]) -> None:
    house = build(RetentionRule(user="guest", keep=True), RetentionRule(user="ben", compress_after=timedelta(days=30)))
    for scope in (ANA, GUEST, BEN, Scope(user="ben")):
        house.store(age=40, scope=scope, session="a")
    assert house.sweeper.run(never)
    assert set(house.compressed) == {
        Scope(user="ben", agent="coach", session="a"),
        Scope(user="ben", session="a"),
    }
    assert len(house.compressed) == 2


def test_compressed_turns_expire_only_by_a_rule_that_says_so(build: Callable[..., House]) -> None:
    house = build(
        RetentionRule(compress_after=timedelta(days=30), expire_after=timedelta(days=90)),
    )
    house.store(age=40, session="a")
    assert house.sweeper.run(never)
    assert (sessions(house), house.kept()) == (["a"], {"cello lessons"})
    house.clock.advance(days=51)
    assert house.sweeper.run(never)
    assert house.kept() == set()


# --- through the manager ---------------------------------------------------------------------------


def test_every_verb_that_reads_keeps_to_the_rules_and_a_flush_purges(tmp_path: Path) -> None:
    clock = FrozenClock(A_MONDAY)
    rules = (RetentionRule(kinds=frozenset({"turn"}), expire_after=timedelta(days=90)),)
    with MemoryManager.open(tmp_path, extractor=None, retention=rules, clock=clock) as memory:
        turn = memory.store("cello lessons on Monday", scope=ANA)
        rule = memory.store("Call me maestro.", scope=ANA, kind="rule")
        assert memory.flush(10)
        clock.advance(days=91)
        assert memory.retrieve("cello lessons", scope=ANA).hidden == {"expired": 1}
        assert [each.id for each in memory.list(scope=ANA)] == [rule.id]
        with pytest.raises(MemoryNotFound):
            memory.get(turn.id, scope=ANA)
        with pytest.raises(MemoryNotFound):
            memory.history(turn.id, scope=ANA)
        assert memory.stats().versions == 2
        assert memory.flush(10)
        assert memory.stats().versions == 1
        (receipt,) = memory.receipts(scope=ANA)
        assert (receipt.memories, receipt.reason) == (1, "expired")


def test_a_manager_counts_its_answers_when_it_is_flushed_or_closed(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, extractor=None) as memory:
        stored = memory.store("cello lessons on Monday", scope=ANA)
        memory.retrieve("cello", scope=ANA)
        memory.retrieve("cello", scope=ANA)
        assert memory.flush(10)
        assert memory.get(stored.id, scope=ANA).accesses == 2
        memory.retrieve("cello", scope=ANA)
    silent = RetrievalOptions(count_accesses=False)
    with MemoryManager.open(tmp_path, extractor=None, retrieval=silent) as memory:
        memory.retrieve("cello", scope=ANA)
        assert memory.flush(10)
        assert memory.get(stored.id, scope=ANA).accesses == 3
