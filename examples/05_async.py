"""The same verbs in an async program: many users at once, none of whom sees another's memories."""

from __future__ import annotations

import asyncio
import tempfile

from agentmem import AsyncMemoryManager, Scope, Turn

PEOPLE = {"ana": "Lisbon", "bob": "Bergen", "eve": "Edinburgh"}


async def converse(memory: AsyncMemoryManager, name: str, city: str) -> str:
    """What memory knows of where somebody lives, after they have said it."""
    scope = Scope(user=name, session="today")
    await memory.store_many(
        [
            Turn(f"I live in {city}.", speaker=name.title()),
            Turn("Good to know.", role="assistant"),
            Turn("I like long walks.", speaker=name.title()),
        ],
        scope=scope,
    )
    answer = await memory.retrieve("In which city do I live?", scope=scope, k=1)
    return f"{name}: {answer[0].content}"


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        memory = await AsyncMemoryManager.open(folder)
        async with memory:
            for line in await asyncio.gather(*(converse(memory, name, city) for name, city in PEOPLE.items())):
                print(line)
            stats = await memory.stats()
            print("Stored:", stats.memories["turn"], "turns in", stats.partitions, "partitions")


asyncio.run(main())
