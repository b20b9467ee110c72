"""An HTTP server on loopback that speaks the chat completions API, as a script tells it to."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Args:
        status: Anything but 200 is an error.
        cut_after: A streamed answer breaks off after so many pieces.
        body: Sent instead of a completion.
        finish_reason: Unset = ``stop``, or ``tool_calls`` with some.
        headers: Sent with an error.
        resets: The connection is reset in the middle of the body.
        refuses: A field that a request may not hold: with it, the answer is a 400.
    """

    text: str | None = "Understood."
    tool_calls: tuple[dict[str, Any], ...] = ()
    status: int = 200
    hang_s: float = 0.0
    cut_after: int | None = None
    body: bytes | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    resets: bool = False
    refuses: str | None = None


def tool_call(name: str, arguments: str, id: str = "call_1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


@dataclass
class OpenAIServer:
    """``requests`` holds the bodies received; ``answers`` the script; when it is empty, ``otherwise`` answers."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    otherwise: Callable[[dict[str, Any]], Answer] = lambda _: Answer()
    stopping: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def prompt(self) -> str:
        """Every text of the last request's messages."""
        return "\n".join(text for message in self.requests[-1]["messages"] for text in _texts(message.get("content")))


@contextmanager
def serving() -> Iterator[OpenAIServer]:
    server = OpenAIServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.requests.append(body)
            answer = server.answers.popleft() if server.answers else server.otherwise(body)
            server.stopping.wait(answer.hang_s)
            status = 400 if answer.refuses in body else answer.status
            if answer.resets:
                self._reset(json.dumps(_completion(answer)).encode())
            elif status != 200:
                error = json.dumps({"error": {"message": "scripted", "type": "scripted"}}).encode()
                self._send(error, status, answer.headers)
            elif answer.body is not None:
                self._send(answer.body)
            elif body.get("stream"):
                self._stream(answer)
            else:
                self._send(json.dumps(_completion(answer)).encode())

        def _send(self, body: bytes, status: int = 200, headers: Mapping[str, str] = MappingProxyType({})) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def _reset(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            # Closed without lingering, a socket is reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _stream(self, answer: Answer) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            self.close_connection = True
            for place, delta in enumerate(_deltas(answer)):
                if place == answer.cut_after:
                    return
                self.wfile.write(b"data: " + json.dumps(_chunk(delta)).encode() + b"\n\n")
                self.wfile.flush()
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_: Any) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or () if "text" in part]


def _completion(answer: Answer) -> dict[str, Any]:
    message: dict[str, Any] = {"role": "assistant", "content": answer.text, "refusal": answer.refusal}
    if answer.tool_calls:
        message["tool_calls"] = list(answer.tool_calls)
    reason = answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for word in (answer.text or "").split(" "):
        yield {"content": f"{word} "}
    for index, call in enumerate(answer.tool_calls):
        yield {"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]}
        yield {"tool_calls": [{"index": index, "function": {"arguments": call["function"]["arguments"]}}]}
    yield {}


def _chunk(delta: dict[str, Any]) -> dict[str, Any]:
    reason = None if delta else "stop"
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "scripted",
        "choices": [{"index": 0, "delta": delta, "finish_reason": reason}],
    }
