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
from agentmem.records import Scope

_MAX_SESSIONS: Final = 10_000
MAX_KNOWN: Final = 1024
"""Messages of one session whose keys are kept; enough to recognise any history by its tail."""

_scope: ContextVar[Scope | None] = ContextVar("agentmem_scope", default=None)
_private: ContextVar[bool] = ContextVar("agentmem_private", default=False)


# --- whose memory ---------------------------------------------------------------------------------


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


def is_private() -> bool:
    """Whether this is inside of ``private_turns``."""
    return _private.get()


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
    """What is known of one conversation: its messages, what it was told, and whether its last call was answered.

    ``given`` is the scope as the caller has it, without a session where one was made.
    """

    scope: Scope
    given: Scope
    is_read_back: bool
    known: list[bytes] = field(default_factory=list)
    answered: bool = True
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
        self._lock = threading.Lock()

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
