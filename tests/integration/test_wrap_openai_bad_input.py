"""What nobody should send to a wrapped client and somebody will: each has one meaning, and the call goes through."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, serving, tool_call

from agentmem import MemoryManager, Scope
from agentmem.clients import WrapOptions, memory_status, wrap
from agentmem.errors import InvalidInput

openai = pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')

ANA = Scope(user="ana", session="monday")
KNOWN = "My name is Ana."
ASKED = "What is my name?"
PATIENT = WrapOptions(deadline_s=30)
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        yield server


@pytest.fixture
def memory() -> Iterator[MemoryManager]:
    with MemoryManager.open("sqlite://", wrapping=PATIENT, extractor=None) as memory:
        memory.store(KNOWN, scope=Scope(user="ana", session="sunday"))
        yield memory


@pytest.fixture
def bare(server: OpenAIServer) -> Iterator[Any]:
    with openai.OpenAI(base_url=server.url, api_key="none", max_retries=0) as client:
        yield client


@pytest.fixture
def client(memory: MemoryManager, bare: Any) -> Any:
    return memory.wrap(bare, scope=ANA, strict=True)


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def assistant(text: str) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


def ask(client: Any, *messages: Any, **options: Any) -> Any:
    return client.chat.completions.create(model="scripted", messages=list(messages), **options)


def recorded(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    memory.flush()
    turns = memory.list(scope=scope, kinds={"turn"}, where={"session": scope.session}, limit=2000)
    return [turn.content for turn in turns]


# --- messages -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "system", "content": "Say hello."}],
        [assistant("Hello!")],
        [user("")],
        [user("  ")],
        [user([])],
        [user(None)],
        [{"role": "user"}],
        [user([{"type": "text", "text": ""}])],
    ],
)
def test_without_words_of_a_user_a_call_is_sent_as_it_is(
    server: OpenAIServer, memory: MemoryManager, client: Any, messages: list[Any]
) -> None:
    ask(client, *messages)
    assert server.requests[-1]["messages"] == messages
    assert recorded(memory)[-1] == "Understood."
    assert not [turn for turn in memory.list(scope=ANA, where={"session": "monday"}) if turn.role == "user"]


def test_an_empty_message_at_the_end_is_left_alone(server: OpenAIServer, memory: MemoryManager, client: Any) -> None:
    ask(client, user(ASKED), assistant("Ana."), user(""))
    assert server.requests[-1]["messages"][-1] == user("")
    assert recorded(memory) == [ASKED, "Ana.", "Understood."]


class Odd:
    """A message that is no mapping and no model of the SDK's."""

    role, content = "user", ASKED


def test_a_message_of_an_unknown_make_is_refused_in_the_sdks_own_words(bare: Any, client: Any) -> None:
    errors = []
    for each in (bare, client):
        with pytest.raises(TypeError) as caught:
            ask(each, Odd())
        errors.append(str(caught.value))
    assert errors[0] == errors[1]


def test_an_image_alone_is_recorded_as_one(server: OpenAIServer, memory: MemoryManager, client: Any) -> None:
    ask(client, user([IMAGE]))
    assert server.requests[-1]["messages"][0]["content"][-1] == IMAGE
    assert recorded(memory) == ["[image_url]", "Understood."]


