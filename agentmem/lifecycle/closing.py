"""What later words close of what was promised, planned or otherwise known before.

That something is done or off is kept as a fact only where there is a deed that it may close, and "Whiskers died" only
where a Whiskers is known, whichever of the two came first into the log. Which fact is closed, if any, is for
``supersession`` to say, from all that stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from agentmem.clock import from_micros
from agentmem.interfaces import EpisodicLog, ExtractedFact, IndexQuery, LogQuery
from agentmem.lifecycle.supersession import DEEDS, Deed
from agentmem.records import TRUSTED, Draft, Fact, Memory, Scope

if TYPE_CHECKING:
    from agentmem.extractors.sequels import Known

NEVER: Final = datetime.min.replace(tzinfo=UTC)
EVER: Final = datetime.max.replace(tzinfo=UTC)

_READ_AT_ONCE: Final = 1_000


_Key = tuple[str, str, str]
_Said = tuple[datetime, Deed]
"""Something that somebody promised or plans to do, and when they said so."""


class Closings:
    """Finds the closings of one partition while its new turns are read, in whatever order they were stored.

    Args:
        scope: The partition's own.
        rows: The rows of the new turns, by id. cursor: The last row that was read before them.
        latest: When the latest of the turns read before was said; EVER if nobody knows.
        read: The turns of (partition, row) pairs, without those that cannot be read.
    """

    def __init__(
        self,
        log: EpisodicLog,
        scope: Scope,
        partition: int,
        *,
        rows: Mapping[str, int],
        cursor: int,
        latest: datetime,
        read: Callable[[Sequence[tuple[int, int]]], Sequence[Memory]],
    ) -> None:
        from agentmem.extractors.sequels import Known

        self._log = log
        self._scope = scope
        self._partition = partition
        self._rows = rows
        self._cursor = cursor
        self._latest_before = latest
        self._latest = NEVER
        self._read = read
        self._known: dict[_Key, list[_Said]] | None = None
        self._facts = Known()
        self._closing: list[tuple[datetime, int]] = []
        self._before: list[tuple[datetime, int]] | None = None

    @property
    def latest(self) -> datetime:
        """When the latest of the turns read so far was said."""
        return max(self._latest_before, self._latest)

    def among(self, turns: Sequence[Memory], drafts: Iterable[Draft]) -> list[tuple[Memory, ExtractedFact]]:
        """The closings in these turns, and those said later than what is promised in these but read before; each with
        its turn.

        Args:
            drafts: The facts that these turns state, which are not stored yet.
        """
        from agentmem.extractors.closings import may_close_something
        from agentmem.extractors.sequels import Known, may_follow_on

        stated = [(draft.fact, draft.occurred_at) for draft in drafts]
        new, new_facts = _deeds(stated), Known()
        changeable = new_facts.add(stated)
        closing = [turn for turn in turns if may_close_something(turn) or may_follow_on(turn)]
        if closing and self._known is None:
            facts = self._log.read(LogQuery(self._scope, kinds=frozenset({"fact"})))
            self._known = _deeds((fact.fact, fact.occurred_at) for fact in facts)
            self._facts.add((fact.fact, fact.occurred_at) for fact in facts)
        if self._known is not None:
            self._facts.add(stated)
            for key, deeds in new.items():
                self._known.setdefault(key, []).extend(deeds)
        found = [
            (turn, fact)
            for turn in closing
            for fact in (*_closing(turn, self._known or {}), *_following(turn, self._facts))
        ]
        moments = [said_at for deeds in new.values() for said_at, _ in deeds] + changeable
        for turn in self._said_after(min(moments)) if moments else ():
            found += [(turn, fact) for fact in (*_closing(turn, new), *_following(turn, new_facts))]
        self._closing += [(turn.occurred_at, self._rows[turn.id]) for turn in closing]
        self._latest = max([self._latest, *(turn.occurred_at for turn in turns)])
        return found

    def _said_after(self, moment: datetime) -> Iterator[Memory]:
        """Turns read before that were said after a moment, if they may close something."""
        later = [row for at, row in self._closing if at > moment]
        if moment < self._latest_before:
            later += [row for at, row in self._turns_before() if at > moment]
        for start in range(0, len(later), _READ_AT_ONCE):
            yield from self._read([(self._partition, row) for row in later[start : start + _READ_AT_ONCE]])

    def _turns_before(self) -> Sequence[tuple[datetime, int]]:
        """When each turn up to the cursor was said, and its row; from then on the latest of them is known."""
        if self._before is None:
            batch = self._log.index_rows(IndexQuery(self._scope, self._partition, vectors=False))
            self._before = [
                (from_micros(row.occurred_at), row.row)
                for row in batch.rows
                if row.row <= self._cursor and row.kind == "turn" and row.integrity in TRUSTED
            ]
            self._latest_before = max((at for at, _ in self._before), default=NEVER)
        return self._before


def _deeds(stated: Iterable[tuple[Fact | None, datetime]]) -> dict[_Key, list[_Said]]:
    """Those of the facts that promise or plan something, by their key."""
    deeds: dict[_Key, list[_Said]] = {}
    for fact, said_at in stated:
        if fact is not None and fact.attribute.casefold() in DEEDS and fact.polarity == "affirmed":
            deeds.setdefault(fact.key, []).append((said_at, Deed(fact)))
    return deeds


def _closing(turn: Memory, deeds: Mapping[_Key, Sequence[_Said]]) -> Iterator[ExtractedFact]:
    """Those of the closings in a turn that may close a deed which stood when it was said."""
    for found in _said_done(turn) if deeds else ():
        end = Fact(found.subject, found.attribute, found.value, "ended")
        done = Deed(end)
        if any(said_at <= turn.occurred_at and done.may_be(deed) for said_at, deed in deeds.get(end.key, ())):
            yield found


def _following(turn: Memory, known: Known) -> Iterator[ExtractedFact]:
    """What a turn says of facts that stood when it was said."""
    from agentmem.extractors.sequels import sequels

    for sequel in sequels(turn):
        yield from known.follows(sequel, turn.occurred_at)


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
