"""What follows from the log: vectors by a slow embedder, and a vector store of its own kept in step.

Both start from the log alone, at least once and idempotently: whatever a crash cut off is found again. Rows are
embedded and stored partition by partition; what fails in one holds up no other.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from agentmem.clock import Clock, utc_now
from agentmem.embedders import from_blobs, to_blob
from agentmem.embedders.generations import Generations
from agentmem.errors import AgentMemError, BackendError, ConfigError, ScopeError
from agentmem.interfaces import (
    Embedded,
    Embedder,
    EmbedRequest,
    EpisodicLog,
    Generation,
    Head,
    IndexBatch,
    IndexQuery,
    VectorChange,
    VectorStore,
)
from agentmem.lifecycle.drafting import meant
from agentmem.lifecycle.jobs import Backoff, Pause, Stopped, retried
from agentmem.records import Finding, Memory, Scope
from agentmem.vectors import index_name

T = TypeVar("T")
Waiting = list[tuple[int, Memory]]
"""(row, memory) of memories that have no vector yet."""

_BATCH: Final = 256
_PROBE: Final = "The cat sat on the mat."


class Indexer:
    """Embeds what waits for a slow embedder and keeps a vector store in step with the log. Thread-safe.

    A memory that the embedder refuses again and again, while it takes others, is given up: it stays in the log and
    is found by its words; ``check`` names how many and why; ``repair``, ``reembed`` or a restart tries again.

    Args:
        embedder: None or a local one leaves nothing to embed but by ``reembed``.
        vectors: None or ExactVectors (which reads the log itself) leaves nothing to keep in step.
        backoff: How a failing call is tried again.
        generations: Shared with what reads and writes, so that the embedder's fingerprint is taken once.
    """

    def __init__(
        self,
        log: EpisodicLog,
        *,
        embedder: Embedder | None,
        vectors: VectorStore | None,
        clock: Clock = utc_now,
        backoff: Backoff | None = None,
        generations: Generations | None = None,
    ) -> None:
        self._log = log
        self._embedder = embedder
        self._store = None if vectors is None or _reads_the_log_itself(vectors) else vectors
        self._clock = clock
        self._backoff = backoff or Backoff()
        self._generations = generations or Generations(log, embedder)
        self._working = threading.Lock()
        self._progress: dict[tuple[int, int], _Progress] = {}
        self._stored: dict[tuple[int, int], int] = {}
        self._given_up: dict[tuple[int, int], str] = {}
        self._trouble: dict[str, str] = {}

    @property
    def is_needed(self) -> bool:
        """True if anything ever follows from the log after a write."""
        return self._store is not None or (self._embedder is not None and not self._embedder.is_local)

    def run(self, pause: Pause) -> bool:
        """Embed what waits, then bring the vector store up to date; True if nothing is left."""
        with self._working:
            embedded = self._noted("embedder", lambda: self._embed_waiting(pause))
            stored = self._noted("vector store", lambda: self._catch_up_all(pause))
            return embedded and stored

    def embed_waiting(self, pause: Pause | None = None) -> int:
        """How many memories got vectors of the current generation.

        Raises:
            BackendError: the embedder does not answer; what it had answered is kept.
        """
        with self._working:
            return sum(self._embed(self._generations.ensure(), pause or _slept))

    def catch_up(self, head: Head) -> None:
        """Bring the vector store up to date with one partition.

        Raises:
            BackendError, StoreBusy: the store's; nothing is lost, the next call starts where this one did.
        """
        generation = self._log.generation()
        if self._store is None or generation is None:
            return
        with self._working:
            self._catch_up(self._store, generation, head)

    def reembed(self, progress: Callable[[int, int], None] | None = None) -> int:
        """How many memories got vectors of the embedder at hand. Interrupted, it goes on where it was.

        Until it is done, reads find by vectors only what is already embedded, and everything by words.

        Args:
            progress: Told (done, all) after each batch.

        Raises:
            BackendError: the embedder does not answer; run it again.
        """
        with self._working:
            if self._embedder is None:
                raise ConfigError("There is no embedder to embed with.", hint="Configure one: embedder: static.")
            generation = self._generations.ensure() or self._log.start_generation(
                self._embedder.fingerprint(), self._embedder.dimensions, self._embedder.name
            )
            self._forget_progress()
            done, total = 0, int(self._log.counts()["waiting"])
            for count in self._embed(generation, _slept):
                done += count
                if progress is not None:
                    progress(done, max(done, total))
            if self._store is not None:
                self._catch_up_all(_slept)
                self._drop_before(self._store, generation)
            return done

    def check(self, *, deep: bool = False) -> list[Finding]:
        """What ``verify`` reports; ``deep`` compares every row number in the vector store with the log."""
        findings = []
        if self._embedder is not None:
            findings.append(self._embedding_finding())
        if self._store is not None:
            try:
                findings.append(self._store_finding(self._store, deep=deep))
            except AgentMemError as error:
                findings.append(Finding("vector store", False, error.message, error.hint))
        return findings

    def repair(self) -> list[str]:
        """Embed what was given up, and build the store's differing partitions again; what was mended, in words.

        Raises:
            BackendError, StoreBusy: from the embedder or the store.
        """
        mended = []
        with self._working:
            self._forget_progress()
            if count := sum(self._embed(self._generations.ensure(), _slept)):
                mended.append(f"{count} memories were embedded")
            generation = self._log.generation()
            if self._store is not None and generation is not None:
                for head in self._log.all_heads():
                    if self._differs(self._store, generation, head):
                        self._store.drop(generation, head.partition)
                        self._log.move_cursor(index_name(self._store), generation.number, head.partition, 0)
                        self._stored.pop((generation.number, head.partition), None)
                        self._catch_up(self._store, generation, head)
                        mended.append(f"the vector store's partition {head.partition} was built again")
                self._drop_before(self._store, generation)
        return mended

    def after_fork(self) -> None:
        self._working = threading.Lock()

    # --- embedding

    def _embed_waiting(self, pause: Pause) -> bool:
        if self._embedder is not None and not self._embedder.is_local:
            sum(self._embed(self._generations.ensure(), pause))
        return True

    def _embed(self, generation: Generation | None, pause: Pause) -> Iterator[int]:
        """Embed every partition; yields how many memories each batch gave a vector."""
        if generation is None:
            return  # another embedder's vectors are there: ``reembed`` is the caller's decision
        for head in self._log.all_heads():
            key = generation.number, head.partition
            reached = self._progress.get(key, _Progress())
            if head.seq <= reached.seq:
                continue
            while batch := self._log.without_vector(head, generation.number, after=reached.row, limit=_BATCH):
                yield self._embed_batch(head, generation, batch, pause)
                reached = self._progress[key] = _Progress(reached.seq, batch[-1][0])
            self._progress[key] = replace(reached, seq=head.seq)

    def _embed_batch(self, head: Head, generation: Generation, batch: Waiting, pause: Pause) -> int:
        try:
            self._put(head, generation, batch, pause)
            return len(batch)
        except BackendError:
            if not self._answers(pause):
                raise
        # It answers, so it is one of these texts that it refuses.
        return sum(self._embed_or_give_up(head, generation, waiting, pause) for waiting in batch)

    def _embed_or_give_up(self, head: Head, generation: Generation, waiting: tuple[int, Memory], pause: Pause) -> int:
        row, memory = waiting
        try:
            self._put(head, generation, [waiting], pause)
        except BackendError as error:
            self._given_up[head.partition, row] = f"{memory.id}, {self._clock():%Y-%m-%d %H:%M} UTC: {error.message}"
            return 0
        self._given_up.pop((head.partition, row), None)
        return 1

    def _put(self, head: Head, generation: Generation, batch: Waiting, pause: Pause) -> None:
        assert self._embedder is not None
        embedder = self._embedder
        request = EmbedRequest([meant(memory) for _, memory in batch])
        vectors = retried(lambda: embedder.embed(request), backoff=self._backoff, pause=pause)
        rows = zip(batch, to_blob(vectors), strict=True)
        self._log.put_vectors(generation.number, [Embedded(head.partition, row, blob) for (row, _), blob in rows])
        if pause(0):
            raise Stopped

    def _answers(self, pause: Pause) -> bool:
        assert self._embedder is not None
        if pause(0):
            raise Stopped
        try:
            self._embedder.embed(EmbedRequest([_PROBE]))
        except BackendError:
            return False
        return True

    # --- the vector store

    def _catch_up_all(self, pause: Pause) -> bool:
        generation = self._log.generation()
        if self._store is None or generation is None:
            return True
        failed: AgentMemError | None = None
        for head in self._log.all_heads():
            try:
                self._catch_up(self._store, generation, head)
            except AgentMemError as error:
                failed = error
            if pause(0):
                raise Stopped
        if failed is not None:
            raise failed
        return True

    def _catch_up(self, store: VectorStore, generation: Generation, head: Head) -> None:
        key = generation.number, head.partition
        if self._stored.get(key, -1) >= head.seq:
            return
        cursor = self._log.cursor(index_name(store), *key)
        if key not in self._stored and (cursor == 0) != (not store.rows(generation, head.partition)):
            # It was emptied behind the cursor's back, or holds what a crash or another log left in it.
            store.drop(generation, head.partition)
            cursor = 0
        try:
            batch = self._log.index_rows(IndexQuery(_scope_of(head), head.partition, after=cursor))
        except ScopeError:
            return  # forgotten as a whole meanwhile
        change = _change(batch, generation, head.partition)
        if len(change.rows) or change.gone:
            store.apply(change)
            if head.partition not in {each.partition for each in self._log.heads(_scope_of(head))}:
                # Forgotten as a whole while its vectors were on their way; who forgot it may have dropped them before.
                store.drop(generation, head.partition)
                return
        # Only now: a crash in between applies the same change again, which changes nothing.
        self._log.move_cursor(index_name(store), *key, batch.seq)
        self._stored[key] = batch.seq

    def _drop_before(self, store: VectorStore, generation: Generation) -> None:
        for head in self._log.all_heads():
            for number in range(1, generation.number):
                store.drop(replace(generation, number=number), head.partition)

    def _differs(self, store: VectorStore, generation: Generation, head: Head) -> bool:
        batch = self._log.index_rows(IndexQuery(_scope_of(head), head.partition))
        return store.rows(generation, head.partition) != set(_change(batch, generation, head.partition).rows.tolist())

    # --- what is told

    def _embedding_finding(self) -> Finding:
        if self._given_up:
            first = next(iter(self._given_up.values()))
            detail = f"{len(self._given_up)} memories were given up; first {first}"
            return Finding("embedding", False, detail, "Run `agentmem doctor --fix` once the cause is gone.")
        if "embedder" in self._trouble:
            return Finding("embedding", False, self._trouble["embedder"], "It is tried again on its own.")
        return Finding("embedding", True, "No memory was given up.")

    def _store_finding(self, store: VectorStore, *, deep: bool) -> Finding:
        generation = self._log.generation()
        heads = self._log.all_heads() if generation is not None else []
        if "vector store" in self._trouble:
            return Finding("vector store", False, self._trouble["vector store"], "It is tried again on its own.")
        name = index_name(store)
        behind = [
            head
            for head in heads
            if generation and self._log.cursor(name, generation.number, head.partition) < head.seq
        ]
        if behind:
            return Finding(
                "vector store", False, f"{len(behind)} of {len(heads)} partitions are behind.", "Run flush()."
            )
        differing = [head for head in heads if deep and generation and self._differs(store, generation, head)]
        if differing:
            detail = f"{len(differing)} of {len(heads)} partitions differ from the log."
            return Finding("vector store", False, detail, "Run `agentmem doctor --fix`.")
        return Finding("vector store", True, f"{len(heads)} partitions are up to date.")

    def _noted(self, name: str, step: Callable[[], bool]) -> bool:
        """What the step returns, or False with a note of what it raised; the next step is not held up."""
        try:
            done = step()
        except AgentMemError as error:
            self._trouble[name] = error.message
            return False
        self._trouble.pop(name, None)
        return done

    def _forget_progress(self) -> None:
        self._progress.clear()
        self._stored.clear()
        self._given_up.clear()


@dataclass(frozen=True, slots=True)
class _Progress:
    """A partition's head up to which nothing waits, and the last row that was tried."""

    seq: int = -1
    row: int = 0


def _change(batch: IndexBatch, generation: Generation, partition: int) -> VectorChange:
    """What a batch means for the vectors of one generation."""
    import numpy as np

    found = {
        row.row: row.vector for row in batch.rows if row.vector is not None and row.generation == generation.number
    }
    found |= {row: vector for row, (number, vector) in batch.vectors.items() if number == generation.number}
    return VectorChange(
        generation=generation,
        partition=partition,
        rows=np.fromiter(found, np.int64, len(found)),
        vectors=from_blobs(list(found.values()), generation.dimensions),
        gone=[row for row in batch.gone if row not in found],
    )


def _scope_of(head: Head) -> Scope:
    return Scope(user=head.user, agent=head.agent, tenant=head.tenant)


def _reads_the_log_itself(vectors: VectorStore) -> bool:
    from agentmem.vectors.exact import ExactVectors

    return isinstance(vectors, ExactVectors)


def _slept(seconds: float) -> bool:
    time.sleep(seconds)
    return False
