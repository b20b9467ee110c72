"""Who is who: the agent, the person, what stands between them, read from rules, hand-written lines and facts.

Nothing of it is stored as such. An identity follows from the memories that hold, so it changes, looks back and is
forgotten with them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple, Protocol

from agentmem.clock import Clock
from agentmem.errors import InvalidInput
from agentmem.extractors.attributes import DUE
from agentmem.extractors.vocabulary import words
from agentmem.records import (
    IDENTITY_SECTIONS,
    Draft,
    Fact,
    ForgetMode,
    Identity,
    IdentityLine,
    IdentitySection,
    Integrity,
    Kind,
    LoopState,
    Memory,
    Receipt,
    Scope,
    Turn,
    require_text,
    require_time,
)
from agentmem.registry import did_you_mean
from agentmem.retrieval.survey import Survey

SECTION_OF: Final[Mapping[str, IdentitySection]] = {
    "instruction": "rules",
    "likes": "preferences",
    "favourite": "preferences",
    "commitment": "commitments",
    "plan": "commitments",
}
"""The section of a fact by its attribute; every other attribute belongs to the profile."""
SHOWN_CLOSED: Final = timedelta(days=7)
"""How long a commitment that was closed is still shown, as closed."""
LET_GO: Final = timedelta(days=90)
"""How long after it was due, or undated after it was made, what nobody closed is still shown."""
_OWED: Final = words(
    "send call email text write message reply pay return finish submit hand book renew sign deliver bring ask tell"
)
"""Verbs of plans that somebody waits for: once their day is past they are overdue, where a trip is only over."""
_KINDS: Final = frozenset({"rule", "identity", "fact"})
_PLACE: Final = {section: place for place, section in enumerate(IDENTITY_SECTIONS)}
_HAND_WRITTEN: Final = frozenset(IDENTITY_SECTIONS) - {"rules"}


class Writer(Protocol):
    """Those verbs of a manager that keep what is written by hand."""

    def drafts(self, items: Iterable[Turn], /, *, scope: Scope) -> Sequence[Draft]: ...

    def store_drafts(self, drafts: Sequence[Draft], /, *, scope: Scope) -> Sequence[Memory]: ...

    def update(self, id: str, /, *, scope: Scope, content: str, reason: str | None) -> Memory: ...

    def forget(self, ids: Sequence[str], /, *, scope: Scope, mode: ForgetMode, reason: str | None) -> Receipt: ...


class Identities:
    """Identities by scope. Keeps nothing of its own."""

    def __init__(self, survey: Survey, *, clock: Clock) -> None:
        self._survey = survey
        self._clock = clock

    def of(self, scope: Scope, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Identity:
        """Who is who in what the scope reads.

        Args:
            as_of: As things stood in the world then. known_at: As the log knew it then.
        """
        as_of = None if as_of is None else require_time(as_of, "as_of")
        known_at = None if known_at is None else require_time(known_at, "known_at")
        now = as_of or known_at or self._clock()
        memories = self._survey.held(scope, _KINDS, as_of=as_of, known_at=known_at, ended_since=now - SHOWN_CLOSED)
        if as_of is not None:
            ahead = self._survey.held(scope, {"fact"}, known_at=known_at, ended_since=as_of)
            memories = [*memories, *(each for each in ahead if each.valid_from > as_of >= each.occurred_at)]
        return identity_of(memories, scope=scope, now=now)

    def set(
        self,
        section: IdentitySection,
        lines: str | Sequence[str],
        *,
        scope: Scope,
        writer: Writer,
        reason: str | None = None,
        integrity: Integrity = "operator",
    ) -> None:
        """Have exactly these lines of a section written by hand in the layer of the scope; see ``rewriting``.

        What is new is stored first, all or none; only then what is changed, and last what is gone. If it breaks in
        between, lines that should have gone may still stand, none is lost, and the same call again finishes it.
        """
        if section not in IDENTITY_SECTIONS:
            hint = did_you_mean(str(section), IDENTITY_SECTIONS) or f"It takes: {', '.join(IDENTITY_SECTIONS)}."
            raise InvalidInput(f"There is no section {section!r} of an identity.", hint=hint)
        rewriting = rewritten(self._written(section, scope), _checked(lines))
        turns = [_written_line(section, line, integrity) for line in rewriting.added]
        if turns:
            drafts = writer.drafts(turns, scope=scope)
            writer.store_drafts([replace(draft, reason=reason) for draft in drafts], scope=scope)
        for memory, line in rewriting.changed:
            writer.update(memory.id, scope=scope, content=line, reason=reason)
        if rewriting.gone:
            writer.forget([memory.id for memory in rewriting.gone], scope=scope, mode="retire", reason=reason)

    def _written(self, section: IdentitySection, scope: Scope) -> Sequence[Memory]:
        """What is written by hand in this section of the scope's own layer."""
        held = self._survey.held(scope, {"rule" if section == "rules" else "identity"})
        own = [each for each in held if (each.scope.user, each.scope.agent) == (scope.user, scope.agent)]
        return own if section == "rules" else [each for each in own if _written_section(each) == section]


