"""Memory beside a model call, without any provider's SDK: what to add before it, what to keep of it.

A shim (``ClientShim``) translates one provider's client into calls of a ``Bridge``:

1. ``prepare`` takes the messages of a call, gives the block to put in front of the user's last words, and records
   what is new in them, before the model is asked.
2. ``observe`` takes the answer and records it.

Applications send the whole conversation with every call, a window of it, or only the last words. ``first_new``
tells what of it was not there before, so that nothing is stored twice and a repeated "ok" is still kept. What was
forgotten is not there either: where it may be among what is sent again, only ``first_unsent`` and on is recorded.

Memory never fails a call: it has a deadline, and trouble is logged (at most once a minute, without content) and
told by ``Bridge.status``. ``strict`` raises it instead.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
import threading
import time
import uuid
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol, TypeVar, get_args

from agentmem.context.rendering import render_hits
from agentmem.errors import AgentMemError, ConfigError, InvalidInput, ScopeError, StoreBusy
from agentmem.interfaces import LogQuery, Message
from agentmem.records import Memory, MemoryStatus, Page, Retrieval, Role, Scope, Turn

T = TypeVar("T")
Status = MemoryStatus
_STATUSES: Final[tuple[Status, ...]] = get_args(Status)
log = logging.getLogger("agentmem.clients")

_LOG_EVERY_S: Final = 60.0
_MAX_SESSIONS: Final = 10_000
_MAX_KNOWN: Final = 1024
"""Messages of one session whose keys are kept; enough to recognise any history by its tail."""
_READERS: Final = 4
_WRITERS: Final = 16
"""Threads that may read, and write, at once for one wrapped client; with all of them stuck, calls go on without."""
_WARM_UP_S: Final = 1.0
_LEAST_WRITE_S: Final = 0.05
"""Even when reading took the whole deadline, recording gets this long before the call goes on."""
_PIECE_CHARACTERS: Final = 250_000
"""Longest text of one turn: even at four bytes a character it stays below a memory's 1 MiB."""
_CONVERSATION: Final = 6
"""How many of the messages before the question are given to retrieval."""
_HITS_WHEN_UNSURE: Final = 3


class Ledger(Protocol):
    """What a wrapped client needs of a log; every EpisodicLog has it."""

    def has_forgotten(self, scope: Scope) -> bool: ...

    def read(self, query: LogQuery) -> Sequence[Memory]: ...


class Recorder(Protocol):
    """What a wrapped client needs of a memory; MemoryManager has it."""

    @property
    def log(self) -> Ledger: ...

    def retrieve(
        self, query: str, /, *, scope: Scope, max_tokens: int | None = None, conversation: Sequence[Message] = ()
    ) -> Retrieval: ...

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
        max_tokens: Of the memory block in a prompt.
        sure_from: An answer less confident than this gives the prompt only its best three memories: a greeting is
            not worth a thousand tokens. 0 always fills the block.
        deadline_s: Seconds that memory may hold up a call; a turn not yet stored by then is stored behind it.
    """

    max_tokens: int = 1000
    sure_from: float = 0.1
    deadline_s: float = 0.3

    def __post_init__(self) -> None:
        if isinstance(self.max_tokens, bool) or not isinstance(self.max_tokens, int) or self.max_tokens < 1:
            raise ConfigError(f"wrap.max_tokens must be a whole number of at least 1, not {self.max_tokens!r}.")
        if isinstance(self.sure_from, bool) or not 0 <= self.sure_from <= 1:
            raise ConfigError(f"wrap.sure_from must be a number from 0 to 1, not {self.sure_from!r}.")
        if isinstance(self.deadline_s, bool) or not isinstance(self.deadline_s, int | float) or self.deadline_s <= 0:
            raise ConfigError(f"wrap.deadline_s must be a number above 0, not {self.deadline_s!r}.")


class ClientShim(ABC):
    """One provider's client. Register the class under ``agentmem.client`` as the client's top-level package."""

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


# --- whose memory ---------------------------------------------------------------------------------

_scope: ContextVar[Scope | None] = ContextVar("agentmem_scope", default=None)
_private: ContextVar[bool] = ContextVar("agentmem_private", default=False)


@contextmanager
def use_scope(scope: Scope) -> Iterator[Scope]:
    """Calls of wrapped clients inside the block use this scope, whatever they were wrapped with.

    Kept in a context variable: threads and asyncio tasks do not see each other's scope.

    Raises:
        InvalidInput: not a Scope.
    """
    token = _scope.set(require_scope(scope))
    try:
        yield scope
    finally:
        _scope.reset(token)


def require_scope(scope: object) -> Scope:
    """The scope itself, if it is one: a mistake here must not wait for the first call to show."""
    if not isinstance(scope, Scope):
        raise InvalidInput(f"scope must be a Scope, not {type(scope).__name__}.", hint='Write Scope(user="ana").')
    return scope


def current_scope() -> Scope | None:
    """The scope of the innermost ``use_scope``, or None outside of one."""
    return _scope.get()


@contextmanager
def private_turns() -> Iterator[None]:
    """Calls of wrapped clients inside the block use memory but are not recorded, not even when resent later."""
    token = _private.set(True)
    try:
        yield
    finally:
        _private.reset(token)


# --- what was said --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in a conversation that memory can keep: never the application's system prompt.

    Args:
        is_call: The model calls a tool; kept under the role of what tools say.
    """

    role: Role
    text: str
    speaker: str | None = None
    is_call: bool = False

    @property
    def key(self) -> bytes:
        """Equal for the same words of the same role, whether sent, answered, resent or read back from the log."""
        return hashlib.blake2b(f"{self.role}\0{self.text.strip()}".encode(), digest_size=16).digest()


