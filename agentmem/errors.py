"""Everything agentmem raises, as one tree.

    AgentMemError
    ├── ConfigError (ValueError)        a configuration that cannot be built
    ├── InvalidInput (ValueError)       an argument or a record that cannot be accepted
    ├── ScopeError                      this scope may not do that
    ├── MemoryNotFound (LookupError)    no such memory for this scope (unknown and foreign ids answer alike)
    ├── VersionConflict                 the memory changed since the version you expected
    ├── IdempotencyConflict             the same idempotency key came with other content
    ├── StoreBusy                       another writer held the database for too long
    ├── StoreFull                       the disk is full; nothing was written
    ├── SchemaTooNew                    the database was written by a newer agentmem
    ├── EmbedderMismatch                the vectors on disk come from another embedder
    ├── CorruptRecord                   a row's content no longer matches its hash
    ├── UnderHold                       a legal hold forbids forgetting this
    ├── ManagerClosed                   the manager was closed
    └── BackendError                    a backend failed; the original is its ``__cause__``
        └── RequestRejected             it is there, but will not take this very request

Every message names the thing, its place and the next step. ``code`` is stable and meant for
programs, ``hint`` is the next step alone, ``retryable`` says whether the same call may succeed later.
"""

from __future__ import annotations

from typing import ClassVar


class AgentMemError(Exception):
    """Something agentmem could not do."""

    code: ClassVar[str] = "agentmem_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message} {hint}" if hint else message)


class ConfigError(AgentMemError, ValueError):
    """A configuration that cannot be built."""

    code = "config"


class InvalidInput(AgentMemError, ValueError):
    """An argument or a record that cannot be accepted."""

    code = "invalid_input"


class ScopeError(AgentMemError):
    """This scope may not do that."""

    code = "scope"


class MemoryNotFound(AgentMemError, LookupError):
    """No such memory for this scope; an unknown id and a foreign id answer alike."""

    code = "not_found"


class VersionConflict(AgentMemError):
    """The memory changed since the version you expected."""

    code = "version_conflict"
    retryable = True


class IdempotencyConflict(AgentMemError):
    """The same idempotency key came with other content."""

    code = "idempotency_conflict"


class StoreBusy(AgentMemError):
    """Another writer held the database for too long; nothing was written."""

    code = "store_busy"
    retryable = True


class StoreFull(AgentMemError):
    """The disk is full; nothing was written."""

    code = "store_full"
    retryable = True


class SchemaTooNew(AgentMemError):
    """The database was written by a newer agentmem."""

    code = "schema_too_new"


class EmbedderMismatch(AgentMemError):
    """The vectors on disk come from another embedder."""

    code = "embedder_mismatch"


class CorruptRecord(AgentMemError):
    """A row's content no longer matches its hash."""

    code = "corrupt_record"


class UnderHold(AgentMemError):
    """A legal hold forbids forgetting this."""

    code = "under_hold"


class ManagerClosed(AgentMemError):
    """The manager was closed; open a new one."""

    code = "manager_closed"


class BackendError(AgentMemError):
    """A backend failed; the original error is ``__cause__``.

    Args:
        retry_after_s: Seconds that the backend wants to be left alone for; None if it does not say.
    """

    code = "backend"
    retryable = True

    def __init__(self, message: str, *, hint: str = "", retry_after_s: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s


class RequestRejected(BackendError):
    """The backend is there, but will not take this very request: too long, malformed, against its policy."""

    code = "request_rejected"
    retryable = False


def unknown_memory(id: str) -> MemoryNotFound:
    """The one answer for ids that never were, that are another scope's, and that are forgotten."""
    return MemoryNotFound(f"There is no memory {id!r} in this scope.", hint="list() shows the ids there are.")
