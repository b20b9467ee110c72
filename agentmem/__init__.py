"""Memory for agents: store, retrieve, update and forget.

    from agentmem import MemoryManager, Scope

    with MemoryManager.open("./memory") as memory:
        ana = Scope(user="ana", agent="coach")
        memory.store("I moved to Lisbon in May.", scope=ana)
        print(memory.retrieve("Where does she live?", scope=ana)[0].content)

Importing this opens no file, starts no thread and loads neither numpy nor a database driver.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from agentmem.errors import (
    AgentMemError,
    BackendError,
    ConfigError,
    CorruptRecord,
    EmbedderMismatch,
    IdempotencyConflict,
    InvalidInput,
    ManagerClosed,
    MemoryNotFound,
    RequestRejected,
    SchemaTooNew,
    ScopeError,
    StoreBusy,
    StoreFull,
    UnderHold,
    VersionConflict,
)
from agentmem.records import (
    UNSET,
    Affect,
    Change,
    Context,
    Cost,
    Diff,
    Document,
    Fact,
    Finding,
    Health,
    Hit,
    Hold,
    Identity,
    IdentityLine,
    Lesson,
    Memory,
    Page,
    Receipt,
    Retrieval,
    Scope,
    Source,
    Stats,
    Turn,
)

if TYPE_CHECKING:
    from agentmem.aio import AsyncMemoryManager
    from agentmem.bound import BoundMemory
    from agentmem.clients import use_scope
    from agentmem.manager import MemoryManager

__version__ = "0.1.0"

_LOADED_ON_USE = {
    "AsyncMemoryManager": "agentmem.aio",
    "BoundMemory": "agentmem.bound",
    "MemoryManager": "agentmem.manager",
    "use_scope": "agentmem.clients",
}


def __getattr__(name: str) -> Any:
    if name in _LOADED_ON_USE:
        return getattr(importlib.import_module(_LOADED_ON_USE[name]), name)
    raise AttributeError(f"module 'agentmem' has no attribute {name!r}")


__all__ = [
    "UNSET",
    "Affect",
    "AgentMemError",
    "AsyncMemoryManager",
    "BackendError",
    "BoundMemory",
    "Change",
    "ConfigError",
    "Context",
    "CorruptRecord",
    "Cost",
    "Diff",
    "Document",
    "EmbedderMismatch",
    "Fact",
    "Finding",
    "Health",
    "Hit",
    "Hold",
    "IdempotencyConflict",
    "Identity",
    "IdentityLine",
    "InvalidInput",
    "Lesson",
    "ManagerClosed",
    "Memory",
    "MemoryManager",
    "MemoryNotFound",
    "Page",
    "Receipt",
    "RequestRejected",
    "Retrieval",
    "SchemaTooNew",
    "Scope",
    "ScopeError",
    "Source",
    "Stats",
    "StoreBusy",
    "StoreFull",
    "Turn",
    "UnderHold",
    "VersionConflict",
    "use_scope",
]
