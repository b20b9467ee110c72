"""What was forgotten, expired or changed: gone from the next prompt, and not brought back by resending."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import MemoryManager, Scope
from agentmem.clients import Bridge, Said, WrapOptions, private_turns
from agentmem.context.rendering import parse_block
from agentmem.interfaces import EpisodicLog
from agentmem.lifecycle.retention import RetentionRule
from agentmem.records import Context, Memory

ANA = Scope(user="ana")
CHAT = Scope(user="ana", session="chat")
SUNDAY = Scope(user="ana", session="sunday")
PATIENT = WrapOptions(deadline_s=30, write_deadline_s=30)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 5, 3, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(folder: Path, clock: Clock) -> Iterator[MemoryManager]:
    with MemoryManager.open(folder, embedder=None, extractor=None, clock=clock) as memory:
        yield memory


@pytest.fixture
def questions(memory: MemoryManager, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the memory was asked, in full."""
    asked: list[str] = []
    context = memory.context

    def noting(query: str, /, **options: Any) -> Context:
        asked.append(query)
        return context(query, **options)

    monkeypatch.setattr(memory, "context", noting)
    return asked


def bridge(memory: MemoryManager, scope: Scope = CHAT) -> Bridge:
    """As a new process would have it."""
    return Bridge(memory, scope=scope, strict=True, options=PATIENT)


def user(text: str) -> Said:
    return Said("user", text)


def assistant(text: str) -> Said:
    return Said("assistant", text)


