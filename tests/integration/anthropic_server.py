"""An HTTP server on loopback that speaks Anthropic's Messages API, as a script tells it to."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def tool_use(name: str, arguments: Mapping[str, Any], id: str = "toolu_1") -> dict[str, Any]:
    return {"type": "tool_use", "id": id, "name": name, "input": dict(arguments)}


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Args:
        content: The parts of the answer.
        status: Anything but 200 is an error.
        cut_after: A streamed answer breaks off after so many events; a whole one after half its bytes.
        cut_inside: It breaks off in the middle of the event after those.
        resets: Where it breaks off, the connection is reset instead of closed.
        body: Sent instead of a message.
        fails_after: A streamed answer tells of an error after so many events.
        headers: Sent with an error.
    """

    content: tuple[Mapping[str, Any], ...] = (text("Understood."),)
    status: int = 200
    hang_s: float = 0.0
    cut_after: int | None = None
    cut_inside: bool = False
    resets: bool = False
    body: bytes | None = None
    fails_after: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    stop_reason: str = "end_turn"


@dataclass
class AnthropicServer:
    """``requests`` holds the bodies received; ``answers`` the script; when it is empty, the model understands."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    stopping: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def prompt(self) -> str:
        """Every text of the last request's messages."""
        return "\n".join(words for message in self.requests[-1]["messages"] for words in texts(message["content"]))


def texts(content: Any) -> list[str]:
    return [content] if isinstance(content, str) else [part["text"] for part in content or () if "text" in part]


@contextmanager
def serving() -> Iterator[AnthropicServer]:
    server = AnthropicServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.requests.append(body)
            server.paths.append(self.path)
            answer = server.answers.popleft() if server.answers else Answer()
            server.stopping.wait(answer.hang_s)
            if answer.status != 200:
                error = {"type": "error", "error": {"type": "scripted_error", "message": "scripted"}}
                self._send(json.dumps(error).encode(), answer.status, answer.headers)
            elif body.get("stream"):
                self._stream(answer)
            else:
                whole = answer.body or json.dumps(_message(answer)).encode()
                self._send(whole, cut=len(whole) // 2 if answer.cut_after is not None else None, resets=answer.resets)

        def _send(
            self,
            body: bytes,
            status: int = 200,
            headers: Mapping[str, str] = MappingProxyType({}),
            cut: int | None = None,
            resets: bool = False,
        ) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.send_header("request-id", "req_scripted")
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body[:cut])
            if cut is not None:
                self._break_off(resets)

        def _stream(self, answer: Answer) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("request-id", "req_scripted")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            for place, event in enumerate(_events(answer)):
                data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
                if place == answer.cut_after:
                    if answer.cut_inside:
                        self._chunk(data[: len(data) // 2])
                    return self._break_off(answer.resets)
                if place == answer.fails_after:
                    error = {"type": "error", "error": {"type": "overloaded_error", "message": "scripted"}}
                    self._chunk(f"event: error\ndata: {json.dumps(error)}\n\n".encode())
                    break
                self._chunk(data)
            self._chunk(b"")
            return None

        def _chunk(self, data: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
            self.wfile.flush()

        def _break_off(self, resets: bool) -> None:
            self.wfile.flush()
            self.close_connection = True
            if resets:
                # Closed without lingering, a socket is reset.
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()

        def log_message(self, *_: Any) -> None:
            return

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        http.shutdown()
        http.server_close()
        thread.join()


def event_count(answer: Answer) -> int:
    return len(list(_events(answer)))


def _message(answer: Answer) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "scripted",
        "content": list(answer.content),
        "stop_reason": answer.stop_reason,
        "stop_sequence": None,
        "usage": {"input_tokens": 7, "output_tokens": 2},
    }


def _events(answer: Answer) -> Iterator[dict[str, Any]]:
    yield {"type": "message_start", "message": {**_message(answer), "content": [], "stop_reason": None}}
    for index, part in enumerate(answer.content):
        yield from ({**event, "index": index} for event in _part_events(part))
    delta = {"stop_reason": answer.stop_reason, "stop_sequence": None}
    yield {"type": "message_delta", "delta": delta, "usage": {"output_tokens": 2}}
    yield {"type": "message_stop"}


def _part_events(part: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if part["type"] == "text":
        start, deltas = text(""), [{"type": "text_delta", "text": f"{word} "} for word in part["text"].split(" ")]
    elif part["type"] == "tool_use":
        written = json.dumps(part["input"])
        pieces = [written[: len(written) // 2], written[len(written) // 2 :]]
        start, deltas = {**part, "input": {}}, [{"type": "input_json_delta", "partial_json": each} for each in pieces]
    else:
        start, deltas = dict(part), []
    yield {"type": "content_block_start", "content_block": start}
    for delta in deltas:
        yield {"type": "content_block_delta", "delta": delta}
    yield {"type": "content_block_stop"}
