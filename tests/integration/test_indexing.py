"""Real SQLite and real Chroma; embedders that fail on cue."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem.embedders import from_blobs, to_blob
from agentmem.errors import BackendError, ConfigError, StoreBusy
from agentmem.interfaces import (
    Embedder,
    EmbedRequest,
    Generation,
    IndexQuery,
    Revision,
    VectorChange,
    VectorHits,
    VectorQuery,
    VectorStore,
)
from agentmem.lifecycle.indexing import Indexer
from agentmem.lifecycle.jobs import Backoff, Worker
from agentmem.log.sql import SQLLog
from agentmem.records import Finding, Memory, Scope
from agentmem.testing.fakes import FailingEmbedder, WordHashEmbedder, draft
from agentmem.vectors import index_name
from agentmem.vectors.chroma import ChromaVectors
from agentmem.vectors.exact import ExactVectors

ANA = Scope(user="ana")
BEN = Scope(user="ben")
AT_ONCE = Backoff(tries=3, first_s=0)


class Remote(WordHashEmbedder):
    """A service: not local, counts what it is asked, refuses texts that hold a word, may be down."""

    is_local = False

    def __init__(self, dimensions: int = 64) -> None:
        super().__init__(dimensions)
        self.asked: list[list[str]] = []
        self.down = False
        self.refused = "poison"

    def embed(self, request: EmbedRequest) -> np.ndarray:
        self.asked.append(list(request.texts))
        if self.down or any(self.refused in text for text in request.texts):
            raise BackendError("refused")
        return super().embed(request)


class Plain(VectorStore):
    """Vectors in a dictionary; may fail before or after it applied."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], dict[int, np.ndarray]] = {}
        self.changes: list[VectorChange] = []
        self.fail_on: set[int] = set()
        self.die_after = False

    def apply(self, change: VectorChange, *, connection: object = None) -> None:
        if change.partition in self.fail_on:
            raise BackendError("disk")
        self.changes.append(change)
        kept = self.kept.setdefault((change.generation.number, change.partition), {})
        for row in change.gone:
            kept.pop(row, None)
        kept.update(zip(change.rows.tolist(), change.vectors, strict=True))
        if self.die_after:
            raise KeyboardInterrupt

    def search(self, query: VectorQuery) -> VectorHits:
        raise NotImplementedError

    def rows(self, generation: Generation, partition: int) -> set[int]:
        return set(self.kept.get((generation.number, partition), ()))

    def drop(self, generation: Generation, partition: int) -> None:
        self.kept.pop((generation.number, partition), None)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLLog]:
    log = SQLLog(f"sqlite:///{tmp_path}/agentmem.db")
    yield log
    log.close()


def indexer(log: SQLLog, embedder: Embedder | None = None, vectors: VectorStore | None = None) -> Indexer:
    return Indexer(log, embedder=embedder, vectors=vectors, backoff=AT_ONCE)


def store(log: SQLLog, scope: Scope, *texts: str, embedder: Embedder | None = None) -> list[Memory]:
    """Append as the manager does: with vectors if an embedder is given."""
    if embedder is None:
        return log.append(scope, [draft(text) for text in texts], generation=None)
    generation = log.generation() or log.start_generation(embedder.fingerprint(), embedder.dimensions, embedder.name)
    blobs = to_blob(embedder.embed(EmbedRequest(texts)))
    drafts = [draft(text, vector=blob) for text, blob in zip(texts, blobs, strict=True)]
    return log.append(scope, drafts, generation=generation.number)


def never(_: float) -> bool:
    return False


def vectors_of(log: SQLLog, scope: Scope) -> dict[str, np.ndarray | None]:
    [head] = log.heads(scope)
    batch = log.index_rows(IndexQuery(scope, head.partition))
    current = log.generation()
    assert current is not None
    return {
        row.id: from_blobs([row.vector], current.dimensions)[0]
        if row.vector is not None and row.generation == current.number
        else None
        for row in batch.rows
    }


def findings(indexer: Indexer, *, deep: bool = False) -> dict[str, Finding]:
    return {finding.name: finding for finding in indexer.check(deep=deep)}


# --- embedding ------------------------------------------------------------------------------------


