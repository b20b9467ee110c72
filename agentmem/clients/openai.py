"""The shim for the ``openai`` package: OpenAI, AsyncOpenAI and what derives from them (Azure, compatible endpoints).

Chat completions remember: ``create`` and ``parse``, streamed or not, plain or through ``with_raw_response``, also
by way of ``.stream()``, ``copy()`` and ``with_options()``. Calls through ``with_streaming_response`` are given what
memory knows, but their answers are not recorded (their body belongs to the caller), which is logged once. The
Responses API and every other resource pass through untouched: neither read from nor recorded.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agentmem.clients.core import Attached, Bridge, ClientShim, Prepared, Said, say
from agentmem.context.rendering import without_blocks

log = logging.getLogger("agentmem.clients")

_RAW_HEADER: Final = "x-stainless-raw-response"
"""How the SDK tells its own methods that ``with_raw_response`` ("true") or ``with_streaming_response`` called."""


class OpenAIShim(ClientShim):
    """Chat completions of an OpenAI or AsyncOpenAI client, patched on a copy of it."""

    def attach(self, client: Any, bridge: Bridge) -> Any:
        def derived(**options: Any) -> Any:
            return self.attach(client.copy(**options), bridge)

        wrapped = client.copy()
        completions = wrapped.chat.completions
        for name in ("create", "parse"):
            method = getattr(completions, name)
            # The SDK's decorators hide that create is a coroutine function.
            is_async = inspect.iscoroutinefunction(inspect.unwrap(method))
            setattr(completions, name, (_remembering_async if is_async else _remembering)(method, bridge))
        wrapped.copy = wrapped.with_options = derived
        wrapped.__agentmem__ = Attached(bridge, client)
        return wrapped


# --- calls ----------------------------------------------------------------------------------------


def _remembering(call: Callable[..., Any], bridge: Bridge) -> Callable[..., Any]:
    @functools.wraps(call)
    def remembering(*args: Any, **options: Any) -> Any:
        messages = _messages(options)
        if messages is None:
            return call(*args, **options)
        prepared = bridge.prepare(_all_said(messages))
        result = call(*args, **{**options, "messages": _with_block(messages, prepared.block)})
        answer = _answer(result, options)
        if _is_stream(answer):
            _tee(answer, bridge, prepared)
        else:
            bridge.observe(prepared, _answered(answer))
        return result

    return remembering


def _remembering_async(call: Callable[..., Awaitable[Any]], bridge: Bridge) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(call)
    async def remembering(*args: Any, **options: Any) -> Any:
        messages = _messages(options)
        if messages is None:
            return await call(*args, **options)
        prepared = await _in_thread(bridge.prepare, _all_said(messages))
        result = await call(*args, **{**options, "messages": _with_block(messages, prepared.block)})
        answer = _answer(result, options)
        if _is_stream(answer):
            _tee_async(answer, bridge, prepared)
        else:
            await _in_thread(bridge.observe, prepared, _answered(answer))
        return result

    return remembering


async def _in_thread(work: Callable[..., Any], *args: Any) -> Any:
    import anyio.to_thread  # the SDK's own; it runs under asyncio and trio, and carries context variables along

    return await anyio.to_thread.run_sync(work, *args)


def _messages(options: Mapping[str, Any]) -> list[Any] | None:
    """The call's messages, read once because an iterator can be; None if there are none to work with."""
    messages = options.get("messages")
    if not isinstance(messages, Iterable) or isinstance(messages, str | Mapping):
        return None
    return [_with_content_read(message) for message in messages]


def _with_content_read(message: Any) -> Any:
    content = message.get("content") if isinstance(message, Mapping) else None
    return {**message, "content": list(content)} if isinstance(content, Iterator) else message


def _with_block(messages: Sequence[Any], block: str) -> Sequence[Any]:
    """The messages with the block in front of the user's last words; the caller's own are not changed."""
    if not block:
        return messages
    place = max(place for place, message in enumerate(messages) if _fields(message).get("role") == "user")
    message = _fields(messages[place])
    content = message.get("content")
    if isinstance(content, str):
        # Text stays text: some compatible endpoints take no parts.
        content = f"{block}\n\n{without_blocks(content)}"
    else:
        content = [{"type": "text", "text": block}, *(part for part in content or () if not _is_own_block(part))]
    return [*messages[:place], {**message, "content": content}, *messages[place + 1 :]]


def _is_own_block(part: Any) -> bool:
    text = _fields(part).get("text")
    return isinstance(text, str) and text != "" and not without_blocks(text)


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
    _warn_unrecorded("with_streaming_response")
    return None


@functools.cache
def _warn_unrecorded(way: str) -> None:
    log.warning("Answers to calls through %s are not recorded.", way)


# --- streams --------------------------------------------------------------------------------------


def _is_stream(answer: Any) -> bool:
    return hasattr(answer, "_iterator") and hasattr(answer, "close")


