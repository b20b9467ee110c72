"""The Responses API of a wrapped client: where memory goes, what is recorded, what the provider keeps."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, serving, tool_call

from agentmem import MemoryManager, Scope
from agentmem.clients import WrapOptions
from agentmem.context.rendering import without_blocks

openai = pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')

ANA = Scope(user="ana", agent="coach", session="monday")
KNOWN = "My name is Ana."
ASKED = "What is my name?"


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        yield server


@pytest.fixture
def memory() -> Iterator[MemoryManager]:
    with MemoryManager.open("sqlite://", wrapping=WrapOptions(deadline_s=30), extractor=None) as memory:
        memory.store(KNOWN, scope=Scope(user="ana", agent="coach", session="sunday"))
        yield memory


@pytest.fixture
def client(server: OpenAIServer, memory: MemoryManager) -> Iterator[Any]:
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield memory.wrap(client, scope=ANA, strict=True)


def ask(client: Any, input: Any = ASKED, **options: Any) -> Any:
    return client.responses.create(model="scripted", input=input, **options)


def recorded(memory: MemoryManager) -> list[tuple[str, str]]:
    memory.flush()
    turns = memory.list(scope=ANA, kinds={"turn"}, where={"session": "monday"})
    return [(turn.role, turn.content) for turn in turns]


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def test_memory_stands_in_front_of_words_and_instructions_are_untouched(server: OpenAIServer, client: Any) -> None:
    ask(client, instructions="Be brief.")
    request = server.requests[-1]
    block, _, words = request["input"].rpartition("\n\n")
    assert (words, request["instructions"]) == (ASKED, "Be brief.")
    assert KNOWN in block


def test_memory_stands_in_front_of_the_last_message_of_a_list(server: OpenAIServer, client: Any) -> None:
    image = {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"}
    given = [
        user("Hello."),
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": ASKED}, image]},
        {"type": "item_reference", "id": "msg_9"},
    ]
    ask(client, given)
    sent = server.requests[-1]["input"]
    sent[0]["content"] = without_blocks(sent[0]["content"])
    block, *parts = sent[2].pop("content")
    assert block["type"] == "input_text"
    assert KNOWN in block["text"]
    assert parts == given[2].pop("content")
    assert sent == given


@pytest.mark.parametrize("where", [{"previous_response_id": "resp_0"}, {"conversation": "conv_1"}])
@pytest.mark.parametrize("own", [{"instructions": "Be brief."}, {"instructions": None}, {}])
def test_where_the_provider_keeps_the_input_memory_goes_into_the_instructions_of_one_call(
    server: OpenAIServer, client: Any, where: dict[str, Any], own: dict[str, Any]
) -> None:
    ask(client, **where, **own)
    request = server.requests[-1]
    assert request["input"] == ASKED
    assert request["instructions"].startswith(own.get("instructions") or "<agentmem")
    assert KNOWN in request["instructions"]


def test_a_conversation_named_in_the_extra_body_is_one_too(server: OpenAIServer, client: Any) -> None:
    ask(client, extra_body={"conversation": "conv_1"})
    assert server.requests[-1]["input"] == ASKED
    assert KNOWN in server.requests[-1]["instructions"]


def test_arguments_left_out_by_the_sdks_own_mark_are_left_out(server: OpenAIServer, client: Any) -> None:
    ask(client, previous_response_id=openai.omit, conversation=openai.omit, instructions=openai.omit)
    assert "instructions" not in server.requests[-1]
    assert KNOWN in server.requests[-1]["input"]


def test_a_tool_loop_over_items_is_recorded_once(server: OpenAIServer, memory: MemoryManager, client: Any) -> None:
    server.will(Answer("Let me see.", (tool_call("weather", '{"city": "Lisbon"}'),)), Answer("It rains."))
    items: list[Any] = [user("How is the weather?")]
    items += ask(client, items).output
    items.append({"type": "function_call_output", "call_id": "call_1", "output": "Rain."})
    items += ask(client, items).output
    ask(client, [*items, user("Thanks.")])
    assert recorded(memory) == [
        ("user", "How is the weather?"),
        ("assistant", "Let me see."),
        ("tool", '{"call": "weather", "arguments": "{\\"city\\": \\"Lisbon\\"}", "id": "call_1"}'),
        ("tool", "Rain."),
        ("assistant", "It rains."),
        ("user", "Thanks."),
        ("assistant", "Understood."),
    ]
    assert {item.integrity for item in memory.list(scope=ANA) if item.role == "tool"} == {"tool"}


def test_a_tool_loop_that_the_provider_keeps_is_recorded_once(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    server.will(Answer(None, (tool_call("weather", "{}"),)), Answer("It rains."))
    first = ask(client, "How is the weather?")
    output = [
        {"type": "function_call_output", "call_id": "call_1", "output": [{"type": "input_text", "text": "Rain."}]}
    ]
    ask(client, output, previous_response_id=first.id)
    ask(client, "Thanks.", previous_response_id=first.id)
    assert [(role, text) for role, text in recorded(memory) if "call" not in text] == [
        ("user", "How is the weather?"),
        ("tool", "Rain."),
        ("assistant", "It rains."),
        ("user", "Thanks."),
        ("assistant", "Understood."),
    ]


def test_a_tool_loop_that_the_provider_keeps_has_its_memory_in_every_call(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    server.will(Answer(None, (tool_call("look", "{}"),)), Answer(None, (tool_call("look", "{}"),)))
    ask(client, previous_response_id="resp_0")
    output = [{"type": "function_call_output", "call_id": "call_1", "output": "Nothing."}]
    ask(client, output, previous_response_id="resp_1")
    assert KNOWN in server.requests[0]["instructions"]
    assert server.requests[1] == {**server.requests[0], "input": output, "previous_response_id": "resp_1"}
    memory.forget(scope=ANA, where={"session": "sunday"})
    ask(client, output, previous_response_id="resp_1")
    assert "instructions" not in server.requests[2]


def test_what_tools_of_the_provider_do_is_kept_without_their_files(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    items = [
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "rain"}},
        {"type": "mcp_call", "id": "m_1", "name": "roll", "server_label": "dice", "arguments": "{}", "output": "6"},
        {"type": "image_generation_call", "id": "ig_1", "status": "completed", "result": "AAAA" * 1000},
    ]
    ask(client, [user("Go."), *items, user("And?")])
    assert [text for role, text in recorded(memory) if role == "tool"] == [
        '{"call": "web_search_call", "arguments": {"type": "search", "query": "rain"}, "id": "ws_1"}',
        '{"call": "roll", "arguments": "{}", "id": "m_1"}',
        "6",
        '{"call": "image_generation_call", "arguments": null, "id": "ig_1"}',
    ]


# --- in the background ----------------------------------------------------------------------------


def test_an_answer_in_the_background_is_recorded_when_it_is_retrieved(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    server.polls = 1
    queued = ask(client, background=True)
    assert recorded(memory) == [("user", ASKED)]
    assert client.responses.retrieve(queued.id).status == "in_progress"
    assert recorded(memory) == [("user", ASKED)]
    for _ in range(2):
        assert client.with_options(timeout=9).responses.retrieve(queued.id).status == "completed"
    assert recorded(memory) == [("user", ASKED), ("assistant", "Understood.")]


def test_an_answer_in_the_background_is_recorded_when_it_is_retrieved_as_a_stream(
    memory: MemoryManager, client: Any
) -> None:
    queued = ask(client, background=True)
    assert [event.type for event in client.responses.retrieve(queued.id, stream=True)][-1] == "response.completed"
    assert recorded(memory) == [("user", ASKED), ("assistant", "Understood.")]


def test_an_answer_in_the_background_is_recorded_with_the_sdks_helper(memory: MemoryManager, client: Any) -> None:
    queued = ask(client, background=True)
    with client.responses.stream(response_id=queued.id, starting_after=5) as stream:
        assert stream.get_final_response().output_text == "Understood."
    assert recorded(memory) == [("user", ASKED), ("assistant", "Understood.")]


def test_an_async_answer_in_the_background_is_recorded_too(server: OpenAIServer, memory: MemoryManager) -> None:
    async def main() -> None:
        async with openai.AsyncOpenAI(base_url=server.url, api_key="none") as bare:
            client = memory.wrap(bare, scope=ANA)
            queued = await ask(client, background=True)
            raw = await client.responses.with_raw_response.retrieve(queued.id)
            assert raw.parse().status == "completed"

    asyncio.run(main())
    assert recorded(memory) == [("user", ASKED), ("assistant", "Understood.")]


def test_a_response_that_another_client_asked_for_is_only_passed_on(memory: MemoryManager, client: Any) -> None:
    assert client.responses.retrieve("resp_7").output_text == "Understood."
    assert len(list(client.responses.retrieve("resp_7", stream=True))) > 5
    assert recorded(memory) == []


@pytest.mark.parametrize("is_cancelled", [False, True])
def test_an_answer_that_failed_is_kept_as_incomplete(
    server: OpenAIServer, memory: MemoryManager, client: Any, is_cancelled: bool
) -> None:
    status = "cancelled" if is_cancelled else "failed"
    part = '{"type": "output_text", "text": "Your name", "annotations": []}'
    item = f'{{"id": "m", "type": "message", "role": "assistant", "status": "incomplete", "content": [{part}]}}'
    server.will(Answer(body=f'{{"id": "r", "object": "response", "status": "{status}", "output": [{item}]}}'.encode()))
    ask(client)
    memory.flush()
    answer = memory.list(scope=ANA).items[-1]
    assert (answer.content, answer.metadata) == ("Your name", {"complete": False})


# --- calls that hold no words ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"prompt": {"id": "pmpt_1"}},
        {"previous_response_id": "resp_0", "model": "scripted"},
        {"input": [], "model": "scripted"},
        {"input": "", "model": "scripted"},
        {"input": " ", "model": "scripted", "previous_response_id": "resp_0"},
    ],
)
def test_a_call_without_words_is_sent_as_it_is(server: OpenAIServer, client: Any, options: dict[str, Any]) -> None:
    client.responses.create(**options)
    assert server.requests == [options]


def test_an_iterator_is_refused_in_the_sdks_own_words(server: OpenAIServer, memory: MemoryManager) -> None:
    with openai.OpenAI(base_url=server.url, api_key="none") as bare:
        with pytest.raises(TypeError) as refused:
            ask(bare, iter([user(ASKED)]))
        with pytest.raises(TypeError) as refused_too:
            ask(memory.wrap(bare, scope=ANA), iter([user(ASKED)]))
    assert str(refused.value) == str(refused_too.value)


def test_other_resources_pass_through_untouched(server: OpenAIServer, memory: MemoryManager, client: Any) -> None:
    client.completions.create(model="scripted", prompt=ASKED)
    client.responses.compact(model="scripted", input=ASKED)
    client.responses.input_tokens.count(model="scripted", input=ASKED)
    assert server.prompt == ASKED
    assert KNOWN not in str(server.requests)
    assert recorded(memory) == []
