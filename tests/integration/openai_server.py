"""An HTTP server on loopback that speaks chat completions and the Responses API, as a script tells it to."""

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
from typing import Any, Final, Literal
from urllib.parse import parse_qs, urlsplit

NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})
Cut = Literal["ends", "breaks", "resets", "garbled", "error"]


@dataclass(frozen=True)
class Answer:
    """What the server does with one request.

    Args:
        status: Anything but 200 is an error.
        cut_after: A streamed answer breaks off after so many pieces.
        cut: How: the stream just ends, its connection is closed in the middle of it or reset, the next piece is half
            a JSON, or it is an error told inside the stream.
        body: Sent instead of a completion.
        finish_reason: Unset = ``stop``, or ``tool_calls`` with some.
        headers: Sent with an error.
        resets: The connection is reset in the middle of the body.
        refuses: A field that a request may not hold: with it, the answer is a 400.
        spoken: The answer is audio with this transcript.
    """

    text: str | None = "Understood."
    tool_calls: tuple[dict[str, Any], ...] = ()
    status: int = 200
    hang_s: float = 0.0
    cut_after: int | None = None
    cut: Cut = "ends"
    body: bytes | None = None
    finish_reason: str | None = None
    refusal: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    resets: bool = False
    refuses: str | None = None
    spoken: str | None = None


def tool_call(name: str, arguments: str, id: str = "call_1") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def custom_call(name: str, input: str, id: str = "call_1") -> dict[str, Any]:
    return {"id": id, "type": "custom", "custom": {"name": name, "input": input}}


@dataclass
class OpenAIServer:
    """``requests`` holds the bodies received; ``answers`` the script; when it is empty, ``otherwise`` answers."""

    url: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    answers: deque[Answer] = field(default_factory=deque)
    otherwise: Callable[[dict[str, Any]], Answer] = lambda _: Answer()
    background: dict[str, Answer] = field(default_factory=dict)
    """Answers still to be retrieved, by id."""
    polls: int = 0
    """How often a background answer is said to be still in progress."""
    stopping: threading.Event = field(default_factory=threading.Event)

    def will(self, *answers: Answer) -> None:
        self.answers.extend(answers)

    @property
    def prompt(self) -> str:
        """Every text of the last request."""
        request = self.requests[-1]
        given = request.get("input", ())
        messages = [given] if isinstance(given, str) else [item.get("content") for item in given]
        messages += [message.get("content") for message in request.get("messages", ())]
        return "\n".join(text for each in (request.get("instructions"), *messages) for text in _texts(each))


@contextmanager
def serving() -> Iterator[OpenAIServer]:
    server = OpenAIServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.requests.append(body)
            server.paths.append(self.path)
            answer = server.answers.popleft() if server.answers else server.otherwise(body)
            server.stopping.wait(answer.hang_s)
            status = 400 if answer.refuses in body else answer.status
            is_responses = urlsplit(self.path).path.endswith("/responses")
            whole = _response(answer) if is_responses else _completion(answer, body.get("n") or 1)
            if answer.resets:
                self._reset_within(json.dumps(whole).encode())
            elif status != 200:
                error = json.dumps({"error": {"message": "scripted", "type": "scripted"}}).encode()
                self._send(error, status, answer.headers)
            elif answer.body is not None:
                self._send(answer.body)
            elif body.get("background") and not body.get("stream"):
                server.background[whole["id"]] = answer
                self._send(json.dumps({**whole, "status": "queued", "output": []}).encode())
            elif body.get("stream"):
                self._stream(answer, _events(answer) if is_responses else _chunks(answer, body.get("n") or 1))
            else:
                self._send(json.dumps(whole).encode())

        def do_GET(self) -> None:
            where = urlsplit(self.path)
            server.paths.append(self.path)
            id = where.path.rpartition("/")[2]
            answer = server.background.get(id, Answer())
            if parse_qs(where.query).get("stream") == ["true"]:
                self._stream(answer, _events(answer))
            elif server.polls:
                server.polls -= 1
                self._send(json.dumps({**_response(answer), "status": "in_progress", "output": []}).encode())
            else:
                self._send(json.dumps(_response(answer)).encode())

        def _send(self, body: bytes, status: int = 200, headers: Mapping[str, str] = NO_HEADERS) -> None:
            self._head(status, {"content-type": "application/json", "content-length": str(len(body)), **headers})
            self.wfile.write(body)

        def _head(self, status: int, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            self.send_header("x-request-id", "req_1")
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def _reset_within(self, body: bytes) -> None:
            self._head(200, {"content-type": "application/json", "content-length": str(len(body))})
            self.wfile.write(body[: len(body) // 2])
            self._reset()

        def _reset(self) -> None:
            self.wfile.flush()
            # Closed without lingering, a socket is reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()

        def _stream(self, answer: Answer, pieces: Iterator[bytes]) -> None:
            self._head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
            for place, piece in enumerate(pieces):
                if place == answer.cut_after:
                    if answer.cut == "breaks":
                        self.close_connection = True
                        return
                    if answer.cut == "resets":
                        self._reset()
                        return
                    if answer.cut != "ends":
                        self._chunk(b'data: {"id": "half' if answer.cut == "garbled" else _ERROR)
                        self._chunk(b"\n\n")
                    break
                self._chunk(piece)
            self._chunk(b"")

        def _chunk(self, piece: bytes) -> None:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.flush()

        def log_message(self, *_: Any) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            """Clients that leave early are part of the script."""

    http = Quiet(("127.0.0.1", 0), Handler)
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


_ERROR: Final = b'data: {"error": {"message": "scripted", "type": "scripted"}}'


def _texts(content: Any) -> list[str]:
    if isinstance(content, str):
        return [content]
    return [part["text"] for part in content or () if "text" in part]


# --- chat completions -----------------------------------------------------------------------------


def _completion(answer: Answer, n: int) -> dict[str, Any]:
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [
            {"index": index, "message": _message(answer, index), "finish_reason": _finish_reason(answer)}
            for index in range(n)
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9},
    }


def _message(answer: Answer, index: int) -> dict[str, Any]:
    text = answer.text and answer.text + " (again)" * index
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": answer.refusal}
    if answer.tool_calls:
        message["tool_calls"] = list(answer.tool_calls)
    if answer.spoken is not None:
        message["audio"] = {"id": "audio_1", "data": "", "expires_at": 1, "transcript": answer.spoken}
    return message


def _finish_reason(answer: Answer) -> str:
    return answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop")


def _chunks(answer: Answer, n: int) -> Iterator[bytes]:
    for delta in _deltas(answer):
        reason = None if delta else _finish_reason(answer)
        for index in range(n):
            content = {"content": delta["content"].upper()} if index and "content" in delta else {}
            choice = {"index": index, "delta": {**delta, **content}, "finish_reason": reason}
            whole = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted"}
            yield b"data: " + json.dumps({**whole, "choices": [choice]}).encode() + b"\n\n"
    yield b"data: [DONE]\n\n"


def _deltas(answer: Answer) -> Iterator[dict[str, Any]]:
    yield {"role": "assistant", "content": ""}
    for word in (answer.text or "").split(" "):
        yield {"content": f"{word} "}
    if answer.refusal:
        yield {"refusal": answer.refusal}
    if answer.spoken:
        yield {"audio": {"id": "audio_1", "transcript": answer.spoken}}
    for index, call in enumerate(answer.tool_calls):
        kind = call["type"]
        words = "arguments" if kind == "function" else "input"
        yield {"tool_calls": [{"index": index, **call, kind: {**call[kind], words: ""}}]}
        yield {"tool_calls": [{"index": index, kind: {words: call[kind][words]}}]}
    yield {}


# --- responses ------------------------------------------------------------------------------------


def _response(answer: Answer) -> dict[str, Any]:
    is_cut = answer.finish_reason == "length"
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": "scripted",
        "status": "incomplete" if is_cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if is_cut else None,
        "output": [_item(answer, place) for place in range(_items(answer))],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": {
            "input_tokens": 7,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 9,
        },
    }


