"""Memories in the order stored, a page at a time, and the cursors that go on behind a page."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Final

from agentmem.errors import InvalidInput
from agentmem.interfaces import EpisodicLog, LogQuery
from agentmem.records import Memory, Page
from agentmem.retrieval import standing
from agentmem.retrieval.standing import NO_STANDINGS
from agentmem.where import Predicate, memory_columns, parse_where

MAX_PAGE: Final = 10_000
_READ_AT_ONCE: Final = 1_000

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
    while True:
        page = log.read(replace(query, after=after, limit=_READ_AT_ONCE))
        partitions = {(head.user, head.agent): head.partition for head in log.heads(query.scope)}
        left_out = _left_out(log, query, predicate, page, partitions) if folded else frozenset()
        for memory in page:
            partition = partitions.get((memory.scope.user, memory.scope.agent))
            if partition is None:
                continue  # forgotten meanwhile, with its whole layer
            after = partition, memory.position
            if memory.id not in left_out and (predicate is None or predicate(memory_columns(memory))):
                yield after, memory
        if len(page) < _READ_AT_ONCE:
            return


def _left_out(
    log: EpisodicLog,
    query: LogQuery,
    predicate: Predicate | None,
    page: Sequence[Memory],
    partitions: Mapping[tuple[str | None, str | None], int],
) -> Set[str]:
    """The ids of the facts on a page that have ended for this reader, or only say again what another does."""
    facts = [memory for memory in page if memory.fact is not None]
    standings = NO_STANDINGS
    if facts and sum(user is not None for user, _ in partitions) > 1:
        alike = LogQuery(query.scope, known_at=query.known_at, same_key=tuple(fact.id for fact in facts))
        standings = standing.together(log.read(alike))
    run = tuple(fact.id for fact in facts if fact.id in standings or standing.said_first(fact) != fact.id)
    if not run:
        return frozenset()
    closed = {fact.id for fact in facts if standing.is_closed(fact, query.ended_at, standings)}
    readable = (
        fact
        for fact in log.read(replace(query, after=None, limit=None, same_key=run))
        if predicate is None or predicate(memory_columns(fact))
    )
    said = [fact for fact in readable if not standing.is_closed(fact, query.ended_at, standings)]
    return closed | standing.restated(said, standings)


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
