"""Summaries of sessions: fewer tokens beside the turns, never instead of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from agentmem.errors import MemoryNotFound
from agentmem.interfaces import CompressedLine, CompressionRequest, Compressor, EpisodicLog, LogQuery
from agentmem.records import Memory, Scope, Turn


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
                self._log.erase(scope, [replaced.id], mode="erase")
        return summary

    def _standing(self, scope: Scope) -> list[Memory]:
        query = LogQuery(scope=scope, writable=True, kinds=frozenset({"summary"}), session=scope.session)
        # A scope without an agent, or without a session, reads those of others too.
        return [summary for summary in self._log.read(query) if summary.scope == scope]

    def _still_there(self, turns: Sequence[Memory]) -> Iterator[Memory]:
        query = LogQuery(scope=turns[0].scope, ids=tuple(turn.id for turn in turns))
        there = {memory.id for memory in self._log.read(query)}
        return (turn for turn in turns if turn.id in there)


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