def test_what_waits_is_embedded_in_batches_and_asked_once(log: SQLLog) -> None:
    embedder = Remote()
    memories = store(log, ANA, *(f"turn {number} of ana" for number in range(600)))
    store(log, BEN, "hello from ben")
    worker = indexer(log, embedder)
    assert worker.run(never)
    expected = WordHashEmbedder().embed(EmbedRequest([memory.content for memory in memories]))
    found = vectors_of(log, ANA)
    assert np.allclose([found[memory.id] for memory in memories], expected, atol=2e-3)
    assert log.counts()["waiting"] == 0
    asked = len(embedder.asked)
    assert asked <= 1 + 3 + 1, "the fingerprint's probes, three batches of ana's, one of ben's"
    worker.run(never)
    worker.run(never)
    assert len(embedder.asked) == asked


def test_only_what_is_new_is_asked_for(log: SQLLog) -> None:
    embedder = Remote()
    worker = indexer(log, embedder)
    [first] = store(log, ANA, "the first")
    worker.run(never)
    store(log, ANA, "the second")
    log.revise(ANA, first.id, Revision(content="the first, corrected"), expected_version=None, generation=None)
    worker.run(never)
    assert sorted(embedder.asked[-1]) == ["the first, corrected", "the second"]
    assert all(vector is not None for vector in vectors_of(log, ANA).values())


def test_a_text_without_a_vector_no_longer_waits(log: SQLLog) -> None:
    store(log, ANA, "...", "words")
    assert indexer(log, Remote()).run(never)
    assert log.counts()["waiting"] == 0
    assert [vector is None for vector in vectors_of(log, ANA).values()] == [True, False]


def test_a_service_that_is_down_loses_nothing_and_is_tried_again(log: SQLLog) -> None:
    embedder = Remote()
    worker = indexer(log, embedder)
    store(log, ANA, "before")
    worker.run(never)
    embedder.down = True
    store(log, ANA, "while it was down")
    asked = len(embedder.asked)
    assert not worker.run(never)
    assert len(embedder.asked) - asked == AT_ONCE.tries + 1, "three tries and one probe"
    assert not findings(worker)["embedding"].ok
    assert "refused" in findings(worker)["embedding"].detail
    embedder.down = False
    assert worker.run(never)
    assert findings(worker)["embedding"].ok
    assert log.counts()["waiting"] == 0


def test_a_service_that_is_down_at_the_start_starts_no_generation(log: SQLLog) -> None:
    embedder = Remote()
    embedder.down = True
    store(log, ANA, "words")
    worker = indexer(log, embedder)
    assert not worker.run(never)
    assert log.generation() is None
    embedder.down = False
    assert worker.run(never)
    assert log.counts()["waiting"] == 0


def test_a_text_that_is_refused_is_given_up_and_holds_up_no_other(log: SQLLog) -> None:
    embedder = Remote()
    [_, poison, _] = store(log, ANA, "good", "poison", "also good")
    store(log, BEN, "ben's words")
    worker = indexer(log, embedder)
    assert worker.run(never)
    assert [vector is None for vector in vectors_of(log, ANA).values()] == [False, True, False]
    assert log.counts()["waiting"] == 1
    finding = findings(worker)["embedding"]
    assert not finding.ok
    assert poison.id in finding.detail
    assert "poison" not in finding.detail
    asked = len(embedder.asked)
    worker.run(never)
    assert len(embedder.asked) == asked, "given up means not asked again"


def test_repair_tries_again_what_was_given_up(log: SQLLog) -> None:
    picky = Remote()
    store(log, ANA, "poison")
    worker = indexer(log, picky)
    worker.run(never)
    picky.refused = "nothing any more"
    assert worker.repair() == ["1 memories were embedded"]
    assert findings(worker)["embedding"].ok
    assert log.counts()["waiting"] == 0


def test_a_local_embedder_leaves_nothing_to_follow(log: SQLLog) -> None:
    worker = indexer(log, WordHashEmbedder(), ExactVectors())
    assert not worker.is_needed
    store(log, ANA, "words")
    assert worker.run(never)
    assert log.counts()["waiting"] == 1
    assert Worker(worker).flush(0)
    assert not [thread for thread in threading.enumerate() if thread.name == "agentmem-worker"]


