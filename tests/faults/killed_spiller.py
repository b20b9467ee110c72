"""The child of the spill tests: talks through a bridge whose log refuses, hangs or works, and says what it was told."""

from __future__ import annotations

import random
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from children import ANA

from agentmem import MemoryManager
from agentmem.clients import Bridge, Said, WrapOptions
from agentmem.errors import StoreBusy

OPTIONS = WrapOptions(deadline_s=5, write_deadline_s=0.02)


def talk_until_killed(folder: Path, seed: int, first_number: int, said: Connection) -> None:
    """One call after the other; of each its number and its status are said before the model would be asked."""
    chance = random.Random(seed)
    memory = MemoryManager.open(folder, embedder=None, extractor=None)
    append = memory.log.append

    def failing(*args: Any, **options: Any) -> Any:
        fate = chance.random()
        if fate < 0.5:
            raise StoreBusy("busy")
        if fate < 0.7:
            time.sleep(0.05)
        return append(*args, **options)

    memory.log.append = failing  # type: ignore[method-assign]  # the fault
    bridge = Bridge(memory, scope=ANA, options=OPTIONS, spill=memory._spill)
    number = first_number
    while True:
        prepared = bridge.prepare([Said("user", f"word {number}")])
        said.send((number, bridge.status))
        bridge.observe(prepared, [Said("assistant", f"answer {number}")])
        number += 1
