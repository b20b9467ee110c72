"""Forgetting when an index or a file will not let go: there is a receipt, it says so, and the rest is done later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from agentmem import MemoryManager, MemoryNotFound, Scope, StoreBusy
from agentmem.errors import BackendError
from agentmem.interfaces import Generation, VectorChange, VectorHits, VectorQuery, VectorStore
from agentmem.log.sql import SQLLog
from agentmem.testing import WordHashEmbedder

ANA = Scope(user="ana")


class Held(VectorStore):
    """Vectors in a dictionary; may refuse every change, or let something else happen just before one."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], dict[int, np.ndarray]] = {}
        self.is_down = False
        self.meanwhile = lambda: None

    def apply(self, change: VectorChange, *, connection: object = None) -> None:
        self._require_up()
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        kept = self.kept.setdefault((change.generation.number, change.partition), {})
        for row in change.gone:
            kept.pop(row, None)
        kept.update(zip(change.rows.tolist(), change.vectors, strict=True))

    def search(self, query: VectorQuery) -> VectorHits:
        return VectorHits(np.zeros(0, np.int64), np.zeros(0, np.float32))

    def rows(self, generation: Generation, partition: int) -> set[int]:
        return set(self.kept.get((generation.number, partition), ()))

    def drop(self, generation: Generation, partition: int) -> None:
        self._require_up()
        self.kept.pop((generation.number, partition), None)

    def _require_up(self) -> None:
        if self.is_down:
            raise BackendError("the store is down")

    @property
    def count(self) -> int:
        return sum(map(len, self.kept.values()))


class Stubborn(SQLLog):
    """A log whose files another writer holds."""

    is_held = True

    def purge_traces(self) -> tuple[str, ...]:
        if self.is_held:
            raise StoreBusy("another writer holds it")
        return super().purge_traces()


@pytest.fixture
def store() -> Held:
    return Held()


@pytest.fixture
def memory(tmp_path: Path, store: Held) -> Iterator[MemoryManager]:
    with MemoryManager.open(tmp_path, vectors=store, embedder=WordHashEmbedder()) as memory:
        yield memory


@pytest.mark.parametrize("everything", [False, True])
def test_a_store_that_fails_makes_the_receipt_pending_and_is_told_later(
    memory: MemoryManager, store: Held, everything: bool
) -> None:
    old = memory.store("Her number is 0470.", scope=ANA)
    assert memory.flush()
    store.is_down = True
    receipt = memory.forget(None if everything else old.id, scope=ANA, everything=everything, verify=True)
    assert (receipt.status, receipt.memories, receipt.verified) == ("pending", 1, None)
    assert "the store is down" in receipt.remaining[0]
    with pytest.raises(MemoryNotFound):
        memory.get(old.id, scope=ANA)
    store.is_down = False
    memory.flush()
    assert store.count == 0


def test_a_log_that_cannot_empty_its_files_makes_the_receipt_pending(tmp_path: Path) -> None:
    log = Stubborn(f"sqlite:///{tmp_path}/agentmem.db")
    with MemoryManager(log, embedder=None) as memory:
        old = memory.store("Her number is 0470.", scope=ANA)
        assert memory.forget(old.id, scope=ANA).status == "pending"
        log.is_held = False
        memory.flush()
    assert not any(b"0470" in file.read_bytes() for file in tmp_path.iterdir())
    log.close()


@pytest.mark.parametrize("everything", [False, True])
def test_vectors_of_another_embedder_are_dropped_too(tmp_path: Path, store: Held, everything: bool) -> None:
    with MemoryManager.open(tmp_path, vectors=store, embedder=WordHashEmbedder()) as memory:
        old = memory.store("Her number is 0470.", scope=ANA)
        assert memory.flush()
    assert store.count == 1
    with MemoryManager.open(tmp_path, vectors=store, embedder=WordHashEmbedder(32)) as memory:
        receipt = memory.forget(None if everything else old.id, scope=ANA, everything=everything)
        assert (receipt.status, store.count) == ("done", 0)


def test_vectors_that_were_on_their_way_do_not_outlive_their_user(
    tmp_path: Path, memory: MemoryManager, store: Held
) -> None:
    def forget_ana_elsewhere() -> None:
        with MemoryManager.open(tmp_path, embedder=WordHashEmbedder()) as other:
            other.forget(scope=ANA, everything=True)

    store.meanwhile = forget_ana_elsewhere
    memory.store("Her number is 0470.", scope=ANA)
    memory.flush()
    assert store.count == 0
