"""Databases for the tests: a PostgreSQL of our own, and a fresh database in it for each test."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_numbers = itertools.count()


@pytest.fixture(scope="session")
def postgres_socket() -> Iterator[Path]:
    """The socket folder of a PostgreSQL that lives as long as the test session."""
    pgserver = pytest.importorskip("pgserver", reason="PostgreSQL needs `pip install pyagentmem[test]`")
    pytest.importorskip("psycopg", reason="PostgreSQL needs `pip install pyagentmem[postgres]`")
    # A socket's path must be short, which pytest's own temporary folders are not. Run as root, pgserver
    # hands the server to a system user of its own, because PostgreSQL refuses to run as root.
    with tempfile.TemporaryDirectory(prefix="agentmem-pg-", dir=_fast_disk(), ignore_cleanup_errors=True) as folder:
        server = pgserver.get_server(folder, cleanup_mode="stop")
        socket = server.get_postmaster_info().socket_dir
        yield socket
        server.cleanup()


@pytest.fixture
def postgres_url(postgres_socket: Path) -> Iterator[str]:
    """The URL of an empty PostgreSQL database that only this test sees."""
    import psycopg

    name = f"test_{next(_numbers)}"
    with psycopg.connect(f"host={postgres_socket} user=postgres dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        yield f"postgresql+psycopg://postgres@/{name}?host={postgres_socket}"
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _fast_disk() -> str | None:
    """A folder in memory if there is a large one: fsync stays on, as the log demands, and costs nothing there."""
    shared_memory = Path("/dev/shm")
    roomy = shared_memory.is_dir() and shutil.disk_usage(shared_memory).free > 1 << 30
    return str(shared_memory) if roomy else None
