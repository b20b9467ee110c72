"""What there is to read without a question: who is who, the last words, the sessions before this one.

A prompt needs these at every call, so they are found in the partition cache; the log is asked for the words only, and
for those that hold from call to call only when one of them has changed.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import repeat
from typing import Final

import numpy as np

from agentmem.clock import from_micros, to_micros
from agentmem.interfaces import EpisodicLog, LogQuery
from agentmem.records import NOTED, Memory, Scope
from agentmem.retrieval.pipeline import Question, Readable, Retriever

_KEPT: Final = 512
"""Readers whose held memories are kept; those longest unused go first."""
_ANYTHING: Final = "?"
"""The words of a question that asks by kind alone."""

_Rows = tuple[tuple[int, int], ...]
_Held = tuple[_Rows, dict[str, int]]
"""What is held, and when that ended which no longer holds, by id, in microseconds."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session of a scope: when its last turn was said, and how many of its turns can be read."""

    name: str
    turns: int
    last_at: datetime


class Survey:
    """Reads a scope's memories by kind and by session, from the cache of a retriever. May be shared by threads."""

    def __init__(self, log: EpisodicLog, retriever: Retriever) -> None:
        self._log = log
        self._retriever = retriever
        self._start_clean()
        _surveys.add(self)

    def held(
        self,
        scope: Scope,
        kinds: Collection[str],
        *,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        ended_since: datetime | None = None,
        include_untrusted: bool = False,
    ) -> Sequence[Memory]:
        """The memories of these kinds that hold, in the order stored; what only restates a fact is left out.

        Args:
            as_of: What was true in the world then; unset = now, and what is yet to come.
            known_at: What the log held then.
            ended_since: Also what stopped being true after that; ``valid_to`` says when, for who reads it.
        """
        reader = replace(scope, session=None)
        question = Question(
            _ANYTHING,
            reader,
            kinds=frozenset(kinds),
            as_of=as_of,
            known_at=known_at,
            include_untrusted=include_untrusted,
        )
        with self._retriever.readable(question) as readable:
            over = np.zeros(0, np.intp) if ended_since is None else _over_since(readable, ended_since)
            rows = _rows(readable, np.union1d(np.flatnonzero(readable.shown), over))
            ends = {readable.view.version_at(slot)[0]: int(readable.view.valid_to[slot]) for slot in over.tolist()}
        key = (reader, frozenset(kinds), include_untrusted)
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept[0] == (rows, ends):
                self._kept.move_to_end(key)
                return kept[1]
        # Versions never change, so the same rows are the same memories.
        memories = tuple(
            replace(memory, valid_to=from_micros(ends[memory.id])) if memory.id in ends else memory
            for memory in self._read(reader, rows)
        )
        if len(memories) == len(rows) and known_at is None:
            with self._lock:
                self._kept[key] = ((rows, ends), memories)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
        return memories

    def last_turns(self, scope: Scope, *, session: str | None, limit: int) -> Sequence[Memory]:
        """The last turns of a session of the scope's own, oldest first; without a session of all of them together.

        What a model noted by memory tools is none of them.
        """
        with self._retriever.readable(_turns_of(scope)) as readable:
            slots = _own_turns(readable, scope, session)
            if not len(slots):
                return ()
            order = np.argsort(readable.view.column("position")[slots], kind="stable")
            rows = _rows(readable, slots[order][-limit:])
        return self._read(scope, rows)

    def sessions(self, scope: Scope, *, limit: int) -> Sequence[Session]:
        """The scope's own sessions, the one that was spoken in last first; turns without a session are in none."""
        with self._retriever.readable(_turns_of(scope)) as readable:
            slots = _own_turns(readable, scope, None)
            if not len(slots):
                return ()
            view = readable.view
            codes, position = view.column("session")[slots], view.column("position")[slots]
            order = np.argsort(position, kind="stable")[::-1]
            found, first, counts = np.unique(codes[order], return_index=True, return_counts=True)
            own = next(each for each in view.partitions if each.owner == _owner(scope))
            sessions: list[Session] = []
            for place in np.argsort(first, kind="stable"):
                name = own.session_name(int(found[place]))
                if name is not None and len(sessions) < limit:
                    last = int(slots[order[first[place]]])
                    sessions.append(Session(name, int(counts[place]), from_micros(view.at(last, "occurred_at"))))
        return sessions

    def drop_gone(self, scope: Scope) -> None:
        """Let go of what is kept of this scope's own memories, so that nothing of a forgotten one stays."""
        with self._lock:
            for key in [key for key in self._kept if _shares(key[0], scope)]:
                del self._kept[key]

    def _read(self, scope: Scope, rows: _Rows) -> Sequence[Memory]:
        return tuple(self._log.read(LogQuery(scope, rows=rows))) if rows else ()

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[Scope, frozenset[str], bool], tuple[_Held, Sequence[Memory]]] = OrderedDict()


def _over_since(readable: Readable, moment: datetime) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Slots of what stopped being true after a moment; of what was said often the first."""
    view = readable.view
    return np.flatnonzero(readable.over & (view.valid_to > to_micros(moment)) & ~view.restating)


def _turns_of(scope: Scope) -> Question:
    return Question(_ANYTHING, replace(scope, session=None), kinds=frozenset({"turn"}), include_untrusted=True)


def _own_turns(readable: Readable, scope: Scope, session: str | None) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    """Slots of the turns of the scope's own partition, and of one session."""
    view = readable.view
    for partition, offset, size in zip(view.partitions, view.offsets, view.sizes, strict=True):
        if partition.owner != _owner(scope):
            continue
        own = readable.shown[offset : offset + size]
        if (noted := partition.origin_code(NOTED)) is not None:
            own = own & (partition["origin"][:size] != noted)
        if session is not None:
            code = partition.session_code(session)
            own = own & (partition["session"][:size] == code) if code is not None else np.zeros(size, np.bool_)
        return np.flatnonzero(own) + offset
    return np.zeros(0, np.intp)


def _owner(scope: Scope) -> tuple[str, str | None, str | None]:
    return scope.tenant, scope.user, scope.agent


def _rows(readable: Readable, slots: np.ndarray[tuple[int], np.dtype[np.intp]]) -> _Rows:
    view = readable.view
    rows: list[tuple[int, int]] = []
    for partition, offset, size in zip(view.partitions, view.offsets, view.sizes, strict=True):
        own = slots[(slots >= offset) & (slots < offset + size)] - offset
        rows += zip(repeat(partition.number), partition["row"][own].tolist())
    return tuple(rows)


def _shares(reader: Scope, scope: Scope) -> bool:
    """Whether such a reader may have been told of what the scope may change."""
    if reader.tenant != scope.tenant:
        return False
    return reader.user == scope.user if scope.user is not None else reader.agent == scope.agent


_surveys: weakref.WeakSet[Survey] = weakref.WeakSet()


def _after_fork() -> None:
    # A child inherits locks as they were held.
    for survey in _surveys:
        survey._start_clean()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
