"""What is said in messages as Anthropic's API words them, and what a stream of its events adds up to.

Plain data in, plain data out; the SDK is not needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from agentmem.clients.core import Said, say

_CALLS: Final = frozenset({"tool_use", "server_tool_use", "mcp_tool_use"})
_NOT_SAID: Final = frozenset({"thinking", "redacted_thinking"})
_UNREADABLE: Final = frozenset({"data", "encrypted_content", "encrypted_index", "encrypted_stdout", "signature"})
"""Fields of a tool's result that only the provider's own machines can read."""


def said_in(message: Any) -> Iterator[Said]:
    """What memory keeps of one message: the system's words never, a tool's and calls of tools verbatim as ``tool``."""
    role = fields_of(message).get("role")
    if role not in ("user", "assistant"):
        return
    parts = [part for part in parts_of(message) if part.get("type") not in _NOT_SAID]
    for is_tools, run in groupby(parts, key=lambda part: _is_call(part) or is_result(part)):
        if is_tools:
            yield from (said for part in run for said in _of_tool(part))
        else:
            # The model's words are cut up wherever a citation begins; the user's parts were put side by side.
            yield from say(role, ("" if role == "assistant" else "\n").join(filter(None, map(_part_text, run))))


def is_result(part: Mapping[str, Any]) -> bool:
    """Whether a part is what a tool said: the application's own, or one that runs at the provider's."""
    return str(part.get("type")).endswith("tool_result")


def is_prefill(message: Any) -> bool:
    """Whether the message begins the model's answer for it: words of the assistant, and nothing else."""
    return fields_of(message).get("role") == "assistant" and all(
        part.get("type") == "text" for part in parts_of(message)
    )


def begun(prefill: Any, answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The answer with the words that the application began it with."""
    return {**answer, "content": [*parts_of(prefill), *parts_of(answer)]}


def parts_of(message: Any) -> Sequence[Mapping[str, Any]]:
    """The parts of a message, or of a tool's result; words alone are one of them."""
    content = fields_of(message).get("content")
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return [fields_of(part) for part in content]
    return []


def message_of(events: Iterable[Mapping[str, Any]]) -> tuple[Mapping[str, Any], bool]:
    """The message that a stream's events add up to, as far as they came, and whether it is whole."""
    parts: dict[int, dict[str, Any]] = {}
    is_whole = False
    for event in events:
        kind, place = event.get("type"), event.get("index", 0)
        if kind == "content_block_start":
            parts[place] = dict(fields_of(event.get("content_block")))
        elif kind == "content_block_delta":
            _add(parts.setdefault(place, {"type": "text"}), fields_of(event.get("delta")))
        is_whole = is_whole or kind == "message_stop"
    content = [_with_input_read(part) for _, part in sorted(parts.items())]
    return {"role": "assistant", "content": content}, is_whole


def fields_of(message: Any) -> Mapping[str, Any]:
    """A message or part given as a mapping or as one of the SDK's models; anything else has no fields."""
    if isinstance(message, Mapping):
        return message
    if hasattr(message, "model_dump"):
        fields: dict[str, Any] = message.model_dump(exclude_unset=True, warnings=False)
        return fields
    return {}


def _add(part: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for field, piece in (("text", delta.get("text")), ("json", delta.get("partial_json"))):
        if isinstance(piece, str):
            part[field] = part.get(field, "") + piece


def _with_input_read(part: Mapping[str, Any]) -> Mapping[str, Any]:
    written = part.get("json")
    if not written:
        return part
    try:
        return {**part, "input": json.loads(written)}
    except ValueError:  # the stream broke off inside
        return {**part, "input": written}


def _is_call(part: Mapping[str, Any]) -> bool:
    return part.get("type") in _CALLS


def _of_tool(part: Mapping[str, Any]) -> Iterator[Said]:
    if _is_call(part):
        call = {"call": part.get("name"), "arguments": part.get("input"), "id": part.get("id")}
        yield from say("tool", json.dumps(call, ensure_ascii=False, default=str), is_call=True)
    else:
        yield from say("tool", _result_text(part))


def _result_text(part: Mapping[str, Any]) -> str:
    if part.get("type") in ("tool_result", "mcp_tool_result"):
        return "\n".join(filter(None, map(_part_text, parts_of(part))))
    return json.dumps(_readable(part.get("content")), ensure_ascii=False, default=str)


def _part_text(part: Mapping[str, Any]) -> str:
    """A part's words, or in brackets what it is: ``[image]``."""
    text = part.get("text")
    return text if isinstance(text, str) else f"[{part.get('type', 'part')}]"


def _readable(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _readable(value) for name, value in content.items() if name not in _UNREADABLE}
    if isinstance(content, list | tuple):
        return [_readable(value) for value in content]
    return content
