"""Summaries of sessions: fewer tokens beside the turns, never instead of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Final, Protocol

from agentmem.errors import AgentMemError, MemoryNotFound, UnderHold
from agentmem.interfaces import CompressedLine, CompressionRequest, Compressor, EpisodicLog, LogQuery, Task
from agentmem.lifecycle.jobs import Pause, Stopped
from agentmem.records import Finding, Memory, Scope, Turn
from agentmem.retrieval.listing import matching

SUMMARY_TOKENS: Final = 200
"""Longest summary of a session where nobody says otherwise."""
_TASKS_AT_ONCE: Final = 10_000
_SUMMARISE: Final = "summarise"
"""The log's name for the work that it leaves when a summary had to go."""


class Store(Protocol):
    """Stores a turn in a scope, as any memory is stored."""

    def __call__(self, turn: Turn, /, *, scope: Scope) -> Memory: ...


def by_session(turns: Iterable[Memory]) -> list[list[Memory]]:
    """The trusted turns, apart by owner and session: a summary mixes neither layers nor integrity."""
    sessions: dict[Scope, list[Memory]] = {}
    for turn in turns:
        if turn.trusted:
            sessions.setdefault(turn.scope, []).append(turn)
    return list(sessions.values())


class Summaries:
    """Keeps one ``summary`` memory per session, as a compressor makes it."""

    def __init__(self, log: EpisodicLog, *, compressor: Compressor, store: Store) -> None:
        self._log = log
        self._compressor = compressor
        self._store = store

    def of_session(self, turns: Sequence[Memory], *, max_tokens: int) -> Memory | None:
        """The session's summary: the one that is there if it would read the same, else a new one in its place."""
        if not turns:
            return None
        scope = turns[0].scope
        before = self._standing(scope)
        lines = self._compressor.compress(CompressionRequest(turns, max_tokens))
        if not lines:
            return None
        made = _turn_of(lines, turns)
        for summary in before:
            if (summary.content, summary.derived_from) == (made.content, made.derived_from):
                return summary
        try:
            summary = self._store(made, scope=scope)
        except MemoryNotFound:
            # One of the turns was forgotten meanwhile: again, without it.
            return self.of_session(list(self._still_there(turns)), max_tokens=max_tokens)
        for replaced in before:
            with suppress(MemoryNotFound):  # another one replaced it meanwhile
                self._remove(replaced)
        return summary

    def _remove(self, summary: Memory) -> None:
        try:
            self._log.erase(summary.scope, [summary.id], mode="erase")
        except UnderHold:
            self._log.erase(summary.scope, [summary.id], mode="retire")

    def _standing(self, scope: Scope) -> list[Memory]:
        query = LogQuery(scope=scope, writable=True, kinds=frozenset({"summary"}), session=scope.session)
        # A scope without an agent, or without a session, reads those of others too.
        return [summary for summary in self._log.read(query) if summary.scope == scope]

    def _still_there(self, turns: Sequence[Memory]) -> Iterator[Memory]:
        query = LogQuery(scope=turns[0].scope, ids=tuple(turn.id for turn in turns))
        there = {memory.id for memory in self._log.read(query)}
        return (turn for turn in turns if turn.id in there)


class Summarising:
    """Summarises the sessions of a scope, with a compressor that is made when it is first needed.

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
        self._store = store
        self._readable = readable

    def summaries(self) -> Summaries:
        """What keeps the summary of one session."""
        return Summaries(self._log, compressor=self._compressor(), store=self._store)

    def of_scope(self, scope: Scope, max_tokens: int = SUMMARY_TOKENS) -> list[Memory]:
        """The summaries of the scope's session, or of all its sessions if it names none."""
        query = LogQuery(scope=scope, writable=True, kinds=frozenset({"turn"}), session=scope.session)
        sessions = by_session(matching(self._log, self._readable(query), None))
        summaries = self.summaries()
        made = (summaries.of_session(turns, max_tokens=max_tokens) for turns in sessions)
        return [summary for summary in made if summary is not None]


class Resummarising:
    """Compresses sessions again whose summary went with one of its turns, as a job behind the log.

    Args:
        summaries: Called when there is something to do: most programs never need a compressor.
        readable: The query without what has expired.
    """

    is_needed = True

    def __init__(
        self,
        log: EpisodicLog,
        *,
        summaries: Callable[[], Summaries],
        readable: Callable[[LogQuery], LogQuery],
    ) -> None:
        self._log = log
        self._summaries = summaries
        self._readable = readable
        self._trouble = ""

    def run(self, pause: Pause) -> bool:
        """Compress what waits for it; True if nothing is left."""
        self._trouble = ""
        for task in self._waiting():
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
        made = self._compress(task)
        self._log.finish(task)
        while self._is_gone(made):
            # A turn was forgotten before the task was finished, which was its task too.
            made = self._compress(task)

    def _compress(self, task: Task) -> list[Memory]:
        made: list[Memory | None] = []
        for head in (head for head in self._log.all_heads() if head.partition == task.partition):
            scope = Scope(user=head.user, agent=head.agent, session=task.key or None, tenant=head.tenant)
            query = LogQuery(scope=scope, writable=True, kinds=frozenset({"turn"}), session=scope.session)
            # A scope without an agent, or without a session, reads those of others too.
            turns = [turn for turn in self._log.read(self._readable(query)) if turn.scope == scope]
            sessions = by_session(turns)
            made += (self._summaries().of_session(session, max_tokens=SUMMARY_TOKENS) for session in sessions)
        return [summary for summary in made if summary is not None]

    def _is_gone(self, made: Sequence[Memory]) -> bool:
        return any(not self._log.read(LogQuery(scope=each.scope, ids=(each.id,))) for each in made)


def _turn_of(lines: Sequence[CompressedLine], turns: Sequence[Memory]) -> Turn:
    cited = tuple(dict.fromkeys(id for line in lines for id in line.derived_from))
    return Turn(
        "\n".join(line.text for line in lines),
        kind="summary",
        role="assistant",
        occurred_at=turns[-1].occurred_at,
        # What it quotes must not outlive its time here.
        expires_at=min((turn.expires_at for turn in turns if turn.id in cited and turn.expires_at), default=None),
        derived_from=cited,
        metadata={"lines": [list(line.derived_from) for line in lines]},
    )
