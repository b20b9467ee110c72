"""The OpenAI client keeps every promise of an LLM, against a server on loopback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openai_server import Answer, OpenAIServer, serving

from agentmem.interfaces import LLM
from agentmem.testing import LLMTests

pytest.importorskip("openai", reason="needs `pip install pyagentmem[openai]`")


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        yield server


class TestOpenAILLM(LLMTests):
    @pytest.fixture
    def llm(self, server: OpenAIServer) -> Iterator[LLM]:
        from agentmem.llms.openai import OpenAILLM

        llm = OpenAILLM("any-model", base_url=server.url)
        yield llm
        llm.close()

    @pytest.fixture
    def broken_llm(self, server: OpenAIServer, llm: LLM) -> LLM:
        server.will(*[Answer(status=500)] * 5)
        return llm
