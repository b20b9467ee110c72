"""One session of an agent in a process of its own, which ends in one way or another."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from children import embedder

from agentmem import MemoryManager, Scope
from agentmem.clients import WrapOptions
from agentmem.context.builder import ContextOptions

MEMORY_TOKENS = 590
# In so small a prompt who is who comes before what was said.
SMALL = ContextOptions(rules_share=0.2, identity_share=0.35, handover_share=0.25, recent_share=0.0)
PATIENT = WrapOptions(max_tokens=MEMORY_TOKENS, deadline_s=30, write_deadline_s=30)


def talk(folder: Path, url: str, session: str, ending: str, said: Sequence[str]) -> None:
    """Open the memory, say these things through a wrapped client, and end: ``ends``, ``exits`` or is ``killed``."""
    import openai

    scope = Scope(user="ana", agent="coach", session=session)
    memory = MemoryManager.open(folder, embedder=embedder(), context=SMALL, wrapping=PATIENT)
    client = memory.wrap(openai.OpenAI(base_url=url, api_key="none", max_retries=0), scope=scope)
    messages: list[Any] = [{"role": "system", "content": "You are a running coach."}]
    for words in said:
        messages.append({"role": "user", "content": words})
        answer = client.chat.completions.create(model="scripted", messages=messages)
        messages.append({"role": "assistant", "content": answer.choices[0].message.content})
    if ending == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "ends":
        memory.end_session(scope=scope)
        memory.close()
