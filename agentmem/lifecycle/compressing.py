"""Summaries: fewer tokens beside the turns, never instead of them.

Four levels, none of which replaces another's: of a ``session``; of a ``week`` (ISO 8601, UTC), from the summaries of
its sessions and the turns that are in none; of a ``topic``, from the turns that name it; and the ``handover`` from one
session to the next. Each is derived from everything it was made from, goes with any of it, and is then made again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Final, Protocol, Self

from agentmem.errors import AgentMemError, MemoryNotFound, UnderHold
from agentmem.interfaces import CompressedLine, CompressionRequest, Compressor, EpisodicLog, LogQuery, Task
from agentmem.lifecycle.compression_rules import SUMMARY_TOKENS
from agentmem.lifecycle.digests import Piece, topics_in, week_of, weeks_in
from agentmem.lifecycle.jobs import Pause, Stopped
from agentmem.records import Finding, Memory, Scope, Turn
from agentmem.retrieval.listing import matching

_MOST_SOURCES: Final = 10_000
"""As many memories as one may be derived from: of a longer session the last ones are summarised."""
_TASKS_AT_ONCE: Final = 10_000
_SUMMARISE: Final = "summarise"
"""The log's name for the work that it leaves when a summary had to go."""
_WRITTEN_BY: Final = "compressor"
_RECIPE: Final = re.compile(rf"{_SUMMARISE}:(.*):([a-z]+):([1-9]\d{{0,8}}):(\d{{1,9}})", re.ASCII)
"""An import may have brought anything."""
_ASKED_ABOUT_AT_ONCE: Final = 500


