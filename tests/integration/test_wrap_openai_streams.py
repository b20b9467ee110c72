"""A stream of a wrapped OpenAI client that is left, forgotten or of an unknown make: recorded once, never held up."""

from __future__ import annotations

import asyncio
import gc
import itertools
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, serving
from openai_shapes import entered, pieces, settled, user

from agentmem import MemoryManager, Scope
from agentmem.clients import Prepared, WrapOptions, bridge_of
from agentmem.clients.openai import chat, streams
from agentmem.records import Memory

openai = pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')

WORDS = "one two three four five"


_numbers = itertools.count()


@pytest.fixture(scope="module")
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        server.otherwise = lambda _: Answer(WORDS)
        yield server


@pytest.fixture(scope="module")
def memory() -> Iterator[MemoryManager]:
    with MemoryManager.open("sqlite://", wrapping=WrapOptions(deadline_s=30), embedder=None, extractor=None) as memory:
        yield memory


@pytest.fixture(scope="module", autouse=True)
def _quick_garbage_collection() -> Iterator[None]:
    gc.freeze()  # everything loaded so far: collecting is what these tests do most
    yield
    gc.unfreeze()


@pytest.fixture
def ana() -> Scope:
    return Scope(user=f"ana{next(_numbers)}", session="monday")


Opened = Callable[[Any], Awaitable[Any]]


async def chat_stream(client: Any) -> Any:
    return await settled(client.chat.completions.create(model="scripted", messages=[user("Count.")], stream=True))


async def response_stream(client: Any) -> Any:
    return await settled(client.responses.create(model="scripted", input="Count.", stream=True))


async def raw_stream(client: Any) -> Any:
    completions = client.chat.completions.with_raw_response
    return (await settled(completions.create(model="scripted", messages=[user("Count.")], stream=True))).parse()


Left = Callable[[Any], Awaitable[None]]


async def read_until(stream: Any, word: str) -> None:
    async for piece in pieces(stream):
        if word in piece.model_dump_json():
            return


async def closed(stream: Any) -> None:
    await read_until(stream, "two")
    await settled(stream.close())


async def left_in_a_block(stream: Any) -> None:
    async with entered(stream):
        await read_until(stream, "two")


async def broken_out_of(stream: Any) -> None:
    await read_until(stream, "two")


async def failed_over(stream: Any) -> None:
    with suppress(ZeroDivisionError):
        async with entered(stream):
            await read_until(stream, "two")
            raise ZeroDivisionError


async def response_closed(stream: Any) -> None:
    await read_until(stream, "two")
    await settled(stream.response.aclose() if hasattr(stream, "__aiter__") else stream.response.close())


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("opened", [chat_stream, response_stream, raw_stream])
@pytest.mark.parametrize("left", [closed, left_in_a_block, broken_out_of, failed_over, response_closed])
def test_a_stream_that_is_left_is_recorded_as_far_as_it_came(
    server: OpenAIServer, memory: MemoryManager, ana: Scope, opened: Opened, left: Left, is_async: bool
) -> None:
    async def leave(client: Any) -> None:
        await left(await opened(memory.wrap(client, scope=ana)))

    run(leave, server, is_async=is_async)
    answer = eventually_answered(memory, ana)
    assert (answer.content.strip(), answer.metadata) == ("one two", {"complete": False})
    assert turns(memory, ana)[0].content == "Count."


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_a_helper_of_the_sdk_that_is_left_is_recorded_at_once(
    server: OpenAIServer, memory: MemoryManager, ana: Scope, api: str, is_async: bool
) -> None:
    async def leave(client: Any) -> Any:
        wrapped = memory.wrap(client, scope=ana)
        if api == "chat":
            manager = wrapped.chat.completions.stream(model="scripted", messages=[user("Count.")])
        else:
            manager = wrapped.responses.stream(model="scripted", input="Count.")
        async with entered(manager) as stream:
            await read_until(stream, "two")
        assert bridge_of(wrapped).flush(30)
        assert [turn.role for turn in turns(memory, ana)] == ["user", "assistant"]
        return stream

    run(leave, server, is_async=is_async)
    assert [turn.content.strip() for turn in turns(memory, ana)] == ["Count.", "one two"]


