"""One agent's documents, read by many users: `python -m bench.shared_layer [--chunks 50000] [--users 1000]`.

The agent's layer is one partition and lies in memory once, however many users ask it; each adds their own few memories.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from agentmem import Document, MemoryManager, Scope
from bench.texts import questions, turns
from bench.timing import milliseconds, p50, p95, report

AGENT = "librarian"
PARAGRAPHS = 12
CHUNKS_OF_A_DOCUMENT = 200


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--chunks", type=int, default=50_000)
    options.add_argument("--users", type=int, default=1_000)
    given = options.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:
        with MemoryManager.open(Path(folder) / "memory", extractor=None) as memory:
            started = time.perf_counter()
            stored = _fill(memory, given.chunks, given.users)
            filling_s = time.perf_counter() - started
        with MemoryManager.open(Path(folder) / "memory", extractor=None) as memory:
            asked = questions(given.users)
            before = resident_mb()
            first_ms = milliseconds(lambda: memory.retrieve(asked[0], scope=_user(0)))
            after_one = resident_mb()
            taken = [
                milliseconds(lambda n=number: memory.retrieve(asked[n], scope=_user(n)))
                for number in range(1, given.users)
            ]
            after_all = resident_mb()
            cached = memory.stats().cache_bytes
    figures = {
        "chunks": stored,
        "users": given.users,
        "filling_s": filling_s,
        "first_touch_ms": first_ms,
        "p50_ms": p50(taken),
        "p95_ms": p95(taken),
        "layer_mb": after_one - before,
        "all_users_mb": after_all - after_one,
        "cache_mb": cached / 1e6,
    }
    report("an agent's layer read by many users", figures, {"p50_ms": ("<=", 25.0), "all_users_mb": ("<=", 10.0)})


def _fill(memory: MemoryManager, chunks: int, users: int) -> int:
    stored = 0
    for document in documents():
        stored += len(memory.store_many([document], scope=Scope(agent=AGENT)))
        if stored >= chunks:
            break
    for number in range(users):
        memory.store_many(turns(5, seed=number), scope=_user(number))
    memory.flush()
    return stored


def documents() -> Iterator[Document]:
    """Manuals without end, of sections as long as a chunk."""
    number = 0
    while True:
        said = [turn.content for turn in turns(CHUNKS_OF_A_DOCUMENT * PARAGRAPHS, seed=number)]
        sections = (
            f"## Section {place}\n\n" + " ".join(said[place * PARAGRAPHS : (place + 1) * PARAGRAPHS])
            for place in range(CHUNKS_OF_A_DOCUMENT)
        )
        yield Document(f"# Manual {number}\n\n" + "\n\n".join(sections), name=f"manual {number}")
        number += 1


def _user(number: int) -> Scope:
    return Scope(user=f"user-{number}", agent=AGENT)


def resident_mb() -> float:
    """The memory of this process."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    main()
