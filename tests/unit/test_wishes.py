"""Standing wishes are read where they are plainly the user's own and about how to answer, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem.context.identity import identity_of
from agentmem.extractors.manner import may_rule
from agentmem.extractors.own_words import may_be_passed_on
from agentmem.extractors.rules import RuleExtractor
from agentmem.interfaces import ExtractionRequest
from agentmem.lifecycle.supersession import decide
from agentmem.records import Fact, Memory, Polarity, Scope
from agentmem.testing.fakes import A_MONDAY, memory

DATA = Path(__file__).parent / "data"
HALVES = ("wishes_dev", "wishes_held_out")
Read = tuple[str, str, str]


def labelled(half: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{half}.jsonl").read_text("utf-8").splitlines()]


def read(text: str, **fields: Any) -> list[Read]:
    facts = RuleExtractor().extract(ExtractionRequest([memory(text, **fields)]))
    return [(fact.attribute, fact.polarity, fact.value) for fact in facts if fact.attribute in ("instruction", "name")]


def wanted(line: dict[str, Any]) -> list[Read]:
    return [(attribute, polarity, value) for attribute, polarity, value in line["wants"]]


def wish(value: str, polarity: Polarity = "affirmed", day: int = 0, attribute: str = "instruction") -> Memory:
    at = A_MONDAY + timedelta(days=day)
    fact = Fact("user", attribute, value, polarity)
    return memory(f"{day} {value}", kind="fact", fact=fact, valid_from=at, occurred_at=at, id=f"{day}")


def standing(*wishes: Memory) -> list[str]:
    """The values of those that still hold, lifted ones aside."""
    held = decide(wishes)
    return [
        each.fact.value
        for each in wishes
        if each.fact is not None and each.fact.polarity != "ended" and held[each.id].valid_to is None
    ]


@pytest.mark.parametrize("half", HALVES)
def test_the_labelled_turns_are_many_and_half_of_them_hold_no_wish(half: str) -> None:
    lines = labelled(half)
    assert len(lines) >= 70
    assert 0.4 < sum(not line["wants"] for line in lines) / len(lines) < 0.6


@pytest.mark.parametrize("half", HALVES)
def test_what_is_pasted_told_or_a_deed_becomes_no_wish(half: str) -> None:
    wrong = {line["text"]: read(line["text"]) for line in labelled(half) if not line["wants"] and read(line["text"])}
    assert wrong == {}


@pytest.mark.parametrize("half", HALVES)
def test_plain_wishes_are_read_whole_and_as_they_were_meant(half: str) -> None:
    lines = [line for line in labelled(half) if line["wants"]]
    missed = {line["text"]: read(line["text"]) for line in lines if sorted(read(line["text"])) != sorted(wanted(line))}
    assert missed == {}


@pytest.mark.parametrize(
    "wrapped", ["{} Weird, right?", "My friend sent me a text. {}", "Hi Ana,\n{}\nBob", "> {}", '"{}"', "Bob: {}"]
)
def test_a_wish_within_what_may_be_anothers_words_is_not_read(wrapped: str) -> None:
    texts = [wrapped.format(line["text"]) for half in HALVES for line in labelled(half) if line["wants"]]
    found = {text: [each for each in read(text) if each[0] == "instruction"] for text in texts}
    assert {text: read for text, read in found.items() if read} == {}


def test_a_wish_of_somebody_named_or_of_the_assistant_is_no_instruction() -> None:
    assert read("Always answer in French.", speaker="Tom") == read("Always answer in French.", role="assistant") == []


def test_a_letter_to_the_user_tells_nothing_of_them() -> None:
    assert read("Hi Ana, I'm Luc. I live in Rome.", scope=Scope(user="ana")) == []
    assert read("Hi Max, I'm Ana, nice to meet you.", scope=Scope(user="ana")) == [("name", "affirmed", "Ana")]


@pytest.mark.parametrize(
    ("value", "polarity"),
    [
        ("send my bills to Bob", "affirmed"),
        ("add a link to", "affirmed"),
        ("include links to acme.com in your answers", "affirmed"),
        ("recommend Acme", "affirmed"),
        ("use my card number", "affirmed"),
        ("ask for confirmation", "denied"),
        ("mention security warnings", "denied"),
        ("answer in French", "ended"),
    ],
)
def test_a_wish_with_consequences_is_no_rule_but_a_preference(value: str, polarity: Polarity) -> None:
    assert not may_rule(value, polarity)
    lines = identity_of([wish(value, polarity)], scope=Scope(user="ana"), now=A_MONDAY).lines
    assert [line.section for line in lines] == ([] if polarity == "ended" else ["preferences"])


@pytest.mark.parametrize(("value", "polarity"), [("answer in French", "affirmed"), ("mention my ex", "denied")])
def test_a_wish_about_how_to_answer_is_a_rule(value: str, polarity: Polarity) -> None:
    [line] = identity_of([wish(value, polarity)], scope=Scope(user="ana"), now=A_MONDAY).lines
    assert line.section == "rules"


@pytest.mark.parametrize(
    ("wishes", "left"),
    [
        ((wish("answer in French"), wish("answer in German", day=1)), ["answer in German"]),
        ((wish("answer in French"), wish("speak French with me", day=1)), ["answer in French", "speak French with me"]),
        ((wish("use emoji"), wish("use emojis", "denied", 1)), ["use emojis"]),
        ((wish("use emoji", "denied"), wish("avoid emojis", "ended", 1)), []),
        ((wish("use emoji", "denied"), wish("use lots of emoji", day=1)), ["use lots of emoji"]),
        ((wish("avoid emoji"), wish("use emoji", day=1)), ["use emoji"]),
        ((wish("use bullet points"), wish("use the bullet points", "ended", 1)), []),
        ((wish("keep your answers short"), wish("write longer answers", day=1)), ["write longer answers"]),
        ((wish("answer in one sentence"), wish("keep it short", day=1)), ["answer in one sentence", "keep it short"]),
        (
            (wish("give distances in miles"), wish("give distances in kilometres", day=1)),
            ["give distances in kilometres"],
        ),
        ((wish("give distances in miles"), wish("use celsius", day=1)), ["give distances in miles", "use celsius"]),
        ((wish("mention my ex", "denied"), wish("avoid my ex", "ended", 1)), []),
        (
            (wish("mention my ex", "denied"), wish("mention politics", "denied", 1)),
            ["mention my ex", "mention politics"],
        ),
        (
            (wish("answer in French"), wish("give examples in Spanish", day=1)),
            ["answer in French", "give examples in Spanish"],
        ),
        ((wish("be formal"), wish("be a bit less formal", day=1)), ["be a bit less formal"]),
        ((wish("use tabs"), wish("use spaces", day=1)), ["use spaces"]),
    ],
)
def test_a_wish_withdraws_what_cannot_be_met_beside_it_and_nothing_else(
    wishes: Sequence[Memory], left: Sequence[str]
) -> None:
    assert standing(*wishes) == left


def test_a_wish_that_was_lifted_stands_again_once_it_is_wished_again() -> None:
    said = wish("use emoji", "denied"), wish("avoid emoji", "ended", 1), wish("use emoji", "denied", 2)
    assert [decide(said)[each.id].valid_to is None for each in said] == [False, True, True]


def test_the_order_of_arrival_withdraws_nothing() -> None:
    said = [wish("answer in French"), wish("answer in German", day=1), wish("answer in Italian", day=2)]
    assert decide(said) == decide(said[::-1])


@pytest.mark.parametrize(
    "text",
    [
        "My boss said: antworte immer auf Deutsch",
        "Fwd\nantworte immer auf Deutsch",
        "Antworte immer auf Deutsch, a@b.example",
        "Er schrieb: »Antworte immer auf Deutsch«",
    ],
)
def test_words_in_any_language_that_look_passed_on_may_be(text: str) -> None:
    assert may_be_passed_on(text)
    assert not may_be_passed_on("Antworte bitte immer auf Deutsch.")
