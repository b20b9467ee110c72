"""Every way to ask a model through the openai SDK, written once for the sync and the async client.

A shape notes in ``seen`` what the caller gets piece by piece and returns what the call comes to.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pydantic

MODEL: Final = "scripted"
ASKED: Final = "What is my name?"
TOOLS: Final = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
IMAGE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


class Name(pydantic.BaseModel):
    name: str


Call = Callable[[Any, list[Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Shape:
    """One way to ask.

    Args:
        records: Whether the answer is recorded; the question always is.
        streams: Whether the answer comes piece by piece.
        parses: Whether the answer has to be a JSON object with a name.
    """

    call: Call
    records: bool = True
    streams: bool = False
    parses: bool = False

    @property
    def name(self) -> str:
        return self.call.__name__


SHAPES: Final[list[Shape]] = []


def shape(*, records: bool = True, streams: bool = False, parses: bool = False) -> Callable[[Call], Call]:
    def noted(call: Call) -> Call:
        SHAPES.append(Shape(call, records, streams, parses))
        return call

    return noted


async def settled(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def pieces(stream: Any) -> AsyncIterator[Any]:
    if hasattr(stream, "__aiter__"):
        async for piece in stream:
            yield piece
    else:
        for piece in stream:
            yield piece


@asynccontextmanager
async def entered(manager: Any) -> AsyncIterator[Any]:
    if hasattr(manager, "__aenter__"):
        async with manager as inside:
            yield inside
    else:
        with manager as inside:
            yield inside


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


async def read(stream: Any, seen: list[Any]) -> Any:
    async for piece in pieces(stream):
        seen.append(piece)  # noqa: PERF401  what came before an error counts
    return type(stream)


HISTORY: Final[list[Any]] = [
    {"role": "system", "content": "Be brief."},
    user("Hello."),
    {"role": "assistant", "content": "Hello!"},
    user(ASKED),
]

# --- chat completions -----------------------------------------------------------------------------


@shape()
async def chat_create(client: Any, seen: list[Any]) -> Any:
    return await settled(client.chat.completions.create(model=MODEL, messages=HISTORY, temperature=0.5))


@shape()
async def chat_create_several(client: Any, seen: list[Any]) -> Any:
    return await settled(client.chat.completions.create(model=MODEL, messages=[user(ASKED)], n=3))


@shape()
async def chat_create_with_tools(client: Any, seen: list[Any]) -> Any:
    messages = [user([IMAGE, {"type": "text", "text": "Hello."}]), user([{"type": "text", "text": ASKED}])]
    return await settled(client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS))


@shape()
async def chat_create_from_models_and_iterators(client: Any, seen: list[Any]) -> Any:
    from openai.types.chat import ChatCompletionMessage

    answer = ChatCompletionMessage(role="assistant", content="Hello!")
    messages: Iterator[Any] = iter([user(iter([{"type": "text", "text": "Hello."}])), answer, user(ASKED)])
    return await settled(client.chat.completions.create(model=MODEL, messages=messages))


@shape(streams=True)
async def chat_create_streamed(client: Any, seen: list[Any]) -> Any:
    return await read(await settled(client.chat.completions.create(model=MODEL, messages=HISTORY, stream=True)), seen)


@shape(streams=True)
async def chat_create_several_streamed(client: Any, seen: list[Any]) -> Any:
    asked = client.chat.completions.create(model=MODEL, messages=[user(ASKED)], stream=True, n=2)
    return await read(await settled(asked), seen)


@shape(streams=True)
async def chat_create_streamed_in_a_block(client: Any, seen: list[Any]) -> Any:
    asked = client.chat.completions.create(model=MODEL, messages=[user(ASKED)], stream=True)
    async with entered(await settled(asked)) as stream:
        return await read(stream, seen)


@shape(parses=True)
async def chat_parse(client: Any, seen: list[Any]) -> Any:
    return await settled(client.chat.completions.parse(model=MODEL, messages=HISTORY, response_format=Name))


@shape(streams=True)
async def chat_stream(client: Any, seen: list[Any]) -> Any:
    async with entered(client.chat.completions.stream(model=MODEL, messages=HISTORY)) as stream:
        await read(stream, seen)
        return await settled(stream.get_final_completion())


@shape(streams=True, parses=True)
async def chat_stream_parsed(client: Any, seen: list[Any]) -> Any:
    asked = client.chat.completions.stream(model=MODEL, messages=HISTORY, response_format=Name)
    async with entered(asked) as stream:
        await read(stream, seen)
        return await settled(stream.get_final_completion())


@shape()
async def chat_raw(client: Any, seen: list[Any]) -> Any:
    return await settled(client.chat.completions.with_raw_response.create(model=MODEL, messages=HISTORY))


@shape()
async def chat_raw_by_the_client(client: Any, seen: list[Any]) -> Any:
    return await settled(client.with_raw_response.chat.completions.create(model=MODEL, messages=HISTORY))


@shape(parses=True)
async def chat_raw_parse(client: Any, seen: list[Any]) -> Any:
    completions = client.chat.completions.with_raw_response
    return await settled(completions.parse(model=MODEL, messages=HISTORY, response_format=Name))


@shape(streams=True)
async def chat_raw_streamed(client: Any, seen: list[Any]) -> Any:
    completions = client.chat.completions.with_raw_response
    raw = await settled(completions.create(model=MODEL, messages=HISTORY, stream=True))
    return raw.status_code, raw.headers["x-request-id"], await read(raw.parse(), seen)


@shape(records=False)
async def chat_streaming_response(client: Any, seen: list[Any]) -> Any:
    completions = client.chat.completions.with_streaming_response
    async with entered(completions.create(model=MODEL, messages=HISTORY)) as response:
        return response.status_code, await settled(response.parse())


@shape(records=False)
async def chat_streaming_response_line_by_line(client: Any, seen: list[Any]) -> Any:
    completions = client.chat.completions.with_streaming_response
    async with entered(completions.create(model=MODEL, messages=HISTORY, stream=True)) as response:
        return await read(response.iter_lines(), seen)


@shape()
async def chat_with_options(client: Any, seen: list[Any]) -> Any:
    derived = client.with_options(default_headers={"x-ours": "1"}).copy(project="ours")
    return await settled(derived.chat.completions.create(model=MODEL, messages=HISTORY))


@shape()
async def chat_of_beta(client: Any, seen: list[Any]) -> Any:
    return await settled(client.beta.chat.completions.create(model=MODEL, messages=HISTORY))


# --- responses ------------------------------------------------------------------------------------

ITEMS: Final[list[Any]] = [
    {"role": "developer", "content": "Be brief."},
    user("Hello."),
    {"id": "rs_1", "type": "reasoning", "summary": []},
    {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "status": "completed",
        "content": [{"type": "output_text", "text": "Hello!", "annotations": []}],
    },
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}]},
]


@shape()
async def responses_create(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.create(model=MODEL, input=ASKED, instructions="Be brief."))


@shape()
async def responses_create_from_items(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.create(model=MODEL, input=ITEMS, store=False))


@shape()
async def responses_create_after_another(client: Any, seen: list[Any]) -> Any:
    asked = client.responses.create(model=MODEL, input=ASKED, previous_response_id="resp_0", instructions="Be brief.")
    return await settled(asked)


@shape()
async def responses_create_in_a_conversation(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.create(model=MODEL, input=[user(ASKED)], conversation={"id": "conv_1"}))


@shape()
async def responses_create_from_a_template(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.create(prompt={"id": "pmpt_1", "variables": {"a": "b"}}, input=ASKED))


@shape()
async def responses_create_in_the_background(client: Any, seen: list[Any]) -> Any:
    queued = await settled(client.responses.create(model=MODEL, input=ASKED, background=True))
    return queued, await settled(client.responses.retrieve(queued.id))


@shape(streams=True)
async def responses_create_streamed(client: Any, seen: list[Any]) -> Any:
    return await read(await settled(client.responses.create(model=MODEL, input=ITEMS, stream=True)), seen)


@shape(parses=True)
async def responses_parse(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.parse(model=MODEL, input=ASKED, text_format=Name))


@shape(streams=True)
async def responses_stream(client: Any, seen: list[Any]) -> Any:
    async with entered(client.responses.stream(model=MODEL, input=ITEMS)) as stream:
        await read(stream, seen)
        return await settled(stream.get_final_response())


@shape()
async def responses_raw(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.with_raw_response.create(model=MODEL, input=ASKED))


@shape(parses=True)
async def responses_raw_parse(client: Any, seen: list[Any]) -> Any:
    return await settled(client.responses.with_raw_response.parse(model=MODEL, input=ASKED, text_format=Name))


@shape(streams=True)
async def responses_raw_streamed(client: Any, seen: list[Any]) -> Any:
    raw = await settled(client.responses.with_raw_response.create(model=MODEL, input=ASKED, stream=True))
    return raw.status_code, await read(raw.parse(), seen)


@shape(records=False)
async def responses_streaming_response(client: Any, seen: list[Any]) -> Any:
    async with entered(client.responses.with_streaming_response.create(model=MODEL, input=ASKED)) as response:
        return response.status_code, await settled(response.parse())


@shape()
async def responses_of_beta(client: Any, seen: list[Any]) -> Any:
    return await settled(client.beta.responses.create(model=MODEL, input=ASKED))


@shape(streams=True)
async def responses_with_options_streamed(client: Any, seen: list[Any]) -> Any:
    asked = client.with_options(project="ours").responses.create(model=MODEL, input=ASKED, stream=True)
    return await read(await settled(asked), seen)
