"""The shim for the ``anthropic`` package: Anthropic, AsyncAnthropic and their like for Bedrock, Vertex and others.

The SDK has an official place for this, middleware, which every call of the Messages API passes through: ``create``,
``parse`` and ``stream``, plain, streamed, raw or with a streaming response, of ``messages`` and ``beta.messages``,
tool runners included. Ours goes first in the chain, so that what it sees is what the caller said and is told, whatever
other middleware makes of it. Everything else, counting tokens and batches too, passes through untouched.
"""

from __future__ import annotations

import inspect
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from agentmem.clients.anthropic.messages import is_prefill, said_in
from agentmem.clients.core import Attached, Bridge, ClientShim, Prepared
from agentmem.context.placing import placed
from agentmem.errors import InvalidInput
from agentmem.forked import start_clean

if TYPE_CHECKING:
    from agentmem.clients.anthropic.bodies import Answer

_PATH: Final = "/v1/messages"
_MAX_UNDER_WAY: Final = 1000

__all__ = ["AnthropicShim"]


class AnthropicShim(ClientShim):
    """Puts middleware in front of a copy of the client."""

    def attach(self, client: Any, bridge: Bridge) -> Any:
        if not hasattr(client, "middleware"):
            raise InvalidInput("This version of anthropic knows no middleware.", hint="pip install 'anthropic>=2'.")
        middleware = _Middleware(bridge, client)
        try:
            wrapped = client.copy(middleware=[middleware.entry, *client.middleware])
        except TypeError as error:
            raise InvalidInput(
                f"A {type(client).__qualname__} cannot be copied: {error}",
                hint="copy() calls the class again: its __init__ must take what the SDK's own takes.",
            ) from error

        def derived(**options: Any) -> Any:
            if isinstance(options.get("middleware"), Iterable):
                options["middleware"] = [entry for entry in options["middleware"] if entry != middleware.entry]
            return self.attach(client.copy(**options), bridge)

        wrapped.copy = wrapped.with_options = derived
        wrapped.__agentmem__ = Attached(bridge, client)
        return wrapped


class _Middleware:
    """Memory around every HTTP attempt to ask the model: recalled and recorded once, however often it is retried."""

    def __init__(self, bridge: Bridge, client: Any) -> None:
        self.entry = self.handle_async if inspect.iscoroutinefunction(client.close) else self.handle
        self._bridge = bridge
        self._client = client
        self._under_way: OrderedDict[str, Prepared] = OrderedDict()
        """Calls not answered yet, by the key that the SDK gives to all attempts of one call."""
        start_clean(self)

    def _start_clean(self) -> None:
        self._lock = threading.Lock()

    def handle(self, request: Any, call_next: Callable[[Any], Any]) -> Any:
        if not _asks_model(request):
            return call_next(request)
        from agentmem.clients.anthropic.bodies import hear

        prepared = self._prepare(request)
        response = call_next(_with_memory(request, prepared))
        if _is_answered(response):
            hear(response, self._answer(request, prepared))
        return response

    async def handle_async(self, request: Any, call_next: Callable[[Any], Awaitable[Any]]) -> Any:
        if not _asks_model(request):
            return await call_next(request)
        from agentmem.clients.anthropic.bodies import hear_async

        prepared = await self._bridge.aside(self._prepare, request)
        response = await call_next(_with_memory(request, prepared))
        if _is_answered(response):
            await hear_async(response, self._answer(request, prepared))
        return response

    def _prepare(self, request: Any) -> Prepared:
        key = request.options.idempotency_key
        with self._lock:
            prepared = self._under_way.pop(key, None)
        if prepared is None:
            messages, _ = _split(request)
            prepared = self._bridge.prepare(said for message in messages for said in said_in(message))
        if key is not None:
            with self._lock:
                self._under_way[key] = prepared
                while len(self._under_way) > _MAX_UNDER_WAY:
                    self._under_way.popitem(last=False)
        return prepared

    def _answer(self, request: Any, prepared: Prepared) -> Answer:
        with self._lock:
            self._under_way.pop(request.options.idempotency_key, None)
        from agentmem.clients.anthropic.bodies import Answer

        _, prefill = _split(request)
        decoder = self._client._make_sse_decoder() if request.stream else None
        return Answer(self._bridge, prepared, prefill, decoder)


def _asks_model(request: Any) -> bool:
    return (
        request.url.partition("?")[0] == _PATH
        and isinstance(request.json, Mapping)
        and isinstance(request.json.get("messages"), list)
    )


def _split(request: Any) -> tuple[Sequence[Any], Any]:
    """The messages before the model's answer, and the message that begins its answer for it, or None."""
    messages = request.json["messages"]
    return (messages[:-1], messages[-1]) if messages and is_prefill(messages[-1]) else (messages, None)


def _with_memory(request: Any, prepared: Prepared) -> Any:
    """The request with what memory knows in front of the user's words; the caller's own is not changed."""
    if not (prepared.stable or prepared.block) or _is_continued(request):
        return request
    messages = request.json["messages"]
    of_user = [place for place, message in enumerate(messages) if any(said.role == "user" for said in said_in(message))]
    if not of_user:
        return request
    told = placed(
        messages,
        stable=prepared.stable,
        volatile=prepared.block,
        first=of_user[0],
        last=of_user[-1],
        ours=prepared.fences,
    )
    return request.copy(body={**request.json, "messages": told})


def _is_continued(request: Any) -> bool:
    """Whether the provider keeps the conversation so far: what goes in there cannot be taken back, nor be forgotten."""
    thread = request.json.get("thread")
    return isinstance(thread, Mapping) and thread.get("type") == "continue"


def _is_answered(response: Any) -> bool:
    """Whether the model answered; other middleware may give an answer that came from elsewhere."""
    http = getattr(response, "http_response", None)
    return http is None or bool(http.is_success)
