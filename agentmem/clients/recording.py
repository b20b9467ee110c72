"""What was said, on its way into the log: in time, late, by way of the spill files, or lost and reported.

Every turn has an idempotency key from the start, so that it may be written twice and is there once.
"""

from __future__ import annotations

import atexit
import threading
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import Final, Protocol

from agentmem.clients.crew import Crew
from agentmem.clients.sessions import Session, new_session_id
from agentmem.clients.spill import NEVER_STORED, Kept, Spill
from agentmem.clients.suffix import Said
from agentmem.errors import StoreBusy
from agentmem.records import Memory, MemoryStatus, Scope, Turn

_WRITERS: Final = 16
"""Threads that may write at once for one wrapped client; with all of them stuck, turns go to the spill files."""
_AT_EXIT_S: Final = 10.0

Note = Callable[[MemoryStatus, BaseException], None]
"""Is told how a call fares, and why."""


class Writer(Protocol):
    """What recording needs of a memory."""

    def store_many(self, items: Iterable[Turn], /, *, scope: Scope) -> Sequence[Memory]: ...


class Recording:
    """Puts the turns of one wrapped client into a memory, those of a session in the order they were said.

    Args:
        spill: Where turns go that come too late or fail; None = nowhere.
    """

    def __init__(self, memory: Writer, spill: Spill | None) -> None:
        self._memory = memory
        self._spill = spill
        self._writers = Crew(_WRITERS)
        self._lock = threading.Lock()
        self._under_way: set[_Batch] = set()
        self._last: dict[Scope, _Batch] = {}
        self.lost_turns = 0
        self.spilled_turns = 0
        _recordings.add(self)

    def record(
        self,
        session: Session,
        said: Sequence[Said],
        *,
        note: Note,
        wait_s: float,
        complete: bool = True,
        in_time: bool = True,
    ) -> BaseException | None:
        """Store what was said; what kept it from being stored within ``wait_s`` seconds, if something did.

        Args:
            note: Is told of trouble, also of what comes later.
            in_time: False where the caller must not be held up: the wait is somebody else's then.
        """
        if not said:
            return None
        batch = _Batch(self, session, said, note, complete=complete)
        with self._lock:
            before = self._last.get(session.scope)
            self._last[session.scope] = batch
            self._under_way.add(batch)
        try:
            writing = self._writers.start(lambda: batch.write(before))
        except (StoreBusy, RuntimeError) as error:
            batch.failed(error)
            return error
        if in_time:
            return batch.waited(writing, wait_s)
        try:
            self._writers.start(lambda: batch.waited(writing, wait_s))
        except (StoreBusy, RuntimeError):
            batch.late()
        return None

    def flush(self, timeout_s: float | None = None) -> bool:
        """True when every turn was stored, lies in a spill file or is known to be lost; False at the timeout."""
        with self._lock:
            waiting = [batch.settled for batch in self._under_way]
        return not wait(waiting, timeout_s).not_done

    # --- what becomes of a batch

    def _wrote(self, batch: _Batch) -> None:
        with self._lock:
            self._under_way.discard(batch)
            if self._last.get(batch.session.scope) is batch:
                del self._last[batch.session.scope]

    def _spilled(self, batch: _Batch, error: BaseException) -> None:
        with self._lock:
            self.spilled_turns += len(batch.turns)
        batch.note("spilled", error)

    def _lost(self, batch: _Batch, error: BaseException) -> None:
        batch.session.unlearn(batch.said)  # so that it is recorded after all if the application sends it again
        with self._lock:
            self.lost_turns += len(batch.turns)
        batch.note("lost", error)


class _Batch:
    """The turns of one call, and what became of them. ``settled`` once they are safe or given up."""

    def __init__(
        self, recording: Recording, session: Session, said: Sequence[Said], note: Note, *, complete: bool
    ) -> None:
        metadata = None if complete else {"complete": False}
        key = new_session_id()
        self.session = session
        self.said = said
        self.note = note
        self.turns = [
            Turn(
                one.text,
                role=one.role,
                speaker=one.speaker,
                metadata=metadata,
                idempotency_key=f"said:{key}:{place}",
            )
            for place, one in enumerate(said)
        ]
        self.settled: Future[None] = Future()
        self._ended: Future[None] = Future()
        self._recording = recording
        self._kept: Kept | None = None
        self._lock = threading.Lock()
        spill = recording._spill
        self._place = 0 if spill is None else spill.begin(session.scope, self._ended)

    def write(self, before: _Batch | None) -> None:
        """Store the turns, behind what was said before them."""
        if before is not None:
            wait([before._ended])
        memory, spill = self._recording._memory, self._recording._spill
        try:
            if spill is not None and spill.holds(self.session.scope):
                spill.replay(self.session.scope)
            memory.store_many(self.turns, scope=self.session.scope)
        except BaseException as error:  # whatever it was, the turns are not in the log
            self.failed(error)
            raise
        self._stored()

    def waited(self, writing: Future[None], wait_s: float) -> BaseException | None:
        """What kept the turns from being stored in so many seconds."""
        wait([writing], wait_s)
        return writing.exception() if writing.done() else self.late()

    def late(self) -> BaseException | None:
        """Keep the turns elsewhere, while they are still being stored."""
        spill = self._recording._spill
        with self._lock:
            if self._ended.done():
                return self._ended.exception()
            error = StoreBusy("A turn is still being stored.")
            self._kept = None if spill is None else self._keep(spill, is_written=True)
            is_kept = self._kept is not None
        if is_kept:
            self._recording._spilled(self, error)
            self._settle()
        else:
            self.note("degraded", error)
        return error

    def failed(self, error: BaseException) -> None:
        """Keep the turns elsewhere, if they can ever be stored."""
        spill = self._recording._spill
        with self._lock:
            was_kept = self._kept is not None
            if self._kept is not None and spill is not None:
                spill.left(self._kept)
            elif spill is not None and not isinstance(error, NEVER_STORED):
                self._kept = self._keep(spill)
            is_kept = self._kept is not None
            self._ended.set_exception(error)
        if not is_kept:
            self._recording._lost(self, error)
        elif not was_kept:
            self._recording._spilled(self, error)
        self._end()

    def _keep(self, spill: Spill, *, is_written: bool = False) -> Kept | None:
        return spill.keep(self.turns, self.session.scope, self._place, is_written=is_written)

    def _stored(self) -> None:
        spill = self._recording._spill
        with self._lock:
            if self._kept is not None and spill is not None:
                spill.stored(self._kept)
            self._ended.set_result(None)
        self._end()

    def _end(self) -> None:
        self._recording._wrote(self)
        self._settle()

    def _settle(self) -> None:
        with self._lock:
            if not self.settled.done():
                self.settled.set_result(None)


_recordings: Final[weakref.WeakSet[Recording]] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """Let turns under way be stored, or spilled, before the program ends: their threads would end with it."""
    for recording in list(_recordings):
        recording.flush(_AT_EXIT_S)
