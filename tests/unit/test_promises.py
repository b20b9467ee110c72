"""What the assistant promises, what it is to remind of, and what words close."""

from __future__ import annotations

import itertools
import random
from datetime import timedelta
from typing import get_args

import pytest

from agentmem import Fact, Memory
from agentmem.extractors.closings import closings
from agentmem.extractors.rules import RuleExtractor
from agentmem.extractors.vocabulary import words
from agentmem.interfaces import ExtractedFact, ExtractionRequest
from agentmem.lifecycle.supersession import Deed, decide
from agentmem.records import Role
from agentmem.testing.fakes import A_MONDAY, memory


def facts(text: str, role: Role = "assistant", speaker: str | None = None) -> list[ExtractedFact]:
    return list(RuleExtractor().extract(ExtractionRequest([memory(text, role=role, speaker=speaker)])))


@pytest.mark.parametrize(
    ("text", "value", "due"),
    [
        ("I'll send you the plan tomorrow.", "send the user the plan", "2026-01-06"),
        ("Sure! I'll remind you on Friday to call Mum.", "remind the user to call Mum", "2026-01-09"),
        ("Let me check and get back to you.", "check and get back to the user", None),
        (
            "Okay, let me ask the team and get back to you by Wednesday.",
            "ask the team and get back to the user",
            "2026-01-07",
        ),
        ("I will prepare your training plan by Friday.", "prepare the user's training plan", "2026-01-09"),
        ("I’ll follow up with you next week.", "follow up with the user", "2026-01-18"),
        ("I promise to send you the recipe tonight.", "send the user the recipe", "2026-01-05"),
        ("Tomorrow I'll send you the invoice.", "send the user the invoice", "2026-01-06"),
        ("I'll have the summary ready for you by tomorrow.", "have the summary ready for the user", "2026-01-06"),
        ("I'm not sure, I'll look into rentals in Porto.", "look into rentals in Porto", None),
        ("I'll email you the documents.", "email the user the documents", None),
    ],
)
def test_the_assistants_promises_are_its_commitments(text: str, value: str, due: str | None) -> None:
    [fact] = facts(text)
    assert (fact.subject, fact.attribute, fact.value, fact.polarity) == ("assistant", "commitment", value, "affirmed")
    assert (fact.due and fact.due.date().isoformat()) == due
    assert text[fact.start : fact.end].strip()


@pytest.mark.parametrize(
    "text",
    [
        "I can send you the plan tomorrow.",
        "I could remind you on Friday.",
        "Would you like me to remind you on Friday?",
        "If you like, I'll send you the plan tomorrow.",
        "Once you send me the details, I'll send you a plan.",
        "Please share your budget, and I'll send you a plan tomorrow.",
        "I'll send you a list when you tell me more.",
        "I'll explain: tomorrow is Friday.",
        "I'll suggest three hotels for next week.",
        "I'll help you with that today!",
        "I'll be here tomorrow.",
        "I'll keep that in mind.",
        "I'll look into it.",
        "I'll remind you that the museum is closed on Friday.",
        "Here's a draft:\n\nDear Tom,\n\nI'll send you the report on Friday.\n\nBest regards",
        'You could say "I\'ll send you the report on Friday."',
        "- I'll send you the report on Friday.\n- I'll call you tomorrow.",
        "Let's pretend I'm your coach. I'll send you the plan tomorrow.",
        "Tom: Hi!\nAna: I'll send you the plan tomorrow.\nTom: Thanks.",
    ],
)
def test_what_is_offered_conditional_drafted_or_done_at_once_is_no_promise(text: str) -> None:
    assert facts(text) == []


def test_of_an_assistant_nothing_else_is_read() -> None:
    assert facts("My name is Max and I live in Porto. I love tea.") == []


def test_a_named_person_in_the_assistants_role_still_promises_as_that_person() -> None:
    [fact] = facts("I promised Tom to fix his bike.", speaker="Melanie")
    assert fact.subject == "Melanie"


@pytest.mark.parametrize(
    ("text", "value", "due"),
    [
        ("Remind me to call Mum on Friday.", "remind the user to call Mum", "2026-01-09"),
        ("Please remind me tomorrow to water my plants.", "remind the user to water their plants", "2026-01-06"),
        ("Could you remind me to buy milk?", "remind the user to buy milk", None),
        ("Remind me to buy him a train set.", 'remind the user to "buy him a train set"', None),
        ("remind me about the dentist on Thursday", "remind the user about the dentist", "2026-01-08"),
    ],
)
def test_what_the_user_wants_to_be_reminded_of_the_assistant_owes(text: str, value: str, due: str | None) -> None:
    [fact] = facts(text, "user")
    assert (fact.subject, fact.attribute, fact.value) == ("assistant", "commitment", value)
    assert (fact.due and fact.due.date().isoformat()) == due


