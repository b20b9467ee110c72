"""What a reader finds in a file: something to keep, something passed over, or a record that cannot be taken."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from agentmem.records import Document, Memory, Turn


@dataclass(frozen=True, slots=True)
class Problem:
    """A record that was not taken: where it stands (``turns.jsonl:7``) and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that holds no words to keep (an image, a hidden message); counted by reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class FoundTurn:
    place: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class FoundDocument:
    place: str
    document: Document


@dataclass(frozen=True, slots=True)
class FoundHistory:
    """One memory of an export with all its versions, oldest first."""

    place: str
    versions: tuple[Memory, ...]


Found = FoundTurn | FoundDocument | FoundHistory | Skipped | Problem
Findings = Iterator[Found]


class Keys:
    """Idempotency keys that are the same at the next import of the same file.

    A message without an id is known by its words and by how many equal ones came before it in its conversation,
    so that lines may be added anywhere and "ok" said twice stays two turns.
    """

    def __init__(self) -> None:
        self._seen: Counter[str] = Counter()

    def of_message(self, kind: str, conversation: str, id: str) -> str:
        return f"import:{kind}:{_digest(conversation, id)}"

    def of_words(self, kind: str, conversation: str, *words: str) -> str:
        said = _digest(conversation, *words)
        self._seen[said] += 1
        return f"import:{kind}:{_digest(said, str(self._seen[said]))}"


def _digest(*parts: str) -> str:
    return hashlib.blake2b(json.dumps(parts).encode(), digest_size=16).hexdigest()
