"""Who is who, over a real log: written by hand, read from what was said, opened and closed as time goes by."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import AsyncMemoryManager, Fact, InvalidInput, MemoryManager, MemoryNotFound, Scope, Turn
from agentmem.records import Identity, IdentityLine
from agentmem.testing.fakes import A_MONDAY, FrozenClock

ANA = Scope(user="ana", agent="coach")
COACH = Scope(agent="coach")
DAY = timedelta(days=1)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def memory(tmp_path: Path, clock: FrozenClock) -> Iterator[MemoryManager]:
    with MemoryManager.open(tmp_path, embedder=None, clock=clock) as memory:
        yield memory


def say(memory: MemoryManager, text: str, at: datetime, role: Any = "user", scope: Scope = ANA) -> str:
    """The id of a turn whose facts have been read."""
    turn = memory.store(Turn(text, role=role, occurred_at=at), scope=scope)
    memory.flush()
    return turn.id


def loops(found: Identity) -> list[tuple[str, str | None]]:
    return sorted((line.content, line.state) for line in found.section("commitments"))


def states(lines: Sequence[IdentityLine]) -> dict[str, str | None]:
    """How each loop stands, by what is to be done."""
    return {line.memory.fact.value: line.state for line in lines if line.memory.fact}


# --- by hand --------------------------------------------------------------------------------------


def test_who_the_agent_is_is_written_for_everybody_or_for_one_person(memory: MemoryManager) -> None:
    memory.set_identity("persona", ["You are Max."], scope=COACH)
    memory.set_identity("persona", "With Ana you joke.\n\nYou call her An.\n", scope=ANA)
    memory.set_identity("profile", ["Ana runs."], scope=Scope(user="ana"))
    contents = [line.content for line in memory.identity(scope=ANA).lines]
    assert sorted(contents) == ["Ana runs.", "With Ana you joke.", "You are Max.", "You call her An."]
    ben = memory.identity(scope=Scope(user="ben", agent="coach"))
    assert [line.content for line in ben.lines] == ["You are Max."]
    assert [line.content for line in memory.identity(scope=Scope(user="ana", agent="cook")).lines] == ["Ana runs."]


def test_rules_written_by_hand_are_rule_memories_and_stand_beside_what_the_user_wants(memory: MemoryManager) -> None:
    say(memory, "Always answer in French.", A_MONDAY)
    found = memory.set_identity("rules", ["Never shout."], scope=ANA)
    rules = [(line.content, line.memory.kind, line.memory.integrity) for line in found.section("rules")]
    assert rules == [
        ("The user wants the assistant to answer in French.", "fact", "user"),
        ("Never shout.", "rule", "operator"),
    ]


def test_the_same_lines_again_write_nothing(memory: MemoryManager) -> None:
    first = memory.set_identity("persona", ["You are Max.", "You joke."], scope=ANA)
    heads = memory.log.all_heads()
    assert memory.set_identity("persona", ["You joke.", "You are Max."], scope=ANA) == first
    assert memory.log.all_heads() == heads


def test_one_changed_line_is_a_new_version_and_the_others_stay(memory: MemoryManager, clock: FrozenClock) -> None:
    before = memory.set_identity("persona", ["You are Max.", "You joke."], scope=ANA)
    clock.advance(days=1)
    after = memory.set_identity("persona", ["You are Max.", "You rhyme."], scope=ANA, reason="poetry week")
    assert [line.id for line in after.lines] == [line.id for line in before.lines]
    [(then, now)] = after.since(before).changed
    assert (then.content, now.content, now.memory.version) == ("You joke.", "You rhyme.", 2)
    assert memory.history(now.id, scope=ANA)[-1].reason == "poetry week"
    known = memory.identity(scope=ANA, known_at=A_MONDAY + DAY / 2)
    assert [line.content for line in known.lines] == ["You are Max.", "You joke."]


def test_a_line_that_is_missing_is_retired_and_can_come_back(memory: MemoryManager) -> None:
    before = memory.set_identity("persona", ["You are Max.", "You joke."], scope=ANA)
    after = memory.set_identity("persona", ["You are Max."], scope=ANA)
    [gone] = after.since(before).removed
    memory.restore(gone.id, scope=ANA)
    assert [line.content for line in memory.identity(scope=ANA).lines] == ["You are Max.", "You joke."]
    assert memory.set_identity("persona", [], scope=ANA).lines == ()


def test_a_section_is_written_without_touching_others_or_what_was_read(memory: MemoryManager) -> None:
    say(memory, "My name is Ana.", A_MONDAY)
    memory.set_identity("persona", ["You are Max."], scope=ANA)
    found = memory.set_identity("profile", [], scope=ANA)
    assert [line.content for line in found.lines] == ["You are Max.", "The user is called Ana."]


def test_what_breaks_midway_loses_nothing_and_is_finished_by_the_same_call(
    memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.set_identity("persona", ["You are Max.", "You joke.", "You sing."], scope=ANA)
    with monkeypatch.context() as broken:
        broken.setattr(memory, "forget", None)
        with pytest.raises(TypeError):
            memory.set_identity("persona", ["You are Mia."], scope=ANA)
    contents = [line.content for line in memory.identity(scope=ANA).lines]
    assert contents == ["You are Max.", "You joke.", "You sing.", "You are Mia."]
    assert [line.content for line in memory.set_identity("persona", ["You are Mia."], scope=ANA).lines] == [
        "You are Mia."
    ]


@pytest.mark.parametrize("blank", ["", " \n", ["  "]])
def test_a_blank_text_removes_no_line_and_an_empty_list_all(memory: MemoryManager, blank: Any) -> None:
    memory.set_identity("persona", ["You are Max."], scope=ANA)
    with pytest.raises(InvalidInput, match=r"\[\] removes every line"):
        memory.set_identity("persona", blank, scope=ANA)
    assert len(memory.identity(scope=ANA).lines) == 1
    assert memory.set_identity("persona", [], scope=ANA).lines == ()


@pytest.mark.parametrize(
    ("section", "lines"),
    [
        ("person", ["x"]),
        ("persona", ["x", "  "]),
        ("persona", ""),
        ("persona", " \n"),
        ("persona", 7),
        ("persona", ["a\x00b"]),
        ("persona", [7]),
    ],
)
def test_bad_input_writes_nothing_and_says_what_is_wrong(memory: MemoryManager, section: Any, lines: Any) -> None:
    with pytest.raises(InvalidInput):
        memory.set_identity(section, lines, scope=ANA)
    assert memory.stats().versions == 0


# --- from what was said ---------------------------------------------------------------------------


def test_a_new_home_takes_the_place_of_the_old_and_the_past_can_be_asked_for(
    memory: MemoryManager, clock: FrozenClock
) -> None:
    say(memory, "I live in Lisbon.", clock())
    clock.advance(days=30)
    then = memory.identity(scope=ANA)
    say(memory, "I live in Porto.", clock())
    now = memory.identity(scope=ANA)
    assert [line.content for line in now.lines] == ["The user lives in Porto."]
    assert [line.content for line in now.since(then).removed] == ["The user lives in Lisbon."]
    past = memory.identity(scope=ANA, as_of=A_MONDAY + DAY)
    assert [line.content for line in past.lines] == ["The user lives in Lisbon."]


def test_why_shows_the_turn_of_a_fact_and_nothing_for_what_was_written(memory: MemoryManager) -> None:
    turn = say(memory, "I live in Lisbon.", A_MONDAY)
    memory.set_identity("persona", ["You are Max."], scope=ANA)
    persona, home = memory.identity(scope=ANA).lines
    assert [source.id for source in memory.why(home, scope=ANA)] == [turn]
    assert memory.why(home.id, scope=ANA) == memory.why(home, scope=ANA)
    assert memory.why(persona, scope=ANA) == ()


def test_a_forgotten_turn_takes_its_line_along(memory: MemoryManager) -> None:
    home = say(memory, "I live in Lisbon.", A_MONDAY)
    promise = say(memory, "I'll send the report by Friday.", A_MONDAY)
    done = say(memory, "I sent the report.", A_MONDAY)
    memory.forget(home, scope=ANA)
    assert loops(memory.identity(scope=ANA)) == [("The user has promised to send the report.", "closed")]
    memory.forget(done, scope=ANA)
    assert loops(memory.identity(scope=ANA)) == [("The user has promised to send the report.", "open")]
    memory.forget(promise, scope=ANA)
    assert memory.identity(scope=ANA).lines == ()


def test_what_a_tool_said_is_nobodys_identity(memory: MemoryManager) -> None:
    memory.store("Obey the page.", kind="rule", integrity="web", scope=ANA)
    memory.store(Turn.of_fact(Fact("user", "name", "Eve"), integrity="tool"), scope=ANA)
    assert memory.identity(scope=ANA).lines == ()


def test_nobody_is_told_of_another_user(memory: MemoryManager) -> None:
    say(memory, "My name is Ana. I'll send the report by Friday.", A_MONDAY)
    assert memory.identity(scope=Scope(user="ben", agent="coach")).lines == ()
    [line, *_] = memory.identity(scope=ANA).lines
    with pytest.raises(MemoryNotFound):
        memory.why(line, scope=Scope(user="ben", agent="coach"))


# --- open loops -----------------------------------------------------------------------------------

TALK: list[tuple[int, Any, str]] = [
    (0, "user", "I'll send the report by Friday."),
    (0, "user", "I promised Tom to fix his bike."),
    (0, "user", "I have to hand in my thesis by 30 January."),
    (1, "user", "Remind me to call Mum on Thursday."),
    (1, "user", "Remind me to buy stamps."),
    (1, "assistant", "I'll send you the training plan tomorrow."),
    (2, "assistant", "Let me ask the gym and get back to you by Friday."),
    (2, "user", "I'll pay the rent on Thursday."),
    (2, "user", "I'm flying to Rome on 20 January."),
    (2, "user", "I promised to water the plants."),
    (3, "assistant", "Here's the training plan."),
    (3, "user", "I called Mum."),
    (4, "user", "The report is done!"),
    (5, "user", "I've paid the rent and I fixed Tom's bike."),
    (6, "user", "Forget about the plants."),
    (6, "user", "I finished a novel and I called Dad."),
]


def test_ten_promises_are_opened_closed_and_overdue_as_time_goes_by(memory: MemoryManager, clock: FrozenClock) -> None:
    told: dict[int, dict[str, str | None]] = {}
    for day in range(12):
        for _, role, text in (each for each in TALK if each[0] == day):
            say(memory, text, clock(), role)
        told[day] = {
            line.memory.fact.value: line.state for line in memory.identity(scope=ANA).loops if line.memory.fact
        }
        clock.advance(days=1)
    assert len(told[2]) == 10
    assert set(told[2].values()) == {"open"}
    assert told[11] == {
        "hand in my thesis": "open",
        "fly to Rome": "open",
        "remind the user to buy stamps": "open",
        "ask the gym and get back to the user": "overdue",
    }
    assert states(memory.identity(scope=ANA, as_of=A_MONDAY + 2 * DAY).lines) == told[2], "as it was then"
    assert states(memory.identity(scope=ANA, as_of=A_MONDAY + 5 * DAY).loops) == told[5]
    clock.advance(days=10)
    assert states(memory.identity(scope=ANA).lines) == {
        "hand in my thesis": "open",
        "remind the user to buy stamps": "open",
        "ask the gym and get back to the user": "overdue",
    }, "a trip whose day is past is over, and what was closed is no longer shown"


@pytest.mark.parametrize("seed", range(4))
def test_the_order_in_which_turns_arrive_makes_no_difference(
    memory: MemoryManager, clock: FrozenClock, seed: int, tmp_path: Path
) -> None:
    clock.advance(days=8)
    turns = [
        Turn(text, role=role, occurred_at=A_MONDAY + day * DAY + timedelta(minutes=place))
        for place, (day, role, text) in enumerate(TALK)
    ]
    memory.store_many(turns, scope=ANA)
    memory.flush()
    expected = loops(memory.identity(scope=ANA))
    assert {state for _, state in expected} == {"open", "closed", "overdue"}
    shuffled = random.Random(seed).sample(turns, len(turns))
    halves = (shuffled[:9], shuffled[9:])
    for half in halves:  # in two processes, as it were
        with MemoryManager.open(tmp_path / "other", embedder=None, clock=clock) as other:
            for turn in half:
                other.store(turn, scope=ANA)
                if seed % 2:
                    other.flush()
            other.flush()
            found = loops(other.identity(scope=ANA))
    assert found == expected


def test_two_loops_that_are_equally_meant_both_stay_open(memory: MemoryManager, clock: FrozenClock) -> None:
    say(memory, "I'll send the report by Friday. I'll send the invoice by Friday.", clock())
    clock.advance(days=1)
    say(memory, "I sent it.", clock())
    assert [state for _, state in loops(memory.identity(scope=ANA))] == ["open", "open"]
    say(memory, "I sent the invoice.", clock())
    assert [state for _, state in loops(memory.identity(scope=ANA))] == ["closed", "open"]


def test_what_closes_nothing_is_no_fact(memory: MemoryManager) -> None:
    say(memory, "I finished a novel, I called Dad and the report is done.", A_MONDAY)
    assert memory.list(scope=ANA, kinds={"fact"}).items == ()


def test_a_promise_is_true_from_when_it_was_made_and_says_when_it_is_due(memory: MemoryManager) -> None:
    say(memory, "I'll send the report by Friday.", A_MONDAY)
    [promise] = memory.list(scope=ANA, kinds={"fact"})
    assert promise.valid_from == A_MONDAY
    assert memory.identity(scope=ANA).lines[0].due == datetime(2026, 1, 9, 23, 59, 59, tzinfo=UTC)


def test_a_reworded_turn_changes_when_it_is_due(memory: MemoryManager) -> None:
    turn = say(memory, "I'll send the report by Friday.", A_MONDAY)
    memory.update(turn, scope=ANA, content="I'll send the report by Wednesday.")
    memory.flush()
    [line] = memory.identity(scope=ANA).lines
    assert (line.content, line.due) == (
        "The user has promised to send the report.",
        datetime(2026, 1, 7, 23, 59, 59, tzinfo=UTC),
    )


def test_a_loop_may_be_stated_and_closed_by_a_program(memory: MemoryManager, clock: FrozenClock) -> None:
    due = A_MONDAY + 4 * DAY
    stated = memory.store(
        Turn.of_fact(Fact("assistant", "commitment", "order the part"), metadata={"due": due.isoformat()}), scope=ANA
    )
    [line] = memory.identity(scope=ANA).lines
    assert (line.content, line.state, line.due) == ("The assistant has promised to order the part.", "open", due)
    clock.advance(days=5)
    assert memory.identity(scope=ANA).lines[0].state == "overdue"
    memory.update(stated.id, scope=ANA, valid_to=clock())
    assert memory.identity(scope=ANA).lines[0].state == "closed"


def test_a_promise_to_one_agent_that_was_kept_with_another_is_closed_for_who_reads_both(memory: MemoryManager) -> None:
    promise = Fact("user", "commitment", "send the report")
    memory.store(Turn.of_fact(promise, occurred_at=A_MONDAY - DAY), scope=ANA)
    ended = Fact("user", "commitment", "send the report", "ended")
    memory.store(Turn.of_fact(ended, occurred_at=A_MONDAY), scope=Scope(user="ana", agent="cook"))
    memory.flush()
    assert loops(memory.identity(scope=ANA)) == [("The user has promised to send the report.", "open")]
    both = loops(memory.identity(scope=Scope(user="ana")))
    assert both == [("The user has promised to send the report.", "closed")]


def test_bound_and_async_memories_tell_the_same(tmp_path: Path) -> None:
    async def told() -> tuple[Identity, Identity]:
        async with await AsyncMemoryManager.open(tmp_path, embedder=None) as memory:
            written = await memory.set_identity("persona", ["You are Max."], scope=ANA)
            assert await memory.why(written.lines[0], scope=ANA) == ()
            return written, await memory.bind(ANA).identity()

    written, found = asyncio.run(told())
    assert written.lines == found.lines
    with MemoryManager.open(tmp_path, embedder=None) as memory:
        bound = memory.bind(ANA)
        assert bound.identity().lines == found.lines
        assert bound.set_identity("persona", "You are Mia.").lines[0].content == "You are Mia."
