"""200 people forgotten one by one at 10,000 memories, and every file searched for them: `python -m bench.forget`.

On SQLite alone and with Chroma. Searched for: what they said, rare words of it, the hashes of these words as token
bags hold them, and their vectors as float16 and float32. The control: before, all of it is found.
"""

from __future__ import annotations

import random
import struct
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agentmem import MemoryManager, Scope
from agentmem.interfaces import IndexQuery
from agentmem.lifecycle.residue import Finder
from agentmem.retrieval.lexical import query_terms
from bench.texts import turns
from bench.timing import report

SUBJECTS = 200
MEMORIES = 10_000
OF_EACH = 10


def main() -> None:
    for store in sys.argv[1:] or ("exact", "chroma"):
        with tempfile.TemporaryDirectory(dir=".") as folder:
            figures = measure(Path(folder), store)
        bounds = {"left": ("<=", 0), "forget_all_s": ("<=", 30.0)}
        report(f"forget 200 subjects, {store}", figures, bounds)  # type: ignore[arg-type]


def measure(folder: Path, store: str) -> dict[str, float]:
    """Fill, find everything, forget everybody, find nothing."""
    vectors = {"type": "chroma", "path": str(folder / "chroma")} if store == "chroma" else "exact"
    people = [Scope(user=f"person-{number}", agent="coach") for number in range(SUBJECTS)]
    with MemoryManager.open(folder, vectors=vectors, extractor=None) as memory:
        others = list(turns(MEMORIES - SUBJECTS * OF_EACH))
        for start in range(0, len(others), 1_000):
            memory.store_many(others[start : start + 1_000], scope=Scope(user=f"somebody-{start}"))
        secrets = {person: _secrets(number) for number, person in enumerate(people)}
        for person, (texts, _) in secrets.items():
            memory.store_many(texts, scope=person)
        memory.flush()
        needles, near = _needles(memory, secrets)
        before = _found(folder, needles, near)
        started = time.perf_counter()
        slowest = 0.0
        for person in people:
            begun = time.perf_counter()
            memory.forget(scope=Scope(user=person.user), everything=True, reason="bench")
            slowest = max(slowest, time.perf_counter() - begun)
        forgotten = time.perf_counter() - started
        memory.flush()
        total = time.perf_counter() - started
        pending = sum(each.status != "done" for person in people for each in memory.log.receipts(person))
        left = _found(folder, needles, near)
        kept = sum(memory.stats().memories.values())
    return {
        "sought": float(len(needles) + len(near) // 2),
        "found_before": float(len(before)),
        "left": float(len(left) + len(_found(folder, needles, near))),
        "pending": float(pending),
        "kept": float(kept),
        "forget_all_s": total,
        "of_which_flush_s": total - forgotten,
        "slowest_s": slowest,
    }


def _secrets(number: int) -> tuple[list[str], list[str]]:
    """What one of them said, and the words that nobody else uses."""
    choose = random.Random(number)
    words = ["".join(choose.choices("bcdfghjklmnpqrstvwxz", k=3)) + f"{number}x{place}qu" for place in range(OF_EACH)]
    return [f"My {word} is hidden behind shelf {choose.randrange(10**9)} of {number}." for word in words], words


def _needles(memory: MemoryManager, secrets: dict[Scope, tuple[list[str], list[str]]]) -> tuple[list[bytes], list]:
    exact: list[bytes] = []
    near = []
    for person, (texts, words) in secrets.items():
        exact += [text.encode() for text in texts]
        exact += [word.encode() for word in words]
        [head] = memory.log.heads(Scope(user=person.user))
        rows = memory.log.index_rows(IndexQuery(person, head.partition)).rows
        for row, word in zip(rows, words, strict=True):
            [term] = query_terms(word)[:1]
            # With its count, and the term behind it in the bag: four bytes alone are found anywhere.
            place = row.terms.index(struct.pack("<I", term))
            exact.append(row.terms[max(0, place - 6) : place + 12])
            assert row.vector is not None
            exact.append(row.vector[:64])
            wide = np.frombuffer(row.vector, np.float16).astype(np.float32)
            near += [wide, wide / np.linalg.norm(wide)]
    return exact, near


def _found(folder: Path, needles: Sequence[bytes], near: Sequence[np.ndarray]) -> set[int]:
    """Numbers of the needles that some file holds; the two ways to write a vector count as one."""
    finder = Finder(needles, near)
    numbers: set[int] = set()
    for file in (file for file in folder.rglob("*") if file.is_file()):
        numbers |= {
            number if number < len(needles) else number - (number - len(needles)) % 2 for number in finder.count(file)
        }
    return numbers


if __name__ == "__main__":
    main()
