"""Facts as a reader sees them: said again, expired, kept with several agents; lists and retrievals show the same."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from agentmem import MemoryManager
from agentmem.errors import MemoryNotFound
from agentmem.lifecycle.retention import RetentionRule
from agentmem.records import Fact, Hit, Memory, Polarity, Scope, Turn
from agentmem.testing.fakes import FrozenClock

ANA = Scope(user="ana")
COACH = Scope(user="ana", agent="coach")
COOK = Scope(user="ana", agent="cook")
FACTS = frozenset({"fact"})
QUESTION = "The user lives in which city?"


def year(number: int, month: int = 1) -> datetime:
    return datetime(number, month, 1, 9, tzinfo=UTC)


class Life:
    """A memory whose facts are stated one by one, in a clock's own time, and never swept."""

    def __init__(self, memory: MemoryManager, clock: FrozenClock) -> None:
        self.memory = memory
        self.clock = clock

    def states(
        self,
        city: str,
        since: datetime,
        *,
        scope: Scope = ANA,
        attribute: str = "home",
        polarity: Polarity = "affirmed",
        topic: str | None = None,
        **details: Any,
    ) -> Memory:
        fact = Fact("user", attribute, city, polarity, topic=topic)
        content = f"The user lives in {city}."
        return self.memory.store(Turn(content, kind="fact", fact=fact, occurred_at=since, **details), scope=scope)

    def says(self, city: str, since: datetime, **details: Any) -> Memory:
        """The turn, from which a fact was taken."""
        scope = details.pop("scope", ANA)
        turn = self.memory.store(Turn(f"I live in {city} these days.", occurred_at=since), scope=scope)
        self.states(city, since, scope=scope, derived_from=(turn.id,), **details)
        return turn

    def settles(self) -> None:
        self.memory._settling.drain()

    def listed(self, scope: Scope = ANA, **details: Any) -> list[Memory]:
        self.settles()
        return list(self.memory.list(scope=scope, **{"kinds": FACTS, **details}))

    def found(self, scope: Scope = ANA, **details: Any) -> set[str]:
        self.settles()
        return {hit.id for hit in self.memory.retrieve(QUESTION, scope=scope, k=1_000, **{"kinds": FACTS, **details})}

    def shown(self, scope: Scope = ANA, **details: Any) -> list[str]:
        """What is listed, which is also what is found."""
        listed = self.listed(scope, **details)
        assert self.found(scope, **details) == {memory.id for memory in listed}
        return [memory.fact.value for memory in listed if memory.fact]

    def hit(self, turn: Memory, scope: Scope = ANA, **details: Any) -> Hit:
        self.settles()
        return next(hit for hit in self.memory.retrieve("live", scope=scope, k=100, **details) if hit.id == turn.id)


@contextmanager
def a_life(**backends: Any) -> Iterator[Life]:
    clock = FrozenClock(year(2024))
    with MemoryManager(
        {"type": "sql", "url": "sqlite://"}, embedder=None, extractor=None, clock=clock, **backends
    ) as memory:
        memory._sweeper.run = lambda pause: True  # type: ignore[method-assign]
        yield Life(memory, clock)


@pytest.fixture
def life() -> Iterator[Life]:
    with a_life() as lived:
        yield lived


# --- said again ------------------------------------------------------------------------------------


def test_when_the_first_statement_expires_the_next_one_speaks(life: Life) -> None:
    life.states("Porto", year(2020), expires_at=year(2024, 2))
    later = [life.states("Porto", year(number)).id for number in (2022, 2023)]
    assert life.shown() == ["Porto"]
    life.clock.now = year(2024, 3)
    assert [memory.id for memory in life.listed()] == later[:1]
    assert life.found() == set(later[:1])
    assert life.memory.retrieve(QUESTION, scope=ANA, kinds=FACTS).hidden == {"expired": 1, "restated": 1}


def test_a_first_statement_outside_the_question_folds_nothing(life: Life) -> None:
    life.states("Porto", year(2020), scope=Scope(user="ana", session="a"), metadata={"from": "a"})
    again = life.states("Porto", year(2022), scope=Scope(user="ana", session="b"), metadata={"from": "b"})
    for where in ({"session": "b"}, {"metadata.from": "b"}, {"id": again.id}):
        assert [memory.id for memory in life.listed(where=where)] == [again.id], where
        assert life.found(where=where) == {again.id}, where
    assert len(life.shown()) == 1


