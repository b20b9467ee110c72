"""A type checker sees the same types on a wrapped client, and on a wrapped function, as on the bare one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
from __future__ import annotations

from collections.abc import Iterator
from typing import assert_type

from anthropic import Anthropic, AsyncAnthropic, Stream
from anthropic.types import Message, RawMessageStreamEvent
from google import genai
from google.genai.types import GenerateContentResponse
from openai import AsyncAzureOpenAI, AsyncOpenAI, AsyncStream, OpenAI
from openai import Stream as OpenAIStream
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.responses import Response, ResponseStreamEvent

from agentmem import AsyncMemoryManager, MemoryManager, Scope


def ask(prompt: str, *, loud: bool = False) -> int:
    return 7


async def ask_async(prompt: str) -> str:
    return "words"


def words(prompt: str) -> Iterator[str]:
    yield "words"


async def check(memory: MemoryManager, ana: Scope, of_loop: AsyncMemoryManager) -> None:
    claude = memory.wrap(Anthropic(), scope=ana)
    assert_type(claude, Anthropic)
    said = claude.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}])
    assert_type(said, Message)
    stream = claude.messages.create(model="m", max_tokens=1, messages=[{"role": "user", "content": "x"}], stream=True)
    assert_type(stream, Stream[RawMessageStreamEvent])
    assert_type(of_loop.wrap(AsyncAnthropic()), AsyncAnthropic)

    gemini = memory.wrap(genai.Client(), scope=ana)
    assert_type(gemini.models.generate_content(model="m", contents="x"), GenerateContentResponse)

    gpt = memory.bind(ana).wrap(OpenAI())
    answer = gpt.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    assert_type(answer, ChatCompletion)
    chunks = gpt.with_options(timeout=1).chat.completions.create(model="m", messages=[], stream=True)
    assert_type(chunks, OpenAIStream[ChatCompletionChunk])
    assert_type(gpt.responses.create(model="m", input="x"), Response)
    gpt_async = memory.wrap(AsyncAzureOpenAI(), scope=ana)
    assert_type(gpt_async, AsyncAzureOpenAI)
    events = await gpt_async.responses.create(model="m", input="x", stream=True)
    assert_type(events, AsyncStream[ResponseStreamEvent])
    gpt.chat.completions.create(messages=7)  # type: ignore[call-overload]  # refused, as the bare client refuses it
    assert_type(of_loop.bind(ana).wrap(AsyncOpenAI()), AsyncOpenAI)

    assert_type(memory.wrap_callable(ask, messages_arg="prompt")("x", loud=True), int)
    assert_type(await of_loop.wrap_callable(ask_async)("x"), str)
    assert_type(memory.wrap_callable(words)("x"), Iterator[str])
    memory.wrap_callable(ask)(7)  # type: ignore[arg-type]  # refused, as the function itself refuses it
    memory.wrap(OpenAI()).chat.completions.create(user_id="ana")  # type: ignore[call-overload]  # so is this
"""


def test_a_type_checker_sees_the_same_types(tmp_path: Path) -> None:
    for package in ("mypy", "openai", "anthropic", "google.genai"):
        pytest.importorskip(package, reason='needs `pip install "pyagentmem[test]"`')
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(ROOT / ".mypy_cache"), str(program)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=250)
    assert done.stdout.startswith("Success"), done.stdout + done.stderr
