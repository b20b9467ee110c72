"""Retrieve, whole pipeline, warm: `python -m bench.retrieve`, and with `--million` the same inside 1,000 users.

The large run also asks every user once in turn, which no cache can hold, and measures the process's memory.
"""

from __future__ import annotations

import argparse
import os
import random
import tempfile
import time
from pathlib import Path

from agentmem import MemoryManager, Scope
from bench.texts import questions, turns
from bench.timing import milliseconds, p50, p95, report

ANA = Scope(user="ana")
ASKED = 300


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--memories", type=int, default=20_000, help="in the scope that is asked")
    options.add_argument("--million", action="store_true", help="add 1,000 users with 1,000 memories each")
    options.add_argument("--users", type=int, default=1_000)
    options.add_argument("--keep", type=Path, help="a folder to keep the memory in, reused when it is there")
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        place = given.keep or Path(folder) / "memory"
        alone = _measure_alone(place / "alone", given.memories)
        if not given.million:
            bounds = {20_000: (5.0, 15.0), 100_000: (15.0, 45.0)}.get(given.memories)
            figures = {"memories": given.memories, "p50_ms": p50(alone), "p95_ms": p95(alone)}
            report("retrieve", figures, {"p50_ms": ("<=", bounds[0]), "p95_ms": ("<=", bounds[1])} if bounds else None)
            return
        _measure_million(place, given.memories, given.users)


def _measure_alone(place: Path, count: int) -> list[float]:
    with _filled(place, count) as memory:
        return _ask(memory)


def _measure_million(place: Path, count: int, users: int) -> None:
    with _filled(place / "many", count) as memory:
        filled = memory.stats().partitions
        started = time.perf_counter()
        for number in range(filled - 1, users):
            memory.store_many(turns(1_000, seed=number), scope=Scope(user=f"user-{number}"))
        memory.flush()
        filling_s = time.perf_counter() - started
    with MemoryManager.open(place / "alone") as alone, MemoryManager.open(place / "many") as among:
        alone_ms: list[float] = []
        among_ms: list[float] = []
        _ask(alone, 50), _ask(among, 50)
        for _ in range(ASKED // 50):
            alone_ms += _ask(alone, 50)
            among_ms += _ask(among, 50)
    with MemoryManager.open(place / "many") as among:
        asked = questions(users)
        order = list(range(users))
        random.Random(3).shuffle(order)
        # Warm the embedder and the statements, not the users' partitions.
        among.retrieve("warm", scope=Scope(user="user-0"))
        robin = [
            milliseconds(lambda n=number: among.retrieve(asked[n], scope=Scope(user=f"user-{n}"))) for number in order
        ]
        resident = _resident_mb()
    figures = {
        "memories": memory_count(place / "many"),
        "filling_s": filling_s,
        "alone_p50_ms": p50(alone_ms),
        "among_p50_ms": p50(among_ms),
        "ratio": p50(among_ms) / p50(alone_ms),
        "round_robin_p50_ms": p50(robin),
        "round_robin_p95_ms": p95(robin),
        "resident_mb": resident,
    }
    bounds = {"ratio": ("<=", 1.5), "round_robin_p95_ms": ("<=", 20.0), "resident_mb": ("<=", 1024.0)}
    report("retrieve among 1,000 users", figures, bounds)


def memory_count(place: Path) -> int:
    with MemoryManager.open(place) as memory:
        return sum(memory.stats().memories.values())


def _filled(place: Path, count: int) -> MemoryManager:
    memory = MemoryManager.open(place)
    if not memory.stats().memories:
        memory.store_many(turns(count), scope=ANA)
        memory.flush()
    return memory


def _ask(memory: MemoryManager, count: int = ASKED) -> list[float]:
    asked = questions(count)
    for question in asked[:20]:
        memory.retrieve(question, scope=ANA)
    return [milliseconds(lambda question=question: memory.retrieve(question, scope=ANA)) for question in asked]


def _resident_mb() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
