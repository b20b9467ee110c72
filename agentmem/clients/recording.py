"""What was said, on its way into the log: in time, late, by way of the spill files, or lost and reported.

Every turn has an idempotency key from the start, so that it may be written twice and is there once. What nobody could
tell in time whether it is recorded already (``Doubt``) is looked up before the next write of its session.
"""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from typing import Final, Protocol

from agentmem.clients.crew import Crew, as_trouble
from agentmem.clients.sessions import Session, new_session_id
from agentmem.clients.spill import NEVER_STORED, Kept, Spill
from agentmem.clients.suffix import Said
from agentmem.errors import StoreBusy
from agentmem.forked import start_clean
from agentmem.records import Memory, MemoryStatus, Scope, Turn

_WRITERS: Final = 16
"""Threads that may write at once for one wrapped client; with all of them stuck, turns go to the spill files."""
_IN_LINE: Final = 1024
_MAX_DOUBTS: Final = 1024
_AT_EXIT_S: Final = 10.0

Note = Callable[[MemoryStatus, BaseException], None]
"""Is told how a call fares, and why."""


class Writer(Protocol):
    """What recording needs of a memory."""

    def store_many(self, items: Iterable[Turn], /, *, scope: Scope) -> Sequence[Memory]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Doubt:
    """Words that were sent again, or for the first time: nobody could tell in time.

    Args:
        begin: Where in ``said`` begins what is to be recorded. Asks the log, however long that takes.
        note: Is told of trouble.
    """

    session: Session
    said: Sequence[Said]
    begin: Callable[[], int]
    note: Note
    key: str = field(default_factory=new_session_id)

    def turns(self) -> list[Turn]:
        """Those that are to be recorded, under the same idempotency keys whenever they are asked for."""
        begin = self.begin()
        return _turns(self.said, self.key)[begin:]


class Recording:
    """Puts the turns of one wrapped client into a memory, those of a session in the order they were said.

    Args:
        spill: Where turns go that come too late or fail; None = nowhere.
    """

    def __init__(self, memory: Writer, spill: Spill | None) -> None:
        self._memory = memory
        self._spill = spill
        self._writers = Crew(_WRITERS, line=_IN_LINE, is_patient=spill is None)
        self._watchers = Crew(_WRITERS)
        self.lost_turns = 0
        self.spilled_turns = 0
        start_clean(self)
        _recordings.add(self)

    def _start_clean(self) -> None:
        # What is under way in a parent is the parent's to store.
        self._lock = threading.Lock()
        self._under_way: set[_Batch] = set()
        self._last: dict[Scope, _Batch] = {}
        self._doubts: dict[Scope, list[Doubt]] = {}

    def record(
        self,
        session: Session,
        said: Sequence[Said],
        *,
        note: Note,
        wait_s: float,
        complete: bool = True,
        in_time: bool = True,
        doubt: Doubt | None = None,
    ) -> BaseException | None:
        """Store what was said; what kept it from being stored within ``wait_s`` seconds, if something did.

        Args:
            note: Is told of trouble, also of what comes later.
            in_time: False where the caller must not be held up: the wait is somebody else's then.
            doubt: Looked up and recorded before.
        """
        if doubt is not None:
            self._add(doubt)
        if not said and doubt is None:
            return None
        with self._lock:
            # In one go: a write must not stand in line before the one that it waits for.
            batch = _Batch(self, session, said, note, complete=complete)
            before = self._last.get(session.scope)
            self._last[session.scope] = batch
            self._under_way.add(batch)
            try:
                writing = self._writers.start(lambda: batch.write(before))
            except (StoreBusy, RuntimeError) as error:
                refused: Exception | None = error
            else:
                refused = None
        if refused is not None:
            batch.failed(refused)
            return refused
        if in_time:
            return batch.waited(writing, wait_s)
        try:
            self._watchers.start(lambda: batch.waited(writing, wait_s))
        except (StoreBusy, RuntimeError):
            batch.waited(writing, 0)
        return None

    def flush(self, timeout_s: float | None = None) -> bool:
        """True when every turn was stored, lies in a spill file or is known to be lost; False at the timeout.

        False also while nobody can tell whether some were recorded before.
        """
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        is_settled = self._wait(deadline)
        with self._lock:
            again = [doubts[-1] for doubts in self._doubts.values()]
        for doubt in again:
            self.record(doubt.session, (), note=doubt.note, wait_s=0, in_time=False, doubt=doubt)
        if again:
            is_settled = self._wait(deadline)
        with self._lock:
            return is_settled and not self._doubts

    def give_up(self) -> None:
        """Report as lost what nobody could tell of."""
        with self._lock:
            doubts = [doubt for each in self._doubts.values() for doubt in each]
        for doubt in doubts:
            self._dispel(doubt)
            self._lose(doubt, StoreBusy("Nobody could tell whether these turns were recorded before."))

    def _wait(self, deadline: float | None) -> bool:
        with self._lock:
            waiting = [batch.settled for batch in self._under_way]
        return not wait(waiting, None if deadline is None else max(deadline - time.monotonic(), 0)).not_done

    # --- doubts

    def _add(self, doubt: Doubt) -> None:
        with self._lock:
            doubts = self._doubts.setdefault(doubt.session.scope, [])
            if doubt not in doubts:
                doubts.append(doubt)
            oldest = next(iter(self._doubts.values()))[0] if len(self._doubts) > _MAX_DOUBTS else None
        if oldest is not None:
            self._dispel(oldest)
            self._lose(oldest, StoreBusy("Nobody could tell in time whether these turns were recorded before."))

    def _settle_doubts(self, scope: Scope) -> None:
        """Record what proves to be new of what was in doubt; what still is stays for the next time."""
        with self._lock:
            doubts = list(self._doubts.get(scope, ()))
        for doubt in doubts:
            try:
                if turns := doubt.turns():
                    self._memory.store_many(turns, scope=scope)
            except NEVER_STORED as error:
                self._lose(doubt, error)
            except BaseException as error:  # noqa: BLE001  whatever it was, there will be another time
                doubt.note("degraded", as_trouble(error))
                return
            self._dispel(doubt)

    def _dispel(self, doubt: Doubt) -> None:
        with self._lock:
            scope = doubt.session.scope
            left = [each for each in self._doubts.get(scope, ()) if each is not doubt]
            self._doubts[scope] = left
            if not left:
                del self._doubts[scope]

    def _lose(self, doubt: Doubt, error: BaseException) -> None:
        with self._lock:
            self.lost_turns += len(doubt.said)
        doubt.note("lost", error)

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
        if not batch.turns:
            return
        batch.session.unlearn(batch.said)  # so that it is recorded after all if the application sends it again
        with self._lock:
            self.lost_turns += len(batch.turns)
        batch.note("lost", error)


