"""What the chat example talks to where no model is configured: a recorded conversation, played back over real HTTP.

Every run plays the next of three sessions. ``SHOW_PROMPT=1`` prints what the model reads.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from agentmem import MemoryManager, Scope

SESSIONS = (
    (
        ("Hi, my name is Ana. I live in Lisbon and I'm training for the Porto marathon.", "Hi Ana! When is it?"),
        ("On 8 November. I'm allergic to nuts, by the way.", "Good to know."),
        ("Please always answer in one sentence.", "I will."),
        ("I promised my sister to call the race office by Friday.", "Good plan, Ana."),
    ),
    (
        ("I have just moved to Porto!", "Congratulations on the new home, Ana."),
        ("My left knee hurts after long runs.", "Rest it for two days and then run on grass."),
    ),
    (
        ("Good morning! What do you know about me?", "You are Ana, you live in Porto, and your knee was hurting."),
        ("What can I eat before a long run?", "A banana and some toast, and nothing with nuts."),
    ),
)
ANSWERS = {said: answer for session in SESSIONS for said, answer in session}


@contextmanager
def endpoint() -> Iterator[tuple[dict[str, str], str]]:
    """Options for an OpenAI client and a model's name: those of the environment, or the recording's."""
    if "OPENAI_API_KEY" in os.environ or "OPENAI_BASE_URL" in os.environ:
        yield {"api_key": os.environ.get("OPENAI_API_KEY", "none")}, os.environ.get("OPENAI_MODEL", "gpt-5-mini")
        return
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Recording)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield {"base_url": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "none"}, "recorded"
    finally:
        server.shutdown()
        server.server_close()


def words(memory: MemoryManager, scope: Scope, model: str) -> Iterator[str]:
    """What the user says: typed in, or the session of the recording that memory has not heard yet."""
    if model != "recorded":
        while said := input("you: ").strip():
            yield said
        return
    heard = {turn.scope.session for turn in memory.list(scope=scope, kinds={"turn"}, limit=1000)}
    for said, _ in SESSIONS[min(len(heard), len(SESSIONS) - 1)]:
        print(f"you: {said}")
        yield said


class _Recording(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        prompt = request["messages"][-1]["content"]
        if os.environ.get("SHOW_PROMPT"):
            print("\n".join(f"    | {line}" for line in prompt.splitlines()))
        answer = next((answer for said, answer in ANSWERS.items() if prompt.endswith(said)), "I see.")
        message = {"role": "assistant", "content": answer}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body = {"id": "1", "object": "chat.completion", "created": 0, "model": "recorded", "choices": [choice]}
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_: object) -> None:
        """Print nothing else."""