class _Streamed:
    """The answer so far, put together from chunks; recorded once, when the stream ends or is left."""

    def __init__(self) -> None:
        self.is_recorded = False
        self.is_finished = False
        """The model said why it stopped; a connection that was cut may end without an error."""
        self._text: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Any) -> None:
        for choice in _fields(chunk).get("choices") or ():
            if choice.get("index", 0) == 0:
                self._add_delta(choice.get("delta") or {})
                self.is_finished = self.is_finished or choice.get("finish_reason") is not None

    def _add_delta(self, delta: Mapping[str, Any]) -> None:
        self._text.append(delta.get("content") or delta.get("refusal") or "")
        for piece in delta.get("tool_calls") or ():
            call = self._calls.setdefault(piece.get("index", 0), {"id": None, "function": {}})
            call["id"] = piece.get("id") or call["id"]
            for part, text in (piece.get("function") or {}).items():
                call["function"][part] = call["function"].get(part, "") + (text or "")

    def said(self) -> Iterator[Said]:
        return _said({"role": "assistant", "content": "".join(self._text), "tool_calls": list(self._calls.values())})


def _tee(stream: Any, bridge: Bridge, prepared: Prepared) -> None:
    """Let the stream pass chunk by chunk and record what came: at its end, on an error, when closed or abandoned."""
    streamed = _Streamed()
    chunks, close = stream._iterator, stream.close

    def record(*, complete: bool) -> None:
        if not streamed.is_recorded:
            streamed.is_recorded = True
            bridge.observe(prepared, streamed.said(), complete=complete, wait_for_write=complete)

    def passing() -> Iterator[Any]:
        try:
            for chunk in chunks:
                streamed.add(chunk)
                yield chunk
            record(complete=streamed.is_finished)
        finally:
            record(complete=False)

    def closing() -> None:
        record(complete=False)
        close()

    stream._iterator, stream.close = passing(), closing


def _tee_async(stream: Any, bridge: Bridge, prepared: Prepared) -> None:
    """As ``_tee``, for an AsyncStream; what broke off is recorded without holding up the loop."""
    streamed = _Streamed()
    chunks, close = stream._iterator, stream.close

    def broken_off() -> None:
        if not streamed.is_recorded:
            streamed.is_recorded = True
            bridge.observe(prepared, streamed.said(), complete=False, wait_for_write=False)

    async def passing() -> AsyncIterator[Any]:
        try:
            async for chunk in chunks:
                streamed.add(chunk)
                yield chunk
            if streamed.is_finished:
                streamed.is_recorded = True
                await _in_thread(bridge.observe, prepared, streamed.said())
        finally:
            broken_off()

    async def closing() -> None:
        broken_off()
        await close()

    stream._iterator, stream.close = passing(), closing


# --- messages -------------------------------------------------------------------------------------


def _all_said(messages: Iterable[Any]) -> Iterator[Said]:
    return (said for message in messages for said in _said(_fields(message)))


def _answered(completion: Any) -> Iterator[Said]:
    choices = getattr(completion, "choices", None) or ()
    return (said for choice in choices[:1] for said in _said(_fields(choice.message)))


def _said(message: Mapping[str, Any]) -> Iterator[Said]:
    """What memory keeps of one message: the system's words never, a tool's and calls of tools verbatim as ``tool``."""
    role = message.get("role")
    name = message.get("name")
    text = _text(message.get("content"))
    if role == "user":
        yield from say("user", text, name if isinstance(name, str) and name else None)
    elif role in ("tool", "function"):
        yield from say("tool", text)
    elif role == "assistant":
        audio = _fields(message.get("audio"))
        yield from say("assistant", text or message.get("refusal") or audio.get("transcript") or "")
        for call in message.get("tool_calls") or ():
            yield from say("tool", _call_text(_fields(call)), is_call=True)


def _call_text(call: Mapping[str, Any]) -> str:
    used = _fields(call.get("function") or call.get("custom"))
    what = {"call": used.get("name"), "arguments": used.get("arguments", used.get("input")), "id": call.get("id")}
    return json.dumps(what, ensure_ascii=False)


def _text(content: Any) -> str:
    if isinstance(content, str):
        return without_blocks(content)
    return "\n".join(filter(None, (_part_text(_fields(part)) for part in content or ())))


def _part_text(part: Mapping[str, Any]) -> str:
    """A part's words, or in brackets what it is: ``[image_url]``."""
    text = part.get("text") or part.get("refusal")
    return without_blocks(text) if isinstance(text, str) else f"[{part.get('type', 'part')}]"


def _fields(message: Any) -> Mapping[str, Any]:
    """A message given as a mapping or as one of the SDK's models, as a mapping; anything else has no fields."""
    if isinstance(message, Mapping):
        return message
    if hasattr(message, "model_dump"):
        fields: dict[str, Any] = message.model_dump(exclude_unset=True, warnings=False)
        return fields
    return {}
