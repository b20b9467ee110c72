"""MemoryManager against a dictionary: random verbs over two tenants and every layer, and what each must answer.

The default run is short; ``pytest tests/integration/test_state_machine.py --hypothesis-profile=campaign`` is long.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agentmem import (
    IdempotencyConflict,
    InvalidInput,
    Memory,
    MemoryManager,
    MemoryNotFound,
    Scope,
    ScopeError,
    Turn,
    VersionConflict,
)
from agentmem.testing import SteppingClock, WordHashEmbedder

SCOPES: Final = [
    Scope(tenant=tenant, **ids)
    for tenant in ("acme", "zeta")
    for ids in (
        {"user": "ana", "agent": "coach"},
        {"user": "ana", "agent": "cook"},
        {"user": "ana"},
        {"user": "ben", "agent": "coach"},
        {"agent": "coach"},
    )
]
TOPICS: Final = ["food", "work", "family"]
scopes = st.sampled_from(SCOPES)
topics = st.sampled_from(TOPICS)
kinds = st.sampled_from(["turn", "turn", "turn", "rule", "lesson", "fact"])
keys = st.sampled_from(["k1", "k2", "k3"])


@dataclass
class Known:
    """What the model knows of one memory: its owner, its versions' contents and times, how it was stored."""

    memory: Memory
    contents: list[str]
    recorded: list[datetime]
    metadata: dict[str, Any]
    importance: float | None = None
    retired: bool = False

    @property
    def id(self) -> str:
        return self.memory.id

    @property
    def owner(self) -> Scope:
        return self.memory.scope


