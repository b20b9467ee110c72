"""What was typed, read and checked: times, JSON objects, words, ids, trust. Errors name flags and commands."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypedDict

from agentmem.errors import InvalidInput
from agentmem.interfaces import LogQuery
from agentmem.records import MAX_CONTENT_BYTES, Scope

if TYPE_CHECKING:
    from agentmem.manager import MemoryManager

TRUST: Final = {
    "user": "the user's own words: chats, notes, files they wrote",
    "operator": "yours, who run the agent: manuals, house rules",
    "assistant": "what the agent said",
    "tool": "what tools answered; untrusted",
    "web": "pages and mail of strangers; untrusted",
    "undeclared": "nobody knows whose; untrusted",
    "declared": "as each record says of itself: for exports and chats",
}
"""What ``import --trust`` takes, and what it means."""

_ID: Final = re.compile(r"\[?(?:m:)?([0-9a-f]{8,32})\]?")
"""An id or its tail, bare or as prompts cite it."""
_WHOLE_ID: Final = 32


def time(text: str | None, option: str) -> datetime | None:
    if text is None:
        return None
    try:
        said = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{option}: {text!r} is not a time.", hint="Write 2026-11-23T09:00:00Z.") from None
    if said.tzinfo is None:
        raise InvalidInput(
            f"{option}: {text!r} names no time zone.",
            hint=f"Write {said.isoformat()}Z for UTC, or with your offset from it: {said.isoformat()}+02:00.",
        )
    return said


class Moments(TypedDict):
    """In which of the two times to look, as the verbs take it."""

    as_of: datetime | None
    known_at: datetime | None


def moments(as_of: str | None, known_at: str | None) -> Moments:
    """What ``--as-of`` and ``--known-at`` say."""
    return {"as_of": time(as_of, "--as-of"), "known_at": time(known_at, "--known-at")}


def end(text: str, option: str) -> datetime | None:
    """The time, or None for ``none``: what has no end."""
    return None if text == "none" else time(text, option)


def json_object(text: str | None, option: str) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InvalidInput(
            f"{option} is not JSON: {error}.", hint=f"""Write {option} '{{"key": "value"}}'."""
        ) from None
    if not isinstance(value, dict):
        raise InvalidInput(f"{option} must be a JSON object, not {type(value).__name__}.")
    return value


def words(text: str) -> str:
    """The text, or standard input for ``-``."""
    try:
        said = sys.stdin.read() if text == "-" else text
        size = len(said.encode())
    except UnicodeError:
        raise InvalidInput("The words are not UTF-8.", hint="Convert them first: iconv -f latin1 -t utf-8.") from None
    if size > MAX_CONTENT_BYTES:
        raise InvalidInput(
            f"The words are {size:,} bytes; a memory holds {MAX_CONTENT_BYTES:,}.",
            hint="Save them as a file and `agentmem import` it: that is cut into parts that can be found.",
        )
    return said


def trust(value: str | None) -> str:
    """The value, if it is one of TRUST."""
    if value in TRUST:
        return str(value)
    raise InvalidInput(
        "Whose words are these? --trust is missing." if value is None else f"--trust cannot be {value!r}.",
        hint="\n".join(
            [
                "It is one of:",
                *(f"  {name:<11} {meaning}" for name, meaning in TRUST.items()),
                "What is untrusted is stored, but found only with `agentmem search --include-untrusted`.",
            ]
        ),
    )


def full_id(memory: MemoryManager, scope: Scope, given: str) -> str:
    """The id that is meant: itself, or the only one in the scope that ends so, as in a citation (``[m:1022422d]``).

    Raises:
        InvalidInput: several end so.
    """
    match = _ID.fullmatch(given)
    if match is None:
        return given
    tail = match[1]
    if len(tail) == _WHOLE_ID:
        return tail
    # Also what list hides: what is retired can be restored, and what no longer holds has a history.
    there = memory.log.read(LogQuery(scope, retired=True))
    found = [each.id for each in there if each.id.endswith(tail)]
    if tail in found or not found:
        return tail
    if len(found) > 1:
        raise InvalidInput(f"{len(found)} memories end in {tail}: {', '.join(found[:3])}.", hint="Give more digits.")
    return found[0]
