"""Memory around any function that asks a model: plain, coroutine, generator or async generator.

Messages may be worded as OpenAI's or Anthropic's API has them, or be one string; so may answers, whole or in pieces,
as mappings or as models of an SDK. What is not understood passes through and is not recorded, which is logged once.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    AsyncIterator,
    Awaitable,
    Callable,
    Generator,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import aclosing, closing
from typing import Any, Final, ParamSpec, TypeVar, cast

from agentmem.clients.anthropic.messages import fields_of, is_result, message_of, parts_of, said_in
from agentmem.clients.core import Attached, Bridge, Prepared, Said, say
from agentmem.clients.openai.api import Streamed, field, is_readable, read_messages
from agentmem.clients.openai.chat import Chat
from agentmem.clients.openai.streams import Recording, warn_unrecorded
from agentmem.context.placing import placed
from agentmem.context.rendering import without_blocks
from agentmem.errors import InvalidInput

P = ParamSpec("P")
R = TypeVar("R")

_POSITIONAL: Final = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
_CHAT: Final = Chat()


def remembering(function: Callable[P, R], bridge: Bridge, messages_arg: str) -> Callable[P, R]:
    """A function of the same kind and signature, with memory around it.

    Raises:
        InvalidInput: the function takes no argument of that name.
    """
    asking = _Asking(function, bridge, messages_arg)
    if inspect.isasyncgenfunction(function):
        made = _async_generator_function(asking)
    elif inspect.iscoroutinefunction(function):
        made = _coroutine_function(asking)
    elif inspect.isgeneratorfunction(function):
        made = _generator_function(asking)
    else:
        made = _plain_function(asking)
    wrapped: Any = functools.wraps(function)(made)
    wrapped.__agentmem__ = Attached(bridge, function)
    return cast(Callable[P, R], wrapped)


# --- one of each kind -----------------------------------------------------------------------------


def _plain_function(asking: _Asking) -> Callable[..., Any]:
    def remembering(*args: Any, **options: Any) -> Any:
        call = asking.call(args, options)
        if call is None:
            return asking.function(*args, **options)
        result = call.ask()
        if inspect.isawaitable(result):
            return _awaited(result, call)
        return call.heard(result)

    return remembering


def _coroutine_function(asking: _Asking) -> Callable[..., Any]:
    async def remembering(*args: Any, **options: Any) -> Any:
        call = asking.call(args, options)
        if call is None:
            return await asking.function(*args, **options)
        await call.bridge.aside(call.prepare)
        return await _awaited(call.ask(), call)

    return remembering


def _generator_function(asking: _Asking) -> Callable[..., Any]:
    def remembering(*args: Any, **options: Any) -> Generator[Any, Any, Any]:
        call = asking.call(args, options)
        return (yield from asking.function(*args, **options) if call is None else _each(call.ask(), call))

    return remembering


def _async_generator_function(asking: _Asking) -> Callable[..., Any]:
    async def pieces(*args: Any, **options: Any) -> AsyncGenerator[Any, Any]:
        call = asking.call(args, options)
        if call is None:
            given: AsyncGenerator[Any, Any] = asking.function(*args, **options)
            return given
        await call.bridge.aside(call.prepare)
        return await _heard_async(call.ask(), call)

    return _passing_on(pieces)


def _passing_on(begin: Callable[..., Awaitable[AsyncGenerator[Any, Any]]]) -> Callable[..., AsyncGenerator[Any, Any]]:
    """An async generator function for what ``begin`` returns: what is sent or thrown into the one goes to the other."""

    async def passing_on(*args: Any, **options: Any) -> AsyncGenerator[Any, Any]:
        pieces = await begin(*args, **options)
        async with aclosing(pieces):
            step = pieces.asend(None)
            while True:
                try:
                    piece = await step
                except StopAsyncIteration:
                    return
                try:
                    sent = yield piece
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001  the other one's to handle or to raise
                    step = pieces.athrow(error)
                else:
                    step = pieces.asend(sent)

    return passing_on


async def _awaited(result: Awaitable[Any], call: _Call) -> Any:
    answer = await result
    passing = call.passing(answer)
    return await call.bridge.aside(call.heard, answer) if passing is None else passing


# --- one call -------------------------------------------------------------------------------------


class _Asking:
    """The function, and where in its arguments the messages are."""

    def __init__(self, function: Callable[..., Any], bridge: Bridge, name: str) -> None:
        self.function = function
        self.bridge = bridge
        self._name = name
        self._place = _place_of(name, function)

    def call(self, args: tuple[Any, ...], options: Mapping[str, Any]) -> _Call | None:
        """The call with these arguments; None if there are no messages in it."""
        if self._name in options:
            given = options[self._name]
        elif self._place is not None and self._place < len(args):
            given = args[self._place]
        else:
            return None
        messages = given if isinstance(given, str) else read_messages(given)
        return None if messages is None else _Call(self, args, options, given, messages)

    def ask(self, args: tuple[Any, ...], options: Mapping[str, Any], messages: Any) -> Any:
        """The function's own result, with these messages instead of the given ones."""
        if self._name in options:
            return self.function(*args, **{**options, self._name: messages})
        place = self._place or 0
        return self.function(*args[:place], messages, *args[place + 1 :], **options)


