"""One durable store against a bare SQLite commit on the same disk: `python -m bench.store`."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

from agentmem import MemoryManager, Scope
from bench.texts import turns
from bench.timing import milliseconds, p50, p95, report

ROUNDS = 20
PER_ROUND = 100


def main() -> None:
    ana = Scope(user="ana", agent="coach", session="monday")
    texts = [turn.content for turn in turns(ROUNDS * PER_ROUND)]
    with tempfile.TemporaryDirectory(dir=".") as folder, MemoryManager.open(Path(folder) / "memory") as memory:
        bare = sqlite3.connect(Path(folder) / "bare.db", isolation_level=None)
        bare.execute("PRAGMA journal_mode=WAL")
        bare.execute("PRAGMA synchronous=FULL")
        bare.execute("CREATE TABLE turn (id INTEGER PRIMARY KEY, content TEXT)")

        def commit(text: str) -> None:
            bare.execute("BEGIN IMMEDIATE")
            bare.execute("INSERT INTO turn (content) VALUES (?)", (text,))
            bare.execute("COMMIT")

        memory.store("The first one loads the embedder's table.", scope=ana)
        ours: list[float] = []
        theirs: list[float] = []
        # In turns, round by round, so that both meet the same disk.
        for number in range(ROUNDS):
            batch = texts[number * PER_ROUND : (number + 1) * PER_ROUND]
            theirs += [milliseconds(lambda text=text: commit(text)) for text in batch]
            ours += [milliseconds(lambda text=text: memory.store(text, scope=ana)) for text in batch]
        bare.close()
    figures = {
        "store_p50_ms": p50(ours),
        "store_p95_ms": p95(ours),
        "bare_commit_p50_ms": p50(theirs),
        "ratio": p50(ours) / p50(theirs),
    }
    report("store", figures, {"ratio": ("<=", 3.0)})


if __name__ == "__main__":
    main()
