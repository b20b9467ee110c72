"""Partitions in memory: loaded from the log at the first question, caught up at every later one."""

from __future__ import annotations

import itertools
import json
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import numpy as np

from agentmem.clock import from_micros, to_micros
from agentmem.embedders import from_blobs
from agentmem.growing import GrowingArray
from agentmem.interfaces import EpisodicLog, Head, IndexBatch, IndexQuery, IndexRow, Outlived, Standing
from agentmem.lifecycle.learning import Standings, Told, told
from agentmem.records import KINDS, TRUSTED, Affect, Fact, Scope, lesson_in
from agentmem.retrieval.lexical import Postings, query_terms
from agentmem.retrieval.prior import prior
from agentmem.vectors.exact import VectorTable
from agentmem.where import Columns, Predicate

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Slots = NDArray[np.int64]

T = TypeVar("T")
Key = tuple[str, str, str]
"""The ``key`` of a ``Fact``."""
Rows = tuple[tuple[int, int], ...]
"""(partition, row) pairs."""

NEVER: Final = np.iinfo(np.int64).max
"""The time of what has no end, in microseconds."""
_SPOKEN: Final = frozenset({"turn", "document"})
"""Kinds whose neighbours say something about them."""
_MASKS_KEPT: Final = 8
_BYTES_OF_AN_ID: Final = 96
_BYTES_OF_A_FACT: Final = 800
_BYTES_OF_A_USE: Final = 200


class Judged(NamedTuple):
    """How facts stand whose key is in several partitions of a user: by key, by id, and as columns by partition.

    ``state`` is ``facts_changed`` of each of the partitions: another one makes it out of date, but for those keys whose
    rows are still the same.
    """

    state: tuple[int, ...]
    by_key: Mapping[Key, tuple[Rows, Mapping[str, Standing]]]
    standings: Mapping[str, Standing]
    columns: Mapping[int, tuple[Slots, Slots, NDArray[np.bool_]]]


class Taught:
    """How the lessons of several partitions stand among one another, by partition and slot.

    ``state`` is ``lessons_changed`` of each of the partitions: another one makes it out of date.
    """

    def __init__(self) -> None:
        self.state: tuple[int, ...] = ()
        self.standings: Standings[tuple[int, int]] = Standings()


