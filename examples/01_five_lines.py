"""Store what was said, close everything, and let the next session answer from it. No key, no network, one folder."""

from __future__ import annotations

import tempfile

from agentmem import MemoryManager, Scope

with tempfile.TemporaryDirectory() as folder:
    ana = Scope(user="ana", agent="coach", session="monday")
    with MemoryManager.open(folder) as memory:
        memory.store("I moved to Lisbon in May, and I run along the river every morning.", scope=ana)
        memory.store("My knee hurts since Sunday.", scope=ana)
        memory.store("My sister Rita is a nurse.", scope=ana)

    # Another day, another process: nothing is left but the folder.
    tuesday = Scope(user="ana", agent="coach", session="tuesday")
    with MemoryManager.open(folder) as memory:
        for question in ("When did she move?", "Who is Rita?"):
            answer = memory.retrieve(question, scope=tuesday, k=2)
            print(f"{question}  ->  {answer[0].content}")

        print("\nAs it goes into a prompt:")
        print(memory.retrieve("How is the knee?", scope=tuesday, k=1).render())

        # Nobody else sees any of it.
        print("\nBob finds:", len(memory.retrieve("Who is Rita?", scope=Scope(user="bob"))), "memories")