def _items(answer: Answer) -> int:
    return 2 + len(answer.tool_calls) if answer.text or answer.refusal else 1 + len(answer.tool_calls)


def _item(answer: Answer, place: int) -> dict[str, Any]:
    """Reasoning first, then the message if there is one, then calls of tools."""
    if place == 0:
        return {"id": "rs_1", "type": "reasoning", "summary": []}
    if place == 1 and (answer.text or answer.refusal):
        part = _refusal(answer.refusal) if answer.refusal else _output_text(answer.text or "")
        message = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed"}
        return {**message, "content": [part]}
    call = answer.tool_calls[place - _items(answer)]
    if call["type"] == "custom":
        return {"id": "ctc_1", "type": "custom_tool_call", "call_id": call["id"], **call["custom"]}
    return {"id": "fc_1", "type": "function_call", "call_id": call["id"], "status": "completed", **call["function"]}


def _output_text(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _refusal(text: str) -> dict[str, Any]:
    return {"type": "refusal", "refusal": text}


def _events(answer: Answer) -> Iterator[bytes]:
    for number, event in enumerate(_plain_events(answer)):
        data = json.dumps({**event, "sequence_number": number}).encode()
        yield b"event: " + event["type"].encode() + b"\ndata: " + data + b"\n\n"


def _plain_events(answer: Answer) -> Iterator[dict[str, Any]]:
    whole = _response(answer)
    begun = {**whole, "status": "in_progress", "output": []}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for place, item in enumerate(whole["output"]):
        empty = {name: _EMPTY.get(name, value) for name, value in item.items()}
        yield {"type": "response.output_item.added", "output_index": place, "item": empty}
        for event in _within(item):
            yield {"output_index": place, "item_id": item["id"], **event}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": f"response.{whole['status']}", "response": whole}


_EMPTY: Final[Mapping[str, Any]] = {"content": [], "arguments": "", "input": "", "status": "in_progress"}


def _within(item: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if item["type"] == "message":
        (part,) = item["content"]
        kind = part["type"]
        words = "text" if kind == "output_text" else "refusal"
        at = {"content_index": 0}
        yield {"type": "response.content_part.added", **at, "part": {**part, words: ""}}
        for word in _words(part[words]):
            yield {"type": f"response.{kind}.delta", **at, "delta": word, "logprobs": []}
        yield {"type": f"response.{kind}.done", **at, words: part[words], "logprobs": []}
        yield {"type": "response.content_part.done", **at, "part": part}
    elif item["type"] != "reasoning":
        is_custom = item["type"] == "custom_tool_call"
        words, kind = ("input", "custom_tool_call_input") if is_custom else ("arguments", "function_call_arguments")
        for word in _words(item[words]):
            yield {"type": f"response.{kind}.delta", "delta": word}
        yield {"type": f"response.{kind}.done", words: item[words], "name": item["name"]}


def _words(text: str) -> list[str]:
    """In pieces that make the text when put together."""
    return [word for word in text.replace(" ", " \0").split("\0") if word]
