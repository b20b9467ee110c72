"""What an agent should have in mind to answer, as text within a budget: who is who, what was left open, what was said.

A prompt gets two texts. The stable one (rules, identity, hand-over) depends on no question, so that it stands byte for
byte the same in front of a conversation's first words, in every process, until something in it changes: what was
learned since the conversation began comes in with the next one. The volatile one (memories, documents, the last turns)
is made for the question, and takes what room is left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple, Protocol, TypeGuard, get_args

from agentmem.clock import Clock
from agentmem.context.fences import Fences
from agentmem.context.labels import labels
from agentmem.context.rendering import (
    Entry,
    Order,
    Paper,
    RenderedLine,
    age,
    checked_fence,
    cite,
    entries_of,
    folded,
    in_order,
    least_trusted,
    plain,
    sameness,
)
from agentmem.errors import ConfigError, InvalidInput
from agentmem.interfaces import Message, TokenCounter
from agentmem.records import (
    Context,
    ContextSection,
    Dropped,
    Hit,
    Identity,
    IdentityLine,
    Memory,
    Retrieval,
    Scope,
    require_text,
    require_time,
)
from agentmem.retrieval.question import Question, checked_conversation

RECENTLY: Final = timedelta(hours=1)
"""Without a session, turns that were said within this are the conversation that goes on."""
_HITS_WHEN_UNSURE: Final = 3
_ROOMS: Final = 2
"""So many times what there is room for is asked for, to choose from."""
_BREVITY: Final = 0.1
"""A memory twice as long must be so much better to be kept first, as a power of two: it takes the room of others."""
_LEAST_LINE: Final = 28
"""Tokens of a short memory with its citation and its share of a day: of more hits few have room."""
_KEPT: Final = 512
"""Scopes whose stable text is kept; with more, all are let go."""
_THEM: Final = frozenset({"user", "assistant"})
_ORDERS: Final = get_args(Order)
_SHARES: Final = ("rules_share", "identity_share", "handover_share", "recent_share")


class Retrieves(Protocol):
    """Answers questions; a ``Retriever`` does."""

    def retrieve(self, question: Question) -> Retrieval: ...

    def at_once(self) -> AbstractContextManager[None]:
        """What is asked inside the block is answered from one state of the log."""


class KnowsWhoIsWho(Protocol):
    """Tells the identity of a scope; ``Identities`` does."""

    def of(self, scope: Scope, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Identity: ...


class KeepsHandovers(Protocol):
    """Tells what the session before the one that is going on left, and when this one began; ``HandOvers`` does."""

    def latest(self, scope: Scope, at: datetime) -> Memory | None: ...

    def begun(self, scope: Scope, at: datetime) -> datetime | None: ...


class TellsLastTurns(Protocol):
    """Tells the last turns of a session, oldest first; a ``Survey`` does."""

    def last_turns(self, scope: Scope, *, session: str | None, limit: int) -> Sequence[Memory]: ...


@dataclass(frozen=True, slots=True)
class ContextOptions:
    """What a context is made of.

    The memories have the rest of the budget, and what the other sections leave of their shares. Rules that need more
    than theirs take from identity and hand-over.

    Args:
        max_tokens: Of both texts together.
        rules_share, identity_share, handover_share, recent_share: Shares of the budget, 0 to 1, together below 1. Of
            the identity's, what is known of third persons takes at most half.
        recent_turns: At most so many of the last turns.
        order: How memories follow each other: oldest first (``time``), best last (``relevant_last``), or best first and
            last (``edges``).
        sure_from: An answer less confident than this gives only its best three memories: a greeting is not worth a
            thousand tokens. 0 always fills the budget.
        templates: A folder with labels of one's own for the blocks, ``rules.md`` and so on.
    """

    max_tokens: int = 1200
    rules_share: float = 0.15
    identity_share: float = 0.2
    handover_share: float = 0.15
    recent_share: float = 0.1
    recent_turns: int = 6
    order: Order = "time"
    sure_from: float = 0.05
    templates: str | None = None

    def __post_init__(self) -> None:
        for name, least in (("max_tokens", 1), ("recent_turns", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ConfigError(f"context.{name} must be a whole number of at least {least}, not {value!r}.")
        for name in (*_SHARES, "sure_from"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ConfigError(f"context.{name} must be a number from 0 to 1, not {value!r}.")
        if (shared := sum(getattr(self, name) for name in _SHARES)) >= 1:
            raise ConfigError(f"context: the shares add up to {shared:g}, which leaves nothing for memories.")
        if self.order not in _ORDERS:
            raise ConfigError(f"context.order cannot be {self.order!r}.", hint=f"It takes: {', '.join(_ORDERS)}.")


@dataclass(frozen=True, slots=True)
class ContextQuery:
    """For what a context is wanted, and whose.

    Args:
        query: The user's last words; blank = nothing was said yet, so nothing is searched for.
        max_tokens: Never exceeded; unset = that of the options.
        as_of: As things stood in the world then. known_at: As the log knew it then.
        conversation: The messages just before, oldest first. The prompt holds them, so they do not come again.
        present: What else the prompt holds already.
        include_untrusted: Also what tools, web pages and unknown authors said, in a block apart.
        fence: Of the volatile text, 32 hex digits; unset = a new one, by which memory knows the text as its own where
            it comes back in a message.
    """

    query: str
    scope: Scope
    max_tokens: int | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    conversation: Sequence[Message] = ()
    present: Iterable[str] = ()
    include_untrusted: bool = False
    fence: str | None = None

    def __post_init__(self) -> None:
        require_text(self.query, "query")
        if not isinstance(self.scope, Scope):
            raise InvalidInput(f"scope must be a Scope, not {type(self.scope).__name__}.")
        if self.max_tokens is not None and (isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int)):
            raise InvalidInput(f"max_tokens must be a whole number, not {self.max_tokens!r}.")
        for name in ("as_of", "known_at"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, require_time(getattr(self, name), name))
        object.__setattr__(self, "conversation", checked_conversation(self.conversation))
        if isinstance(self.present, str):
            raise InvalidInput("present takes a list of texts, not one.", hint="Write present=[text].")
        object.__setattr__(self, "present", frozenset(text.strip() for text in self.present))

    @property
    def is_of_now(self) -> bool:
        return self.as_of is None and self.known_at is None

    @property
    def held(self) -> frozenset[str]:
        """Everything that the prompt holds already."""
        said = (message.content.strip() for message in self.conversation)
        return frozenset(self.present) | frozenset(said) | {self.query.strip()}


class ContextBuilder:
    """Builds contexts from one memory. May be shared by threads.

    Args:
        handovers: None = no session leaves anything to the next.
        counter: Counts what the budget is about.
        fence_key: The secret that fences are made with, the same in every process of a log.

    Raises:
        ConfigError: ``options.templates`` is no folder of labels.
    """

    def __init__(
        self,
        *,
        retriever: Retrieves,
        identities: KnowsWhoIsWho,
        handovers: KeepsHandovers | None,
        survey: TellsLastTurns,
        counter: TokenCounter,
        options: ContextOptions,
        clock: Clock,
        fence_key: bytes,
    ) -> None:
        self.options = options
        self._retriever = retriever
        self._identities = identities
        self._handovers = handovers
        self._survey = survey
        self._counter = counter
        self._clock = clock
        self._fences = Fences(fence_key)
        self._labels = labels(options.templates)
        self._openings: dict[str, int] = {}
        self._stable_texts: dict[tuple[Scope, int], _Stable] = {}

    def build(self, query: ContextQuery) -> Context:
        """What there is to have in mind for the query, within its budget.

        Raises:
            InvalidInput: the budget cannot hold even an empty block.
            BackendError: the log failed.
        """
        budget = self.options.max_tokens if query.max_tokens is None else query.max_tokens
        paper = Paper(
            checked_fence(self._fences.new() if query.fence is None else query.fence),
            self._counter,
            labels=self._labels,
            arrange=lambda entries: in_order(entries, self.options.order),
            openings=self._openings,
        )
        paper.require_room(budget)
        with self._retriever.at_once():
            stable = self._stable(query, budget)
            page = _Page(paper, budget - stable.tokens, stable.page.cited)
            self._add_recent(page, query, round(self.options.recent_share * budget))
            retrieval = self._found(query, page.room_in("memories"))
        facts = self._add_memories(page, query, stable, retrieval) if retrieval else []
        if not page.spent.get("recent") and (retrieval is None or retrieval.confidence < self.options.sure_from):
            # A greeting asks for nothing: what a session begins with is where the last one stopped.
            self._add_last_words(page, query, stable)

        tokens = 0

        def fits(volatile: str) -> bool:
            nonlocal tokens
            tokens = self._counter.count(_joined(stable.page.text, volatile))
            return tokens <= budget

        page.close(fits)
        return self._told(query, stable, page, retrieval, facts, tokens)

    def _told(
        self,
        query: ContextQuery,
        stable: _Stable,
        page: _Page,
        retrieval: Retrieval | None,
        facts: Iterable[Memory],
        tokens: int,
    ) -> Context:
        entries = [*stable.page.kept, *page.kept]
        shown = {memory.id: memory for entry in entries for memory in entry.rests_on}
        cited = {entry.line.citation for entry in entries}
        dropped = (*page.dropped(), *stable.page.dropped())
        return Context(
            query=query.query,
            stable=stable.page.text,
            volatile=page.text,
            tokens=tokens,
            tokens_estimated=not self._counter.is_exact,
            citations={short: id for short, id in page.cited.items() if short in cited},
            dropped=tuple(each for each in dropped if each.section == "handover" or each.id not in shown),
            min_integrity=least_trusted(shown.values()),
            spent=stable.page.spent | page.spent,
            told=_versions((*_holding(facts, self._clock()), *shown.values())),
            stable_tokens=stable.tokens,
            stable_told=_versions(memory for entry in stable.page.kept for memory in entry.rests_on),
            confidence=retrieval.confidence if retrieval else 0.0,
            degraded=retrieval.degraded if retrieval else None,
            fences=self._fences,
        )

    def drop_gone(self, scope: Scope) -> None:
        """Let go of what is kept of texts that this scope's memories may be in, so that nothing forgotten stays."""
        for key in list(self._stable_texts):
            if key[0].tenant == scope.tenant:
                self._stable_texts.pop(key, None)

    # --- the stable text --------------------------------------------------------------------------

    def _stable(self, query: ContextQuery, budget: int) -> _Stable:
        """The text of who is who; the one that was made before, as long as it rests on the same."""
        now = query.as_of or query.known_at or self._clock()
        lines = self._known_before(query, now)
        handover = self._handover(query, now)
        rests_on = (tuple(_state(line, now) for line in lines), handover and (handover.id, handover.version))
        kept = self._stable_texts.get((query.scope, budget))
        if kept is None or kept.rests_on != rests_on:
            kept = self._written(query.scope, lines, handover, now, budget, rests_on)
            if len(self._stable_texts) >= _KEPT:
                self._stable_texts.clear()
            self._stable_texts[query.scope, budget] = kept
        return kept

    def _known_before(self, query: ContextQuery, now: datetime) -> Sequence[IdentityLine]:
        """Who is who, without the facts that were learned since the session, as it sits now, began: it says them."""
        lines = self._identities.of(query.scope, as_of=query.as_of, known_at=query.known_at).lines
        if self._handovers is None or query.scope.session is None or not query.is_of_now:
            return lines
        begun = self._handovers.begun(query.scope, now)
        return lines if begun is None else [line for line in lines if not _is_learned_since(begun, line.memory)]

    def _handover(self, query: ContextQuery, now: datetime) -> Memory | None:
        if self._handovers is None or query.known_at is not None:
            return None
        handover = self._handovers.latest(query.scope, now)
        return handover if handover is not None and handover.trusted else None

    def _written(
        self,
        scope: Scope,
        lines: Sequence[IdentityLine],
        handover: Memory | None,
        now: datetime,
        budget: int,
        rests_on: object,
    ) -> _Stable:
        options = self.options
        of_rules, of_identity, of_handover = (
            round(share * budget) for share in (options.rules_share, options.identity_share, options.handover_share)
        )
        paper = Paper(self._fences.of(scope), self._counter, labels=self._labels, arrange=_as_known)
        page = _Page(paper, paper.frame + of_rules + of_identity + of_handover)
        entries = _identity_entries(lines, page.cited, now)
        rules, of_them, of_others = (
            [entry for entry in entries if is_one(entry)] for is_one in (_is_rule, _is_of_them, _is_of_others)
        )
        page.add(rules, "rules", page.room)
        left = max(of_identity - max(page.spent["rules"] - of_rules - paper.frame, 0), 0)
        # A small share must hold more than its heading.
        left += paper.opening("identity")
        page.add(of_them, "identity", left)
        # What is known of third persons is less of an identity.
        page.add(of_others, "identity", min(left - page.spent["identity"], of_identity // 2))
        told = [plain(entry.line.content).rstrip(".") for entry in page.kept]
        left_by_session = _handover_entries(handover, page.cited) if handover else []
        page.add([entry for entry in left_by_session if not _repeats(entry, told)], "handover", of_handover)
        page.close(lambda text: self._counter.count(text) <= page.limit)
        words = [plain(entry.line.content) for entry in page.kept]
        quoted: dict[str, str] = {}
        for entry, said in zip(page.kept, words, strict=True):
            id = page.cited[entry.line.citation]
            quoted[id] = f"{quoted.get(id, '')}\n{said}"
        return _Stable(page, self._counter.count(page.text), rests_on, frozenset(words), quoted)

    # --- the volatile text ------------------------------------------------------------------------

    def _add_recent(self, page: _Page, query: ContextQuery, share: int) -> None:
        """The turns just before that the prompt does not hold, the last one first as long as there is room."""
        if not query.is_of_now or not self.options.recent_turns:
            return
        session = query.scope.session
        turns = self._survey.last_turns(query.scope, session=session, limit=self.options.recent_turns)
        since = None if session else self._clock() - RECENTLY
        held = query.held
        shown = [
            Hit(turn, score=place, confidence=1.0)
            for place, turn in enumerate(turns)
            if (turn.trusted or query.include_untrusted)
            and turn.content.strip() not in held
            and (since is None or turn.occurred_at >= since)
        ]
        page.add([_as_recent(entry) for entry in _best_first(folded(shown, page.cited))], "recent", share)

    def _add_last_words(self, page: _Page, query: ContextQuery, stable: _Stable) -> None:
        """The last turns of whatever session, where this one has none yet and nothing was asked for."""
        if not query.is_of_now or not self.options.recent_turns:
            return
        told = {memory.id for entry in (*stable.page.kept, *page.kept) for memory in entry.said}
        turns = self._survey.last_turns(query.scope, session=None, limit=self.options.recent_turns)
        last = [
            Hit(turn, score=place, confidence=1.0)
            for place, turn in enumerate(turns)
            if turn.trusted and turn.id not in told and turn.content.strip() not in query.held
        ]
        page.add([_as_recent(entry) for entry in _best_first(folded(last, page.cited))], "recent", page.room)

    def _found(self, query: ContextQuery, room: int) -> Retrieval | None:
        if not query.query.strip() or room < 1:
            return None
        question = Question(
            query=query.query,
            scope=query.scope,
            k=room // _LEAST_LINE + 1,
            max_tokens=room * _ROOMS,
            max_each=room,
            as_of=query.as_of,
            known_at=query.known_at,
            conversation=tuple(query.conversation),
            include_untrusted=query.include_untrusted,
            neighbours=False,
        )
        return self._retriever.retrieve(question)

    def _add_memories(self, page: _Page, query: ContextQuery, stable: _Stable, retrieval: Retrieval) -> list[Memory]:
        """What was found and stands nowhere else yet, the best first as long as there is room; the facts it gave."""
        held = query.held
        said, quoted = stable.said, stable.quoted
        told = {memory.id for entry in (*stable.page.kept, *page.kept) for memory in entry.said}
        repeated = {sameness(entry.memory) for entry in page.kept}
        hits = [
            (same, hit)
            for hit in retrieval.hits
            if (hit.memory.trusted or query.include_untrusted)
            and hit.id not in told
            and hit.content.strip() not in held
            and (same := sameness(hit.memory)) not in repeated
            and same[-1] not in said
            and not (hit.id in quoted and same[-1] in quoted[hit.id])
        ]
        if retrieval.confidence < self.options.sure_from:
            hits = hits[:_HITS_WHEN_UNSURE]
        page.add(page.worthiest_first(entries_of(hits, page.cited)), "memories", page.room)
        return [fact for _, hit in hits for fact in hit.facts]


class _Page:
    """A text of a context as it fills: what was wanted in it, most important first, and what there is room for."""

    def __init__(self, paper: Paper, limit: int, cited: Mapping[str, str] | None = None) -> None:
        self.limit = limit
        self.cited = dict(cited or {})
        self.kept: list[Entry] = []
        self.text = ""
        self.spent: dict[str, int] = {}
        self._paper = paper
        self._wanted: list[tuple[ContextSection, Entry]] = []

    @property
    def room(self) -> int:
        return max(self.limit - self._paper.spent, 0)

    def room_in(self, block: str) -> int:
        """Tokens that are left for the lines of a block."""
        return max(self.room - self._paper.opening(block), 0)

    def worthiest_first(self, entries: Iterable[Entry]) -> list[Entry]:
        """The entries by their scores for the room that they take."""
        return sorted(
            entries, key=lambda entry: entry.score / max(self._paper.cost(entry), 1) ** _BREVITY, reverse=True
        )

    def add(self, entries: Sequence[Entry], section: ContextSection, allowance: int) -> None:
        """Take what fits, the most important first; one that is too long makes room for shorter ones."""
        before = self._paper.spent
        limit = min(before + allowance, self.limit)
        self.kept += [entry for entry in entries if self._paper.take(entry, limit)]
        self._wanted += [(section, entry) for entry in entries]
        self.spent[section] = self.spent.get(section, 0) + self._paper.spent - before

    def close(self, fits: Callable[[str], bool]) -> None:
        """Write the text, without the last entries where it does not fit as a whole."""
        self.text, self.kept = self._paper.text_within(fits, self.kept)

    def dropped(self) -> Iterator[Dropped]:
        """What was wanted and is not there, least important first."""
        there = {id(entry) for entry in self.kept}
        for section, entry in reversed(self._wanted):
            if id(entry) not in there:
                yield Dropped(entry.memory.id, section, self._paper.cost(entry))


class _Stable(NamedTuple):
    """A stable text with the state of what it rests on."""

    page: _Page
    tokens: int
    rests_on: object
    said: frozenset[str]
    quoted: Mapping[str, str]
    """The plain words of the lines, by the id that they cite."""


def _joined(stable: str, volatile: str) -> str:
    return "\n\n".join(filter(None, (stable, volatile)))


# --- lines of the stable text ---------------------------------------------------------------------


def _identity_entries(lines: Iterable[IdentityLine], cited: dict[str, str], now: datetime) -> list[Entry]:
    """A line for each that says something of its own and is not done with, most important first."""
    said: dict[str, Entry] = {}
    for line in sorted(lines, key=lambda line: _known(line.memory)):
        if line.memory.trusted and line.state != "closed":
            entry = _identity_entry(line, cite(line.id, cited), now)
            same = said.setdefault(plain(line.content), entry)
            said[plain(line.content)] = replace(same, score=max(same.score, entry.score))
    return _best_first(said.values())


def _identity_entry(line: IdentityLine, citation: str, now: datetime) -> Entry:
    memory = line.memory
    is_rule = line.section == "rules" and _may_rule(memory)
    rendered = RenderedLine(
        block="rules" if is_rule else "identity",
        day=memory.occurred_at.date(),
        citation=citation,
        content=line.content,
        integrity=memory.integrity if is_rule else None,
        about=None if is_rule else line.section,
        upcoming=memory.valid_from.date() if _is_upcoming(line, now) else None,
        state=line.state,
        due=line.due.date() if line.due else None,
    )
    return Entry(rendered, (memory,), score=_weight(line))


def _is_learned_since(begun: datetime, memory: Memory) -> bool:
    """Whether a fact was said, or first told, since then; of a later version only the former can be seen."""
    is_told_since = memory.version == 1 and memory.recorded_from >= begun
    return memory.kind == "fact" and (memory.occurred_at >= begun or is_told_since)


def _is_rule(entry: Entry) -> bool:
    return entry.line.block == "rules"


def _is_of_them(entry: Entry) -> bool:
    """Whether it is of the person or the agent, or somebody thought it worth writing down."""
    fact = entry.memory.fact
    return not _is_rule(entry) and (fact is None or entry.line.state is not None or fact.subject in _THEM)


def _is_of_others(entry: Entry) -> bool:
    return not _is_rule(entry) and not _is_of_them(entry)


def _may_rule(memory: Memory) -> bool:
    """Whether its words may be followed: the operator's, and what a user asked for themselves."""
    is_own = memory.fact is None or memory.fact.subject == "user"
    return memory.integrity in ("operator", "user") and is_own


def _weight(line: IdentityLine) -> float:
    """How important it is that a line is there: the operator's rules, who the agent is, what else was written by hand,
    a name, an open promise; then by importance."""
    memory = line.memory
    weight = 0.5 if memory.importance is None else memory.importance
    if memory.fact is None:
        is_operators_rule = line.section == "rules" and memory.integrity == "operator"
        return weight + (5 if is_operators_rule else 4 if line.section == "persona" else 3)
    return weight + (2 if memory.fact.attribute == "name" else 1 if line.state else 0)


def _is_upcoming(line: IdentityLine, now: datetime) -> bool:
    return line.state is None and line.memory.valid_from > now


def _handover_entries(handover: Memory, cited: dict[str, str]) -> list[Entry]:
    """A line for each of the hand-over's, which cites the first turn it stands on."""
    contents = handover.content.split("\n")
    ids, about = (_listed(handover, name, len(contents)) for name in ("lines", "about"))
    return [
        Entry(
            RenderedLine(
                block="handover",
                day=handover.occurred_at.date(),
                citation=cite(stands_on[0] if _is_ids(stands_on) else handover.id, cited),
                content=content,
                about=topic if isinstance(topic, str) and re.fullmatch("[a-z][a-z-]{0,23}", topic) else None,
            ),
            (handover,),
        )
        for content, stands_on, topic in zip(contents, ids, about, strict=True)
        if content.strip()
    ]


def _repeats(entry: Entry, told: Sequence[str]) -> bool:
    """Whether a line says what another told, with the day of a promise behind it at most."""
    words = plain(entry.line.content).rstrip(".")
    return any(words == said or words.startswith(f"{said} (") for said in told if said)


def _listed(memory: Memory, name: str, length: int) -> Sequence[Any]:
    """What the metadata lists for each line; Nones if it lists something else."""
    listed = memory.metadata.get(name)
    return listed if isinstance(listed, Sequence) and len(listed) == length else [None] * length


def _is_ids(value: object) -> TypeGuard[Sequence[str]]:
    return isinstance(value, Sequence) and not isinstance(value, str) and bool(value) and isinstance(value[0], str)


# --- order and state ------------------------------------------------------------------------------


def _as_known(entries: Iterable[Entry]) -> list[Entry]:
    """The agent's own first, the others as they came to be known: what is new stands behind what was there."""
    return sorted(entries, key=lambda entry: _known(entry.memory))


def _known(memory: Memory) -> tuple[Any, ...]:
    return memory.scope.user is not None, *age(memory)


def _best_first(entries: Iterable[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: (entry.score, age(entry.memory)), reverse=True)


def _as_recent(entry: Entry) -> Entry:
    return entry if entry.line.block == "untrusted" else replace(entry, line=replace(entry.line, block="recent"))


def _state(line: IdentityLine, now: datetime) -> tuple[object, ...]:
    """Equal as long as the line reads the same."""
    return line.id, line.memory.version, line.section, line.state, line.due, _is_upcoming(line, now)


def _versions(memories: Iterable[Memory]) -> dict[str, int]:
    return {memory.id: memory.version for memory in memories}


def _holding(facts: Iterable[Memory], now: datetime) -> Iterator[Memory]:
    """The facts that ``list`` shows as well: they hold, and restate no other."""
    for fact in facts:
        if (fact.valid_to is None or fact.valid_to > now) and (fact.fact is None or fact.fact.restates is None):
            yield fact
