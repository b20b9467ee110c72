"""What was said in a conversation, and what of it is new: pure functions over messages.

Applications send the whole conversation with every call, a window of it, or only the last words. ``first_new``
tells what of it was not there before, so that nothing is stored twice and a repeated "ok" is still kept. What was
forgotten is not there either: where it may be among what is sent again, only ``first_unsent`` and on is recorded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agentmem.records import Role

_PIECE_CHARACTERS: Final = 250_000
"""Longest text of one turn: even at four bytes a character it stays below a memory's 1 MiB."""


@dataclass(frozen=True, slots=True)
class Said:
    """One thing in a conversation that memory can keep: never the application's system prompt.

    Args:
        is_call: The model calls a tool; kept under the role of what tools say.
    """

    role: Role
    text: str
    speaker: str | None = None
    is_call: bool = False

    @property
    def key(self) -> bytes:
        """Equal for the same words of the same role, whether sent, answered, resent or read back from the log."""
        return hashlib.blake2b(f"{self.role}\0{self.text.strip()}".encode(), digest_size=16).digest()


def say(role: Role, text: str, speaker: str | None = None, *, is_call: bool = False) -> Iterator[Said]:
    """The text as memory can hold it: nothing if it is blank, in pieces if it is too long for one turn."""
    # NUL and lone surrogates can be sent to a model but not be stored.
    text = text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
    if text.strip():
        for start in range(0, len(text), _PIECE_CHARACTERS):
            yield Said(role, text[start : start + _PIECE_CHARACTERS], speaker, is_call)


def first_new(known: Sequence[bytes], said: Sequence[Said], *, unanswered: bytes | None = None) -> int:
    """Where in ``said`` begins what the session does not know yet; ``len(said)`` if it knows all.

    The overlap is the longest run of ``said`` that ends where ``known`` ends (history resent, a window of it, or
    one with a new head) or that begins ``said`` and stands anywhere in ``known`` (the conversation went back).
    One user message alone is no overlap: people repeat an "ok". And a user message at the end was said anew, unless
    what was said last has no answer: then the same call is tried again after it failed.

    Args:
        known: Keys of what the session holds, oldest first.
        unanswered: Key of the user's last words, if the call before this one was not answered.
    """
    keys = [one.key for one in said]
    overlaps = [_shared_tail(known, keys), _shared_head(known, keys)]
    end, length = max(overlaps, key=lambda overlap: overlap[1])
    is_lone_user = length == 1 and said[end - 1].role == "user"
    is_tried_again = end == len(said) and keys[-1:] == [unanswered]
    is_whole_history = length == len(known) and (end < len(said) or unanswered is not None)
    if length == 0 or (is_lone_user and not is_whole_history and not is_tried_again):
        return 0
    if end == len(said) and said[-1].role == "user" and unanswered is None:
        return end - 1
    return end


def first_unsent(said: Sequence[Said]) -> int:
    """Where in ``said`` begins what no earlier call can have held: behind the model's last answer.

    Without any answer it is the user's last message.
    """
    answers = [place for place, one in enumerate(said) if one.role == "assistant" or one.is_call]
    return answers[-1] + 1 if answers else last_of_user(said) or 0


def last_of_user(said: Sequence[Said]) -> int | None:
    """Where in ``said`` the user's last words stand."""
    return max((place for place, one in enumerate(said) if one.role == "user"), default=None)


def _shared_tail(known: Sequence[bytes], keys: Sequence[bytes]) -> tuple[int, int]:
    """(end, length) of the longest run of ``keys`` that is a tail of ``known``; the first of equals."""
    best = (0, 0)
    for end in range(1, len(keys) + 1):
        length = 0
        while length < min(end, len(known)) and keys[end - 1 - length] == known[-1 - length]:
            length += 1
        if length > best[1]:
            best = (end, length)
    return best


def _shared_head(known: Sequence[bytes], keys: Sequence[bytes]) -> tuple[int, int]:
    """(end, length) of the longest head of ``keys`` that stands anywhere in ``known``."""
    best = 0
    for start in range(len(known)):
        length = 0
        while length < min(len(keys), len(known) - start) and keys[length] == known[start + length]:
            length += 1
        best = max(best, length)
    return best, best