class CachedPartition:
    """One partition by slot: what ranking and filtering need, token bags and vectors. Never the text.

    Slots are in the order of row numbers. Its owner holds ``lock`` while it applies or ranks; slots that were read
    keep their meaning afterwards.
    """

    def __init__(self, head: Head, *, generation: int | None, dimensions: int) -> None:
        self.number = head.partition
        self.owner = (head.tenant, head.user, head.agent)
        self.generation = generation
        self.seq = 0
        self.size = 0
        """Bytes, as of the last ``apply``."""
        self.lock = threading.Lock()
        self.postings = Postings()
        self.vectors = VectorTable(dimensions) if generation is not None else None
        self.session_tokens: NDArray[np.float32] = np.zeros(1, np.float32)
        self._columns = {name: GrowingArray(dtype) for name, dtype in _COLUMNS.items()}
        self._ids: list[str] = []
        self._names = {name: _Names(common) for name, common in _NAMED.items()}
        self._units = _Names()
        self._speaker_terms: list[frozenset[int]] = []
        self._metadata: dict[int, Any] = {}
        self._odd_affects: dict[int, Affect] = {}
        self._uses: dict[int, tuple[int, float]] = {}
        self._facts: dict[int, str] = {}
        self._fact_slots: dict[str, int] = {}
        self._restates: dict[int, str] = {}
        self._keys: dict[int, Key] = {}
        self._slots_of_key: dict[Key, list[int]] = {}
        self._unkeyed: list[int] = []
        self._sources: dict[int, tuple[str, ...]] = {}
        self._derived_from: dict[str, list[int]] = {}
        self.facts_changed = 0
        """Grows whenever a fact comes or goes."""
        self.lessons: dict[int, Told] = {}
        """By slot."""
        self.lessons_changed = 0
        """Grows whenever a lesson comes or goes, or turns out otherwise."""
        self.taught: dict[tuple[int, ...], Taught] = {}
        """By the partitions that a reader sees, this the last of them: how their lessons stand."""
        self.judged: dict[tuple[int, ...], Judged] = {}
        """By the partitions that a reader sees, this the last of them: how facts stand that are in several."""
        self._masks: OrderedDict[str, NDArray[np.bool_]] = OrderedDict()
        self._last: dict[int, int] = {}

    def __len__(self) -> int:
        """How many slots there are, dead ones included."""
        return len(self._ids)

    def __getitem__(self, column: str) -> NDArray[Any]:
        """A column by slot; see ``_COLUMNS``."""
        values = self._columns[column].values
        return values if len(values) == len(self) else np.zeros(len(self), values.dtype)

    @property
    def session_count(self) -> int:
        """How many sessions and documents there are."""
        return int(np.count_nonzero(self.session_tokens[1:] > 0))

    def speaker_terms(self) -> list[frozenset[int]]:
        """The terms of every speaker's name, by the code in column ``speaker``."""
        fresh = self._names["speaker"].names[len(self._speaker_terms) :]
        self._speaker_terms += [frozenset(query_terms(name or "")) for name in fresh]
        return self._speaker_terms

    @property
    def has_facts(self) -> bool:
        return bool(self._facts)

    @property
    def has_derived(self) -> bool:
        return bool(self._derived_from)

    def derived_from(self, id: str) -> Sequence[int]:
        """The slots of what was made from the memory of this id."""
        return self._derived_from.get(id, ())

    def facts_of(self, id: str) -> list[int]:
        """The slots of the facts that were taken from the memory of this id."""
        return [slot for slot in self.derived_from(id) if slot in self._facts]

    def facts_by_key(self) -> Mapping[Key, Sequence[int]]:
        """The slots of the facts of each key. Worked out here: most readers see one partition and never ask."""
        for slot in self._unkeyed:
            if fields := self.fact_at(slot):
                key = self._keys[slot] = Fact(**fields).key
                self._slots_of_key.setdefault(key, []).append(slot)
        self._unkeyed.clear()
        return self._slots_of_key

    def restates(self, slot: int) -> str | None:
        """The id of the fact that the one in a slot restates."""
        return self._restates.get(slot)

    def standing(self, standings: Mapping[str, Standing]) -> tuple[Slots, Slots, NDArray[np.bool_]]:
        """Of these facts those that are here: their slots, until when they hold, whether they restate another."""
        here = {slot: each for id, each in standings.items() if (slot := self._fact_slots.get(id)) is not None}
        return (
            np.array(list(here), np.int64),
            np.array([to_micros(each.valid_to) if each.valid_to else NEVER for each in here.values()], np.int64),
            np.array([each.restates is not None for each in here.values()], np.bool_),
        )

    def fact_slot(self, id: str) -> int | None:
        """Where the fact of this id is; None if it is not here."""
        return self._fact_slots.get(id)

    def fact_at(self, slot: int) -> Mapping[str, Any]:
        """The fields of the ``Fact`` in a slot; none of them if it was forgotten meanwhile."""
        fields: Mapping[str, Any] = json.loads(self._facts.get(slot, "{}"))
        return fields

    def outcome_at(self, slot: int) -> float:
        """What ``feedback`` said of the memory in a slot."""
        return self._uses.get(slot, (0, 0.0))[1]

    def version_at(self, slot: int) -> tuple[str, int]:
        """The id and version of the memory in a slot."""
        return self._ids[slot], int(self["version"][slot])

    def apply(self, batch: IndexBatch) -> None:
        """Catch up with the log: what became current, what is no longer, whose vector or use came later."""
        gone = self.slots_of(batch.gone)
        gone = gone[gone >= 0]
        first = len(self)
        if batch.rows:
            self._append(batch.rows)
        if len(gone):
            self._remove(gone)
        self._put_vectors({row.row: (row.generation, row.vector) for row in batch.rows})
        self._put_vectors(batch.vectors)
        self._put_uses(batch.uses)
        self._link(first, relink=bool(len(gone)))
        self.seq, self.size = batch.seq, self._measured()

    def session_code(self, name: str) -> int | None:
        """What stands for the session in column ``session``; None if nothing here is of it."""
        return self._names["session"].known(name)

    def origin_code(self, name: str) -> int | None:
        """What stands for the origin in column ``origin``; None if nothing here is of it."""
        return self._names["origin"].known(name)

    def session_name(self, code: int) -> str | None:
        """The session that a code of column ``session`` stands for; None for none."""
        return self._names["session"].names[code]

    def matching(self, where: Mapping[str, Any], predicate: Predicate) -> NDArray[np.bool_]:
        """Which slots the predicate of ``where`` holds for; the last few answers are remembered."""
        key = json.dumps(where, sort_keys=True, default=repr)
        known = self._masks.pop(key, np.zeros(0, np.bool_))
        fresh = [predicate(self._values_of(slot)) for slot in range(len(known), len(self))]
        mask = np.concatenate([known, np.asarray(fresh, np.bool_)])
        self._masks[key] = mask
        if len(self._masks) > _MASKS_KEPT:
            self._masks.popitem(last=False)
        return mask

    def _append(self, rows: Sequence[IndexRow]) -> None:
        columns = dict(zip(IndexRow._fields, zip(*rows, strict=True), strict=True))
        first = len(self)
        self._ids.extend(columns["id"])
        sessions = self._units.codes(
            [
                (session or source) and f"{session}\n{source}" if kind in _SPOKEN else None
                for session, source, kind in zip(columns["session"], columns["source"], columns["kind"], strict=True)
            ]
        )
        self._extend("row", columns["row"])
        self._extend("version", columns["version"])
        self._extend("kind", [KINDS.index(kind) for kind in columns["kind"]])
        self._extend("unit", sessions)
        self._extend("position", columns["position"])
        for name in ("occurred_at", "recorded_from", "valid_from"):
            self._extend(name, columns[name])
        for name in ("valid_to", "expires_at"):
            self._extend(name, [NEVER if time is None else time for time in columns[name]])
        self._extend("importance", [np.nan if value is None else value for value in columns["importance"]])
        for name, names in self._names.items():
            if name in columns:
                self._extend(name, names.codes(columns[name]))
        self._note_affects(columns["affect"], first)
        self._extend("restated", [restates is not None for restates in columns["restates"]])
        self._note_facts(rows, first)
        self._note_lessons(rows, first)
        self._note_sources(rows, first)
        self._note_uses(columns["accesses"], columns["outcome"], first)
        self._extend("prior", self._priors(np.arange(first, len(self))))
        self._extend("trusted", [integrity in TRUSTED for integrity in columns["integrity"]])
        words = zip(columns["role"], columns["kind"], strict=True)
        self._extend("assistant", [role == "assistant" and kind != "lesson" for role, kind in words])
        for name in ("previous", "following"):
            self._extend(name, np.full(len(rows), -1))
        self.postings.append(columns["terms"], columns["length"])
        if self.vectors is not None:
            self.vectors.resize(len(self))
        self._count_sessions(np.asarray(sessions), np.asarray(columns["length"], np.float32))

    def _extend(self, name: str, values: Any) -> None:
        column = self._columns[name]
        if name in _RARE and not len(column):
            if not np.any(values):
                return
            column.resize(len(self) - len(values))
        column.extend(values)

    def _note_affects(self, texts: Sequence[str | None], first: int) -> None:
        affects = [_NO_AFFECT if text is None else _stored_affect(text) for text in texts]
        self._extend("valence", [affect.valence for affect in affects])
        self._extend("arousal", [affect.arousal for affect in affects])
        self._extend("label", self._names["label"].codes([affect.label for affect in affects]))
        self._odd_affects |= {slot: affect.odd for slot, affect in enumerate(affects, first) if affect.odd}

    def _affect_at(self, slot: int) -> Affect | None:
        valence = int(self["valence"][slot])
        if valence == 0 or slot in self._odd_affects:
            return self._odd_affects.get(slot)
        label = self._names["label"].names[self["label"][slot]]
        return Affect((valence - 101) / 100, int(self["arousal"][slot]) / 100, label)

    def _note_facts(self, rows: Sequence[IndexRow], first: int) -> None:
        for slot, row in enumerate(rows, first):
            if row.kind == "fact":
                self._facts[slot] = row.fact or "{}"
                self._fact_slots[row.id] = slot
                self._unkeyed.append(slot)
                if row.restates is not None:
                    self._restates[slot] = row.restates
                self.facts_changed += 1

    def _note_lessons(self, rows: Sequence[IndexRow], first: int) -> None:
        for slot, row in enumerate(rows, first):
            if row.kind == "lesson" and (lesson := lesson_in(row.kind, json.loads(row.metadata))) is not None:
                learned = row.occurred_at, self.number, row.row
                self.lessons[slot] = told(lesson, learned=learned, trusted=row.integrity in TRUSTED)
                self.lessons_changed += 1

    def _note_sources(self, rows: Sequence[IndexRow], first: int) -> None:
        for slot, row in enumerate(rows, first):
            if row.derived_from is not None:
                self._sources[slot] = tuple(json.loads(row.derived_from))
                for source in self._sources[slot]:
                    self._derived_from.setdefault(source, []).append(slot)

    def _drop_fact(self, slot: int) -> None:
        if self._facts.pop(slot, None) is None:
            return
        self.facts_changed += 1
        self._restates.pop(slot, None)
        if self._fact_slots.get(self._ids[slot]) == slot:
            del self._fact_slots[self._ids[slot]]
        if (key := self._keys.pop(slot, None)) is not None:
            _leave(self._slots_of_key, key, slot)

    def _drop_sources(self, slot: int) -> None:
        for source in self._sources.pop(slot, ()):
            _leave(self._derived_from, source, slot)

    def _note_uses(self, accesses: Sequence[int], outcomes: Sequence[float], first: int) -> None:
        for slot, use in enumerate(zip(accesses, outcomes, strict=True), first):
            if any(use):
                self._uses[slot] = use

    def _put_uses(self, uses: Mapping[int, tuple[int, float]]) -> None:
        slots = self.slots_of(list(uses))
        here = slots[slots >= 0]
        if not len(here):
            return
        fresh = {slot: use for slot, use in zip(slots.tolist(), uses.values(), strict=True) if slot >= 0}
        judged = (slot for slot, (_, outcome) in fresh.items() if outcome != self.outcome_at(slot))
        self.lessons_changed += any(slot in self.lessons for slot in judged)
        self._uses |= fresh
        if not len(self._columns["prior"]):
            self._columns["prior"].resize(len(self))
        self["prior"][here] = self._priors(here)
        for key in [key for key in self._masks if '"accesses"' in key or '"outcome"' in key]:
            del self._masks[key]

    def _priors(self, slots: Slots) -> NDArray[np.float32]:
        uses = [self._uses.get(slot, (0, 0.0)) for slot in slots.tolist()] if self._uses else []
        accesses, outcome = np.array(uses).T if uses else np.zeros((2, len(slots)))
        return prior(
            importance=self["importance"][slots],
            outcome=outcome,
            accesses=accesses,
            arousal=self["arousal"][slots] / np.float32(100),
        )

    def _remove(self, slots: Slots) -> None:
        slots = slots[self.postings.alive[slots]]
        for slot in slots.tolist():
            self._drop_fact(slot)
            self._drop_sources(slot)
            self.lessons_changed += self.lessons.pop(slot, None) is not None
            self._uses.pop(slot, None)
            self._odd_affects.pop(slot, None)
        self._count_sessions(self["unit"][slots], -self.postings.lengths[slots])
        self.postings.remove(slots)
        if self.vectors is not None:
            self.vectors.clear(slots)

    def _count_sessions(self, sessions: NDArray[Any], tokens: NDArray[np.float32]) -> None:
        counted = np.bincount(sessions, tokens, len(self._units)).astype(np.float32)
        counted[: len(self.session_tokens)] += self.session_tokens
        self.session_tokens = counted

    def _put_vectors(self, found: Mapping[int, tuple[int | None, bytes | None]]) -> None:
        if self.vectors is None:
            return
        current = {row: blob for row, (generation, blob) in found.items() if blob and generation == self.generation}
        slots = self.slots_of(list(current))
        here = (slots >= 0) & self.postings.alive[slots]
        if here.any():
            self.vectors.put(slots[here], from_blobs(list(current.values()), self.vectors.dimensions)[here])

    def _link(self, first: int, *, relink: bool) -> None:
        """Tie every turn from slot ``first`` on to the one before it in its session; all of them if order broke."""
        unit, position = self["unit"], self["position"]
        previous, following = self["previous"], self["following"]
        fresh = np.flatnonzero(unit[first:]) + first
        if not relink and first and len(fresh) < 256:
            for slot in fresh.tolist():
                before = self._last.get(int(unit[slot]), -1)
                if before >= 0:
                    if position[before] >= position[slot]:
                        break
                    previous[slot], following[before] = before, slot
                self._last[int(unit[slot])] = slot
            else:
                return
        spoken = np.flatnonzero((unit > 0) & self.postings.alive)
        order = spoken[np.lexsort((position[spoken], unit[spoken]))]
        previous[:], following[:] = -1, -1
        together = unit[order[1:]] == unit[order[:-1]]
        previous[order[1:][together]] = order[:-1][together]
        following[order[:-1][together]] = order[1:][together]
        self._last = dict(zip(unit[order].tolist(), order.tolist(), strict=True))

    def slots_of(self, rows: Sequence[int] | Slots) -> Slots:
        """The slot of each row, -1 where it is not here."""
        wanted = np.asarray(rows, np.int64)
        if not len(self):
            return np.full(len(wanted), -1)
        places = np.minimum(np.searchsorted(self["row"], wanted), len(self) - 1)
        return np.where(self["row"][places] == wanted, places, -1)

    def _measured(self) -> int:
        columns = sum(column.nbytes for column in self._columns.values())
        names = sum(names.nbytes for names in (*self._names.values(), self._units))
        vectors = self.vectors.nbytes if self.vectors is not None else 0
        sparse = _BYTES_OF_A_FACT * (len(self._facts) + len(self.lessons))
        sparse += _BYTES_OF_A_USE * (len(self._uses) + len(self._sources))
        return columns + names + sparse + _BYTES_OF_AN_ID * len(self) + self.postings.nbytes + vectors

    def _values_of(self, slot: int) -> Columns:
        def column(name: str) -> Any:
            if name == "id":
                return self._ids[slot]
            if name in ("user", "agent"):
                return self.owner[1 if name == "user" else 2]
            if name in ("accesses", "outcome"):
                return self._uses.get(slot, (0, 0.0))[name == "outcome"]
            if name.startswith("fact."):
                return self.fact_at(slot).get(name.removeprefix("fact."))
            if name.startswith("affect."):
                return getattr(self._affect_at(slot), name.removeprefix("affect."), None)
            value = self[name][slot]
            if name == "metadata":
                code = int(value)
                if code not in self._metadata:
                    self._metadata[code] = json.loads(self._names["metadata"].names[code] or "{}")
                return self._metadata[code]
            if name in self._names:
                return self._names[name].names[value]
            if name == "kind":
                return KINDS[value]
            if name == "importance":
                return None if np.isnan(value) else float(value)
            if name in _TIMES:
                return None if value == NEVER else from_micros(int(value))
            return int(value)

        return column


