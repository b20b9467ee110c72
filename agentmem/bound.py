"""A manager's verbs for one scope, so that code which serves one person need not name them at every call."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from agentmem.records import (
    Context,
    Diff,
    Document,
    Hit,
    Hold,
    Identity,
    IdentityLine,
    IdentitySection,
    Integrity,
    Memory,
    Page,
    Receipt,
    Retrieval,
    Scope,
    Turn,
)

if TYPE_CHECKING:
    from agentmem.clients.tools import MemoryTools
    from agentmem.lifecycle.compression_rules import Level
    from agentmem.manager import MemoryManager
    from agentmem.portability import ImportReport

Client = TypeVar("Client")
P = ParamSpec("P")
R = TypeVar("R")


class BoundMemory:
    """A manager's verbs for one scope."""

    def __init__(self, memory: MemoryManager, scope: Scope) -> None:
        self._memory = memory
        self.scope = scope

    def store(self, content: str | Turn | Document, /, **details: Any) -> Memory:
        """As ``MemoryManager.store``."""
        return self._memory.store(content, scope=self.scope, **details)

    def store_many(self, items: Iterable[Turn | Document | str | Mapping[str, Any]], /) -> Sequence[Memory]:
        """As ``MemoryManager.store_many``."""
        return self._memory.store_many(items, scope=self.scope)

    def retrieve(self, query: str, /, **details: Any) -> Retrieval:
        """As ``MemoryManager.retrieve``."""
        return self._memory.retrieve(query, scope=self.scope, **details)

    def context(self, query: str, /, **details: Any) -> Context:
        """As ``MemoryManager.context``."""
        return self._memory.context(query, scope=self.scope, **details)

    def update(self, id: str, /, **changes: Any) -> Memory:
        """As ``MemoryManager.update``."""
        return self._memory.update(id, scope=self.scope, **changes)

    def forget(self, ids: str | Sequence[str] | None = None, /, **selection: Any) -> Receipt:
        """As ``MemoryManager.forget``."""
        return self._memory.forget(ids, scope=self.scope, **selection)

    def get(self, id: str, /, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Memory:
        """As ``MemoryManager.get``."""
        return self._memory.get(id, scope=self.scope, as_of=as_of, known_at=known_at)

    def list(self, **selection: Any) -> Page:
        """As ``MemoryManager.list``."""
        return self._memory.list(scope=self.scope, **selection)

    def history(self, id: str, /) -> Sequence[Memory]:
        """As ``MemoryManager.history``."""
        return self._memory.history(id, scope=self.scope)

    def why(self, id: str | IdentityLine, /) -> Sequence[Memory]:
        """As ``MemoryManager.why``."""
        return self._memory.why(id, scope=self.scope)

    def identity(self, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Identity:
        """As ``MemoryManager.identity``."""
        return self._memory.identity(scope=self.scope, as_of=as_of, known_at=known_at)

    def set_identity(self, section: IdentitySection, lines: str | Sequence[str], /, **details: Any) -> Identity:
        """As ``MemoryManager.set_identity``."""
        return self._memory.set_identity(section, lines, scope=self.scope, **details)

    def diff(self, *, start: datetime, end: datetime) -> Diff:
        """As ``MemoryManager.diff``."""
        return self._memory.diff(scope=self.scope, start=start, end=end)

    def restore(self, id: str, /, *, version: int | None = None, reason: str | None = None) -> Memory:
        """As ``MemoryManager.restore``."""
        return self._memory.restore(id, scope=self.scope, version=version, reason=reason)

    def feedback(
        self, target: str | Memory | Hit | Retrieval | Iterable[str | Memory | Hit], /, *, outcome: float
    ) -> None:
        """As ``MemoryManager.feedback``."""
        self._memory.feedback(target, scope=self.scope, outcome=outcome)

    def receipts(self) -> Sequence[Receipt]:
        """As ``MemoryManager.receipts``."""
        return self._memory.receipts(scope=self.scope)

    def hold(self, *, reason: str) -> Hold:
        """As ``MemoryManager.hold``."""
        return self._memory.hold(scope=self.scope, reason=reason)

    def release(self, *, reason: str | None = None) -> bool:
        """As ``MemoryManager.release``."""
        return self._memory.release(scope=self.scope, reason=reason)

    def holds(self) -> Sequence[Hold]:
        """As ``MemoryManager.holds``."""
        return self._memory.holds(scope=self.scope)

    def compress(self, *, max_tokens: int = 200, level: Level = "session", keep_last: int = 0) -> Sequence[Memory]:
        """As ``MemoryManager.compress``."""
        return self._memory.compress(scope=self.scope, max_tokens=max_tokens, level=level, keep_last=keep_last)

    def end_session(self) -> Memory | None:
        """As ``MemoryManager.end_session``."""
        return self._memory.end_session(scope=self.scope)

    def export_to(
        self, path: str | os.PathLike[str], /, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> int:
        """As ``MemoryManager.export_to``."""
        return self._memory.export_to(path, scope=self.scope, as_of=as_of, known_at=known_at)

    def import_from(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        trust: Integrity | str,
        encoding: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        """As ``MemoryManager.import_from``."""
        return self._memory.import_from(path, scope=self.scope, trust=trust, encoding=encoding, progress=progress)

    def wrap(self, client: Client, *, strict: bool = False) -> Client:
        """As ``MemoryManager.wrap``."""
        return self._memory.wrap(client, scope=self.scope, strict=strict)

    def tools(self, **options: Any) -> MemoryTools:
        """As ``MemoryManager.tools``."""
        return self._memory.tools(scope=self.scope, **options)

    def wrap_callable(
        self, function: Callable[P, R], *, strict: bool = False, messages_arg: str = "messages"
    ) -> Callable[P, R]:
        """As ``MemoryManager.wrap_callable``."""
        return self._memory.wrap_callable(function, scope=self.scope, strict=strict, messages_arg=messages_arg)
