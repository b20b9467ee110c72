"""Memory beside a model call, without any provider's SDK: what to add before it, what to keep of it.

A shim (``ClientShim``) translates one provider's client into calls of a ``Bridge``:

1. ``prepare`` takes the messages of a call, gives the two texts to put in front of the user's first and last words, and
   records what is new in them, before the model is asked.
2. ``observe`` takes the answer and records it.

Memory never fails a call and waits no longer than its deadlines: a turn that is not stored by then lies in a spill file
and is stored from there (``recording``, ``spill``). Trouble is logged (at most once a minute, without content) and told
by ``Bridge.status``. ``strict`` raises it instead.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, get_args
from weakref import WeakKeyDictionary

from agentmem.clients.crew import Crew
from agentmem.clients.recording import Doubt, Recording
from agentmem.clients.sessions import (
    MAX_KNOWN,
    Recall,
    Session,
    Sessions,
    Told,
    current_scope,
    is_private,
    private_turns,
    require_scope,
    use_scope,
)
from agentmem.clients.spill import Spill
from agentmem.clients.suffix import Said, first_new, first_unsent, last_of_user, say
from agentmem.context.fences import Fences
from agentmem.context.rendering import without_blocks
from agentmem.errors import AgentMemError, ConfigError, ScopeError, StoreBusy
from agentmem.forked import start_clean
from agentmem.interfaces import LogQuery, Message
from agentmem.ledger import Ledger
from agentmem.records import Context, Cost, Memory, MemoryStatus, Page, Scope, Turn

__all__ = [
    "Attached",
    "Bridge",
    "ClientShim",
    "Prepared",
    "Recorder",
    "Said",
    "SessionLog",
    "Status",
    "WrapOptions",
    "current_scope",
    "private_turns",
    "say",
    "use_scope",
]

T = TypeVar("T")
Status = MemoryStatus
_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
log = logging.getLogger("agentmem.clients")

_LOG_EVERY_S: Final = 60.0
_READERS: Final = 4
"""Threads that may read at once for one wrapped client; with all of them stuck, calls go on without."""
_IN_LINE: Final = 1024
_CALLERS: Final = 32
"""Calls of async clients whose memory may be seen to at once; the others wait, at the cost of their deadlines."""
_WARM_UP_S: Final = 1.0
_CONVERSATION: Final = 6
"""How many of the messages before the question are given to retrieval."""
_NOTHING: Final = Told()


class SessionLog(Protocol):
    """What a wrapped client needs of a log; every EpisodicLog has it."""

    def fence_key(self) -> bytes: ...

    def has_forgotten(self, scope: Scope) -> bool: ...

    def mark_private(self, scope: Scope) -> None: ...

    def read(self, query: LogQuery) -> Sequence[Memory]: ...


class Recorder(Protocol):
    """What a wrapped client needs of a memory; MemoryManager has it."""

    @property
    def log(self) -> SessionLog: ...

    def context(
        self,
        query: str,
        /,
        *,
        scope: Scope,
        max_tokens: int | None = None,
        conversation: Sequence[Message] = (),
        present: Iterable[str] = (),
    ) -> Context: ...

    def store_many(self, items: Iterable[Turn], /, *, scope: Scope) -> Sequence[Memory]: ...

    def list(
        self,
        *,
        scope: Scope,
        kinds: Collection[str] | None = None,
        where: Mapping[str, Any] | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> Page: ...


@dataclass(frozen=True, slots=True)
class WrapOptions:
    """How much a wrapped client may take.

    Args:
        max_tokens: Of both texts of memory in a prompt.
        deadline_s: Seconds that a call may wait for what memory knows; then it goes on without.
        write_deadline_s: Seconds that a call may wait until the user's words, and the model's, are stored; then they go
            to a spill file.
        spill: The folder of the spill files, one database's alone; unset = beside a SQLite file, and none for a server.
    """

    max_tokens: int = 1000
    deadline_s: float = 0.3
    write_deadline_s: float = 0.3
    spill: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise ConfigError(f"wrap.max_tokens must be a whole number of at least 1, not {self.max_tokens!r}.")
        for name in ("deadline_s", "write_deadline_s"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                raise ConfigError(f"wrap.{name} must be a number above 0, not {value!r}.")
        if self.spill is not None and (not isinstance(self.spill, str) or not self.spill):
            raise ConfigError(f"wrap.spill must name a folder, not {self.spill!r}.")

    @property
    def spill_folder(self) -> Path | None:
        return Path(self.spill).expanduser() if self.spill else None


class ClientShim(ABC):
    """One provider's client. Register the class under ``agentmem.client`` as the package the client comes from."""

    @abstractmethod
    def attach(self, client: Any, bridge: Bridge) -> Any:
        """A copy of the client, of the same type, whose calls go through the bridge; ``client`` stays as it is.

        The copy carries ``__agentmem__ = Attached(bridge, client)``.
        """


