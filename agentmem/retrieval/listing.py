"""Memories in the order stored, a page at a time, and the cursors that go on behind a page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from agentmem.errors import InvalidInput
from agentmem.interfaces import EpisodicLog, LogQuery, Standing
from agentmem.records import Memory, Page
from agentmem.retrieval.standing import NO_STANDINGS, restated, said_first, together
from agentmem.where import Predicate, memory_columns, parse_where

MAX_PAGE: Final = 10_000
_READ_AT_ONCE: Final = 1_000
_JUDGED_AT_ONCE: Final = 100
"""A page of the usual size needs no more to be judged, however much was read."""

Place = tuple[int, int]
"""Where a memory stands in a listing: its partition and its position."""


def page_of(
    log: EpisodicLog, query: LogQuery, where: Mapping[str, Any] | None, *, limit: int, cursor: str | None
) -> Page:
    """At most ``limit`` memories that match, behind the cursor.

    Raises:
        InvalidInput: a limit outside 1 to 10,000, or a cursor that no page gave.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
        raise InvalidInput(f"limit must be a whole number from 1 to {MAX_PAGE:,}, not {limit!r}.")
    found: list[Memory] = []
    reached: Place | None = None
    for place, memory in _placed(log, query, where, after=_after(cursor), folded=True):
        if len(found) == limit:
            return Page(tuple(found), _cursor(reached))
        found.append(memory)
        reached = place
    return Page(tuple(found))


def matching(log: EpisodicLog, query: LogQuery, where: Mapping[str, Any] | None) -> Iterator[Memory]:
    """Every memory that matches."""
    return (memory for _, memory in _placed(log, query, where, after=None))


def _placed(
    log: EpisodicLog, query: LogQuery, where: Mapping[str, Any] | None, *, after: Place | None, folded: bool = False
) -> Iterator[tuple[Place, Memory]]:
    """The memories that match, each with the place behind which a listing goes on.

    With ``folded``, facts as they stand for this reader: without those that ended with another agent, and without those
    that only say again what another one of the answer does.
    """
    predicate = parse_where(where)
    for column in ("session", "origin"):
        # Read one session, one source, instead of looking through all.
        if where and getattr(query, column) is None and isinstance(where.get(column), str):
            query = replace(query, **{column: where[column]})
    if where and query.ids is None and (ids := _few_ids(where.get("id"))):
        query = replace(query, ids=ids)
    unseen = _Unseen(log, query, predicate)
    while True:
        page = log.read(replace(query, after=after, limit=_READ_AT_ONCE))
        partitions = {(head.user, head.agent): head.partition for head in log.heads(query.scope)}
        are_of_several = sum(user is not None for user, _ in partitions) > 1
        for place, memory in enumerate(page):
            if folded and place % _JUDGED_AT_ONCE == 0:
                unseen.look_at(page[place : place + _JUDGED_AT_ONCE], are_of_several=are_of_several)
            partition = partitions.get((memory.scope.user, memory.scope.agent))
            if partition is None:
                continue  # forgotten meanwhile, with its whole layer
            after = partition, memory.position
            if memory.id not in unseen.ids and (predicate is None or predicate(memory_columns(memory))):
                yield after, memory
        if len(page) < _READ_AT_ONCE:
            return


class _Unseen:
    """The facts of a listing that its reader does not see: closed by another agent's, or only restating one of it.

    Each key is looked at once, whole, however many of its facts come by.
    """

    def __init__(self, log: EpisodicLog, query: LogQuery, predicate: Predicate | None) -> None:
        self.ids: set[str] = set()
        self._log = log
        self._query = query
        self._predicate = predicate
        self._judged: set[tuple[str, str, str]] = set()

    def look_at(self, memories: Iterable[Memory], *, are_of_several: bool) -> None:
        """Find out which of them are not seen; ``are_of_several`` if facts of several partitions may meet."""
        facts = _by_key(memory for memory in memories if memory.fact and memory.fact.key not in self._judged)
        standings = NO_STANDINGS
        if facts and are_of_several:
            self._judged |= facts.keys()
            alike = self._log.read(LogQuery(self._query.scope, known_at=self._query.known_at, same_key=_ids(facts)))
            standings = together(alike)
            self.ids |= {fact.id for fact in alike if self._is_closed(fact, standings)}
            facts = _by_key(alike)
        again = {
            key: said for key, said in facts.items() if any(said_first(fact, standings) != fact.id for fact in said)
        }
        if again:
            self._judged |= again.keys()
            read = self._log.read(replace(self._query, after=None, limit=None, same_key=_ids(again)))
            asked = (fact for fact in read if self._predicate is None or self._predicate(memory_columns(fact)))
            self.ids |= restated((fact for fact in asked if not self._is_closed(fact, standings)), standings)

    def _is_closed(self, fact: Memory, standings: Mapping[str, Standing]) -> bool:
        """Whether it had ended, at the moment that is asked for, by what stands in another partition."""
        standing, moment = standings.get(fact.id), self._query.ended_at
        return bool(standing and standing.valid_to and moment and standing.valid_to <= moment)


def _by_key(facts: Iterable[Memory]) -> dict[tuple[str, str, str], list[Memory]]:
    by_key: dict[tuple[str, str, str], list[Memory]] = {}
    for memory in facts:
        if memory.fact is not None:
            by_key.setdefault(memory.fact.key, []).append(memory)
    return by_key


def _ids(facts: Mapping[Any, Sequence[Memory]]) -> tuple[str, ...]:
    """One of each key."""
    return tuple(said[0].id for said in facts.values())


def _few_ids(condition: object) -> tuple[str, ...]:
    """The ids that a condition on ``id`` lists, if they are few enough to be read at once."""
    listed = condition.get("$in") if isinstance(condition, Mapping) else [condition]
    if not isinstance(listed, Sequence) or len(listed) > _READ_AT_ONCE:
        return ()
    ids = tuple(id for id in listed if isinstance(id, str))
    return ids if len(ids) == len(listed) else ()


def _cursor(place: Place | None) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _after(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        place = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
    except (ValueError, TypeError, AttributeError, RecursionError, binascii.Error):
        place = None
    if not isinstance(place, list) or [type(number) for number in place] != [int, int] or max(place) >= 1 << 63:
        raise InvalidInput("The cursor is none that a page gave.", hint="Pass it on as it stood there.")
    return place[0], place[1]
