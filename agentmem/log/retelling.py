"""History after an erasure, told as if what was erased had never come.

What an erased fact did to others stands in their versions: that it closed them, and from when, or that they only said
it again. In the erasing transaction every version that names it goes back to how it was said. When its key is settled
next, ``decide`` says how the facts that are left would have stood at every moment since it came, and their former
versions are written accordingly. What is current stays the version that settling made: the log did change its mind.

A fact that no other one names, and that restates none, has done nothing to any.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from agentmem.clock import to_micros
from agentmem.interfaces import Settle, Standing, Task
from agentmem.log import reading, tasks, writing
from agentmem.log.rows import Row, as_said, dump_fact, load_fact, next_version
from agentmem.log.schema import erasure, version
from agentmem.log.settling import WRITTEN_BY, decided, said_by, standing_of
from agentmem.records import Memory


class Traces(NamedTuple):
    """What is known of facts before they are erased: since when there were any, and which keys' others they restate."""

    since: Mapping[bytes, int]
    restating: frozenset[bytes]


class _Turn(NamedTuple):
    """From when a fact stood so."""

    at: int
    standing: Standing


class _Span(NamedTuple):
    """A former version, as it shall be."""

    begins: int
    ends: int
    standing: Standing


@dataclass
class _Stretch:
    """What one write said of a fact: its version, and those that settling made of it."""

    rows: list[Row]
    said: Memory
    turns: list[_Turn] = field(default_factory=list)

    @property
    def begins(self) -> int:
        return int(self.rows[0]["recorded_from"])

    @property
    def ends(self) -> int | None:
        end: int | None = self.rows[-1]["recorded_to"]
        return end

    @property
    def is_current(self) -> bool:
        return self.rows[-1]["closed_seq"] is None

    @property
    def former(self) -> list[Row]:
        return self.rows[:-1] if self.is_current else self.rows

    def holds_at(self, moment: int) -> bool:
        return self.begins <= moment and (self.ends is None or moment < self.ends)

    def stands(self, standing: Standing, *, at: int) -> None:
        """Let it stand so from then on, later than all it was told before."""
        while self.turns and self.turns[-1].at >= at:
            self.turns.pop()
        if self.turns and replace(self.turns[-1].standing, times=standing.times) == standing:
            at = self.turns.pop().at  # how often it was said is counted in place
        self.turns.append(_Turn(at, standing))

    def current_begins(self, erased_at: int) -> int:
        """From when on its current version shall hold: a later one than the erasure's is left to show that."""
        begins: int = self.rows[-1]["recorded_from"]
        told = self.turns[-1].at
        return max(begins, told) if begins >= erased_at or len(self.turns) == 1 else told

    def spans(self, erased_at: int) -> list[_Span]:
        """Its former versions, as they shall be."""
        end = self.current_begins(erased_at) if self.is_current else self.rows[-1]["recorded_to"]
        ends = [*(turn.at for turn in self.turns[1:]), end]
        pairs = zip(self.turns, ends, strict=True)
        return [_Span(turn.at, min(until, end), turn.standing) for turn, until in pairs if turn.at < min(until, end)]


# --- in the erasing transaction -------------------------------------------------------------------


def traces_of(connection: Connection, partition_id: int, ids: Sequence[str]) -> Traces:
    """What ``take_out`` must know of the facts among these, while they are there."""
    since: dict[bytes, int] = {}
    restating: set[bytes] = set()
    columns = (version.c.fact_key, func.min(version.c.recorded_from), func.count(version.c.restates))
    for part in reading.in_parts(ids):
        of_these = (version.c.partition_id == partition_id, version.c.id.in_(part), version.c.fact_key.is_not(None))
        for key, first, restatements in connection.execute(
            select(*columns).where(*of_these).group_by(version.c.fact_key)
        ):
            since[bytes(key)] = min(first, since.get(bytes(key), first))
            restating |= {bytes(key)} if restatements else set()
    return Traces(since, frozenset(restating))


def take_out(connection: Connection, partition_id: int, gone: Collection[str], traces: Traces, *, now: int) -> None:
    """Let no version name what is gone, and leave the history of its keys to be told anew."""
    ids = frozenset(gone)
    naming = [row for row in _versions_of(connection, partition_id, traces.since) if ids & _named(row)]
    current = [row["seq"] for row in naming if row["closed_seq"] is None]
    if current:
        _write_as_said(connection, partition_id, current, now=now)
    if naming:
        blanked = [{"at": partition_id, "row": row["seq"], **_prefixed(_as_said(row))} for row in naming]
        connection.execute(_change_statement("valid_to", "restates", "fact"), blanked)
    touched = traces.restating | {bytes(row["fact_key"]) for row in naming}
    tasks.leave_retelling(connection, partition_id, {key: traces.since[key] for key in touched}, erased_at=now)