def contents(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    return [each.content for each in memory.list(scope=scope, kinds={"turn"})]


def ids(memory: MemoryManager, *words: str) -> list[str]:
    return [each.id for each in memory.list(scope=ANA) if each.content in words]


# --- the next prompt ------------------------------------------------------------------------------

ASKED = [user("What is my bank PIN?")]
LATER = [*ASKED, Said("tool", "a call", is_call=True), Said("tool", "done")]


def asked(memory: MemoryManager) -> tuple[Bridge, str]:
    """A bridge in the middle of an agent's loop, and its first block; the session before it was about other things."""
    memory.store("The plants on the balcony need water.", scope=Scope(user="ana", session="last night"))
    wrapped = bridge(memory)
    prepared = wrapped.prepare(ASKED)
    wrapped.observe(prepared, LATER[1:2])
    return wrapped, prepared.block


def _erased(memory: MemoryManager, pin: Memory, _: Clock) -> None:
    memory.forget(pin.id, scope=ANA)


def _erased_with_everything(memory: MemoryManager, pin: Memory, _: Clock) -> None:
    memory.forget(scope=ANA, everything=True)


def _retired(memory: MemoryManager, pin: Memory, _: Clock) -> None:
    memory.forget(pin.id, scope=ANA, mode="retire")


def _expired(memory: MemoryManager, pin: Memory, clock: Clock) -> None:
    clock.now += timedelta(days=2)


def _reworded(memory: MemoryManager, pin: Memory, _: Clock) -> None:
    memory.update(pin.id, scope=ANA, content="My bank PIN is a secret.")


@pytest.mark.parametrize("lost", [_erased, _erased_with_everything, _retired, _expired, _reworded])
def test_a_block_is_not_given_again_once_something_it_shows_is_gone(
    memory: MemoryManager, clock: Clock, lost: Callable[[MemoryManager, Memory, Clock], None]
) -> None:
    pin = memory.store("My bank PIN is 4711.", scope=SUNDAY, expires_at=clock.now + timedelta(days=1))
    memory.store("My bank is around the corner.", scope=Scope(user="ana", agent="coach", session="sunday"))
    wrapped, first = asked(memory)
    assert "4711" in first
    lost(memory, pin, clock)
    assert "4711" not in wrapped.prepare(LATER).block


def test_what_another_manager_forgot_is_gone_from_the_next_prompt(folder: Path, memory: MemoryManager) -> None:
    pin = memory.store("My bank PIN is 4711.", scope=SUNDAY)
    wrapped, first = asked(memory)
    with MemoryManager.open(folder, embedder=None, extractor=None) as other:
        other.forget(pin.id, scope=ANA)
    assert "4711" in first
    assert "4711" not in wrapped.prepare(LATER).block


def test_what_is_left_of_a_block_is_still_shown(memory: MemoryManager) -> None:
    pin = memory.store("My bank PIN is 4711.", scope=SUNDAY)
    memory.store("My bank is around the corner.", scope=SUNDAY)
    wrapped, _ = asked(memory)
    memory.forget(pin.id, scope=ANA)
    lines = parse_block(wrapped.prepare(LATER).block)
    assert [line.content for line in lines] == ["My bank is around the corner."]


def test_a_block_stays_byte_for_byte_the_same_while_nothing_of_it_changes(
    memory: MemoryManager, questions: list[str]
) -> None:
    memory.store("My bank PIN is 4711.", scope=SUNDAY)
    other = memory.store("The cat is called Tom.", scope=Scope(user="ana", session="saturday"))
    wrapped, first = asked(memory)
    memory.store("My bank has moved.", scope=SUNDAY)
    memory.forget(other.id, scope=ANA)
    memory.retrieve("bank PIN", scope=ANA)
    memory.flush()  # writes how often each was an answer
    loop = list(LATER)
    for place in range(3):
        prepared = wrapped.prepare(loop)
        assert prepared.block == first
        answer = [Said("tool", f"call {place}", is_call=True)]
        wrapped.observe(prepared, answer)
        loop += [*answer, Said("tool", f"result {place}")]
    assert questions == ["What is my bank PIN?"]


def test_whether_a_block_still_stands_is_read_by_ids_alone(
    memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    pin = memory.store("My bank PIN is 4711.", scope=SUNDAY)
    wrapped, _ = asked(memory)
    read, wanted = memory.log.read, []
    monkeypatch.setattr(memory.log, "read", lambda query: (wanted.append(query.ids), read(query))[1])
    wrapped.prepare(LATER)
    assert [pin.id in ids for ids in wanted] == [True]


def test_a_memory_that_cannot_be_asked_again_gives_no_block(
    memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.store("My bank PIN is 4711.", scope=SUNDAY)
    wrapped, first = asked(memory)
    assert "4711" in first
    wrapped.strict = False
    monkeypatch.setattr(memory, "list", lambda **_: 1 / 0)
    assert wrapped.prepare(LATER).block == ""
    assert wrapped.status == "degraded"


# --- what no longer holds -------------------------------------------------------------------------


def test_the_prompt_says_what_is_outdated_and_what_holds_now(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=None) as memory:
        memory.store("I live in Porto.", scope=SUNDAY)
        memory.store("I moved to Berlin.", scope=SUNDAY)
        memory.store("The plants on the balcony need water.", scope=Scope(user="ana", session="last night"))
        memory.flush()
        lines = parse_block(bridge(memory).prepare([user("Which city do I live in?")]).block)
        (line,) = [line for line in lines if line.content == "I live in Porto."]
        assert line.outdated
        assert line.holds == ("The user lives in Berlin.",)


def test_what_becomes_outdated_within_a_turn_is_said_in_its_next_prompt(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=None) as memory:
        memory.store("I live in Porto.", scope=SUNDAY)
        memory.store("The plants on the balcony need water.", scope=Scope(user="ana", session="last night"))
        memory.flush()
        wrapped = bridge(memory)
        question = [user("Which city do I live in?")]
        prepared = wrapped.prepare(question)
        wrapped.observe(prepared, [Said("tool", "a call", is_call=True)])
        memory.store("I moved to Berlin.", scope=SUNDAY)
        memory.flush()
        loop = [*question, Said("tool", "a call", is_call=True), Said("tool", "done")]
        before, after = (
            [line.outdated for line in parse_block(block) if line.content == "I live in Porto."]
            for block in (prepared.block, wrapped.prepare(loop).block)
        )
        assert (before, after) == ([False], [True])


# --- resending ------------------------------------------------------------------------------------

HISTORY = [
    user("Good morning!"),
    assistant("Hello!"),
    user("My bank PIN is 4711."),
    assistant("Noted."),
    user("Forget that please."),
]


def talked(memory: MemoryManager, scope: Scope = CHAT) -> None:
    """The first two questions of HISTORY, answered."""
    wrapped = bridge(memory, scope)
    for end in (1, 3):
        wrapped.observe(wrapped.prepare(HISTORY[:end]), HISTORY[end : end + 1])


@pytest.mark.parametrize("mode", ["erase", "retire"])
def test_last_turns_that_were_forgotten_do_not_come_back_when_a_new_process_gets_them_again(
    memory: MemoryManager, mode: Any
) -> None:
    talked(memory)
    memory.forget(ids(memory, "My bank PIN is 4711.", "Noted."), scope=ANA, mode=mode)
    bridge(memory).prepare(HISTORY)
    assert contents(memory) == ["Good morning!", "Hello!", "Forget that please."]


def test_a_conversation_of_someone_all_forgotten_does_not_come_back_when_it_is_sent_again(
    memory: MemoryManager,
) -> None:
    talked(memory)
    memory.forget(scope=ANA, everything=True)
    wrapped = bridge(memory)
    wrapped.observe(wrapped.prepare(HISTORY), [assistant("Done.")])
    assert contents(memory) == ["Forget that please.", "Done."]


def test_a_conversation_without_a_session_does_not_come_back_either(memory: MemoryManager) -> None:
    talked(memory, ANA)
    memory.forget(scope=ANA, everything=True)
    bridge(memory, ANA).prepare(HISTORY)
    assert contents(memory) == ["Forget that please."]


def test_a_restored_backup_knows_what_must_not_come_back_by_resending(folder: Path, tmp_path: Path) -> None:
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        talked(memory)
        memory.backup(tmp_path / "backup.db")
        memory.forget(ids(memory, "My bank PIN is 4711.", "Noted."), scope=ANA)
    with MemoryManager.restore_from(tmp_path / "backup.db", folder, embedder=None, extractor=None) as memory:
        bridge(memory).prepare(HISTORY)
        assert contents(memory) == ["Good morning!", "Hello!", "Forget that please."]


def test_what_was_private_is_not_recorded_when_it_is_sent_again_after_a_restart_or_a_restore(
    folder: Path, tmp_path: Path
) -> None:
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        wrapped = bridge(memory)
        wrapped.observe(wrapped.prepare(HISTORY[:1]), HISTORY[1:2])
        memory.backup(tmp_path / "backup.db")
        with private_turns():
            wrapped.observe(wrapped.prepare(HISTORY[:3]), HISTORY[3:4])
    said = ["Good morning!", "Hello!", "Forget that please."]
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        bridge(memory).prepare(HISTORY)
        assert contents(memory) == said
    with MemoryManager.restore_from(tmp_path / "backup.db", folder, embedder=None, extractor=None) as memory:
        bridge(memory).prepare(HISTORY)
        assert contents(memory) == said


def test_turns_past_their_retention_do_not_come_back_with_a_new_date(folder: Path, clock: Clock) -> None:
    rules = [RetentionRule(expire_after=timedelta(days=30), kinds=frozenset({"turn"}))]
    how: dict[str, Any] = {"embedder": None, "extractor": None, "clock": clock}
    with MemoryManager.open(folder, retention=rules, **how) as memory:
        talked(memory)
        clock.now += timedelta(days=31)
        bridge(memory).prepare(HISTORY)
        assert contents(memory) == ["Forget that please."]


def test_words_that_were_changed_do_not_come_back_as_they_were(memory: MemoryManager) -> None:
    talked(memory)
    for id in ids(memory, "My bank PIN is 4711.", "Noted."):
        memory.update(id, scope=ANA, content="Something about a bank.")
    bridge(memory).prepare(HISTORY)
    assert "My bank PIN is 4711." not in contents(memory)


def test_what_was_forgotten_and_is_said_anew_is_kept(memory: MemoryManager) -> None:
    talked(memory)
    memory.forget(ids(memory, "My bank PIN is 4711.", "Noted."), scope=ANA)
    again = [*HISTORY, assistant("Done."), user("My bank PIN is 4711.")]
    bridge(memory).prepare(again)
    assert contents(memory)[-1] == "My bank PIN is 4711."


def test_several_messages_in_a_row_are_all_kept_after_something_was_forgotten(memory: MemoryManager) -> None:
    talked(memory)
    memory.forget(ids(memory, "My bank PIN is 4711.", "Noted."), scope=ANA)
    bridge(memory).prepare([*HISTORY, user("And one more thing."), user("Two, in fact.")])
    assert contents(memory)[2:] == ["Forget that please.", "And one more thing.", "Two, in fact."]


def test_a_tool_loop_resent_to_a_new_process_brings_back_no_forgotten_question(memory: MemoryManager) -> None:
    wrapped = bridge(memory)
    call = [Said("tool", "forget()", is_call=True)]
    wrapped.observe(wrapped.prepare([user("My bank PIN is 4711.")]), call)
    memory.forget(scope=ANA, everything=True)
    bridge(memory).prepare([user("My bank PIN is 4711."), *call, Said("tool", "done")])
    assert contents(memory) == ["done"]


def test_a_history_from_elsewhere_is_still_taken_in_where_nothing_was_forgotten(memory: MemoryManager) -> None:
    talked(memory, SUNDAY)
    memory.forget(ids(memory, "Noted."), scope=ANA)
    bridge(memory).prepare(HISTORY)
    assert contents(memory)[3:] == [one.text for one in HISTORY]


# --- logs that keep no mark -----------------------------------------------------------------------


def test_a_log_without_marks_of_its_own_goes_by_the_receipts(memory: MemoryManager) -> None:
    talked(memory)
    assert not EpisodicLog.has_forgotten(memory.log, CHAT)
    memory.forget(ids(memory, "Noted."), scope=ANA)
    assert EpisodicLog.has_forgotten(memory.log, CHAT)
    assert not EpisodicLog.has_forgotten(memory.log, Scope(user="ben"))
