"""The shim for the ``google-genai`` package: ``google.genai.Client`` and its ``aio``, for Gemini and Vertex AI.

``models.generate_content`` and ``generate_content_stream`` remember, sync and async, and chats by way of them. What
the SDK's automatic function calling does in between is recorded with the answer. ``live``, ``interactions``,
``batches`` and every other resource pass through untouched.
"""

from __future__ import annotations

import copy
import functools
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Mapping, Sequence
from contextlib import aclosing, closing
from itertools import groupby, takewhile
from typing import Any

from google.genai import Client, types
from google.genai._transformers import t_contents
from google.genai.client import AsyncClient

from agentmem.clients.core import Attached, Bridge, ClientShim, Prepared, Said, say
from agentmem.context.rendering import without_blocks
from agentmem.errors import InvalidInput


class GoogleShim(ClientShim):
    """Patches the models of a copy of a Client, or of an AsyncClient by itself."""

    def attach(self, client: Any, bridge: Bridge) -> Any:
        if not isinstance(client, Client | AsyncClient):
            raise InvalidInput(f"A {type(client).__qualname__} asks no model.", hint="Wrap google.genai.Client().")
        wrapped: Any = copy.copy(client)
        if isinstance(client, Client):
            wrapped._models = copy.copy(client.models)
            wrapped._models.generate_content = _remembering(client.models.generate_content, bridge)
            wrapped._models.generate_content_stream = _remembering_stream(client.models.generate_content_stream, bridge)
            wrapped._aio = self.attach(client.aio, bridge)
            wrapped.close = functools.partial(_close, client)
        else:
            wrapped._models = copy.copy(client.models)
            wrapped._models.generate_content = _remembering_async(client.models.generate_content, bridge)
            wrapped._models.generate_content_stream = _remembering_async_stream(
                client.models.generate_content_stream, bridge
            )
        wrapped.__agentmem__ = Attached(bridge, client)
        return wrapped


def _close(client: Client) -> None:
    # A Client that is dropped closes its connections, which a copy shares with the caller's own.
    if sys._getframe(1).f_code.co_name != "__del__":
        client.close()


# --- calls ----------------------------------------------------------------------------------------


def _remembering(call: Callable[..., Any], bridge: Bridge) -> Callable[..., Any]:
    @functools.wraps(call)
    def remembering(**options: Any) -> Any:
        asked = _Asked.by(options, bridge)
        if asked is None:
            return call(**options)
        response = call(**asked.prepared())
        asked.hear(response)
        asked.record(waits=True)
        return response

    return remembering


def _remembering_stream(call: Callable[..., Iterator[Any]], bridge: Bridge) -> Callable[..., Iterator[Any]]:
    @functools.wraps(call)
    def remembering(**options: Any) -> Iterator[Any]:
        asked = _Asked.by(options, bridge)
        if asked is None:
            yield from call(**options)
            return
        with closing(call(**asked.prepared())) as chunks:  # type: ignore[type-var]  # it is a generator
            try:
                for chunk in chunks:
                    asked.hear(chunk)
                    yield chunk
                asked.record(waits=True)
            finally:
                asked.record(waits=False)

    return remembering


def _remembering_async(call: Callable[..., Awaitable[Any]], bridge: Bridge) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(call)
    async def remembering(**options: Any) -> Any:
        asked = _Asked.by(options, bridge)
        if asked is None:
            return await call(**options)
        response = await call(**await bridge.aside(asked.prepared))
        asked.hear(response)
        await bridge.aside(asked.record)
        return response

    return remembering


def _remembering_async_stream(
    call: Callable[..., Awaitable[AsyncIterator[Any]]], bridge: Bridge
) -> Callable[..., Awaitable[AsyncIterator[Any]]]:
    @functools.wraps(call)
    async def remembering(**options: Any) -> AsyncIterator[Any]:
        asked = _Asked.by(options, bridge)
        if asked is None:
            return await call(**options)
        return _passing(asked, call, bridge)

    return remembering


async def _passing(
    asked: _Asked, call: Callable[..., Awaitable[AsyncIterator[Any]]], bridge: Bridge
) -> AsyncIterator[Any]:
    chunks: Any = await call(**await bridge.aside(asked.prepared))
    async with aclosing(chunks):
        try:
            async for chunk in chunks:
                asked.hear(chunk)
                yield chunk
            await bridge.aside(asked.record)
        finally:
            asked.record(waits=False)


