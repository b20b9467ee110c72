"""The bridge between a model's client and a memory: recall once a turn, record once, never fail the call."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from contextvars import copy_context
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from agentmem.clients import Bridge, Prepared, Said, WrapOptions, current_scope, private_turns, use_scope
from agentmem.clients.sessions import is_private
from agentmem.errors import AgentMemError, InvalidInput, ScopeError, StoreBusy, StoreFull
from agentmem.interfaces import LogQuery, Message
from agentmem.ledger import Ledger
from agentmem.records import Context, Memory, Page, Scope, Turn

ANA = Scope(user="ana", session="monday")
BOB = Scope(user="bob", session="monday")


class ListMemory:
    """A memory that is a list and its own log, finds what shares a word, and fails or hangs when told to."""

    def __init__(self) -> None:
        self.memories: list[Memory] = []
        self.questions: list[str] = []
        self.conversations: list[Sequence[Message]] = []
        self.before_reading: Callable[[], None] = lambda: None
        self.before_storing: Callable[[], None] = lambda: None
        self.forgotten: set[Scope] = set()

    @property
    def log(self) -> ListMemory:
        return self

    def fence_key(self) -> bytes:
        return b"a key of this log"

    def has_forgotten(self, scope: Scope) -> bool:
        self.before_reading()
        return scope in self.forgotten

    def mark_private(self, scope: Scope) -> None:
        self.before_storing()
        self.forgotten.add(scope)

    def read(self, query: LogQuery) -> Sequence[Memory]:
        return [memory for memory in self.memories if memory.scope == query.scope]

    def forget(self, *words: str) -> None:
        self.forgotten |= {memory.scope for memory in self.memories if memory.content in words}
        self.memories = [memory for memory in self.memories if memory.content not in words]

    def context(
        self,
        query: str,
        /,
        *,
        scope: Scope,
        max_tokens: int | None = None,
        conversation: Sequence[Message] = (),
        present: Iterable[str] = (),
    ) -> Context:
        """What is no turn is stable; turns that share a word with the question are volatile."""
        self.before_reading()
        mine = [memory for memory in self.memories if memory.scope.user == scope.user]
        stable = [memory for memory in mine if memory.kind != "turn"]
        found: list[Memory] = []
        if query:
            self.questions.append(query)
            self.conversations.append(conversation)
            words, held = set(query.lower().split()), set(present)
            found = [each for each in mine if each.kind == "turn" and words & set(each.content.lower().split())]
            found = [each for each in found if each.content not in held]
        told = {memory.id: memory.version for memory in stable}
        return Context(
            query,
            " ".join(memory.content for memory in stable),
            " ".join(memory.content for memory in found),
            len(stable) + len(found),
            told=told | {memory.id: memory.version for memory in found},
            stable_tokens=len(stable),
            stable_told=told,
        )

    def store_many(self, items: Iterable[Turn], /, *, scope: Scope) -> Sequence[Memory]:
        self.before_storing()
        stored = [_memory(turn, scope, len(self.memories) + place) for place, turn in enumerate(items)]
        self.memories += stored
        return stored

    def list(
        self,
        *,
        scope: Scope,
        kinds: Collection[str] | None = None,
        where: Mapping[str, Any] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        self.before_reading()
        if where is not None and "id" in where:
            return Page(tuple(memory for memory in self.memories if memory.id in where["id"]["$in"]))
        mine = [memory for memory in self.memories if memory.scope == scope]
        start = int(cursor or 0)
        rest = start + limit < len(mine)
        return Page(tuple(mine[start : start + limit]), str(start + limit) if rest else None)

    def said(self, user: str = "ana") -> list[str]:
        return [f"{m.role}: {m.content}" for m in self.memories if m.scope.user == user]


def _memory(turn: Turn, scope: Scope, place: int) -> Memory:
    now = datetime(2026, 5, 3, tzinfo=UTC)
    integrity = "tool" if turn.role == "tool" else "user"
    return Memory(
        f"id{place:08d}", 1, turn.kind, turn.content, scope, turn.role, turn.speaker, place, now, now, None, now, None,
        turn.metadata or {}, None, None, integrity, None, None, (), None,
    )  # fmt: skip


def users(*texts: str) -> list[Said]:
    """A conversation, the user first."""
    return [Said("assistant" if place % 2 else "user", text) for place, text in enumerate(texts)]


def exchange(bridge: Bridge, said: Sequence[Said], answer: str = "fine") -> Prepared:
    prepared = bridge.prepare(said)
    bridge.observe(prepared, [Said("assistant", answer)])
    return prepared


@pytest.fixture
def memory() -> ListMemory:
    return ListMemory()


# --- recording ------------------------------------------------------------------------------------


def test_the_users_turn_is_recorded_before_the_answer_and_the_answer_after_it(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    prepared = bridge.prepare(users("hello"))
    assert memory.said() == ["user: hello"]
    bridge.observe(prepared, [Said("assistant", "hi")])
    assert memory.said() == ["user: hello", "assistant: hi"]
    assert bridge.status == "ok"


def test_a_history_resent_in_full_is_recorded_once(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("one"), "1")
    exchange(bridge, users("one", "1", "two"), "2")
    exchange(bridge, users("one", "1", "two", "2", "three"), "3")
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2", "three", "3"]


def test_a_history_known_from_an_earlier_process_is_not_recorded_again(memory: ListMemory) -> None:
    exchange(Bridge(memory, scope=ANA), users("one"), "1")
    exchange(Bridge(memory, scope=ANA), users("one", "1", "two"), "2")
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2"]


def test_a_session_longer_than_a_page_is_still_known(memory: ListMemory) -> None:
    history = users(*map(str, range(2500)))
    Bridge(memory, scope=ANA, options=WrapOptions(deadline_s=10)).prepare(history)
    exchange(Bridge(memory, scope=ANA, options=WrapOptions(deadline_s=10)), [*history, Said("user", "new")])
    assert [m.content for m in memory.memories[2500:]] == ["new", "fine"]


def test_words_lost_by_the_store_are_recorded_when_they_are_sent_again(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    memory.before_storing = _raising(StoreFull("full"))
    exchange(bridge, users("one"), "1")
    assert (bridge.status, bridge.lost_turns, memory.said()) == ("lost", 2, [])
    memory.before_storing = lambda: None
    exchange(bridge, users("one", "1", "two"), "2")
    assert (bridge.status, bridge.lost_turns) == ("ok", 2)
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2"]


def test_an_answer_that_broke_off_is_marked(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    bridge.observe(bridge.prepare(users("hello")), [Said("assistant", "hi th")], complete=False)
    assert memory.memories[-1].metadata == {"complete": False}


def test_a_call_tried_again_after_its_answer_broke_off_is_recorded_once(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("one"), "1")
    bridge.observe(bridge.prepare(users("one", "1", "two")), [], complete=False)
    exchange(bridge, users("one", "1", "two"), "2")
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2"]


@pytest.mark.parametrize("sent", [["book it"], ["hi", "hello", "book it"], ["hello", "book it"]])
def test_a_call_tried_again_after_an_error_is_recorded_once_however_much_is_sent(
    memory: ListMemory, sent: list[str]
) -> None:
    said = [Said("assistant" if text == "hello" else "user", text) for text in sent]
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("hi"), "hello")
    for _ in range(3):
        bridge.prepare(said)
    exchange(bridge, said, "booked")
    exchange(bridge, users("book it"), "again")
    assert [m.content for m in memory.memories] == ["hi", "hello", "book it", "booked", "book it", "again"]


def test_the_last_words_alone_tried_again_after_their_answer_broke_off_are_recorded_once(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("hi"), "hello")
    bridge.observe(bridge.prepare(users("book it")), [Said("assistant", "bo")], complete=False)
    exchange(bridge, users("book it"), "booked")
    assert [m.content for m in memory.memories] == ["hi", "hello", "book it", "bo", "booked"]


@pytest.mark.parametrize("broken", [[], ["bo"]])
def test_a_call_tried_again_by_another_client_is_recorded_once(memory: ListMemory, broken: list[str]) -> None:
    said = users("hi", "hello", "book it")
    first = Bridge(memory, scope=ANA)
    first.observe(first.prepare(said), [Said("assistant", each) for each in broken], complete=False)
    exchange(Bridge(memory, scope=ANA), said, "booked")
    assert [m.content for m in memory.memories] == ["hi", "hello", "book it", *broken, "booked"]


def test_private_turns_are_not_recorded_by_another_process_that_gets_them_sent_again(memory: ListMemory) -> None:
    first = Bridge(memory, scope=ANA)
    exchange(first, users("hello"), "1")
    with private_turns():
        exchange(first, users("hello", "1", "secret"), "hush")
    exchange(Bridge(memory, scope=ANA), users("hello", "1", "secret", "hush", "bye"), "2")
    assert [m.content for m in memory.memories] == ["hello", "1", "bye", "2"]


def test_that_something_was_private_is_noted_later_if_it_cannot_be_at_once(memory: ListMemory) -> None:
    first = Bridge(memory, scope=ANA)
    memory.before_storing = _raising(StoreBusy("busy"))
    with private_turns():
        exchange(first, users("secret"), "hush")
    assert (first.status, memory.forgotten) == ("degraded", set())
    memory.before_storing = lambda: None
    exchange(first, users("secret", "hush", "bye"), "2")
    assert memory.forgotten == {ANA}


def test_private_turns_are_answered_from_memory_but_never_recorded(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("my cat is Tom"), "1")
    with private_turns():
        prepared = exchange(bridge, users("my cat is Tom", "1", "my secret cat"), "2")
    assert memory.questions[-1] == "my secret cat"
    exchange(bridge, users("my cat is Tom", "1", "my secret cat", "2", "bye"), "3")
    assert [m.content for m in memory.memories] == ["my cat is Tom", "1", "bye", "3"]
    assert prepared.is_private


def test_without_a_session_each_wrap_makes_one_for_each_person(memory: ListMemory) -> None:
    first, second = (Bridge(memory, scope=Scope(user="ana")) for _ in range(2))
    exchange(first, users("one"))
    exchange(first, users("two"))
    exchange(second, users("three"))
    with use_scope(Scope(user="bob")):
        exchange(first, users("four"))
    sessions = [m.scope.session for m in memory.memories if m.role == "user"]
    assert sessions[0] == sessions[1]
    assert len(set(sessions)) == 3
    assert all(session and session[14] == "7" for session in sessions)


def test_what_was_forgotten_is_not_recorded_again_by_a_process_that_gets_it_sent_again(memory: ListMemory) -> None:
    exchange(Bridge(memory, scope=ANA), users("one"), "1")
    exchange(Bridge(memory, scope=ANA), users("one", "1", "two"), "2")
    memory.forget("two", "2")
    exchange(Bridge(memory, scope=ANA), users("one", "1", "two", "2", "three"), "3")
    assert [m.content for m in memory.memories] == ["one", "1", "three", "3"]


def test_what_was_forgotten_meanwhile_is_not_recorded_by_a_process_that_never_knew_it(memory: ListMemory) -> None:
    first, second = Bridge(memory, scope=ANA), Bridge(memory, scope=ANA)
    exchange(first, users("one"), "1")
    exchange(second, users("one", "1", "two"), "2")
    memory.forget("two", "2")
    exchange(first, users("one", "1", "two", "2", "three"), "3")
    assert [m.content for m in memory.memories] == ["one", "1", "three", "3"]


def test_when_nobody_can_tell_whether_something_was_forgotten_only_the_last_words_are_recorded(
    memory: ListMemory,
) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("one"), "1")
    memory.before_reading = _raising(RuntimeError("broken"))
    exchange(bridge, users("one", "1", "two", "2", "three"), "3")
    assert bridge.status == "degraded"
    assert [m.content for m in memory.memories] == ["one", "1", "three", "3"]


def test_two_clients_on_one_session_record_each_message_once(memory: ListMemory) -> None:
    first, second = Bridge(memory, scope=ANA), Bridge(memory, scope=ANA)
    exchange(first, users("one"), "1")
    exchange(second, users("one", "1", "two"), "2")
    exchange(first, users("one", "1", "two", "2", "three"), "3")
    exchange(second, users("one", "1", "two", "2", "three", "3", "four"), "4")
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2", "three", "3", "four", "4"]


def test_what_was_private_stays_so_beside_another_client_of_the_session(memory: ListMemory) -> None:
    first, second = Bridge(memory, scope=ANA), Bridge(memory, scope=ANA)
    exchange(first, users("one"), "1")
    with private_turns():
        exchange(first, users("one", "1", "secret"), "hush")
    exchange(second, users("one", "1", "two"), "2")
    exchange(first, users("one", "1", "secret", "hush", "two", "2", "three"), "3")
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2", "three", "3"]


# --- recalling ------------------------------------------------------------------------------------


def test_what_is_known_is_given_for_the_users_last_words(memory: ListMemory) -> None:
    exchange(Bridge(memory, scope=Scope(user="ana", session="sunday")), users("my name is Ana"))
    block = Bridge(memory, scope=ANA).prepare(users("what is my name")).block
    assert block == "my name is Ana"


def test_what_the_call_already_says_is_not_given_again(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("my name is Ana"), "hello Ana")
    assert exchange(bridge, users("my name is Ana", "hello Ana", "what is my name")).block == ""


def test_memory_is_asked_once_in_a_turn_and_the_block_stays_the_same(memory: ListMemory) -> None:
    exchange(Bridge(memory, scope=BOB), users("x"))
    exchange(Bridge(memory, scope=Scope(user="ana", session="sunday")), users("the weather is mine"))
    memory.questions.clear()
    bridge = Bridge(memory, scope=ANA)
    loop = users("weather please")
    blocks = [exchange(bridge, loop, "looking").block]
    for result in ("rain", "sun"):
        loop = [*loop, Said("assistant", "looking"), Said("tool", result)]
        blocks.append(exchange(bridge, loop, "looking").block)
    assert memory.questions == ["weather please"]
    assert len(set(blocks)) == 1
    assert blocks[0] != ""


def test_memory_is_asked_again_in_a_turn_once_something_it_told_is_gone(memory: ListMemory) -> None:
    for words in ("the weather is mine", "the weather is nice"):
        exchange(Bridge(memory, scope=Scope(user="ana", session="sunday")), users(words))
    memory.questions.clear()
    bridge = Bridge(memory, scope=ANA)
    assert "mine" in exchange(bridge, users("weather please"), "asking for weather").block
    memory.forget("the weather is mine")
    block = bridge.prepare([*users("weather please", "asking for weather"), Said("tool", "rain")]).block
    assert memory.questions == ["weather please", "weather please"]
    assert ("mine" in block, "nice" in block, "asking" in block) == (False, True, False)


def test_a_tool_result_alone_asks_nothing(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    assert bridge.prepare([*users("hello"), Said("tool", "result")]).block == ""
    assert memory.questions == []


def test_saying_the_same_again_later_asks_again(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("ok"))
    exchange(bridge, users("ok", "fine", "ok"))
    assert memory.questions == ["ok", "ok"]


def test_retrieval_is_told_what_was_said_before(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    bridge.prepare([*users("my cat", "nice"), Said("tool", "noise"), Said("user", "is it old")])
    assert [message.content for message in memory.conversations[0]] == ["my cat", "nice"]


# --- the stable text ------------------------------------------------------------------------------


def note(memory: ListMemory, content: str, kind: Any, *, version: int = 1) -> Memory:
    """A memory of Ana's that is no turn: it stands in the stable text."""
    (stored,) = memory.store_many([Turn(content, kind=kind)], scope=Scope(user="ana", session="sunday"))
    memory.memories[-1] = replace(stored, version=version)
    return memory.memories[-1]