class _Call:
    """One call of the function: prepared once, and recorded once."""

    def __init__(
        self,
        asking: _Asking,
        args: tuple[Any, ...],
        options: Mapping[str, Any],
        given: Any,
        messages: str | list[Any],
    ) -> None:
        self._asking, self._args, self._options = asking, args, options
        self._given, self._messages = given, messages
        self._prepared: Prepared | None = None
        self.pieces = _Pieces()

    @property
    def bridge(self) -> Bridge:
        return self._asking.bridge

    def prepare(self) -> Prepared:
        if self._prepared is None:
            self._prepared = self.bridge.prepare(_all_said(self._messages))
        return self._prepared

    def ask(self) -> Any:
        messages = _with_memory(self._messages, self.prepare())
        # A function may write its answer into the list it is given.
        return self._asking.ask(self._args, self._options, self._given if messages == self._given else messages)

    def heard(self, result: Any) -> Any:
        """The result, recorded; or, if it comes in pieces, what passes them on and records them in the end."""
        passing = self.passing(result)
        if passing is not None:
            return passing
        self.bridge.observe(self.prepare(), _answered(result))
        return result

    def passing(self, result: Any) -> Any:
        """What passes the pieces of a stream on and records them in the end; None if the result is no stream."""
        if inspect.isgenerator(result):
            return _each(result, self)
        if inspect.isasyncgen(result):
            return _passing_on(_heard_async)(result, self)
        is_sync, is_async = isinstance(result, Iterator), isinstance(result, AsyncIterator)
        if not (is_sync or is_async):
            return None
        kind = _Both if is_sync and is_async else _Sync if is_sync else _Async
        return kind(result, self)

    def recording(self) -> Recording:
        return Recording(self.bridge, self.prepare(), self.pieces)


def _place_of(name: str, function: Callable[..., Any]) -> int | None:
    """Where the argument stands if it is given without its name."""
    try:
        parameters = inspect.signature(function).parameters
    except (ValueError, TypeError):  # what was not written in Python may not tell
        return None
    positional = [each.name for each in parameters.values() if each.kind in _POSITIONAL]
    if name not in parameters and not any(each.kind is each.VAR_KEYWORD for each in parameters.values()):
        raise InvalidInput(
            f"{getattr(function, '__qualname__', function)} takes no {name!r}.",
            hint=f"Say with messages_arg= which holds the messages. It takes: {', '.join(parameters) or 'nothing'}.",
        )
    return positional.index(name) if name in positional else None


# --- streams --------------------------------------------------------------------------------------


def _each(pieces: Any, call: _Call) -> Generator[Any, Any, Any]:
    recording = call.recording()
    with closing(pieces):
        try:
            result = yield from _Heard(pieces, recording)
            call.pieces.end()
            recording.record(wait_for_write=True)
            return result
        finally:
            recording.record(wait_for_write=False)


class _Heard(Generator[Any, Any, Any]):
    """A generator that is heard: what is sent or thrown into it goes to the one that it hears."""

    def __init__(self, pieces: Generator[Any, Any, Any], recording: Recording) -> None:
        self._pieces, self._recording = pieces, recording

    def send(self, value: Any) -> Any:
        return self._heard(self._pieces.send(value))

    def throw(self, *error: Any) -> Any:
        return self._heard(self._pieces.throw(*error))

    def _heard(self, piece: Any) -> Any:
        self._recording.add(piece)
        return piece


async def _heard_async(pieces: AsyncGenerator[Any, Any], call: _Call) -> AsyncGenerator[Any, Any]:
    return _HeardAsync(pieces, call)


class _HeardAsync(AsyncGenerator[Any, Any]):
    """As ``_Heard``; at its end it is recorded."""

    def __init__(self, pieces: AsyncGenerator[Any, Any], call: _Call) -> None:
        self._pieces, self._call, self._recording = pieces, call, call.recording()

    async def asend(self, value: Any) -> Any:
        return await self._heard(self._pieces.asend(value))

    async def athrow(self, *error: Any) -> Any:
        return await self._heard(self._pieces.athrow(*error))

    async def aclose(self) -> None:
        try:
            await self._pieces.aclose()
        finally:
            self._recording.record(wait_for_write=False)

    async def _heard(self, step: Awaitable[Any]) -> Any:
        try:
            piece = await step
        except StopAsyncIteration:
            self._call.pieces.end()
            await self._recording.record_aside()
            raise
        self._recording.add(piece)
        return piece


