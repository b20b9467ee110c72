"""MemoryManager against a dictionary: random verbs over two tenants and every layer, and what each must answer.

The default run is short; ``pytest tests/integration/test_state_machine.py --hypothesis-profile=campaign`` is long.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
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
    Fact,
    IdempotencyConflict,
    InvalidInput,
    Memory,
    MemoryManager,
    MemoryNotFound,
    Scope,
    ScopeError,
    Turn,
    UnderHold,
    VersionConflict,
)
from agentmem.interfaces import LogQuery
from agentmem.lifecycle.affect import affect_of
from agentmem.lifecycle.importance import importance_of
from agentmem.testing import SteppingClock, WordHashEmbedder
from agentmem.testing.fakes import A_MONDAY

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
SUBJECTS: Final = ["user", "Clara"]
CITIES: Final = ["Lisbon", "Oslo", "Porto"]
FIRST_DAY: Final = A_MONDAY - timedelta(days=100)
"""Facts are of the days from here on, long before the clock of the machine."""
LONG: Final = timedelta(days=1_000)
"""Longer than the clock of the machine ever moves."""
_TAKEN_ALONG: Final = ("content", "metadata", "importance", "valid_from", "valid_to", "fact", "derived_from", "role")
scopes = st.sampled_from(SCOPES)
topics = st.sampled_from(TOPICS)
kinds = st.sampled_from(["turn", "turn", "turn", "rule", "lesson", "fact"])
keys = st.sampled_from(["k1", "k2", "k3"])
days = st.integers(0, 5)


@dataclass(frozen=True)
class State:
    """One version: what it says, and what is said about it.

    ``importance`` is None where the rule gives it; ``city`` is a fact's value. ``is_back`` if it was hidden before,
    ``is_settled`` if supersession wrote it.
    """

    version: int
    content: str
    metadata: dict[str, Any]
    importance: float | None
    recorded: datetime
    valid_from: datetime
    valid_to: datetime | None = None
    city: str | None = None
    is_back: bool = False
    is_settled: bool = False


@dataclass(frozen=True)
class Standing:
    """What supersession makes of a fact."""

    valid_to: datetime | None = None
    superseded_by: str | None = None
    restates: str | None = None
    times: int = 1


@dataclass
class Seen:
    """What a scope was told at a moment, and the keys of facts whose history was told anew since."""

    then: datetime
    scope: Scope
    told: list[tuple[Any, ...]]
    retold: set[Any]


@dataclass
class Known:
    """What the model knows of one memory: as it was stored, and every version since.

    ``retired_in`` numbers the act that hid it.
    """

    memory: Memory
    states: list[State]
    retired_in: int | None = None
    outcome: float = 0.0

    @property
    def id(self) -> str:
        return self.memory.id

    @property
    def owner(self) -> Scope:
        return self.memory.scope

    @property
    def now(self) -> State:
        return self.states[-1]

    @property
    def retired(self) -> bool:
        return self.retired_in is not None

    @property
    def key(self) -> tuple[Scope, str] | None:
        """What a new value closes the old one of; None for what is no fact."""
        return (replace(self.owner, session=None), self.memory.fact.subject) if self.memory.fact else None

    @property
    def family(self) -> tuple[Scope, str] | None:
        """The key, whatever the agent, for who reads what a user told several."""
        return (replace(self.key[0], agent=None) if self.owner.user else self.key[0], self.key[1]) if self.key else None


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
        self.seen: list[Seen] = []
        self.receipts: Counter[tuple[str, str, str]] = Counter()
        self.latest = self.clock.now
        self.acts = 0
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
        again = self.memory.store(known.states[0].content, scope=scope, idempotency_key=key)
        assert (again.id, again.content) == (known.id, known.now.content)
        with pytest.raises(IdempotencyConflict):
            self.memory.store(self._content(topic), scope=scope, idempotency_key=key)

    @rule(
        scope=scopes,
        told=st.lists(st.tuples(st.sampled_from(SUBJECTS), st.sampled_from(CITIES), days), min_size=1, max_size=3),
        is_read=st.booleans(),
    )
    def store_facts(self, scope: Scope, told: list[tuple[str, str, int]], is_read: bool) -> None:
        """Facts in any order of their days, from a turn that they cite or as they are."""
        sources: tuple[str, ...] = ()
        if is_read:
            turn = self.memory.store(self._content("family"), scope=scope, metadata={"topic": "family"})
            self._learn(turn)
            sources = (turn.id,)
        stored = self.memory.store_many(
            [
                Turn(
                    _sentence(subject, city),
                    kind="fact",
                    fact=Fact(subject, "home", city),
                    occurred_at=FIRST_DAY + timedelta(days=day),
                    metadata={"topic": "work"},
                    derived_from=sources,
                )
                for subject, city, day in told
            ],
            scope=scope,
        )
        for memory in stored:
            self._learn(memory)
        assert self.memory.flush(30)
        self._follow_settling()

    # --- update

    @precondition(lambda self: self.known)
    @rule(data=st.data(), topic=topics, city=st.sampled_from(CITIES))
    def update_content(self, data: st.DataObject, topic: str, city: str) -> None:
        known = self._pick(data)
        scope = self._by(data, known)
        content = _sentence(known.memory.fact.subject, city) if known.memory.fact else self._content(topic)
        expected = data.draw(st.sampled_from([None, known.now.version, known.now.version + 1]))

        def change() -> Memory:
            return self.memory.update(known.id, scope=scope, content=content, expected_version=expected)

        if not self._may_change(scope, known, change):
            return
        if expected not in (None, known.now.version):
            with pytest.raises(VersionConflict):
                change()
            return
        updated = change()
        assert (updated.id, updated.version, updated.content) == (known.id, known.now.version + 1, content)
        assert (updated.scope, updated.position) == (known.owner, known.memory.position)
        self._change(known, updated, content=content, city=city if known.memory.fact else None)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def update_a_fact_to_what_is_none(self, data: st.DataObject) -> None:
        known = self._pick(data)
        if known.memory.fact and not known.retired:
            with pytest.raises(InvalidInput):
                self.memory.update(known.id, scope=known.owner, content=self._content("food"))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), topic=topics, importance=st.sampled_from([None, 0.1, 0.9]))
    def update_what_is_said_about_it(self, data: st.DataObject, topic: str, importance: float | None) -> None:
        known = self._pick(data)
        if known is None or known.retired:
            return
        updated = self.memory.update(
            known.id, scope=known.owner, metadata={"topic": topic, "changed": True}, importance=importance
        )
        assert updated.content == known.now.content
        self._change(known, updated, metadata={"topic": topic, "changed": True}, importance=importance)

    @precondition(lambda self: self.known)
    @rule(data=st.data(), since=st.sampled_from([-1, 1]), ended=st.booleans())
    def update_when_it_is_true(self, data: st.DataObject, since: int, ended: bool) -> None:
        known = self._pick(data)
        if known.memory.fact or known.retired:
            return
        begins = self.clock.now + since * LONG
        ends = begins + LONG / 2 if ended else None
        updated = self.memory.update(known.id, scope=known.owner, valid_from=begins, valid_to=ends)
        self._change(known, updated, valid_from=begins, valid_to=ends)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        known = self._pick(data)
        scope = self._by(data, known)
        version = data.draw(st.none() | st.integers(1, known.now.version + 1), label="version")
        states = {state.version: state for state in known.states} | {None: known.now}

        def restore() -> Memory:
            return self.memory.restore(known.id, scope=scope, version=version, reason="as it was")

        may_see = _reads(scope, known.owner) and (_writes(scope, known.owner) or not known.retired)
        if not may_see or (_writes(scope, known.owner) and version not in states):
            with pytest.raises(MemoryNotFound):
                restore()
        elif not _writes(scope, known.owner):
            with pytest.raises(ScopeError):
                restore()
        elif not known.retired and version in (None, known.now.version):
            with pytest.raises(InvalidInput):
                restore()
        else:
            restored = restore()
            derived = self._derived([known])[1:] if known.retired else []
            with_it = [each for each in derived if each.retired_in == known.retired_in]
            assert (restored.version, restored.reason) == (known.now.version + 1, "as it was")
            self._bring_back(known, states[version])
            for each in with_it:
                self._bring_back(each, each.now)
            self._follow_settling()

    @precondition(lambda self: self.known)
    @rule(data=st.data(), outcome=st.sampled_from([-1.0, 0.5, 1.0]))
    def feedback(self, data: st.DataObject, outcome: float) -> None:
        known = self._pick(data)
        scope = self._by(data, known)

        def judge() -> None:
            self.memory.feedback(known.id, scope=scope, outcome=outcome)

        if known.retired or not _reads(scope, known.owner):
            with pytest.raises(MemoryNotFound):
                judge()
        else:
            judge()
            known.outcome += (outcome - known.outcome) / 3

    # --- forget

    @precondition(lambda self: self.known)
    @rule(data=st.data(), mode=st.sampled_from(["erase", "erase", "retire"]))
    def forget_by_id(self, data: st.DataObject, mode: Any) -> None:
        known = self._pick(data)
        scope = self._by(data, known)

        def forget() -> Any:
            return self.memory.forget(known.id, scope=scope, mode=mode, verify=True)

        if known.retired and mode == "erase" and _reads(scope, known.owner) and _writes(scope, known.owner):
            self._check_receipt(scope, forget(), [known])
        elif self._may_change(scope, known, forget):
            self._check_receipt(scope, forget(), [known], mode)

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
            if _writes(scope, known.owner) and known.now.metadata["topic"] == topic
        ]
        where = {"metadata.topic": topic}
        rehearsal = self.memory.forget(scope=scope, where=where, dry_run=True)
        assert (rehearsal.status, rehearsal.memories) == ("dry_run", len(self._derived(doomed)))
        self._check_receipt(scope, self.memory.forget(scope=scope, where=where, verify=True), doomed)

    @rule(scope=scopes)
    def forget_everything(self, scope: Scope) -> None:
        if scope.user and scope.agent:
            with pytest.raises(ScopeError):
                self.memory.forget(scope=scope, everything=True)
            return
        doomed = [known for known in self.known.values() if _writes(scope, known.owner)]
        self._check_receipt(scope, self.memory.forget(scope=scope, everything=True, verify=True), doomed)

    @rule(scope=scopes, data=st.data())
    def what_is_held_is_not_erased(self, scope: Scope, data: st.DataObject) -> None:
        hold = self.memory.hold(scope=scope, reason="a case")
        assert hold in self.memory.holds(scope=scope)
        held = [known for known in self.known.values() if _writes(scope, known.owner)]
        if held:
            known = data.draw(st.sampled_from(held), label="held")
            with pytest.raises(UnderHold):
                self.memory.forget(known.id, scope=known.owner)
            with pytest.raises(UnderHold):
                self.memory.forget(scope=known.owner, where={"id": known.id})
            with pytest.raises(UnderHold):
                self.memory.forget(
                    scope=replace(known.owner, agent=None) if known.owner.user else scope, everything=True
                )
        assert self.memory.release(scope=scope)
        assert not self.memory.release(scope=scope)

    # --- read

    @precondition(lambda self: self.known)
    @rule(data=st.data(), k=st.integers(1, 5))
    def retrieve(self, data: st.DataObject, k: int) -> None:
        known = self._pick(data)
        scope = self._by(data, known)
        kinds = {known.memory.kind} if known.memory.kind == "fact" else None
        # Facts of several owners are in the same words.
        k = 100 if known.memory.fact else k
        answer = self.memory.retrieve(_question(known.now.content), scope=scope, k=k, kinds=kinds)
        self._check_hits(scope, answer)
        asked = {each.id for each in self._shown(scope, lambda each: not kinds or each.memory.kind in kinds)}
        if known.id not in asked:
            assert known.id not in {hit.id for hit in answer}
        elif known.memory.fact:
            assert known.id in {hit.id for hit in answer}
        else:
            assert answer[0].id == known.id, "found first by its own words"
            assert answer[0].content == known.now.content
            assert ("upcoming" in answer[0].labels) is (known.now.valid_from > self.clock.now)

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
        expected = {
            known.id for known in self._shown(scope, lambda known: topic in (None, known.now.metadata["topic"]))
        }
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
        assert [memory.content for memory in history] == [state.content for state in known.states]
        assert [memory.recorded_from for memory in history] == [state.recorded for state in known.states]
        assert [memory.version for memory in history] == [state.version for state in known.states]
        for memory, following in zip(history, known.states[1:], strict=False):
            assert memory.recorded_to is not None
            if following.is_back:
                assert memory.recorded_to < following.recorded
            else:
                assert memory.recorded_to == following.recorded
        assert (history[-1].recorded_to is not None) is known.retired
        sources = self.memory.why(known.id, scope=scope) if not known.retired else ()
        assert {each.id for each in sources} == {
            id for id in known.memory.derived_from if not known.retired and not self.known[id].retired
        }
        if known.retired:
            with pytest.raises(MemoryNotFound):
                self.memory.get(known.id, scope=scope)
        else:
            self._check(self.memory.get(known.id, scope=scope))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def what_was_known_then(self, data: st.DataObject) -> None:
        known = self._pick(data)
        state = data.draw(st.sampled_from(known.states))
        then = state.recorded
        assert self.memory.get(known.id, scope=known.owner, known_at=then).content == state.content
        with pytest.raises(MemoryNotFound):
            self.memory.get(known.id, scope=known.owner, known_at=known.states[0].recorded - timedelta(microseconds=1))
        if known.memory.fact:
            return
        kinds = {known.memory.kind}
        answer = self.memory.retrieve(_question(state.content), scope=known.owner, known_at=then, kinds=kinds)
        if state.valid_to is not None and state.valid_to <= then:
            assert known.id not in {hit.id for hit in answer}
        else:
            assert answer[0].content == state.content

    @rule(scope=scopes, day=days)
    def facts_of_a_day(self, scope: Scope, day: int) -> None:
        noon = FIRST_DAY + timedelta(days=day, hours=12)
        shown = self._shown(scope, lambda known: known.memory.fact and known.now.valid_from <= noon, at=noon)
        true_then = {known.id for known in shown}
        listed = self.memory.list(scope=scope, kinds={"fact"}, as_of=noon, limit=1_000)
        assert {memory.id for memory in listed if memory.fact} == true_then
        asked = f"Who lives in {', '.join(CITIES)}?"
        answer = self.memory.retrieve(asked, scope=scope, kinds={"fact"}, as_of=noon, k=1_000)
        assert {hit.id for hit in answer if hit.memory.fact} == true_then

    @rule(scope=scopes)
    def look_at_a_moment(self, scope: Scope) -> None:
        if self.clock.now > self.latest:
            self.seen.append(Seen(self.clock(), scope, self._told(scope), set()))

    @precondition(lambda self: self.seen)
    @rule(data=st.data())
    def what_was_listed_then(self, data: st.DataObject) -> None:
        seen = data.draw(st.sampled_from(self.seen), label="moment")
        now = self._told(seen.scope, known_at=seen.then)
        assert [told for told in now if self.known[told[0]].family not in seen.retold] == [
            told for told in seen.told if told[0] in self.known and self.known[told[0]].family not in seen.retold
        ]

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
        histories = {id: list(each) for id, each in itertools.groupby(lines, key=lambda line: str(line["id"]))}
        assert self.memory.flush(30)
        copied = {each.id: each for each in self.memory.log.read(LogQuery(copy))}
        assert copied.keys() == histories.keys()
        for id, history in histories.items():
            last, there = history[-1], copied[id].to_dict()
            assert {name: there[name] for name in _TAKEN_ALONG} == {name: last[name] for name in _TAKEN_ALONG}
            if len({(line["valid_from"], line["valid_to"]) for line in history}) == 1 and last["fact"] is None:
                assert there["version"] == last["version"], "changes of words and what is said of them are done again"
        receipt = self.memory.forget(scope=replace(copy, agent=None) if copy.user else copy, everything=True)
        assert receipt.memories == len(copied)

    # --- around

    @rule()
    def reopen(self) -> None:
        self.memory.close()
        self.memory = self._opened()

    @rule(back=st.booleans())
    def time_passes(self, back: bool) -> None:
        if back:
            # What is written from now on is of a time that has been before.
            self.latest = max(self.latest, self.clock.now)
            self.seen.clear()
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
        assert stats.versions == sum(len(known.states) for known in self.known.values())

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
        state = State(
            version=memory.version,
            content=memory.content,
            metadata=dict(memory.metadata),
            importance=memory.importance,
            recorded=memory.recorded_from,
            valid_from=memory.valid_from,
            city=memory.fact.value if memory.fact else None,
        )
        self.known[memory.id] = Known(memory, [state])

    def _change(self, known: Known, updated: Memory, **changed: Any) -> None:
        """A new version; what a rule had said of the old words it says of the new ones."""
        before = known.now
        if before.importance == _ruled_importance(known, before.content):
            before = replace(before, importance=None)
        assert updated.version == before.version + 1
        self._add(known, before, updated, **changed)
        self._follow_settling()

    def _add(self, known: Known, like: State, version: Memory, **changed: Any) -> None:
        is_settled = version.written_by == "supersession"
        made: dict[str, Any] = {"recorded": version.recorded_from, "version": version.version, "is_settled": is_settled}
        known.states.append(replace(like, **{"is_back": False, **made, **changed}))

    def _bring_back(self, known: Known, state: State) -> None:
        version = self.memory.history(known.id, scope=known.owner)[len(known.states)]
        assert (version.version, version.written_by) == (known.now.version + 1, "restore")
        self._add(known, state, version, is_back=known.retired)
        known.retired_in = None

    def _pick(self, data: st.DataObject) -> Known:
        """Any memory, and every second time one that something happened to before."""
        eventful = [known.id for known in self.known.values() if len(known.states) > 1 or known.retired]
        some = st.sampled_from(list(self.known))
        return self.known[data.draw(st.sampled_from(eventful) | some if eventful else some, label="memory")]

    def _by(self, data: st.DataObject, known: Known) -> Scope:
        """Who does it: the owner, or anybody."""
        return data.draw(st.sampled_from([known.owner, *SCOPES]) | st.just(known.owner), label="scope")

    def _readable(self, scope: Scope) -> Iterable[Known]:
        return [known for known in self.known.values() if _reads(scope, known.owner) and not known.retired]

    def _shown(
        self, scope: Scope, asked: Callable[[Known], object] = lambda known: True, *, at: datetime | None = None
    ) -> list[Known]:
        """What is still true of what is asked for, and of facts that say the same the first."""
        standings = self._standings_to(scope)
        there = [known for known in self._readable(scope) if asked(known)]
        true = [known for known in there if not _is_over(standings[known.id], at or self.clock.now)]
        firsts: dict[str, Known] = {}
        for known in sorted(true, key=_when):
            firsts.setdefault(standings[known.id].restates or known.id, known)
        return list(firsts.values())

    def _standings_to(self, scope: Scope) -> dict[str, Standing]:
        """How all that the scope reads stands to it: what a user told several agents is judged together."""
        families: dict[Any, list[Known]] = {}
        standings = {}
        for known in self._readable(scope):
            families.setdefault(known.family, []).append(known)
            standings[known.id] = Standing(known.now.valid_to)
        families.pop(None, None)
        return standings | dict(itertools.chain.from_iterable(map(_standings, families.values())))

    def _standing(self, known: Known) -> Standing:
        if known.memory.fact is None:
            return Standing(known.now.valid_to)
        rivals = [each for each in self.known.values() if each.key == known.key and not each.retired]
        return dict(_standings(rivals)).get(known.id, Standing())

    def _derived(self, from_these: list[Known]) -> list[Known]:
        """These, and then what was derived from them."""
        ids = {known.id for known in from_these}
        derived = [known for known in self.known.values() if ids.intersection(known.memory.derived_from)]
        return [*from_these, *(known for known in derived if known.id not in ids)]

    def _follow_settling(self) -> None:
        """Facts stand as they must; to bring one there, supersession has written at most one version."""
        owners = {known.key[0] for known in self.known.values() if known.key}
        for owner in owners:
            for memory in self.memory.log.read(LogQuery(owner, kinds=frozenset({"fact"}))):
                known = self.known[memory.id]
                if memory.version > known.now.version:
                    assert (memory.version, memory.written_by) == (known.now.version + 1, "supersession")
                    self._add(known, known.now, memory)
                self._check(memory)

    def _hear_again(self, families: set[Any]) -> None:
        """What was erased did never come: what was said of the others stays, what it did to them is nowhere."""
        for seen in self.seen:
            seen.retold |= families
        for known in (known for known in self.known.values() if known.family in families):
            said = iter([state for state in known.states if not state.is_settled])
            known.states = []
            for version in self.memory.history(known.id, scope=known.owner):
                assert version.fact is not None
                assert {version.fact.superseded_by, version.fact.restates} <= {None, *self.known}
                if version.written_by == "supersession":
                    self._add(known, known.now, version)
                else:
                    state = next(said)
                    assert (version.content, version.recorded_from) == (state.content, state.recorded)
                    self._add(known, state, version, is_back=state.is_back)
            assert not list(said), "all that was said is still there"

    def _told(self, scope: Scope, **moment: Any) -> list[tuple[Any, ...]]:
        listed = self.memory.list(scope=scope, limit=10_000, **moment)
        return [(each.id, each.version, each.content, each.valid_from, each.valid_to) for each in listed]

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

    def _check_receipt(self, scope: Scope, receipt: Any, doomed: list[Known], mode: str = "erase") -> None:
        doomed = [known for known in self._derived(doomed) if mode == "erase" or not known.retired]
        assert (receipt.status, receipt.memories, receipt.verified) == ("done", len(doomed), True)
        assert (receipt.mode, receipt.remaining) == (mode, ())
        subject = (scope.tenant, "user", scope.user) if scope.user else (scope.tenant, "agent", str(scope.agent))
        self.receipts[subject] += 1
        kept = self.memory.receipts(scope=scope)
        assert len(kept) == self.receipts[subject]
        assert receipt in kept
        self.acts += 1
        for known in doomed:
            if mode == "retire":
                known.retired_in = self.acts
                continue
            del self.known[known.id]
            self.forgotten[known.id] = known.now.content
            self.keys = {key: id for key, id in self.keys.items() if id != known.id}
        if mode == "erase":
            self._hear_again({known.family for known in doomed} - {None})
        self._follow_settling()

    def _check_hits(self, scope: Scope, answer: Iterable[Any]) -> None:
        standings = self._standings_to(scope)
        true = {id for id, standing in standings.items() if not _is_over(standing, self.clock.now)}
        for hit in answer:
            self._check(hit.memory)
            for near in (*hit.neighbours, *hit.corrections):
                self._check(near)
            assert {hit.id, *(near.id for near in (*hit.neighbours, *hit.corrections))} <= true
            read = {known.id for known in self._derived([self.known[hit.id]])[1:] if known.id in standings}
            assert {fact.id for fact in hit.facts} == read
            assert ("outdated" in hit.labels) is (not read <= true)

    def _check(self, memory: Memory) -> None:
        known = self.known[memory.id]
        state, standing = known.now, self._standing(known)
        assert (memory.content, memory.version) == (state.content, state.version)
        ruled = _ruled_importance(known, state.content)
        assert memory.importance == (ruled if state.importance is None else state.importance)
        assert (dict(memory.metadata), memory.scope, memory.kind) == (state.metadata, known.owner, known.memory.kind)
        assert (memory.valid_from, memory.valid_to) == (state.valid_from, standing.valid_to)
        assert memory.outcome == pytest.approx(known.outcome)
        if memory.fact:
            settled = (memory.fact.superseded_by, memory.fact.restates, memory.fact.times)
            assert (memory.fact.value, *settled) == (
                state.city,
                standing.superseded_by,
                standing.restates,
                standing.times,
            )


def _standings(facts: Iterable[Known]) -> Iterator[tuple[str, Standing]]:
    """Facts of one key on the line of time: each city holds until the next, and saying it again is no news."""
    said = sorted(facts, key=_when)
    runs = [list(run) for _, run in itertools.groupby(said, key=lambda known: known.now.city)]
    for run, following in itertools.zip_longest(runs, runs[1:]):
        until = Standing(following[0].now.valid_from, following[0].id) if following else Standing()
        for known in run:
            again = {"times": len(run)} if known is run[0] else {"restates": run[0].id}
            yield known.id, replace(until, **again)


def _when(known: Known) -> tuple[Any, ...]:
    return known.now.valid_from, known.memory.position, known.id


def _is_over(standing: Standing, moment: datetime) -> bool:
    return standing.valid_to is not None and standing.valid_to <= moment


def _sentence(subject: str, city: str) -> str:
    return f"{'The user' if subject == 'user' else subject} lives in {city}."


def _ruled_importance(known: Known, content: str) -> float:
    return importance_of(content, kind=known.memory.kind, role="user", affect=affect_of(content))


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
    short = settings(max_examples=64, stateful_step_count=50, deadline=None)
    chosen = settings() if settings.get_current_profile_name() == "campaign" else short
    run_state_machine_as_test(MemoryAgainstADictionary, settings=chosen)