def say(role: Role, text: str, speaker: str | None = None, *, is_call: bool = False) -> Iterator[Said]:
    """The text as memory can hold it: nothing if it is blank, in pieces if it is too long for one turn."""
    # NUL and lone surrogates can be sent to a model but not be stored.
    text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if text.strip():
        for start in range(0, len(text), _PIECE_CHARACTERS):
            yield Said(role, text[start : start + _PIECE_CHARACTERS], speaker, is_call)


def first_new(known: Sequence[bytes], said: Sequence[Said], *, answered: bool = True) -> int:
    """Where in ``said`` begins what the session does not know yet; ``len(said)`` if it knows all.

    The overlap is the longest run of ``said`` that ends where ``known`` ends (history resent, a window of it, or
    one with a new head) or that begins ``said`` and stands anywhere in ``known`` (the conversation went back).
    One user message alone is no overlap: people repeat an "ok". And unless the same call is tried again after it
    failed (``answered`` is False), a user message at the end was said anew.

    Args:
        known: Keys of what the session holds, oldest first.
        answered: Whether the call before this one was answered.
    """
    keys = [one.key for one in said]
    overlaps = [_shared_tail(known, keys), _shared_head(known, keys)]
    end, length = max(overlaps, key=lambda overlap: overlap[1])
    is_lone_user = length == 1 and said[end - 1].role == "user"
    is_whole_history = length == len(known) and (end < len(said) or not answered)
    if length == 0 or (is_lone_user and not is_whole_history):
        return 0
    if end == len(said) and said[-1].role == "user" and answered:
        return end - 1
    return end


def first_unsent(said: Sequence[Said]) -> int:
    """Where in ``said`` begins what no earlier call can have held: behind the model's last answer.

    Without any answer it is the user's last message.
    """
    answers = [place for place, one in enumerate(said) if one.role == "assistant" or one.is_call]
    return answers[-1] + 1 if answers else _last_of_user(said) or 0


def _shared_tail(known: Sequence[bytes], keys: Sequence[bytes]) -> tuple[int, int]:
    """(end, length) of the longest run of ``keys`` that is a tail of ``known``; the first of equals."""
    best = (0, 0)
    for end in range(1, len(keys) + 1):
        length = 0
        while length < min(end, len(known)) and keys[end - 1 - length] == known[-1 - length]:
            length += 1
        if length > best[1]:
            best = (end, length)
    return best


def _shared_head(known: Sequence[bytes], keys: Sequence[bytes]) -> tuple[int, int]:
    """(end, length) of the longest head of ``keys`` that stands anywhere in ``known``."""
    best = 0
    for start in range(len(known)):
        length = 0
        while length < min(len(keys), len(known) - start) and keys[length] == known[start + length]:
            length += 1
        best = max(best, length)
    return best, best