class _Passing:
    """Somebody's stream, which stays what it is in every other respect."""

    def __init__(self, stream: Any, call: _Call) -> None:
        self._stream, self._pieces, self._recording = stream, call.pieces, call.recording()

    @property  # type: ignore[misc]  # isinstance() asks for it, as of a mock
    def __class__(self) -> type:
        return type(self._stream)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stream, name)
        return self._closing(found) if name in ("close", "aclose") else found

    def _closing(self, close: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(close)
        def closing(*args: Any) -> Any:
            self._recording.record(wait_for_write=False)
            return close(*args)

        return closing

    def __enter__(self) -> Any:
        self._stream.__enter__()
        return self

    def __exit__(self, *error: Any) -> Any:
        self._recording.record(wait_for_write=False)
        return self._stream.__exit__(*error)

    async def __aenter__(self) -> Any:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        self._recording.record(wait_for_write=False)
        return await self._stream.__aexit__(*error)

    def __del__(self) -> None:
        self._recording.record(wait_for_write=False)


class _Sync(_Passing):
    def __iter__(self) -> Iterator[Any]:
        return cast(Iterator[Any], self)

    def __next__(self) -> Any:
        try:
            piece = next(self._stream)
        except StopIteration:
            self._pieces.end()
            self._recording.record(wait_for_write=True)
            raise
        except BaseException:  # whatever ended it, what came until then was said; the caller gets the error itself
            self._recording.record(wait_for_write=False)
            raise
        self._recording.add(piece)
        return piece


class _Async(_Passing):
    def __aiter__(self) -> AsyncIterator[Any]:
        return cast(AsyncIterator[Any], self)

    async def __anext__(self) -> Any:
        try:
            piece = await anext(self._stream)
        except StopAsyncIteration:
            self._pieces.end()
            await self._recording.record_aside()
            raise
        except BaseException:  # as above; a cancelled task too
            self._recording.record(wait_for_write=False)
            raise
        self._recording.add(piece)
        return piece


class _Both(_Sync, _Async):
    """A stream for either kind of loop, as LiteLLM's are."""


class _Pieces(Streamed):
    """An answer in pieces: of text, OpenAI's chunks or Anthropic's events."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._chunks = _CHAT.streamed()
        self._events: list[Mapping[str, Any]] = []
        self._tells_end = False

    def add(self, piece: Any) -> None:
        if isinstance(piece, str):
            self._words.append(piece)
        elif field(piece, "choices") is not None:
            self._chunks.add(piece)
            self.is_finished, self._tells_end = self._chunks.is_finished, True
        elif isinstance(kind := field(piece, "type"), str):
            self._events.append(fields_of(piece))
            self.is_finished, self._tells_end = self.is_finished or kind == "message_stop", True
        else:
            warn_unrecorded(f"pieces of {type(piece).__qualname__}")

    def end(self) -> None:
        """Nothing more comes: of plain text only this tells that it is whole."""
        self.is_finished = self.is_finished or not self._tells_end

    def said(self) -> Iterator[Said]:
        yield from say("assistant", "".join(self._words))
        yield from self._chunks.said()
        yield from said_in(message_of(self._events)[0])


# --- messages -------------------------------------------------------------------------------------


def _all_said(messages: str | Sequence[Any]) -> Iterator[Said]:
    if isinstance(messages, str):
        return say("user", messages)
    return (said for message in messages for said in _said(message))


def _said(message: Any) -> Iterator[Said]:
    return said_in(message) if _is_anthropics(message) else _CHAT.said({"messages": [message]})


def _is_anthropics(message: Any) -> bool:
    """Whether it has the answer, or what tools were asked and said, in parts, where OpenAI's has words and fields."""
    if field(message, "role") == "assistant":
        return not isinstance(field(message, "content"), str | None) and not field(message, "tool_calls")
    return any(is_result(part) for part in parts_of(message))


def _answered(result: Any) -> Iterator[Said]:
    if isinstance(result, str):
        return say("assistant", result)
    if field(result, "choices") is not None:
        return _CHAT.answered(result)
    fields = fields_of(result)
    if "content" in fields:
        return _said({**fields, "role": "assistant"})
    if result is not None:
        warn_unrecorded(f"what a function returns as {type(result).__qualname__}")
    return iter(())


def _with_memory(messages: str | list[Any], prepared: Prepared) -> Any:
    blocks = [prepared.stable, prepared.block]
    if not any(blocks):
        return messages
    if isinstance(messages, str):
        return "\n\n".join(filter(None, [*blocks, without_blocks(messages, prepared.fences)]))
    of_user = [place for place, message in enumerate(messages) if any(said.role == "user" for said in _said(message))]
    if not all(is_readable(messages[place]) for place in of_user) or not of_user:
        return messages
    plain = [fields_of(message) if place in of_user else message for place, message in enumerate(messages)]
    return placed(plain, stable=blocks[0], volatile=blocks[1], first=of_user[0], last=of_user[-1], ours=prepared.fences)