def test_another_embedder_does_not_touch_the_generation_that_is_there(log: SQLLog) -> None:
    store(log, ANA, "words", embedder=WordHashEmbedder(32))
    store(log, ANA, "more words")
    assert indexer(log, Remote()).run(never)
    generation = log.generation()
    assert generation is not None
    assert (generation.number, generation.dimensions) == (1, 32)
    assert log.counts()["waiting"] == 1


# --- embedding again ------------------------------------------------------------------------------


def test_reembedding_makes_a_new_generation_of_everything(log: SQLLog) -> None:
    store(log, ANA, *(f"turn {number}" for number in range(300)), embedder=WordHashEmbedder(32))
    store(log, BEN, "ben", embedder=WordHashEmbedder(32))
    told: list[tuple[int, int]] = []
    done = indexer(log, WordHashEmbedder(16)).reembed(lambda done, total: told.append((done, total)))
    assert done == 301
    assert told[-1] == (301, 301)
    assert [count for count, _ in told] == sorted(count for count, _ in told)
    generation = log.generation()
    assert generation is not None
    assert (generation.number, generation.dimensions) == (2, 16)
    assert all(vector is not None and vector.shape == (16,) for vector in vectors_of(log, ANA).values())
    assert indexer(log, WordHashEmbedder(16)).reembed() == 0
    assert log.generation() == generation


def test_an_interrupted_reembedding_goes_on_where_it_was(log: SQLLog) -> None:
    store(log, ANA, *(f"turn {number}" for number in range(600)), embedder=WordHashEmbedder(32))
    embedder = FailingEmbedder(WordHashEmbedder(16))

    def break_it(done: int, _: int) -> None:
        embedder.broken = True

    with pytest.raises(BackendError):
        indexer(log, embedder).reembed(break_it)
    generation = log.generation()
    assert 0 < log.counts()["waiting"] < 600
    embedder.broken = False
    waiting = log.counts()["waiting"]
    assert indexer(log, embedder).reembed() == waiting
    assert log.generation() == generation


def test_reembedding_needs_an_embedder(log: SQLLog) -> None:
    with pytest.raises(ConfigError):
        indexer(log).reembed()


# --- a vector store of its own --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["plain", "chroma"])
def test_a_store_holds_exactly_the_current_vectors(log: SQLLog, tmp_path: Path, kind: str) -> None:
    vectors: VectorStore = Plain() if kind == "plain" else ChromaVectors(tmp_path / "chroma")
    embedder = WordHashEmbedder()
    worker = indexer(log, embedder, vectors)
    assert worker.is_needed
    [one, two, _] = store(log, ANA, "one", "two", "three", embedder=embedder)
    store(log, BEN, "ben", embedder=embedder)
    assert worker.run(never)
    assert findings(worker, deep=True)["vector store"].ok
    blob = to_blob(embedder.embed(EmbedRequest(["uno"])))[0]
    log.revise(ANA, one.id, Revision(content="uno", vector=blob), expected_version=None, generation=1)
    log.erase(ANA, [two.id], mode="erase")
    assert not findings(worker)["vector store"].ok
    assert worker.run(never)
    assert findings(worker, deep=True)["vector store"].ok
    [head] = log.heads(ANA)
    generation = log.generation()
    assert generation is not None
    assert len(vectors.rows(generation, head.partition)) == 2
    vectors.close()


def test_vectors_that_come_later_reach_the_store_too(log: SQLLog) -> None:
    vectors = Plain()
    worker = indexer(log, Remote(), vectors)
    store(log, ANA, "one", "two")
    assert worker.run(never)
    [head] = log.heads(ANA)
    assert len(vectors.kept[1, head.partition]) == 2


def test_a_crash_between_store_and_cursor_changes_nothing(log: SQLLog) -> None:
    vectors = Plain()
    embedder = WordHashEmbedder()
    [one, _] = store(log, ANA, "one", "two", embedder=embedder)
    indexer(log, embedder, vectors).run(never)
    store(log, ANA, "three", embedder=embedder)
    log.erase(ANA, [one.id], mode="erase")
    vectors.die_after = True
    with pytest.raises(KeyboardInterrupt):
        indexer(log, embedder, vectors).run(never)
    vectors.die_after = False
    again = indexer(log, embedder, vectors)
    again.run(never)
    assert findings(again, deep=True)["vector store"].ok


