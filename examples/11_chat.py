"""A chat agent that survives restarts: run it, leave it, kill it, run it again.

It talks to the endpoint of OPENAI_BASE_URL, OPENAI_API_KEY and OPENAI_MODEL; with none of them it plays back a
recorded conversation, the next session of it at every run. SHOW_PROMPT=1 prints what the recorded model reads.
"""

from __future__ import annotations

from datetime import UTC, datetime

from openai import OpenAI
from recorded_chat import endpoint, words

from agentmem import MemoryManager, Scope

with endpoint() as (options, model), MemoryManager.open("./chat-memory") as memory:
    memory.set_identity("persona", "You are Coach, a running coach, brief and kind.", scope=Scope(agent="coach"))
    ana = Scope(user="ana", agent="coach", session=f"chat-{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
    client = memory.wrap(OpenAI(**options), scope=ana)
    for said in words(memory, ana, model):
        # Only the last words are sent: what was said before them, memory adds.
        answer = client.chat.completions.create(
            model=model,
            messages=[{"role": "system", "content": "Answer the user."}, {"role": "user", "content": said}],
        )
        print(f"coach: {answer.choices[0].message.content}")
    memory.end_session(scope=ana)
