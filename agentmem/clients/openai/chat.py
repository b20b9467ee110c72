"""Chat completions: ``messages`` in, the first of the ``choices`` out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from agentmem.clients.core import Prepared, Said, say
from agentmem.clients.openai.api import Api, Streamed, call_text, each, field, read_messages, text_of, with_blocks


class Chat(Api):
    def read(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        messages = read_messages(options.get("messages"))
        return None if messages is None else {**options, "messages": messages}

    def said(self, call: Mapping[str, Any]) -> Iterator[Said]:
        return (said for message in call["messages"] for said in _said(message))

    def with_memory(self, call: Mapping[str, Any], prepared: Prepared) -> Mapping[str, Any]:
        if not (prepared.stable or prepared.block):
            return call
        return {**call, "messages": with_blocks(call["messages"], prepared, part_type="text")}

    def answered(self, answer: Any) -> Iterator[Said]:
        return (said for choice in each(field(answer, "choices"))[:1] for said in _said(field(choice, "message")))

    def streamed(self) -> Streamed:
        return _StreamedChat()


def _said(message: Any) -> Iterator[Said]:
    """What memory keeps of one message: the system's words never, a tool's and calls of tools verbatim as ``tool``."""
    role = field(message, "role")
    name = field(message, "name")
    text = text_of(message)
    if role == "user":
        yield from say("user", text, name if isinstance(name, str) and name else None)
    elif role in ("tool", "function"):
        yield from say("tool", text)
    elif role == "assistant":
        spoken = field(field(message, "audio"), "transcript")
        yield from say("assistant", _first_text(text, field(message, "refusal"), spoken))
        for call in each(field(message, "tool_calls")):
            yield from say("tool", _call_text(call), is_call=True)
        if field(message, "function_call"):
            yield from say("tool", _call_text({"function": field(message, "function_call")}), is_call=True)


def _first_text(*texts: Any) -> str:
    return next((text for text in texts if text and isinstance(text, str)), "")


def _call_text(call: Any) -> str:
    used = field(call, "function") or field(call, "custom")
    arguments = field(used, "arguments")
    return call_text(field(used, "name"), field(used, "input") if arguments is None else arguments, field(call, "id"))


class _StreamedChat(Streamed):
    def __init__(self) -> None:
        self._words: list[str] = []
        self._transcript: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}

    def add(self, piece: Any) -> None:
        for choice in each(field(piece, "choices")):
            if not field(choice, "index"):
                self._add_delta(field(choice, "delta"))
                self.is_finished = self.is_finished or field(choice, "finish_reason") is not None

    def _add_delta(self, delta: Any) -> None:
        self._words.append(_first_text(field(delta, "content"), field(delta, "refusal")))
        self._transcript.append(_first_text(field(field(delta, "audio"), "transcript")))
        for piece in each(field(delta, "tool_calls")):
            self._add_call(piece)
        if field(delta, "function_call"):
            self._add_call({"index": -1, "function": field(delta, "function_call")})

    def _add_call(self, piece: Any) -> None:
        call = self._calls.setdefault(field(piece, "index") or 0, {"id": None, "function": {}})
        call["id"] = field(piece, "id") or call["id"]
        used = field(piece, "function") or field(piece, "custom")
        for part in ("name", "arguments", "input"):
            if field(used, part) is not None:
                call["function"][part] = call["function"].get(part, "") + field(used, part)

    def said(self) -> Iterator[Said]:
        return _said(
            {
                "role": "assistant",
                "content": "".join(self._words) or "".join(self._transcript),
                "tool_calls": list(self._calls.values()),
            }
        )
