"""What the shim needs to know of one of the SDK's APIs, and how its mappings and models are read alike."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agentmem.clients.core import Prepared, Said
from agentmem.context.placing import placed

_WORDS: Final = ("text", "input_text", "output_text", "refusal")
"""Parts of a message that are nothing but words."""


class Streamed(ABC):
    """The answer so far, put together from the pieces of a stream."""

    is_finished = False
    """The model said that it is done; a connection that was cut may end without an error."""

    @abstractmethod
    def add(self, piece: Any) -> None: ...

    @abstractmethod
    def said(self) -> Iterator[Said]: ...


class Api(ABC):
    """How one API's calls and answers are said in memory's words. What cannot be understood is passed over."""

    @abstractmethod
    def read(self, options: Mapping[str, Any]) -> dict[str, Any] | None:
        """The options with iterators read, because they can be only once; None if there are no words to work with."""

    @abstractmethod
    def said(self, call: Mapping[str, Any]) -> Iterator[Said]: ...

    @abstractmethod
    def with_memory(self, call: Mapping[str, Any], prepared: Prepared) -> Mapping[str, Any]:
        """The call with memory in it; the caller's own messages are not changed."""

    @abstractmethod
    def answered(self, answer: Any) -> Iterator[Said]: ...

    def is_complete(self, answer: Any) -> bool:
        """Whether the model came to an end by itself."""
        return True

    def is_unfinished(self, answer: Any) -> bool:
        """Whether the model is still at it, and the answer is to be retrieved later."""
        return False

    @abstractmethod
    def streamed(self) -> Streamed: ...


def field(thing: Any, name: str) -> Any:
    """One field of a mapping or of an SDK model; None if there is none."""
    return thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)


def each(things: Any) -> Sequence[Any]:
    """The list that was expected here, or nothing."""
    return things if isinstance(things, Sequence) and not isinstance(things, str | bytes) else ()


def read_messages(messages: Any) -> list[Any] | None:
    """The messages of a call with their contents; None if it is no list of any kind."""
    if not isinstance(messages, Iterable) or isinstance(messages, str | bytes | Mapping):
        return None
    return [_with_content_read(message) for message in messages]


def _with_content_read(message: Any) -> Any:
    content = message.get("content") if isinstance(message, Mapping) else None
    return {**message, "content": list(content)} if isinstance(content, Iterator) else message


def with_blocks(messages: Sequence[Any], prepared: Prepared, *, part_type: str) -> Sequence[Any]:
    """The messages with memory in front of the user's first and last words."""
    worded = [place for place, one in enumerate(messages) if field(one, "role") == "user" and text_of(one)]
    if not worded:
        return messages
    first, last = worded[0], worded[-1]
    if not (is_readable(messages[first]) and is_readable(messages[last])):
        return messages  # the SDK will refuse them in its own words
    plain = [_as_mapping(one) if place in (first, last) else one for place, one in enumerate(messages)]
    return placed(
        plain,
        stable=prepared.stable,
        volatile=prepared.block,
        first=first,
        last=last,
        ours=prepared.fences,
        part_type=part_type,
    )


def is_readable(message: Any) -> bool:
    """Whether the message has fields to read and to change."""
    return isinstance(message, Mapping) or hasattr(message, "model_dump")


def _as_mapping(message: Any) -> Mapping[str, Any]:
    if isinstance(message, Mapping):
        return message
    fields: Mapping[str, Any] = message.model_dump(exclude_unset=True, warnings=False)
    return fields


def text_of(message: Any, *, between: str = "\n") -> str:
    """The words of a message's content; a part without words as what it is: ``[image_url]``."""
    return content_text(field(message, "content"), between=between)


def content_text(content: Any, *, between: str = "\n") -> str:
    if isinstance(content, str):
        return content
    return between.join(filter(None, map(_part_text, each(content))))


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    words = field(part, "text"), field(part, "refusal")
    kind = field(part, "type") or "part"
    without = "" if kind in _WORDS else f"[{kind}]"
    return next((each for each in words if isinstance(each, str)), without)


def call_text(name: Any, arguments: Any, id: Any) -> str:
    """The call of a tool as it is kept."""
    return json.dumps({"call": name, "arguments": arguments, "id": id}, ensure_ascii=False, default=_plain)


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json", exclude_unset=True) if hasattr(value, "model_dump") else str(value)
