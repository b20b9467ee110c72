"""Who sat together when: the turns of a session that follow each other without a long pause.

Applications name sessions as they like. Some begin a new one with every visit, some keep one for years, some have
several going on at once, some have none. What somebody remembers of "last time" is a sitting, whatever its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from agentmem.clock import Clock, from_micros, to_micros, utc_now
from agentmem.records import KINDS, NOTED, Scope
from agentmem.retrieval.cache import CachedPartition
from agentmem.retrieval.pipeline import Question, Retriever

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.intp]
    Bools = NDArray[np.bool_]

PAUSE: Final = timedelta(hours=4)
"""Who says nothing for so long has left."""
MOST_TURNS: Final = 300
"""Of a longer sitting only the last so many turns are looked at."""
_KINDS: Final = frozenset({"turn", "summary"})
_TURN, _FACT, _SUMMARY = (KINDS.index(kind) for kind in ("turn", "fact", "summary"))

Rows = tuple[tuple[int, int], ...]
"""(partition, row) pairs."""


@dataclass(frozen=True, slots=True)
class Sitting:
    """The rows of one sitting, in the order said, and of what its session has of facts that hold, and of summaries.

    Args:
        turns: Up to the moment that was asked about.
        later: Those that were said in the same sitting since then.
    """

    session: str | None
    turns: Rows
    later: Rows
    facts: Rows
    summaries: Rows


class Sittings:
    """Finds sittings in the partition cache.

    What may not be read, and who is not trusted, did not sit there; what a model noted by memory tools was not said.
    """

    def __init__(self, retriever: Retriever, *, clock: Clock = utc_now) -> None:
        self._retriever = retriever
        self._clock = clock

    def before(self, scope: Scope, *, at: datetime, current: str | None, limit: int) -> list[Sitting]:
        """The last sittings of the scope's own partition that came before the one going on, the latest first.

        Args:
            at: The present.
            current: The session that is going on, or None for turns without one. If its last turn is a pause old, it
                is only being resumed, and what was said in it before counts too.
        """
        found: list[Sitting] = []
        with self._own(scope) as own:
            if own is None:
                return found
            spoken = own.spoken(until=to_micros(at))
            going_on = own.going_on(spoken, current, to_micros(at))
            if len(going_on):
                first = int(np.flatnonzero(spoken == going_on[0])[0])
                spoken = spoken[:first]
            while len(spoken):
                session = own.partition["session"][spoken[-1]]
                together = spoken[own.partition["session"][spoken] == session]
                sitting = own.tail(together, own.said_at(spoken[-1:])[0])
                found.append(own.described(sitting))
                if len(found) >= limit:
                    break  # before the slots are looked through for no one
                spoken = spoken[~np.isin(spoken, sitting)]
        return found

    def begun(self, scope: Scope, *, at: datetime, current: str | None) -> datetime | None:
        """When the sitting that is going on began; None if nothing was said in it yet. Arguments as of ``before``."""
        with self._own(scope) as own:
            if own is None:
                return None
            going_on = own.going_on(own.spoken(until=to_micros(at)), current, to_micros(at))
            return from_micros(int(own.said_at(going_on[:1])[0])) if len(going_on) else None

    def last(self, scope: Scope) -> Sitting | None:
        """The last sitting of the scope's session, or of the turns without one."""
        with self._own(scope) as own:
            if own is None:
                return None
            spoken = own.spoken(until=None)
            spoken = spoken[own.of_session(spoken, scope.session)]
            return own.described(own.tail(spoken, own.said_at(spoken[-1:])[0])) if len(spoken) else None

    @contextmanager
    def _own(self, scope: Scope) -> Iterator[_Own | None]:
        """The scope's own partition, and by slot what of it may be read."""
        question = Question("?", replace(scope, session=None), kinds=_KINDS)
        owner = (scope.tenant, scope.user, scope.agent)
        with self._retriever.readable(question) as readable:
            view = readable.view
            for partition, offset, size in zip(view.partitions, view.offsets, view.sizes, strict=True):
                if partition.owner == owner:
                    own = slice(offset, offset + size)
                    valid_to, is_restating = view.valid_to[own], view.restating[own]
                    yield _Own(partition, readable.shown[own], valid_to, is_restating, to_micros(self._clock()))
                    return
            yield None


