"""How long memories are kept: rules, what they mean at a moment, and the sweeper that purges what is overdue.

Every read applies the rules itself, so that nothing expired is shown even if no sweeper ever comes; the sweeper makes
it gone. It also purges what has come to its own ``expires_at``, rules or not.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import takewhile
from typing import Any, Final

from agentmem.clock import Clock, utc_now
from agentmem.errors import AgentMemError, ConfigError, MemoryNotFound, UnderHold
from agentmem.interfaces import EpisodicLog, Head, LogQuery, Outlived
from agentmem.lifecycle.jobs import Pause, Stopped
from agentmem.records import KINDS, Finding, Memory, Scope
from agentmem.registry import did_you_mean

Erase = Callable[[Scope, Sequence[str]], object]
"""Erases these memories of the scope, with what was derived from them, and writes a receipt."""
Compress = Callable[[Scope], object]
"""Writes or renews the summary of the session that the scope names."""

_UNITS: Final = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1), "y": timedelta(days=365)}
DURATION_PATTERN: Final = r"[1-9][0-9]{0,5} *[hdwy]"
_LONGEST: Final = timedelta(days=365 * 1000)
_READ_FROM_TURNS: Final = frozenset({"fact", "summary"})
"""They say what a turn said, so they are not shown for longer either; they have its time, or their last turn's."""
_ERASED_AT_ONCE: Final = 500
_READ_AT_ONCE: Final = 1_000
_CURSOR: Final = "retention:compressed"
_GENERATION: Final = 0
"""Compression has no generations: its cursor stands under this number."""


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """How long some memories are kept. Of several rules the first that matches a memory decides; age counts from
    ``occurred_at``. What was derived from a purged memory goes with it, and a rule about turns hides their facts too.

    Args:
        kinds: None = all.
        tenant, user, agent: Whose; None = anybody's.
        keep: Never expire by a rule. An ``expires_at`` that a memory was given still counts.
        expire_after: Older memories are hidden, then purged.
        compress_after: Sessions whose turns are all older get a summary; the turns stay until they expire.

    Raises:
        ConfigError: naming the key and what it takes.
    """

    kinds: frozenset[str] | None = None
    tenant: str | None = None
    user: str | None = None
    agent: str | None = None
    keep: bool = False
    expire_after: timedelta | None = None
    compress_after: timedelta | None = None

    def __post_init__(self) -> None:
        if self.kinds is not None:
            known = f"It takes some of {', '.join(KINDS)}."
            for unknown in sorted(set(self.kinds) - set(KINDS)):
                raise ConfigError(f"kinds: there is no kind {unknown!r}. {did_you_mean(unknown, KINDS)}{known}")
            if not self.kinds:
                raise ConfigError(f"kinds is empty. {known} Leave it out for all of them.")
        for name in ("expire_after", "compress_after"):
            duration = getattr(self, name)
            if duration is not None and not timedelta() < duration <= _LONGEST:
                raise ConfigError(f"{name} must be longer than nothing and at most 1,000 years, not {duration}.")
        if self.keep and self.expire_after is not None:
            raise ConfigError("keep and expire_after contradict each other.", hint="Make two rules of it.")
        if not self.keep and self.expire_after is None and self.compress_after is None:
            raise ConfigError("A retention rule needs one of keep, expire_after and compress_after.")
        if self.compress_after is not None and self.kinds is not None and "turn" not in self.kinds:
            raise ConfigError("compress_after is about turns.", hint="Add turn to its kinds.")
        if self.compress_after and self.expire_after and self.compress_after >= self.expire_after:
            raise ConfigError(
                "compress_after must be shorter than expire_after: what has expired is erased, summary and all."
            )


def parse_duration(text: str) -> timedelta:
    """The duration in ``90d``, ``12h``, ``6w`` or ``1y`` (365 days).

    Raises:
        ConfigError: anything else.
    """
    if not isinstance(text, str) or not re.fullmatch(DURATION_PATTERN, text.strip()):
        raise ConfigError("A duration is written 12h, 90d, 6w or 1y.")
    return int(text.strip()[:-1]) * _UNITS[text.strip()[-1]]


def outlived(rules: Iterable[RetentionRule], now: datetime) -> tuple[Outlived, ...]:
    """What the rules let expire at a moment, for ``LogQuery``, ``Retriever`` and ``EpisodicLog.overdue``."""
    return tuple(_as_of(rule, now, rule.expire_after) for rule in rules)


def unreachable(rules: Sequence[RetentionRule]) -> dict[int, list[int]]:
    """The places of the rules that never decide, each with those of the earlier ones that decide in its stead."""
    found: dict[int, list[int]] = {}
    for place, rule in enumerate(rules):
        left = set(_kinds_of(rule) or KINDS)
        decided = []
        for number, earlier in enumerate(rules[:place]):
            taken = left & (_kinds_of(earlier) or set(KINDS)) if _owns_all_of(earlier, rule) else set()
            left -= taken
            decided += [number] if taken else []
        if not left:
            found[place] = decided
    return found


def _owns_all_of(earlier: RetentionRule, later: RetentionRule) -> bool:
    """Whether it is about everybody that the later one is about."""
    return all(getattr(earlier, name) in (None, getattr(later, name)) for name in ("tenant", "user", "agent"))


@dataclass(frozen=True, slots=True)
class Retention:
    """The rules and the present, for whoever reads."""

    rules: tuple[RetentionRule, ...]
    clock: Clock

    def outlived(self, now: datetime) -> tuple[Outlived, ...]:
        """What the rules let expire at a moment."""
        return outlived(self.rules, now)

    def readable(self, query: LogQuery) -> LogQuery:
        """The query without what has expired by now."""
        now = self.clock()
        return replace(query, unexpired_at=now, outlived=self.outlived(now))


