"""What one session hands over to the next: written when a session ends, or when the next one asks for it.

A hand-over is a ``summary`` memory of the level ``handover``, one for each session, about its last sitting (see
``agentmem.retrieval.sittings``). It is derived from the turns and facts that it was made from, goes with any of them,
and is then made again.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final, NamedTuple

from agentmem.clock import Clock
from agentmem.errors import StoreBusy, StoreFull
from agentmem.interfaces import CompressedLine, EpisodicLog, LogQuery, TokenCounter
from agentmem.lifecycle.compressing import Recipe, Summaries, is_made_of, level_of, summary_turn
from agentmem.lifecycle.telling import MAX_TOKENS, handover_of, is_news
from agentmem.records import Memory, Scope, Turn
from agentmem.retrieval.sittings import MOST_TURNS, PAUSE, Rows, Sitting, Sittings

LEVEL: Final = "handover"
_LOOKED_AT: Final = 3
"""Sittings that tell nothing ("hi", "bye") are passed over, so many at most."""
_KEPT: Final = 512
"""Sessions whose hand-over is kept in this process; those longest unused go first."""


class HandOvers:
    """Keeps the hand-overs of all scopes. May be shared by threads, and starts clean in a forked process.

    Args:
        summaries: Keeps what is written, one of each session.
        counter: Counts what a hand-over costs.
        max_tokens: Longest hand-over.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        sittings: Sittings,
        summaries: Summaries,
        counter: TokenCounter,
        clock: Clock,
        max_tokens: int = MAX_TOKENS,
    ) -> None:
        self._log = log
        self._sittings = sittings
        self._summaries = summaries
        self._counter = counter
        self._clock = clock
        self._recipe = Recipe(LEVEL, max_tokens, by="rules")
        self._start_clean()
        _all.add(self)

    def end(self, scope: Scope) -> Memory | None:
        """The hand-over of the scope's session as it stands now: the one that is there if nothing is new.

        None if there are no turns, or none that tell anything.
        """
        return self._of(scope, lambda: self._sittings.last(scope))

    def again(self, scope: Scope, recipe: Recipe) -> list[Memory]:
        """What ``end`` gives, for a hand-over that went with what it was made from: a maker of ``Resummarising``."""
        made = self.end(scope)
        return [] if made is None else [made]

    def latest(self, scope: Scope, at: datetime) -> Memory | None:
        """The hand-over of the last sitting before the one that is going on, made on the spot if there is none.

        The session that is going on is the scope's own; without one, that of the turns without one.

        The same for as long as that goes on: what is said meanwhile in other sessions is not in it. Never written for
        a moment that is long past.

        Args:
            at: The present. If the scope's session is resumed after a pause, what it hands over to itself is what was
                said in it before.
        """
        may_write = self._clock() - at < PAUSE
        for back in range(_LOOKED_AT):
            before = partial(self._before, scope, at, back)
            if (told := self._of(scope, before, at=at, may_write=may_write)) is not None:
                return told
        return None

    def begun(self, scope: Scope, at: datetime) -> datetime | None:
        """When the sitting that is going on began; None if nothing was said in it yet."""
        return self._sittings.begun(scope, at=at, current=scope.session)

    def drop_gone(self, scope: Scope) -> None:
        """Let go of what is kept of this scope's memories, so that nothing of a forgotten one stays."""
        with self._lock:
            for key in [key for key in self._kept if (key[0].tenant, key[0].user) == (scope.tenant, scope.user)]:
                del self._kept[key]

    # --- one session ------------------------------------------------------------------------------

    def _before(self, scope: Scope, at: datetime, back: int) -> Sitting | None:
        """The last sitting before the one that is going on, or one so many before that."""
        sittings = self._sittings.before(scope, at=at, current=scope.session, limit=back + 1)
        return sittings[back] if len(sittings) > back else None

    def _of(
        self,
        scope: Scope,
        find: Callable[[], Sitting | None],
        *,
        at: datetime | None = None,
        may_write: bool = True,
    ) -> Memory | None:
        """The hand-over of the sitting that is found, made if it has to be."""
        sitting = find()
        if sitting is None:
            return None
        if not may_write:
            return self._fitting(replace(scope, session=sitting.session), sitting, at)
        if (known := self._known(scope, sitting)) is not None:
            return known.handover
        with self._making:
            sitting = find()  # another thread may have made it meanwhile
            if sitting is None:
                return None
            try:
                found = self._stood_or_made(replace(scope, session=sitting.session), sitting, at)
            except (StoreBusy, StoreFull):
                return None  # a prompt does without, and the next one tries again
        with self._lock:
            self._kept[_key(scope, sitting)] = _Known(replace(sitting, later=()), found)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return found

    def _known(self, scope: Scope, sitting: Sitting) -> _Known | None:
        """What is kept of the sitting, if nothing has changed but what was said in it later."""
        with self._lock:
            known = self._kept.get(_key(scope, sitting))
            if known is None or known.sitting != replace(sitting, later=()):
                return None
            self._kept.move_to_end(_key(scope, sitting))
            return known

    def _stood_or_made(self, scope: Scope, sitting: Sitting, at: datetime | None) -> Memory | None:
        found = self._fitting(scope, sitting, at)
        standing = self._standing(scope, sitting)
        if found is not None:
            # Two processes may have made one at once; both keep the first.
            self._summaries.remove([each for each in standing if each.id != found.id])
            return found
        sources = _sources(self._read(scope, sitting.turns), self._news(scope, sitting))
        made = self._summaries.kept(scope, self._recipe, sources, self._turn_of, before=standing)
        if made is None:
            self._summaries.remove(standing)
        return made

    def _fitting(self, scope: Scope, sitting: Sitting, at: datetime | None) -> Memory | None:
        """The hand-over that was made of these turns, or of later ones too, and of the facts that hold."""
        standing = self._standing(scope, sitting)
        if not standing:
            return None
        turns = self._read(scope, sitting.turns + sitting.later)
        news = self._news(scope, sitting)
        for summary in standing:
            made_of = set(summary.derived_from)
            until = max((place for place, turn in enumerate(turns, 1) if turn.id in made_of), default=0)
            is_ahead = at is not None and until > 0 and turns[until - 1].occurred_at > at
            sources = _sources(turns[:until], news)
            if until >= len(sitting.turns) and not is_ahead and is_made_of(summary, sources, self._recipe):
                return summary
        return None

    def _standing(self, scope: Scope, sitting: Sitting) -> list[Memory]:
        return [each for each in self._read(scope, sitting.summaries) if level_of(each) == LEVEL]

    def _turn_of(self, sources: Sequence[Memory]) -> Turn | None:
        turns = [source for source in sources if source.kind == "turn"]
        facts = [source for source in sources if source.kind == "fact"]
        lines = handover_of(turns, facts, max_tokens=self._recipe.max_tokens, counter=self._counter)
        return summary_turn(
            [CompressedLine(line.text, line.derived_from) for line in lines],
            sources,
            about=[line.about for line in lines],
        )

    def _news(self, scope: Scope, sitting: Sitting) -> list[Memory]:
        return [fact for fact in self._read(scope, sitting.facts) if is_news(fact)]

    def _read(self, scope: Scope, rows: Rows) -> list[Memory]:
        """The memories of these rows that are still there, in the order said."""
        found = self._log.read(LogQuery(scope, rows=rows)) if rows else []
        return sorted(found, key=lambda memory: (memory.occurred_at, memory.position))

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        self._making = threading.Lock()
        self._kept: OrderedDict[_Key, _Known] = OrderedDict()


_Key = tuple[Scope, tuple[int, int]]


class _Known(NamedTuple):
    """A sitting, whatever was said in it later, and its hand-over if it has one."""

    sitting: Sitting
    handover: Memory | None


def _key(scope: Scope, sitting: Sitting) -> _Key:
    return replace(scope, session=sitting.session), sitting.turns[-1]


def _sources(turns: Sequence[Memory], facts: Sequence[Memory]) -> list[Memory]:
    """What a hand-over of these turns is made of: them, the last so many, and the facts that were read from them."""
    told = list(turns[-MOST_TURNS:])
    here = {turn.id for turn in told}
    return told + [fact for fact in facts if not here.isdisjoint(fact.derived_from)]


_all: weakref.WeakSet[HandOvers] = weakref.WeakSet()


def _after_fork() -> None:
    # A child inherits locks as they were held.
    for handovers in _all:
        handovers._start_clean()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