class MemoryAgainstADictionary(RuleBasedStateMachine):
    """Every rule does one thing to both, and compares what they say."""

    template: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="agentmem-machine-", dir=_in_memory()))
        shutil.copytree(self.template, self.folder, dirs_exist_ok=True)
        self.clock = SteppingClock(step=timedelta(milliseconds=1))
        self.embedder = WordHashEmbedder(16)
        self.known: dict[str, Known] = {}
        self.keys: dict[tuple[Scope, str], str] = {}
        self.forgotten: dict[str, str] = {}
        self.exported: set[Scope] = set()
        self.words = 0
        self.memory = self._opened()

    def _opened(self) -> MemoryManager:
        return MemoryManager.open(self.folder, embedder=self.embedder, clock=self.clock)

    def teardown(self) -> None:
        self.memory.close()
        shutil.rmtree(self.folder)

    @initialize()
    def everybody_has_said_something(self) -> None:
        for scope in SCOPES:
            self.store_many(scope, 2, TOPICS[self.words % 3])

    # --- store

    @rule(scope=scopes, topic=topics, kind=kinds, session=st.sampled_from([None, "monday", "tuesday"]))
    def store(self, scope: Scope, topic: str, kind: str, session: str | None) -> None:
        content = self._content(topic)
        stored = self.memory.store(
            content, scope=replace(scope, session=session), kind=kind, metadata={"topic": topic}, importance=0.5
        )
        assert (stored.content, stored.version, stored.kind) == (content, 1, kind)
        assert stored.scope == replace(scope, session=session)
        self._learn(stored)

    @rule(scope=scopes, count=st.integers(2, 6), topic=topics)
    def store_many(self, scope: Scope, count: int, topic: str) -> None:
        contents = [self._content(topic) for _ in range(count)]
        items = [
            Turn(content, metadata={"topic": topic})
            if place % 2
            else {"content": content, "metadata": {"topic": topic}}
            for place, content in enumerate(contents)
        ]
        stored = self.memory.store_many(items, scope=scope)
        assert [memory.content for memory in stored] == contents
        for memory in stored:
            self._learn(memory)

    @rule(scope=scopes, place=st.integers(0, 2), bad=st.sampled_from(["", "a\x00b", None, 5, "\ud800"]))
    def store_many_with_one_bad_item_stores_nothing(self, scope: Scope, place: int, bad: Any) -> None:
        items: list[Any] = [Turn(self._content("food")) for _ in range(2)]
        items.insert(place, Turn(bad))
        before = self._listed(scope)
        with pytest.raises(InvalidInput):
            self.memory.store_many(items, scope=scope)
        assert self._listed(scope) == before

    @rule(scope=scopes, key=keys, topic=topics)
    def store_with_a_key(self, scope: Scope, key: str, topic: str) -> None:
        known = self.known.get(self.keys.get((scope, key), ""))
        if known is None:
            stored = self.memory.store(
                self._content(topic), scope=scope, metadata={"topic": topic}, idempotency_key=key
            )
            self._learn(stored)
            self.keys[scope, key] = stored.id
            return
        again = self.memory.store(known.contents[0], scope=scope, idempotency_key=key)
        assert (again.id, again.content) == (known.id, known.contents[-1])
        with pytest.raises(IdempotencyConflict):
            self.memory.store(self._content(topic), scope=scope, idempotency_key=key)

    # --- update

    @precondition(lambda self: self.known)
    @rule(data=st.data(), topic=topics)
    def update_content(self, data: st.DataObject, topic: str) -> None:
        known = self._pick(data)
        scope = self._by(data, known)
        content = self._content(topic)
        expected = data.draw(st.sampled_from([None, len(known.contents), len(known.contents) + 1]))

        def change() -> Memory:
            return self.memory.update(known.id, scope=scope, content=content, expected_version=expected)

        if not self._may_change(scope, known, change):
            return
        if expected not in (None, len(known.contents)):
            with pytest.raises(VersionConflict):
                change()
            return
        updated = change()
        assert (updated.id, updated.version, updated.content) == (known.id, len(known.contents) + 1, content)
        assert (updated.scope, updated.position) == (known.owner, known.memory.position)
        known.contents.append(content)
        known.recorded.append(updated.recorded_from)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), topic=topics, importance=st.sampled_from([None, 0.1, 0.9]))
    def update_what_is_said_about_it(self, data: st.DataObject, topic: str, importance: float | None) -> None:
        known = self._pick(data)
        if known is None or known.retired:
            return
        updated = self.memory.update(
            known.id, scope=known.owner, metadata={"topic": topic, "changed": True}, importance=importance
        )
        assert updated.content == known.contents[-1]
        known.metadata, known.importance = {"topic": topic, "changed": True}, importance
        known.contents.append(updated.content)
        known.recorded.append(updated.recorded_from)

    # --- forget

    @precondition(lambda self: self.known)
    @rule(data=st.data(), mode=st.sampled_from(["erase", "erase", "retire"]))
    def forget_by_id(self, data: st.DataObject, mode: Any) -> None:
        known = self._pick(data)
        scope = self._by(data, known)

        def forget() -> Any:
            return self.memory.forget(known.id, scope=scope, mode=mode, verify=True)

        if known.retired and mode == "erase" and _reads(scope, known.owner) and _writes(scope, known.owner):
            self._check_receipt(forget(), [known])
        elif self._may_change(scope, known, forget):
            self._check_receipt(forget(), [known], mode)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def forget_some_of_which_one_is_unknown(self, data: st.DataObject) -> None:
        known = self._pick(data)
        with pytest.raises(MemoryNotFound):
            self.memory.forget([known.id, "0" * 32], scope=known.owner)

    @rule(scope=scopes, topic=topics)
    def forget_where(self, scope: Scope, topic: str) -> None:
        doomed = [
            known
            for known in self.known.values()
            if _writes(scope, known.owner) and not known.retired and known.metadata["topic"] == topic
        ]
        where = {"metadata.topic": topic}
        rehearsal = self.memory.forget(scope=scope, where=where, dry_run=True)
        assert (rehearsal.status, rehearsal.memories) == ("dry_run", len(doomed))
        self._check_receipt(self.memory.forget(scope=scope, where=where, verify=True), doomed)

    @rule(scope=scopes)
    def forget_everything(self, scope: Scope) -> None:
        if scope.user and scope.agent:
            with pytest.raises(ScopeError):
                self.memory.forget(scope=scope, everything=True)
            return
        doomed = [known for known in self.known.values() if _writes(scope, known.owner)]
        self._check_receipt(self.memory.forget(scope=scope, everything=True, verify=True), doomed)

    # --- read

    @precondition(lambda self: self.known)
    @rule(data=st.data(), k=st.integers(1, 5))
    def retrieve(self, data: st.DataObject, k: int) -> None:
        known = self._pick(data)
        scope = self._by(data, known)
        kinds = {known.memory.kind} if known.memory.kind == "fact" else None
        answer = self.memory.retrieve(_question(known.contents[-1]), scope=scope, k=k, kinds=kinds)
        self._check_hits(scope, answer)
        if _reads(scope, known.owner) and not known.retired:
            assert answer[0].id == known.id, "found first by its own words"
            assert answer[0].content == known.contents[-1]
        else:
            assert known.id not in {hit.id for hit in answer}

    @rule(scope=scopes, topic=topics, asked=topics)
    def retrieve_where(self, scope: Scope, topic: str, asked: str) -> None:
        answer = self.memory.retrieve(f"likes {asked}", scope=scope, k=100, where={"metadata.topic": topic})
        self._check_hits(scope, answer)
        assert {hit.memory.metadata["topic"] for hit in answer} <= {topic}

    @precondition(lambda self: self.forgotten)
    @rule(data=st.data(), scope=scopes)
    def a_forgotten_memory_stays_forgotten(self, data: st.DataObject, scope: Scope) -> None:
        id = data.draw(st.sampled_from(sorted(self.forgotten)))
        answer = self.memory.retrieve(_question(self.forgotten[id]), scope=scope)
        assert id not in {hit.id for hit in answer}
        assert self.forgotten[id] not in {hit.content for hit in answer}
        for verb in (self.memory.get, self.memory.history, self.memory.forget):
            with pytest.raises(MemoryNotFound):
                verb(id, scope=scope)

    @rule(scope=scopes, limit=st.integers(1, 7), topic=st.none() | topics)
    def list_in_pages(self, scope: Scope, limit: int, topic: str | None) -> None:
        where = None if topic is None else {"metadata.topic": topic}
        expected = {known.id for known in self._readable(scope) if topic in (None, known.metadata["topic"])}
        seen: list[Memory] = []
        cursor = None
        while True:
            page = self.memory.list(scope=scope, where=where, limit=limit, cursor=cursor)
            assert len(page) <= limit
            seen.extend(page)
            cursor = page.cursor
            if cursor is None:
                break
        assert len(seen) == len(expected)
        assert {memory.id for memory in seen} == expected
        for memory in seen:
            self._check(memory)
        of_owner = [memory.position for memory in seen if memory.scope == seen[0].scope]
        assert of_owner == sorted(of_owner), "in the order stored"

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def get_and_history(self, data: st.DataObject) -> None:
        known = self._pick(data)
        scope = self._by(data, known)
        if not _reads(scope, known.owner):
            for verb in (self.memory.get, self.memory.history):
                with pytest.raises(MemoryNotFound):
                    verb(known.id, scope=scope)
            return
        history = self.memory.history(known.id, scope=scope)
        assert [memory.content for memory in history] == known.contents
        assert [memory.version for memory in history] == list(range(1, len(history) + 1))
        ends = [memory.recorded_to for memory in history]
        assert ends[:-1] == known.recorded[1:]
        assert (ends[-1] is not None) is known.retired
        if known.retired:
            with pytest.raises(MemoryNotFound):
                self.memory.get(known.id, scope=scope)
        else:
            self._check(self.memory.get(known.id, scope=scope))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def what_was_known_then(self, data: st.DataObject) -> None:
        known = self._pick(data)
        version = data.draw(st.integers(0, len(known.contents) - 1))
        then = known.recorded[version]
        assert self.memory.get(known.id, scope=known.owner, known_at=then).content == known.contents[version]
        with pytest.raises(MemoryNotFound):
            self.memory.get(known.id, scope=known.owner, known_at=known.recorded[0] - timedelta(microseconds=1))
        kinds = {known.memory.kind}
        answer = self.memory.retrieve(_question(known.contents[version]), scope=known.owner, known_at=then, kinds=kinds)
        assert answer[0].content == known.contents[version]

    # --- out and in

    @rule(scope=scopes)
    def export(self, scope: Scope) -> None:
        count = self.memory.export_to(self.folder / f"{SCOPES.index(scope)}.jsonl", scope=scope)
        assert count == sum(_writes(scope, known.owner) and not known.retired for known in self.known.values())
        self.exported.add(scope)

    @precondition(lambda self: self.exported)
    @rule(data=st.data())
    def import_an_older_export(self, data: st.DataObject) -> None:
        """What was changed, retired or forgotten since stays so: the model does not change at all."""
        scope = data.draw(st.sampled_from(sorted(self.exported, key=str)))
        versions = self.memory.stats().versions
        report = self.memory.import_from(self.folder / f"{SCOPES.index(scope)}.jsonl", scope=scope, trust="declared")
        assert (report.stored, report.problems) == (0, ())
        assert self.memory.stats().versions == versions

    @precondition(lambda self: self.exported)
    @rule(data=st.data())
    def import_elsewhere(self, data: st.DataObject) -> None:
        """The copy in another tenant reads the same; then it is forgotten, and the original is not."""
        scope = data.draw(st.sampled_from(sorted(self.exported, key=str)))
        copy = replace(scope, tenant=f"copy{self.words}")
        self.words += 1
        file = self.folder / f"{SCOPES.index(scope)}.jsonl"
        self.memory.import_from(file, scope=copy, trust="declared")
        lines = [json.loads(line) for line in file.read_text("utf-8").splitlines()[1:]]
        last = {line["id"]: line for line in lines}
        listed = self.memory.list(scope=copy, limit=10_000)
        assert {(each.id, each.version, each.content) for each in listed} == {
            (line["id"], line["version"], line["content"]) for line in last.values()
        }
        self.memory.forget(scope=replace(copy, agent=None) if copy.user else copy, everything=True)

    # --- around

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        self.memory = self._opened()

    @rule(back=st.booleans())
    def time_passes(self, back: bool) -> None:
        self.clock.advance(hours=-1 if back else 1)

    @rule()
    def beside(self) -> None:
        """A second manager on the same folder sees all that the first one did, and the first what it does."""
        with self._opened() as other:
            for scope in SCOPES[:3]:
                assert other.list(scope=scope, limit=10_000) == self.memory.list(scope=scope, limit=10_000)
            stored = other.store(self._content("work"), scope=SCOPES[0], metadata={"topic": "work"})
        self._learn(stored)
        assert self.memory.retrieve(_question(stored.content), scope=SCOPES[0], k=1)[0].id == stored.id

    @invariant()
    def counts_agree(self) -> None:
        stats = self.memory.stats()
        assert sum(stats.memories.values()) == sum(not known.retired for known in self.known.values())
        assert stats.versions == sum(len(known.contents) for known in self.known.values())

    @rule()
    def all_is_well(self) -> None:
        health = self.memory.verify(deep=True)
        assert health.ok, health

    # --- the model

    def _content(self, topic: str) -> str:
        self.words += 1
        return f"{_word(self.words, 'b')} {_word(self.words, 'z')} likes {topic}."

    def _learn(self, memory: Memory) -> None:
        assert memory.id not in self.known and memory.id not in self.forgotten
        self.known[memory.id] = Known(
            memory, [memory.content], [memory.recorded_from], dict(memory.metadata), memory.importance
        )

    def _pick(self, data: st.DataObject) -> Known:
        """Any memory, and every second time one that something happened to before."""
        eventful = [known.id for known in self.known.values() if len(known.contents) > 1 or known.retired]
        some = st.sampled_from(list(self.known))
        return self.known[data.draw(st.sampled_from(eventful) | some if eventful else some, label="memory")]

    def _by(self, data: st.DataObject, known: Known) -> Scope:
        """Who does it: the owner, or anybody."""
        return data.draw(st.sampled_from([known.owner, *SCOPES]) | st.just(known.owner), label="scope")

    def _readable(self, scope: Scope) -> Iterable[Known]:
        return [known for known in self.known.values() if _reads(scope, known.owner) and not known.retired]

    def _listed(self, scope: Scope) -> list[str]:
        return [memory.id for memory in self.memory.list(scope=scope, limit=10_000)]

    def _may_change(self, scope: Scope, known: Known, change: Callable[[], object]) -> bool:
        """True if the scope may change it; otherwise the change must fail, for the right reason."""
        if known.retired or not _reads(scope, known.owner):
            with pytest.raises(MemoryNotFound):
                change()
            return False
        if not _writes(scope, known.owner):
            with pytest.raises(ScopeError):
                change()
            return False
        return True

    def _check_receipt(self, receipt: Any, doomed: list[Known], mode: str = "erase") -> None:
        assert (receipt.status, receipt.memories, receipt.verified) == ("done", len(doomed), True)
        assert (receipt.mode, receipt.remaining) == (mode, ())
        for known in doomed:
            if mode == "retire":
                known.retired = True
                continue
            del self.known[known.id]
            self.forgotten[known.id] = known.contents[-1]
            self.keys = {key: id for key, id in self.keys.items() if id != known.id}

    def _check_hits(self, scope: Scope, answer: Iterable[Any]) -> None:
        readable = {known.id for known in self._readable(scope)}
        for hit in answer:
            assert hit.id in readable
            self._check(hit.memory)
            for near in hit.neighbours:
                assert near.id in readable
                self._check(near)

    def _check(self, memory: Memory) -> None:
        known = self.known[memory.id]
        assert (memory.content, memory.version) == (known.contents[-1], len(known.contents))
        assert (dict(memory.metadata), memory.importance) == (known.metadata, known.importance)
        assert (memory.scope, memory.kind) == (known.owner, known.memory.kind)