_NAMED: Final[Mapping[str, str | None]] = {
    **dict.fromkeys(("role", "speaker", "session", "integrity", "source", "metadata", "label", "origin")),
    "written_by": "caller",
}
"""Columns of strings that come again and again, and the one that stands for 0."""
_RARE: Final = frozenset({"valence", "arousal", "label", "origin", "written_by", "prior", "restated"})
"""Columns that have no memory of their own while all of them is 0, as in most partitions."""
_TIMES: Final = ("occurred_at", "recorded_from", "valid_from", "valid_to", "expires_at")
_COLUMNS: Final[Mapping[str, type]] = {
    "row": np.int64,
    "version": np.int32,
    "kind": np.int8,
    "unit": np.intp,
    "position": np.int64,
    **dict.fromkeys(_TIMES, np.int64),
    "importance": np.float64,
    **dict.fromkeys(_NAMED, np.int32),
    "valence": np.uint8,
    "arousal": np.uint8,
    "prior": np.float32,
    "restated": np.bool_,
    "trusted": np.bool_,
    "assistant": np.bool_,
    "previous": np.intp,
    "following": np.intp,
}
"""By slot. ``unit`` is the session or document that gives a memory its neighbours (0 for none); ``previous`` and
``following`` are slots (-1 for none); names are codes. ``arousal`` is in hundredths, ``valence`` too, from 1 for -1.0,
with 0 for no affect: most have no more decimals, and the few that do are kept beside."""


