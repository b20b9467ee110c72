"""Exact cosine in process: every vector of a partition is compared, so nothing is ever missed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem.growing import GrowingArray
from agentmem.interfaces import Generation, VectorChange, VectorHits, VectorQuery, VectorStore

if TYPE_CHECKING:
    from agentmem.interfaces import RowNumbers, Scores, Vectors


class VectorTable:
    """Vectors by slot; a slot without a vector is a row of zeros."""

    def __init__(self, dimensions: int) -> None:
        self.dimensions = dimensions
        self._rows = GrowingArray(np.float32, width=dimensions)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    def put(self, slots: RowNumbers, vectors: Vectors) -> None:
        """Set the vectors of these slots; ``vectors`` (n, d) float32."""
        self.resize(int(slots.max(initial=-1)) + 1)
        self._rows.values[slots] = vectors

    def resize(self, size: int) -> None:
        """Have at least so many slots."""
        self._rows.resize(size)

    def clear(self, slots: RowNumbers) -> None:
        """Forget the vectors of these slots."""
        self._rows.values[slots] = 0.0

    def cosines(self, vector: Vectors) -> Scores:
        """The cosine of every slot to a (d,) vector: (slots,) float32; 0 where there is no vector."""
        # Not ``@``: BLAS would share the work among threads, which is slower as soon as another process needs a core.
        cosines: Scores = np.vecdot(self._rows.values, vector)
        return cosines


class ExactVectors(VectorStore):
    """Exact nearest vectors in memory; nothing on disk.

    The default. The retriever then keeps each partition's ``VectorTable`` beside its token bags, under one budget
    and loaded from the log, so nobody has to apply anything here; used by itself it is a store like any other.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._partitions: dict[tuple[int, int], _Partition] = {}

    @property
    def nbytes(self) -> int:
        return sum(partition.table.nbytes for partition in self._partitions.values())

    def apply(self, change: VectorChange, *, connection: Any = None) -> None:
        key = (change.generation.number, change.partition)
        with self._lock:
            if key not in self._partitions:
                self._partitions[key] = _Partition(change.generation.dimensions)
            self._partitions[key].apply(change)

    def search(self, query: VectorQuery) -> VectorHits:
        with self._lock:
            partition = self._partitions.get((query.generation.number, query.partition))
            if partition is None or query.limit < 1:
                return VectorHits(np.zeros(0, np.int64), np.zeros(0, np.float32))
            rows = np.fromiter(partition.slots, np.int64, len(partition.slots))
            slots = np.fromiter(partition.slots.values(), np.int64, len(partition.slots))
            scores = partition.table.cosines(np.asarray(query.vector, np.float32))[slots]
        best = np.lexsort((rows, -scores))[: query.limit]
        return VectorHits(rows[best], scores[best])

    def rows(self, generation: Generation, partition: int) -> set[int]:
        with self._lock:
            held = self._partitions.get((generation.number, partition))
            return set(held.slots) if held else set()

    def drop(self, generation: Generation, partition: int) -> None:
        with self._lock:
            self._partitions.pop((generation.number, partition), None)


class _Partition:
    """One partition's vectors of one generation, found by row number; slots of dropped rows are used again."""

    def __init__(self, dimensions: int) -> None:
        self.table = VectorTable(dimensions)
        self.slots: dict[int, int] = {}
        self._free: list[int] = []

    def apply(self, change: VectorChange) -> None:
        dropped = [self.slots.pop(row) for row in change.gone if row in self.slots]
        self.table.clear(np.asarray(dropped, np.int64))
        self._free += dropped
        gone = set(change.gone)
        kept = [place for place, row in enumerate(change.rows.tolist()) if row not in gone]
        for row in change.rows[kept].tolist():
            if row not in self.slots:
                self.slots[row] = self._free.pop() if self._free else len(self.slots)
        slots = np.asarray([self.slots[row] for row in change.rows[kept].tolist()], np.int64)
        self.table.put(slots, np.asarray(change.vectors, np.float32)[kept])
