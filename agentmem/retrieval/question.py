"""One question to memory, checked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from agentmem.errors import InvalidInput
from agentmem.interfaces import Message
from agentmem.records import KINDS, STORED_KINDS, Scope, require_number, require_text, require_time
from agentmem.where import parse_where

DEFAULT_K: Final = 10
MAX_QUERY_CHARACTERS: Final = 32_768
"""A longer question is cut there: every further word would only dilute it."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, by whom, and how much of an answer is wanted.

    Args:
        query: The question, or any text to find memories for.
        k: At most so many hits. Unset together with ``max_tokens`` = 10.
        max_tokens: The best hits whose contents together cost at most so many tokens.
        max_each: Only hits whose contents cost at most so many tokens each; unset = ``max_tokens``.
        min_confidence: Only hits of at least this confidence, 0 to 1.
        kinds: Only these; unset = what callers stored themselves (turn, document, rule, lesson).
        where: Applied before the best are chosen, see ``agentmem.where``.
        as_of: What was true in the world then; unset = now.
        known_at: What the log held then; unset = now.
        conversation: The messages just before, oldest first; they tell what "it" in the query means.
        include_untrusted: Also what tools, web pages and undeclared authors said.
        explain: Fill ``Hit.signals``.
        neighbours: Fill ``Hit.neighbours``.

    Raises:
        InvalidInput: naming the argument and what it takes.
    """

    query: str
    scope: Scope
    k: int | None = None
    max_tokens: int | None = None
    max_each: int | None = None
    min_confidence: float | None = None
    kinds: frozenset[str] | None = None
    where: Mapping[str, Any] | None = None
    as_of: datetime | None = None
    known_at: datetime | None = None
    conversation: tuple[Message, ...] = ()
    include_untrusted: bool = False
    explain: bool = False
    neighbours: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.scope, Scope):
            raise InvalidInput(
                f"scope must be a Scope, not {type(self.scope).__name__}.", hint='Write scope=Scope(user="ana").'
            )
        if not require_text(self.query, "query").strip():
            raise InvalidInput("query is empty.", hint="To read memories without a question use list().")
        for name in ("k", "max_tokens", "max_each"):
            _require_count(getattr(self, name), name)
        if self.min_confidence is not None:
            require_number(self.min_confidence, "min_confidence", 0.0, 1.0)
        for name in ("as_of", "known_at"):
            if getattr(self, name) is not None:
                # Frozen, so that a question can be a key; set once, here, before anyone has seen it.
                object.__setattr__(self, name, require_time(getattr(self, name), name))
        object.__setattr__(self, "kinds", checked_kinds(self.kinds))
        object.__setattr__(self, "conversation", checked_conversation(self.conversation))
        parse_where(self.where)

    @property
    def text(self) -> str:
        """The query as far as it is searched for."""
        return self.query[:MAX_QUERY_CHARACTERS]

    @property
    def searched_kinds(self) -> frozenset[str]:
        return STORED_KINDS if self.kinds is None else self.kinds

    @property
    def limit(self) -> int | None:
        """At most so many hits; None = as many as ``max_tokens`` allows."""
        return DEFAULT_K if self.k is None and self.max_tokens is None else self.k


def _require_count(value: object, name: str) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{name} must be a whole number, not {value!r}.")
    if value < 1:
        raise InvalidInput(f"{name} must be at least 1, not {value}.")


def checked_kinds(kinds: Iterable[str] | None) -> frozenset[str] | None:
    """The kinds as a set, or None for None.

    Raises:
        InvalidInput: no collection, an empty one, or one of something else than kinds.
    """
    if kinds is None:
        return None
    if isinstance(kinds, str) or not isinstance(kinds, Iterable):
        raise InvalidInput(f"kinds must be a set of kinds, not {kinds!r}.", hint='Write kinds={"fact"}.')
    chosen = list(kinds)
    unknown = [kind for kind in chosen if kind not in KINDS]
    if not chosen or unknown:
        raise InvalidInput(f"kinds takes {', '.join(KINDS)}; not {unknown}.")
    return frozenset(chosen)


def checked_conversation(messages: Iterable[Message | Mapping[str, Any]]) -> tuple[Message, ...]:
    """The messages of a conversation, mappings made into messages.

    Raises:
        InvalidInput: what is no message, or has no text.
    """
    if isinstance(messages, str | Mapping) or not isinstance(messages, Iterable):
        raise InvalidInput(f"conversation must be a list of messages, not {type(messages).__name__}.")
    return tuple(_checked_message(message) for message in messages)


def _checked_message(message: object) -> Message:
    if isinstance(message, Message):
        return message
    if isinstance(message, Mapping) and isinstance(message.get("content"), str):
        return Message(role=message.get("role", "user"), content=message["content"])
    raise InvalidInput(
        "conversation takes messages with a role and a content in text.",
        hint='Write conversation=[{"role": "user", "content": "…"}].',
    )