def _named(row: Row) -> set[str | None]:
    fact = load_fact(row["fact"])
    return {fact.superseded_by, fact.restates}


def _as_said(row: Row) -> dict[str, Any]:
    return {"valid_to": row["stated_to"], "restates": None, "fact": dump_fact(as_said(load_fact(row["fact"])))}


def _write_as_said(connection: Connection, partition_id: int, current: Sequence[int], *, now: int) -> None:
    """New versions in the place of these, so that the caches of others learn of it."""
    ticket = writing.take_next(connection, partition_id, len(current))
    assert ticket is not None, "its lock is held"
    old = reading.whole_rows(connection, partition_id, current)
    made = {"written_by": WRITTEN_BY, "reason": None}
    new = [
        next_version(row, seq=ticket.first_seq + place, now=now, changed={**_as_said(row), **made})
        for place, row in enumerate(old.values())
    ]
    writing.close_versions(connection, partition_id, list(old), seq=ticket.first_seq, now=now)
    writing.insert_next(connection, new)


# --- once the key is settled ----------------------------------------------------------------------


def retell_key(connection: Connection, task: Task, decide: Settle) -> None:
    """Write former versions of the key's facts as they would have been, if an erasure has left that to be done.

    Raises:
        UndecidedError: ``decide`` raised, or a content does not match its hash; nothing was written.
    """
    left = tasks.retelling(connection, task)
    if left is None:
        return
    since, erased_at = left
    rows = _versions_of(connection, task.partition, [bytes.fromhex(task.key)])
    stretches = list(_stretches(rows, task))
    _tell(stretches, since, task, decide)
    _write(connection, task.partition, stretches, erased_at)
    tasks.finish_retelling(connection, task)


def _stretches(rows: Sequence[Row], task: Task) -> Iterator[_Stretch]:
    """The versions in order, apart by what was said."""
    for _, of_one in itertools.groupby(rows, key=lambda row: row["id"]):
        stretch: list[Row] = []
        for row in of_one:
            if stretch and row["written_by"] != WRITTEN_BY:
                yield _Stretch(stretch, said_by(stretch[0], task))
                stretch = []
            stretch.append(row)
        yield _Stretch(stretch, said_by(stretch[0], task))


def _tell(stretches: Sequence[_Stretch], since: int, task: Task, decide: Settle) -> None:
    """Say of each stretch how it stood: before ``since`` as it did, from then on as the facts that are left decide."""
    for stretch in stretches:
        for row in stretch.rows:
            if row["recorded_from"] < since:
                stretch.stands(standing_of(row), at=row["recorded_from"])
    times = {time for stretch in stretches for time in (stretch.begins, stretch.ends) if time is not None}
    before = dict(zip(map(id, stretches[1:]), stretches, strict=False))
    for moment in sorted({since, *(time for time in times if time > since)}):
        held = [stretch for stretch in stretches if stretch.holds_at(moment)]
        standings = decided(task, decide, [stretch.said for stretch in held])
        for stretch in held:
            if not stretch.turns:
                former = before.get(id(stretch))
                stretch.stands(_first(stretch, former), at=stretch.begins)
            # What is new stands as it was said until it is settled.
            at = max(moment, stretch.begins + 1)
            if stretch.ends is None or at < stretch.ends:
                stretch.stands(standings[stretch.said.id], at=at)


def _first(stretch: _Stretch, former: _Stretch | None) -> Standing:
    """How a version stands that is not settled yet: like the one before it, if there is one."""
    if former is None or former.said.id != stretch.said.id or not former.turns:
        return Standing(stretch.said.valid_to)
    standing = former.turns[-1].standing
    is_as_before = former.said.valid_to == stretch.said.valid_to
    return standing if is_as_before else replace(standing, valid_to=stretch.said.valid_to)


