"""How well questions about a long manual find the chunk that answers: `python -m bench.documents`.

The manual is the Python reference that every Python carries for `help()` (PSF licence): some 200 pages of plain text.
The questions, and a few words of the passage that answers each, were written for this bench. Pythons differ in their
texts: what one lacks is left out and counted.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from pydoc_data.topics import topics
from statistics import fmean
from typing import Final

from agentmem import Document, Memory, MemoryManager, Scope

QUESTIONS: Final = Path(__file__).parent / "questions.json"
DEPTHS: Final = (1, 5, 10)
CHARACTERS_OF_A_PAGE: Final = 1_800
MANUAL: Final = Scope(agent="librarian")

_MOSTLY_KNOWN: Final = 0.5
_MARKUP: Final = re.compile(r"[*`\"'“”‘’]")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, and words that only the passage which answers it holds."""

    question: str
    says: str

    def is_answered_by(self, *texts: str) -> bool:
        return any(self.says in plain(text) for text in texts)


def manual() -> list[Document]:
    """The topics of the manual as documents; one of which most paragraphs stand in a longer one is left out."""
    found, known = [], set[str]()
    for name, text in sorted(topics.items(), key=lambda topic: -len(topic[1])):
        paragraphs = [plain(paragraph) for paragraph in text.split("\n\n") if len(paragraph) > 40]
        if sum(paragraph in known for paragraph in paragraphs) <= _MOSTLY_KNOWN * len(paragraphs):
            found.append(Document(text, name=f"{name}.txt", media_type="text/plain"))
            known.update(paragraphs)
    return found


def asked(documents: Sequence[Document]) -> list[Asked]:
    """The questions that these documents answer."""
    texts = [plain(document.content) for document in documents]
    questions = [Asked(question, plain(says)) for question, says in json.loads(QUESTIONS.read_text(encoding="utf-8"))]
    return [each for each in questions if any(each.says in text for text in texts)]


def plain(text: str) -> str:
    """The words of a text on one line, without its markup, in lower case."""
    return " ".join(_MARKUP.sub("", text).split()).replace("- ", "-").casefold()


def figures(memory: MemoryManager, questions: Sequence[Asked], *, scope: Scope = MANUAL) -> dict[str, float]:
    """Recall of the chunk that answers at each depth; at 5 also where its neighbours in the document count."""
    ranks = [rank for rank, _ in _ranked(memory, questions, scope)]
    near = [rank for _, rank in _ranked(memory, questions, scope)]
    return {f"recall@{depth}": fmean(rank < depth for rank in ranks) for depth in DEPTHS} | {
        "recall@5, with neighbours": fmean(rank < 5 for rank in near),
        "mean reciprocal rank": fmean(1 / (1 + rank) for rank in ranks),
    }


def missed(memory: MemoryManager, questions: Sequence[Asked], *, scope: Scope = MANUAL) -> list[str]:
    """The questions whose answer is not among the first five."""
    ranked = zip(questions, _ranked(memory, questions, scope), strict=True)
    return [f"{each.question} ({rank})" for each, (rank, _) in ranked if rank >= 5]


def sizes(chunks: Sequence[Memory]) -> dict[str, float]:
    """How long chunks are, in characters, and how many are no longer than a line."""
    lengths = sorted(len(chunk.content) for chunk in chunks)
    return {
        "chunks": len(lengths),
        "characters_p50": lengths[len(lengths) // 2],
        "characters_max": lengths[-1],
        "of_a_line": sum(length < 80 for length in lengths),
        "with_headings": Counter(bool(chunk.source and chunk.source.headings) for chunk in chunks)[True],
    }


def _ranked(memory: MemoryManager, questions: Sequence[Asked], scope: Scope) -> Iterator[tuple[float, float]]:
    """The place of the first hit that answers each question, and of the first that does with its neighbours."""
    for each in questions:
        hits = list(memory.retrieve(each.question, scope=scope, k=50))
        own = (place for place, hit in enumerate(hits) if each.is_answered_by(hit.content))
        near = (
            place
            for place, hit in enumerate(hits)
            if each.is_answered_by(hit.content, *(neighbour.content for neighbour in hit.neighbours))
        )
        yield next(own, float("inf")), next(near, float("inf"))
