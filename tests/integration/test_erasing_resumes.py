"""Everything of a subject is forgotten in batches: a crash in between hides nothing again and loses no wish."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from agentmem import MemoryManager, MemoryNotFound, Scope
from agentmem.interfaces import ErasureRequest, LogQuery
from agentmem.log import erasing
from agentmem.log.sql import SQLLog
from agentmem.testing import draft
from agentmem.testing.fakes import A_MONDAY

ANA = Scope(user="ana", agent="coach", session="monday")
USER = Scope(user="ana")
BEN = Scope(user="ben", agent="coach")
SECRET = "xylotheca"


class Crash(BaseException):
    """Nothing catches it, as nothing catches a kill."""


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "BATCH", 7)


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], SQLLog]:
    url = f"sqlite:///{tmp_path}/agentmem.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    return lambda: SQLLog(url)


@pytest.fixture
def crash_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the process die after so many batches."""

    def set_up(batches: int) -> None:
        left = iter(range(batches))
        real = erasing.erase_some

        def some(desk: erasing.Desk, partition: int) -> object:
            if next(left, None) is None:
                monkeypatch.setattr(erasing, "erase_some", real)
                raise Crash
            return real(desk, partition)

        monkeypatch.setattr(erasing, "erase_some", some)

    return set_up


def filled(log: SQLLog) -> list[str]:
    ids = []
    for scope in (ANA, USER, Scope(user="ana", agent="cook")):
        stored = log.append(scope, [draft(f"{SECRET} {number}") for number in range(20)], generation=None)
        log.append(scope, [draft("derived", derived_from=(stored[0].id,))], generation=None)
        ids += [memory.id for memory in stored]
    log.append(BEN, [draft("Ben's")], generation=None)
    return ids


@pytest.mark.parametrize("batches", [0, 1, 4, 7, 9])
def test_after_a_crash_nothing_is_read_and_another_process_finishes(
    opened: Callable[[], SQLLog], crash_after: Callable[[int], None], batches: int
) -> None:
    with closing(opened()) as log:
        ids = filled(log)
        crash_after(batches)
        with pytest.raises(Crash):
            log.erase_everything(USER, request=ErasureRequest("r1", A_MONDAY))
    with closing(opened()) as log:
        assert log.read(LogQuery(USER)) == log.heads(USER) == []
        assert {head.user for head in log.all_heads()} == {"ben"}
        assert log.counts()["versions"] == 1, "what is to be erased is not counted"
        with pytest.raises(MemoryNotFound):
            log.history(USER, ids[0])
        assert log.tombstoned(USER, ids) == set(ids), "also those whose turn has not come"
        [erasure] = log.resume()
        assert erasure.receipt == "r1"
        [(receipt, left)] = log.unfinished_receipts()
        assert (receipt.memories, receipt.rows["version"]) == (63, 63)
        assert set(left.partitions) >= set(erasure.partitions)
        assert log.resume() == []
        assert log.tombstoned(USER, ids) == set(ids)
        assert [memory.content for memory in log.read(LogQuery(BEN))] == ["Ben's"]
        assert [finding for finding in log.check() if not finding.ok] == []
        with log._reading() as connection:
            for table in ("version", "lineage", "erasure", "cursor", "task", "partition"):
                rows = connection.exec_driver_sql(f"SELECT count(*) FROM agentmem_{table}").scalar_one()
                assert rows == {"version": 1, "partition": 1}.get(table, 0), table


def test_what_the_person_says_meanwhile_is_a_new_life_and_stays(
    opened: Callable[[], SQLLog], crash_after: Callable[[int], None]
) -> None:
    with closing(opened()) as log:
        ids = filled(log)
        crash_after(2)
        with pytest.raises(Crash):
            log.erase_everything(USER)
        [again] = log.append(ANA, [draft("I am back.")], generation=None)
        assert [memory.id for memory in log.read(LogQuery(USER))] == [again.id]
        with pytest.raises(MemoryNotFound):
            log.append(ANA, [draft("derived", derived_from=(ids[-1],))], generation=None)
        crash_after(0)
        with pytest.raises(Crash):
            log.erase_everything(USER)  # twice doomed, by two wishes
        [last] = log.append(ANA, [draft("Once more.")], generation=None)
        assert len(log.resume()) == 2
        assert [memory.id for memory in log.read(LogQuery(USER))] == [last.id]
        assert log.tombstoned(USER, [*ids, again.id, last.id]) == {*ids, again.id}


def test_a_hold_that_comes_after_the_wish_does_not_stop_it(
    opened: Callable[[], SQLLog], crash_after: Callable[[int], None]
) -> None:
    with closing(opened()) as log:
        filled(log)
        crash_after(1)
        with pytest.raises(Crash):
            log.erase_everything(USER)
        log.hold(USER, reason="too late")
        assert len(log.resume()) == 1
        assert log.counts()["versions"] == 1


def test_a_manager_that_opens_next_finishes_files_and_receipt_too(
    tmp_path: Path, crash_after: Callable[[int], None]
) -> None:
    memory = MemoryManager.open(tmp_path, embedder=None, extractor=None)
    memory.store_many([f"{SECRET} number {number}" for number in range(30)], scope=ANA)
    crash_after(2)
    with pytest.raises(Crash):
        memory.forget(scope=USER, everything=True)
    memory.log.close()
    with MemoryManager.open(tmp_path, embedder=None, extractor=None) as memory:
        assert memory.retrieve(SECRET, scope=ANA).hits == ()
        memory.flush()
        [receipt] = memory.log.receipts(USER)
        assert (receipt.status, receipt.memories) == ("done", 30)
        assert not [file for file in tmp_path.iterdir() if SECRET.encode() in file.read_bytes()]


def test_a_crash_between_erasing_and_the_files_is_made_good_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = MemoryManager.open(tmp_path, embedder=None, extractor=None)
    old = memory.store(f"{SECRET} in the drawer", scope=ANA)

    def crash(_: SQLLog) -> tuple[str, ...]:
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(SQLLog, "purge_traces", crash)
        with pytest.raises(Crash):
            memory.forget(old.id, scope=ANA)
    del memory
    with MemoryManager.open(tmp_path, embedder=None, extractor=None) as memory:
        memory.flush()
        [receipt] = memory.log.receipts(USER)
        assert receipt.status == "done"
    assert not [file for file in tmp_path.iterdir() if SECRET.encode() in file.read_bytes()]
