"""Where nearest vectors are found: exactly, in this process, or in a store of its own that follows the log."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentmem.interfaces import VectorStore


def index_name(store: VectorStore) -> str:
    """What the log's cursors know the store by: its ``name`` if it has one, else its class."""
    return str(getattr(store, "name", f"{type(store).__module__}:{type(store).__qualname__}"))
