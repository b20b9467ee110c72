"""The Responses API: ``input`` in, the items of ``output`` out.

Where the provider keeps the conversation (``previous_response_id``, ``conversation``), what stands in ``input``
would be kept with it and come back in every later prompt, forgotten or not. There memory goes behind the caller's
``instructions``, which hold for one call only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from agentmem.clients.core import Prepared, Said, say
from agentmem.clients.openai.api import (
    Api,
    Streamed,
    call_text,
    content_text,
    each,
    field,
    text_of,
    with_blocks,
)

_ARGUMENTS: Final = ("arguments", "input", "action", "operation", "code", "queries")
"""Under which of its fields a call says what it is to do, by kind of tool; results of the provider's are no words."""


class Responses(Api):
    def read(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        given = options.get("input")
        return dict(options) if isinstance(given, str) or each(given) else None  # iterators are refused by the SDK

    def said(self, call: Mapping[str, Any]) -> Iterator[Said]:
        if isinstance(call["input"], str):
            return say("user", call["input"])
        return (said for item in call["input"] for said in _said(item))

    def with_memory(self, call: Mapping[str, Any], prepared: Prepared) -> Mapping[str, Any]:
        if not (prepared.stable or prepared.block):
            return call
        if _is_kept_by_the_provider(call):
            own = call.get("instructions") or ""  # falsy also where the SDK's ``omit`` was passed
            return {**call, "instructions": "\n\n".join(filter(None, (own, prepared.stable, prepared.block)))}
        if isinstance(call["input"], str):
            (message,) = with_blocks([{"role": "user", "content": call["input"]}], prepared, part_type="input_text")
            return {**call, "input": message["content"]}
        return {**call, "input": with_blocks(call["input"], prepared, part_type="input_text")}

    def answered(self, answer: Any) -> Iterator[Said]:
        return (said for item in each(field(answer, "output")) for said in _said(item))

    def is_complete(self, answer: Any) -> bool:
        return field(answer, "status") not in ("failed", "cancelled")

    def is_unfinished(self, answer: Any) -> bool:
        return field(answer, "status") in ("queued", "in_progress")

    def streamed(self) -> Streamed:
        return _StreamedResponse()


def _is_kept_by_the_provider(call: Mapping[str, Any]) -> bool:
    extra = call.get("extra_body")
    given = {**call, **extra} if isinstance(extra, Mapping) else call
    return bool(given.get("previous_response_id") or given.get("conversation"))


def _said(item: Any) -> Iterator[Said]:
    """What memory keeps of one item: messages, calls of tools and what tools say; not reasoning, not the system's."""
    kind = str(field(item, "type") or "message")
    role = field(item, "role")
    if kind == "message" and role == "user":
        yield from say("user", text_of(item))
    elif kind == "message" and role == "assistant":
        yield from say("assistant", text_of(item, between=""))  # as the SDK's ``output_text`` joins them
    elif kind.endswith("_call"):
        used = (field(item, name) for name in _ARGUMENTS)
        arguments = next((each for each in used if each is not None), None)
        id = field(item, "call_id") or field(item, "id")
        yield from say("tool", call_text(field(item, "name") or kind, arguments, id), is_call=True)
        if kind == "mcp_call":
            yield from say("tool", content_text(field(item, "output")))
    elif kind.endswith("_call_output"):
        yield from say("tool", content_text(field(item, "output")))


class _StreamedResponse(Streamed):
    """Whole items where the stream has got to their end, pieces where it has not."""

    def __init__(self) -> None:
        self._final: Any = None
        self._items: dict[int, Any] = {}
        self._done: set[int] = set()
        self._pieces: dict[int, list[str]] = {}

    def add(self, piece: Any) -> None:
        kind = field(piece, "type") or ""
        place = field(piece, "output_index")
        if kind in ("response.completed", "response.incomplete", "response.failed", "response.cancelled"):
            self._final = field(piece, "response")
            self.is_finished = kind in ("response.completed", "response.incomplete")
        elif kind in ("response.output_item.added", "response.output_item.done"):
            self._items[place] = field(piece, "item")
            if kind == "response.output_item.done":
                self._done.add(place)
        elif kind in _DELTAS:
            self._pieces.setdefault(place, []).append(field(piece, "delta"))

    def said(self) -> Iterator[Said]:
        output = each(field(self._final, "output"))
        if output:
            yield from (said for item in output for said in _said(item))
            return
        for place in sorted(self._items | self._pieces):
            if place in self._done:
                yield from _said(self._items[place])
            elif place in self._pieces:
                yield from _said_so_far(self._items.get(place), "".join(self._pieces[place]))


_DELTAS: Final = {
    "response.output_text.delta",
    "response.refusal.delta",
    "response.function_call_arguments.delta",
    "response.mcp_call_arguments.delta",
    "response.custom_tool_call_input.delta",
}


def _said_so_far(item: Any, text: str) -> Iterator[Said]:
    kind = field(item, "type") or "message"
    if kind == "message":
        return say("assistant", text)
    return _said({"type": kind, "name": field(item, "name"), "call_id": field(item, "call_id"), "arguments": text})
