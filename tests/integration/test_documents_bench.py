"""Questions about a long manual find the chunks that answer them, and many readers share one copy of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from agentmem import Memory, MemoryManager, Scope
from agentmem.log.sql import SQLLog
from bench import documents as bench


@pytest.fixture(scope="module")
def library() -> Iterator[tuple[MemoryManager, Sequence[Memory]]]:
    with MemoryManager(SQLLog("sqlite://"), embedder="static", extractor=None) as memory:
        yield memory, memory.store_many(bench.manual(), scope=bench.MANUAL)


def test_the_manual_has_two_hundred_pages_and_sixty_questions() -> None:
    manual = bench.manual()
    assert sum(len(document.content) for document in manual) >= 200 * bench.CHARACTERS_OF_A_PAGE
    assert len(bench.asked(manual)) >= 60


def test_questions_find_the_chunk_that_answers(library: tuple[MemoryManager, Sequence[Memory]]) -> None:
    memory, chunks = library
    found = bench.figures(memory, bench.asked(bench.manual()))
    assert found["recall@5"] >= 0.75
    assert found["recall@10"] >= 0.84
    assert found["recall@5, with neighbours"] >= found["recall@5"]
    assert bench.sizes(chunks)["with_headings"] >= 0.95 * len(chunks)


def test_a_hundred_readers_of_one_layer_hold_it_once(library: tuple[MemoryManager, Sequence[Memory]]) -> None:
    memory, chunks = library
    question = "How do I cut a suffix off a string?"
    expected = [hit.id for hit in memory.retrieve(question, scope=bench.MANUAL)]
    alone = memory.stats().cache_bytes
    for number in range(100):
        reader = Scope(user=f"reader {number}", agent=bench.MANUAL.agent)
        memory.store(f"I prefer chapter {number}.", scope=reader)
        assert [hit.id for hit in memory.retrieve(question, scope=reader) if hit.memory.kind == "document"][:3] == (
            expected[:3]
        )
    assert len(chunks) > 400
    assert memory.stats().cache_bytes < 1.5 * alone
