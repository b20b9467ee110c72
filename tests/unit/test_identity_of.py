"""Who is who, from memories alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentmem import Fact, Memory, Scope
from agentmem.context.identity import LET_GO, SHOWN_CLOSED, identity_of, rewritten
from agentmem.extractors.sentences import sentence
from agentmem.records import IDENTITY_SECTIONS, Identity
from agentmem.testing.fakes import A_MONDAY, memory

ANA = Scope(user="ana", agent="coach")
DAY = timedelta(days=1)


def fact(attribute: str, value: str, subject: str = "user", **fields: Any) -> Memory:
    """A fact memory; ``polarity`` and ``topic`` are the fact's."""
    stated = Fact(subject, attribute, value, fields.pop("polarity", "affirmed"), topic=fields.pop("topic", None))
    return memory(sentence(stated), kind="fact", fact=stated, scope=ANA, id=f"{subject} {attribute} {value}", **fields)


def identity(*memories: Memory, now: datetime = A_MONDAY) -> Identity:
    return identity_of(memories, scope=ANA, now=now)


def said(found: Identity, section: Any) -> list[str]:
    return [line.content for line in found.section(section)]


def test_each_fact_has_its_section_and_the_sections_their_order() -> None:
    facts = [
        fact("commitment", "call Mum"),
        fact("likes", "tea"),
        fact("favourite", "blue", topic="color"),
        fact("name", "Ana"),
        fact("shoe_size", "38"),
        fact("instruction", "answer in French"),
        fact("name", "Max", subject="assistant"),
    ]
    found = identity(*facts)
    assert said(found, "rules") == ["The user wants the assistant to answer in French."]
    assert said(found, "persona") == ["The assistant is called Max."]
    assert said(found, "profile") == ["The user is called Ana.", "The user shoe_size: 38"]
    assert said(found, "preferences") == ["The user likes tea.", "The user has as favourite color: blue."]
    assert said(found, "commitments") == ["The user has promised to call Mum."]
    assert [line.section for line in found.lines] == sorted(
        (line.section for line in found.lines), key=IDENTITY_SECTIONS.index
    )


def test_what_third_persons_like_is_profile_and_what_they_promised_a_commitment() -> None:
    found = identity(fact("likes", "tea", subject="Clara"), fact("commitment", "bring wine", subject="Clara"))
    assert said(found, "profile") == ["Clara likes tea."]
    assert said(found, "commitments") == ["Clara has promised to bring wine."]


def test_hand_written_lines_stand_where_they_say_or_where_their_layer_says() -> None:
    found = identity(
        memory("Be kind.", kind="rule", scope=ANA),
        memory("Old friends.", kind="identity", scope=ANA, metadata={"section": "relationship"}),
        memory("A coach.", kind="identity", scope=Scope(agent="coach")),
        memory("A runner.", kind="identity", scope=ANA, metadata={"section": "rules"}),
    )
    assert said(found, "rules") == ["Be kind."], "an identity memory makes no rule"
    assert said(found, "relationship") == ["Old friends."]
    assert said(found, "persona") == ["A coach."]
    assert said(found, "profile") == ["A runner."]


def test_lines_keep_their_order_so_that_what_is_new_stands_last() -> None:
    facts = [fact("likes", value) for value in ("tea", "jazz", "rain")]
    assert said(identity(*facts), "preferences")[:2] == said(identity(*facts[:2]), "preferences")


@pytest.mark.parametrize("integrity", ["tool", "web", "undeclared"])
def test_what_is_not_trusted_is_nobodys_identity(integrity: Any) -> None:
    assert not identity(
        fact("name", "Eve", integrity=integrity), memory("Obey.", kind="rule", integrity=integrity, scope=ANA)
    ).lines


def test_what_ended_is_no_line_and_what_is_denied_is_one() -> None:
    found = identity(fact("employer", "Acme", polarity="ended"), fact("likes", "fish", polarity="denied"))
    assert [line.content for line in found.lines] == ["The user dislikes fish."]


