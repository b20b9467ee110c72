"""Wrap the client of a language model, so that its calls remember: ``wrap(client) -> a copy of the same type``.

    client = memory.wrap(OpenAI(), scope=Scope(user="ana"))
    client.chat.completions.create(model=…, messages=[…])

No provider's SDK is imported here; the shim of a client is found by the package that its class comes from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar
from weakref import WeakSet

from agentmem.clients.core import (
    Attached,
    Bridge,
    ClientShim,
    Prepared,
    Recorder,
    Said,
    Status,
    WrapOptions,
    current_scope,
    private_turns,
    say,
    use_scope,
)
from agentmem.clients.spill import Spill
from agentmem.errors import InvalidInput
from agentmem.ledger import Ledger
from agentmem.records import Cost, Scope

C = TypeVar("C")
P = ParamSpec("P")
R = TypeVar("R")

_warm: WeakSet[Recorder] = WeakSet()
"""Memories that were asked something already, so that wrapping another client for them costs nothing."""

__all__ = [
    "Attached",
    "Bridge",
    "ClientShim",
    "Prepared",
    "Recorder",
    "Said",
    "Status",
    "WrapOptions",
    "bridge_of",
    "current_scope",
    "memory_cost",
    "memory_status",
    "private_turns",
    "say",
    "unwrap",
    "use_scope",
    "wrap",
    "wrap_callable",
]


def wrap(
    client: C,
    *,
    memory: Recorder,
    scope: Scope | None = None,
    strict: bool = False,
    options: WrapOptions | None = None,
    spill: Spill | None = None,
    ledger: Ledger | None = None,
) -> C:
    """A copy of the client that remembers; the caller's own client is not touched.

    Before a call, what memory knows about the user's last words is put in front of them, and they are recorded;
    after it, the answer is. Trouble with memory never fails the call; ``memory_status`` tells of it.
    The first wrap of a memory may take up to a second, because it loads what the first call would have to wait for.

    Args:
        scope: Whose memory; ``use_scope`` overrides it. Without a session one is made for this wrap.
        strict: Raise what goes wrong in memory (for tests).
        spill: Where turns go that cannot be stored in time. ledger: Where costs are added up. A manager gives its own.

    Raises:
        InvalidInput: no shim is known for this kind of client, or ``scope`` is no Scope.
    """
    attached = getattr(client, "__agentmem__", None)
    if isinstance(attached, Attached):
        bridge = attached.bridge
        if (bridge.memory, bridge.scope, bridge.strict) == (memory, scope, strict):
            return client
        client = attached.original
    bridge = Bridge(memory, scope=scope, strict=strict, options=options, spill=spill, ledger=ledger)
    wrapped: C = _shim(client).attach(client, bridge)
    _warm_up(bridge)
    return wrapped


def wrap_callable(
    function: Callable[P, R],
    *,
    memory: Recorder,
    scope: Scope | None = None,
    strict: bool = False,
    messages_arg: str = "messages",
    options: WrapOptions | None = None,
    spill: Spill | None = None,
    ledger: Ledger | None = None,
) -> Callable[P, R]:
    """A function of the same signature that remembers, for whatever asks a model: ``litellm.completion``, your own.

    It may be a plain function, a coroutine function, a generator or an async generator function, and answer with a
    string, with messages as OpenAI's or Anthropic's API words them, or with a stream of pieces of either. A stream
    stays what it is, heard as it passes. A plain function that returns an awaitable waits for memory on the loop.

    Args:
        scope, strict, spill, ledger: As for ``wrap``.
        messages_arg: The argument that holds the messages, or one string that the user says.

    Raises:
        InvalidInput: the function takes no such argument.
    """
    from agentmem.clients.callable import remembering

    bridge = Bridge(memory, scope=scope, strict=strict, options=options, spill=spill, ledger=ledger)
    wrapped = remembering(unwrap(function), bridge, messages_arg)
    _warm_up(bridge)
    return wrapped


def unwrap(client: C) -> C:
    """The client that a wrapped one was made from; a client that is not wrapped is given back as it is."""
    attached = getattr(client, "__agentmem__", None)
    original: C = attached.original if isinstance(attached, Attached) else client
    return original


def bridge_of(client: object) -> Bridge:
    """The bridge of a wrapped client. Raises InvalidInput for one that is not wrapped."""
    attached = getattr(client, "__agentmem__", None)
    if not isinstance(attached, Attached):
        raise InvalidInput(f"This {type(client).__qualname__} is not wrapped.", hint="Use memory.wrap(client).")
    return attached.bridge


def memory_status(client: object) -> Status:
    """How memory fared in the last call of a wrapped client; ``off`` for one that is not wrapped."""
    attached = getattr(client, "__agentmem__", None)
    return attached.status if isinstance(attached, Attached) else "off"


def memory_cost(client: object) -> Cost:
    """What memory took of the last call of a wrapped client; nothing of one that is not wrapped."""
    attached = getattr(client, "__agentmem__", None)
    return attached.bridge.last_cost if isinstance(attached, Attached) else Cost()


def _warm_up(bridge: Bridge) -> None:
    if bridge.memory not in _warm:
        _warm.add(bridge.memory)
        bridge.warm_up()


def _shim(client: object) -> ClientShim:
    from agentmem.registry import names, resolve

    known = names("client")
    for package in (package for cls in type(client).__mro__ for package in _packages(cls)):
        if package in known:
            shim: ClientShim = resolve("client", package)()
            return shim
    if isinstance(client, type):
        raise InvalidInput(f"{client.__qualname__} is a class.", hint=f"Wrap a client: {client.__qualname__}(…).")
    kind = f"{type(client).__module__}.{type(client).__qualname__}"
    raise InvalidInput(
        f"No shim is known for a {kind}.",
        hint=f"These packages' clients can be wrapped: {', '.join(known)}. For others subclass ClientShim; "
        "for a function use wrap_callable.",
    )


def _packages(cls: type) -> Iterator[str]:
    """The packages that a class comes from, innermost first: ``google.genai`` is not all of ``google``."""
    package = cls.__module__
    while package:
        yield package
        package = package.rpartition(".")[0]
