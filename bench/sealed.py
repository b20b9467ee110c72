"""What sealing costs: store, ingest, first and later retrieves, and size, beside the open log: `python -m bench.sealed`."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from agentmem import MemoryManager, Scope
from agentmem.interfaces import EpisodicLog
from agentmem.log.sealed import SealedLog
from agentmem.log.sql import SQLLog
from bench.texts import turns
from bench.timing import milliseconds, p50, report

MEMORIES = 10_000
ROUNDS = 5
PER_ROUND = 50
QUESTION = "What did she say about the garden last summer?"


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)

        def opened() -> EpisodicLog:
            return SQLLog(f"sqlite:///{folder}/open.db")

        def sealed() -> EpisodicLog:
            return SealedLog(f"sqlite:///{folder}/sealed.db", keys=folder / "keys")

        ana = Scope(user="ana", agent="coach", session="monday")
        figures = {
            f"{name}_{kind}": value
            for kind, log in (("open", opened), ("sealed", sealed))
            for name, value in _measured(log, ana).items()
        }
        figures["file_ratio"] = (folder / "sealed.db").stat().st_size / (folder / "open.db").stat().st_size
    figures["store_ratio"] = figures["store_p50_ms_sealed"] / figures["store_p50_ms_open"]
    figures["retrieve_ratio"] = figures["retrieve_p50_ms_sealed"] / figures["retrieve_p50_ms_open"]
    report("sealed", figures, {"store_ratio": ("<=", 1.5), "retrieve_ratio": ("<=", 1.5)})


def _measured(log: Callable[[], EpisodicLog], scope: Scope) -> dict[str, float]:
    texts = [turn.content for turn in turns(MEMORIES)]
    with MemoryManager(log(), extractor=None) as memory:
        began = time.perf_counter()
        for start in range(0, MEMORIES, 1_000):
            memory.store_many(texts[start : start + 1_000], scope=scope)
        ingest = MEMORIES / (time.perf_counter() - began)
        stores = [
            milliseconds(lambda text=text: memory.store(text, scope=scope)) for text in texts[: ROUNDS * PER_ROUND]
        ]
    with MemoryManager(log(), extractor=None) as memory:
        first = milliseconds(lambda: memory.retrieve(QUESTION, scope=scope))
        later = [milliseconds(lambda: memory.retrieve(QUESTION, scope=scope)) for _ in range(ROUNDS * PER_ROUND)]
    return {
        "ingest_per_s": ingest,
        "store_p50_ms": p50(stores),
        "first_retrieve_ms": first,
        "retrieve_p50_ms": p50(later),
    }


if __name__ == "__main__":
    main()