def test_who_is_who_is_given_in_every_call_of_a_session(memory: ListMemory) -> None:
    note(memory, "Ana lives in Porto.", "fact")
    bridge = Bridge(memory, scope=ANA)
    loop = users("hello")
    stables = [exchange(bridge, loop, "looking").stable]
    loop = [*loop, Said("assistant", "looking"), Said("tool", "result")]
    stables.append(exchange(bridge, loop, "done").stable)
    stables.append(bridge.prepare([*loop, *users("thanks", "Dear Ana,")[0:2]]).stable)
    assert stables == ["Ana lives in Porto."] * 3


def test_who_is_who_is_given_to_a_process_that_comes_into_an_agents_loop(memory: ListMemory) -> None:
    note(memory, "Ana lives in Porto.", "fact")
    prepared = Bridge(memory, scope=ANA).prepare([*users("hello"), Said("tool", "result")])
    assert (prepared.stable, prepared.block, memory.questions) == ("Ana lives in Porto.", "", [])


def test_a_call_without_any_words_of_a_user_is_given_nothing(memory: ListMemory) -> None:
    note(memory, "Ana lives in Porto.", "fact")
    assert Bridge(memory, scope=ANA).prepare([Said("assistant", "hi")]).stable == ""


def test_what_memory_has_to_tell_by_the_next_turn_is_told(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("hello"))
    note(memory, "Answer in Portuguese.", "rule")
    assert exchange(bridge, users("hello", "fine", "bye")).stable == "Answer in Portuguese."


