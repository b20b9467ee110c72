"""Whose memory: the table of readers and layers, in every method, by id too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import permutations

import pytest

from agentmem.errors import MemoryNotFound, ScopeError
from agentmem.interfaces import EpisodicLog, IndexQuery, LogQuery, Revision
from agentmem.records import Memory, Scope
from agentmem.testing.fakes import draft
from agentmem.testing.suites.log_base import (
    ANA,
    ANA_ELSEWHERE,
    BEN,
    DIMENSIONS,
    LogSuite,
    all_contents,
    append,
    append_one,
    blob,
    own_partition,
)

OWNERS = {
    "ana+coach": Scope(user="ana", agent="coach", session="monday"),
    "ana+cook": Scope(user="ana", agent="cook", session="monday"),
    "ana": Scope(user="ana", session="monday"),
    "ben+coach": Scope(user="ben", agent="coach", session="monday"),
    "coach": Scope(agent="coach", session="monday"),
    "cook": Scope(agent="cook", session="monday"),
}
TENANTS = ("acme", "zeta")


@dataclass(frozen=True)
class Reader:
    """Who asks, whose rows it reads and whose it may change."""

    scope: Scope
    reads: frozenset[str]
    writes: frozenset[str]


def _reader(scope: Scope, reads: str, writes: str) -> object:
    return pytest.param(Reader(scope, frozenset(reads.split()), frozenset(writes.split())), id=reads.replace(" ", ","))


READERS = [
    _reader(Scope(user="ana", agent="coach", tenant="acme"), "ana+coach ana coach", "ana+coach"),
    _reader(Scope(user="ana", agent="coach", session="tuesday", tenant="acme"), "ana+coach ana coach", "ana+coach"),
    _reader(Scope(user="ana", tenant="acme"), "ana+coach ana+cook ana", "ana+coach ana+cook ana"),
    _reader(Scope(user="ben", tenant="acme"), "ben+coach", "ben+coach"),
    _reader(Scope(agent="coach", tenant="acme"), "coach", "coach"),
    _reader(Scope(user="zoe", agent="coach", tenant="acme"), "coach", ""),
    _reader(Scope(user="coach", agent="ana", tenant="acme"), "", ""),
]


@dataclass(frozen=True)
class World:
    """One memory of every owner in two tenants, each with a vector, and where it is kept."""

    memories: dict[tuple[str, str], Memory]
    rows: dict[tuple[str, str], tuple[int, int]]

    def of(self, labels: frozenset[str]) -> set[str]:
        """The ids of these owners' memories in the readers' tenant."""
        return {memory.id for (tenant, label), memory in self.memories.items() if tenant == "acme" and label in labels}


class LayerPromises(LogSuite):
    @pytest.fixture
    def world(self, log: EpisodicLog) -> World:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        memories, rows = {}, {}
        for tenant in TENANTS:
            for label, owner in OWNERS.items():
                scope = replace(owner, tenant=tenant)
                one = draft(f"{label} of {tenant}", session="monday", vector=blob(1))
                memories[tenant, label] = append_one(log, scope, one, generation=generation)
                partition = own_partition(log, scope)
                [row] = log.index_rows(IndexQuery(scope, partition)).rows
                rows[tenant, label] = (partition, row.row)
        return World(memories, rows)

    @pytest.mark.parametrize("reader", READERS)
    def test_each_reader_reads_its_layers_and_no_other(self, log: EpisodicLog, world: World, reader: Reader) -> None:
        assert {memory.id for memory in log.read(LogQuery(reader.scope))} == world.of(reader.reads)
        assert {memory.id for memory in log.read(LogQuery(reader.scope, writable=True))} == world.of(reader.writes)
        everything = tuple(memory.id for memory in world.memories.values())
        assert {memory.id for memory in log.read(LogQuery(reader.scope, ids=everything))} == world.of(reader.reads)
        places = tuple(world.rows.values())
        assert {memory.id for memory in log.read(LogQuery(reader.scope, rows=places))} == world.of(reader.reads)

    @pytest.mark.parametrize("reader", READERS)
    def test_heads_are_those_of_the_layers_read(self, log: EpisodicLog, world: World, reader: Reader) -> None:
        heads = {head.partition: (head.tenant, head.user, head.agent) for head in log.heads(reader.scope)}
        assert heads == {
            world.rows["acme", label][0]: ("acme", OWNERS[label].user, OWNERS[label].agent) for label in reader.reads
        }

    @pytest.mark.parametrize("reader", READERS)
    def test_by_id_calls_keep_to_the_layers_too(self, log: EpisodicLog, world: World, reader: Reader) -> None:
        readable, writable = world.of(reader.reads), world.of(reader.writes)
        for memory in world.memories.values():
            calls = _by_id_calls(log, reader.scope)
            for name, call in calls.items():
                allowed = readable if name == "history" else writable
                if memory.id not in readable:
                    assert _complaint(call, memory.id) == _complaint(call, "unknown"), name
                elif memory.id not in allowed:
                    with pytest.raises(ScopeError):
                        call(memory.id)
        for memory in world.memories.values():
            assert log.history(memory.scope, memory.id) == [memory], "nothing was touched"
        for allowed_id in writable:
            log.revise(reader.scope, allowed_id, Revision(content="new"), expected_version=1, generation=None)
            log.erase(reader.scope, [allowed_id], mode="erase")
        left = {memory.id for memory in world.memories.values()} - writable
        scopes = [replace(owner, tenant=tenant) for tenant in TENANTS for owner in OWNERS.values()]
        assert {memory.id for scope in scopes for memory in log.read(LogQuery(scope))} == left

    @pytest.mark.parametrize("reader", READERS)
    def test_vectors_and_index_rows_keep_to_the_layers(self, log: EpisodicLog, world: World, reader: Reader) -> None:
        places = list(world.rows.values())
        readable = {world.rows["acme", label] for label in reader.reads}
        assert log.vectors(reader.scope, places) == dict.fromkeys(readable, blob(1))
        for partition, row in places:
            if (partition, row) in readable:
                assert [each.row for each in log.index_rows(IndexQuery(reader.scope, partition)).rows] == [row]
            else:
                with pytest.raises(ScopeError):
                    log.index_rows(IndexQuery(reader.scope, partition))
        with pytest.raises(ScopeError):
            log.index_rows(IndexQuery(reader.scope, max(partition for partition, _ in places) + 1_000))

    def test_one_foreign_id_among_many_forgets_none(self, log: EpisodicLog, world: World) -> None:
        ours, theirs = world.memories["acme", "ana+coach"], world.memories["acme", "ben+coach"]
        for mode in ("erase", "retire"):
            with pytest.raises(MemoryNotFound):
                log.erase(ours.scope, [ours.id, theirs.id], mode=mode)
        assert log.read(LogQuery(ours.scope, ids=(ours.id,))) == [ours]
        assert log.read(LogQuery(theirs.scope, ids=(theirs.id,))) == [theirs]

    def test_what_was_erased_elsewhere_is_nobody_elses_business(self, log: EpisodicLog) -> None:
        [memory] = append(log, ANA, "secret")
        log.erase(ANA, [memory.id], mode="erase")
        assert log.tombstoned(ANA, [memory.id]) == {memory.id}
        assert log.tombstoned(BEN, [memory.id]) == frozenset()
        assert log.tombstoned(ANA_ELSEWHERE, [memory.id]) == frozenset()

    def test_ids_that_look_alike_are_different_people(self, log: EpisodicLog) -> None:
        alike = ["ana", "Ana", "ana ", " ana", "an%", "a_a", "ana\u200b", "añа", "an\u0303a", "a\u00f1a", "*", "ana/"]
        for user in alike:
            append(log, Scope(user=user), f"I am {user!r}.")
        for user in alike:
            assert all_contents(log, Scope(user=user)) == [f"I am {user!r}."]

    def test_names_cannot_be_moved_from_one_part_of_a_scope_to_another(self, log: EpisodicLog) -> None:
        for tenant, user, agent in permutations(("a", "b", "a/b")):
            append(log, Scope(tenant=tenant, user=user, agent=agent), f"{tenant}|{user}|{agent}")
        append(log, Scope(user="x", tenant="t"), "a user")
        append(log, Scope(agent="x", tenant="t"), "an agent")
        for tenant, user, agent in permutations(("a", "b", "a/b")):
            scope = Scope(tenant=tenant, user=user, agent=agent)
            assert all_contents(log, scope) == [f"{tenant}|{user}|{agent}"]
        assert all_contents(log, Scope(user="x", tenant="t")) == ["a user"]
        assert all_contents(log, Scope(agent="x", tenant="t")) == ["an agent"]

    def test_a_scope_that_never_wrote_reads_nothing(self, log: EpisodicLog) -> None:
        append(log, ANA, "hello")
        nobody = Scope(user="nobody", agent="none")
        assert log.read(LogQuery(nobody)) == []
        assert log.heads(nobody) == []

    def test_all_heads_names_every_partition_once(self, log: EpisodicLog, world: World) -> None:
        heads = [(head.tenant, head.user, head.agent) for head in log.all_heads()]
        assert sorted(heads, key=str) == sorted(
            [(tenant, owner.user, owner.agent) for tenant in TENANTS for owner in OWNERS.values()], key=str
        )


def _by_id_calls(log: EpisodicLog, scope: Scope) -> dict[str, Callable[[str], object]]:
    revision = Revision(content="overwritten")
    return {
        "history": lambda id: log.history(scope, id),
        "revise": lambda id: log.revise(scope, id, revision, expected_version=None, generation=None),
        "revise with a version": lambda id: log.revise(scope, id, revision, expected_version=7, generation=None),
        "erase": lambda id: log.erase(scope, [id], mode="erase"),
        "retire": lambda id: log.erase(scope, [id], mode="retire"),
    }


def _complaint(call: Callable[[str], object], id: str) -> str:
    """What MemoryNotFound says, without the id: a foreign id must not be told from an unknown one."""
    with pytest.raises(MemoryNotFound) as caught:
        call(id)
    return str(caught.value).replace(id, "<id>")