def _leave(slots_by: dict[T, list[int]], key: T, slot: int) -> None:
    """Take a slot from the list of a key, which goes with its last."""
    left = [each for each in slots_by[key] if each != slot]
    # Another list, so that one that is being read stays as it is.
    slots_by[key] = left
    if not left:
        del slots_by[key]


class _StoredAffect(NamedTuple):
    """An affect as its columns hold it; ``odd`` is the affect itself, if they cannot."""

    valence: int = 0
    arousal: int = 0
    label: str | None = None
    odd: Affect | None = None


_NO_AFFECT: Final = _StoredAffect()


@lru_cache(maxsize=8192)
def _stored_affect(text: str) -> _StoredAffect:
    # The same few come again and again, in every partition.
    affect = Affect(**json.loads(text))
    valence, arousal = round(100 * affect.valence), round(100 * affect.arousal)
    is_odd = (affect.valence, affect.arousal) != (valence / 100, arousal / 100)
    return _StoredAffect(valence + 101, arousal, affect.label, affect if is_odd else None)


class _Names:
    """Strings that come again and again, as small numbers; ``common`` is 0."""

    def __init__(self, common: str | None = None) -> None:
        self._codes: dict[str | None, int] = {common: 0}
        self.names: list[str | None] = [common]
        self.nbytes = 0

    def __len__(self) -> int:
        return len(self.names)

    def known(self, name: str) -> int | None:
        """The code of a name that was met already."""
        return self._codes.get(name)

    def codes(self, names: Sequence[str | None]) -> list[int]:
        known = self._codes
        fresh = [name for name in dict.fromkeys(names) if name not in known]
        known.update(zip(fresh, itertools.count(len(known)), strict=False))
        self.names += fresh
        self.nbytes += sum(160 + len(name or "") for name in fresh)
        return list(map(known.__getitem__, names))