def test_a_first_statement_on_another_page_folds_all_the_same(life: Life) -> None:
    life.states("Porto", year(2020))
    others = [
        Turn("A town.", kind="fact", fact=Fact("user", "home", f"Town{number}", topic=str(number)))
        for number in range(205)
    ]
    life.memory.store_many(others, scope=ANA)
    life.states("Porto", year(2022))
    life.states("Town1", year(2022), topic="1")
    assert len(life.listed(limit=1_000)) == 206
    first = life.memory.list(scope=ANA, limit=200)
    second = life.memory.list(scope=ANA, limit=200, cursor=first.cursor)
    assert (len(first), len(second), second.cursor) == (200, 6, None)


def test_what_has_outlived_its_day_by_a_rule_leaves_the_word_to_the_next() -> None:
    with a_life(retention=[RetentionRule(kinds=FACTS, expire_after=timedelta(days=365))]) as life:
        life.states("Porto", year(2022))
        later = life.states("Porto", year(2023, 6))
        assert [memory.id for memory in life.listed()] == [later.id]
        assert life.found() == {later.id}


def test_the_correction_speaks_through_the_statement_that_may_be_read(life: Life) -> None:
    turn = life.says("Lisbon", year(2019))
    life.states("Porto", year(2020), expires_at=year(2024, 2))
    later = life.states("Porto", year(2022))
    life.clock.now = year(2024, 3)
    assert [fact.id for fact in life.hit(turn).corrections] == [later.id]
    assert [fact.id for fact in life.hit(turn, where={"kind": "turn"}).corrections] == [later.id]


# --- who came back ---------------------------------------------------------------------------------


def test_a_turn_whose_value_holds_again_is_not_outdated(life: Life) -> None:
    first = life.says("Porto", year(2020))
    second = life.says("Berlin", year(2022))
    life.says("Porto", year(2023))
    assert (life.hit(first).labels, life.hit(first).corrections) == ((), ())
    assert life.hit(second).labels == ("outdated",)
    assert life.hit(first, as_of=year(2022, 6)).labels == ("outdated",)
    assert [fact.fact.value for fact in life.hit(second).corrections if fact.fact] == ["Porto"]


def test_a_value_that_holds_again_in_other_words_is_the_same(life: Life) -> None:
    first = life.says("Porto", year(2020))
    life.says("Berlin", year(2022))
    life.says("Porto, Portugal", year(2023))
    assert life.hit(first).labels == ()


def test_a_correction_that_was_the_first_to_be_stored_is_told_too(life: Life) -> None:
    berlin = life.states("Berlin", year(2022))
    turn = life.says("Porto", year(2020))
    assert [fact.id for fact in life.hit(turn).corrections] == [berlin.id]


def test_what_ended_is_outdated_though_the_end_names_the_same_value(life: Life) -> None:
    turn = life.says("Porto", year(2020))
    life.states("Porto", year(2022), polarity="ended")
    assert life.hit(turn).labels == ("outdated",)


# --- expired is not read ---------------------------------------------------------------------------

Read = Callable[[MemoryManager, Memory, datetime, Path], Any]
READS: Mapping[str, Read] = {
    "list": lambda memory, it, then, file: memory.list(scope=ANA).items,
    "list known_at": lambda memory, it, then, file: memory.list(scope=ANA, known_at=then).items,
    "retrieve": lambda memory, it, then, file: memory.retrieve("secret", scope=ANA, kinds={"turn", "summary"}).hits,
    "retrieve known_at": lambda memory, it, then, file: memory.retrieve("secret", scope=ANA, known_at=then).hits,
    "retrieve as_of": lambda memory, it, then, file: memory.retrieve("secret", scope=ANA, as_of=then).hits,
    "diff": lambda memory, it, then, file: memory.diff(scope=ANA, start=year(2000), end=year(2030)).added,
    "diff, changed": lambda memory, it, then, file: memory.diff(scope=ANA, start=then, end=year(2030)).changed,
    "export": lambda memory, it, then, file: memory.export_to(file, scope=ANA),
    "export known_at": lambda memory, it, then, file: memory.export_to(file, scope=ANA, known_at=then),
    "get": lambda memory, it, then, file: memory.get(it.id, scope=ANA),
    "get known_at": lambda memory, it, then, file: memory.get(it.id, scope=ANA, known_at=then),
    "history": lambda memory, it, then, file: memory.history(it.id, scope=ANA),
    "why": lambda memory, it, then, file: memory.why(it.id, scope=ANA),
    "update": lambda memory, it, then, file: memory.update(it.id, scope=ANA, importance=1.0),
}