class Store(Protocol):
    """Stores a turn in a scope, as any memory is stored."""

    def __call__(self, turn: Turn, /, *, scope: Scope, written_by: str) -> Memory: ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a summary is made. The summary keeps it as its ``written_by``, so that it can be made again alike.

    Args:
        level: ``session``, ``week``, ``topic`` or ``handover``.
        max_tokens: Longest summary.
        keep_last: Turns at the end of a session that are left out, because they are still shown as they were said.
        by: The compressor's name.
    """

    level: str = "session"
    max_tokens: int = SUMMARY_TOKENS
    keep_last: int = 0
    by: str = ""

    @property
    def written_by(self) -> str:
        return f"{_WRITTEN_BY}:{self.by}:{self.level}:{self.max_tokens}:{self.keep_last}"

    @classmethod
    def of_task(cls, task: Task) -> Self:
        """The recipe of the summary that had to go; what no compressor wrote is made as if asked for."""
        kept = _RECIPE.fullmatch(task.job)
        if kept is None:
            return cls()
        by, level, max_tokens, keep_last = kept.groups()
        return cls(level, int(max_tokens), int(keep_last), by)


Make = Callable[[Sequence[Memory]], Turn | None]
"""The summary of these memories, as ``summary_turn`` makes one; None if they tell nothing."""
Maker = Callable[[Scope, Recipe], Sequence[Memory]]
"""Makes the summaries of one level of exactly this scope (its session None: of turns without one, or of all)."""


def level_of(summary: Memory) -> str:
    """Its level; without one it is of a session."""
    return str(summary.metadata.get("level", "session"))


def by_session(turns: Iterable[Memory]) -> list[list[Memory]]:
    """The trusted turns, apart by owner and session: a summary mixes neither layers nor integrity."""
    sessions: dict[Scope, list[Memory]] = {}
    for turn in turns:
        if turn.trusted:
            sessions.setdefault(turn.scope, []).append(turn)
    return list(sessions.values())


def summary_turn(lines: Sequence[CompressedLine], sources: Sequence[Memory], **metadata: object) -> Turn | None:
    """A summary of these lines, made from these sources; None without lines.

    Args:
        metadata: Beside ``lines``, the ids that each line of the content cites.
    """
    if not lines:
        return None
    stood_in = next((line.by for line in lines if line.by), None)
    by = {"by": stood_in} if stood_in else {}
    return Turn(
        "\n".join(_LINE_BREAK.sub(" ", line.text) for line in lines),
        kind="summary",
        role="assistant",
        occurred_at=max(source.occurred_at for source in sources),
        # What it quotes must not outlive its time here.
        expires_at=min((source.expires_at for source in sources if source.expires_at), default=None),
        derived_from=tuple(source.id for source in sources),
        metadata={**metadata, **by, "lines": [list(line.derived_from) for line in lines]},
    )


_LINE_BREAK: Final = re.compile(r"\s*\n\s*")


class Summaries:
    """Keeps the summaries of every level, at most one of each thing."""

    def __init__(self, log: EpisodicLog, *, store: Store) -> None:
        self._log = log
        self._store = store

    def kept(
        self,
        scope: Scope,
        recipe: Recipe,
        sources: Sequence[Memory],
        make: Make,
        *,
        about: str | None = None,
        before: Sequence[Memory] | None = None,
    ) -> Memory | None:
        """The summary of the sources: the one that is there if it was made of them alike, else a new one in its place.

        Args:
            about: The week or topic, where the scope has one summary for each; under the level's name in its metadata.
            before: What ``standing`` would find, where that is known: it looks through the whole partition.
        """
        sources = sources[-_MOST_SOURCES:]
        if not sources:
            return None
        before = self.standing(scope, recipe.level, about) if before is None else before
        for summary in before:
            if is_made_of(summary, sources, recipe):
                return summary
        made = make(sources)
        if made is None:
            return None
        metadata = {**(made.metadata or {}), "level": recipe.level} | ({recipe.level: about} if about else {})
        try:
            summary = self._store(replace(made, metadata=metadata), scope=scope, written_by=recipe.written_by)
        except MemoryNotFound:
            # One of the sources was forgotten meanwhile: again, without it.
            return self.kept(scope, recipe, self._still_there(sources), make, about=about)
        self.remove(before)
        return summary

    def standing(self, scope: Scope, level: str, about: str | None = None) -> list[Memory]:
        """The current summaries of exactly this scope and level, of anything or about this."""
        query = LogQuery(scope=scope, writable=True, kinds=frozenset({"summary"}), session=scope.session)
        # A scope without an agent, or without a session, reads those of others too.
        own = (summary for summary in self._log.read(query) if summary.scope == scope and level_of(summary) == level)
        return [summary for summary in own if about is None or summary.metadata.get(level) == about]

    def remove(self, summaries: Iterable[Memory]) -> None:
        for summary in summaries:
            with suppress(MemoryNotFound):  # another one replaced it meanwhile
                try:
                    self._log.erase(summary.scope, [summary.id], mode="erase")
                except UnderHold:
                    self._log.erase(summary.scope, [summary.id], mode="retire")

    def _still_there(self, sources: Sequence[Memory]) -> list[Memory]:
        query = LogQuery(scope=sources[0].scope, ids=tuple(source.id for source in sources))
        there = {memory.id for memory in self._log.read(query)}
        return [source for source in sources if source.id in there]


def is_made_of(summary: Memory, sources: Sequence[Memory], recipe: Recipe) -> bool:
    """Whether the summary was made of exactly these versions, in this way."""
    return (
        summary.written_by == recipe.written_by
        # What another compressor made in its place may be made better by now.
        and "by" not in summary.metadata
        and summary.derived_from == tuple(source.id for source in sources)
        and all(source.recorded_from <= summary.recorded_from for source in sources)
    )


class Summarising:
    """Summarises the turns of a scope, with a compressor that is made when it is first needed.

    Args:
        compressor: Makes it: most programs never compress.
        readable: The query without what has expired.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        compressor: Callable[[], Compressor],
        store: Store,
        readable: Callable[[LogQuery], LogQuery],
    ) -> None:
        self._log = log
        self._compressor = cache(compressor)
        self._readable = readable
        self.summaries = Summaries(log, store=store)
        self.makers: Mapping[str, Maker] = {"session": self._session, "week": self._weeks, "topic": self._topics}
        """Of each level, what makes it again."""

    def of_scope(self, scope: Scope, recipe: Recipe | None = None) -> list[Memory]:
        """The summaries of the scope's session (and the weeks that it was in), or of all its sessions."""
        recipe = recipe or Recipe()
        session = scope.session if recipe.level == "session" else None
        turns = [turn for turn in self._read(scope, "turn", session=session) if turn.trusted and turn.is_said]
        if recipe.level == "session":
            return _made(self._of_session(session, recipe) for session in by_session(turns))
        owners = dict.fromkeys(replace(turn.scope, session=None) for turn in turns)
        made = [summary for owner in owners for summary in self.makers[recipe.level](owner, recipe)]
        if recipe.level == "week" and scope.session is not None:
            weeks = {week_of(turn.occurred_at) for turn in turns if turn.scope.session == scope.session}
            return [summary for summary in made if summary.metadata["week"] in weeks]
        return made

    def turns_of(self, owner: Scope, session: str | None = None) -> Iterator[Memory]:
        """The trusted turns of exactly this owner, of one session or of all, in the order stored."""
        return (turn for turn in self._of_owner(owner, "turn", session) if turn.trusted and turn.is_said)

    def held(self, owner: Scope, session: str | None = None) -> set[str]:
        """Ids of what the summaries of the session, or of all sessions, were made from."""
        summaries = (each for each in self._of_owner(owner, "summary", session) if level_of(each) == "session")
        return {id for summary in summaries for id in summary.derived_from}

    # --- the levels -------------------------------------------------------------------------------

    def _session(self, scope: Scope, recipe: Recipe) -> list[Memory]:
        owner = replace(scope, session=None)
        turns = (turn for turn in self.turns_of(owner, scope.session) if turn.scope == scope)
        return _made(self._of_session(session, recipe) for session in by_session(turns))

    def _of_session(self, turns: Sequence[Memory], recipe: Recipe) -> Memory | None:
        before = turns[: max(len(turns) - recipe.keep_last, 0)]
        return self._kept(turns[0].scope, recipe, before, lambda sources: self._compressed(sources, recipe))

    def _weeks(self, owner: Scope, recipe: Recipe) -> list[Memory]:
        turns = list(self.turns_of(owner))
        sessions = [each for each in self._of_owner(owner, "summary") if level_of(each) == "session"]
        # All of them: a line that a session's summary now has room for may be of another week.
        return _made(self._of_week(owner, recipe, *week) for week in weeks_in(turns, sessions).items())

    def _of_week(self, owner: Scope, recipe: Recipe, week: str, pieces: Sequence[Piece]) -> Memory | None:
        def make(sources: Sequence[Memory]) -> Turn | None:
            there = {source.id for source in sources}
            left = {piece.memory.id: piece for piece in pieces if piece.source.id in there}
            lines = self._lines([piece.memory for piece in left.values()], recipe)
            cited = (dict.fromkeys(id for place in line.derived_from for id in left[place].cites) for line in lines)
            whole = [replace(line, derived_from=tuple(ids)) for line, ids in zip(lines, cited, strict=True)]
            return summary_turn(whole, sources)

        sources = list({piece.source.id: piece.source for piece in pieces}.values())
        return self._kept(owner, recipe, sources, make, about=week)

    def _topics(self, owner: Scope, recipe: Recipe) -> list[Memory]:
        found = topics_in(list(self.turns_of(owner)))
        gone = (each for each in self.summaries.standing(owner, "topic") if each.metadata.get("topic") not in found)
        self.summaries.remove(list(gone))
        return _made(
            self._kept(owner, recipe, turns, lambda sources: self._compressed(sources, recipe), about=topic)
            for topic, turns in found.items()
        )

    # --- compressing ------------------------------------------------------------------------------

    def _kept(
        self, scope: Scope, recipe: Recipe, sources: Sequence[Memory], make: Make, *, about: str | None = None
    ) -> Memory | None:
        recipe = replace(recipe, by=self._compressor().name)
        return self.summaries.kept(scope, recipe, sources, make, about=about)

    def _compressed(self, turns: Sequence[Memory], recipe: Recipe) -> Turn | None:
        return summary_turn(self._lines(turns, recipe), turns)

    def _lines(self, memories: Sequence[Memory], recipe: Recipe) -> Sequence[CompressedLine]:
        return self._compressor().compress(CompressionRequest(memories, recipe.max_tokens, self._facts_of(memories)))

    # --- reading ----------------------------------------------------------------------------------

    def _facts_of(self, memories: Sequence[Memory]) -> list[Memory]:
        """The facts that were read from these, as far as they hold."""
        owner = replace(memories[0].scope, session=None)
        query = self._readable(LogQuery(owner, writable=True, kinds=frozenset({"fact"})))
        found: dict[str, Memory] = {}
        for start in range(0, len(memories), _ASKED_ABOUT_AT_ONCE):
            ids = tuple(memory.id for memory in memories[start : start + _ASKED_ABOUT_AT_ONCE])
            found |= {fact.id: fact for fact in self._log.read(replace(query, derived_from=ids))}
        return [fact for fact in found.values() if fact.trusted and fact.valid_to is None]

    def _read(self, scope: Scope, kind: str, *, session: str | None) -> Iterator[Memory]:
        query = LogQuery(scope=scope, writable=True, kinds=frozenset({kind}), session=session)
        return matching(self._log, self._readable(query), None)

    def _of_owner(self, owner: Scope, kind: str, session: str | None = None) -> Iterator[Memory]:
        """Those of exactly this owner: one without an agent reads those of every agent."""
        found = self._read(owner, kind, session=session)
        return (each for each in found if replace(each.scope, session=None) == owner)