class PartitionCache:
    """The partitions of one log in this process, within a budget; those longest unused go first.

    Args:
        budget: Bytes that partitions may take together. Those of the question at hand are kept in any case.
    """

    def __init__(self, log: EpisodicLog, *, budget: int) -> None:
        self._log = log
        self._budget = budget
        self._start()
        _caches.add(self)

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._partitions: OrderedDict[int, CachedPartition] = OrderedDict()

    @property
    def nbytes(self) -> int:
        with self._lock:
            return sum(partition.size for partition in self._partitions.values())

    def clear(self) -> None:
        """Let go of every partition; the next question loads what it needs."""
        with self._lock:
            self._partitions.clear()

    def drop(self, scope: Scope) -> None:
        """Let go of what the scope may write, terms and vectors of forgotten memories with it."""
        owner = (scope.tenant, scope.user) if scope.user else (scope.tenant, None, scope.agent)
        with self._lock:
            for number, partition in list(self._partitions.items()):
                if partition.owner[: len(owner)] == owner:
                    del self._partitions[number]

    @contextmanager
    def current(
        self, scope: Scope, *, heads: Sequence[Head], generation: int | None, dimensions: int
    ) -> Iterator[list[CachedPartition]]:
        """The partitions that the scope reads, caught up with the log and locked while the block runs.

        Args:
            heads: Those of the partitions, as the log has them.
            generation: Whose vectors to keep; None = none.
            dimensions: Their length.
        """
        with ExitStack() as held:
            # In the order of their numbers, so that two questions never wait for each other.
            partitions = []
            for head in sorted(heads, key=lambda head: head.partition):
                partition = self._fetched(head, generation, dimensions)
                held.enter_context(partition.lock)
                self._catch_up(partition, scope, head.seq)
                partitions.append(partition)
            self._evict(keep=len(partitions))
            yield partitions

    def snapshot(
        self,
        scope: Scope,
        known_at: datetime,
        *,
        unexpired_at: datetime,
        outlived: Sequence[Outlived],
        generation: int | None,
        dimensions: int,
    ) -> list[CachedPartition]:
        """The partitions as the log held them then, but for what has expired since; read anew each time, never kept."""
        partitions = []
        for head in self._log.heads(scope):
            partition = CachedPartition(head, generation=generation, dimensions=dimensions)
            query = IndexQuery(
                scope,
                head.partition,
                known_at=known_at,
                vectors=generation is not None,
                unexpired_at=unexpired_at,
                outlived=tuple(outlived),
            )
            partition.apply(self._log.index_rows(query))
            partitions.append(partition)
        return partitions

    def _fetched(self, head: Head, generation: int | None, dimensions: int) -> CachedPartition:
        with self._lock:
            partition = self._partitions.get(head.partition)
            if partition is None or partition.generation != generation:
                partition = self._partitions[head.partition] = CachedPartition(
                    head, generation=generation, dimensions=dimensions
                )
            self._partitions.move_to_end(head.partition)
            return partition

    def _catch_up(self, partition: CachedPartition, scope: Scope, seq: int) -> None:
        if partition.seq >= seq:
            return
        try:
            with_vectors = partition.vectors is not None
            query = IndexQuery(scope, partition.number, after=partition.seq, vectors=with_vectors)
            partition.apply(self._log.index_rows(query))
        except BaseException:
            # Half applied is worse than not there.
            with self._lock:
                self._partitions.pop(partition.number, None)
            raise
        if 2 * partition.postings.count < len(partition) - _FEW:
            # Mostly dead: the next question loads the living anew.
            with self._lock:
                self._partitions.pop(partition.number, None)

    def _evict(self, *, keep: int) -> None:
        with self._lock:
            spare = self._budget - sum(partition.size for partition in self._partitions.values())
            for number in list(self._partitions)[: len(self._partitions) - keep]:
                if spare >= 0:
                    break
                spare += self._partitions.pop(number).size


_FEW: Final = 1024
"""So many dead slots are never worth a new load."""
_caches: weakref.WeakSet[PartitionCache] = weakref.WeakSet()


def _start_clean() -> None:
    # A child inherits locks as they were held and arrays as they were being changed.
    for cache in _caches:
        cache._start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_clean)
