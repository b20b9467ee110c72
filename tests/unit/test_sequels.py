"""Words that say something only beside what is known: of whom that is, and what becomes of it."""

from __future__ import annotations

import time
from datetime import timedelta

import pytest

from agentmem.extractors.rules import RuleExtractor
from agentmem.extractors.sequels import Known, may_follow_on, sequels
from agentmem.interfaces import ExtractedFact, ExtractionRequest
from agentmem.records import Fact
from agentmem.testing.fakes import A_MONDAY, memory


def after(*before: str, said: str, speaker: str | None = None) -> list[ExtractedFact]:
    """What the last words say of what the words before them have stated."""
    known = Known()
    earlier = [memory(text, id=str(place), speaker=speaker) for place, text in enumerate(before)]
    for found in RuleExtractor().extract(ExtractionRequest(earlier)):
        known.add([(Fact(found.subject, found.attribute, found.value, found.polarity, topic=found.topic), A_MONDAY)])
    turn = memory(said, id="turn", speaker=speaker, occurred_at=A_MONDAY + timedelta(days=1))
    return [fact for sequel in sequels(turn) for fact in known.follows(sequel, turn.occurred_at)]


def told(*before: str, said: str) -> list[tuple[str, str, str, str]]:
    return [(fact.subject, fact.attribute, fact.value, fact.polarity) for fact in after(*before, said=said)]


@pytest.mark.parametrize(
    "said",
    [
        "Whiskers died last night.",
        "We had to put Whiskers down.",
        "I gave Whiskers away.",
        "Sadly, Whiskers passed away.",
    ],
)
def test_an_animal_that_is_known_by_name_is_gone(said: str) -> None:
    assert told("I have a cat called Whiskers.", said=said) == [("user", "pet", "Whiskers", "ended")]
    assert told("I have a cat called Miso.", said=said) == []


@pytest.mark.parametrize(
    "said", ["Whiskers died in the game.", "Whiskers almost died.", "Did Whiskers die?", "If Whiskers died, I'd cry."]
)
def test_a_death_that_is_played_feared_or_asked_about_ends_nothing(said: str) -> None:
    assert told("I have a cat called Whiskers.", said=said) == []


def test_a_star_who_shares_a_brothers_first_name_is_not_he() -> None:
    assert told("My brother Freddie lives in Graz.", said="Freddie Mercury died in 1991.") == []


def test_we_broke_up_is_said_of_the_latest_partner_and_of_no_band() -> None:
    before = "My boyfriend Tom is a baker.", "My boyfriend Jan is a nurse."
    assert told(*before, said="We broke up.") == [("user", "partner", "Jan", "ended")]
    assert told(*before, said="The band broke up.") == told(said="We broke up.") == []


def test_who_separates_is_separated_and_no_longer_with_whom_they_were_married_to() -> None:
    assert told("I'm married to Tom.", said="We separated in May.") == [
        ("user", "partner", "Tom", "ended"),
        ("user", "relationship", "separated", "affirmed"),
        ("user", "relationship", "married", "ended"),
    ]


def test_somebody_who_is_known_has_moved() -> None:
    assert told("My brother Tim lives in Rome.", said="Tim moved to Oslo.") == [("Tim", "home", "Oslo", "affirmed")]
    assert told("My brother Tim is a nurse.", said="Tim moved to Oslo.") == []


def test_what_is_eaten_again_ends_only_what_forbade_it() -> None:
    assert told("I'm vegan.", said="I eat cheese again.") == [("user", "diet", "vegan", "ended")]
    assert told("I'm vegetarian.", said="I eat cheese again.") == []


def test_what_was_not_known_yet_when_it_was_said_is_not_meant() -> None:
    known = Known()
    known.add([(Fact("user", "pet", "Rex", topic="dog"), A_MONDAY + timedelta(days=2))])
    turn = memory("Rex died.", id="turn", occurred_at=A_MONDAY + timedelta(days=1))
    assert [fact for sequel in sequels(turn) for fact in known.follows(sequel, turn.occurred_at)] == []


def test_each_speaker_speaks_of_their_own() -> None:
    assert [fact.subject for fact in after("I have a dog named Rex.", said="Rex passed away.", speaker="Mel")] == [
        "Mel"
    ]


def test_a_sequel_cites_the_words_and_their_day() -> None:
    [fact] = after("I have a dog named Rex.", said="Bad news: we had to put Rex down yesterday.")
    assert "Bad news: we had to put Rex down yesterday."[fact.start : fact.end] == "we had to put Rex down"
    assert fact.valid_from is not None
    assert fact.valid_from.date() == A_MONDAY.date()


def test_most_turns_are_passed_over_at_once() -> None:
    assert not may_follow_on(memory("I love hiking on Sundays, and tea.", id="turn"))


@pytest.mark.parametrize("text", ["died " * 200_000, "we put " * 140_000, "a b died, " * 90_000, "I eat " * 170_000])
def test_a_megabyte_of_anything_takes_no_time(text: str) -> None:
    started = time.perf_counter()
    assert list(sequels(memory(text, id="turn"))) == []
    assert time.perf_counter() - started < 0.5
