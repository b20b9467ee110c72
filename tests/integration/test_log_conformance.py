"""The SQL log keeps every promise of the episodic log: in a SQLite file, in memory and on PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agentmem.interfaces import EpisodicLog
from agentmem.log.sql import SQLLog
from agentmem.testing import EpisodicLogTests, SteppingClock


class TestSQLiteFile(EpisodicLogTests):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EpisodicLog]:
        log = SQLLog(f"sqlite:///{tmp_path}/agentmem.db")
        yield log
        log.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], EpisodicLog]:
        return lambda: SQLLog(f"sqlite:///{tmp_path}/agentmem.db")

    @pytest.fixture
    def raw_text(self, tmp_path: Path) -> Callable[[], bytes]:
        return lambda: b"".join(file.read_bytes() for file in sorted(tmp_path.rglob("*")) if file.is_file())

    @pytest.fixture
    def tamper(self, tmp_path: Path) -> Callable[[str], None]:
        def change(id: str) -> None:
            with sqlite3.connect(tmp_path / "agentmem.db") as connection:
                statement = "UPDATE agentmem_version SET content = replace(content, '10', '90') WHERE id = ?"
                assert connection.execute(statement, [id]).rowcount == 1
            connection.close()

        return change


class TestSQLiteMemory(EpisodicLogTests):
    @pytest.fixture
    def log(self) -> Iterator[EpisodicLog]:
        log = SQLLog("sqlite://", clock=SteppingClock())
        yield log
        log.close()


class TestPostgreSQL(EpisodicLogTests):
    @pytest.fixture
    def log(self, postgres_url: str) -> Iterator[EpisodicLog]:
        log = SQLLog(postgres_url)
        yield log
        log.close()

    @pytest.fixture
    def reopen(self, log: EpisodicLog, postgres_url: str) -> Callable[[], EpisodicLog]:
        return lambda: SQLLog(postgres_url)

    @pytest.fixture
    def raw_text(self, postgres_url: str) -> Callable[[], bytes]:
        return lambda: _every_row(postgres_url)

    @pytest.fixture
    def tamper(self, postgres_url: str) -> Callable[[str], None]:
        def change(id: str) -> None:
            with _connect(postgres_url) as connection:
                statement = "UPDATE agentmem_version SET content = replace(content, '10', '90') WHERE id = %s"
                assert connection.execute(statement, [id]).rowcount == 1

        return change


def _connect(url: str) -> Any:
    import psycopg

    return psycopg.connect(url.replace("+psycopg", ""))


def _every_row(url: str) -> bytes:
    """All that a query can see: text as it is, bytes as they are."""
    with _connect(url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        values = [
            value for (table,) in tables for row in connection.execute(f'SELECT * FROM "{table}"') for value in row
        ]
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in values)