@dataclass(frozen=True, slots=True)
class Attached:
    """What ``client.__agentmem__`` holds on a wrapped client: its bridge and the client it was made from."""

    bridge: Bridge
    original: Any

    @property
    def status(self) -> Status:
        return self.bridge.status


# --- the bridge -----------------------------------------------------------------------------------


@dataclass(slots=True, eq=False)
class Call:
    """How memory fares in one call, and what it took of it. ``counted`` is the status that the ledger has."""

    status: Status = "ok"
    cost: Cost = field(default_factory=Cost)
    counted: Status | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call with its memory: ``stable`` goes in front of the user's first words, ``block`` of the last ones.

    Either may be "": nothing to add. ``agentmem.context.placing`` puts them there, and takes out what stands between
    ``fences``, memory's own.
    """

    block: str = ""
    stable: str = ""
    session: Session | None = None
    is_private: bool = False
    call: Call | None = field(default=None, compare=False)
    fences: Container[str] = field(default=(), compare=False, repr=False)


class Bridge:
    """What stands between one wrapped client (with its copies) and a memory. Safe for threads.

    Args:
        scope: Whose memory; ``use_scope`` overrides it. Without a session one is made for each user and agent.
        strict: Raise what goes wrong in memory instead of going on without.
        spill: Where turns go that cannot be stored in time; None = nowhere.
        ledger: Where costs are added up.
    """

    def __init__(
        self,
        memory: Recorder,
        *,
        scope: Scope | None = None,
        strict: bool = False,
        options: WrapOptions | None = None,
        spill: Spill | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        self.memory = memory
        self.scope = None if scope is None else require_scope(scope)
        self.strict = strict
        self.options = options or WrapOptions()
        self._call = Call()
        self._fences = Fences(memory.log.fence_key())
        self._ledger = ledger or Ledger()
        self._sessions = Sessions()
        self._recording = Recording(memory, spill)
        self._readers = Crew(_READERS, line=_IN_LINE)
        self._callers = Crew(_CALLERS, line=sys.maxsize, is_patient=True)
        self._logged_at: float | None = None
        self._unlogged = 0
        start_clean(self)

    def _start_clean(self) -> None:
        self._lock = threading.Lock()

    @property
    def status(self) -> Status:
        """How memory fared in the last call of this thread or task; if it made none, in anybody's last."""
        return self._last_call.status

    @property
    def last_cost(self) -> Cost:
        """What memory took of that call."""
        call = self._last_call
        return replace(call.cost, statuses={call.status: 1}) if call.cost.calls else call.cost

    @property
    def lost_turns(self) -> int:
        """Turns that could not be kept since the client was wrapped."""
        return self._recording.lost_turns

    @property
    def spilled_turns(self) -> int:
        """Turns that went to the spill files since the client was wrapped."""
        return self._recording.spilled_turns

    def warm_up(self) -> None:
        """Ask once what nobody asked, so that the first call finds model, tables and memories loaded; 1 s at most.

        A new process needs longer for its first answer than a call may be held up.
        """
        scope = self.scope or current_scope() or Scope(agent="nobody")
        budget = self.options.max_tokens
        try:
            self._within(
                lambda: self.memory.context("What is known?", scope=scope, max_tokens=budget),
                time.monotonic() + _WARM_UP_S,
            )
        except Exception:  # noqa: BLE001  the first call will meet the same trouble and tell of it
            return

    def prepare(self, said: Iterable[Said]) -> Prepared:
        """Recall for the user's last words and record what is new, before the model is asked.

        Raises:
            AgentMemError: only if ``strict``.
        """
        started = _asked_at.get() or time.monotonic()
        call = self._begun(Call())
        scope = current_scope() or self.scope
        block = stable = _NOTHING
        session = None
        try:
            if scope is None:
                self._trouble(call, "off", ScopeError("A wrapped client was called without a scope.", hint=_USE_SCOPE))
                return Prepared()
            session = self._sessions.of(scope)
            try:
                messages = list(self._own_words(said))
                deadline = started + self.options.deadline_s
                new, doubt = self._take_new(call, session, messages, deadline)
                try:
                    block, stable = self._recall(session, messages, is_new=bool(new), deadline=deadline)
                finally:
                    # What a wait for a thread took beyond the time for reading comes off that for writing.
                    end = min(deadline, time.monotonic()) + self.options.write_deadline_s
                    self._mark_private(call, session, end)
                    if not is_private():
                        self._record(call, session, new, end=end, doubt=doubt)
            except Exception as error:  # noqa: BLE001  whatever fails in memory, the model is still asked
                self._trouble(call, "degraded", error)
            return Prepared(block.text, stable.text, session, is_private(), call, self._fences)
        finally:
            self._account(call, block, stable, time.monotonic() - started)

    def observe(
        self, prepared: Prepared, said: Iterable[Said], *, complete: bool = True, wait_for_write: bool = True
    ) -> None:
        """Record what the model answered to a prepared call.

        Args:
            complete: False if the answer broke off; it is kept with ``metadata={"complete": False}``.
            wait_for_write: False where the caller must not be held up.

        Raises:
            AgentMemError: only if ``strict``.
        """
        session, call = prepared.session, prepared.call or Call()
        if session is None:
            return
        started = _asked_at.get() or time.monotonic()
        try:
            answers = list(self._own_words(said))
            with session.lock:
                session.unanswered = None if complete else session.unanswered
                session.learn(answers)
            if not prepared.is_private:
                end = started + self.options.write_deadline_s
                self._record(call, session, answers, end=end, complete=complete, in_time=wait_for_write)
        except Exception as error:  # noqa: BLE001  the model's answer is the caller's, whatever fails in memory
            self._trouble(call, "degraded", error)
        finally:
            waited = Cost(waited_s=time.monotonic() - started)
            call.cost += waited
            self._ledger.add(waited)

    async def aside(self, work: Callable[..., T], *args: Any) -> T:
        """What the work gives, done in a thread of the bridge's own while the event loop goes on.

        It is done even if the task that waits for it is cancelled. Deadlines begin now, not when a thread is free.
        """
        context = copy_context()
        context.run(_asked_at.set, time.monotonic())
        in_context = functools.partial(context.run, work, *args)
        if not _is_in_asyncio():
            result = await _beside_another_loop(in_context)
        else:
            try:
                future = self._callers.start(in_context)
            except RuntimeError:  # there are no more threads: memory holds the loop up, no longer than its deadlines
                return in_context()
            result = await _awaited(future)
        _calls.set(context.get(_calls, {}))
        return result

    def flush(self, timeout_s: float | None = None) -> bool:
        """True when every turn was stored, lies in a spill file or is known to be lost; False at the timeout."""
        return self._recording.flush(timeout_s)

    def _own_words(self, said: Iterable[Said]) -> Iterator[Said]:
        """What was said, without what memory put in front of it."""
        for one in said:
            text = without_blocks(one.text, self._fences)
            if text == one.text:
                yield one
            elif text.strip():
                yield replace(one, text=text)

    # --- what is new

    def _take_new(
        self, call: Call, session: Session, said: Sequence[Said], deadline: float
    ) -> tuple[Sequence[Said], Doubt | None]:
        """What is to be recorded of ``said``, which the session knows from now on, and what may have to be."""
        recorded = self._read_back(call, session, deadline)
        with session.lock:
            is_fresh = recorded is not None and not session.is_read_back
            if recorded is not None and is_fresh:
                session.known, session.unanswered = recorded
            session.is_read_back = True
            start = first_new(session.known, said, unanswered=session.unanswered)
            session.learn(said[start:])
            session.unanswered = next((one.key for one in reversed(said) if one.role == "user"), None)
        unsent = first_unsent(said)
        if start >= unsent:
            return said[start:], None
        knows_others = is_fresh or session.given.session is None  # nobody else knows a session that was made here
        try:
            return said[self._within(lambda: self._begin(session, said, start, knows_others), deadline) :], None
        except Exception as error:  # noqa: BLE001  told by the status
            self._trouble(call, "degraded", error)
        earlier = said[:unsent]
        doubt = Doubt(
            session,
            earlier,
            begin=lambda: self._begin(session, said, start, knows_others=False),
            note=lambda *trouble: self._note(call, *trouble),
        )
        return said[unsent:], doubt

    def _read_back(self, call: Call, session: Session, deadline: float) -> tuple[list[bytes], bytes | None] | None:
        """What an earlier process recorded of a session, so that its history is not recorded again; asked for once."""
        if session.is_read_back:
            return None
        try:
            return self._within(lambda: self._recorded(session.scope), deadline)
        except Exception as error:  # noqa: BLE001  told by the status
            self._trouble(call, "degraded", error)
            return None

    def _begin(self, session: Session, said: Sequence[Said], start: int, knows_others: bool) -> int:
        """Where in ``said``, not before ``start``, begins what no client has recorded and nobody wanted gone.

        Args:
            knows_others: What other clients of the session have recorded stands before ``start``.
        """
        unsent = first_unsent(said)
        if not knows_others:
            known, unanswered = self._recorded(session.scope)
            start = max(start, first_new(known, said, unanswered=unanswered))
        # What came before may be new, or forgotten.
        return unsent if start < unsent and self._lacks(session.given) else start

    def _recorded(self, scope: Scope) -> tuple[list[bytes], bytes | None]:
        """Keys of what the log has of a session, and that of the user's last words if they have no answer there."""
        known: list[bytes] = []
        unanswered: bytes | None = None
        for memory in self._listed(scope):
            known.append(Said(memory.role, memory.content).key)
            if memory.role == "user":
                unanswered = known[-1]
            elif memory.role == "assistant" and memory.metadata.get("complete") is not False:
                unanswered = None
        return known[-MAX_KNOWN:], unanswered

    def _listed(self, scope: Scope) -> Iterator[Memory]:
        cursor: str | None = None
        while True:
            page = self.memory.list(
                scope=scope, kinds={"turn"}, where={"session": scope.session}, limit=MAX_KNOWN, cursor=cursor
            )
            yield from page
            cursor = page.cursor
            if cursor is None:
                return

    def _lacks(self, scope: Scope) -> bool:
        """Whether something that was said in the session is not there, or not in the words it was said in."""
        if self.memory.log.has_forgotten(scope):
            return True
        if scope.session is None:
            return False
        held = self.memory.log.read(LogQuery(scope=scope, session=scope.session, kinds=frozenset({"turn"})))
        return any(memory.version > 1 for memory in held) or len(held) > sum(1 for _ in self._listed(scope))

    # --- what is known

    def _recall(self, session: Session, said: Sequence[Said], *, is_new: bool, deadline: float) -> tuple[Told, Told]:
        """The volatile and the stable text; looked up once a turn, the same in every call of an agent's loop.

        Looked up again if something that they tell was forgotten, has ended or was changed meanwhile, by anybody.
        """
        place = last_of_user(said)
        if place is None:
            return self._still_told(session, said, deadline)
        question = said[place].key
        is_asking = place == len(said) - 1
        recall = session.recalled if session.recalled and session.recalled.question == question else None
        if session.stable is not None and not (is_asking and (is_new or recall is None)):
            block = recall.told if recall else _NOTHING
            if self._within(lambda: self._stands(session.scope, block, session.stable or _NOTHING), deadline):
                return block, session.stable
        words = said[place].text if is_asking or recall else ""
        block, session.stable = self._within(lambda: self._asked(session, words, said, place), deadline)
        if words:
            session.recalled = Recall(question, block)
        return block, session.stable

    def _still_told(self, session: Session, said: Sequence[Said], deadline: float) -> tuple[Told, Told]:
        """What a loop was told whose question the provider keeps, so that the call has only results of tools."""
        stable, block = session.stable, session.recalled.told if session.recalled else _NOTHING
        if stable is None or not said or any(one.role != "tool" for one in said):
            return _NOTHING, _NOTHING
        stands = self._within(lambda: self._stands(session.scope, block, stable), deadline)
        return (block, stable) if stands else (_NOTHING, _NOTHING)

    def _asked(self, session: Session, words: str, said: Sequence[Said], place: int) -> tuple[Told, Told]:
        """What memory has for the words and the call does not say itself; without words only who is who."""
        spoken = [Message(one.role, one.text) for one in said[:place] if one.role != "tool"]
        context = self.memory.context(
            words,
            scope=session.scope,
            max_tokens=self.options.max_tokens,
            conversation=spoken[-_CONVERSATION:],
            present=[one.text for one in said],
        )
        tokens = context.tokens - context.stable_tokens
        block = Told(context.volatile, tokens, context.told) if words else _NOTHING
        return block, Told(context.stable, context.stable_tokens, context.stable_told)

    def _stands(self, scope: Scope, *texts: Told) -> bool:
        """Whether everything that the texts tell is there and holds, in the versions that they tell."""
        versions = {id: version for told in texts for id, version in told.versions.items()}
        return not versions or {id: each.version for id, each in self._there(scope, versions).items()} == versions

    def _there(self, scope: Scope, ids: Collection[str]) -> dict[str, Memory]:
        """Those of the memories that are there and hold now, by id."""
        page = self.memory.list(scope=scope, where={"id": {"$in": list(ids)}}, limit=max(len(ids), 1))
        return {memory.id: memory for memory in page}

    # --- how

    def _begun(self, call: Call) -> Call:
        self._call = call
        # Not changed in place: other contexts have the same mapping.
        _calls.set(WeakKeyDictionary({**_calls.get({}), self: call}))
        return call

    @property
    def _last_call(self) -> Call:
        return _calls.get({}).get(self, self._call)

    def _record(self, call: Call, session: Session, said: Sequence[Said], *, end: float, **how: Any) -> None:
        note = lambda *trouble: self._note(call, *trouble)  # noqa: E731
        error = self._recording.record(session, said, note=note, wait_s=max(end - time.monotonic(), 0), **how)
        if error is not None and self.strict:
            raise error

    def _mark_private(self, call: Call, session: Session, end: float) -> None:
        """Let every process know that what is sent again of this session may be private: tried until it is done."""
        session.has_private = session.has_private or is_private()
        if not session.has_private or session.is_marked:
            return
        try:
            self._within(lambda: self._marked_private(session.scope), end)
            session.is_marked = True
        except Exception as error:  # noqa: BLE001  told by the status
            self._trouble(call, "degraded", error)

    def _marked_private(self, scope: Scope) -> None:
        if not self.memory.log.has_forgotten(scope):
            self.memory.log.mark_private(scope)

    def _within(self, read: Callable[[], T], deadline: float) -> T:
        reading = self._readers.start(read)
        wait([reading], max(deadline - time.monotonic(), 0))
        if not reading.done():
            reading.cancel()  # if nobody was free to begin it
            raise StoreBusy(f"Memory did not answer within {self.options.deadline_s:g} s.")
        return reading.result()

    def _account(self, call: Call, block: Told, stable: Told, waited_s: float) -> None:
        tokens = block.tokens + stable.tokens
        call.cost = Cost(calls=1, tokens=tokens, stable_tokens=stable.tokens, waited_s=waited_s)
        with self._lock:
            call.counted = call.status
        self._ledger.add(replace(call.cost, statuses={call.status: 1}))

    def _trouble(self, call: Call, status: Status, error: Exception) -> None:
        self._note(call, status, error)
        if self.strict:
            raise error

    def _note(self, call: Call, status: Status, error: BaseException) -> None:
        """Keep the worse status and log the error's kind; its text could quote what was said."""
        with self._lock:
            call.status = max(call.status, status, key=_STATUSES.index)
            if call.counted not in (None, call.status):
                self._ledger.count(call.status, instead_of=call.counted)
                call.counted = call.status
            now = time.monotonic()
            is_quiet = self._logged_at is not None and now - self._logged_at < _LOG_EVERY_S
            if is_quiet:
                self._unlogged += 1
                return
            self._logged_at, unlogged, self._unlogged = now, self._unlogged, 0
        kind = error.code if isinstance(error, AgentMemError) else type(error).__name__
        log.error("Memory of a wrapped client is %s: %s (%d more since the last line)", status, kind, unlogged)


def _is_in_asyncio() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


async def _awaited(future: Future[T]) -> T:
    """The future's result, in an asyncio loop. Unlike ``asyncio.wrap_future`` it leaves a begun work alone, and a loop
    that was closed meanwhile."""
    rung, loop = asyncio.Event(), asyncio.get_running_loop()

    def ring(_: Future[T]) -> None:
        with suppress(RuntimeError):  # nobody waits any more: the loop is closed
            loop.call_soon_threadsafe(rung.set)

    future.add_done_callback(ring)
    await rung.wait()
    return future.result()


async def _beside_another_loop(work: Callable[[], T]) -> T:
    try:
        from anyio import CapacityLimiter, to_thread
    except ImportError:  # memory holds the loop up, no longer than its deadlines
        return work()
    return await to_thread.run_sync(work, limiter=CapacityLimiter(1))  # not the application's, which may be used up


_calls: ContextVar[Mapping[Bridge, Call]] = ContextVar("agentmem_calls")
"""The last call of each bridge in this thread or task."""
_asked_at: ContextVar[float | None] = ContextVar("agentmem_asked_at", default=None)
"""Since when the caller waits for what is done aside."""

_USE_SCOPE: Final = "Use use_scope(…)."
