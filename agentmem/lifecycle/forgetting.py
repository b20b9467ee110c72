"""Forgetting: the log first, then every index, then the traces in files; and a receipt of what was done.

The receipt is written in the transaction that erases, ``pending``, and closed when the rest is done. Whatever comes
in between (a crash, a reader, a store that is down), the receipt is found again and finished.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from agentmem.clock import Clock
from agentmem.errors import AgentMemError, CorruptRecord, InvalidInput
from agentmem.interfaces import EpisodicLog, Erasure, ErasureRequest, LogQuery, VectorChange, VectorStore
from agentmem.lifecycle import residue
from agentmem.lifecycle.jobs import Pause
from agentmem.lifecycle.residue import MAX_MEMORIES, Evidence, Residue
from agentmem.log.rows import new_id
from agentmem.records import ForgetMode, Receipt, Scope

_LATER: Final = "the vector store's files: flush() or close() empties them"
_UNREADABLE: Final = "%s cannot be read, and may hold words of theirs: look at it and remove it"
_FOUND: Final = (
    "text that was erased is still in %s: look for what else holds it (names, sessions, reasons of holds or of other"
    " receipts, other programs) and remove it there; flush() or close() then ends this receipt, not verified"
)


class Waiting(Protocol):
    """What was said and is on its way into the log; the spill files are."""

    def clear(self, scope: Scope, *, drops: bool = False) -> None: ...

    def has(self, scope: Scope) -> bool: ...

    def files(self) -> Sequence[Path]: ...

    def unreadable(self, scope: Scope | None = None) -> Sequence[Path]: ...


class Forgetter:
    """Carries out ``forget`` over a log and its vector store. Thread-safe.

    What is on its way into the log is stored before anything is erased, so that nothing comes back behind it.

    As a job it carries out what a crash cut short and what an earlier ``forget`` had to leave.
    """

    def __init__(self, log: EpisodicLog, *, vectors: VectorStore, spill: Waiting, clock: Clock) -> None:
        self._log = log
        self._spill = spill
        self._vectors = vectors
        self._clock = clock
        self._may_be_unfinished = True
        self._dropped: set[str] = set()
        """Receipts whose vectors are dropped, though something else of them is left."""
        self._working = threading.RLock()

    @property
    def is_needed(self) -> bool:
        """True until it was seen that nothing is left of any forget."""
        return self._may_be_unfinished

    def look(self) -> bool:
        """True if a forget is not finished, of this process or of one that died."""
        try:
            self._may_be_unfinished = bool(self._log.unfinished_receipts())
        except AgentMemError:
            self._may_be_unfinished = True
        return self._may_be_unfinished

    def run(self, pause: Pause) -> bool:
        """Do what is left once; what cannot be done now is for the next write, flush() or close()."""
        self.purge_rest()
        return True

    def after_fork(self) -> None:
        self._working = threading.RLock()

    def purge_rest(self) -> None:
        """Carry out what a crash cut short, and try again to remove what an earlier ``forget`` had to leave."""
        if self._may_be_unfinished:
            with self._working:
                self._purge_rest()

    def memories(
        self,
        scope: Scope,
        ids: Sequence[str],
        *,
        mode: ForgetMode,
        dry_run: bool,
        verify: bool,
        reason: str | None,
        requested_by: str | None = None,
    ) -> Receipt:
        """Forget these memories of the scope."""
        wanted = list(dict.fromkeys(ids))
        request = self._request(reason, requested_by)
        if mode == "erase":
            self._require_unquoted(request, LogQuery(scope, ids=tuple(wanted[:MAX_MEMORIES]), retired=True))
        if dry_run:
            return self._receipt(request, mode, self._log.erase(scope, wanted, mode=mode, dry_run=True))
        self._spill.clear(scope)
        evidence = residue.evidence(self._log, scope, wanted) if verify and mode == "erase" else Evidence()
        with self._working:
            erasure = self._log.erase(scope, wanted, mode=mode, request=request)
            return self._finished(request, mode, erasure, scope, (wanted, evidence) if verify else None)

    def expire(self, scope: Scope, ids: Sequence[str]) -> Receipt:
        """Erase what retention does not let stay."""
        how: dict[str, Any] = {"dry_run": False, "verify": False, "reason": "expired", "requested_by": "retention"}
        return self.memories(scope, ids, mode="erase", **how)

    def everything(
        self, scope: Scope, *, dry_run: bool, verify: bool, reason: str | None, requested_by: str | None = None
    ) -> Receipt:
        """Erase every memory of one user, or of one agent's layer."""
        request = self._request(reason, requested_by)
        self._require_unquoted(request, LogQuery(scope, writable=True, retired=True, limit=MAX_MEMORIES))
        if dry_run:
            return self._receipt(request, "erase", self._log.erase_everything(scope, dry_run=True))
        if self._spill.has(scope):
            self._log.erase_everything(scope, dry_run=True)  # what may not be erased is not dropped either
            self._spill.clear(scope, drops=True)
        evidence = residue.evidence(self._log, scope, None) if verify else Evidence()
        with self._working:
            erasure = self._log.erase_everything(scope, request=request)
            return self._finished(request, "erase", erasure, scope, (None, evidence) if verify else None)

    # --- after the log

    def _purge_rest(self) -> None:
        try:
            resumed = self._log.resume()
            pending = self._log.unfinished_receipts()
        except AgentMemError:
            return  # a log that cannot be written to now keeps it for the next time
        known = {receipt.id for receipt, _ in pending}
        left = [self._drop_vectors(erasure) for erasure in resumed if erasure.receipt not in known]
        if pending or resumed:
            files = self._purged_files()
            left += [self._finish(receipt, erasure, files).remaining for receipt, erasure in pending]
        self._may_be_unfinished = any(left)

    def _finished(
        self,
        request: ErasureRequest,
        mode: ForgetMode,
        erasure: Erasure,
        scope: Scope,
        looked_for: tuple[Sequence[str] | None, Evidence] | None,
    ) -> Receipt:
        left = self._drop_vectors(erasure)
        if not left:
            self._dropped.add(request.id)
        if mode == "erase":
            later = self._vectors.purges_slowly and looked_for is None
            left += self._purged_files(vectors=not later)
            left += (_LATER,) if later and erasure.memories else ()
        receipt = replace(self._receipt(request, mode, erasure), status="pending", remaining=left)
        if looked_for is not None:
            receipt = self._verified(receipt, scope, *looked_for)
        return self._kept(self._with_unreadable(receipt, scope) if mode == "erase" else receipt)

    def _with_unreadable(self, receipt: Receipt, scope: Scope) -> Receipt:
        """The receipt, not to be closed while there are files of which nobody can tell what they hold."""
        unreadable = tuple(_UNREADABLE % path for path in self._spill.unreadable(scope))
        if not unreadable:
            return receipt
        verified = None if receipt.verified else receipt.verified
        return replace(receipt, verified=verified, remaining=(*receipt.remaining, *unreadable))

    def _verified(self, receipt: Receipt, scope: Scope, ids: Sequence[str] | None, evidence: Evidence) -> Receipt:
        """The receipt with what was seen when the erased was looked for."""
        gone = self._is_gone(scope, ids, receipt.mode)
        checks = ["read back: nothing is there" if gone else "read back: it is still there"]
        if receipt.mode == "retire":
            return replace(receipt, verified=gone, checks=tuple(checks))
        seen = self._searched(receipt, evidence)
        checks += seen.checks
        is_whole = seen.is_whole
        try:
            copies = residue.copies(self._log, scope, evidence)
        except AgentMemError as error:
            checks.append(f"copies in other memories were not looked for: {error.message}")
            copies, is_whole = (), False
        return replace(
            receipt,
            verified=False if seen.found or not gone else (True if is_whole else None),
            checks=tuple(checks),
            similar=tuple(dict.fromkeys((*copies, *residue.similar(self._log, scope, evidence)))),
            remaining=(*receipt.remaining, *([_FOUND % ", ".join(seen.found)] if seen.found else [])),
        )

    def _searched(self, receipt: Receipt, evidence: Evidence) -> Residue:
        if receipt.remaining:
            # Nor later: by then nobody knows any more what to look for.
            return Residue(("files were not searched: what they hold was still to be removed",), is_whole=False)
        return residue.search(self._log, (*self._log.files(), *self._vectors.files(), *self._spill.files()), evidence)

    def _finish(self, receipt: Receipt, erasure: Erasure, files: tuple[str, ...]) -> Receipt:
        """Do what is left of an erasure."""
        left = () if receipt.id in self._dropped else self._drop_vectors(erasure)
        if not left:
            self._dropped.add(receipt.id)
        if receipt.mode == "erase":
            left += files
            unreadable = {_UNREADABLE % path for path in self._spill.unreadable()}
            left += tuple(each for each in receipt.remaining if each in unreadable)
        return self._kept(replace(receipt, remaining=left))

    def _kept(self, receipt: Receipt) -> Receipt:
        """Close the receipt, or keep what is left of it."""
        done = not receipt.remaining
        receipt = replace(
            receipt, status="done" if done else "pending", done_at=self._clock() if done else None, hash=None
        )
        try:
            kept = self._log.close_receipt(receipt)
        except AgentMemError as error:
            # What it tells of is done; that is all that a later try has to write down.
            kept = replace(receipt, status="pending", done_at=None, remaining=(*receipt.remaining, _again(error)))
        if kept.status == "done":
            self._dropped.discard(kept.id)
        else:
            self._may_be_unfinished = True
        return kept

    def _drop_vectors(self, erasure: Erasure) -> tuple[str, ...]:
        """Drop the vectors of what was erased; what is left to do, in words."""
        return _left("the vector store", lambda: self._vectors_dropped(erasure))

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

    def _purged_files(self, *, vectors: bool = True) -> tuple[str, ...]:
        left = _left("the log's files", self._log.purge_traces)
        return left + (_left("the vector store's files", self._vectors.purge_traces) if vectors else ())

    def _is_gone(self, scope: Scope, ids: Sequence[str] | None, mode: ForgetMode) -> bool:
        if ids is None:
            return self._log.erase_everything(scope, dry_run=True).memories == 0
        if self._log.read(LogQuery(scope=scope, ids=tuple(ids))):
            return False
        return mode == "retire" or self._log.tombstoned(scope, ids) == frozenset(ids)

    def _require_unquoted(self, request: ErasureRequest, query: LogQuery) -> None:
        """Raise InvalidInput if the receipt, which outlives the memories, would quote one of them."""
        said = {"reason": request.reason or "", "requested_by": request.requested_by or ""}
        said = {name: words for name, words in said.items() if residue.is_telling(words)}
        texts: list[str] = []
        # What is damaged is quoted by nobody, and must not stand in the way of its own erasure.
        with suppress(CorruptRecord):
            texts = [memory.content for memory in self._log.read(query)] if said else []
        for name, words in said.items():
            if residue.is_quoted(texts, words):
                raise InvalidInput(
                    f"{name} quotes what is to be forgotten, and would keep it in the receipt; nothing was forgotten.",
                    hint="Say it without those words.",
                )

    def _request(self, reason: str | None, requested_by: str | None) -> ErasureRequest:
        return ErasureRequest(new_id(), self._clock(), requested_by=requested_by, reason=reason)

    def _receipt(self, request: ErasureRequest, mode: ForgetMode, erasure: Erasure) -> Receipt:
        return Receipt(
            id=request.id,
            status="dry_run",
            mode=mode,
            requested_at=request.requested_at,
            done_at=None,
            memories=erasure.memories,
            rows={name: count for name, count in erasure.rows.items() if count},
            reason=request.reason,
            requested_by=request.requested_by,
        )


def _left(what: str, step: Callable[[], tuple[str, ...]]) -> tuple[str, ...]:
    """What the step leaves to do. That it failed, if it did: the memories are gone by then, and the receipt says so."""
    try:
        return step()
    except AgentMemError as error:
        return (f"{what}: {_again(error)}",)


def _again(error: AgentMemError) -> str:
    return f"{error.message} flush() or close() tries again."
