"""The child of the kill tests: writes through the public manager, and says what it means to do and what is done."""

from __future__ import annotations

import random
from multiprocessing.connection import Connection
from pathlib import Path

from children import ANA, embedder, words_of

from agentmem import Memory, MemoryManager


def content_of(number: int) -> str:
    """What the memory of this number says; every seventh one fills many pages of the database."""
    return f"{words_of(number)} were said." + " And so on, and on." * (2_000 if number % 7 == 0 else number % 5)


def write_until_killed(
    folder: Path, seed: int, first_number: int, known: dict[str, int], said: Connection, mode: str
) -> None:
    """Write as fast as it can. ``known``: id to version of the memories that are there.

    Each message is small enough for a pipe to carry whole or not at all: ("will", what, …), then ("did", …).
    """
    chance = random.Random(seed)
    memory = MemoryManager.open(folder, embedder=embedder())
    said.send(("ready",))
    number = first_number
    while True:
        what = chance.choices(*_WAYS[mode])[0] if known else "store"
        count = 5 if what == "store many" else 1
        numbers = list(range(number, number + count))
        id = chance.choice(list(known)) if what in ("update", "forget") else ""
        said.send(("will", what, id, numbers))
        stored: list[Memory] = []
        if what == "store":
            stored = [memory.store(content_of(number), scope=ANA)]
        elif what == "store many":
            stored = list(memory.store_many([content_of(each) for each in numbers], scope=ANA))
        elif what == "update":
            stored = [memory.update(id, scope=ANA, content=content_of(number), expected_version=known[id])]
        else:
            memory.forget(id, scope=ANA)
            del known[id]
        known |= {each.id: each.version for each in stored}
        said.send(("did", [(each.id, each.version) for each in stored]))
        number += count


_WAYS = {
    "store": (["store", "store many"], [4, 1]),
    "change": (["store", "store many", "update", "forget"], [3, 1, 3, 3]),
}
