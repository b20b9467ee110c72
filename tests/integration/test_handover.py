"""What a session hands over to the next one, over a real log."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import AsyncMemoryManager, Memory, MemoryManager, Scope, Turn
from agentmem.errors import StoreBusy
from agentmem.lifecycle.retention import RetentionRule
from agentmem.retrieval.sittings import MOST_TURNS, PAUSE
from agentmem.testing.fakes import A_MONDAY

ANA = Scope(user="ana", agent="coach")
MINUTE = timedelta(minutes=1)
PIANO = "I bought an old piano from my neighbour Clara."
TILES = "I've decided to tile the kitchen in blue."
VISA = "Which visa do I need for Japan?"


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = A_MONDAY

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(folder: Path, clock: Clock) -> Iterator[MemoryManager]:
    with MemoryManager.open(folder, embedder=None, clock=clock) as memory:
        yield memory


def in_session(name: str | None, scope: Scope = ANA) -> Scope:
    return replace(scope, session=name)


def say(memory: MemoryManager, clock: Clock, scope: Scope, *said: str, **fields: Any) -> list[Memory]:
    """Turns of the user, a minute apart."""
    turns = []
    for content in said:
        clock.now += MINUTE
        turns.append(memory.store(Turn(content, **fields), scope=scope))
    return turns


def latest(memory: MemoryManager, clock: Clock, scope: Scope) -> Memory | None:
    """What a context of the scope is told of the session before it."""
    return memory._handovers.latest(scope, clock())


def standing(memory: MemoryManager, scope: Scope = ANA) -> list[Memory]:
    found = memory.list(scope=scope, kinds={"summary"}).items
    return [each for each in found if each.metadata.get("level") == "handover"]


# --- written at the end ---------------------------------------------------------------------------


def test_a_session_that_ends_leaves_one_memory_whose_lines_cite_their_turns(
    memory: MemoryManager, clock: Clock
) -> None:
    turns = say(memory, clock, in_session("monday"), PIANO, TILES, VISA)
    say(memory, clock, in_session("sunday"), PIANO)
    handover = memory.end_session(scope=in_session("monday"))
    assert handover is not None
    assert (handover.kind, handover.role, handover.scope) == ("summary", "assistant", in_session("monday"))
    assert handover.trusted
    lines = handover.content.split("\n")
    assert len(lines) == len(handover.metadata["lines"]) == len(handover.metadata["about"])
    ids = {turn.id for turn in turns}
    assert all(cited and set(cited) <= ids for cited in handover.metadata["lines"])
    assert set(handover.derived_from) == ids
    assert dict(zip(handover.metadata["about"], lines, strict=True))["decided"].endswith(TILES)
    assert standing(memory) == [handover]


def test_ending_again_changes_nothing_until_something_is_said(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    say(memory, clock, scope, PIANO)
    first = memory.end_session(scope=scope)
    assert first is not None
    assert memory.end_session(scope=scope) == first
    say(memory, clock, scope, TILES)
    second = memory.end_session(scope=scope)
    assert second is not None
    assert TILES in second.content
    assert standing(memory) == [second]


def test_where_nothing_was_said_there_is_nothing_to_hand_over(memory: MemoryManager, clock: Clock) -> None:
    assert memory.end_session(scope=in_session("monday")) is None
    say(memory, clock, in_session("monday"), "Hi!", "Bye!")
    assert memory.end_session(scope=in_session("monday")) is None
    assert standing(memory) == []


def test_promises_come_from_facts_that_are_read_before_the_end(memory: MemoryManager, clock: Clock) -> None:
    (turn,) = say(memory, clock, in_session("monday"), "I promised my sister to call the vet by Friday.")
    handover = memory.end_session(scope=in_session("monday"))
    assert handover is not None
    place = handover.metadata["about"].index("promised")
    assert "call the vet" in handover.content.split("\n")[place]
    assert handover.metadata["lines"][place] == [turn.id]


def test_a_promise_that_is_closed_is_handed_over_no_more(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO, "I promised my sister to call the vet by Friday.")
    handover = memory.end_session(scope=in_session("monday"))
    assert handover is not None
    assert "promised" in handover.metadata["about"]
    (promise,) = [fact for fact in memory.list(scope=ANA, kinds={"fact"}) if fact.fact.attribute == "commitment"]  # type: ignore[union-attr]
    clock.now += MINUTE
    memory.update(promise.id, scope=ANA, valid_to=clock.now)
    clock.now += MINUTE
    after = latest(memory, clock, in_session("tuesday"))
    assert after is not None
    assert "promised" not in after.metadata["about"]


def test_other_summaries_of_the_session_stand_beside_it(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    say(memory, clock, scope, PIANO, TILES)
    (summary,) = memory.compress(scope=scope)
    handover = memory.end_session(scope=scope)
    assert handover is not None
    assert memory.compress(scope=scope) == [summary]
    assert memory.end_session(scope=scope) == handover
    assert {each.id for each in memory.list(scope=ANA, kinds={"summary"})} == {summary.id, handover.id}


def test_a_bound_and_an_async_memory_end_sessions_too(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    say(memory, clock, scope, PIANO)
    handover = memory.bind(scope).end_session()

    async def ended() -> tuple[Memory | None, Memory | None]:
        beside = AsyncMemoryManager(memory)
        return await beside.end_session(scope=scope), await beside.bind(scope).end_session()

    assert handover is not None
    assert asyncio.run(ended()) == (handover, handover)


# --- made when the next session asks --------------------------------------------------------------


def test_the_next_session_is_told_of_the_one_that_just_stopped(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    told = latest(memory, clock, in_session("tuesday"))
    assert told is not None
    assert PIANO in told.content
    assert standing(memory) == [told]
    assert memory.flush(30)
    head = memory.log.heads(ANA)
    say(memory, clock, in_session("tuesday"), VISA)
    assert latest(memory, clock, in_session("tuesday")) == told
    assert memory.log.heads(ANA)[0].seq == head[0].seq + 1, "only the turn was written"


def test_what_the_last_one_said_afterwards_is_told_to_the_one_after(memory: MemoryManager, clock: Clock) -> None:
    """Two sessions side by side: what one is told stays as it was when it began."""
    say(memory, clock, in_session("phone"), PIANO)
    say(memory, clock, in_session("desk"), "Good morning!")
    at_the_desk = latest(memory, clock, in_session("desk"))
    assert at_the_desk is not None
    for number in range(3):
        say(memory, clock, in_session("phone"), f"I planted {number} lemon trees in the garden.")
        say(memory, clock, in_session("desk"), f"I have {number} letters to write.")
        assert latest(memory, clock, in_session("desk")) == at_the_desk
    say(memory, clock, in_session("phone"), TILES)
    in_the_car = latest(memory, clock, in_session("car"))
    assert in_the_car is not None
    assert in_the_car.scope.session == "phone"
    assert TILES in in_the_car.content
    # It has been overtaken, and nobody makes the older one again.
    assert latest(memory, clock, in_session("desk")) == in_the_car
    assert latest(memory, clock, in_session("car")) == in_the_car
    assert standing(memory) == [in_the_car]


def test_a_session_that_told_nothing_is_passed_over(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    say(memory, clock, in_session("tuesday"), "Hi!", "Bye!")
    told = latest(memory, clock, in_session("wednesday"))
    assert told is not None
    assert told.scope.session == "monday"


@pytest.mark.parametrize("name", ["for ever", None])
def test_a_session_that_is_resumed_after_a_pause_is_told_what_was_before_it(
    memory: MemoryManager, clock: Clock, name: str | None
) -> None:
    scope = in_session(name)
    say(memory, clock, scope, PIANO)
    assert latest(memory, clock, scope) is None, "it is still going on"
    clock.now += PAUSE + MINUTE
    before = latest(memory, clock, scope)
    assert before is not None
    assert PIANO in before.content
    say(memory, clock, scope, TILES)
    assert latest(memory, clock, scope) == before
    clock.now += PAUSE + MINUTE
    after = latest(memory, clock, scope)
    assert after is not None
    assert TILES in after.content
    assert PIANO not in after.content
    assert standing(memory) == [after]


def test_it_goes_to_nobody_else(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    others = [Scope(user="ben", agent="coach"), Scope(user="ana", agent="cook"), Scope(agent="coach")]
    others += [Scope(user="ana"), replace(ANA, tenant="zeta")]
    assert [latest(memory, clock, in_session("tuesday", other)) for other in others] == [None] * 5


def test_what_is_not_trusted_is_not_in_it(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    say(memory, clock, scope, PIANO)
    say(memory, clock, scope, "I've decided to send my money to gold.example.", integrity="web")
    handover = memory.end_session(scope=scope)
    assert handover is not None
    assert "gold" not in handover.content
    assert len(handover.derived_from) == 1


def test_a_look_back_writes_nothing(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    then = clock.now + MINUTE
    clock.now += timedelta(days=9)
    say(memory, clock, in_session("tuesday"), TILES)
    assert memory._handovers.latest(in_session("now"), then) is None
    told = latest(memory, clock, in_session("now"))
    assert told is not None
    assert memory._handovers.latest(in_session("now"), then) is None
    assert standing(memory) == [told]


def test_a_look_back_hides_nothing_from_the_present(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    then = clock.now + MINUTE
    clock.now += timedelta(days=9)
    assert memory._handovers.latest(in_session("now"), then) is None
    told = latest(memory, clock, in_session("now"))
    assert told is not None
    assert memory._handovers.latest(in_session("now"), then) == told


def test_while_the_log_is_busy_a_prompt_does_without_and_the_next_one_has_it(
    memory: MemoryManager, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    assert memory.flush(30)

    def busy(*_: object, **__: object) -> Memory:
        raise StoreBusy("Somebody else is writing.")

    with monkeypatch.context() as patch:
        patch.setattr(memory._summarising.summaries, "_store", busy)
        assert latest(memory, clock, in_session("tuesday")) is None
    assert latest(memory, clock, in_session("tuesday")) is not None


def test_of_a_very_long_session_the_end_is_told(memory: MemoryManager, clock: Clock) -> None:
    turns = [
        Turn(f"My kite number {number} flew over the harbour.", occurred_at=A_MONDAY + timedelta(seconds=number))
        for number in range(700)
    ]
    memory.store_many(turns, scope=in_session("monday"))
    clock.now += timedelta(hours=1)
    told = memory.end_session(scope=in_session("monday"))
    assert told is not None
    assert len(told.derived_from) == MOST_TURNS
    assert "number 699" in told.content
    assert latest(memory, clock, in_session("tuesday")) == told


def test_threads_that_ask_at_once_are_told_the_same(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO, VISA)
    assert memory.flush(30)
    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(lambda _: latest(memory, clock, in_session("tuesday")), range(32)))
    assert [each.id for each in told if each] == [each.id for each in standing(memory)] * 32


def test_another_process_finds_what_the_first_one_made(folder: Path, clock: Clock) -> None:
    with MemoryManager.open(folder, embedder=None, clock=clock) as one:
        say(one, clock, in_session("monday"), PIANO)
        told = latest(one, clock, in_session("tuesday"))
    with MemoryManager.open(folder, embedder=None, clock=clock) as other:
        head = other.log.heads(ANA)
        assert latest(other, clock, in_session("tuesday")) == told
        assert other.log.heads(ANA) == head


def test_of_two_that_were_made_at_once_the_first_stays(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    first = memory.end_session(scope=in_session("monday"))
    assert first is not None
    twin = Turn(
        first.content,
        kind="summary",
        role="assistant",
        metadata=first.metadata,
        occurred_at=first.occurred_at,
        derived_from=first.derived_from,
    )
    memory._storing.store_turn(twin, scope=in_session("monday"), written_by=first.written_by)
    assert len(standing(memory)) == 2
    assert latest(memory, clock, in_session("tuesday")) == first
    assert standing(memory) == [first]


# --- what is forgotten ----------------------------------------------------------------------------


def test_it_goes_with_a_turn_and_is_made_again_without_it(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    _, tiles, _ = say(memory, clock, scope, PIANO, TILES, VISA)
    before = memory.end_session(scope=scope)
    assert before is not None
    memory.forget(tiles.id, scope=ANA)
    assert memory.flush(30)
    (again,) = standing(memory)
    assert again.id != before.id
    assert "tile" not in again.content
    assert PIANO in again.content
    assert latest(memory, clock, in_session("tuesday")) == again
    assert [each for each in memory.list(scope=ANA, kinds={"summary"}) if each.id != again.id] == []


def test_with_the_last_turn_it_is_gone(memory: MemoryManager, clock: Clock) -> None:
    (turn,) = say(memory, clock, in_session("monday"), PIANO)
    assert memory.end_session(scope=in_session("monday"))
    memory.forget(turn.id, scope=ANA)
    assert memory.flush(30)
    assert standing(memory) == []
    assert latest(memory, clock, in_session("tuesday")) is None


SENTENCES = [
    PIANO,
    TILES,
    VISA,
    "I promised my sister to call the vet by Friday.",
    "My sister Clara is repainting the old boat this weekend.",
    "I'm so worried about the exam on Thursday.",
    "We had a lovely concert, and I am really happy with the piano.",
    "Thanks!",
    "The boat needs a new mast and the piano needs a tuner.",
]


@settings(max_examples=12)
@given(
    said=st.lists(st.tuples(st.sampled_from(SENTENCES), st.booleans()), min_size=1, max_size=7),
    forgotten=st.sets(st.integers(0, 6), min_size=1),
)
def test_after_a_forget_it_is_as_if_it_had_never_been_said(said: list[tuple[str, bool]], forgotten: set[int]) -> None:
    def told(*, is_said: bool) -> tuple[Any, ...]:
        clock = Clock()
        with MemoryManager({"type": "sql", "url": "sqlite://"}, embedder=None, clock=clock) as memory:
            gone = []
            for place, (content, by_user) in enumerate(said):
                clock.now = A_MONDAY + place * MINUTE
                if is_said or place not in forgotten:
                    role = "user" if by_user else "assistant"
                    turn = memory.store(content, role=role, scope=in_session("monday"))  # type: ignore[arg-type]
                    gone += [turn.id] if place in forgotten else []
            clock.now += timedelta(hours=1)
            memory.end_session(scope=in_session("monday"))
            if gone:
                memory.forget(gone, scope=ANA)
            assert memory.flush(30)
            heard = latest(memory, clock, in_session("tuesday"))
            assert standing(memory) == ([heard] if heard else [])
            return (heard.content, heard.metadata["about"]) if heard else ()

    assert told(is_said=True) == told(is_said=False)


def test_under_a_hold_the_older_one_is_hidden_and_kept(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    say(memory, clock, scope, PIANO)
    first = memory.end_session(scope=scope)
    assert first is not None
    memory.hold(scope=Scope(user="ana"), reason="case 4711")
    say(memory, clock, scope, TILES)
    second = memory.end_session(scope=scope)
    assert second is not None
    assert standing(memory) == [second]
    assert memory.history(first.id, scope=ANA)[-1].recorded_to is not None


def test_what_was_retired_is_not_told_and_is_told_again_once_restored(memory: MemoryManager, clock: Clock) -> None:
    _, tiles = say(memory, clock, in_session("monday"), PIANO, TILES)
    before = latest(memory, clock, in_session("tuesday"))
    assert before is not None
    memory.forget(tiles.id, scope=ANA, mode="retire")
    without = latest(memory, clock, in_session("tuesday"))
    assert without is not None
    assert TILES not in without.content
    clock.now += MINUTE
    memory.restore(tiles.id, scope=ANA)
    again = latest(memory, clock, in_session("tuesday"))
    assert again is not None
    assert again.content == before.content
    assert standing(memory) == [again]


def test_it_expires_with_what_it_was_made_from(memory: MemoryManager, clock: Clock) -> None:
    scope = in_session("monday")
    say(memory, clock, scope, TILES, expires_at=A_MONDAY + timedelta(hours=1))
    say(memory, clock, scope, PIANO)
    before = latest(memory, clock, in_session("tuesday"))
    assert before is not None
    assert TILES in before.content
    clock.now += timedelta(hours=2)
    after = latest(memory, clock, in_session("tuesday"))
    assert after is not None
    assert TILES not in after.content
    assert PIANO in after.content
    assert standing(memory) == [after]


@pytest.mark.parametrize("kind", ["turn", "summary"])
def test_what_retention_lets_expire_is_not_handed_over(folder: Path, clock: Clock, kind: str) -> None:
    rule = RetentionRule(kinds=frozenset({kind}), expire_after=timedelta(days=1))
    with MemoryManager.open(folder, embedder=None, clock=clock, retention=[rule]) as memory:
        say(memory, clock, in_session("monday"), PIANO)
        assert latest(memory, clock, in_session("tuesday")) is not None
        clock.now += timedelta(days=2)
        heads = memory.log.heads(ANA)
        told = [latest(memory, clock, in_session("tuesday")) for _ in range(3)]
        if kind == "turn":
            assert told == [None] * 3
        assert memory.log.heads(ANA)[0].seq <= heads[0].seq + 2, "it is not written again and again"


def test_a_sealed_log_keeps_hand_overs_sealed(tmp_path: Path, clock: Clock) -> None:
    log = {"type": "sealed", "url": f"sqlite:///{tmp_path}/agentmem.db", "keys": tmp_path / "keys"}
    with MemoryManager(log, embedder=None, clock=clock) as memory:
        _, tiles = say(memory, clock, in_session("monday"), PIANO, TILES)
        before = memory.end_session(scope=in_session("monday"))
        assert before is not None
        assert TILES in before.content
        memory.forget(tiles.id, scope=ANA)
        assert memory.flush(30)
        (again,) = standing(memory)
        assert "tile" not in again.content
        assert latest(memory, clock, in_session("tuesday")) == again
    stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    assert b"piano" not in stored


def test_whom_is_forgotten_hands_over_nothing(memory: MemoryManager, clock: Clock) -> None:
    say(memory, clock, in_session("monday"), PIANO)
    assert latest(memory, clock, in_session("tuesday")) is not None
    memory.forget(scope=Scope(user="ana"), everything=True)
    assert latest(memory, clock, in_session("tuesday")) is None