def _as_of(rule: RetentionRule, now: datetime, after: timedelta | None) -> Outlived:
    before = None if after is None else now - after
    return Outlived(before, _kinds_of(rule), tenant=rule.tenant, user=rule.user, agent=rule.agent)


def _kinds_of(rule: RetentionRule) -> frozenset[str] | None:
    """The kinds that it is about; None = all."""
    kinds = rule.kinds
    return kinds | _READ_FROM_TURNS if kinds is not None and "turn" in kinds else kinds


class Sweeper:
    """Purges what is overdue and compresses what has grown old, one partition after the other; a job of the worker.

    Starts from the log alone: cut short by a crash or the end of the program, the next round finds what is left. What
    is under a hold stays, hidden. May be shared by threads.

    Args:
        erase: See ``Erase``; called with at most 500 ids of one partition.
        compress: See ``Compress``; None leaves sessions as they are.
        every: It runs at most so often in this process: a round reads every row that a rule may concern.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        rules: Sequence[RetentionRule] = (),
        erase: Erase,
        compress: Compress | None = None,
        clock: Clock = utc_now,
        every: timedelta = timedelta(hours=1),
    ) -> None:
        self._log = log
        self._rules = tuple(rules)
        self._erase = erase
        self._compress = compress if any(rule.compress_after for rule in rules) else None
        self._clock = clock
        self._every = every
        self._working = threading.Lock()
        self._swept_at: datetime | None = None
        self._purged = 0
        self._trouble = ""

    @property
    def is_needed(self) -> bool:
        """True once ``every`` has passed since the last whole round."""
        return self._swept_at is None or abs(self._clock() - self._swept_at) >= self._every

    def run(self, pause: Pause) -> bool:
        """One round over all partitions; True if nothing overdue is left."""
        with self._working:
            now = self._clock()
            self._trouble = ""
            for head in self._log.all_heads():
                try:
                    self._purge(head, now, pause)
                    if self._compress is not None:
                        self._compress_old(self._compress, head, now, pause)
                except AgentMemError as error:
                    self._trouble = error.message
                if pause(0):
                    raise Stopped
            if not self._trouble:
                self._swept_at = now
            return not self._trouble

    def check(self) -> list[Finding]:
        """What ``verify`` reports: trouble, and how many memories this process has purged."""
        if self._trouble:
            return [Finding("retention", False, self._trouble, "It is tried again on its own.")]
        return [Finding("retention", True, f"{len(self._rules)} rules; {self._purged} memories purged so far.")]

    def after_fork(self) -> None:
        self._working = threading.Lock()

    def _purge(self, head: Head, now: datetime, pause: Pause) -> None:
        expired = outlived(self._rules, now)
        stuck: set[str] = set()
        while ids := self._log.overdue(head, at=now, outlived=expired, limit=_ERASED_AT_ONCE):
            due = [id for id in ids if id not in stuck]
            if not due:
                return
            try:
                self._erase(_owner(head), due)
                self._purged += len(due)
            except (MemoryNotFound, UnderHold):
                # Some were forgotten meanwhile, or what was derived from them is held: the others still go.
                stuck.update(id for id in due if not self._is_erased(head, id))
            if pause(0):
                raise Stopped

    def _is_erased(self, head: Head, id: str) -> bool:
        try:
            self._erase(_owner(head), [id])
        except (MemoryNotFound, UnderHold):
            return False
        self._purged += 1
        return True

    def _compress_old(self, compress: Compress, head: Head, now: datetime, pause: Pause) -> None:
        """Compress the sessions that are over, in the order stored, up to the first turn that is not old yet."""
        before = self._old_before(head, now)
        reached = self._log.cursor(_CURSOR, _GENERATION, head.partition)
        while before is not None and (turns := self._turns(head, limit=_READ_AT_ONCE, after=(head.partition, reached))):
            # One that is dated ahead must not hold up the rest for years.
            old = list(takewhile(lambda turn: not before <= turn.occurred_at <= now, turns))
            for session in dict.fromkeys(turn.scope.session for turn in old if turn.scope.session):
                # One that is still going on is looked at again when its last turn is old.
                if all(turn.occurred_at < before for turn in self._turns(head, session=session)):
                    compress(replace(_owner(head), session=session))
                if pause(0):
                    raise Stopped
            if old:
                reached = old[-1].position
                self._log.move_cursor(_CURSOR, _GENERATION, head.partition, reached)
            if len(old) < len(turns):
                return

    def _old_before(self, head: Head, now: datetime) -> datetime | None:
        """Since when turns of the partition are too young to compress; None = they never are compressed."""
        rules = (_as_of(rule, now, rule.compress_after) for rule in self._rules)
        covering = (rule for rule in rules if rule.covers("turn", tenant=head.tenant, user=head.user, agent=head.agent))
        return next((rule.before for rule in covering), None)

    def _turns(self, head: Head, **narrowed: Any) -> list[Memory]:
        """Turns of the partition, in the order stored."""
        query = LogQuery(_owner(head), writable=True, kinds=frozenset({"turn"}), **narrowed)
        # A user's scope reads the partitions of every agent.
        return [turn for turn in self._log.read(query) if replace(turn.scope, session=None) == _owner(head)]


def _owner(head: Head) -> Scope:
    return Scope(user=head.user, agent=head.agent, tenant=head.tenant)
