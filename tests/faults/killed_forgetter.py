"""The child of the killed forgets: forgets one user after the other, batch by batch, until it is killed."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from agentmem import MemoryManager, Scope
from agentmem.log import erasing


def forget_until_killed(folder: Path, users: list[str], batch: int, said: Connection) -> None:
    """Each message: ("will", user), then ("did", user)."""
    erasing.BATCH = batch  # type: ignore[misc]
    memory = MemoryManager.open(folder, embedder=None, extractor=None)
    for user in users:
        said.send(("will", user))
        memory.forget(scope=Scope(user=user), everything=True)
        said.send(("did", user))
    said.send(("all", ""))
