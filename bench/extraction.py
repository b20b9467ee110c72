"""What facts cost: `python -m bench.extraction`. A store with and without an extractor, and turns read a second.

Stores take turns, a round with and a round without, each one call after the other without a breath, which is as hard
as a single caller can press. The rate is that of turns that were there before the extractor: read, their facts
written and settled, one thread. Every fifth turn states a fact; LoCoMo's, where they are at hand, are measured too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from agentmem import MemoryManager, Scope, Turn
from agentmem.bench.update_chains import statements
from bench.texts import locomo_turns, turns
from bench.timing import milliseconds, p50, p95, report

ROUNDS = 6
PER_ROUND = 1_500
BACKLOG = 6_000
ANA = Scope(user="ana", agent="coach", session="monday")


def main() -> None:
    texts = mixed(max(BACKLOG, ROUNDS * PER_ROUND))
    figures = latencies(texts) | {"turns_per_s": turns_per_s(texts[:BACKLOG])}
    if locomo := locomo_turns():
        figures["locomo_turns_per_s"] = turns_per_s(locomo)
    report("extraction", figures, {"ratio": ("<=", 1.1), "turns_per_s": (">=", 1_000)})


def mixed(count: int) -> list[Turn]:
    """Small talk, with a fact in every fifth turn."""
    facts = statements(seed=3)
    return [next(facts) if number % 5 == 0 else turn for number, turn in enumerate(turns(count))]


def latencies(texts: Sequence[Turn]) -> dict[str, float]:
    without: list[float] = []
    beside: list[float] = []
    rest = iter(texts)
    with (
        tempfile.TemporaryDirectory(dir=".") as folder,
        MemoryManager.open(Path(folder) / "without", extractor=None) as bare,
        MemoryManager.open(Path(folder) / "beside", extractor="rules") as memory,
    ):
        for each in (bare, memory):
            each.store("The first one loads the embedder's table.", scope=ANA)
        for _ in range(ROUNDS):
            batch = list(islice(rest, PER_ROUND))
            for manager, times in ((bare, without), (memory, beside)):
                times += [milliseconds(lambda: manager.store(turn, scope=ANA)) for turn in batch]  # noqa: B023
                manager.flush()
    return {
        "store_p50_ms": p50(beside),
        "store_p95_ms": p95(beside),
        "without_p50_ms": p50(without),
        "without_p95_ms": p95(without),
        "ratio": p50(beside) / p50(without),
    }


def turns_per_s(texts: Sequence[Turn]) -> float:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        with MemoryManager.open(Path(folder) / "memory", extractor=None) as memory:
            memory.store_many(texts, scope=ANA)
        with MemoryManager.open(Path(folder) / "memory", extractor="rules") as memory:
            memory.retrieve("Who?", scope=ANA)  # loads the embedder's table
            return len(texts) / milliseconds(memory.flush) * 1000


if __name__ == "__main__":
    main()
