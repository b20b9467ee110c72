"""AsyncMemoryManager: the same verbs, each in a worker thread, nothing else.

The core is synchronous because its parts are (SQLite, in-process search). A call that is cancelled while it
waits may still have written. At most ``max_threads`` calls run at once; more wait their turn.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from agentmem.errors import ManagerClosed
from agentmem.interfaces import Message
from agentmem.manager import Client, MemoryManager
from agentmem.records import (
    UNSET,
    Affect,
    Context,
    Diff,
    Document,
    Draft,
    ForgetMode,
    Health,
    Hit,
    Hold,
    Identity,
    IdentityLine,
    IdentitySection,
    Integrity,
    Kind,
    Memory,
    Page,
    Receipt,
    Retrieval,
    Role,
    Scope,
    Stats,
    Turn,
    Unset,
)

if TYPE_CHECKING:
    from agentmem.clients.tools import AsyncMemoryTools
    from agentmem.lifecycle.compression_rules import Level
    from agentmem.portability import ImportReport

P = ParamSpec("P")
T = TypeVar("T")
R = TypeVar("R")

MAX_THREADS = 8


class AsyncMemoryManager:
    """``MemoryManager`` for asyncio; every verb takes the same arguments and is documented there.

    Args:
        memory: The manager to call; closed together with this one.
        max_threads: Calls that may run at once.
    """

    def __init__(self, memory: MemoryManager, *, max_threads: int = MAX_THREADS) -> None:
        self.sync = memory
        self._max_threads = max_threads
        self._start_threads()

    @classmethod
    async def open(cls, place: str | os.PathLike[str] = "./memory", **options: Any) -> Self:
        """As ``MemoryManager.open``."""
        return cls(await asyncio.to_thread(MemoryManager.open, place, **options))

    @classmethod
    async def restore_from(
        cls, backup: str | os.PathLike[str], place: str | os.PathLike[str] = "./memory", **options: Any
    ) -> Self:
        """As ``MemoryManager.restore_from``."""
        return cls(await asyncio.to_thread(MemoryManager.restore_from, backup, place, **options))

    @classmethod
    async def from_yaml(cls, path: str | os.PathLike[str] | None = None) -> Self:
        """As ``MemoryManager.from_yaml``."""
        return cls(await asyncio.to_thread(MemoryManager.from_yaml, path))

    @classmethod
    async def from_dict(cls, mapping: Mapping[str, Any]) -> Self:
        """As ``MemoryManager.from_dict``."""
        return cls(await asyncio.to_thread(MemoryManager.from_dict, mapping))

    async def store(
        self,
        content: str | Turn | Document,
        /,
        *,
        scope: Scope,
        kind: Kind = "turn",
        role: Role = "user",
        speaker: str | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        importance: float | None = None,
        affect: Affect | None = None,
        integrity: Integrity | None = None,
        expires_at: datetime | None = None,
        idempotency_key: str | None = None,
    ) -> Memory:
        return await self._call(
            self.sync.store,
            content,
            scope=scope,
            kind=kind,
            role=role,
            speaker=speaker,
            occurred_at=occurred_at,
            metadata=metadata,
            importance=importance,
            affect=affect,
            integrity=integrity,
            expires_at=expires_at,
            idempotency_key=idempotency_key,
        )

    async def store_many(
        self, items: Iterable[Turn | Document | str | Mapping[str, Any]], /, *, scope: Scope
    ) -> Sequence[Memory]:
        return await self._call(self.sync.store_many, items, scope=scope)

    async def store_drafts(self, drafts: Sequence[Draft], /, *, scope: Scope) -> Sequence[Memory]:
        return await self._call(self.sync.store_drafts, drafts, scope=scope)

    async def retrieve(
        self,
        query: str,
        /,
        *,
        scope: Scope,
        k: int | None = None,
        max_tokens: int | None = None,
        min_confidence: float | None = None,
        kinds: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        conversation: Sequence[Message | Mapping[str, Any]] = (),
        include_untrusted: bool = False,
        explain: bool = False,
    ) -> Retrieval:
        return await self._call(
            self.sync.retrieve,
            query,
            scope=scope,
            k=k,
            max_tokens=max_tokens,
            min_confidence=min_confidence,
            kinds=kinds,
            where=where,
            as_of=as_of,
            known_at=known_at,
            conversation=conversation,
            include_untrusted=include_untrusted,
            explain=explain,
        )

    async def context(
        self,
        query: str,
        /,
        *,
        scope: Scope,
        max_tokens: int | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        conversation: Sequence[Message | Mapping[str, Any]] = (),
        present: Iterable[str] = (),
        include_untrusted: bool = False,
    ) -> Context:
        return await self._call(
            self.sync.context,
            query,
            scope=scope,
            max_tokens=max_tokens,
            as_of=as_of,
            known_at=known_at,
            conversation=conversation,
            present=present,
            include_untrusted=include_untrusted,
        )

    async def get(
        self, id: str, /, *, scope: Scope, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> Memory:
        return await self._call(self.sync.get, id, scope=scope, as_of=as_of, known_at=known_at)

    async def list(
        self,
        *,
        scope: Scope,
        kinds: Iterable[str] | None = None,
        where: Mapping[str, Any] | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page:
        return await self._call(
            self.sync.list,
            scope=scope,
            kinds=kinds,
            where=where,
            as_of=as_of,
            known_at=known_at,
            limit=limit,
            cursor=cursor,
        )

    async def history(self, id: str, /, *, scope: Scope) -> Sequence[Memory]:
        return await self._call(self.sync.history, id, scope=scope)

    async def why(self, id: str | IdentityLine, /, *, scope: Scope) -> Sequence[Memory]:
        return await self._call(self.sync.why, id, scope=scope)

    async def identity(
        self, *, scope: Scope, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> Identity:
        return await self._call(self.sync.identity, scope=scope, as_of=as_of, known_at=known_at)

    async def set_identity(
        self,
        section: IdentitySection,
        lines: str | Sequence[str],
        /,
        *,
        scope: Scope,
        reason: str | None = None,
        integrity: Integrity = "operator",
    ) -> Identity:
        return await self._call(self.sync.set_identity, section, lines, scope=scope, reason=reason, integrity=integrity)

    async def diff(self, *, scope: Scope, start: datetime, end: datetime) -> Diff:
        return await self._call(self.sync.diff, scope=scope, start=start, end=end)

    async def update(
        self,
        id: str,
        /,
        *,
        scope: Scope,
        content: str | Unset = UNSET,
        metadata: Mapping[str, Any] | Unset | None = UNSET,
        importance: float | Unset | None = UNSET,
        affect: Affect | Unset | None = UNSET,
        valid_from: datetime | Unset = UNSET,
        valid_to: datetime | Unset | None = UNSET,
        expires_at: datetime | Unset | None = UNSET,
        expected_version: int | None = None,
        reason: str | None = None,
    ) -> Memory:
        return await self._call(
            self.sync.update,
            id,
            scope=scope,
            content=content,
            metadata=metadata,
            importance=importance,
            affect=affect,
            valid_from=valid_from,
            valid_to=valid_to,
            expires_at=expires_at,
            expected_version=expected_version,
            reason=reason,
        )

    async def restore(
        self, id: str, /, *, scope: Scope, version: int | None = None, reason: str | None = None
    ) -> Memory:
        return await self._call(self.sync.restore, id, scope=scope, version=version, reason=reason)

    async def feedback(
        self, target: str | Memory | Hit | Retrieval | Iterable[str | Memory | Hit], /, *, scope: Scope, outcome: float
    ) -> None:
        await self._call(self.sync.feedback, target, scope=scope, outcome=outcome)

    async def forget(
        self,
        ids: str | Sequence[str] | None = None,
        /,
        *,
        scope: Scope,
        where: Mapping[str, Any] | None = None,
        everything: bool = False,
        mode: ForgetMode = "erase",
        dry_run: bool = False,
        verify: bool = False,
        reason: str | None = None,
        requested_by: str | None = None,
    ) -> Receipt:
        return await self._call(
            self.sync.forget,
            ids,
            scope=scope,
            where=where,
            everything=everything,
            mode=mode,
            dry_run=dry_run,
            verify=verify,
            reason=reason,
            requested_by=requested_by,
        )

    async def receipts(self, *, scope: Scope) -> Sequence[Receipt]:
        return await self._call(self.sync.receipts, scope=scope)

    async def hold(self, *, scope: Scope, reason: str) -> Hold:
        return await self._call(self.sync.hold, scope=scope, reason=reason)

    async def release(self, *, scope: Scope, reason: str | None = None) -> bool:
        return await self._call(self.sync.release, scope=scope, reason=reason)

    async def holds(self, *, scope: Scope) -> Sequence[Hold]:
        return await self._call(self.sync.holds, scope=scope)

    async def compress(
        self, *, scope: Scope, max_tokens: int = 200, level: Level = "session", keep_last: int = 0
    ) -> Sequence[Memory]:
        how: dict[str, Any] = {"max_tokens": max_tokens, "level": level, "keep_last": keep_last}
        return await self._call(self.sync.compress, scope=scope, **how)

    async def end_session(self, *, scope: Scope) -> Memory | None:
        return await self._call(self.sync.end_session, scope=scope)

    def wrap(self, client: Client, *, scope: Scope | None = None, strict: bool = False) -> Client:
        """As ``MemoryManager.wrap``; the first loads, here and now, what calls would wait for (up to a second)."""
        return self.sync.wrap(client, scope=scope, strict=strict)

    def wrap_callable(
        self,
        function: Callable[P, R],
        *,
        scope: Scope | None = None,
        strict: bool = False,
        messages_arg: str = "messages",
    ) -> Callable[P, R]:
        """As ``MemoryManager.wrap_callable``; what ``wrap`` says of the first time holds here too."""
        return self.sync.wrap_callable(function, scope=scope, strict=strict, messages_arg=messages_arg)

    def tools(
        self,
        *,
        scope: Scope,
        integrity: Integrity = "assistant",
        may_erase: bool = False,
        include_untrusted: bool = False,
        max_tokens: int = 1_000,
    ) -> AsyncMemoryTools:
        """As ``MemoryManager.tools``; the calls are carried out in a worker thread."""
        from agentmem.clients.tools import AsyncMemoryTools

        tools = self.sync.tools(
            scope=scope,
            integrity=integrity,
            may_erase=may_erase,
            include_untrusted=include_untrusted,
            max_tokens=max_tokens,
        )
        return AsyncMemoryTools(tools, self._call)

    def bind(self, scope: Scope) -> AsyncBoundMemory:
        """The same verbs without ``scope=``."""
        self.sync.bind(scope)
        return AsyncBoundMemory(self, scope)

    async def export_to(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        scope: Scope,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
    ) -> int:
        return await self._call(self.sync.export_to, path, scope=scope, as_of=as_of, known_at=known_at)

    async def import_from(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        scope: Scope,
        trust: Integrity | str,
        encoding: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        return await self._call(
            self.sync.import_from, path, scope=scope, trust=trust, encoding=encoding, progress=progress
        )

    async def backup(self, path: str | os.PathLike[str], /) -> Path:
        return await self._call(self.sync.backup, path)

    async def stats(self) -> Stats:
        return await self._call(self.sync.stats)

    async def verify(self, *, deep: bool = False) -> Health:
        return await self._call(self.sync.verify, deep=deep)

    async def repair(self) -> Health:
        return await self._call(self.sync.repair)

    async def reembed(self, progress: Callable[[int, int], None] | None = None) -> int:
        return await self._call(self.sync.reembed, progress)

    async def flush(self, timeout_s: float | None = None) -> bool:
        return await self._call(self.sync.flush, timeout_s)

    async def close(self) -> None:
        await asyncio.to_thread(self.sync.close)
        self._threads.shutdown(wait=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, verb: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        # The caller's context goes along, so that use_scope() holds in the thread.
        context = contextvars.copy_context()
        if self._pid != os.getpid():
            # A forked child inherits the pool, but not its threads.
            self._start_threads()
        call = functools.partial(context.run, verb, *args, **kwargs)
        try:
            working = asyncio.get_running_loop().run_in_executor(self._threads, call)
        except RuntimeError as error:  # the pool takes no more work: it was shut down by close()
            raise ManagerClosed("This AsyncMemoryManager is closed.", hint="Open a new one.") from error
        return await working

    def _start_threads(self) -> None:
        self._threads = ThreadPoolExecutor(self._max_threads, thread_name_prefix="agentmem")
        self._pid = os.getpid()


class AsyncBoundMemory:
    """An async manager's verbs for one scope; each as its namesake there."""

    def __init__(self, memory: AsyncMemoryManager, scope: Scope) -> None:
        self._memory = memory
        self.scope = scope

    async def store(self, content: str | Turn | Document, /, **details: Any) -> Memory:
        return await self._memory.store(content, scope=self.scope, **details)

    async def store_many(self, items: Iterable[Turn | Document | str | Mapping[str, Any]], /) -> Sequence[Memory]:
        return await self._memory.store_many(items, scope=self.scope)

    async def retrieve(self, query: str, /, **details: Any) -> Retrieval:
        return await self._memory.retrieve(query, scope=self.scope, **details)

    async def context(self, query: str, /, **details: Any) -> Context:
        return await self._memory.context(query, scope=self.scope, **details)

    async def update(self, id: str, /, **changes: Any) -> Memory:
        return await self._memory.update(id, scope=self.scope, **changes)

    async def forget(self, ids: str | Sequence[str] | None = None, /, **selection: Any) -> Receipt:
        return await self._memory.forget(ids, scope=self.scope, **selection)

    async def get(self, id: str, /, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Memory:
        return await self._memory.get(id, scope=self.scope, as_of=as_of, known_at=known_at)

    async def list(self, **selection: Any) -> Page:
        return await self._memory.list(scope=self.scope, **selection)

    async def history(self, id: str, /) -> Sequence[Memory]:
        return await self._memory.history(id, scope=self.scope)

    async def why(self, id: str | IdentityLine, /) -> Sequence[Memory]:
        return await self._memory.why(id, scope=self.scope)

    async def identity(self, *, as_of: datetime | None = None, known_at: datetime | None = None) -> Identity:
        return await self._memory.identity(scope=self.scope, as_of=as_of, known_at=known_at)

    async def set_identity(self, section: IdentitySection, lines: str | Sequence[str], /, **details: Any) -> Identity:
        return await self._memory.set_identity(section, lines, scope=self.scope, **details)

    async def diff(self, *, start: datetime, end: datetime) -> Diff:
        return await self._memory.diff(scope=self.scope, start=start, end=end)

    async def restore(self, id: str, /, *, version: int | None = None, reason: str | None = None) -> Memory:
        return await self._memory.restore(id, scope=self.scope, version=version, reason=reason)

    async def feedback(
        self, target: str | Memory | Hit | Retrieval | Iterable[str | Memory | Hit], /, *, outcome: float
    ) -> None:
        await self._memory.feedback(target, scope=self.scope, outcome=outcome)

    async def receipts(self) -> Sequence[Receipt]:
        return await self._memory.receipts(scope=self.scope)

    async def hold(self, *, reason: str) -> Hold:
        return await self._memory.hold(scope=self.scope, reason=reason)

    async def release(self, *, reason: str | None = None) -> bool:
        return await self._memory.release(scope=self.scope, reason=reason)

    async def holds(self) -> Sequence[Hold]:
        return await self._memory.holds(scope=self.scope)

    async def compress(
        self, *, max_tokens: int = 200, level: Level = "session", keep_last: int = 0
    ) -> Sequence[Memory]:
        return await self._memory.compress(scope=self.scope, max_tokens=max_tokens, level=level, keep_last=keep_last)

    async def end_session(self) -> Memory | None:
        return await self._memory.end_session(scope=self.scope)

    async def export_to(
        self, path: str | os.PathLike[str], /, *, as_of: datetime | None = None, known_at: datetime | None = None
    ) -> int:
        return await self._memory.export_to(path, scope=self.scope, as_of=as_of, known_at=known_at)

    async def import_from(
        self,
        path: str | os.PathLike[str],
        /,
        *,
        trust: Integrity | str,
        progress: Callable[[int, int], None] | None = None,
    ) -> ImportReport:
        return await self._memory.import_from(path, scope=self.scope, trust=trust, progress=progress)

    def wrap(self, client: Client, *, strict: bool = False) -> Client:
        return self._memory.wrap(client, scope=self.scope, strict=strict)

    def tools(self, **options: Any) -> AsyncMemoryTools:
        return self._memory.tools(scope=self.scope, **options)

    def wrap_callable(
        self, function: Callable[P, R], *, strict: bool = False, messages_arg: str = "messages"
    ) -> Callable[P, R]:
        return self._memory.wrap_callable(function, scope=self.scope, strict=strict, messages_arg=messages_arg)
