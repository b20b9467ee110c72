"""What becomes of facts that change, on the path that ships: stored as turns, read by the extractor, asked as facts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from agentmem.bench.update_chains import Chain, Step
from agentmem.manager import MemoryManager
from agentmem.records import Fact, Memory, Retrieval, Scope

_FACTS: Final = frozenset({"fact"})
_FLUSH_S: Final = 60.0


@dataclass
class Outcomes:
    """How often each promise was put to the test and kept, by name, and what broke one, in words."""

    asked: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)

    def note(self, promise: str, kept: bool, what: str) -> None:
        self.asked[promise] += 1
        self.kept[promise] += kept
        if not kept:
            self.broken.append(f"{promise}: {what}")

    def shares(self) -> Mapping[str, float]:
        """By promise, the share of times it was kept, 0 to 1."""
        return {promise: self.kept[promise] / count for promise, count in self.asked.items()}


def follow(memory: MemoryManager, chains: Sequence[Chain], *, undone: int | None = None) -> Outcomes:
    """Live these chains in the memory, which must have an extractor and none of their users yet, and ask.

    A chain of which the extractor does not read every statement counts for ``right first, read or not`` alone: what
    was not read cannot supersede.

    Args:
        undone: Of so many chains the last step is taken back and brought again; unset = of all.
    """
    outcomes = Outcomes()
    for number, chain in enumerate(chains):
        life = _Life(memory, chain, outcomes)
        life.live()
        is_read = life.is_read()
        life.ask(is_read=is_read)
        if is_read and (undone is None or number < undone):
            life.undo()
    return outcomes


class _Life:
    def __init__(self, memory: MemoryManager, chain: Chain, outcomes: Outcomes) -> None:
        self._memory = memory
        self._chain = chain
        self._outcomes = outcomes
        self._scope = Scope(user=chain.user, agent="coach", session="monday")
        self._stored: dict[int, Memory] = {}
        self._known: dict[int, datetime] = {}

    def live(self) -> None:
        """Store every turn as it arrives; note when each step had become known."""
        self._memory.store_many(self._chain.elsewhere, scope=Scope(user=f"{self._chain.user}'s friend", agent="coach"))
        for turn in self._chain.arrivals:
            stored = self._memory.store(turn, scope=self._scope)
            for place, step in enumerate(self._chain.steps):
                if step.turn is turn:
                    self._stored[place] = stored
                    if self._chain.is_in_order:
                        self._flush()
                        self._known[place] = datetime.now(UTC)
        self._flush()

    def is_read(self) -> bool:
        """Whether the extractor read of every step what it states."""
        read = True
        for place, step in enumerate(self._chain.steps):
            hits = self._memory.history(self._stored[place].id, scope=self._scope)
            facts = self._facts_of(hits[-1])
            self._outcomes.asked["read"] += 1
            self._outcomes.kept["read"] += (found := any(_states(fact, self._chain, step) for fact in facts))
            if not found:
                self._outcomes.unread.append(step.turn.content)
                read = False
        return read

    def ask(self, *, is_read: bool) -> None:
        steps = self._chain.steps
        for question in self._chain.questions:
            now = self._retrieve(question)
            self._judge("right first, read or not", question, now, steps[-1])
            if is_read:
                self._judge("right first", question, now, steps[-1])
                stale = [hit.content for hit in now if _is_outdated(hit.memory.fact, self._chain)]
                self._outcomes.note("nothing superseded", not stale, f"{self._chain.user}: {question!r} -> {stale}")
        if is_read:
            self._look_back()

    def _look_back(self) -> None:
        steps, question = self._chain.steps, self._chain.questions[0]
        for place, step in enumerate(steps):
            later = steps[place + 1].said_at if place + 1 < len(steps) else datetime.now(UTC)
            then = self._retrieve(question, as_of=step.said_at + (later - step.said_at) / 2)
            self._judge("right as of then", question, then, step)
            if place in self._known:
                known = self._retrieve(question, known_at=self._known[place])
                self._judge("right as known then", question, known, step)

    def undo(self) -> None:
        """Take the last step back, bring it again, take it back for good."""
        last, question = len(self._chain.steps) - 1, self._chain.questions[0]
        turn = self._stored[last].id
        before, after = self._chain.steps[last - 1], self._chain.steps[last]
        self._memory.forget(turn, scope=self._scope, mode="retire")
        self._judge("reopened when retired", question, self._retrieve(question), before)
        self._memory.restore(turn, scope=self._scope)
        self._judge("back when restored", question, self._retrieve(question), after)
        self._memory.forget(turn, scope=self._scope)
        self._judge("reopened when erased", question, self._retrieve(question), before)

    def _retrieve(self, question: str, **moment: Any) -> Retrieval:
        return self._memory.retrieve(question, scope=self._scope, kinds=_FACTS, **moment)

    def _judge(self, promise: str, question: str, found: Retrieval, step: Step) -> None:
        right = bool(found.hits) and _states(found[0].memory, self._chain, step)
        seen = [hit.content for hit in found][:3]
        what = (
            f"{self._chain.user}: {question!r} wants {step.polarity} {step.value!r}, {step.said_at:%Y-%m-%d} -> {seen}"
        )
        self._outcomes.note(promise, right, what)

    def _facts_of(self, turn: Memory) -> Iterator[Memory]:
        found = self._memory.list(scope=self._scope, kinds=_FACTS, limit=1_000, as_of=turn.occurred_at)
        return (fact for fact in found if turn.id in fact.derived_from)

    def _flush(self) -> None:
        if not self._memory.flush(_FLUSH_S):
            raise TimeoutError("The extractor did not finish.")


def _states(memory: Memory, chain: Chain, step: Step) -> bool:
    fact = memory.fact
    return fact is not None and _is_about(fact, chain) and (fact.value, fact.polarity) == (step.value, step.polarity)


def _is_outdated(fact: Fact | None, chain: Chain) -> bool:
    """True if the fact was so once, and is not so after the chain's last step."""
    if fact is None or not _is_about(fact, chain):
        return False
    last = chain.steps[-1]
    if fact.value == last.value:
        return fact.polarity != last.polarity
    # That a former job has ended stays true; that it is held does not.
    return fact.polarity == "affirmed"


def _is_about(fact: Fact, chain: Chain) -> bool:
    return (fact.subject, fact.attribute, fact.topic) == (chain.subject, chain.attribute, chain.topic)