def test_a_crash_in_the_very_first_filling_leaves_no_ghost(log: SQLLog) -> None:
    vectors = Plain()
    embedder = WordHashEmbedder()
    [one, _] = store(log, ANA, "one", "two", embedder=embedder)
    vectors.die_after = True
    with pytest.raises(KeyboardInterrupt):
        indexer(log, embedder, vectors).run(never)
    vectors.die_after = False
    log.erase(ANA, [one.id], mode="erase")
    again = indexer(log, embedder, vectors)
    again.run(never)
    assert findings(again, deep=True)["vector store"].ok


def test_a_store_that_was_emptied_is_filled_again(log: SQLLog) -> None:
    embedder = WordHashEmbedder()
    store(log, ANA, "one", "two", embedder=embedder)
    indexer(log, embedder, Plain()).run(never)
    emptied = Plain()
    again = indexer(log, embedder, emptied)
    again.run(never)
    [head] = log.heads(ANA)
    assert len(emptied.kept[1, head.partition]) == 2


def test_a_partition_that_fails_holds_up_no_other(log: SQLLog) -> None:
    vectors = Plain()
    embedder = WordHashEmbedder()
    store(log, ANA, "ana", embedder=embedder)
    store(log, BEN, "ben", embedder=embedder)
    [ana], [ben] = log.heads(ANA), log.heads(BEN)
    vectors.fail_on = {ana.partition}
    worker = indexer(log, embedder, vectors)
    assert not worker.run(never)
    assert vectors.kept[1, ben.partition]
    assert findings(worker)["vector store"].detail == "disk"
    vectors.fail_on = set()
    assert worker.run(never)
    assert findings(worker, deep=True)["vector store"].ok


def test_repair_builds_again_what_differs_and_only_that(log: SQLLog) -> None:
    vectors = Plain()
    embedder = WordHashEmbedder()
    store(log, ANA, "one", "two", embedder=embedder)
    store(log, BEN, "ben", embedder=embedder)
    worker = indexer(log, embedder, vectors)
    worker.run(never)
    [head] = log.heads(ANA)
    vectors.kept[1, head.partition].popitem()
    assert findings(worker)["vector store"].ok, "counting is not looking"
    assert not findings(worker, deep=True)["vector store"].ok
    assert worker.repair() == [f"the vector store's partition {head.partition} was built again"]
    assert findings(worker, deep=True)["vector store"].ok
    assert worker.repair() == []


def test_a_new_generation_replaces_the_old_one_in_the_store(log: SQLLog) -> None:
    vectors = Plain()
    store(log, ANA, "one", "two", embedder=WordHashEmbedder(32))
    indexer(log, WordHashEmbedder(32), vectors).run(never)
    indexer(log, WordHashEmbedder(16), vectors).reembed()
    [head] = log.heads(ANA)
    assert set(vectors.kept) == {(2, head.partition)}


def test_a_store_owned_by_another_process_is_reported(log: SQLLog, tmp_path: Path) -> None:
    owner, other = ChromaVectors(tmp_path / "chroma"), ChromaVectors(tmp_path / "chroma")
    assert index_name(owner) == index_name(other) != index_name(ChromaVectors(tmp_path / "elsewhere"))
    embedder = WordHashEmbedder()
    store(log, ANA, "one", embedder=embedder)
    assert indexer(log, embedder, owner).run(never)
    store(log, ANA, "two", embedder=embedder)
    second = indexer(log, embedder, other)
    assert not second.run(never)
    assert "in use" in findings(second)["vector store"].detail
    [head] = log.heads(ANA)
    with pytest.raises(StoreBusy):
        second.catch_up(head)
    assert indexer(log, embedder, owner).run(never)
    owner.close()
    other.close()


# --- all of it, in its thread ---------------------------------------------------------------------


def test_a_worker_drains_what_many_threads_store(log: SQLLog) -> None:
    vectors = Plain()
    job = indexer(log, Remote(), vectors)
    worker = Worker(job)

    def say(scope: Scope) -> None:
        for number in range(20):
            store(log, scope, f"turn {number} by {scope.user}")
            worker.wake()

    threads = [threading.Thread(target=say, args=(Scope(user=f"user {number}"),)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert worker.flush(30)
    assert log.counts()["waiting"] == 0
    assert findings(job, deep=True)["vector store"].ok
    assert sum(map(len, vectors.kept.values())) == 80
    worker.close()
