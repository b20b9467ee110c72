"""How facts stand for one reader: of one user, but kept with several agents; or said again by what may not be read.

The log settles the facts of each partition by themselves, because not everybody reads the others. Who reads several
partitions of a user sees their facts judged together, at the time of reading.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from agentmem.interfaces import Standing
from agentmem.lifecycle.supersession import decide
from agentmem.records import Memory

NO_STANDINGS: Final[Mapping[str, Standing]] = {}


def together(facts: Iterable[Memory]) -> dict[str, Standing]:
    """How those facts stand, by id, whose key is in several partitions of their user; none of the others.

    What its own partition has closed stays closed.
    """
    by_key: defaultdict[Hashable, list[Memory]] = defaultdict(list)
    for memory in facts:
        if memory.fact is not None and memory.scope.user is not None:
            by_key[memory.scope.user, memory.fact.key].append(memory)
    standings: dict[str, Standing] = {}
    for alike in by_key.values():
        if len({memory.scope.agent for memory in alike}) > 1:
            decided = decide([_as_said(memory) for memory in alike])
            standings |= {memory.id: _no_later(decided[memory.id], memory) for memory in alike}
    return standings


def says_the_same(later: Memory, earlier: Memory) -> bool:
    """True if the later of two facts of one key states what the earlier did."""
    if later.fact is None or earlier.fact is None or later.fact.polarity != earlier.fact.polarity:
        return False
    if later.fact.value == earlier.fact.value:
        return True
    side_by_side = [replace(_as_said(memory), valid_to=None) for memory in (later, earlier)]
    return any(standing.restates for standing in decide(side_by_side).values())


def restated(readable: Iterable[Memory], standings: Mapping[str, Standing] = NO_STANDINGS) -> set[str]:
    """The ids of those facts that only restate another of the readable ones."""
    runs: defaultdict[str, list[Memory]] = defaultdict(list)
    for memory in readable:
        runs[said_first(memory, standings)].append(memory)
    return {
        memory.id
        for first, said in runs.items()
        if len(said) > 1
        for memory in sorted(said, key=lambda memory: (memory.id != first, *_when(memory)))[1:]
    }


def said_first(fact: Memory, standings: Mapping[str, Standing] = NO_STANDINGS) -> str:
    """The id of the fact that this one restates, or its own."""
    standing = standings.get(fact.id)
    restates = fact.fact and fact.fact.restates if standing is None else standing.restates
    return restates or fact.id


def _when(memory: Memory) -> tuple[datetime, datetime, int, str]:
    return memory.valid_from, memory.occurred_at, memory.position, memory.id


def _as_said(memory: Memory) -> Memory:
    """The fact without what settling has made of it. An end that was stated is gone only where another came before."""
    assert memory.fact is not None
    valid_to = None if memory.fact.superseded_by else memory.valid_to
    return replace(memory, valid_to=valid_to, fact=replace(memory.fact, superseded_by=None, restates=None, times=1))


def _no_later(standing: Standing, memory: Memory) -> Standing:
    ends, own = memory.valid_to, memory.fact
    assert own is not None
    if ends is None or (standing.valid_to is not None and standing.valid_to <= ends):
        return standing
    return replace(standing, valid_to=ends, superseded_by=own.superseded_by)
