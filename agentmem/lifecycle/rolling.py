"""Sessions that are compressed on their own: once enough was said, or once nobody says anything any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from agentmem.clock import Clock
from agentmem.errors import AgentMemError
from agentmem.interfaces import EpisodicLog, Head, IndexQuery, LogQuery
from agentmem.lifecycle.compressing import Recipe, Summarising
from agentmem.lifecycle.compression_rules import CompressionRules
from agentmem.lifecycle.jobs import Pause, Stopped
from agentmem.records import TRUSTED, Finding, Memory, Scope

_CURSOR: Final = "compression:rolling"
_GENERATION: Final = 0
"""Compression has no generations: its cursor stands under this number."""
_ROWS_PER_CURSOR: Final = 500
"""A cursor that moved with every turn would cost as many commits again; these few are looked at again instead."""


@dataclass(slots=True)
class _Waiting:
    """What of a session no summary holds: tokens turn by turn, the first one's row, the last one's time."""

    tokens: list[int]
    since: int
    last_at: datetime


class Rolling:
    """Compresses sessions by the rules, as a job behind the log. May be shared by threads.

    Starts from the log alone: what another process has summarised is not summarised again.

    Args:
        count: Tokens of a text.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        rules: CompressionRules,
        summarising: Summarising,
        count: Callable[[str], int],
        clock: Clock,
    ) -> None:
        self._log = log
        self._rules = rules
        self._summarising = summarising
        self._count = count
        self._clock = clock
        self._working = threading.Lock()
        self._seen: dict[int, int] = {}
        self._cursors: dict[int, int] = {}
        self._waiting: dict[int, dict[str | None, _Waiting]] = {}
        self._made = 0
        self._trouble = ""

    @property
    def is_needed(self) -> bool:
        return self._rules.apply

    def run(self, pause: Pause) -> bool:
        """Compress what is due; True if nothing is left."""
        if not self._rules.apply:
            return True
        with self._working:
            self._trouble = ""
            heads = self._log.all_heads()
            # A partition that was forgotten as a whole waits for nothing.
            self._waiting = {head.partition: self._waiting.get(head.partition, {}) for head in heads}
            for head in heads:
                try:
                    self._notice(head)
                    self._compress_due(head, pause)
                    self._move_on(head)
                except AgentMemError as error:
                    self._trouble = error.message
                if pause(0):
                    raise Stopped
            return not self._trouble

    def check(self) -> list[Finding]:
        """What ``verify`` reports: trouble, and how often this process has compressed a session."""
        if not self._rules.apply:
            return []
        if self._trouble:
            return [Finding("compression", False, self._trouble, "It is tried again on its own.")]
        return [Finding("compression", True, f"Sessions compressed {self._made} times so far.")]

    def after_fork(self) -> None:
        self._working = threading.Lock()

    # --- what was said since

    def _notice(self, head: Head) -> None:
        """Take note of the turns that were stored since the last look."""
        if head.partition not in self._seen:
            self._cursors[head.partition] = self._log.cursor(_CURSOR, _GENERATION, head.partition)
            self._seen[head.partition] = self._cursors[head.partition]
        after = self._seen[head.partition]
        if after >= head.seq:
            return
        waiting = self._waiting[head.partition]
        batch = self._log.index_rows(IndexQuery(_owner(head), head.partition, after=after, vectors=False))
        rows = [row for row in batch.rows if row.kind == "turn" and row.integrity in TRUSTED]
        # Reworded turns are counted anew with their whole session, as is a session that is met for the first time.
        anew = {row.session for row in rows if row.version > 1 or row.session not in waiting}
        added = [(head.partition, row.row) for row in rows if row.session not in anew]
        for turn in self._log.read(LogQuery(_owner(head), rows=tuple(added))) if added else ():
            self._add(waiting[turn.scope.session], turn)
        waiting |= self._counted(_owner(head), anew)
        self._seen[head.partition] = batch.seq

    def _counted(self, owner: Scope, sessions: Collection[str | None]) -> dict[str | None, _Waiting]:
        """What waits of these sessions, read from the log."""
        found = {session: _Waiting([], 0, self._clock()) for session in sessions}
        # The log looks for a session through the whole partition, so for several it is read once.
        only = next(iter(sessions)) if len(sessions) == 1 else None
        held = self._summarising.held(owner, only) if sessions else set()
        for turn in self._summarising.turns_of(owner, only) if sessions else ():
            if turn.scope.session in found and turn.id not in held:
                self._add(found[turn.scope.session], turn)
        return found

    def _add(self, waiting: _Waiting, turn: Memory) -> None:
        waiting.since = waiting.since if waiting.tokens else turn.position
        waiting.tokens.append(self._count(turn.content))
        waiting.last_at = turn.recorded_from

    # --- what is due

    def _compress_due(self, head: Head, pause: Pause) -> None:
        now = self._clock()
        waiting = self._waiting[head.partition]
        for session in [session for session, each in waiting.items() if self._is_due(each, now)]:
            self._compress(replace(_owner(head), session=session))
            waiting |= self._counted(_owner(head), [session])
            self._made += 1
            if pause(0):
                raise Stopped

    def _is_due(self, waiting: _Waiting, now: datetime) -> bool:
        rules = self._rules
        ripe = waiting.tokens[: max(len(waiting.tokens) - rules.keep_last, 0)]
        return bool(ripe) and (
            (rules.after_turns is not None and len(ripe) >= rules.after_turns)
            or (rules.after_tokens is not None and sum(ripe) >= rules.after_tokens)
            or (rules.idle is not None and now - waiting.last_at >= rules.idle)
        )

    def _compress(self, scope: Scope) -> None:
        recipe = Recipe(max_tokens=self._rules.max_tokens)
        self._summarising.makers["session"](scope, replace(recipe, keep_last=self._rules.keep_last))
        for level in ("week", "topic"):
            if level in self._rules.levels:
                self._summarising.makers[level](replace(scope, session=None), replace(recipe, level=level))

    def _move_on(self, head: Head) -> None:
        """Let the next process begin where something still waits; without ``idle`` nothing does but for new turns."""
        waiting = self._waiting[head.partition]
        for session in [session for session, each in waiting.items() if not each.tokens]:
            del waiting[session]
        reached = self._seen[head.partition]
        if self._rules.idle is not None:
            kept = self._rules.keep_last
            reached = min([reached, *(each.since - 1 for each in waiting.values() if len(each.tokens) > kept)])
        if reached >= self._cursors[head.partition] + _ROWS_PER_CURSOR:
            self._log.move_cursor(_CURSOR, _GENERATION, head.partition, reached)
            self._cursors[head.partition] = reached


def _owner(head: Head) -> Scope:
    return Scope(user=head.user, agent=head.agent, tenant=head.tenant)