def nothing_is_read(life: Life, memory: Memory, then: datetime, file: Path) -> None:
    for name, read in READS.items():
        try:
            assert not read(life.memory, memory, then, file), name
        except MemoryNotFound:
            assert name.split()[0] in ("get", "history", "why", "update"), name


def test_no_read_shows_an_earlier_version_of_what_has_expired(life: Life, tmp_path: Path) -> None:
    memory = life.memory.store("my secret pin is 4711", scope=ANA)
    life.clock.advance(days=1)
    then = life.clock.now
    life.clock.advance(days=1)
    life.memory.update(memory.id, scope=ANA, expires_at=year(2024, 2))
    assert len(life.memory.list(scope=ANA, known_at=then)) == 1
    assert len(life.memory.retrieve("secret", scope=ANA, known_at=then)) == 1
    life.clock.now = year(2024, 3)
    nothing_is_read(life, memory, then, tmp_path / "export.jsonl")
    assert life.memory.retrieve("secret", scope=ANA, known_at=then).hidden == {"expired": 1}


def test_no_read_shows_what_was_retired_and_has_expired(life: Life, tmp_path: Path) -> None:
    memory = life.memory.store("my secret pin is 4711", scope=ANA, expires_at=year(2024, 2))
    life.clock.advance(days=1)
    then = life.clock.now
    life.clock.advance(days=1)
    life.memory.forget(memory.id, scope=ANA, mode="retire")
    assert len(life.memory.list(scope=ANA, known_at=then)) == 1
    life.clock.now = year(2024, 3)
    nothing_is_read(life, memory, then, tmp_path / "export.jsonl")


def test_an_end_that_was_taken_back_hides_no_earlier_version(life: Life) -> None:
    memory = life.memory.store("my secret pin is 4711", scope=ANA, expires_at=year(2024, 2))
    life.clock.advance(days=1)
    then = life.clock.now
    life.clock.advance(days=1)
    life.memory.update(memory.id, scope=ANA, expires_at=None)
    life.clock.now = year(2024, 3)
    assert [each.version for each in life.memory.list(scope=ANA, known_at=then)] == [1]
    assert len(life.memory.retrieve("secret", scope=ANA, known_at=then)) == 1


@pytest.mark.parametrize("kind", ["fact", "summary", "lesson"])
@pytest.mark.parametrize("by", ["an end given later", "a rule"])
def test_what_was_made_from_what_has_expired_goes_with_it(tmp_path: Path, kind: str, by: str) -> None:
    rules = [RetentionRule(kinds=frozenset({"turn"}), user="ana", expire_after=timedelta(days=30))]
    with a_life(retention=rules if by == "a rule" else ()) as life:
        turn = life.memory.store("my secret pin is 4711", scope=ANA)
        made = Turn("The secret pin is 4711.", kind=kind, derived_from=(turn.id,), occurred_at=year(2025))  # type: ignore[arg-type]
        derived = life.memory.store(made, scope=ANA)
        life.memory.store(Turn("A lesson on secrets.", kind="lesson", derived_from=(derived.id,)), scope=COACH)
        life.clock.advance(days=1)
        then = life.clock.now
        life.clock.advance(days=1)
        if by != "a rule":
            life.memory.update(turn.id, scope=ANA, expires_at=year(2024, 2))
        assert len(life.memory.list(scope=ANA, known_at=then)) == 3
        every: dict[str, Any] = {"kinds": {"turn", kind, "lesson"}}
        assert len(life.memory.retrieve("secret", scope=ANA, **every)) == 3
        life.clock.now = year(2024, 3)
        nothing_is_read(life, derived, then, tmp_path / "export.jsonl")
        moments: tuple[dict[str, Any], ...] = ({}, {"known_at": then})
        for moment in moments:
            answer = life.memory.retrieve("secret", scope=ANA, **every, **moment)
            assert (answer.hits, answer.hidden) == ((), {"expired": 3})