def test_what_is_true_only_later_or_no_longer_is_left_out() -> None:
    assert not identity(
        fact("home", "Porto", valid_from=A_MONDAY + DAY), fact("home", "Lisbon", valid_to=A_MONDAY - DAY)
    ).lines


def test_a_promise_is_open_until_its_day_is_over_and_then_overdue() -> None:
    due = datetime(2026, 1, 9, 23, 59, 59, tzinfo=UTC)
    promise = fact("commitment", "send the report", metadata={"due": due.isoformat()})
    [line] = identity(promise, now=due).lines
    assert (line.state, line.due) == ("open", due)
    [line] = identity(promise, now=due + DAY).lines
    assert line.state == "overdue"
    assert identity(promise, now=due + LET_GO).loops
    assert not identity(promise, now=due + LET_GO + DAY).lines, "nobody waits for ever"


def test_an_undated_promise_is_let_go_in_the_end() -> None:
    promise = fact("commitment", "call Mum")
    assert identity(promise, now=A_MONDAY + LET_GO).loops
    assert not identity(promise, now=A_MONDAY + LET_GO + DAY).lines


def test_a_closed_promise_is_shown_closed_for_a_week_and_last() -> None:
    closed = fact("commitment", "send the report", valid_to=A_MONDAY + DAY)
    still_open = fact("commitment", "call Mum")
    found = identity(closed, still_open, now=A_MONDAY + 2 * DAY)
    assert [line.state for line in found.lines] == ["open", "closed"]
    assert [line.content for line in found.loops] == ["The user has promised to call Mum."]
    assert len(identity(closed, still_open, now=A_MONDAY + DAY + SHOWN_CLOSED).lines) == 2
    assert len(identity(closed, still_open, now=A_MONDAY + 2 * DAY + SHOWN_CLOSED).lines) == 1
    [line, _] = identity(closed, still_open, now=A_MONDAY).lines
    assert line.state == "open", "it was, then"


def test_a_trip_is_over_after_its_day_and_a_call_that_was_not_made_is_overdue() -> None:
    trip, call = (
        fact("plan", "fly to Rome", valid_from=A_MONDAY + DAY),
        fact("plan", "call the dentist", valid_from=A_MONDAY + DAY),
    )
    assert [line.state for line in identity(trip, call).lines] == ["open", "open"]
    found = identity(trip, call, now=A_MONDAY + 3 * DAY)
    assert [(line.content, line.state) for line in found.lines] == [("The user plans to call the dentist.", "overdue")]


def test_a_plan_given_up_before_its_day_is_closed_at_once() -> None:
    plan = fact("plan", "fly to Rome", valid_from=A_MONDAY + 3 * DAY, valid_to=A_MONDAY + 3 * DAY)
    assert [line.state for line in identity(plan).lines] == ["closed"]


def test_a_plan_for_a_day_has_all_of_that_day() -> None:
    midnight = datetime(2026, 1, 9, tzinfo=UTC)
    [line] = identity(fact("plan", "fly to Rome", valid_from=midnight), now=midnight + DAY / 2).lines
    assert (line.state, line.due) == ("open", midnight + DAY - timedelta(seconds=1))


@pytest.mark.parametrize("due", ["soon", "2026-01-09", 7, None])
def test_a_due_day_that_cannot_be_read_is_none(due: Any) -> None:
    [line] = identity(fact("commitment", "call Mum", metadata={"due": due})).lines
    assert line.due is None


def test_as_many_lines_as_went_are_changed_and_others_come_or_go() -> None:
    standing = [memory(line, kind="identity") for line in ("You are Max.", "You joke.", "You rhyme.")]
    assert rewritten(standing, [line.content for line in standing]) == ((), [], ())
    assert rewritten(standing, ["You are Max.", "You rhyme.", "You sing."]) == ((), [(standing[1], "You sing.")], ())
    assert rewritten(standing, ["You are Max."]) == ([], (), standing[1:])
    assert rewritten(standing[:1], ["You are Mia.", "You joke."]) == (["You are Mia.", "You joke."], (), standing[:1])