@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("opened", [chat_stream, response_stream, raw_stream])
def test_of_a_stream_that_nobody_reads_the_question_is_kept(
    server: OpenAIServer, memory: MemoryManager, ana: Scope, opened: Opened, is_async: bool
) -> None:
    async def ignore(client: Any) -> None:
        wrapped = memory.wrap(client, scope=ana)
        await opened(wrapped)
        await settled((await opened(wrapped)).close())

    run(ignore, server, is_async=is_async)
    assert [turn.content for turn in turns(memory, ana)] == ["Count."]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_read_to_its_end_and_then_closed_is_recorded_once_and_whole(
    server: OpenAIServer, memory: MemoryManager, ana: Scope, is_async: bool
) -> None:
    async def read(client: Any) -> None:
        stream = await chat_stream(memory.wrap(client, scope=ana))
        await read_until(stream, "no such word")
        await settled(stream.close())
        await settled(stream.close())

    run(read, server, is_async=is_async)
    assert [(turn.content, turn.metadata) for turn in turns(memory, ana)] == [("Count.", {}), (WORDS + " ", {})]


def test_a_task_that_is_cancelled_in_a_stream_leaves_what_came(
    server: OpenAIServer, memory: MemoryManager, ana: Scope
) -> None:
    async def cancelled(client: Any) -> None:
        async def count() -> None:
            await read_until(await chat_stream(memory.wrap(client, scope=ana)), "two")
            await asyncio.sleep(60)

        task = asyncio.create_task(count())
        await asyncio.sleep(0.5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(cancelled, server, is_async=True)
    assert eventually_answered(memory, ana).content == "one two "


# --- streams of another make ----------------------------------------------------------------------


@pytest.mark.parametrize("is_async", [False, True])
def test_a_stream_that_has_changed_inside_passes_through_and_is_said_not_to_be_recorded(
    server: OpenAIServer,
    memory: MemoryManager,
    ana: Scope,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    is_async: bool,
) -> None:
    for make in (openai.Stream, openai.AsyncStream):
        monkeypatch.setattr(make, "__init__", _renamed(make.__init__))
        monkeypatch.setattr(make, "__iter__" if make is openai.Stream else "__aiter__", lambda self: self._events)
    streams.warn_unrecorded.cache_clear()
    seen: list[Any] = []

    async def read(client: Any) -> None:
        wrapped = memory.wrap(client, scope=ana)
        for _ in range(2):
            async for piece in pieces(await chat_stream(wrapped)):
                seen.append(piece)  # noqa: PERF401  for both kinds of clients

    with caplog.at_level(logging.WARNING, "agentmem.clients"):
        run(read, server, is_async=is_async)
    assert len(seen) == 14
    assert [turn.role for turn in turns(memory, ana)] == ["user"]
    assert caplog.messages == ["Answers are not recorded: streams of this version of openai."]


def _renamed(make: Callable[..., None]) -> Callable[..., None]:
    def made(self: Any, **options: Any) -> None:
        make(self, **options)
        self._events = self.__dict__.pop("_iterator")

    return made


def test_pieces_of_an_unknown_shape_reach_the_caller(
    server: OpenAIServer, memory: MemoryManager, ana: Scope, caplog: pytest.LogCaptureFixture
) -> None:
    streams.warn_unrecorded.cache_clear()
    with openai.OpenAI(base_url=server.url, api_key="none") as client:
        bridge = bridge_of(memory.wrap(client, scope=ana, strict=True))
    recording = streams.Recording(bridge, Prepared(), chat.Chat().streamed())
    with caplog.at_level(logging.WARNING, "agentmem.clients"):
        recording.add({"choices": [{"delta": {"content": 7, "tool_calls": [{"index": {"no": "number"}}]}}]})
        recording.add(None)
    assert caplog.messages == ["Answers are not recorded: a stream with pieces of an unknown shape."]


def run(what: Callable[[Any], Awaitable[Any]], server: OpenAIServer, *, is_async: bool) -> None:
    how: dict[str, Any] = {"base_url": server.url, "api_key": "none", "max_retries": 0}

    async def on_async() -> None:
        async with openai.AsyncOpenAI(**how) as client:
            await what(client)
            gc.collect()
            await asyncio.sleep(0)  # the loop finishes what was abandoned

    if is_async:
        asyncio.run(on_async())
    else:
        with openai.OpenAI(**how) as client:
            asyncio.run(settled(what(client)))
    gc.collect()


def turns(memory: MemoryManager, ana: Scope) -> list[Memory]:
    memory.flush()
    return list(memory.list(scope=ana, kinds={"turn"}))


def eventually_answered(memory: MemoryManager, ana: Scope) -> Memory:
    deadline = time.monotonic() + 10
    while True:
        for turn in turns(memory, ana):
            if turn.role == "assistant":
                return turn
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)
