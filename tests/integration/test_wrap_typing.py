"""To a type checker a wrapped client is the client itself, with every overload of its calls."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')
api = pytest.importorskip("mypy.api")

SNIPPET = """
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from agentmem import MemoryManager, Scope


class OurOpenAI(OpenAI):
    tenant: str = "ours"


def sync(memory: MemoryManager) -> None:
    client = memory.wrap(OpenAI(), scope=Scope(user="ana"))
    reveal_type(client)
    reveal_type(client.chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}]))
    reveal_type(client.chat.completions.create(model="m", messages=[], stream=True))
    reveal_type(client.responses.create(model="m", input="hi"))
    reveal_type(client.responses.create(model="m", input="hi", stream=True))
    reveal_type(client.with_options(timeout=1))
    reveal_type(memory.wrap(AzureOpenAI()))
    reveal_type(memory.wrap(OurOpenAI()).tenant)
    client.chat.completions.create(messages=7)


async def not_sync(memory: MemoryManager) -> None:
    client = memory.wrap(AsyncOpenAI())
    reveal_type(client)
    reveal_type(await client.chat.completions.create(model="m", messages=[]))
    reveal_type(await client.responses.create(model="m", input="hi", stream=True))
    reveal_type(memory.wrap(AsyncAzureOpenAI()))
"""

REVEALED = [
    "OpenAI",
    "ChatCompletion",
    "Stream[ChatCompletionChunk]",
    "Response",
    "Stream[ResponseStreamEvent]",
    "OpenAI",
    "AzureOpenAI",
    "str",
    "AsyncOpenAI",
    "ChatCompletion",
    "AsyncStream[ResponseStreamEvent]",
    "AsyncAzureOpenAI",
]


def test_a_wrapped_client_keeps_its_type_and_its_overloads(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    snippet = tmp_path / "snippet.py"
    snippet.write_text(SNIPPET)
    # Kept from run to run: the SDK is large.
    cache = pytestconfig.cache.mkdir("mypy") if pytestconfig.cache else tmp_path
    found, trouble, _ = api.run([str(snippet), "--strict", "--config-file=", f"--cache-dir={cache}"])
    revealed = [_shortened(each) for each in re.findall(r'Revealed type is "(.+)"', found)]
    errors = [line for line in found.splitlines() if ": error: " in line]
    assert trouble == ""
    assert revealed == REVEALED
    assert len(errors) == 1 and "[call-overload]" in errors[0], found


def _shortened(revealed: str) -> str:
    names = re.sub(r"[\w.]+\.", "", revealed)
    return re.sub(r"\[Response\w+ \|.*\]", "[ResponseStreamEvent]", names)
