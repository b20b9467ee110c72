"""Whose memory a call is about, and what is known of the conversation that it belongs to."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Final

from agentmem.clients.suffix import Said
from agentmem.errors import InvalidInput
from agentmem.forked import start_clean
from agentmem.records import Scope

_MAX_SESSIONS: Final = 10_000
MAX_KNOWN: Final = 1024
"""Messages of one session whose keys are kept; enough to recognise any history by its tail."""


class _Block:
    """A ``with`` block that somebody is in: which scope it is for, if it is for one."""

    def __init__(self, scope: Scope | None = None) -> None:
        self.scope = scope


_scopes: ContextVar[tuple[_Block, ...]] = ContextVar("agentmem_scopes", default=())
_private: ContextVar[tuple[_Block, ...]] = ContextVar("agentmem_private", default=())


# --- whose memory ---------------------------------------------------------------------------------


@contextmanager
def use_scope(scope: Scope) -> Iterator[Scope]:
    """Calls of wrapped clients inside the block use this scope, whatever they were wrapped with.

    Kept in a context variable: threads and asyncio tasks do not see each other's scope. Python has none for
    generators: a block around a ``yield`` also holds for whoever runs the generator, until it is left.

    Raises:
        InvalidInput: not a Scope.
    """
    with _inside(_scopes, _Block(require_scope(scope))):
        yield scope


@contextmanager
def _inside(blocks: ContextVar[tuple[_Block, ...]], block: _Block) -> Iterator[None]:
    blocks.set((*blocks.get(), block))
    try:
        yield
    finally:
        # By a token it could not be left behind a block begun later, nor in another context than it was begun in.
        blocks.set(tuple(each for each in blocks.get() if each is not block))


def require_scope(scope: object) -> Scope:
    """The scope itself, if it is one: a mistake here must not wait for the first call to show."""
    if not isinstance(scope, Scope):
        raise InvalidInput(f"scope must be a Scope, not {type(scope).__name__}.", hint='Write Scope(user="ana").')
    return scope


def current_scope() -> Scope | None:
    """The scope of the innermost ``use_scope``, or None outside of one."""
    blocks = _scopes.get()
    return blocks[-1].scope if blocks else None


@contextmanager
def private_turns() -> Iterator[None]:
    """Calls of wrapped clients inside the block use memory but are not recorded, not even when resent later.

    Not around a ``yield``, as for ``use_scope``.
    """
    with _inside(_private, _Block()):
        yield


def is_private() -> bool:
    """Whether this is inside of ``private_turns``."""
    return bool(_private.get())


# --- conversations --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Told:
    """A text for a prompt, with its tokens and the versions, by id, of what it rests on."""

    text: str = ""
    tokens: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recall:
    """What was found for a question, by the question's key."""

    question: bytes
    told: Told


@dataclass(slots=True)
class Session:
    """What is known of one conversation: its messages, what it was told, and what of it has no answer yet.

    ``given`` is the scope as the caller has it, without a session where one was made. The lock is held for no longer
    than it takes to look at these: an event loop may wait for it.
    """

    scope: Scope
    given: Scope
    is_read_back: bool
    known: list[bytes] = field(default_factory=list)
    unanswered: bytes | None = None
    """The user's last words, while the model has not answered them to the end."""
    has_private: bool = False
    is_marked: bool = False
    """The log knows that something was private."""
    recalled: Recall | None = None
    stable: Told | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def learn(self, said: Sequence[Said]) -> None:
        """Know these messages, the latest."""
        self.known += [one.key for one in said]
        del self.known[:-MAX_KNOWN]

    def unlearn(self, said: Sequence[Said]) -> None:
        """Know the latest occurrence of each no more."""
        with self.lock:
            for one in reversed(said):
                if one.key in self.known:
                    del self.known[len(self.known) - 1 - self.known[::-1].index(one.key)]


class Sessions:
    """The conversations of one wrapped client, the latest ten thousand. Thread-safe."""

    def __init__(self) -> None:
        self._sessions: OrderedDict[Scope, Session] = OrderedDict()
        start_clean(self)

    def _start_clean(self) -> None:
        self._lock = threading.Lock()
        for session in self._sessions.values():
            session.lock = threading.Lock()

    def of(self, scope: Scope) -> Session:
        """The session of the scope; without one in it, one that is made for this client."""
        with self._lock:
            session = self._sessions.pop(scope, None)
            if session is None:
                is_own = scope.session is None
                session = Session(replace(scope, session=new_session_id()) if is_own else scope, scope, is_own)
            self._sessions[scope] = session
            while len(self._sessions) > _MAX_SESSIONS:
                self._sessions.popitem(last=False)
            return session


def new_session_id() -> str:
    """A UUIDv7: sessions sort by when they began."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    return str(uuid.UUID(int=value & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))