class _Asked:
    """One call: what was asked, and what was answered so far."""

    @classmethod
    def by(cls, options: Mapping[str, Any], bridge: Bridge) -> _Asked | None:
        """The call with these options; None if they hold nothing that could be asked, which the SDK will tell."""
        try:
            return cls(options, t_contents(options.get("contents")), bridge)
        except Exception:  # noqa: BLE001  contents may be anything; the SDK refuses them in its own words
            return None

    def __init__(self, options: Mapping[str, Any], contents: Sequence[types.Content], bridge: Bridge) -> None:
        self._options = options
        self._contents = contents
        self._bridge = bridge
        self._call = Prepared()
        self._is_recorded = False
        self._is_finished = False
        """The model said why it stopped; a connection that was cut may end without an error."""
        self._done: Sequence[types.Content] = ()
        """What the SDK said for the application in between: calls of functions and their results."""
        self._parts: list[types.Part] = []

    def prepared(self) -> Mapping[str, Any]:
        """The options of the call, with what memory knows."""
        self._call = self._bridge.prepare(said for content in self._contents for said in _said(content))
        return {**self._options, "contents": self._with_memory()}

    def hear(self, response: Any) -> None:
        """A whole response, or one chunk of it."""
        history = getattr(response, "automatic_function_calling_history", None) or []
        # The SDK gives back what it was given; the caller did not say what memory put in.
        history[: len(self._contents)] = self._contents[: len(history)]
        done = history[len(self._contents) :]
        if len(done) > len(self._done):
            self._done, self._parts = done, []
        for candidate in (getattr(response, "candidates", None) or ())[:1]:
            self._parts += (candidate.content and candidate.content.parts) or ()
            self._is_finished = candidate.finish_reason is not None

    def record(self, *, waits: bool = True) -> None:
        if self._is_recorded:
            return
        self._is_recorded = True
        heard = [*self._done, types.ModelContent(parts=list(self._parts))] if self._parts else self._done
        self._bridge.observe(
            self._call,
            (said for content in heard for said in _said(content)),
            complete=self._is_finished,
            wait_for_write=waits and self._is_finished,
        )

    def _with_memory(self) -> Any:
        if not (self._call.stable or self._call.block):
            return self._options["contents"]
        contents = list(self._contents)
        of_user = [place for place, content in enumerate(contents) if any(one.role == "user" for one in _said(content))]
        for place in dict.fromkeys(of_user[:1] + of_user[-1:]):
            texts = (self._call.stable, of_user[0]), (self._call.block, of_user[-1])
            block = "\n\n".join(text for text, at in texts if text and at == place)
            contents[place] = _in_front(contents[place], block, self._call.fences)
        return contents


def _in_front(content: types.Content, block: str, ours: Container[str]) -> types.Content:
    """The content with the block before the user's words, and without the blocks of an earlier call."""
    parts = [part for part in content.parts or () if not (part.text and not without_blocks(part.text, ours))]
    if block:
        parts.insert(len(list(takewhile(lambda part: part.function_response, parts))), types.Part(text=block))
    return content.model_copy(update={"parts": parts})


# --- what is said ---------------------------------------------------------------------------------


def _said(content: types.Content) -> Iterator[Said]:
    """What memory keeps of one content: a tool's words and calls of tools verbatim as ``tool``."""
    is_model = content.role == "model"
    parts = [part for part in content.parts or () if not part.thought]
    for is_tools, run in groupby(parts, key=_is_of_tool):
        if is_tools:
            yield from (said for part in run for said in _of_tool(part))
        elif is_model:
            yield from say("assistant", "".join(map(_part_text, run)))
        else:
            yield from say("user", "\n".join(filter(None, map(_part_text, run))))


def _is_of_tool(part: types.Part) -> bool:
    return bool(
        part.function_call
        or part.function_response
        or part.tool_call
        or part.tool_response
        or part.executable_code
        or part.code_execution_result
    )


def _of_tool(part: types.Part) -> Iterator[Said]:
    if call := part.function_call:
        yield from say("tool", _call_text(call.name, call.args, call.id), is_call=True)
    elif tool := part.tool_call:
        yield from say("tool", _call_text(tool.tool_type, tool.args, tool.id), is_call=True)
    elif code := part.executable_code:
        yield from say("tool", _call_text("code_execution", code.code, code.id), is_call=True)
    elif response := part.function_response or part.tool_response:
        yield from say("tool", json.dumps(response.response, ensure_ascii=False, default=str))
    elif result := part.code_execution_result:
        yield from say("tool", result.output or "")


def _call_text(name: str | None, arguments: Any, id: str | None) -> str:
    return json.dumps({"call": name, "arguments": arguments, "id": id}, ensure_ascii=False, default=str)


def _part_text(part: types.Part) -> str:
    """A part's words, or in brackets what it is: ``[image]``."""
    if part.text is not None:
        return part.text
    data = part.inline_data or part.file_data
    if data is None:
        return ""
    kind = (data.mime_type or "").partition("/")[0]
    return f"[{kind if kind in ('image', 'audio', 'video') else 'file'}]"