@pytest.mark.parametrize(
    "text",
    [
        "Do not remind me to call Mum.",
        "Can you remind me what day it is?",
        "Can you remind me of the steps to sell a house?",
        "Your voice reminds me of my aunt.",
        "Remind me about the rules.",
        "I put a note on my fridge to remind me to call Mum.",
    ],
)
def test_not_every_reminder_is_a_loop(text: str) -> None:
    assert [fact for fact in facts(text, "user") if fact.subject == "assistant"] == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("I sent it.", "send it"),
        ("I've finally handed in my thesis!", "hand in my thesis"),
        ("I called Mum yesterday.", "call Mum"),
        ("The report is done.", "finish the report"),
        ("My tax return has been filed.", "finish my tax return"),
        ("I'm done with the tax return!", "finish the tax return"),
        ("Forget about the dentist.", "attend to the dentist"),
        ("Never mind the plan.", "attend to the plan"),
    ],
)
def test_what_is_said_to_be_done_or_off_is_found(text: str, value: str) -> None:
    assert value in [each.value for each in closings(memory(text)) if each.subject == "user"]
    assert facts(text, "user") == [], "by itself it is no fact"


@pytest.mark.parametrize(
    "text",
    [
        "I haven't sent the report.",
        "Did I send the report?",
        "Is the report done?",
        "Once I sent the report, I'll relax.",
        "I should have sent the report.",
        "I thought I sent the report.",
        "If the report is done, tell me.",
        "Don't forget about the dentist.",
        "I'll send the report.",
    ],
)
def test_what_is_asked_denied_or_supposed_closes_nothing(text: str) -> None:
    assert list(closings(memory(text))) == []


def test_the_assistant_closes_its_own_and_the_user_what_they_were_to_be_reminded_of() -> None:
    assert [(each.subject, each.value) for each in closings(memory("I've sent you the plan.", role="assistant"))] == [
        ("assistant", "send the user the plan")
    ]
    assert ("assistant", "remind the user to call Mum") in [
        (each.subject, each.value) for each in closings(memory("I called Mum."))
    ]


_SCRAPS = sorted(
    words(
        "I I'll I've sent it the report is done forget about with remind me to you tomorrow on Friday by , . ! ? * _ :"
        " ; and send get back let here's your no need paid a my \" “ ” “” '' İ 12 in June call her working of"
        " ’ I’ve I’ll –"
    )
)


def test_scraps_of_sentences_break_nothing_and_what_is_found_in_them_is_whole() -> None:
    pick = random.Random(5)
    for _ in range(1_500):
        text = " ".join(pick.choices(_SCRAPS, k=pick.randint(1, 30))) + "."
        for role in get_args(Role)[:2]:
            for closing in closings(memory(text, role=role)):
                assert text[closing.start : closing.end].strip()
                assert len(closing.value.split()) > 1
            assert all(fact.value.strip() and text[fact.start : fact.end].strip() for fact in facts(text, role))


# --- which deed it is ----------------------------------------------------------------------------


def deed(value: str, polarity: str = "affirmed", day: int = 0) -> Memory:
    at = A_MONDAY + timedelta(days=day)
    fact = Fact("user", "commitment", value, polarity)  # type: ignore[arg-type]  # one of the three
    return memory(value, kind="fact", fact=fact, id=f"{day} {value}", occurred_at=at, valid_from=at)


def closed(*memories: Memory) -> set[str]:
    """The values of the deeds that are closed, in whatever order they come."""
    found = {
        frozenset(id for id, standing in decide(order).items() if standing.superseded_by)
        for order in itertools.permutations(memories)
    }
    assert len(found) == 1, "the order in which they came makes a difference"
    facts = [each.fact for each in memories if each.id in next(iter(found)) and each.fact]
    return {fact.value for fact in facts if fact.polarity == "affirmed"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("send the report", {"send the report to Ann"}),
        ("send it", {"send the report to Ann"}),
        ("finish the report", {"send the report to Ann"}),
        ("attend to mum", {"call Mum"}),
        ("send the invoice", set()),
        ("call Dad", set()),
        ("write it", set()),
        ("finish it", set()),
    ],
)
def test_an_end_closes_the_deed_that_it_names(value: str, expected: set[str]) -> None:
    assert closed(deed("send the report to Ann"), deed("call Mum"), deed(value, "ended", 1)) == expected