def test_what_no_longer_stands_goes_at_once(memory: ListMemory) -> None:
    note(memory, "Ana lives in Porto.", "fact")
    note(memory, "Ana has a cat.", "fact")
    bridge = Bridge(memory, scope=ANA)
    loop = users("hello")
    exchange(bridge, loop, "looking")
    memory.forget("Ana lives in Porto.")
    loop = [*loop, Said("assistant", "looking"), Said("tool", "result")]
    assert bridge.prepare(loop).stable == "Ana has a cat."


def test_what_was_changed_is_told_as_it_is_now(memory: ListMemory) -> None:
    home = note(memory, "Ana lives in Porto.", "fact")
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("hello"))
    memory.memories[0] = replace(home, content="Ana lives in Berlin.", version=2)
    assert exchange(bridge, users("hello", "fine", "bye")).stable == "Ana lives in Berlin."


# --- what it takes --------------------------------------------------------------------------------


def test_a_call_says_what_memory_took_of_it(memory: ListMemory) -> None:
    note(memory, "Ana lives in Porto.", "fact")
    memory.store_many([Turn("hello again")], scope=Scope(user="ana", session="sunday"))
    memory.before_storing = lambda: time.sleep(0.02)
    ledger = Ledger()
    bridge = Bridge(memory, scope=ANA, ledger=ledger)
    exchange(bridge, users("hello"))
    cost = bridge.last_cost
    assert (cost.calls, cost.tokens, cost.stable_tokens, cost.statuses) == (1, 2, 1, {"ok": 1})
    assert 0.04 <= cost.waited_s < 0.4
    exchange(bridge, users("hello", "fine", "bye"))
    assert (ledger.total.calls, ledger.total.tokens, ledger.total.statuses) == (2, 3, {"ok": 2})