@pytest.mark.parametrize("messages", [None, 7, "hello", {"role": "user", "content": "hello"}])
def test_what_is_no_list_is_refused_or_sent_as_without_memory(
    server: OpenAIServer, memory: MemoryManager, bare: Any, client: Any, messages: Any
) -> None:
    ends = []
    for each in (bare, client):
        try:
            ends.append(each.chat.completions.create(model="scripted", messages=messages).model_dump())
        except (TypeError, openai.OpenAIError) as error:
            ends.append((type(error), str(error)))
    assert ends[0] == ends[1]
    assert server.requests[: len(server.requests) // 2] == server.requests[len(server.requests) // 2 :]
    assert recorded(memory) == []


def test_500_tools_pass_through_and_500_calls_are_recorded(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    tools = [{"type": "function", "function": {"name": f"tool_{number}"}} for number in range(500)]
    calls = tuple(tool_call(f"tool_{number}", "{}", id=f"call_{number}") for number in range(500))
    server.will(Answer(None, calls))
    answer = ask(client, user(ASKED), tools=tools)
    assert server.requests[-1]["tools"] == tools
    assert len(answer.choices[0].message.tool_calls) == 500
    results = [{"role": "tool", "tool_call_id": call["id"], "content": f"Result of {call['id']}."} for call in calls]
    ask(client, user(ASKED), answer.choices[0].message, *results)
    said = recorded(memory)
    assert len(said) == 1 + 500 + 500 + 1
    assert (said[0], said[1001]) == (ASKED, "Understood.")


def test_a_message_of_a_megabyte_is_recorded_in_pieces(memory: MemoryManager, client: Any) -> None:
    ask(client, user("word " * 200_000))
    said = recorded(memory)
    assert "".join(said[:-1]) == "word " * 200_000
    assert len(said) > 2


# --- histories ------------------------------------------------------------------------------------

HISTORY = [user("One."), assistant("1"), user("Two."), assistant("2"), user("Three.")]


def talked(server: OpenAIServer, client: Any) -> None:
    server.will(Answer("1"), Answer("2"), Answer("3"))
    for end in (1, 3, 5):
        ask(client, *HISTORY[:end])


def test_a_conversation_resent_from_the_middle_gives_only_what_is_new(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    talked(server, client)
    ask(client, *HISTORY[3:], assistant("3"), user("Four."))
    assert recorded(memory) == ["One.", "1", "Two.", "2", "Three.", "3", "Four.", "Understood."]


def test_a_conversation_that_goes_back_gives_its_new_branch(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    talked(server, client)
    ask(client, *HISTORY[:2], user("Another two."))
    assert recorded(memory)[5:] == ["3", "Another two.", "Understood."]


def test_of_an_edited_history_only_what_follows_is_recorded(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    talked(server, client)
    ask(client, *HISTORY[:2], user("Two, as edited."), *HISTORY[3:], assistant("3"), user("Four."))
    assert recorded(memory) == ["One.", "1", "Two.", "2", "Three.", "3", "Four.", "Understood."]


def test_a_cut_history_under_another_system_prompt_is_known(
    server: OpenAIServer, memory: MemoryManager, client: Any
) -> None:
    talked(server, client)
    summary = {"role": "system", "content": "So far: One and two."}
    ask(client, summary, *HISTORY[4:], assistant("3"), user("Four."))
    assert recorded(memory)[-3:] == ["3", "Four.", "Understood."]


def test_two_clients_on_one_session_record_each_word_once(memory: MemoryManager, bare: Any) -> None:
    one, other = (wrap(bare, memory=memory, scope=ANA, options=PATIENT) for _ in range(2))
    history: list[Any] = []
    for words, client in (("One.", one), ("Two.", other), ("Three.", one), ("Four.", other)):
        history.append(user(words))
        history.append(ask(client, *history).choices[0].message)
    said = recorded(memory)
    assert [words for words in said if words != "Understood."] == ["One.", "Two.", "Three.", "Four."]
    assert said.count("Understood.") == 4


# --- scopes and clients ---------------------------------------------------------------------------


def test_without_a_scope_nothing_is_read_or_recorded(server: OpenAIServer, memory: MemoryManager, bare: Any) -> None:
    wrapped = memory.wrap(bare)
    ask(wrapped, user(ASKED))
    wrapped.responses.create(model="scripted", input=ASKED)
    assert KNOWN not in str(server.requests)
    assert recorded(memory) == []
    assert memory_status(wrapped) == "off"


@pytest.mark.parametrize("scope", ["ana", 7, {"user": "ana"}])
def test_what_is_no_scope_is_refused_when_wrapping(memory: MemoryManager, bare: Any, scope: Any) -> None:
    with pytest.raises(InvalidInput, match="scope must be a Scope"):
        memory.wrap(bare, scope=scope)


def test_a_part_of_a_client_is_refused(memory: MemoryManager, bare: Any) -> None:
    with pytest.raises(InvalidInput, match="Completions is no client"):
        memory.wrap(bare.chat.completions, scope=ANA)


def test_a_client_with_an_init_of_its_own_can_be_wrapped(server: OpenAIServer, memory: MemoryManager) -> None:
    class Ours(openai.OpenAI):  # type: ignore[misc,name-defined]  # importorskip gives Any
        def __init__(self, tenant: str) -> None:
            super().__init__(base_url=server.url, api_key="none")
            self.tenant = tenant

    with Ours("acme") as bare:
        wrapped = memory.wrap(bare, scope=ANA)
        before = copy.copy(vars(bare))
        ask(wrapped, user(ASKED))
        assert (type(wrapped), wrapped.tenant, vars(bare)) == (Ours, "acme", before)
    assert KNOWN in server.prompt


@pytest.mark.parametrize("is_async", [False, True])
def test_azure_clients_remember(server: OpenAIServer, memory: MemoryManager, is_async: bool) -> None:
    how = {"azure_endpoint": server.url.removesuffix("/v1"), "api_version": "2026-01-01", "api_key": "none"}

    async def main() -> None:
        async with openai.AsyncAzureOpenAI(**how) as bare:
            wrapped = memory.wrap(bare, scope=ANA)
            await ask(wrapped, user(ASKED))
            await wrapped.with_options(timeout=9).responses.create(model="scripted", input=ASKED)

    if is_async:
        asyncio.run(main())
    else:
        with openai.AzureOpenAI(**how) as bare:
            wrapped = memory.wrap(bare, scope=ANA)
            ask(wrapped, user(ASKED))
            wrapped.with_options(timeout=9).responses.create(model="scripted", input=ASKED)
    assert server.paths == [
        "/openai/deployments/scripted/chat/completions?api-version=2026-01-01",
        "/openai/responses?api-version=2026-01-01",
    ]
    assert all(KNOWN in str(request) for request in server.requests)
    assert recorded(memory) == [ASKED, "Understood."] * 2


def test_a_class_instead_of_a_client_is_called_one(memory: MemoryManager) -> None:
    with pytest.raises(InvalidInput, match="OpenAI is a class"):
        memory.wrap(openai.OpenAI, scope=ANA)
