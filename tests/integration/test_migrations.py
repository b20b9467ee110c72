"""A database of an older agentmem: it is upgraded, and everything in it is still there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect, text

from agentmem.clock import from_micros
from agentmem.errors import BackendError
from agentmem.interfaces import IndexQuery, LogQuery, Outlived
from agentmem.lifecycle.supersession import decide
from agentmem.log import migrate
from agentmem.log.engine import Database
from agentmem.log.rows import content_hash
from agentmem.log.schema import VERSION_TABLE, metadata
from agentmem.log.sql import SQLLog
from agentmem.records import Fact, Scope
from agentmem.testing import draft

ANA = Scope(user="ana", agent="coach")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/agentmem.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    database = Database(url)
    yield database
    database.close()


def _first_schema(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(migrate, "REVISION", "0001")
        assert migrate.upgrade(database) == (None, "0001")


def _row(seq: int, id: str, version: int, content: str, **fields: Any) -> dict[str, Any]:
    row: dict[str, Any] = {
        "partition_id": 1,
        "seq": seq,
        "id": id,
        "version": version,
        "kind": "turn",
        "role": "user",
        "position": seq,
        "content": content,
        "content_hash": content_hash(content),
        "occurred_at": 1_000_000,
        "recorded_from": seq * 10,
        "valid_from": 1_000_000,
        "metadata": '{"a":1}',
        "integrity": "user",
        "terms": draft(content).terms,
        "length": draft(content).length,
        "generation": 1,
        "vector": b"\0<" * 4,
    }
    return row | fields


ROWS = [
    _row(1, "m1", 1, "I live in Porto.", recorded_to=30, closed_seq=3),
    _row(2, "m2", 1, "A chunk.", kind="document", source_name="guide.md", source='["guide.md",["Top"],0,0,8]'),
    _row(3, "m1", 2, "I live in Faro.", position=1),
    _row(4, "m3", 1, "A summary.", kind="summary", derived_from='["m1"]', expires_at=9_000_000),
]


def _fill(database: Database) -> None:
    with database.writing() as connection:
        columns = "id, tenant, user_id, agent_id, head"
        connection.execute(text(f"INSERT INTO agentmem_partition ({columns}) VALUES (1, 'default', 'ana', 'coach', 4)"))
        connection.execute(text("INSERT INTO agentmem_generation VALUES (1, 'test:1', 4, 'test', 0)"))
        for row in ROWS:
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            connection.execute(text(f"INSERT INTO agentmem_version ({names}) VALUES ({values})"), row)
        connection.execute(text("INSERT INTO agentmem_lineage VALUES (1, 'm1', 'm3')"))


def _opened(url: str, database: Database) -> SQLLog:
    if not database.is_sqlite:
        with pytest.raises(BackendError, match="agentmem upgrade"):
            SQLLog(url)
        assert migrate.upgrade(database) == ("0001", "0002")
    return SQLLog(url)


def test_a_database_of_the_first_schema_keeps_everything(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _first_schema(database, monkeypatch)
    _fill(database)
    log = _opened(url, database)
    porto, faro = log.history(ANA, "m1")
    assert (porto.content, porto.recorded_to) == ("I live in Porto.", from_micros(30))
    current = log.read(LogQuery(ANA))
    assert [each.content for each in current] == ["I live in Faro.", "A chunk.", "A summary."]
    assert current[0] == faro
    for memory in current:
        assert (memory.metadata, memory.written_by, memory.reason, memory.fact) == ({"a": 1}, "caller", None, None)
        assert (memory.accesses, memory.outcome, memory.valid_to) == (0, 0.0, None)
    assert [each.origin for each in current] == [None, "guide.md", None], "a chunk comes from its document"
    assert log.read(LogQuery(ANA, derived_from=("m1",))) == [current[2]]
    rows = log.index_rows(IndexQuery(ANA, 1)).rows
    assert [(row.row, row.vector) for row in rows] == [(each["seq"], each["vector"]) for each in ROWS[1:]]
    [head] = log.heads(ANA)
    assert log.overdue(head, at=from_micros(9_000_000), outlived=(Outlived(None),), limit=9) == ["m3"]
    assert [finding for finding in log.check(deep=True) if not finding.ok] == []
    log.close()


def test_an_upgraded_database_settles_restores_and_goes_on(
    url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _first_schema(database, monkeypatch)
    _fill(database)
    log = _opened(url, database)
    assert log.restore(ANA, "m1", version=1, reason=None).content == "I live in Porto."
    facts = [
        draft(city, kind="fact", valid_from=from_micros(day), fact=Fact("user", "home", city), derived_from=("m1",))
        for city, day in (("Faro", 1), ("Porto", 2))
    ]
    faro, _ = log.append(ANA, facts, generation=None)
    assert log.settle(decide) == 1
    [faro] = log.read(LogQuery(ANA, ids=(faro.id,)))
    assert faro.valid_to == from_micros(2)
    log.close()


def test_the_migrations_make_the_tables_that_the_code_knows(url: str, database: Database) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    SQLLog(url).close()
    with database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
        assert compare_metadata(context, metadata) == []
        assert set(metadata.tables) | {VERSION_TABLE} == set(inspect(connection).get_table_names())
