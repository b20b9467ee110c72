"""What sealing costs beside the open log, in turns: store, ingest, retrieve, size: `python -m bench.sealed`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from agentmem import MemoryManager, Scope
from agentmem.log.sealed import SealedLog
from agentmem.log.sql import SQLLog
from bench.texts import turns
from bench.timing import milliseconds, p50, report

MEMORIES = 10_000
BATCHES = 10
ROUNDS = 10
PER_ROUND = 50
QUESTION = "What did she say about the garden last summer?"


def main() -> None:
    ana = Scope(user="ana", agent="coach", session="monday")
    texts = [turn.content for turn in turns(MEMORIES)]
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        logs = {
            "open": SQLLog(f"sqlite:///{folder}/open.db"),
            "sealed": SealedLog(f"sqlite:///{folder}/sealed.db", keys=folder / "keys"),
        }
        memories = {kind: MemoryManager(log, extractor=None) for kind, log in logs.items()}
        spent: dict[str, list[float]] = {
            f"{what}_{kind}": [] for what in ("batch", "store", "retrieve") for kind in logs
        }
        size = MEMORIES // BATCHES
        for start in range(0, MEMORIES, size):
            for kind, memory in memories.items():
                began = time.perf_counter()
                memory.store_many(texts[start : start + size], scope=ana)
                spent[f"batch_{kind}"].append(time.perf_counter() - began)
        first = {
            kind: milliseconds(lambda memory=memory: memory.retrieve(QUESTION, scope=ana))
            for kind, memory in memories.items()
        }
        for number in range(ROUNDS):
            batch = texts[number * PER_ROUND : (number + 1) * PER_ROUND]
            for kind, memory in memories.items():
                spent[f"store_{kind}"] += [
                    milliseconds(lambda text=text, memory=memory: memory.store(text, scope=ana)) for text in batch
                ]
                spent[f"retrieve_{kind}"] += [
                    milliseconds(lambda memory=memory: memory.retrieve(QUESTION, scope=ana)) for _ in range(PER_ROUND)
                ]
        for kind, memory in memories.items():
            memory.close()
            logs[kind].close()
        sizes = {kind: (folder / f"{kind}.db").stat().st_size for kind in logs}
    figures = {
        **{f"ingest_per_s_{kind}": size / p50(spent[f"batch_{kind}"]) for kind in logs},
        **{f"store_p50_ms_{kind}": p50(spent[f"store_{kind}"]) for kind in logs},
        **{f"first_retrieve_ms_{kind}": first[kind] for kind in logs},
        **{f"retrieve_p50_ms_{kind}": p50(spent[f"retrieve_{kind}"]) for kind in logs},
        "store_ratio": p50(spent["store_sealed"]) / p50(spent["store_open"]),
        "retrieve_ratio": p50(spent["retrieve_sealed"]) / p50(spent["retrieve_open"]),
        "file_ratio": sizes["sealed"] / sizes["open"],
    }
    report("sealed", figures, {"store_ratio": ("<=", 1.5), "retrieve_ratio": ("<=", 1.5)})


if __name__ == "__main__":
    main()
