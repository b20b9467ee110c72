"""The shim for the ``openai`` package: OpenAI, AsyncOpenAI and what derives from them (Azure, Bedrock, your own).

Chat completions and the Responses API remember, on ``client`` and on ``client.beta``: ``create`` and ``parse``,
streamed or not, plain or through ``with_raw_response``, also by way of ``.stream()``, ``copy()`` and
``with_options()``. Calls through ``with_streaming_response`` are given what memory knows, but their answers are not
recorded (their body belongs to the caller), which is logged once. Every other resource passes through untouched.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, Final

from agentmem.clients.core import Attached, Bridge, ClientShim, Prepared
from agentmem.clients.openai.api import Api, field
from agentmem.clients.openai.chat import Chat
from agentmem.clients.openai.responses import Responses
from agentmem.clients.openai.streams import Recording, is_stream, tee, warn_unrecorded
from agentmem.errors import InvalidInput

_RAW_HEADER: Final = "x-stainless-raw-response"
"""How the SDK tells its own methods that ``with_raw_response`` ("true") or ``with_streaming_response`` called."""
_MAX_UNFINISHED: Final = 1000

__all__ = ["OpenAIShim"]


class OpenAIShim(ClientShim):
    """Patches the methods that ask a model, on a copy of an OpenAI or AsyncOpenAI client."""

    def __init__(self) -> None:
        self._unfinished: OrderedDict[str, Prepared] = OrderedDict()
        """Calls that the model answers in the background, by the id under which their answer can be retrieved."""

    def attach(self, client: Any, bridge: Bridge) -> Any:
        from openai import AsyncOpenAI, OpenAI

        if not isinstance(client, OpenAI | AsyncOpenAI):
            raise InvalidInput(f"A {type(client).__qualname__} is no client.", hint="Wrap OpenAI() or AsyncOpenAI().")
        wrapped: Any = _twin(client)
        for name in ("copy", "with_options"):
            setattr(wrapped, name, self._deriving(getattr(wrapped, name), bridge))
        for completions in (wrapped.chat.completions, wrapped.beta.chat.completions):
            self._remember(completions, ("create", "parse"), self._asking, Chat(), bridge)
        for responses in (wrapped.responses, wrapped.beta.responses):
            self._remember(responses, ("create", "parse"), self._asking, Responses(), bridge)
            self._remember(responses, ("retrieve",), self._retrieving, Responses(), bridge)
        wrapped.__agentmem__ = Attached(bridge, client)
        return wrapped

    def _deriving(self, derive: Callable[..., Any], bridge: Bridge) -> Callable[..., Any]:
        @functools.wraps(derive)
        def deriving(**options: Any) -> Any:
            return self.attach(derive(**options), bridge)

        return deriving

    def _remember(
        self, resource: Any, names: tuple[str, ...], how: Callable[..., Any], api: Api, bridge: Bridge
    ) -> None:
        for name in names:
            method = getattr(resource, name, None)  # beta.responses has no parse
            if method is not None:
                # The SDK's decorators hide that create is a coroutine function.
                is_async = inspect.iscoroutinefunction(inspect.unwrap(method))
                setattr(resource, name, functools.wraps(method)(how(method, api, bridge, is_async=is_async)))

    def _asking(self, ask: Callable[..., Any], api: Api, bridge: Bridge, *, is_async: bool) -> Callable[..., Any]:
        """``create`` or ``parse`` with memory: what it knows goes in, what is said is recorded."""

        def asking(*args: Any, **options: Any) -> Any:
            call = api.read(options)
            if call is None:
                return ask(*args, **options)
            prepared = bridge.prepare(api.said(call))
            result = ask(*args, **api.with_memory(call, prepared))
            self._heard(_answer(result, options), api, bridge, prepared)()
            return result

        async def asking_async(*args: Any, **options: Any) -> Any:
            call = api.read(options)
            if call is None:
                return await ask(*args, **options)
            prepared = await bridge.aside(bridge.prepare, api.said(call))
            result = await ask(*args, **api.with_memory(call, prepared))
            await bridge.aside(self._heard(_answer(result, options), api, bridge, prepared))
            return result

        return asking_async if is_async else asking

    def _retrieving(
        self, retrieve: Callable[..., Any], api: Api, bridge: Bridge, *, is_async: bool
    ) -> Callable[..., Any]:
        """``retrieve`` that records the answer to a call which ran in the background."""

        def heard(id: str, result: Any, options: Mapping[str, Any]) -> Callable[[], None]:
            answer = _answer(result, options)
            prepared = None if answer is None else self._unfinished.pop(id, None)
            return _nothing if prepared is None else self._heard(answer, api, bridge, prepared)

        def retrieving(response_id: str, **options: Any) -> Any:
            result = retrieve(response_id, **options)
            heard(response_id, result, options)()
            return result

        async def retrieving_async(response_id: str, **options: Any) -> Any:
            result = await retrieve(response_id, **options)
            await bridge.aside(heard(response_id, result, options))
            return result

        return retrieving_async if is_async else retrieving

    def _heard(self, answer: Any, api: Api, bridge: Bridge, prepared: Prepared) -> Callable[[], None]:
        """What is left to do for an answer: it is recorded now, at the end of its stream, or once it is retrieved."""
        if answer is None:
            return _nothing
        if is_stream(answer):
            tee(answer, Recording(bridge, prepared, api.streamed()))
            return _nothing
        if api.is_unfinished(answer):
            self._unfinished[str(field(answer, "id"))] = prepared
            while len(self._unfinished) > _MAX_UNFINISHED:
                self._unfinished.popitem(last=False)
            return _nothing
        return functools.partial(bridge.observe, prepared, api.answered(answer), complete=api.is_complete(answer))


def _nothing() -> None:
    return


def _twin(client: Any) -> Any:
    """The client once more, sharing its connections: unlike ``client.copy()`` this works for any subclass's init."""
    twin = copy.copy(client)
    for name in list(vars(twin)):
        if isinstance(getattr(type(twin), name, None), functools.cached_property):
            del vars(twin)[name]  # resources, made when first used, that belong to the original
    return twin


def _answer(result: Any, options: Mapping[str, Any]) -> Any:
    """What the model answered: the result itself, what a raw response parses to, or None if it is not ours to read."""
    headers = options.get("extra_headers") or {}
    raw = next((value for name, value in headers.items() if str(name).lower() == _RAW_HEADER), None)
    if raw is None:
        return result
    if raw == "true":
        try:
            return result.parse()  # kept by the SDK: the caller's own parse() gives the same object
        except Exception:  # noqa: BLE001  an answer that cannot be parsed is the caller's to find out
            return None
    warn_unrecorded("with_streaming_response")
    return None
