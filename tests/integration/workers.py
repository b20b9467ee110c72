"""What the processes of the process tests do."""

from __future__ import annotations

import random
from multiprocessing.connection import Connection
from pathlib import Path

from children import ANA, embedder, words_of

from agentmem import MemoryManager, VersionConflict


def count_up(folder: Path, seed: int, ids: list[str], times: int, said: Connection) -> None:
    """Raise one of the counters, so many times; say how often another process was quicker."""
    chance = random.Random(seed)
    conflicts = 0
    with MemoryManager.open(folder, embedder=embedder()) as memory:
        for _ in range(times):
            id = chance.choice(ids)
            while True:
                counter = memory.get(id, scope=ANA)
                count = counter.metadata["count"] + 1
                try:
                    memory.update(id, scope=ANA, metadata={"count": count}, expected_version=counter.version)
                    break
                except VersionConflict:
                    conflicts += 1
    said.send(conflicts)


def store_each_twice(folder: Path, number: int, times: int, said: Connection) -> None:
    """Store memories of its own, each one again as after an answer that got lost."""
    with MemoryManager.open(folder, embedder=embedder()) as memory:
        for place in range(times):
            content = words_of(number * times + place)
            first = memory.store(content, scope=ANA, idempotency_key=content)
            again = memory.store(content, scope=ANA, idempotency_key=content)
            assert first == again
    said.send(times)


def obey(folder: Path, heard: Connection) -> None:
    """Call the verbs that are sent, in a memory that stays open, and send back what they return."""
    with MemoryManager.open(folder, embedder=embedder()) as memory:
        while (order := heard.recv()) is not None:
            verb, arguments, options = order
            heard.send(getattr(memory, verb)(*arguments, **options))
