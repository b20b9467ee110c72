"""Where memory goes in the messages of a call: no message is added, and the application's own are not changed."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from itertools import takewhile
from typing import Any

from agentmem.context.rendering import without_blocks


def placed(
    messages: Sequence[Mapping[str, Any]],
    *,
    stable: str,
    volatile: str,
    first: int,
    last: int,
    ours: Container[str],
    part_type: str = "text",
) -> list[Mapping[str, Any]]:
    """The messages with the stable block in front of message ``first``, the volatile one in front of ``last``.

    In one message both stand side by side, the stable one first, so that what comes before it stays the same from call
    to call. Blocks of an earlier call are taken out.

    Args:
        messages: With ``content`` as a string, or as a list of parts with a ``type``.
        first, last: Places of the user's first and last words; first <= last.
        ours: The fences of blocks that are memory's own.
        part_type: How a part of text is called: ``text``, or ``input_text`` in OpenAI's Responses API.
    """
    changed = list(messages)
    for place in dict.fromkeys((first, last)):
        blocks = [text for text, at in ((stable, first), (volatile, last)) if text and at == place]
        changed[place] = in_front(changed[place], "\n\n".join(blocks), ours=ours, part_type=part_type)
    return changed


def for_user(
    messages: Sequence[Mapping[str, Any]],
    *,
    stable: str,
    volatile: str,
    ours: Container[str],
    part_type: str = "text",
    mark: Mapping[str, Any] | None = None,
) -> list[Mapping[str, Any]]:
    """The messages with the texts in front of the user's first and last words; as they are if the user said nothing.

    Args:
        mark: Further fields of the stable text's part, which is then one of its own: a provider's mark for caches.
    """
    of_user = [place for place, message in enumerate(messages) if _has_words_of_user(message)]
    if not of_user:
        return list(messages)
    first, last = of_user[0], of_user[-1]
    changed = placed(messages, stable=stable, volatile=volatile, first=first, last=last, ours=ours, part_type=part_type)
    if mark and stable:
        changed[first] = _marked(changed[first], stable, {"type": part_type, "text": stable, **mark})
    return changed


def in_front(
    message: Mapping[str, Any], block: str, *, ours: Container[str], part_type: str = "text"
) -> Mapping[str, Any]:
    """The message with the block in front of its content, and without the blocks of an earlier call.

    Results of tools stay first: Anthropic's API refuses a message that says anything before them.
    """
    content = message.get("content")
    if isinstance(content, str):
        # Text stays text: some compatible endpoints take no parts.
        own = without_blocks(content, ours)
        return (
            message if not block and own == content else {**message, "content": f"{block}\n\n{own}" if block else own}
        )
    parts = [part for part in content or () if not is_own_block(part, ours)]
    if block:
        parts.insert(len(list(takewhile(_is_tool_result, parts))), {"type": part_type, "text": block})
    return {**message, "content": parts}


def is_own_block(part: Any, ours: Container[str]) -> bool:
    """Whether a part holds nothing but blocks of memory."""
    text = part.get("text") if isinstance(part, Mapping) else None
    return isinstance(text, str) and text != "" and not without_blocks(text, ours)


def _has_words_of_user(message: Mapping[str, Any]) -> bool:
    content = message.get("content")
    if message.get("role") != "user" or not content:
        return False
    return isinstance(content, str) or not all(map(_is_tool_result, content))


def _marked(message: Mapping[str, Any], text: str, marked: Mapping[str, Any]) -> Mapping[str, Any]:
    """The message in which the text, which stands first, is a part with a mark."""
    content = message["content"]
    parts = [{"type": marked["type"], "text": content}] if isinstance(content, str) else list(content)
    place = len(list(takewhile(_is_tool_result, parts)))
    rest = parts[place]["text"].removeprefix(text).lstrip("\n")
    parts[place : place + 1] = [marked, {**parts[place], "text": rest}] if rest else [marked]
    return {**message, "content": parts}


def _is_tool_result(part: Any) -> bool:
    return isinstance(part, Mapping) and part.get("type") == "tool_result"
