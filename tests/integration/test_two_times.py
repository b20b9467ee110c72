"""What is true, what was true, what the log knew: facts that settle, and answers that say which time they are of."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentmem.interfaces import LogQuery, Revision
from agentmem.lifecycle.supersession import decide
from agentmem.log.sql import SQLLog
from agentmem.records import Fact, Hit, Memory, Retrieval, Scope
from agentmem.retrieval.listing import page_of
from agentmem.retrieval.pipeline import Question, Retriever
from agentmem.testing.fakes import FrozenClock, WordHashEmbedder, draft
from agentmem.tokens import EstimatedCounter

ANA = Scope(user="ana")
FACTS = frozenset({"fact"})


def day(month: int, of: int = 1, year: int = 2025) -> datetime:
    return datetime(year, month, of, 9, tzinfo=UTC)


class Life:
    """A log whose facts settle as they are told, and a retriever on it."""

    def __init__(self, log: SQLLog, clock: FrozenClock) -> None:
        self.log = log
        self.clock = clock
        self.retriever = Retriever(
            log, embedder=WordHashEmbedder(), vectors=None, tokens=EstimatedCounter(), clock=clock
        )

    def says(self, content: str, on: datetime, **details: Any) -> Memory:
        (memory,) = self.log.append(ANA, [draft(content, occurred_at=on, session="s", **details)], generation=None)
        return memory

    def learns(self, value: str, on: datetime, *, attribute: str = "home", **details: Any) -> tuple[Memory, Memory]:
        """The turn in which it was said and the fact that was taken from it."""
        turn = self.says(f"I live in {value} these days", on)
        fact = Fact("user", attribute, value, polarity=details.pop("polarity", "affirmed"))
        told = self.says(f"The user lives in {value}.", on, kind="fact", fact=fact, derived_from=(turn.id,), **details)
        self.settles()
        return turn, told

    def settles(self) -> None:
        while self.log.settle(decide):
            pass

    def ask(self, query: str = "Where does the user live these days?", **details: Any) -> Retrieval:
        return self.retriever.retrieve(Question(query, ANA, **details))

    def facts(self, **details: Any) -> list[str]:
        return [hit.content for hit in self.ask(kinds=FACTS, **details)]

    def hit(self, turn: Memory, **details: Any) -> Hit:
        return next(hit for hit in self.ask(k=100, **details) if hit.id == turn.id)


@pytest.fixture
def life() -> Iterator[Life]:
    clock = FrozenClock(day(12))
    log = SQLLog("sqlite://", clock=clock)
    yield Life(log, clock)
    log.close()


def in_the_order_stored(life: Life, **details: Any) -> list[str]:
    page = page_of(life.log, LogQuery(ANA, kinds=FACTS, **details), None, limit=100, cursor=None)
    return [memory.content for memory in page]


# --- true now, true then ---------------------------------------------------------------------------


def test_only_what_holds_is_found_and_the_rest_is_counted(life: Life) -> None:
    for month, city in ((1, "Lisbon"), (4, "Porto"), (8, "Oslo")):
        life.learns(city, day(month))
    answer = life.ask(kinds=FACTS)
    assert [hit.content for hit in answer] == ["The user lives in Oslo."]
    assert answer.hidden == {"superseded": 2}
    assert in_the_order_stored(life, ended_at=life.clock()) == ["The user lives in Oslo."]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_each_moment_has_its_own_answer_in_whatever_order_it_was_told(life: Life, order: tuple[int, ...]) -> None:
    told = [("Lisbon", day(1)), ("Porto", day(4)), ("Oslo", day(8))]
    for place in order:
        life.learns(*told[place])
    for city, since in told:
        expected = [f"The user lives in {city}."]
        assert life.facts(as_of=since) == expected
        assert life.facts(as_of=since + timedelta(days=20)) == expected
        as_of = since + timedelta(days=20)
        assert in_the_order_stored(life, as_of=as_of, ended_at=as_of) == expected
    assert life.facts(as_of=day(1) - timedelta(seconds=1)) == []


def test_what_was_known_then_is_not_what_is_known_now(life: Life) -> None:
    life.clock.now = day(2)
    life.learns("Lisbon", day(1))
    life.clock.now = day(9)
    life.learns("Porto", day(4))
    life.clock.now = day(12)
    assert life.facts(known_at=day(5)) == ["The user lives in Lisbon."]
    assert life.facts(as_of=day(5)) == ["The user lives in Porto."]
    assert life.facts(as_of=day(5), known_at=day(5)) == ["The user lives in Lisbon."]
    assert life.facts(known_at=day(10)) == ["The user lives in Porto."]
    assert life.ask(kinds=FACTS, known_at=day(10)).hidden == {"superseded": 1}


def test_a_fact_said_again_is_one_hit(life: Life) -> None:
    life.learns("Porto", day(1))
    life.learns("Porto", day(3))
    answer = life.ask(kinds=FACTS)
    assert [hit.content for hit in answer] == ["The user lives in Porto."]
    assert answer.hidden == {"restated": 1}
    fact = answer[0].memory.fact
    assert fact is not None
    assert fact.times == 2


def test_what_is_yet_to_come_is_shown_and_labelled_until_it_is_there(life: Life) -> None:
    life.says("The exhibition opens in Graz", day(11), valid_from=day(3, year=2026))
    (hit,) = life.ask("exhibition Graz")
    assert hit.labels == ("upcoming",)
    assert life.ask("exhibition Graz", as_of=day(12)).hits == ()
    (then,) = life.ask("exhibition Graz", as_of=day(4, year=2026))
    assert then.labels == ()
    life.clock.now = day(3, year=2026)
    assert life.ask("exhibition Graz")[0].labels == ()


def test_a_move_that_is_announced_does_not_close_the_present(life: Life) -> None:
    life.learns("Lisbon", day(1))
    life.learns("Oslo", day(11), valid_from=day(3, year=2026))
    found = {hit.content: hit.labels for hit in life.ask(kinds=FACTS)}
    assert found == {"The user lives in Lisbon.": (), "The user lives in Oslo.": ("upcoming",)}
    assert life.facts(as_of=day(4, year=2026)) == ["The user lives in Oslo."]


# --- turns that are no longer right ----------------------------------------------------------------


def test_an_outdated_turn_stays_and_says_what_holds_now(life: Life) -> None:
    lisbon, first = life.learns("Lisbon", day(1))
    porto, second = life.learns("Porto", day(4))
    outdated, current = life.hit(lisbon), life.hit(porto)
    assert outdated.labels == ("outdated",)
    assert [fact.id for fact in outdated.facts] == [first.id]
    assert outdated.facts[0].valid_to == day(4)
    assert [fact.id for fact in outdated.corrections] == [second.id]
    assert (current.labels, current.corrections) == ((), ())
    assert 'outdated now "The user lives in Porto."' in life.ask().render()


def test_a_correction_is_the_end_of_the_chain(life: Life) -> None:
    turns = [life.learns(city, day(month))[0] for month, city in enumerate(("Rome", "Bern", "Oslo", "Graz"), 1)]
    for turn in turns[:3]:
        assert [fact.content for fact in life.hit(turn).corrections] == ["The user lives in Graz."]
    at_first = life.hit(turns[0], as_of=day(2, of=9))
    assert [fact.content for fact in at_first.corrections] == ["The user lives in Bern."]
    assert life.hit(turns[0], as_of=day(1, of=9)).labels == ()


def test_a_turn_that_said_the_same_again_is_outdated_with_the_first(life: Life) -> None:
    turns = [life.learns("Lisbon", day(1))[0], life.learns("Lisbon", day(2))[0]]
    assert [life.hit(turn).labels for turn in turns] == [(), ()]
    life.learns("Porto", day(4))
    life.learns("Porto", day(5))
    for turn in turns:
        hit = life.hit(turn)
        assert hit.labels == ("outdated",)
        assert [fact.valid_from for fact in hit.corrections] == [day(4)]


def test_what_only_ended_is_outdated_by_its_end(life: Life) -> None:
    turn, _ = life.learns("Lisbon", day(1))
    _, end = life.learns("Lisbon", day(6), polarity="ended")
    hit = life.hit(turn)
    assert hit.labels == ("outdated",)
    assert [fact.id for fact in hit.corrections] == [end.id]


def test_what_was_said_to_end_is_outdated_without_a_correction(life: Life) -> None:
    turn, _ = life.learns("Rome", day(1), valid_to=day(3))
    assert life.hit(turn).labels == ("outdated",)
    assert life.hit(turn).corrections == ()
    assert life.hit(turn, as_of=day(2)).labels == ()


def test_when_the_correction_is_forgotten_the_turn_is_right_again(life: Life) -> None:
    lisbon, _ = life.learns("Lisbon", day(1))
    porto, _ = life.learns("Porto", day(4))
    assert life.hit(lisbon).labels == ("outdated",)
    life.log.erase(ANA, [porto.id], mode="erase")
    life.settles()
    assert (life.hit(lisbon).labels, life.hit(lisbon).corrections) == ((), ())
    assert life.facts() == ["The user lives in Lisbon."]


def test_a_correction_that_has_expired_is_not_told(life: Life) -> None:
    lisbon, _ = life.learns("Lisbon", day(1))
    life.learns("Porto", day(4), expires_at=day(11))
    assert life.hit(lisbon).labels == ("outdated",)
    assert life.hit(lisbon).corrections == ()


# --- expiry is judged now --------------------------------------------------------------------------


@pytest.mark.parametrize("moment", [{"as_of": day(2)}, {"known_at": day(12)}, {}])
def test_what_has_expired_is_never_found_whatever_moment_is_asked_for(life: Life, moment: dict[str, datetime]) -> None:
    life.says("cello lessons on Monday", day(1), expires_at=day(11))
    answer = life.ask("cello lessons", **moment)
    assert answer.hits == ()
    assert answer.hidden == {"expired": 1}


def test_what_is_yet_to_expire_is_found_also_as_of_later(life: Life) -> None:
    life.says("cello lessons on Monday", day(1), expires_at=day(1, year=2026))
    assert len(life.ask("cello lessons", as_of=day(6, year=2026))) == 1


def test_an_end_that_was_given_later_hides_the_earlier_versions_too(life: Life) -> None:
    life.clock.now = day(2)
    memory = life.says("cello lessons on Monday", day(1))
    life.clock.now = day(6)
    assert len(life.ask("cello lessons", known_at=day(3))) == 1
    life.log.revise(ANA, memory.id, Revision(expires_at=day(7)), expected_version=None, generation=None)
    life.clock.now = day(8)
    assert life.ask("cello lessons", known_at=day(3)).hits == ()


# --- columns ---------------------------------------------------------------------------------------


def test_facts_are_found_by_what_they_state(life: Life) -> None:
    life.learns("Porto", day(1))
    life.learns("Ana", day(2), attribute="name")
    asked: list[tuple[dict[str, Any], list[str]]] = [
        ({"fact.attribute": "home"}, ["The user lives in Porto."]),
        ({"fact.value": {"$in": ["Ana", "Eva"]}}, ["The user lives in Ana."]),
        (
            {"fact.subject": "user", "fact.polarity": "affirmed", "fact.topic": None, "fact.value": "Porto"},
            ["The user lives in Porto."],
        ),
        ({"fact.attribute": {"$exists": False}}, []),
    ]
    for where, expected in asked:
        assert life.facts(where=where) == expected, where
    assert len(life.ask("Porto", where={"fact.attribute": None})) == 2