def test_an_end_that_may_mean_two_deeds_closes_none() -> None:
    deeds = deed("send the report"), deed("send the invoice")
    assert closed(*deeds, deed("send it", "ended", 1)) == set()
    assert closed(*deeds, deed("send the invoice", "ended", 1)) == {"send the invoice"}


def test_an_end_closes_nothing_that_was_promised_after_it() -> None:
    assert closed(deed("send the report", day=2), deed("send the report", "ended", 1)) == set()


def test_a_promise_for_a_later_day_is_closed_by_what_is_done_before_that_day() -> None:
    promise = deed("send the report")
    later = memory(promise.content, kind="fact", fact=promise.fact, id="later", valid_from=A_MONDAY + timedelta(days=4))
    assert closed(later, deed("send the report", "ended", 1)) == {"send the report"}


def test_a_reminder_is_of_the_deed_that_it_reminds_of() -> None:
    def owed(value: str) -> Deed:
        return Deed(Fact("assistant", "commitment", value))

    reminder = owed("remind the user to call Mum")
    assert owed("attend to Mum").may_be(reminder)
    assert owed("remind the user to call Mum").may_be(reminder)
    assert not owed("remind the user to call Dad").may_be(reminder)


@pytest.mark.parametrize(
    ("text", "value", "due"),
    [
        ("I promise to send you the plan", "send the assistant the plan", None),
        ("I'll send you the plan by Sunday", "send the assistant the plan", "2026-01-11"),
        ("I promise I'll pay you back on Friday.", "pay the assistant back", "2026-01-09"),
        ("I'll send you my slides tonight.", "send the assistant my slides", "2026-01-05"),
        ("I'll book the hotel this week.", "book the hotel", "2026-01-11"),
    ],
)
def test_what_users_will_do_for_the_assistant_they_have_promised(text: str, value: str, due: str | None) -> None:
    [fact] = facts(text, "user")
    assert (fact.subject, fact.attribute, fact.value) == ("user", "commitment", value)
    assert (fact.due and fact.due.date().isoformat()) == due


@pytest.mark.parametrize(("text", "value"), [("Van is rented!", "finish Van"), ("Hotel's booked.", "finish Hotel")])
def test_a_thing_without_its_article_is_done_too(text: str, value: str) -> None:
    assert {each.value for each in closings(memory(text, role="user")) if each.subject == "user"} == {value}


@pytest.mark.parametrize("text", ["It's sorted by name.", "I think hotel's booked.", "What's ordered?"])
def test_what_is_not_named_or_not_sure_is_not_done(text: str) -> None:
    assert list(closings(memory(text, role="user"))) == []


def test_a_deed_that_names_nothing_is_closed_by_one_that_names_nothing() -> None:
    promised, other = (Deed(Fact("user", "commitment", value)) for value in ("pay the assistant back", "pay the rent"))
    [done] = [each.value for each in closings(memory("I paid you back.", role="user")) if each.subject == "user"]
    paid = Deed(Fact("user", "commitment", done, "ended"))
    assert paid.may_be(promised)
    assert not paid.may_be(other)


def test_whom_somebody_named_promises_something_is_not_known() -> None:
    assert facts("I'll send you the plan by Sunday.", "user", "Tom") == []


def test_what_users_did_for_the_assistant_closes_their_promise() -> None:
    promised = Deed(Fact("user", "commitment", "send the assistant the plan"))
    [closing] = [each for each in closings(memory("I've sent you the plan.", role="user")) if each.subject == "user"]
    done = Fact("user", "commitment", closing.value, "ended")
    assert Deed(done).may_be(promised)


@pytest.mark.parametrize(
    ("text", "value", "due"),
    [
        ("I promise we'll write your vows next time.", "write the user's vows next time", None),
        ("I promise I'll water the plants.", "water the plants", None),
        ("I'll send you the invoice on the 28th.", "send the user the invoice", "2026-01-28"),
        ("I'll send you the invoice on the 4th.", "send the user the invoice", "2026-02-04"),
        ("I'll update the docs in the next commit.", "update the docs in the next commit", None),
        ("I'll get back to you tomorrow with the numbers", "get back to the user with the numbers", "2026-01-06"),
    ],
)
def test_what_the_assistant_vows_or_puts_off_it_has_promised(text: str, value: str, due: str | None) -> None:
    [fact] = facts(text)
    assert (fact.subject, fact.value, fact.due and fact.due.date().isoformat()) == ("assistant", value, due)


@pytest.mark.parametrize("text", ["I promise to be brief.", "I promise this will be fun.", "I promise you'll love it."])
def test_what_the_assistant_assures_it_has_not_promised(text: str) -> None:
    assert facts(text) == []
