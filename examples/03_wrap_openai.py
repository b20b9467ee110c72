"""An OpenAI client that remembers: same type, same calls, two sessions, one memory.

It talks to a model that stands in this file, so that it runs without a key. For a real one, write
``memory.wrap(OpenAI(), scope=…)`` and leave the rest out.
"""

from __future__ import annotations

import json
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from openai import OpenAI

from agentmem import MemoryManager, Scope
from agentmem.clients import memory_status


class Model(BaseHTTPRequestHandler):
    """Prints the prompt it gets and answers always the same."""

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        print(f"--- the model reads\n{request['messages'][-1]['content']}\n")
        message = {"role": "assistant", "content": "Noted."}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        answer = {"id": "1", "object": "chat.completion", "created": 0, "model": "echo", "choices": [choice]}
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(answer).encode())

    def log_message(self, *_: object) -> None:
        """Print nothing else."""


server = HTTPServer(("127.0.0.1", 0), Model)
threading.Thread(target=server.serve_forever, daemon=True).start()
plain = OpenAI(base_url=f"http://127.0.0.1:{server.server_port}/v1", api_key="none")

with tempfile.TemporaryDirectory() as folder:
    for session, words in (("one", "My name is Ana, and I am allergic to nuts."), ("two", "What can't I eat?")):
        with MemoryManager.open(folder) as memory:
            client = memory.wrap(plain, scope=Scope(user="ana", session=session))
            client.chat.completions.create(model="echo", messages=[{"role": "user", "content": words}])
            print(f"--- session {session}: memory is {memory_status(client)}\n")

    with MemoryManager.open(folder) as memory:
        print("--- recorded:", [f"{item.role}: {item.content}" for item in memory.list(scope=Scope(user="ana"))])
server.shutdown()
