"""Documents beside conversations: chunked by their headings, found by question, replaced when the file changes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from agentmem import Document, MemoryManager, Scope

HANDBOOK = """\
# Handbook

## Holidays

Everyone has 28 days of paid leave. Ask for leave two weeks before it begins.

## Laptops

Laptops are replaced every four years. A broken laptop is repaired by the help desk in room 12.
"""

# Documents that everybody may read stand in an agent's own layer; its users' words never do.
agent = Scope(agent="clerk")
ana = Scope(user="ana", agent="clerk", session="monday")

with tempfile.TemporaryDirectory() as folder, MemoryManager.open(Path(folder) / "memory") as memory:
    memory.store_many([Document(HANDBOOK, name="handbook.md")], scope=agent)
    memory.store("My laptop is broken since Friday.", scope=ana)

    hit = memory.retrieve("Who repairs a laptop?", scope=ana, kinds={"document"}, k=1)[0]
    print("Found in:", hit.memory.source.name, ">", " > ".join(hit.memory.source.headings))

    # In a prompt, documents have a block of their own.
    print(memory.retrieve("What about the broken laptop?", scope=ana, k=2).render())

    # The same name again replaces what changed and keeps the ids of what did not.
    before = {chunk.id for chunk in memory.list(scope=agent)}
    memory.store_many([Document(HANDBOOK.replace("28 days", "30 days"), name="handbook.md")], scope=agent)
    after = {chunk.id for chunk in memory.list(scope=agent)}
    print("Paid leave:", memory.retrieve("How many days of paid leave?", scope=ana, k=1)[0].content.splitlines()[-1])
    print("Chunks kept:", bool(before & after))