def _write(connection: Connection, partition_id: int, stretches: Sequence[_Stretch], erased_at: int) -> None:
    changed = [stretch for stretch in stretches if _is_changed(stretch, erased_at)]
    if not changed:
        return
    more = sum(max(0, len(stretch.spans(erased_at)) - len(stretch.former)) for stretch in changed)
    ticket = writing.take_next(connection, partition_id, 1 + more)
    assert ticket is not None, "its lock is held"
    numbers = itertools.count(ticket.first_seq + 1)
    # The last first: where there are more versions than before, those behind them move up.
    for stretch in reversed(changed):
        _rewrite(connection, partition_id, stretch, stretch.spans(erased_at), seq=ticket.first_seq, numbers=numbers)
        if stretch.is_current:
            _move(connection, partition_id, stretch, to=stretch.current_begins(erased_at))


def _is_changed(stretch: _Stretch, erased_at: int) -> bool:
    there = [_Span(row["recorded_from"], row["recorded_to"], standing_of(row)) for row in stretch.former]
    is_moved = stretch.is_current and stretch.current_begins(erased_at) != stretch.rows[-1]["recorded_from"]
    return is_moved or stretch.spans(erased_at) != there


def _rewrite(
    connection: Connection,
    partition_id: int,
    stretch: _Stretch,
    spans: Sequence[_Span],
    *,
    seq: int,
    numbers: Iterator[int],
) -> None:
    """Put the spans in the place of the former versions, whose last rows keep their numbers for the caches."""
    first, former = stretch.rows[0], stretch.former
    of_it = (version.c.partition_id == partition_id, version.c.id == first["id"])
    surplus = former[: max(0, len(former) - len(spans))]
    kept = former[len(surplus) :]
    for row in surplus:
        connection.execute(delete(version).where(*of_it, version.c.seq == row["seq"]))
        connection.execute(insert(erasure), {"partition_id": partition_id, "seq": seq, "row": row["seq"]})
    made = [next(numbers) for _ in range(len(spans) - len(kept))]
    if made:
        template = reading.whole_rows(connection, partition_id, [first["seq"]])[first["seq"]]
        behind = kept[-1]["version"] if kept else first["version"] - 1
        moved = update(version).where(*of_it, version.c.version > behind)
        # Negative meanwhile: no two versions may have one number.
        connection.execute(moved.values(version=-(version.c.version + len(made))))
        new = [{**template, "seq": number, "version": -number, "closed_seq": seq} for number in made]
        connection.execute(insert(version), new)
    places = zip([*made, *(row["seq"] for row in kept)], spans, strict=True)
    changes = [
        {"at": partition_id, "row": row, **_prefixed(_told(first, span, place))}
        for place, (row, span) in enumerate(places)
    ]
    if changes:
        connection.execute(_change_statement(*_TOLD), changes)
    connection.execute(update(version).where(*of_it, version.c.version < 0).values(version=-version.c.version))


def _move(connection: Connection, partition_id: int, stretch: _Stretch, *, to: int) -> None:
    last = stretch.rows[-1]
    moved: dict[str, Any] = {"recorded_from": to}
    if to > stretch.begins:
        moved |= {"written_by": WRITTEN_BY, "reason": None}
    of_it = (version.c.partition_id == partition_id, version.c.seq == last["seq"])
    connection.execute(update(version).where(*of_it).values(moved))


_TOLD: Final = ("version", "recorded_from", "recorded_to", "valid_to", "restates", "fact", "written_by", "reason")


def _told(first: Row, span: _Span, place: int) -> dict[str, Any]:
    fact = replace(
        load_fact(first["fact"]),
        superseded_by=span.standing.superseded_by,
        restates=span.standing.restates,
        times=span.standing.times,
    )
    return {
        "version": -(first["version"] + place),
        "recorded_from": span.begins,
        "recorded_to": span.ends,
        "valid_to": to_micros(span.standing.valid_to),
        "restates": fact.restates,
        "fact": dump_fact(fact),
        "written_by": WRITTEN_BY if place else first["written_by"],
        "reason": None if place else first["reason"],
    }


def _versions_of(connection: Connection, partition_id: int, keys: Collection[bytes]) -> list[Row]:
    """Every version of the facts of these keys, by id and number."""
    return [
        row for part in reading.in_parts(sorted(keys)) for row in reading.fact_versions(connection, partition_id, part)
    ]


def _change_statement(*columns: str) -> Any:
    is_it = (version.c.partition_id == bindparam("at"), version.c.seq == bindparam("row"))
    return update(version).where(*is_it).values({name: bindparam(f"new_{name}") for name in columns})


def _prefixed(changes: Mapping[str, Any]) -> dict[str, Any]:
    return {f"new_{name}": value for name, value in changes.items()}
