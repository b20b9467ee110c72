"""Which value holds when: decided from the facts of one key alone, whatever order they came in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.interfaces import Standing
from agentmem.lifecycle.supersession import decide
from agentmem.records import Fact, Memory
from agentmem.testing.fakes import A_MONDAY, memory


def day(number: float) -> datetime:
    return A_MONDAY + timedelta(days=number)


def said(id: str, value: str, at: float, polarity: Any = "affirmed", **fields: Any) -> Memory:
    """A fact true from a day on, said on that day unless ``occurred_at`` says otherwise."""
    fact = Fact("user", fields.pop("attribute", "home"), value, polarity, topic=fields.pop("topic", None))
    filled = {"valid_from": day(at), "occurred_at": day(at), "position": 1} | fields
    return memory(f"{polarity} {value}", id=id, kind="fact", fact=fact, **filled)


def liked(id: str, value: str, at: float, polarity: Any = "affirmed") -> Memory:
    return said(id, value, at, polarity, attribute="likes")


def spans(*facts: Memory) -> dict[str, tuple[float, float | None, str | None]]:
    """By id: from which day to which day the fact holds, and what closed it."""
    starts = {fact.id: fact.valid_from for fact in facts}
    return {
        id: (_days(starts[id]), None if standing.valid_to is None else _days(standing.valid_to), standing.superseded_by)
        for id, standing in decide(facts).items()
    }


def _days(moment: datetime) -> float:
    return (moment - A_MONDAY) / timedelta(days=1)


def test_a_new_value_closes_the_one_before_at_its_own_beginning() -> None:
    facts = said("a", "Porto", 0), said("b", "Rome", 5), said("c", "Oslo", 9)
    assert spans(*facts) == {"a": (0, 5, "b"), "b": (5, 9, "c"), "c": (9, None, None)}


def test_an_older_value_that_comes_late_does_not_overwrite_a_newer_one() -> None:
    late = said("a", "Rome", 2, occurred_at=day(90), position=7, recorded_from=day(90))
    assert spans(said("b", "Porto", 5), late) == {"a": (2, 5, "b"), "b": (5, None, None)}


def test_a_clock_that_jumps_changes_nothing() -> None:
    facts = [said("a", "Porto", 0, recorded_from=day(500)), said("b", "Rome", 5, recorded_from=day(-500))]
    assert spans(*facts)["b"] == (5, None, None)


def test_the_same_value_again_restates_the_first_of_its_run() -> None:
    standings = decide([said("a", "Porto", 0), said("b", "in  PORTO", 1), said("c", "Porto", 2), said("d", "Rome", 3)])
    assert standings["a"] == Standing(day(3), "d", times=3)
    assert standings["b"] == standings["c"] == Standing(day(3), "d", restates="a")


def test_a_value_that_comes_back_begins_a_new_run() -> None:
    facts = said("a", "Porto", 0), said("b", "Rome", 5), said("c", "Porto", 9)
    assert spans(*facts) == {"a": (0, 5, "b"), "b": (5, 9, "c"), "c": (9, None, None)}


def test_what_was_stated_to_end_ends_by_itself() -> None:
    facts = said("a", "Porto", 0, valid_to=day(3)), said("b", "Porto", 5)
    assert spans(*facts) == {"a": (0, 3, None), "b": (5, None, None)}
    assert decide(facts)["b"].restates is None


def test_a_restatement_may_say_when_it_will_end() -> None:
    standings = decide([said("a", "Porto", 0), said("b", "Porto", 2, valid_to=day(8))])
    assert standings == {"a": Standing(day(8), times=2), "b": Standing(day(8), restates="a")}


def test_a_new_value_ends_one_that_was_stated_to_last_longer() -> None:
    assert spans(said("a", "Porto", 0, valid_to=day(9)), said("b", "Rome", 5))["a"] == (0, 5, "b")


def test_what_is_yet_to_come_closes_what_holds_only_when_it_comes() -> None:
    plan = said("b", "Rome", 60, occurred_at=day(5))
    facts = said("a", "Porto", 0), plan, said("c", "Porto", 9)
    assert spans(*facts) == {"a": (0, 60, "b"), "b": (60, None, None), "c": (9, 60, "b")}


def test_of_two_values_of_one_moment_the_one_said_later_wins() -> None:
    first, second = said("z", "Porto", 5, position=1), said("a", "Rome", 5, position=2)
    assert spans(first, second) == {"z": (5, 5, "a"), "a": (5, None, None)}


def test_of_two_values_in_one_sentence_the_one_that_stands_later_wins() -> None:
    fact = Fact("user", "home", "Porto", span=(40, 45))
    first = said("z", "Rome", 5)
    assert (
        spans(first, memory("x", id="a", kind="fact", fact=fact, valid_from=day(5), occurred_at=day(5)))["z"][2] == "a"
    )


def test_what_a_later_word_says_had_ended_is_not_brought_back_by_having_been_repeated_in_between() -> None:
    moved = said("c", "Rome", 10, occurred_at=day(40))
    facts = said("a", "Porto", 0), said("b", "Porto", 20), moved
    assert spans(*facts) == {"a": (0, 10, "c"), "b": (20, 20, "c"), "c": (10, None, None)}
    assert decide(facts)["b"].restates == "a"
    assert spans(*facts, said("d", "Porto", 41))["d"] == (41, None, None)


def test_what_later_words_say_had_ended_before_is_not_true_of_what_was_said_in_between() -> None:
    cat = {"attribute": "pet", "topic": "cat"}
    facts = said("a", "Whiskers", 5, **cat), said("b", "Whiskers", 3, "ended", occurred_at=day(7), **cat)
    assert spans(*facts) == {"a": (5, 5, "b"), "b": (3, None, None)}
    assert spans(*facts, said("c", "Whiskers", 9, **cat))["c"] == (9, None, None)


def test_what_a_tool_says_closes_nothing_that_a_user_said() -> None:
    facts = said("a", "Porto", 0), said("b", "Rome", 5, integrity="tool"), said("c", "Oslo", 7, integrity="web")
    assert spans(*facts) == {"a": (0, None, None), "b": (5, 7, "c"), "c": (7, None, None)}


# --- denied and ended -----------------------------------------------------------------------------


def test_an_end_closes_the_value_it_names_and_stands_until_that_is_affirmed_again() -> None:
    facts = said("a", "Acme", 0, attribute="employer"), said("b", "ACME", 5, "ended", attribute="employer")
    assert spans(*facts) == {"a": (0, 5, "b"), "b": (5, None, None)}
    again = said("c", "Acme", 9, attribute="employer")
    assert spans(*facts, again) == {"a": (0, 5, "b"), "b": (5, 9, "c"), "c": (9, None, None)}


@pytest.mark.parametrize("polarity", ["ended", "denied"])
def test_an_end_of_something_else_touches_nothing(polarity: str) -> None:
    assert spans(said("a", "Porto", 0), said("b", "Rome", 5, polarity)) == {"a": (0, None, None), "b": (5, None, None)}


def test_an_end_that_names_nothing_closes_whatever_holds() -> None:
    facts = said("a", "Acme", 0, attribute="employer"), said("b", "", 5, "ended", attribute="employer")
    assert spans(*facts)["a"] == (0, 5, "b")
    assert spans(*facts, said("c", "Globex", 9, attribute="employer"))["b"] == (5, 9, "c")


def test_a_denial_closes_what_was_affirmed_and_the_other_way_round() -> None:
    facts = liked("a", "olives", 0), liked("b", "olive", 3, "denied"), liked("c", "the olives", 8)
    assert spans(*facts) == {"a": (0, 3, "b"), "b": (3, 8, "c"), "c": (8, None, None)}


def test_values_of_a_multi_valued_attribute_stand_side_by_side() -> None:
    facts = liked("a", "olives", 0), liked("b", "chess", 3), liked("c", "chess", 4, "ended")
    assert spans(*facts) == {"a": (0, None, None), "b": (3, 4, "c"), "c": (4, None, None)}


# --- which values are the same --------------------------------------------------------------------


def is_restated(attribute: str, first: str, second: str, topic: str | None = None) -> bool:
    facts = [
        said(id, value, at, attribute=attribute, topic=topic) for id, value, at in (("a", first, 0), ("b", second, 1))
    ]
    return decide(facts)["b"].restates == "a"


@pytest.mark.parametrize(
    ("attribute", "first", "second"),
    [
        ("home", "Porto", "porto"),
        ("home", "Porto", "Porto, Portugal"),
        ("home", "Porto, Portugal", "Porto"),
        ("home", "Porto, Portugal", "Portugal"),
        ("home", "Porto in Portugal", "Porto (Portugal)"),
        ("job", "a nurse", "nurse"),
        ("name", "Ana Silva", "Ana"),
        ("birthday", "14 March 1990", "March 14th"),
        ("phone", "+351 912 345 678", "912-345-678"),
        ("email", "Ana@Example.org", "ana@example.org"),
        ("likes", "hiking", "hikes"),
        ("likes", "☕", "☕"),
        ("partner", "Clara", "my wife"),
        ("employer", "\uff21cme", "Acme"),
    ],
)
def test_another_way_to_say_a_value_restates_it(attribute: str, first: str, second: str) -> None:
    assert is_restated(attribute, first, second)


@pytest.mark.parametrize(
    ("attribute", "first", "second"),
    [
        ("home", "Porto", "Porto Alegre"),
        ("home", "Porto, Portugal", "Porto, Brazil"),
        ("home", "Portugal", "Porto, Portugal"),
        ("partner", "Andrea", "Andreas"),
        ("partner", "wife", "Clara"),
        ("diet", "meat", "no meat"),
        ("email", "a.b@example.org", "a-b@example.org"),
        ("phone", "555-0199", "555-0198"),
        ("age", "30", "31"),
        ("language", "C", "C++"),
        ("name", "Ana", "Ana Silva"),
        ("city", "Porto", "Porto, Portugal"),
        ("likes", "☕", "🍵"),
    ],
)
def test_another_value_restates_nothing(attribute: str, first: str, second: str) -> None:
    assert not is_restated(attribute, first, second)


def test_a_name_takes_the_place_of_a_word_for_it() -> None:
    facts = [said(id, value, at, attribute="pet", topic="dog") for id, value, at in (("a", "dog", 0), ("b", "Rex", 2))]
    assert spans(*facts) == {"a": (0, 2, "b"), "b": (2, None, None)}
    another = said("c", "Bella", 4, attribute="pet", topic="dog")
    assert spans(*facts, another)["b"] == (2, None, None)


@pytest.mark.parametrize("word", ["golden retriever", "Labrador", "dog"])
def test_a_breed_is_no_name(word: str) -> None:
    facts = [said(id, value, at, attribute="pet", topic="dog") for id, value, at in (("a", word, 0), ("b", "Rex", 2))]
    assert spans(*facts) == {"a": (0, 2, "b"), "b": (2, None, None)}


@pytest.mark.parametrize("status", ["dating", "engaged", "married"])
def test_a_couple_that_parts_is_no_couple_whatever_it_was(status: str) -> None:
    kept = {"attribute": "relationship"}
    facts = said("a", status, 0, **kept), said("b", "dating", 2, "ended", **kept)
    assert spans(*facts)["a"] == (0, 2, "b")
    assert spans(said("a", "widowed", 0, **kept), facts[1])["a"] == (0, None, None)


def test_a_wedding_ends_the_engagement() -> None:
    kept = {"attribute": "relationship"}
    assert spans(said("a", "engaged", 0, **kept), said("b", "married", 2, **kept))["a"] == (0, 2, "b")


@pytest.mark.parametrize("sold", ["Fiat", "car", "red Fiat"])
def test_what_is_sold_by_another_word_for_it_is_no_longer_owned(sold: str) -> None:
    kept = {"attribute": "belonging"}
    fiat, house = said("a", "red Fiat", 0, **kept), said("b", "house", 1, **kept)
    assert spans(fiat, house, said("c", sold, 2, "ended", **kept)) == {
        "a": (0, 2, "c"),
        "b": (1, None, None),
        "c": (2, None, None),
    }


def test_another_dog_does_not_bring_back_the_one_that_died() -> None:
    kept = {"attribute": "pet", "topic": "dog"}
    facts = said("a", "Rex", 0, **kept), said("b", "Rex", 2, "ended", **kept), said("c", "dog", 9, **kept)
    assert spans(*facts) == {"a": (0, 2, "b"), "b": (2, None, None), "c": (9, None, None)}


def test_after_a_separation_a_wife_without_a_name_is_somebody_else() -> None:
    kept = {"attribute": "partner"}
    facts = said("a", "Clara", 0, **kept), said("b", "", 2, "ended", **kept), said("c", "wife", 9, **kept)
    assert spans(*facts) == {"a": (0, 2, "b"), "b": (2, 9, "c"), "c": (9, None, None)}


# --- whatever is said -----------------------------------------------------------------------------


@st.composite
def statements(draw: st.DrawFn) -> list[Memory]:
    """Facts of one key, with few values and few days, so that all of them meet."""
    attribute = draw(st.sampled_from(["home", "partner", "likes", "pet", "name"]))
    values = ["Porto", "Porto, Portugal", "Portugal", "porto", "Rome", "wife", "dog", "Rome Porto"]
    facts = []
    for number in range(draw(st.integers(0, 9))):
        polarity = draw(st.sampled_from(["affirmed", "affirmed", "denied", "ended"]))
        value = draw(st.sampled_from([*values, ""] if polarity == "ended" else values))
        start = draw(st.integers(0, 6))
        length = draw(st.none() | st.integers(0, 4))
        fields = {
            "occurred_at": day(start + draw(st.sampled_from([0, 0, 0, -2, 3]))),
            "valid_to": None if length is None else day(start + length),
            "position": draw(st.integers(1, 3)),
            "topic": "dog" if attribute == "pet" else None,
        }
        facts.append(said(f"m{number}", value, start, polarity, attribute=attribute, **fields))
    return facts


@given(statements(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(facts: list[Memory], random: Any) -> None:
    shuffled = random.sample(facts, len(facts))
    assert decide(shuffled) == decide(facts)


@given(statements())
def test_what_an_earlier_decision_left_on_a_fact_does_not_matter(facts: list[Memory]) -> None:
    standings = decide(facts)
    assert decide([marked(fact, standings[fact.id]) for fact in facts]) == standings


def marked(fact: Memory, standing: Standing) -> Memory:
    from dataclasses import replace

    assert fact.fact is not None
    settled = replace(fact.fact, superseded_by=standing.superseded_by, restates=standing.restates, times=standing.times)
    return replace(fact, fact=settled)


@given(statements())
def test_every_fact_stands_somewhere_and_none_ends_before_it_begins(facts: list[Memory]) -> None:
    standings = decide(facts)
    assert set(standings) == {fact.id for fact in facts}
    for fact in facts:
        valid_to = standings[fact.id].valid_to
        assert valid_to is None or valid_to >= fact.valid_from


@given(statements())
def test_a_single_valued_attribute_has_at_most_one_affirmed_value_at_any_moment(facts: list[Memory]) -> None:
    standings = decide(facts)
    for moment in (day(number / 2) for number in range(-2, 30)):
        holding = [fact for fact in current(facts, standings, moment) if fact.fact and fact.fact.polarity == "affirmed"]
        if holding and holding[0].fact and holding[0].fact.attribute in {"home", "partner", "name"}:
            assert len(holding) == 1


def current(facts: Sequence[Memory], standings: Mapping[str, Standing], moment: datetime) -> list[Memory]:
    return [
        fact
        for fact in facts
        if standings[fact.id].restates is None
        and fact.valid_from <= moment
        and ((end := standings[fact.id].valid_to) is None or moment < end)
    ]


@given(statements())
def test_nothing_is_affirmed_and_ended_at_once(facts: list[Memory]) -> None:
    standings = decide(facts)
    for moment in (day(number / 2) for number in range(-2, 30)):
        seen: dict[str, set[str]] = {}
        for fact in current(facts, standings, moment):
            assert fact.fact is not None
            seen.setdefault(fact.fact.value, set()).add("yes" if fact.fact.polarity == "affirmed" else "no")
        assert all(len(sides) == 1 for value, sides in seen.items() if value not in {"wife", "dog"})


@given(statements())
def test_every_statement_is_counted_once(facts: list[Memory]) -> None:
    standings = decide(facts).values()
    assert sum(standing.times for standing in standings if standing.restates is None) == len(facts)
    assert all(standing.times == 1 for standing in standings if standing.restates is not None)


@given(statements())
def test_nothing_closes_itself_and_no_two_close_each_other(facts: list[Memory]) -> None:
    standings = decide(facts)
    for id in standings:
        reached = set()
        following: str | None = id
        while following is not None:
            assert following not in reached
            reached.add(following)
            following = standings[following].superseded_by


@given(statements(), st.integers(0, 8))
def test_without_a_fact_all_stands_as_if_it_had_never_been_said(facts: list[Memory], place: int) -> None:
    left = [fact for number, fact in enumerate(facts) if number != place]
    settled = decide(facts)
    assert decide([marked(fact, settled[fact.id]) for fact in left]) == decide(left)


def test_a_thousand_likes_are_decided_at_once() -> None:
    facts = [liked(f"m{number}", f"thing {number}", number) for number in range(3_000)]
    assert all(standing == Standing(None) for standing in decide(facts).values())
