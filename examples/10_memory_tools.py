"""A model that manages its own memory: tools to search, remember, correct and forget, as its provider takes them.

The model here is a script, so that it runs without a key. With a real one the loop is the same: its tool calls go to
``tools.call``, and what that gives is sent back.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Generator
from typing import Any

from agentmem import MemoryManager, Scope

Calls = Generator[tuple[str, dict[str, Any]], str, None]


def model() -> Calls:
    """What a model might call, one after the other; it is sent each answer."""
    noted = yield "remember", {"content": "Ana is training for the Lisbon half marathon."}
    id = re.findall(r"m:\w+", noted)[0]
    yield "correct_memory", {"id": id, "content": "Ana is training for the Porto marathon.", "reason": "she said so"}
    tried = {"situation": "the knee hurts after a run", "action": "run on grass"}
    yield "remember_lesson", {**tried, "outcome": "it got better", "result": 1}
    yield "search_memory", {"query": "Which race is she training for?", "kind": "any"}
    yield "remember", {"content": "Bob is slow.", "user": "bob"}  # whose memory it is, is not for the model to say


with tempfile.TemporaryDirectory() as folder, MemoryManager.open(folder) as memory:
    ana = Scope(user="ana", agent="coach")
    tools = memory.tools(scope=ana)
    print("tools= of chat completions:", [tool["function"]["name"] for tool in tools.openai()], "\n")
    calls = model()
    name, arguments = next(calls)
    while True:
        function = {"name": name, "arguments": json.dumps(arguments)}
        message = tools.call({"id": "call_1", "type": "function", "function": function})
        print(f"{name}\n  {message['content']}\n")
        try:
            name, arguments = calls.send(message["content"])
        except StopIteration:
            break
    corrected = next(item for item in memory.list(scope=ana) if item.version == 2)
    print("Corrected because:", corrected.reason)