# --- the bridge -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Recall:
    """A block with the key of the question it was made for, and with the versions, by id, of what it rests on."""

    question: bytes
    block: str
    told: Mapping[str, int]


@dataclass(slots=True)
class _Session:
    """What is known of one session: its messages, the last recall, the write under way.

    ``given`` is the scope as the caller has it, without a session where one was made.
    """

    scope: Scope
    given: Scope
    is_read_back: bool
    known: list[bytes] = field(default_factory=list)
    answered: bool = True
    recalled: _Recall | None = None
    writing: Future[Any] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A call with its memory: ``stable`` goes in front of the user's first words, ``block`` of the last ones.

    Either may be "": nothing to add. ``agentmem.context.placing`` puts them there.
    """

    block: str = ""
    stable: str = ""
    session: _Session | None = None
    is_private: bool = False


class Bridge:
    """What stands between one wrapped client (with its copies) and a memory. Safe for threads.

    Args:
        scope: Whose memory; ``use_scope`` overrides it. Without a session one is made for each user and agent.
        strict: Raise what goes wrong in memory instead of going on without.
    """

    def __init__(
        self, memory: Recorder, *, scope: Scope | None = None, strict: bool = False, options: WrapOptions | None = None
    ) -> None:
        self.memory = memory
        self.scope = None if scope is None else require_scope(scope)
        self.strict = strict
        self.options = options or WrapOptions()
        self.status: Status = "ok"
        self.lost_turns = 0
        """Turns that could not be stored since the client was wrapped."""
        self._sessions: OrderedDict[Scope, _Session] = OrderedDict()
        self._lock = threading.Lock()
        self._readers = threading.BoundedSemaphore(_READERS)
        self._writers = threading.BoundedSemaphore(_WRITERS)
        self._logged_at: float | None = None
        self._unlogged = 0

    def warm_up(self) -> None:
        """Ask once what nobody asked, so that the first call finds model, tables and memories loaded; 1 s at most.

        A new process needs longer for its first answer than a call may be held up.
        """
        scope = self.scope or current_scope() or Scope(agent="nobody")
        asked = [Said("user", "What is known?")]
        try:
            self._within(lambda: self._recalled(scope, asked, 0), time.monotonic() + _WARM_UP_S)
        except Exception:  # noqa: BLE001  the first call will meet the same trouble and tell of it
            return

    def prepare(self, said: Iterable[Said]) -> Prepared:
        """Recall for the user's last words and record what is new, before the model is asked.

        Raises:
            AgentMemError: only if ``strict``.
        """
        scope = current_scope() or self.scope
        self.status = "ok"
        if scope is None:
            self._trouble("off", ScopeError("A wrapped client was called without a scope.", hint="Use use_scope(…)."))
            return Prepared()
        deadline = time.monotonic() + self.options.deadline_s
        session = self._session(scope)
        is_private = _private.get()
        block = ""
        try:
            messages = list(said)
            self._read_back(session, deadline)
            new = self._take_new(session, messages, deadline)
            try:
                block = self._recall(session, messages, is_new=bool(new), deadline=deadline)
            finally:
                if not is_private:
                    self._record(session, new, wait_s=max(deadline - time.monotonic(), _LEAST_WRITE_S))
        except Exception as error:  # noqa: BLE001  whatever fails in memory, the model is still asked
            self._trouble("degraded", error)
        return Prepared(block, session=session, is_private=is_private)

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
        session = prepared.session
        if session is None:
            return
        try:
            answers = list(said)
            with session.lock:
                session.answered = complete
                _extend(session.known, answers)
            if not prepared.is_private:
                wait_s = self.options.deadline_s if wait_for_write else 0.0
                self._record(session, answers, wait_s=wait_s, complete=complete)
        except Exception as error:  # noqa: BLE001  the model's answer is the caller's, whatever fails in memory
            self._trouble("degraded", error)

    def flush(self, timeout_s: float | None = None) -> bool:
        """True when every turn was stored or is known to be lost; False when the timeout came first."""
        with self._lock:
            writing = [session.writing for session in self._sessions.values() if session.writing]
        return not wait(writing, timeout_s).not_done

    def _session(self, scope: Scope) -> _Session:
        with self._lock:
            session = self._sessions.pop(scope, None)
            if session is None:
                is_own = scope.session is None
                session = _Session(replace(scope, session=_new_session_id()) if is_own else scope, scope, is_own)
            self._sessions[scope] = session
            while len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
            return session

    def _read_back(self, session: _Session, deadline: float) -> None:
        """Learn once what an earlier process recorded of a session, so that its history is not recorded again."""
        with session.lock:
            if session.is_read_back:
                return
            try:
                session.known = self._within(lambda: self._recorded(session.scope), deadline)
                session.is_read_back = True
            except Exception as error:  # noqa: BLE001  the next call tries again
                self._trouble("degraded", error)

    def _recorded(self, scope: Scope) -> list[bytes]:
        known: list[bytes] = []
        _extend(known, [Said(memory.role, memory.content) for memory in self._listed(scope)])
        return known

    def _listed(self, scope: Scope) -> Iterator[Memory]:
        cursor: str | None = None
        while True:
            page = self.memory.list(
                scope=scope, kinds={"turn"}, where={"session": scope.session}, limit=_MAX_KNOWN, cursor=cursor
            )
            yield from page
            cursor = page.cursor
            if cursor is None:
                return

    def _take_new(self, session: _Session, said: Sequence[Said], deadline: float) -> Sequence[Said]:
        """What is to be recorded of ``said``, which the session knows from now on."""
        unsent = first_unsent(said)
        with session.lock:
            if session.is_read_back:
                start = first_new(session.known, said, answered=session.answered)
            else:
                start = unsent  # what came before may be known or not: better a gap than a double
            # Here the same: what came before may be new or forgotten.
            begin = unsent if start < unsent and self._has_forgotten(session.given, deadline) else start
            _extend(session.known, said[start:])
            session.answered = False
            return said[begin:]

    def _has_forgotten(self, scope: Scope, deadline: float) -> bool:
        """Whether what the session does not know may be what it has forgotten; yes if memory cannot tell."""
        try:
            return self._within(lambda: self._lacks(scope), deadline)
        except Exception as error:  # noqa: BLE001  told by the status
            self._trouble("degraded", error)
            return True

    def _lacks(self, scope: Scope) -> bool:
        """Whether something that was said in the session is not there any more, or not in the words it was said in."""
        if self.memory.log.has_forgotten(scope):
            return True
        if scope.session is None:
            return False
        held = self.memory.log.read(LogQuery(scope=scope, session=scope.session, kinds=frozenset({"turn"})))
        return any(memory.version > 1 for memory in held) or len(held) > sum(1 for _ in self._listed(scope))

    def _recall(self, session: _Session, said: Sequence[Said], *, is_new: bool, deadline: float) -> str:
        """The block for the user's last words; looked up once a turn, the same in every call of an agent's loop.

        Looked up again if something that it tells was forgotten, has ended or was changed meanwhile, by anybody.
        """
        place = _last_of_user(said)
        if place is None:
            return ""
        question = said[place].key
        is_asking = place == len(said) - 1
        recall = session.recalled
        if recall is not None and recall.question == question and not (is_asking and is_new):
            told = recall.told
            if not told or self._within(lambda: self._versions(session.scope, told) == told, deadline):
                return recall.block
        elif not is_asking:
            return ""
        session.recalled = recall = self._within(lambda: self._recalled(session.scope, said, place), deadline)
        return recall.block

    def _recalled(self, scope: Scope, said: Sequence[Said], place: int) -> _Recall:
        """What memory has for the words at ``place`` and the call does not say itself."""
        budget = self.options.max_tokens
        question = said[place]
        conversation = [Message(one.role, one.text) for one in said[:place] if one.role != "tool"][-_CONVERSATION:]
        retrieval = self.memory.retrieve(question.text, scope=scope, max_tokens=budget, conversation=conversation)
        present = {one.text.strip() for one in said}
        hits = [hit for hit in retrieval.hits if hit.content.strip() not in present]
        if retrieval.confidence < self.options.sure_from:
            hits = hits[:_HITS_WHEN_UNSURE]
        if not hits:
            return _Recall(question.key, "", {})
        shown = {memory.id: memory.version for hit in hits for memory in (hit.memory, *hit.corrections)}
        # When a fact is superseded, its turn becomes outdated and stays the version that it is.
        facts = {fact.id for hit in hits for fact in hit.facts}
        told = self._versions(scope, shown.keys() | facts) | shown
        return _Recall(question.key, render_hits(hits, max_tokens=budget).text, told)

    def _versions(self, scope: Scope, ids: Collection[str]) -> dict[str, int]:
        """The versions of those of the memories that are there and hold now, by id."""
        page = self.memory.list(scope=scope, where={"id": {"$in": list(ids)}}, limit=len(ids))
        return {memory.id: memory.version for memory in page}

    def _record(self, session: _Session, said: Sequence[Said], *, wait_s: float, complete: bool = True) -> None:
        if not said:
            return
        metadata = None if complete else {"complete": False}
        turns = [Turn(one.text, role=one.role, speaker=one.speaker, metadata=metadata) for one in said]
        with session.lock:
            before = session.writing

            def write() -> None:
                if before is not None:
                    wait([before])  # turns of a session are stored in the order they were said
                self.memory.store_many(turns, scope=session.scope)

            try:
                session.writing = writing = self._start(write, self._writers, daemon=False)
            except (StoreBusy, RuntimeError) as error:
                writing = Future()
                writing.set_exception(error)
        writing.add_done_callback(lambda done: self._written(session, said, done))
        is_behind = before is not None and not before.done()
        if not is_behind:
            wait([writing], wait_s)
        if not writing.done():
            self._note("degraded", StoreBusy("A turn is still being stored."))
        elif self.strict:
            writing.result()

    def _written(self, session: _Session, said: Sequence[Said], writing: Future[Any]) -> None:
        error = writing.exception()
        if error is None:
            return
        with session.lock:
            _forget(session.known, said)  # so that it is recorded after all if the application sends it again
        with self._lock:
            self.lost_turns += len(said)
        self._note("lost", error)

    def _within(self, read: Callable[[], T], deadline: float) -> T:
        reading = self._start(read, self._readers, daemon=True)
        wait([reading], max(deadline - time.monotonic(), 0))
        if not reading.done():
            raise StoreBusy(f"Memory did not answer within {self.options.deadline_s:g} s.")
        return reading.result()

    def _start(self, work: Callable[[], T], slots: threading.BoundedSemaphore, *, daemon: bool) -> Future[T]:
        """Do the work in a thread; one that writes is no daemon, so that the process does not end before it has."""
        if not slots.acquire(blocking=False):
            raise StoreBusy("Memory is still busy with earlier calls.")
        future: Future[T] = Future()
        context = copy_context()

        def run() -> None:
            try:
                result = context.run(work)
            except BaseException as error:  # noqa: BLE001  handed to whoever waits
                slots.release()
                future.set_exception(error)
            else:
                slots.release()
                future.set_result(result)

        try:
            threading.Thread(target=run, name="agentmem-wrap", daemon=daemon).start()
        except RuntimeError:  # no more threads, or the interpreter is ending
            slots.release()
            raise
        return future

    def _trouble(self, status: Status, error: Exception) -> None:
        self._note(status, error)
        if self.strict:
            raise error

    def _note(self, status: Status, error: BaseException) -> None:
        """Keep the worse status and log the error's kind; its text could quote what was said."""
        with self._lock:
            self.status = max(self.status, status, key=_STATUSES.index)
            now = time.monotonic()
            is_quiet = self._logged_at is not None and now - self._logged_at < _LOG_EVERY_S
            if is_quiet:
                self._unlogged += 1
                return
            self._logged_at, unlogged, self._unlogged = now, self._unlogged, 0
        kind = error.code if isinstance(error, AgentMemError) else type(error).__name__
        log.error("Memory of a wrapped client is %s: %s (%d more since the last line)", status, kind, unlogged)


def _new_session_id() -> str:
    """A UUIDv7: sessions sort by when they began."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return str(uuid.UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def _last_of_user(said: Sequence[Said]) -> int | None:
    return max((place for place, one in enumerate(said) if one.role == "user"), default=None)


def _extend(known: list[bytes], said: Sequence[Said]) -> None:
    known += [one.key for one in said]
    del known[:-_MAX_KNOWN]


def _forget(known: list[bytes], said: Sequence[Said]) -> None:
    """Take the latest occurrence of each out of what is known."""
    for one in reversed(said):
        if one.key in known:
            del known[len(known) - 1 - known[::-1].index(one.key)]