class _Own(NamedTuple):
    """One partition, and by slot what turns and summaries of it are shown, how facts stand, at this moment."""

    partition: CachedPartition
    shown: Bools
    valid_to: NDArray[np.int64]
    is_restating: Bools
    now: int

    def spoken(self, *, until: int | None) -> Slots:
        """Slots of the turns that had been said by then, in the order said."""
        is_turn = self.shown & self.is_said()
        if until is not None:
            is_turn &= self._column("occurred_at") <= until
        slots = np.flatnonzero(is_turn)
        said_at = self.said_at(slots)
        if np.all(said_at[1:] > said_at[:-1]):
            return slots
        return slots[np.lexsort((self.partition["position"][slots], said_at))]

    def going_on(self, spoken: Slots, session: str | None, at: int) -> Slots:
        """Those of the slots, in the order said, that no pause parts from this moment of the session."""
        return self.tail(spoken[self.of_session(spoken, session)], at)

    def is_said(self) -> Bools:
        """Which slots are turns of a conversation."""
        is_turn: Bools = self._column("kind") == _TURN
        noted = self.partition.origin_code(NOTED)
        return is_turn if noted is None else is_turn & (self._column("origin") != noted)

    def said_at(self, slots: Slots) -> NDArray[np.int64]:
        """When they were said, in microseconds."""
        times: NDArray[np.int64] = self.partition["occurred_at"][slots]
        return times

    def of_session(self, slots: Slots, session: str | None) -> Bools:
        """Which of the slots are of a session, or of none."""
        code = self._code(session)
        found: Bools = self.partition["session"][slots] == code if code is not None else np.zeros(len(slots), np.bool_)
        return found

    def tail(self, slots: Slots, at: int) -> Slots:
        """Those of the slots, in the order said, that no pause parts from each other and from a moment behind them."""
        gaps = np.diff(self.said_at(slots), append=at) > PAUSE // timedelta(microseconds=1)
        return slots[int(np.flatnonzero(gaps)[-1]) + 1 if gaps.any() else 0 :]

    def described(self, sitting: Slots) -> Sitting:
        """The sitting of these slots, with what came to its session since."""
        code = self.partition["session"][sitting[0]]
        in_session = np.flatnonzero(self._column("session") == code)
        kinds = self.partition["kind"][in_session]
        shown = self.shown[in_session]
        said = self.is_said()[in_session]
        facts = in_session[kinds == _FACT]
        return Sitting(
            session=self.partition.session_name(int(code)),
            turns=self._rows(sitting[-MOST_TURNS:]),
            later=self._rows(self._since(sitting, in_session[shown & said])),
            facts=self._rows(facts[self._holds(facts)]),
            summaries=self._rows(in_session[shown & (kinds == _SUMMARY)]),
        )

    def _holds(self, facts: Slots) -> Bools:
        """Which facts hold now and are no mere restatement. Of what has expired they are not told: its turn is not."""
        is_alive = self.partition.postings.alive[facts] & (self.partition["trusted"][facts] == 1)
        holds: Bools = is_alive & (self.valid_to[facts] > self.now) & ~self.is_restating[facts]
        return holds

    def _since(self, sitting: Slots, turns: Slots) -> Slots:
        """What was said in the same sitting behind its turns up to then."""
        turns = turns[np.lexsort((self.partition["position"][turns], self.said_at(turns)))]
        later = turns[int(np.flatnonzero(turns == sitting[-1])[0]) + 1 :]
        gaps = np.diff(self.said_at(later), prepend=self.said_at(sitting[-1:])) > PAUSE // timedelta(microseconds=1)
        together = later[: int(np.flatnonzero(gaps)[0])] if gaps.any() else later
        return together[:MOST_TURNS]

    def _rows(self, slots: Slots) -> Rows:
        return tuple((self.partition.number, row) for row in self.partition["row"][slots].tolist())

    def _code(self, session: str | None) -> int | None:
        return 0 if session is None else self.partition.session_code(session)

    def _column(self, name: str) -> NDArray[Any]:
        return self.partition[name][: len(self.shown)]