class Rewriting(NamedTuple):
    """What turns the lines that stand into those that are wanted; a line that is both stays as it is."""

    added: Sequence[str]
    changed: Sequence[tuple[Memory, str]]
    gone: Sequence[Memory]


def rewritten(standing: Sequence[Memory], wanted: Sequence[str]) -> Rewriting:
    """How to come from the one to the other: as many other lines as went are those lines, changed, in their order."""
    said = {memory.content for memory in standing}
    gone = [memory for memory in standing if memory.content not in wanted]
    added = [line for line in wanted if line not in said]
    if len(gone) == len(added):
        return Rewriting((), list(zip(gone, added, strict=True)), ())
    return Rewriting(added, (), gone)


def _checked(lines: str | Sequence[str]) -> Sequence[str]:
    """The lines, each once; of one text its lines that are not blank, one at least."""
    if isinstance(lines, str):
        lines = [line for line in lines.splitlines() if line.strip()] or [lines]
    if not isinstance(lines, Sequence):
        raise InvalidInput(f"lines must be a text or a list of texts, not {type(lines).__name__}.")
    for line in lines:
        if not require_text(line, "a line of an identity").strip():
            raise InvalidInput("A line of an identity is blank.", hint="Leave it out; [] removes every line.")
    return list(dict.fromkeys(line.strip() for line in lines))


def _written_line(section: IdentitySection, line: str, integrity: Integrity) -> Turn:
    kind: Kind = "rule" if section == "rules" else "identity"
    return Turn(line, role="system", kind=kind, metadata={"section": section}, integrity=integrity)


def identity_of(memories: Iterable[Memory], *, scope: Scope, now: datetime) -> Identity:
    """The identity that these memories make, in the order of the sections and within one in theirs.

    Left out: what is not trusted, what only says that something ended, and loops that are long past.

    Args:
        memories: Of every kind; those that hold no longer count as closed commitments if they are commitments.
    """
    lines = [line for memory in memories if memory.trusted and (line := _line(memory, now)) is not None]
    lines.sort(key=lambda line: (_PLACE[line.section], line.state == "closed"))
    return Identity(scope, tuple(lines), now)


def _line(memory: Memory, now: datetime) -> IdentityLine | None:
    if memory.kind == "rule":
        return IdentityLine("rules", memory.content, memory)
    if memory.kind == "identity":
        return IdentityLine(_written_section(memory), memory.content, memory)
    if memory.fact is None or memory.fact.polarity == "ended":
        return None
    section = _section(memory.fact)
    if section == "commitments":
        return _loop(memory, memory.fact, now)
    is_over = memory.valid_to is not None and memory.valid_to <= now
    if is_over or memory.valid_from > max(now, memory.occurred_at):
        return None
    return IdentityLine(section, memory.content, memory)


def _written_section(memory: Memory) -> IdentitySection:
    """The section a hand-written line names; the agent's own are its persona, others the person's profile."""
    section = memory.metadata.get("section")
    if section in _HAND_WRITTEN:
        return next(each for each in IDENTITY_SECTIONS if each == section)
    return "persona" if memory.scope.user is None else "profile"


def _section(fact: Fact) -> IdentitySection:
    section = SECTION_OF.get(fact.attribute.casefold(), "profile")
    if section == "rules" and not _may_rule(fact):
        section = "preferences"
    if fact.subject == "assistant" and section != "commitments":
        return "persona"
    # What a third person likes is no wish of whom the agent talks to.
    return "profile" if section == "preferences" and fact.subject != "user" else section


def _may_rule(fact: Fact) -> bool:
    """Whether a wish that was read may be followed: one about how to answer is; a rule for deeds is written by hand."""
    from agentmem.extractors.manner import may_rule

    return may_rule(fact.value, fact.polarity)


def _loop(memory: Memory, fact: Fact, now: datetime) -> IdentityLine | None:
    if fact.polarity != "affirmed":
        return None
    due = due_of(memory)
    state: LoopState = "open"
    since, shown_for = due or memory.valid_from, LET_GO
    is_owed = fact.attribute.casefold() != "plan" or fact.value.split()[0].casefold() in _OWED
    # A plan that is given up before its day ends where it would have begun.
    if memory.valid_to is not None and memory.valid_to <= max(now, memory.valid_from):
        state, since, shown_for = "closed", memory.valid_to, SHOWN_CLOSED
    elif due is not None and due < now:
        state, shown_for = "overdue", LET_GO if is_owed else timedelta(0)
    if now - since > shown_for:
        return None
    return IdentityLine("commitments", memory.content, memory, state=state, due=due)


def due_of(deed: Memory) -> datetime | None:
    """When a commitment is due, or a plan is for: what its metadata says, else when it begins if that lay ahead."""
    said = deed.metadata.get(DUE)
    if isinstance(said, str):
        with suppress(ValueError):
            due = datetime.fromisoformat(said)
            if due.tzinfo is not None:
                return due
    begins = deed.valid_from
    if begins <= deed.occurred_at:
        return None
    is_a_day = begins.time() == time.min
    return begins + timedelta(days=1, seconds=-1) if is_a_day else begins
