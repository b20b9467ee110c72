"""A vector store of your own: one class on SQLite, used by a manager. tests/docs runs agentmem's suite on it."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from agentmem import MemoryManager, Scope
from agentmem.interfaces import Generation, VectorChange, VectorHits, VectorQuery, VectorStore

SCHEMA = """
    CREATE TABLE IF NOT EXISTS vector
    (generation, partition, row, vector, PRIMARY KEY (generation, partition, row))
"""
HERE = "FROM vector WHERE generation = ? AND partition = ?"


class SQLiteVectors(VectorStore):
    """Every vector is compared: exact, durable, and fast enough for a few thousand."""

    def __init__(self, path: str | Path) -> None:
        self._lock = Lock()
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute(SCHEMA)

    def apply(self, change: VectorChange, *, connection: Any = None) -> None:
        here = (change.generation.number, change.partition)
        put = [(*here, row, vector.tobytes()) for row, vector in zip(change.rows.tolist(), change.vectors, strict=True)]
        with self._lock, self._database:
            self._database.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?, ?)", put)
            self._database.executemany(f"DELETE {HERE} AND row = ?", [(*here, row) for row in change.gone])

    def search(self, query: VectorQuery) -> VectorHits:
        found = self._select("row, vector", query.generation, query.partition)
        rows = np.array([row for row, _ in found], dtype=np.int64)
        vectors = np.frombuffer(b"".join(vector for _, vector in found), dtype=np.float32)
        scores = vectors.reshape(-1, query.generation.dimensions) @ query.vector
        best = np.argsort(-scores)[: query.limit]
        return VectorHits(rows[best], scores[best])

    def rows(self, generation: Generation, partition: int) -> set[int]:
        return {row for (row,) in self._select("row", generation, partition)}

    def drop(self, generation: Generation, partition: int) -> None:
        with self._lock, self._database:
            self._database.execute(f"DELETE {HERE}", (generation.number, partition))

    def close(self) -> None:
        self._database.close()

    def _select(self, columns: str, generation: Generation, partition: int) -> list[Any]:
        with self._lock:
            return self._database.execute(f"SELECT {columns} {HERE}", (generation.number, partition)).fetchall()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        vectors = SQLiteVectors(Path(folder) / "vectors.db")
        with MemoryManager.open(folder, vectors=vectors) as memory:
            ana = Scope(user="ana")
            memory.store("I moved to Lisbon in May.", scope=ana)
            memory.store("My sister stays in Porto.", scope=ana)
            print(memory.retrieve("Where do I live now?", scope=ana)[0].content)
        vectors.close()  # the manager closes what it built from a name, never what it was given
