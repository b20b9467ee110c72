"""What later words close of what was promised or planned before.

That something is done or off is kept as a fact only where there is a deed that it may close, whichever of the two came
first into the log. Which one it closes, if any, is for ``supersession`` to say, from all that stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

from agentmem.clock import from_micros, to_micros
from agentmem.interfaces import EpisodicLog, ExtractedFact, IndexQuery, LogQuery
from agentmem.lifecycle.supersession import DEEDS, may_close
from agentmem.records import TRUSTED, Draft, Fact, Memory, Scope

NEVER: Final = datetime.min.replace(tzinfo=UTC)
EVER: Final = datetime.max.replace(tzinfo=UTC)

_READ_AT_ONCE: Final = 1_000


class _Deed(NamedTuple):
    """Something that somebody promised or plans to do, and when they said so."""

    fact: Fact
    said_at: datetime


class Closings:
    """Finds the closings of one partition while its turns are read, in whatever order they were stored.

    Args:
        scope: The partition's own.
        read: The turns of (partition, row) pairs, without those that cannot be read.
        latest: When the latest of the turns read so far was said; EVER if nobody knows.
    """

    def __init__(
        self,
        log: EpisodicLog,
        scope: Scope,
        partition: int,
        *,
        read: Callable[[Sequence[tuple[int, int]]], Sequence[Memory]],
        latest: datetime,
    ) -> None:
        self._log = log
        self._scope = scope
        self._partition = partition
        self._read = read
        self._known: list[_Deed] | None = None
        self.latest = latest

    def among(self, turns: Sequence[Memory], drafts: Iterable[Draft]) -> list[tuple[Memory, ExtractedFact]]:
        """The closings in these turns, and those said later than what is promised in these but stored before; each
        with its turn.

        Args:
            drafts: The facts that these turns state, which are not stored yet.
        """
        new = list(_deeds((draft.fact, draft.occurred_at) for draft in drafts))
        found = [(turn, fact) for turn in turns for fact in self._closing(turn, new)]
        if self._known is not None:
            self._known += new
        if overtaken := [deed for deed in new if deed.said_at < self.latest]:
            seen = {turn.id for turn in turns}
            others = (turn for turn in self._said_since(min(deed.said_at for deed in overtaken)) if turn.id not in seen)
            found += [(turn, fact) for turn in others for fact in _closing(turn, overtaken)]
        self.latest = max([self.latest, *(turn.occurred_at for turn in turns)])
        return found

    def _closing(self, turn: Memory, new: Sequence[_Deed]) -> Iterator[ExtractedFact]:
        from agentmem.extractors.closings import may_close_something

        if not may_close_something(turn):
            return iter(())
        if self._known is None:
            facts = self._log.read(LogQuery(self._scope, kinds=frozenset({"fact"})))
            self._known = list(_deeds((fact.fact, fact.occurred_at) for fact in facts))
        return _closing(turn, [*self._known, *new])

    def _said_since(self, moment: datetime) -> Iterator[Memory]:
        """The turns of the partition that were said after a moment; and from now on the latest is known."""
        batch = self._log.index_rows(IndexQuery(self._scope, self._partition, vectors=False))
        turns = [row for row in batch.rows if row.kind == "turn" and row.integrity in TRUSTED]
        self.latest = from_micros(max((row.occurred_at for row in turns), default=to_micros(moment)))
        later = [(self._partition, row.row) for row in turns if row.occurred_at > to_micros(moment)]
        for start in range(0, len(later), _READ_AT_ONCE):
            yield from self._read(later[start : start + _READ_AT_ONCE])


def _deeds(stated: Iterable[tuple[Fact | None, datetime]]) -> Iterator[_Deed]:
    for fact, said_at in stated:
        if fact is not None and fact.attribute.casefold() in DEEDS and fact.polarity == "affirmed":
            yield _Deed(fact, said_at)


def _closing(turn: Memory, deeds: Sequence[_Deed]) -> Iterator[ExtractedFact]:
    """Those of the closings in a turn that may close a deed which stood when it was said."""
    before = [deed.fact for deed in deeds if deed.said_at <= turn.occurred_at]
    for found in _said_done(turn) if before else ():
        end = Fact(found.subject, found.attribute, found.value, "ended")
        if any(may_close(end, deed) for deed in before):
            yield found


def _said_done(turn: Memory) -> list[ExtractedFact]:
    """What a turn says is done or off, as ends of a promise and of a plan."""
    from agentmem.extractors.closings import closings

    return [
        ExtractedFact(
            subject=closing.subject,
            attribute=attribute,
            value=closing.value,
            polarity="ended",
            derived_from=turn.id,
            start=closing.start,
            end=closing.end,
        )
        for closing in closings(turn)
        for attribute in sorted(DEEDS)
    ]
