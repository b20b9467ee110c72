"""An HTTP server on loopback that speaks Gemini's API, as a script tells it to."""

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
from typing import Any


def call(name: str, **arguments: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": arguments}}


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Args:
        parts: Of the answer; a streamed one sends each word, and each other part, as a chunk.
        status: Anything but 200 is an error.
        cut_after: A streamed answer breaks off after so many chunks; a whole one after half its bytes.
        resets: Where it breaks off, the connection is reset instead of closed.
        body: Sent instead of a response.
    """

    parts: tuple[Mapping[str, Any], ...] = ({"text": "Understood."},)
    status: int = 200
    hang_s: float = 0.0
    cut_after: int | None = None
    resets: bool = False
    body: bytes | None = None


@dataclass
class GoogleServer:
    """``requests`` holds the bodies received; ``answers`` the script; when it is empty, the model understands."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    stopping: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def prompt(self) -> str:
        """Every text of the last request's contents."""
        contents = self.requests[-1]["contents"]
        return "\n".join(part["text"] for content in contents for part in content["parts"] if "text" in part)


@contextmanager
def serving() -> Iterator[GoogleServer]:
    server = GoogleServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            server.requests.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            answer = server.answers.popleft() if server.answers else Answer()
            server.stopping.wait(answer.hang_s)
            if answer.status != 200:
                error = {"error": {"code": answer.status, "message": "scripted", "status": "SCRIPTED"}}
                self._send(json.dumps(error).encode(), answer.status)
            elif ":streamGenerateContent" in self.path:
                self._stream(answer)
            else:
                self._whole(answer)

        def _whole(self, answer: Answer) -> None:
            body = answer.body or json.dumps(_response(list(answer.parts), "STOP")).encode()
            self._send(body, 200, cut=None if answer.cut_after is None else len(body) // 2, resets=answer.resets)

        def _send(self, body: bytes, status: int, cut: int | None = None, resets: bool = False) -> None:
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
            if cut is not None:
                self._break_off(resets)

        def _stream(self, answer: Answer) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("transfer-encoding", "chunked")
            self.end_headers()
            whole = [json.dumps(chunk).encode() for chunk in chunks(answer)]
            for place, data in enumerate([answer.body] if answer.body else whole):
                if place == answer.cut_after:
                    return self._break_off(answer.resets)
                self._chunk(b"data: " + data + b"\r\n\r\n")
            return self._chunk(b"")

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


def chunks(answer: Answer) -> list[dict[str, Any]]:
    parts: list[Mapping[str, Any]] = []
    for part in answer.parts:
        parts += [{**part, "text": f"{word} "} for word in part["text"].split(" ")] if "text" in part else [part]
    return [_response([part], "STOP" if place == len(parts) else None) for place, part in enumerate(parts, 1)]


def _response(parts: list[Mapping[str, Any]], finish_reason: str | None) -> dict[str, Any]:
    candidate: dict[str, Any] = {"content": {"role": "model", "parts": parts}, "index": 0}
    if finish_reason:
        candidate["finishReason"] = finish_reason
    return {"candidates": [candidate], "modelVersion": "scripted", "responseId": "scripted"}
