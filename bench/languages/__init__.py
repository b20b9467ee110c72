"""How well memory finds everyday sentences in other languages than English: `python -m bench.languages`.

Each file beside this one is a language: what somebody told their memory, and the questions that ask for it, in other
words and forms, written for this bench. Every language is asked alone, then all of them lie in one memory. The sets in
``kept_aside`` were written after the rules for eight languages were made, and have changed none of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Final

from agentmem import MemoryManager, Scope
from agentmem.interfaces import Embedder
from agentmem.log.sql import SQLLog

FOLDER: Final = Path(__file__).parent
KEPT_ASIDE: Final = FOLDER / "kept_aside"
DEPTHS: Final = (1, 5)

Told = Mapping[str, Sequence[str]]
"""What was told, in order, and the questions that each sentence answers."""


def languages_in(folder: Path = FOLDER) -> list[str]:
    """The languages that a folder has sets of."""
    return sorted(file.stem for file in folder.glob("*.json"))


def told_in(language: str, folder: Path = FOLDER) -> Told:
    found: Told = json.loads((folder / f"{language}.json").read_text(encoding="utf-8"))
    return found


def recalls(folder: Path = FOLDER, *, embedder: Embedder | None, together: bool = False) -> dict[str, dict[str, float]]:
    """The share of each language's questions whose answer is among the first hits; ``together``: in one memory."""
    told = {language: told_in(language, folder) for language in languages_in(folder)}
    with MemoryManager(SQLLog("sqlite://"), embedder=embedder, extractor=None) as memory:
        for language, sentences in told.items():
            # Without a session: what happens to stand beside an answer should not help to find it.
            memory.store_many(list(sentences), scope=_scope(language, together=together))
        return {
            language: _figures(list(_ranks(memory, sentences, _scope(language, together=together))))
            for language, sentences in told.items()
        }


def _scope(language: str, *, together: bool) -> Scope:
    return Scope(user="all" if together else language)


def _ranks(memory: MemoryManager, told: Told, scope: Scope) -> Iterator[int | None]:
    """Where the answer to each question stands among the first hits, from 0; None if it does not."""
    for answer, questions in told.items():
        for question in questions:
            found = [hit.content for hit in memory.retrieve(question, scope=scope, k=max(DEPTHS))]
            yield found.index(answer) if answer in found else None


def _figures(ranks: Sequence[int | None]) -> dict[str, float]:
    recall = {f"recall@{depth}": fmean(rank is not None and rank < depth for rank in ranks) for depth in DEPTHS}
    return {"questions": len(ranks), **recall}
