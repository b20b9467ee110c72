"""Bulk ingest, searchable at the end: `python -m bench.ingest` (LoCoMo's turns where they are at hand)."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agentmem import MemoryManager, Scope
from bench.texts import locomo_turns, turns
from bench.timing import milliseconds, p50, report

ROUNDS = 5


def main() -> None:
    batch = locomo_turns() or list(turns(3_000))
    rates: list[float] = []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(dir=".") as folder, MemoryManager.open(Path(folder) / "memory") as memory:
            memory.store("The first one loads the embedder's table.", scope=Scope(user="warm"))
            ana = Scope(user="ana")
            taken_ms = milliseconds(lambda: memory.store_many(batch, scope=ana))  # noqa: B023 - called at once
            first_ms = milliseconds(lambda: memory.retrieve("What did she buy?", scope=ana))  # noqa: B023
            rates.append(len(batch) / (taken_ms + first_ms) * 1000)
    figures = {
        "turns": len(batch),
        "texts": "LoCoMo development turns" if locomo_turns() else "made by bench/texts.py",
        "turns_per_s_until_searchable": p50(rates),
    }
    report("ingest", figures, {"turns_per_s_until_searchable": (">=", 5_000)})


if __name__ == "__main__":
    main()