class _Batch:
    """The turns of one call, and what became of them. ``settled`` once they are safe or given up."""

    def __init__(
        self, recording: Recording, session: Session, said: Sequence[Said], note: Note, *, complete: bool
    ) -> None:
        self.session = session
        self.said = said
        self.note = note
        self.turns = _turns(said, new_session_id(), metadata=None if complete else {"complete": False})
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
            self._recording._settle_doubts(self.session.scope)
            if self.turns:
                memory.store_many(self.turns, scope=self.session.scope)
        except BaseException as error:  # whatever it was, the turns are not in the log
            self.failed(as_trouble(error))
            raise
        self._stored()

    def waited(self, writing: Future[None], wait_s: float) -> BaseException | None:
        """What kept the turns from being stored in so many seconds."""
        wait([writing], wait_s)
        if writing.done():
            return writing.exception()
        error = self.late()
        if self._kept is not None and writing.cancel():
            self.failed(error or StoreBusy("Nobody had the time to store a turn."))
        return error

    def late(self) -> BaseException | None:
        """Keep the turns elsewhere, while they are still being stored."""
        spill = self._recording._spill
        with self._lock:
            if self._ended.done():
                return self._ended.exception()
            error = StoreBusy("A turn is still being stored.")
            self._kept = self._keep(spill, is_written=True)
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
            elif not isinstance(error, NEVER_STORED):
                self._kept = self._keep(spill)
            is_kept = self._kept is not None
            self._ended.set_exception(error)
        if not is_kept:
            self._recording._lost(self, error)
        elif not was_kept:
            self._recording._spilled(self, error)
        self._end()

    def _keep(self, spill: Spill | None, *, is_written: bool = False) -> Kept | None:
        if spill is None or not self.turns:
            return None
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


def _turns(said: Sequence[Said], key: str, *, metadata: dict[str, bool] | None = None) -> list[Turn]:
    return [
        Turn(
            one.text,
            role=one.role,
            speaker=one.speaker,
            metadata=metadata,
            idempotency_key=f"said:{key}:{place}",
        )
        for place, one in enumerate(said)
    ]


_recordings: Final[weakref.WeakSet[Recording]] = weakref.WeakSet()


@atexit.register
def _finish() -> None:
    """Let turns under way be stored, or spilled, before the program ends: their threads would end with it."""
    for recording in list(_recordings):
        recording.flush(_AT_EXIT_S)
        recording.give_up()