def _made(summaries: Iterable[Memory | None]) -> list[Memory]:
    return [summary for summary in summaries if summary is not None]


class Resummarising:
    """Makes summaries again that went with something they were made from, as a job behind the log.

    Args:
        makers: Of each level, what makes it.
    """

    is_needed = True

    def __init__(self, log: EpisodicLog, *, makers: Mapping[str, Maker]) -> None:
        self._log = log
        self._makers = makers
        self._trouble = ""

    def run(self, pause: Pause) -> bool:
        """Make what waits for it; True if nothing is left."""
        self._trouble = ""
        # Weeks are made from sessions.
        for task in sorted(self._waiting(), key=lambda task: Recipe.of_task(task).level == "week"):
            try:
                self._carry_out(task)
            except AgentMemError as error:
                self._trouble = error.message
            if pause(0):
                raise Stopped
        return not self._trouble

    def check(self) -> list[Finding]:
        """What ``verify`` reports: trouble, if there was any."""
        if not self._trouble:
            return []
        return [Finding("summaries", False, self._trouble, "It is tried again on its own.")]

    def after_fork(self) -> None:
        return

    def _waiting(self) -> Sequence[Task]:
        try:
            return self._log.tasks(_SUMMARISE, limit=_TASKS_AT_ONCE)
        except AgentMemError as error:
            self._trouble = error.message
            return ()

    def _carry_out(self, task: Task) -> None:
        made = self._make(task)
        self._log.finish(task)
        while self._is_gone(made):
            # A source was forgotten before the task was finished, which was its task too.
            made = self._make(task)

    def _make(self, task: Task) -> list[Memory]:
        recipe = Recipe.of_task(task)
        make = self._makers.get(recipe.level, _nothing)
        heads = (head for head in self._log.all_heads() if head.partition == task.partition)
        scopes = (
            Scope(user=head.user, agent=head.agent, session=task.key or None, tenant=head.tenant) for head in heads
        )
        return [summary for scope in scopes for summary in make(scope, recipe)]

    def _is_gone(self, made: Sequence[Memory]) -> bool:
        return any(not self._log.read(LogQuery(scope=each.scope, ids=(each.id,))) for each in made)


def _nothing(scope: Scope, recipe: Recipe) -> Sequence[Memory]:
    """What a newer version has written, it also makes again."""
    return ()