def test_an_export_of_then_holds_nothing_that_has_expired_since(life: Life, tmp_path: Path) -> None:
    memory = life.memory.store("my secret pin is 4711", scope=ANA)
    life.memory.store("the cello is red", scope=ANA)
    life.clock.advance(days=1)
    then = life.clock.now
    life.memory.update(memory.id, scope=ANA, expires_at=year(2024, 2))
    life.clock.now = year(2024, 3)
    file = tmp_path / "export.jsonl"
    assert life.memory.export_to(file, scope=ANA, known_at=then) == 1
    assert "4711" not in file.read_text(encoding="utf-8")
    assert json.loads(file.read_text(encoding="utf-8").splitlines()[1])["content"] == "the cello is red"


def test_who_only_asks_lets_what_has_expired_be_swept(tmp_path: Path) -> None:
    clock = FrozenClock(year(2024))
    with MemoryManager.open(tmp_path, embedder=None, extractor=None, clock=clock) as memory:
        memory.store("my secret pin is 4711", scope=ANA, expires_at=year(2024, 2))
        memory.store("the cello is red", scope=ANA)
    clock.now = year(2024, 3)
    with MemoryManager.open(tmp_path, embedder=None, extractor=None, clock=clock) as memory:
        assert memory.stats().versions == 2
        memory.retrieve("the red cello", scope=ANA)
        until = time.monotonic() + 10
        while memory.stats().versions > 1 and time.monotonic() < until:
            time.sleep(0.02)
        assert memory.stats().versions == 1


# --- one person, several agents --------------------------------------------------------------------


def test_who_sees_two_agents_sees_the_newer_value_alone(life: Life) -> None:
    porto = life.says("Porto", year(2020), scope=COACH)
    berlin = life.says("Berlin", year(2023), scope=COOK)
    assert life.shown() == ["Berlin"]
    assert (life.shown(COACH), life.shown(COOK)) == (["Porto"], ["Berlin"])
    assert life.memory.retrieve(QUESTION, scope=ANA, kinds=FACTS).hidden == {"superseded": 1}
    assert life.shown(as_of=year(2021)) == ["Porto"]
    assert life.hit(porto).labels == ("outdated",)
    assert [fact.fact.value for fact in life.hit(porto).corrections if fact.fact] == ["Berlin"]
    assert life.hit(porto, COACH).labels == life.hit(berlin).labels == ()


def test_it_is_judged_anew_when_the_facts_change(life: Life) -> None:
    life.states("Porto", year(2020), scope=COACH)
    berlin = life.states("Berlin", year(2022), scope=COOK)
    assert life.shown() == ["Berlin"]
    life.states("Rome", year(2023))
    assert life.shown() == ["Rome"]
    assert life.shown(COACH) == ["Rome"]
    life.memory.forget(life.listed()[0].id, scope=ANA)
    life.memory.forget(berlin.id, scope=COOK, mode="retire")
    assert life.shown() == ["Porto"]
    life.memory.restore(berlin.id, scope=COOK)
    assert life.shown() == ["Berlin"]


def test_the_same_said_to_two_agents_is_shown_once(life: Life) -> None:
    life.states("Porto", year(2022), scope=COACH)
    earlier = life.states("porto", year(2020), scope=COOK)
    assert [memory.id for memory in life.listed()] == [earlier.id]
    assert life.found() == {earlier.id}
    assert life.memory.retrieve(QUESTION, scope=ANA, kinds=FACTS).hidden == {"restated": 1}


def test_what_was_the_first_of_a_run_to_one_agent_may_come_back_to_the_reader_of_two(life: Life) -> None:
    life.states("Porto", year(2020), scope=COACH)
    again = life.states("Porto", year(2023), scope=COACH)
    life.states("Berlin", year(2021), scope=COOK)
    assert [memory.id for memory in life.listed()] == [again.id]
    assert life.found() == {again.id}
    assert life.shown(as_of=year(2021, 6)) == ["Berlin"]


def test_several_values_stand_side_by_side_and_an_end_ends_its_own(life: Life) -> None:
    life.states("hiking", year(2020), scope=COACH, attribute="likes")
    life.states("chess", year(2021), scope=COOK, attribute="likes")
    assert sorted(life.shown()) == ["chess", "hiking"]
    life.states("hiking", year(2022), scope=COOK, attribute="likes", polarity="ended")
    assert sorted(life.shown()) == ["chess", "hiking"]
    assert [memory.fact.polarity for memory in life.listed() if memory.fact] == ["affirmed", "ended"]


