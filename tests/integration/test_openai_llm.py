"""The OpenAI LLM answers, streams, and turns every failure into a BackendError that repeats nothing of the prompt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai_server import Answer, OpenAIServer, serving

from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import Completion, CompletionRequest, Message
from agentmem.llms.openai import OpenAILLM
from agentmem.registry import build

openai = pytest.importorskip("openai", reason='needs `pip install "pyagentmem[openai]"`')

ASKED = CompletionRequest((Message("system", "Be brief."), Message("tool", "rain"), Message("user", "secret?")))


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        yield server


@pytest.fixture
def llm(server: OpenAIServer) -> Iterator[OpenAILLM]:
    llm = OpenAILLM("scripted", base_url=server.url)
    yield llm
    llm.close()


def test_it_answers(server: OpenAIServer, llm: OpenAILLM) -> None:
    server.will(Answer("Hello."))
    assert llm.complete(ASKED) == Completion("Hello.", "stop", prompt_tokens=7, completion_tokens=2)
    assert [message["role"] for message in server.requests[0]["messages"]] == ["system", "user", "user"]


def test_limits_are_passed_on(server: OpenAIServer, llm: OpenAILLM) -> None:
    llm.complete(CompletionRequest((Message("user", "hi"),), max_tokens=9, temperature=0.0))
    assert (server.requests[0]["max_tokens"], server.requests[0]["temperature"]) == (9, 0.0)


def test_it_streams(server: OpenAIServer, llm: OpenAILLM) -> None:
    server.will(Answer("one two"))
    assert list(llm.stream(ASKED)) == ["one ", "two "]


@pytest.mark.parametrize(
    "answer",
    [Answer(status=429), Answer(status=500), Answer(status=401), Answer(body=b"{}"), Answer(body=b'{"choices": []}')],
)
def test_a_failure_is_a_backend_error_after_one_try(server: OpenAIServer, llm: OpenAILLM, answer: Answer) -> None:
    server.will(answer)
    with pytest.raises(BackendError, match="openai/scripted") as failed:
        llm.complete(ASKED)
    assert failed.value.__cause__ is not None
    assert "secret" not in str(failed.value)
    assert len(server.requests) == 1


def test_a_hang_ends_with_the_timeout(server: OpenAIServer, llm: OpenAILLM) -> None:
    server.will(Answer(hang_s=5))
    with pytest.raises(BackendError, match="APITimeoutError"):
        llm.complete(CompletionRequest((Message("user", "hi"),), timeout_s=0.1))


def test_nobody_at_home_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="APIConnectionError"):
        OpenAILLM("scripted", base_url="http://127.0.0.1:9/v1").complete(ASKED)


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        OpenAILLM("gpt")


def test_it_is_built_by_its_name(server: OpenAIServer) -> None:
    llm = build("llm", {"type": "openai", "model": "scripted", "base_url": server.url})
    assert llm.complete(ASKED).text == "Understood."