def _reads(scope: Scope, owner: Scope) -> bool:
    """The layers' table, read side, spelt out by row."""
    if scope.tenant != owner.tenant:
        return False
    if scope.user is None:
        return owner.user is None and owner.agent == scope.agent
    if scope.agent is None:
        return owner.user == scope.user
    return (owner.user == scope.user and owner.agent in (scope.agent, None)) or (
        owner.user is None and owner.agent == scope.agent
    )


def _writes(scope: Scope, owner: Scope) -> bool:
    """The layers' table, write side."""
    if scope.user and scope.agent:
        return (owner.tenant, owner.user, owner.agent) == (scope.tenant, scope.user, scope.agent)
    return _reads(scope, owner)


def _word(number: int, first: str) -> str:
    """A word of no language, the same for the same number and unlike every other."""
    syllables = ["ka", "mu", "do", "ri", "pe", "su", "vo", "ta"]
    return first + "".join(syllables[number >> shift & 7] for shift in (9, 6, 3, 0)) + "x"


def _question(content: str) -> str:
    return " ".join(content.split()[:2])


def _in_memory() -> str | None:
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def test_the_manager_agrees_with_a_dictionary(empty_memory: Path) -> None:
    MemoryAgainstADictionary.template = empty_memory
    short = settings(max_examples=80, stateful_step_count=50, deadline=None)
    chosen = settings() if settings.get_current_profile_name() == "campaign" else short
    run_state_machine_as_test(MemoryAgainstADictionary, settings=chosen)
