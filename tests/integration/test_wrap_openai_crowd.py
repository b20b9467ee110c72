"""Many people at once, in the tasks of one event loop and in threads: nobody's words or memories reach another."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import defaultdict
from typing import Any

import pytest

from agentmem import MemoryManager, Scope, Turn, use_scope
from agentmem.clients import WrapOptions

openai = pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')
httpx2 = pytest.importorskip("httpx2")

PATIENT = WrapOptions(deadline_s=30, write_deadline_s=30)
THINGS = ["lamp", "rope", "violin", "map", "spoon", "kite", "clock"]
PEOPLE = [f"person{number}" for number in range(20)]


class Provider:
    """Answers with who asked what; notes for each asker who is named in the prompts."""

    def __init__(self) -> None:
        self.shown: dict[str, set[str]] = defaultdict(set)
        self.helped = 0

    def answer(self, request: Any) -> Any:
        body = json.loads(request.content)
        given = body.get("input") or body["messages"][-1]["content"]
        number, asker = re.findall(r"box (\d+), asks (person\d+)", given.rpartition("\n\n")[2])[0]
        self.shown[asker] |= set(re.findall(r"(person\d+)", given))
        self.helped += f"In box {number} {asker} keeps" in given
        return httpx2.Response(200, **_answered(body, f"{asker} was told {number}"))

    async def answer_async(self, request: Any) -> Any:
        await asyncio.sleep(0)
        return self.answer(request)


def _answered(body: dict[str, Any], text: str) -> dict[str, Any]:
    if "input" in body:
        part = {"type": "output_text", "text": text, "annotations": []}
        item = {"id": "m", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
        return {"json": {"id": "r", "object": "response", "status": "completed", "output": [item]}}
    if not body.get("stream"):
        return {"json": {"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]}}
    deltas = [{"content": word} for word in re.findall(r"\S+\s?", text)]
    pieces = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    pieces.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    sent = "".join(f"data: {json.dumps(piece)}\n\n" for piece in pieces) + "data: [DONE]\n\n"
    return {"content": sent.encode(), "headers": {"content-type": "text/event-stream"}}


def asked(person: str, number: int) -> str:
    return f"What is in box {number}, asks {person}?"


def talk(client: Any, person: str, numbers: range) -> None:
    with use_scope(Scope(user=person, session="now")):
        for number in numbers:
            words = asked(person, number)
            if number % 3 == 0:
                client.responses.create(model="scripted", input=words)
            else:
                messages = [{"role": "user", "content": words}]
                answer = client.chat.completions.create(model="scripted", messages=messages, stream=number % 3 == 1)
                list(answer)


async def talk_async(client: Any, person: str, numbers: range) -> None:
    with use_scope(Scope(user=person, session="now")):
        for number in numbers:
            words = asked(person, number)
            if number % 3 == 0:
                await client.responses.create(model="scripted", input=words)
                continue
            messages = [{"role": "user", "content": words}]
            answer = await client.chat.completions.create(model="scripted", messages=messages, stream=number % 3 == 1)
            if number % 3 == 1:
                _ = [piece async for piece in answer]


async def gather(memory: MemoryManager, provider: Provider, people: list[str], numbers: range) -> None:
    http = httpx2.AsyncClient(transport=httpx2.MockTransport(provider.answer_async))
    async with openai.AsyncOpenAI(api_key="none", base_url="http://provider", http_client=http) as client:
        wrapped = memory.wrap(client)
        await asyncio.gather(*(talk_async(wrapped, person, numbers) for person in people))


@pytest.mark.parametrize("calls", [1_000, pytest.param(10_000, marks=pytest.mark.campaign)])
def test_nobodys_words_or_memories_reach_another(calls: int) -> None:
    with MemoryManager.open(
        "sqlite://", wrapping=WrapOptions(deadline_s=60, write_deadline_s=60, max_tokens=400), extractor=None
    ) as memory:
        numbers = range(calls // len(PEOPLE))
        for person in PEOPLE:
            boxes = (Turn(f"In box {number} {person} keeps a {THINGS[number % len(THINGS)]}.") for number in numbers)
            memory.store_many(boxes, scope=Scope(user=person, session="before"))
        provider = Provider()
        half = len(PEOPLE) // 2
        http = httpx2.Client(transport=httpx2.MockTransport(provider.answer))
        with openai.OpenAI(api_key="none", base_url="http://provider", http_client=http) as client:
            wrapped = memory.wrap(client)
            threads = [threading.Thread(target=talk, args=(wrapped, person, numbers)) for person in PEOPLE[:half]]
            for thread in threads:
                thread.start()
            asyncio.run(gather(memory, provider, PEOPLE[half:], numbers))
            for thread in threads:
                thread.join()
        memory.flush()
        assert provider.shown == {person: {person} for person in PEOPLE}
        assert provider.helped > calls / 2
        for person in PEOPLE:
            assert list(_said(memory, person)) == [
                (role, text)
                for number in numbers
                for role, text in (
                    ("user", asked(person, number)),
                    ("assistant", f"{person} was told {number}"),
                )
            ]


def test_calls_of_an_event_loop_do_not_wait_for_the_applications_own_threads() -> None:
    """A web framework runs its plain functions in the threads that anyio and asyncio lend to everybody."""
    from anyio import to_thread

    provider, release = Provider(), threading.Event()

    async def main(memory: MemoryManager) -> None:
        loop = asyncio.get_running_loop()
        http = httpx2.AsyncClient(transport=httpx2.MockTransport(provider.answer_async))
        async with openai.AsyncOpenAI(api_key="none", base_url="http://provider", http_client=http) as client:
            wrapped = memory.wrap(client)
            await talk_async(wrapped, PEOPLE[0], range(1))  # the SDK's own first call takes such a thread
            lent = int(to_thread.current_default_thread_limiter().total_tokens)
            busy = [asyncio.create_task(to_thread.run_sync(release.wait, 20)) for _ in range(lent)]
            executor = [loop.run_in_executor(None, release.wait, 20) for _ in range(64)]
            await asyncio.sleep(0.1)
            try:
                await asyncio.wait_for(talk_async(wrapped, PEOPLE[0], range(1, 4)), 10)
            finally:
                release.set()
                await asyncio.gather(*busy, *executor)

    with MemoryManager.open("sqlite://", extractor=None, embedder=None, wrapping=PATIENT) as memory:
        asyncio.run(main(memory))
        assert len(list(_said(memory, PEOPLE[0]))) == 8


def _said(memory: MemoryManager, person: str) -> Any:
    cursor = None
    while True:
        page = memory.list(scope=Scope(user=person), where={"session": "now"}, limit=1000, cursor=cursor)
        yield from ((each.role, each.content) for each in page)
        cursor = page.cursor
        if cursor is None:
            return
