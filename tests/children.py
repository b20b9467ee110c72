"""What the tests' other processes share: an embedder that is loaded once, before they are forked."""

from __future__ import annotations

from functools import cache

from agentmem import MemoryManager, Scope
from agentmem.embedders.static import StaticEmbedder

ANA = Scope(user="ana", agent="coach", session="monday")

embedder = cache(StaticEmbedder)

_SYLLABLES = ["ka", "mu", "do", "ri", "pe", "su", "vo", "ta"]


def warm_up() -> None:
    """Load all that a first write and a first read load."""
    with MemoryManager({"type": "sql", "url": "sqlite://"}, embedder=embedder()) as memory:
        memory.store("warm", scope=ANA)
        memory.retrieve("warm", scope=ANA)


def words_of(number: int) -> str:
    """Two words of no language that belong to this number alone."""
    letters = "".join(_SYLLABLES[number >> shift & 7] for shift in (15, 12, 9, 6, 3, 0))
    return f"b{letters}x z{letters}x"
