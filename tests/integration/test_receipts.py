"""Receipts are kept in a chain that holds no content, and whoever changes it is found out."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentmem import MemoryManager, Receipt, Scope
from agentmem.errors import CorruptRecord
from agentmem.interfaces import ErasureRequest
from agentmem.log.receipts import hash_of
from agentmem.log.sql import SQLLog
from agentmem.records import Finding
from agentmem.testing import draft

ANA = Scope(user="ana", agent="coach")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
COLUMNS = ("tenant", "place", "id", "subject", "status", "body", "to_drop", "previous_hash", "hash")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLLog]:
    log = SQLLog(f"sqlite:///{tmp_path}/agentmem.db")
    yield log
    log.close()


def forget(log: SQLLog, scope: Scope, number: int, *, close: bool = True) -> Receipt:
    [memory] = log.append(scope, [draft(f"Something about xylotheca {number}.")], generation=None)
    id = f"request-{scope.tenant}-{number}"
    log.erase(scope, [memory.id], mode="erase", request=ErasureRequest(id, NOON, requested_by="the desk"))
    [made] = [receipt for receipt, _ in log.unfinished_receipts() if receipt.id == id]
    return log.close_receipt(replace(made, status="done", done_at=NOON, remaining=())) if close else made


def finding(log: SQLLog) -> Finding:
    [found] = [each for each in log.check() if each.name == "receipts"]
    return found


# --- what they say --------------------------------------------------------------------------------


def test_a_receipt_outlives_its_process_and_says_who_why_and_how_much(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=None) as memory:
        said = memory.store("Her number is 0470.", scope=ANA)
        handed_out = memory.forget(said.id, scope=ANA, reason="asked by letter")
    with closing(SQLLog(f"sqlite:///{tmp_path}/agentmem.db")) as log:
        assert log.receipts(ANA) == [handed_out]
    assert (handed_out.status, handed_out.memories, handed_out.reason) == ("done", 1, "asked by letter")


def test_whoever_holds_a_finished_receipt_can_check_it_alone(log: SQLLog) -> None:
    receipt = forget(log, ANA, 1)
    assert receipt.hash == hash_of(receipt)
    assert replace(receipt, memories=2).hash != hash_of(replace(receipt, memories=2))


def test_receipts_are_found_by_whose_memory_it_was_and_not_by_a_name(log: SQLLog, tmp_path: Path) -> None:
    ours = forget(log, ANA, 1)
    forget(log, Scope(user="ben"), 2)
    forget(log, replace(ANA, tenant="elsewhere"), 3)
    assert log.receipts(Scope(user="ana")) == log.receipts(ANA) == [ours]
    with closing(sqlite3.connect(tmp_path / "agentmem.db")) as database:
        kept = str(database.execute("SELECT * FROM agentmem_receipt").fetchall())
    for secret in ("ana", "ben", "xylotheca", "coach"):
        assert secret not in kept


def test_a_pending_receipt_gets_a_second_entry_when_it_is_closed(log: SQLLog) -> None:
    pending = forget(log, ANA, 1, close=False)
    assert [receipt.status for receipt in log.receipts(ANA)] == ["pending"]
    done = log.close_receipt(replace(pending, status="done", remaining=(), done_at=NOON))
    assert log.receipts(ANA) == [done]
    assert done.previous_hash == pending.hash
    assert log.unfinished_receipts() == []
    assert log.close_receipt(done) == done, "closing twice is once"
    assert finding(log).ok


def test_retiring_leaves_a_receipt_too(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=None) as memory:
        said = memory.store("Her number is 0470.", scope=ANA)
        receipt = memory.forget(said.id, scope=ANA, mode="retire")
        assert [each.id for each in memory.log.receipts(ANA)] == [receipt.id]
        assert (receipt.mode, receipt.status) == ("retire", "done")


def test_a_rehearsal_leaves_none(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=None) as memory:
        said = memory.store("Her number is 0470.", scope=ANA)
        memory.forget(said.id, scope=ANA, dry_run=True)
        memory.forget(scope=Scope(user="ana"), everything=True, dry_run=True)
        assert memory.log.receipts(ANA) == []


# --- what cannot be done to them unseen -----------------------------------------------------------


def test_the_chains_of_two_tenants_are_whole(log: SQLLog) -> None:
    for number in range(5):
        forget(log, ANA, number)
        forget(log, replace(ANA, tenant="elsewhere"), number)
    assert finding(log) == Finding("receipts", True, "20 entries, each after the one before")


def test_every_edit_drop_and_swap_is_found_and_its_place_named(log: SQLLog, tmp_path: Path) -> None:
    for number in range(6):
        forget(log, ANA, number)
        forget(log, replace(ANA, tenant="elsewhere"), number, close=number < 5)
    assert finding(log).ok
    database = sqlite3.connect(tmp_path / "agentmem.db", isolation_level=None)
    rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM agentmem_receipt ORDER BY tenant, place").fetchall()
    seed = random.randrange(1 << 30)
    choose = random.Random(seed)
    unseen = []
    for number in range(400):
        change = choose.choice(CHANGES)
        changed = change(list(rows), choose)
        if changed == rows:
            continue
        _replace_all(database, changed)
        found = finding(log)
        if found.ok or "receipt" not in found.detail:
            unseen.append((number, change.__name__))
    _replace_all(database, rows)
    database.close()
    assert unseen == [], f"seed {seed}"
    assert finding(log).ok, "the control: put back as it was, it is whole"


@pytest.mark.parametrize("body", ["garbage", "[]", "{}", '{"unknown": 1}'])
def test_a_receipt_that_cannot_be_read_is_a_corrupt_record(log: SQLLog, tmp_path: Path, body: str) -> None:
    first, second = forget(log, ANA, 1, close=False), forget(log, ANA, 2)
    digest = hashlib.sha256(bytes.fromhex(first.previous_hash or "") + body.encode()).digest()
    with closing(sqlite3.connect(tmp_path / "agentmem.db", isolation_level=None)) as database:
        # With care: its own hash fits, and the next entry follows it.
        database.execute(
            "UPDATE agentmem_receipt SET body = ?, to_drop = NULL, hash = ? WHERE place = 1", [body, digest]
        )
        database.execute("UPDATE agentmem_receipt SET previous_hash = ? WHERE place = 2", [digest])
    for ask in (lambda: log.receipts(ANA), log.unfinished_receipts, lambda: log.close_receipt(first)):
        with pytest.raises(CorruptRecord, match="receipt 1"):
            ask()
    assert not finding(log).ok and "receipt 1" in finding(log).detail
    assert second.hash is not None


Rows = list[tuple[object, ...]]


def _edit(rows: Rows, choose: random.Random) -> Rows:
    at, column = choose.randrange(len(rows)), choose.randrange(len(COLUMNS))
    row = list(rows[at])
    old = row[column]
    if isinstance(old, bytes):
        row[column] = choose.choice([bytes([old[0] ^ 1]) + old[1:], b"", old[:-1], "text"])
    elif isinstance(old, int):
        row[column] = old + choose.choice([100, -100])
    elif isinstance(old, str):
        place = choose.randrange(len(old))
        row[column] = old[:place] + choose.choice("0x}") + old[place + 1 :]
    else:
        row[column] = "{}"
    return [*rows[:at], tuple(row), *rows[at + 1 :]]


def _drop(rows: Rows, choose: random.Random) -> Rows:
    at = choose.randrange(len(rows))
    return rows[:at] + rows[at + 1 :]


def _cut_the_end(rows: Rows, choose: random.Random) -> Rows:
    tenant = choose.choice(["default", "elsewhere"])
    of_tenant = [row for row in rows if row[0] == tenant]
    gone = of_tenant[choose.randrange(len(of_tenant)) :]
    return [row for row in rows if row not in gone]


def _swap_places(rows: Rows, choose: random.Random) -> Rows:
    one, two = choose.sample(range(len(rows)), 2)
    rows[one], rows[two] = rows[one][:2] + rows[two][2:], rows[two][:2] + rows[one][2:]
    return rows


def _write_anew(rows: Rows, choose: random.Random) -> Rows:
    """A body changed with care: its own hash fits again."""
    at = choose.randrange(len(rows))
    row = dict(zip(COLUMNS, rows[at], strict=True))
    body = json.dumps(json.loads(str(row["body"])) | {"memories": 99}, sort_keys=True, separators=(",", ":"))
    told = body if row["to_drop"] is None else f"{body}\n{row['to_drop']}"
    row |= {"body": body, "hash": hashlib.sha256(bytes(row["previous_hash"]) + told.encode()).digest()}  # type: ignore[arg-type]
    return [*rows[:at], tuple(row.values()), *rows[at + 1 :]]


CHANGES: list[Callable[[Rows, random.Random], Rows]] = [_edit, _edit, _drop, _cut_the_end, _swap_places, _write_anew]


def _replace_all(database: sqlite3.Connection, rows: Rows) -> None:
    database.execute("BEGIN IMMEDIATE")
    database.execute("DELETE FROM agentmem_receipt")
    marks = ", ".join("?" * len(COLUMNS))
    database.executemany(f"INSERT INTO agentmem_receipt ({', '.join(COLUMNS)}) VALUES ({marks})", rows)
    database.execute("COMMIT")


# --- PostgreSQL -----------------------------------------------------------------------------------


def test_on_postgresql_a_receipt_is_done_once_the_table_was_written_anew(postgres_url: str) -> None:
    import psycopg

    with MemoryManager.open(postgres_url, embedder=None, extractor=None) as memory:
        said = memory.store("Her number is 0470.", scope=ANA)
        receipt = memory.forget(said.id, scope=ANA)
        assert receipt.status == "pending" and "VACUUM FULL" in receipt.remaining[0]
        memory.flush()
        assert [each.status for each in memory.log.receipts(ANA)] == ["pending"]
        with psycopg.connect(postgres_url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("VACUUM FULL agentmem_version")
        memory.flush()
        assert [each.status for each in memory.log.receipts(ANA)] == ["done"]
