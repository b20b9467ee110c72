"""Forgetting: the log first, then every index, then the traces in files; and a receipt of what was done."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from agentmem.clock import Clock
from agentmem.errors import AgentMemError
from agentmem.interfaces import EpisodicLog, Erasure, LogQuery, VectorChange, VectorStore
from agentmem.log.rows import new_id
from agentmem.records import ForgetMode, Receipt, Scope


class Forgetter:
    """Carries out ``forget`` over a log and its vector store."""

    def __init__(self, log: EpisodicLog, *, vectors: VectorStore, clock: Clock) -> None:
        self._log = log
        self._vectors = vectors
        self._clock = clock
        self._undropped: list[Erasure] = []
        self._traces_left = False

    def purge_rest(self) -> None:
        """Try again to remove what an earlier ``forget`` had to leave."""
        left, self._undropped = self._undropped, []
        for erasure in left:
            self._drop_vectors(erasure)
        if self._traces_left:
            self._purge_log()

    def memories(
        self, scope: Scope, ids: Sequence[str], *, mode: ForgetMode, dry_run: bool, verify: bool, reason: str | None
    ) -> Receipt:
        """Forget these memories of the scope."""
        receipt = self._receipt(mode, reason)
        wanted = list(dict.fromkeys(ids))
        if not wanted and not dry_run:
            return replace(receipt, status="done", done_at=self._clock(), verified=True if verify else None)
        erasure = self._log.erase(scope, wanted, mode=mode, dry_run=dry_run)
        if dry_run:
            return replace(receipt, status="dry_run", memories=erasure.memories, rows=erasure.rows)
        return self._finished(receipt, erasure, scope, wanted if verify else None)

    def everything(self, scope: Scope, *, dry_run: bool, verify: bool, reason: str | None) -> Receipt:
        """Erase every memory of one user, or of one agent's layer."""
        receipt = self._receipt("erase", reason)
        erasure = self._log.erase_everything(scope, dry_run=dry_run)
        if dry_run:
            return replace(receipt, status="dry_run", memories=erasure.memories, rows=erasure.rows)
        return self._finished(receipt, erasure, scope, () if verify else None)

    def _finished(self, receipt: Receipt, erasure: Erasure, scope: Scope, looked_for: Sequence[str] | None) -> Receipt:
        remaining = self._drop_vectors(erasure)
        if receipt.mode == "erase":
            remaining += self._purge_log() + _left("the vector store's files", self._vectors.purge_traces)
        verified = None if looked_for is None else self._is_gone(scope, looked_for, receipt.mode)
        done = not remaining and verified is not False
        return replace(
            receipt,
            status="done" if done else "pending",
            done_at=self._clock() if done else None,
            memories=erasure.memories,
            rows={name: count for name, count in erasure.rows.items() if count},
            remaining=remaining,
            verified=verified,
        )

    def _drop_vectors(self, erasure: Erasure) -> tuple[str, ...]:
        """Drop the vectors of what was erased; what is left to do, in words, and kept for the next try."""
        left = _left("the vector store", lambda: self._vectors_dropped(erasure))
        if left:
            self._undropped.append(erasure)
        return left

    def _vectors_dropped(self, erasure: Erasure) -> tuple[str, ...]:
        # Whatever embedder made them: one that is no longer configured must not keep them.
        generation = self._log.generation()
        if generation is None:
            return ()
        for partition in erasure.partitions:
            for number in range(1, generation.number + 1):
                self._vectors.drop(replace(generation, number=number), partition)
        for partition, pairs in itertools.groupby(sorted(erasure.dropped), key=lambda pair: pair[0]):
            self._vectors.apply(
                VectorChange(
                    generation=generation,
                    partition=partition,
                    rows=np.empty(0, np.int64),
                    vectors=np.empty((0, generation.dimensions), np.float32),
                    gone=[row for _, row in pairs],
                )
            )
        return ()

    def _purge_log(self) -> tuple[str, ...]:
        left = _left("the log's files", self._log.purge_traces)
        self._traces_left = bool(left)
        return left

    def _is_gone(self, scope: Scope, ids: Sequence[str], mode: ForgetMode) -> bool:
        if not ids:
            return self._log.erase_everything(scope, dry_run=True).memories == 0
        if self._log.read(LogQuery(scope=scope, ids=tuple(ids))):
            return False
        return mode == "retire" or self._log.tombstoned(scope, ids) == frozenset(ids)

    def _receipt(self, mode: ForgetMode, reason: str | None) -> Receipt:
        return Receipt(
            id=new_id(),
            status="pending",
            mode=mode,
            requested_at=self._clock(),
            done_at=None,
            memories=0,
            reason=reason,
        )


def _left(what: str, step: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """What the step leaves to do. That it failed, if it did: the memories are gone by then, and the receipt says so."""
    try:
        return step()
    except AgentMemError as error:
        return (f"{what}: {error.message} flush() or close() tries again.",)