def test_a_status_that_gets_worse_after_the_call_is_counted_once(memory: ListMemory) -> None:
    ledger = Ledger()
    bridge = Bridge(memory, scope=ANA, ledger=ledger)
    prepared = bridge.prepare(users("hello"))
    memory.before_storing = _raising(StoreFull("full"))
    bridge.observe(prepared, [Said("assistant", "hi")])
    assert ledger.total.statuses == {"lost": 1}


def test_a_call_without_a_scope_costs_nothing_and_is_counted(memory: ListMemory) -> None:
    ledger = Ledger()
    exchange(Bridge(memory, ledger=ledger), users("hello"))
    assert (ledger.total.calls, ledger.total.tokens, ledger.total.statuses) == (1, 0, {"off": 1})


# --- scopes ---------------------------------------------------------------------------------------


def test_a_call_without_a_scope_goes_on_without_memory(memory: ListMemory) -> None:
    bridge = Bridge(memory)
    assert exchange(bridge, users("hello")) == Prepared()
    assert (bridge.status, memory.said()) == ("off", [])


def test_use_scope_overrides_and_ends(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    with use_scope(BOB):
        assert current_scope() == BOB
        exchange(bridge, users("I am Bob"))
    exchange(bridge, users("I am Ana"))
    assert current_scope() is None
    assert memory.said("bob")[0] == "user: I am Bob"
    assert memory.said("ana")[0] == "user: I am Ana"


def test_what_is_no_scope_is_refused_before_any_call(memory: ListMemory) -> None:
    with pytest.raises(InvalidInput, match="must be a Scope"), use_scope("ana"):  # type: ignore[arg-type]  # the test
        raise AssertionError("it was taken")
    with pytest.raises(InvalidInput, match="must be a Scope"):
        Bridge(memory, scope={"user": "ana"})  # type: ignore[arg-type]  # the test


def test_threads_do_not_mix_their_scopes(memory: ListMemory) -> None:
    bridge = Bridge(memory)
    together = threading.Barrier(4)

    def talk(user: str) -> None:
        together.wait()
        with use_scope(Scope(user=user, session="s")):
            for place in range(20):
                exchange(bridge, users(f"{user} {place}"), f"{user} answered {place}")

    threads = [threading.Thread(target=talk, args=(user,)) for user in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for user in "abcd":
        assert [line.split()[1] for line in memory.said(user)] == [user] * 40
        assert [m.content for m in memory.memories if m.scope.user == user and m.role == "user"] == [
            f"{user} {place}" for place in range(20)
        ]


def test_tasks_do_not_mix_their_scopes(memory: ListMemory) -> None:
    bridge = Bridge(memory)

    async def talk(user: str) -> None:
        with use_scope(Scope(user=user, session="s")):
            for place in range(10):
                await asyncio.to_thread(exchange, bridge, users(f"{user} {place}"), f"{user} answered")

    async def main() -> None:
        await asyncio.gather(*(talk(user) for user in "abcd"))

    asyncio.run(main())
    assert {m.content[0] == m.scope.user for m in memory.memories} == {True}


def test_scopes_of_generators_that_take_turns_end_with_them(memory: ListMemory) -> None:
    def handler(scope: Scope) -> Iterator[None]:
        with use_scope(scope), private_turns():
            yield

    first, second = handler(ANA), handler(BOB)
    for each in (first, second, first, second):
        next(each, None)
    assert (current_scope(), is_private()) == (None, False)


def test_a_generator_that_goes_on_in_another_context_ends_its_scope_without_an_error() -> None:
    def handler() -> Iterator[None]:
        with use_scope(ANA), private_turns():
            yield

    handling = handler()
    for _ in range(2):
        copy_context().run(next, handling, None)
    assert (current_scope(), is_private()) == (None, False)


def test_what_was_begun_in_a_scope_keeps_it(memory: ListMemory) -> None:
    with use_scope(ANA):
        context = copy_context()
    assert (context.run(current_scope), current_scope()) == (ANA, None)


# --- whose call -----------------------------------------------------------------------------------


def test_the_status_and_cost_are_of_the_callers_own_last_call(memory: ListMemory) -> None:
    note(memory, "Ana lives in Porto.", "fact")
    bridge = Bridge(memory)
    told: list[tuple[str, int]] = []

    def call(scope: Scope) -> None:
        with use_scope(scope):
            exchange(bridge, users("hello"))
        others.start()
        others.join()
        told.append((bridge.status, bridge.last_cost.tokens))

    others = threading.Thread(target=exchange, args=(bridge, users("hello")))
    copy_context().run(call, ANA)
    assert told == [("ok", 1)]
    assert bridge.status == "off"  # here nobody has called: it is anybody's last


def test_the_status_is_that_of_the_tasks_own_last_call(memory: ListMemory) -> None:
    bridge = Bridge(memory)

    async def call(scope: Scope | None) -> str:
        with use_scope(scope) if scope else nullcontext():
            await bridge.aside(bridge.prepare, users("hello"))
        await asyncio.sleep(0.05)
        return bridge.status

    async def main() -> list[str]:
        return list(await asyncio.gather(call(ANA), call(None)))

    assert asyncio.run(main()) == ["ok", "off"]


# --- event loops ----------------------------------------------------------------------------------


def test_a_call_of_an_event_loop_waits_no_longer_than_its_deadlines_for_a_thread(
    memory: ListMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentmem.clients.core._CALLERS", 1)
    release = threading.Event()
    memory.before_reading = memory.before_storing = lambda: (release.wait(10), None)[1]
    bridge = Bridge(memory, options=WrapOptions(deadline_s=0.2, write_deadline_s=0.2))

    async def call(number: int) -> float:
        with use_scope(Scope(user=f"u{number}", session="s")):
            started = time.monotonic()
            await bridge.aside(bridge.prepare, users("hello"))
            return time.monotonic() - started

    async def main() -> list[float]:
        return await asyncio.gather(*map(call, range(8)))

    assert max(asyncio.run(main())) < 0.8
    release.set()
    assert bridge.flush(10)
    assert all(memory.said(f"u{number}") == ["user: hello"] for number in range(8))


def test_what_a_cancelled_task_has_said_is_recorded(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    memory.before_reading = lambda: time.sleep(0.05)

    async def main() -> None:
        task = asyncio.create_task(bridge.aside(bridge.prepare, users("hello")))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    _eventually(lambda: memory.said() == ["user: hello"])


def test_what_broke_off_is_recorded_without_holding_up_the_loop_while_another_call_reads(memory: ListMemory) -> None:
    bridge = Bridge(memory, scope=ANA)
    broken = bridge.prepare(users("hello"))
    reads, release = threading.Event(), threading.Event()

    def read() -> None:
        reads.set()
        release.wait(10)

    memory.before_reading = read
    other = threading.Thread(target=bridge.prepare, args=(users("what", "is", "new"),))
    other.start()
    reads.wait(10)
    started = time.monotonic()
    bridge.observe(broken, [Said("assistant", "he")], complete=False, wait_for_write=False)
    assert time.monotonic() - started < 0.1
    release.set()
    other.join(10)


# --- forks ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="This system cannot fork.")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_child_that_is_forked_while_every_lock_is_held_calls_on(memory: ListMemory) -> None:
    ledger = Ledger()
    bridge = Bridge(memory, scope=ANA, ledger=ledger)
    session = exchange(bridge, users("hello")).session
    assert session is not None
    memory.before_storing = lambda: time.sleep(0.3)
    exchange(bridge, users("hello", "fine", "late"), "later")
    held = [bridge, bridge._sessions, session, bridge._recording, bridge._readers, bridge._callers, ledger]
    with ExitStack() as stack:
        for thing in held:
            stack.enter_context(getattr(thing, "lock", None) or thing._lock)  # type: ignore[attr-defined]
        child = os.fork()
        if child == 0:
            signal.alarm(10)
            memory.before_storing = lambda: None
            exchange(bridge, users("hello", "fine", "late", "later", "bye"))
            os._exit(0 if bridge.status == "ok" and bridge.flush(5) and memory.said()[-2:] == _CHILDS else 1)
    assert os.waitpid(child, 0)[1] == 0


_CHILDS = ["user: bye", "assistant: fine"]


# --- trouble --------------------------------------------------------------------------------------


def _raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


def test_a_failing_read_is_a_call_without_memory_that_is_still_recorded(memory: ListMemory) -> None:
    memory.before_reading = _raising(RuntimeError("broken"))
    bridge = Bridge(memory, scope=ANA)
    assert exchange(bridge, users("one", "1", "hello")).block == ""
    assert (bridge.status, memory.said()) == ("degraded", ["user: hello", "assistant: fine"])
    memory.before_reading = lambda: None
    exchange(bridge, users("one", "1", "hello", "fine", "bye"))
    known_late = ["user: one", "assistant: 1"]  # nobody could tell before that they were not recorded
    assert (bridge.status, memory.said()[2:]) == ("ok", [*known_late, "user: bye", "assistant: fine"])


def test_words_of_which_nobody_could_tell_in_time_whether_they_are_known_are_recorded_once_somebody_can(
    memory: ListMemory,
) -> None:
    exchange(Bridge(memory, scope=ANA), users("one"), "1")
    bridge = Bridge(memory, scope=ANA, options=WrapOptions(deadline_s=0.02, write_deadline_s=5))
    memory.before_reading = lambda: time.sleep(0.05)
    exchange(bridge, users("one", "1", "two", "2", "three"), "3")
    assert bridge.status == "degraded"
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2", "three", "3"]
    exchange(bridge, users("one", "1", "two", "2", "three", "3", "four"), "4")
    assert bridge.flush(5)
    assert [m.content for m in memory.memories][6:] == ["four", "4"]


def test_words_of_which_nobody_could_ever_tell_whether_they_are_known_are_reported(memory: ListMemory) -> None:
    memory.before_reading = _raising(RuntimeError("broken"))
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("one", "1", "hello"))
    assert not bridge.flush(5)
    bridge._recording.give_up()
    assert (bridge.lost_turns, bridge.status) == (2, "lost")
    assert bridge.flush(5)


def test_a_flush_looks_again_for_what_nobody_could_tell(memory: ListMemory) -> None:
    memory.before_reading = _raising(RuntimeError("broken"))
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("one", "1", "hello"))
    memory.before_reading = lambda: None
    assert bridge.flush(5)
    assert sorted(memory.said()) == ["assistant: 1", "assistant: fine", "user: hello", "user: one"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit()])
def test_what_ends_a_thread_of_memory_does_not_end_the_call(memory: ListMemory, error: BaseException) -> None:
    memory.before_reading = _raising(error)
    bridge = Bridge(memory, scope=ANA)
    exchange(bridge, users("hello"))
    assert (bridge.status, memory.said()) == ("degraded", ["user: hello", "assistant: fine"])
    memory.before_storing = _raising(error)
    exchange(bridge, users("hello", "fine", "bye"))
    assert (bridge.status, bridge.lost_turns) == ("lost", 2)


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="This system interrupts no thread.")
def test_an_interrupt_of_the_caller_is_the_callers(memory: ListMemory) -> None:
    released = threading.Event()
    memory.before_reading = lambda: (released.wait(10), None)[1]
    bridge = Bridge(memory, scope=ANA, options=WrapOptions(deadline_s=5))
    timer = threading.Timer(0.05, signal.pthread_kill, [threading.get_ident(), signal.SIGINT])
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        bridge.prepare(users("hello"))
    timer.join()
    released.set()