def test_an_agents_own_facts_are_not_the_users(life: Life) -> None:
    life.states("Porto", year(2020), scope=COACH)
    life.states("Berlin", year(2022), scope=Scope(agent="coach"))
    life.states("Oslo", year(2022), scope=Scope(user="ben", agent="coach"))
    assert sorted(life.shown(COACH)) == ["Berlin", "Porto"]


def test_what_was_known_then_is_judged_by_what_was_known_then(life: Life) -> None:
    life.states("Porto", year(2020), scope=COACH)
    life.clock.advance(days=2)
    life.states("Berlin", year(2022), scope=COOK)
    assert life.shown(known_at=year(2024) + timedelta(days=1)) == ["Porto"]
    life.clock.advance(days=2)
    assert life.shown(known_at=year(2024) + timedelta(days=3)) == ["Berlin"]


def test_untrusted_facts_close_nothing_of_another_agents(life: Life) -> None:
    life.states("Porto", year(2020), scope=COACH)
    life.states("Atlantis", year(2022), scope=COOK, integrity="web")
    assert life.found() == {memory.id for memory in life.listed() if memory.trusted}
    assert len(life.listed()) == 2


def test_a_damaged_fact_holds_up_no_answer_that_it_has_no_part_in(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=None, extractor=None) as memory:
        life = Life(memory, FrozenClock(year(2024)))
        porto = life.says("Porto", year(2020), scope=COACH)
        berlin = life.states("Berlin", year(2023), scope=COOK)
        life.settles()
    with sqlite3.connect(tmp_path / "agentmem.db") as connection:
        connection.execute("UPDATE agentmem_version SET content = 'Hell' WHERE id = ?", [berlin.id])
    connection.close()
    with MemoryManager.open(tmp_path, embedder=None, extractor=None) as memory:
        assert memory.retrieve("live", scope=ANA)[0].id == porto.id


# --- a property ------------------------------------------------------------------------------------

STATEMENTS = st.tuples(
    st.sampled_from([COACH, COOK, ANA]),
    st.sampled_from(["Porto", "Berlin", "Rome", "Porto, Portugal"]),
    st.integers(2010, 2023),
    st.sampled_from(["home", "likes"]),
    st.sampled_from(["affirmed", "affirmed", "affirmed", "denied", "ended"]),
    st.sampled_from(["kept", "kept", "expires", "retired", "turn expires", "ends"]),
)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STATEMENTS, min_size=1, max_size=9), st.integers(2009, 2026))
@example(
    [
        (COACH, "Rome", 2022, "home", "affirmed", "kept"),
        (COOK, "Porto", 2021, "home", "affirmed", "expires"),
        (COACH, "Porto", 2023, "home", "affirmed", "kept"),
    ],
    2026,
)
def test_what_is_listed_is_what_is_found(statements: list[tuple[Scope, str, int, str, Polarity, str]], at: int) -> None:
    with a_life() as life:
        retired = []
        for scope, city, since, attribute, polarity, fate in statements:
            details: dict[str, Any] = {"scope": scope, "attribute": attribute, "polarity": polarity}
            if fate == "ends":
                details["valid_to"] = year(since + 2)
            if fate == "expires":
                details["expires_at"] = year(2024, 2)
            if fate == "turn expires":
                turn = life.memory.store(Turn("these days", expires_at=year(2024, 2)), scope=scope)
                details["derived_from"] = (turn.id,)
            stated = life.states(city, year(since), **details)
            retired += [(stated.id, scope)] if fate == "retired" else []
        life.clock.advance(days=1)
        for now in (life.clock.now, year(2024, 3)):
            then, life.clock.now = life.clock.now, now
            moments: tuple[dict[str, Any], ...] = ({}, {"as_of": year(at)}, {"known_at": then})
            for moment in moments:
                life.shown(**moment)
            for id, scope in retired if now == then else ():
                life.memory.forget(id, scope=scope, mode="retire")
        for scope in (ANA, COACH):
            life.shown(scope)
            homes = [memory for memory in life.listed(scope, where={"fact.attribute": "home"}) if memory.fact]
            affirmed = [memory for memory in homes if memory.fact and memory.fact.polarity == "affirmed"]
            assert len(affirmed) <= 1, "one home at a time"