def test_a_hanging_memory_holds_a_call_up_no_longer_than_its_deadline(memory: ListMemory) -> None:
    release = threading.Event()
    memory.before_reading = memory.before_storing = lambda: (release.wait(10), None)[1]
    bridge = Bridge(memory, scope=ANA, options=WrapOptions(deadline_s=0.1, write_deadline_s=0.1))
    started = time.monotonic()
    exchange(bridge, users("hello"))
    assert 0.3 <= time.monotonic() - started < 0.5
    assert bridge.status == "degraded"
    release.set()


def test_turns_that_come_late_are_stored_in_the_order_they_were_said(memory: ListMemory) -> None:
    release = threading.Event()
    memory.before_storing = lambda: (release.wait(10), None)[1]
    bridge = Bridge(memory, scope=ANA, options=WrapOptions(deadline_s=0.02, write_deadline_s=0.02))
    exchange(bridge, users("one"), "1")
    exchange(bridge, users("one", "1", "two"), "2")
    assert memory.said() == []
    release.set()
    _eventually(lambda: len(memory.memories) == 4)
    assert [m.content for m in memory.memories] == ["one", "1", "two", "2"]


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.005)


def test_with_every_reader_stuck_calls_go_on_at_once(memory: ListMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentmem.clients.crew._STUCK_S", 0.05)
    release = threading.Event()
    memory.before_reading = lambda: (release.wait(10), None)[1]
    bridge = Bridge(memory, options=WrapOptions(deadline_s=0.01, write_deadline_s=5))
    for user in range(10):
        with use_scope(Scope(user=f"u{user}")):
            exchange(bridge, users("hello"))
    time.sleep(0.1)
    bridge.options = WrapOptions(deadline_s=5, write_deadline_s=5)
    started = time.monotonic()
    with use_scope(ANA):
        exchange(bridge, users("hello"))
    assert time.monotonic() - started < 1
    assert (bridge.status, memory.said()) == ("degraded", ["user: hello", "assistant: fine"])
    release.set()


def test_what_finds_every_writer_stuck_and_has_nowhere_else_to_go_is_stored_later(memory: ListMemory) -> None:
    release = threading.Event()
    memory.before_storing = lambda: (release.wait(10), None)[1]
    bridge = Bridge(memory, options=WrapOptions(deadline_s=5, write_deadline_s=0.01))
    for user in range(30):
        with use_scope(Scope(user=f"u{user}", session="s")):
            exchange(bridge, users("hello"))
    assert (bridge.status, bridge.lost_turns, memory.memories) == ("degraded", 0, [])
    release.set()
    assert bridge.flush(10)
    assert all(memory.said(f"u{user}") == ["user: hello", "assistant: fine"] for user in range(30))


def test_calls_at_the_same_time_wait_for_a_reader_instead_of_going_without(memory: ListMemory) -> None:
    memory.store_many([Turn("hello there")], scope=Scope(user="ana", session="sunday"))
    memory.before_reading = lambda: time.sleep(0.002)
    bridge = Bridge(memory, options=WrapOptions(deadline_s=10, write_deadline_s=10))
    together, blocks = threading.Barrier(30), []

    def call(number: int) -> None:
        together.wait(10)
        with use_scope(Scope(user="ana", session=f"s{number}")):
            blocks.append(bridge.prepare(users("hello")).block)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(blocks) == 30
    assert all("hello there" in block for block in blocks)


def test_trouble_is_logged_once_a_minute_and_without_what_was_said(
    memory: ListMemory, caplog: pytest.LogCaptureFixture
) -> None:
    memory.before_storing = _raising(InvalidInput("secret words"))
    bridge = Bridge(memory, scope=ANA)
    with caplog.at_level(logging.ERROR, "agentmem.clients"):
        for _ in range(5):
            exchange(bridge, users("hello"))
    assert len(caplog.records) == 1
    assert "invalid_input" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize("where", ["before_reading", "before_storing"])
def test_strict_raises_what_went_wrong(memory: ListMemory, where: str) -> None:
    setattr(memory, where, _raising(StoreBusy("busy")))
    with pytest.raises(StoreBusy):
        exchange(Bridge(memory, scope=ANA, strict=True), users("hello"))


def test_strict_raises_when_there_is_no_scope(memory: ListMemory) -> None:
    with pytest.raises(ScopeError):
        exchange(Bridge(memory, strict=True), users("hello"))


def test_strict_raises_when_the_deadline_passes(memory: ListMemory) -> None:
    memory.before_reading = lambda: time.sleep(0.2)
    with pytest.raises(AgentMemError, match="within"):
        exchange(Bridge(memory, scope=ANA, strict=True, options=WrapOptions(deadline_s=0.05)), users("hello"))
