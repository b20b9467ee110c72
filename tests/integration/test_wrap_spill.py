"""Turns that the log cannot take in time: they lie in spill files, are stored once, and forgetting covers them."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from agentmem import MemoryManager, Scope
from agentmem.clients import Bridge, Said, WrapOptions
from agentmem.clients.spill import Spill
from agentmem.errors import BackendError, ConfigError, InvalidInput, StoreBusy, StoreFull, UnderHold
from agentmem.records import Turn

ANA = Scope(user="ana")
CHAT = Scope(user="ana", session="chat")
BEN = Scope(user="ben", session="chat")
PATIENT = WrapOptions(deadline_s=30, write_deadline_s=30)
HASTY = WrapOptions(deadline_s=30, write_deadline_s=0.05)


class Faults:
    """Makes a log's writes raise, or hang until they are released."""

    def __init__(self, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fail: Callable[[], None] = lambda: None
        append = memory.log.append

        def failing(*args: Any, **options: Any) -> Any:
            self.fail()
            return append(*args, **options)

        monkeypatch.setattr(memory.log, "append", failing)

    def raise_(self, error: Exception) -> None:
        def fail() -> None:
            raise error

        self.fail = fail

    def hang(self) -> threading.Event:
        """The calls' own writes hang until the event is set; whoever else writes does not."""
        released = threading.Event()

        def fail() -> None:
            if threading.current_thread().name == "agentmem-wrap":
                released.wait(20)

        self.fail = fail
        return released

    def end(self) -> None:
        self.fail = lambda: None


@pytest.fixture
def memory(folder: Path) -> Iterator[MemoryManager]:
    with MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        yield memory


@pytest.fixture
def faults(memory: MemoryManager, monkeypatch: pytest.MonkeyPatch) -> Faults:
    return Faults(memory, monkeypatch)


def bridge(memory: MemoryManager, scope: Scope = CHAT, options: WrapOptions = PATIENT) -> Bridge:
    return Bridge(memory, scope=scope, options=options, spill=memory._spill)


def exchange(bridge: Bridge, words: str, answer: str = "fine") -> None:
    bridge.observe(bridge.prepare([Said("user", words)]), [Said("assistant", answer)])


def contents(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    return [each.content for each in memory.list(scope=scope, kinds={"turn"})]


def spilled(folder: Path) -> list[Path]:
    return sorted((folder / "agentmem.db.spill").glob("*.jsonl*"))


def _eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


# --- kept, and stored once ------------------------------------------------------------------------


@pytest.mark.parametrize("error", [StoreBusy("busy"), StoreFull("full"), BackendError("gone"), RuntimeError("odd")])
def test_turns_that_a_log_refuses_are_stored_in_their_order_when_it_is_back(
    memory: MemoryManager, faults: Faults, folder: Path, error: Exception
) -> None:
    wrapped = bridge(memory)
    exchange(wrapped, "one", "1")
    faults.raise_(error)
    exchange(wrapped, "two", "2")
    assert (wrapped.status, wrapped.spilled_turns, wrapped.lost_turns) == ("spilled", 2, 0)
    assert len(spilled(folder)) == 2
    faults.end()
    exchange(wrapped, "three", "3")
    assert wrapped.status in ("ok", "spilled")  # the worker may just be storing them
    assert memory.flush(20)
    assert contents(memory) == ["one", "1", "two", "2", "three", "3"]
    assert spilled(folder) == []


def test_the_worker_stores_them_without_another_call(memory: MemoryManager, faults: Faults, folder: Path) -> None:
    faults.raise_(StoreBusy("busy"))
    exchange(bridge(memory), "one", "1")
    faults.end()
    _eventually(lambda: spilled(folder) == [])
    assert contents(memory) == ["one", "1"]


def test_a_write_that_succeeds_late_after_all_is_there_once(
    memory: MemoryManager, faults: Faults, folder: Path
) -> None:
    wrapped = bridge(memory, options=HASTY)
    released = faults.hang()
    exchange(wrapped, "one", "1")
    assert wrapped.status == "spilled"
    assert len(spilled(folder)) == 2
    _eventually(lambda: contents(memory) == ["one", "1"])  # stored from there, while the late writes still hang
    assert len(spilled(folder)) == 2
    released.set()
    _eventually(lambda: spilled(folder) == [])
    assert contents(memory) == ["one", "1"]


def test_what_was_said_when_is_kept_through_the_spill(memory: MemoryManager, faults: Faults) -> None:
    wrapped = bridge(memory)
    faults.raise_(StoreBusy("busy"))
    prepared = wrapped.prepare([Said("user", "My “cat” is\n\tTom", "Ana")])
    wrapped.observe(prepared, [Said("assistant", "It")], complete=False)
    time.sleep(0.05)
    faults.end()
    assert memory.flush(20)
    first, second = memory.list(scope=ANA)
    assert (first.content, first.role, first.speaker, first.scope) == ("My “cat” is\n\tTom", "user", "Ana", CHAT)
    assert second.metadata == {"complete": False}
    assert first.occurred_at < second.occurred_at < second.recorded_from


def test_the_files_are_for_their_owner_only(memory: MemoryManager, faults: Faults, folder: Path) -> None:
    faults.raise_(StoreBusy("busy"))
    exchange(bridge(memory), "one")
    modes = {stat.S_IMODE(os.stat(path).st_mode) for path in (*spilled(folder), folder / "agentmem.db.spill" / "lock")}
    assert modes == {0o600} if os.name != "nt" else modes
    faults.end()


def test_nothing_is_made_on_disk_before_it_is_needed(memory: MemoryManager, folder: Path) -> None:
    exchange(bridge(memory), "one")
    assert not (folder / "agentmem.db.spill").exists()


def test_verify_says_what_waits(memory: MemoryManager, faults: Faults, folder: Path) -> None:
    faults.raise_(StoreBusy("busy"))
    exchange(bridge(memory), "one")
    (finding,) = [each for each in memory.verify().findings if each.name == "spill"]
    assert (finding.ok, finding.detail) == (False, "2 turns wait to be stored")
    faults.end()
    assert memory.flush(20)
    (finding,) = [each for each in memory.verify().findings if each.name == "spill"]
    assert finding.ok
    (folder / "agentmem.db.spill" / "0.jsonl").write_bytes(b'{"half')
    (finding,) = [each for each in memory.verify().findings if each.name == "spill"]
    assert (finding.ok, "1 files" in finding.detail) == (False, True)


# --- the next process -----------------------------------------------------------------------------


def test_the_next_who_opens_the_log_has_them_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        faults = Faults(memory, monkeypatch)
        faults.raise_(StoreBusy("busy"))
        exchange(bridge(memory), "one", "1")
    with MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        assert contents(memory) == ["one", "1"]
        bridge(memory).prepare([Said("user", "one"), Said("assistant", "1"), Said("user", "two")])
        assert contents(memory) == ["one", "1", "two"]
    assert spilled(folder) == []


def test_a_line_that_a_crash_tore_is_left_out_and_the_others_are_stored(folder: Path, memory: MemoryManager) -> None:
    kept = Spill(folder / "agentmem.db.spill", store=lambda *_: None).keep([_turn("one"), _turn("two")], CHAT, 1)
    assert kept is not None
    kept.path.write_bytes(kept.path.read_bytes()[:-20])
    assert memory.flush(20)
    assert contents(memory) == ["one"]
    assert memory._spill.lost_turns == 1


def test_files_of_two_processes_are_stored_by_either(folder: Path, memory: MemoryManager) -> None:
    for number in range(2):
        spill = Spill(folder / "agentmem.db.spill", store=lambda *_: None)
        assert spill.keep([_turn(f"said by {number}")], Scope(user="ana", session=f"of {number}"), number)
        spill.close()
    assert memory.flush(20)
    assert sorted(contents(memory)) == ["said by 0", "said by 1"]


def _turn(text: str) -> Turn:
    return Turn(text, idempotency_key=f"key of {text}")


# --- lost -----------------------------------------------------------------------------------------


def test_what_no_log_will_ever_take_is_lost_and_reported(memory: MemoryManager, faults: Faults, folder: Path) -> None:
    wrapped = bridge(memory)
    faults.raise_(InvalidInput("never"))
    exchange(wrapped, "one")
    assert (wrapped.status, wrapped.lost_turns, spilled(folder)) == ("lost", 2, [])


def test_what_no_log_will_take_holds_up_nothing_else_that_lies_there(memory: MemoryManager, faults: Faults) -> None:
    wrapped = bridge(memory)
    faults.raise_(StoreBusy("busy"))
    exchange(wrapped, "one", "1")
    append = type(memory.log).append

    def picky(log: Any, scope: Scope, drafts: Any, **options: Any) -> Any:
        if any(draft.content == "one" for draft in drafts):
            raise InvalidInput("not this")
        return append(log, scope, drafts, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory.log, "append", lambda *args, **options: picky(memory.log, *args, **options))
        assert memory.flush(20)
    assert contents(memory) == ["1"]
    assert memory._spill.lost_turns == 1


def test_with_no_room_left_turns_are_lost_and_reported(tmp_path: Path, memory: MemoryManager, faults: Faults) -> None:
    def store(*_: Any) -> None:
        raise StoreBusy("busy")

    spill = Spill(tmp_path / "full", store=store, max_bytes=250)
    wrapped = Bridge(memory, scope=CHAT, options=PATIENT, spill=spill)
    faults.raise_(StoreBusy("busy"))
    exchange(wrapped, "one", "1")
    assert (wrapped.spilled_turns, wrapped.lost_turns, wrapped.status) == (1, 1, "lost")


def test_a_folder_that_cannot_be_made_loses_turns_and_fails_no_call(
    tmp_path: Path, memory: MemoryManager, faults: Faults
) -> None:
    (tmp_path / "file").write_text("in the way")
    wrapped = Bridge(memory, scope=CHAT, options=PATIENT, spill=Spill(tmp_path / "file" / "x", store=lambda *_: None))
    faults.raise_(StoreBusy("busy"))
    exchange(wrapped, "one", "1")
    assert (wrapped.status, wrapped.lost_turns) == ("lost", 2)


# --- forgetting -----------------------------------------------------------------------------------


def test_what_lies_there_is_stored_and_then_forgotten(memory: MemoryManager, faults: Faults, folder: Path) -> None:
    faults.raise_(StoreBusy("busy"))
    exchange(bridge(memory), "My PIN is 4711, tell nobody.")
    exchange(bridge(memory, BEN), "ben's words")
    faults.end()
    receipt = memory.forget(where={"session": "chat"}, scope=ANA, verify=True)
    assert (receipt.memories, receipt.verified) == (2, True)
    assert memory.flush(20)
    assert contents(memory) == []
    assert contents(memory, Scope(user="ben")) == ["ben's words", "fine"]


def test_what_cannot_be_stored_now_keeps_its_scope_from_being_forgotten_in_part(
    memory: MemoryManager, faults: Faults
) -> None:
    said = memory.store("A first word.", scope=CHAT)
    faults.raise_(StoreBusy("busy"))
    exchange(bridge(memory), "a second")
    with pytest.raises(StoreBusy, match="nothing was forgotten"):
        memory.forget(said.id, scope=ANA)
    assert said.content in contents(memory)
    faults.end()


def test_what_cannot_be_stored_is_dropped_with_everything(memory: MemoryManager, faults: Faults, folder: Path) -> None:
    faults.raise_(StoreFull("full"))
    exchange(bridge(memory), "My PIN is 4711, tell nobody.")
    exchange(bridge(memory, BEN), "ben's words")
    receipt = memory.forget(scope=ANA, everything=True, verify=True)
    assert receipt.verified is not False
    faults.end()
    assert memory.flush(20)
    assert contents(memory) == []
    assert contents(memory, Scope(user="ben")) == ["ben's words", "fine"]


def test_what_is_under_a_hold_is_not_dropped(memory: MemoryManager, faults: Faults) -> None:
    memory.store("A first word.", scope=CHAT)
    memory.hold(scope=ANA, reason="case 4711")
    faults.raise_(StoreBusy("busy"))
    exchange(bridge(memory), "a second", "1")
    with pytest.raises(UnderHold):
        memory.forget(scope=ANA, everything=True)
    faults.end()
    assert memory.flush(20)
    assert contents(memory) == ["A first word.", "a second", "1"]


def test_a_write_that_still_hangs_is_waited_for_and_does_not_come_back(
    memory: MemoryManager, faults: Faults, folder: Path
) -> None:
    released = faults.hang()
    exchange(bridge(memory, options=HASTY), "My PIN is 4711, tell nobody.")
    faults.end()  # whoever comes from now on is served; the first writes still hang
    with ThreadPoolExecutor(1) as forgetting:
        forgetting_it = forgetting.submit(lambda: memory.forget(scope=ANA, everything=True, verify=True))
        time.sleep(0.3)
        assert not forgetting_it.done()
        released.set()
        receipt = forgetting_it.result(20)
    assert receipt.verified is True
    assert memory.flush(20)
    assert (contents(memory), spilled(folder)) == ([], [])


def test_verify_finds_words_that_another_spill_file_holds(memory: MemoryManager, folder: Path) -> None:
    secret = 'My "PIN" is 4711,\ntell nobody in the world.'
    said = memory.store(secret, scope=CHAT)
    spill = Spill(folder / "agentmem.db.spill", store=lambda *_: None)
    kept = spill.keep([Turn(secret, idempotency_key="of somebody else")], Scope(user="somebody", session="else"), 1)
    memory._spill.is_needed = False
    receipt = memory.forget(said.id, scope=ANA, verify=True)
    assert kept is not None
    assert receipt.verified is False
    assert any(kept.path.name in check for check in receipt.checks)


def test_retention_expires_nothing_that_comes_back(memory: MemoryManager, faults: Faults) -> None:
    released = faults.hang()
    wrapped = bridge(memory, options=HASTY)
    exchange(wrapped, "one", "1")
    faults.end()
    released.set()
    assert memory.flush(20)
    memory._forgetter.expire(ANA, [each.id for each in memory.list(scope=ANA)])
    assert memory.flush(20)
    assert contents(memory) == []


# --- without spill files --------------------------------------------------------------------------


def test_a_sealed_log_keeps_no_turn_in_the_clear(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    log = {"type": "sealed", "url": f"sqlite:///{tmp_path / 'sealed.db'}", "keys": str(tmp_path / "keys")}
    with pytest.raises(ConfigError, match="in the clear"):
        MemoryManager(log, embedder=None, wrapping=WrapOptions(spill=str(tmp_path / "spill")))
    with MemoryManager(log, embedder=None, extractor=None) as memory:
        assert memory._spill.folder is None
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(memory, patch)
            faults.raise_(StoreBusy("busy"))
            wrapped = bridge(memory)
            exchange(wrapped, "one")
        assert (wrapped.status, wrapped.lost_turns) == ("lost", 2)


def test_a_folder_can_be_named_where_the_log_is_no_file(tmp_path: Path) -> None:
    options = WrapOptions(spill=str(tmp_path / "spill"), write_deadline_s=30)
    with MemoryManager.open("sqlite://", embedder=None, extractor=None, wrapping=options) as memory:
        with pytest.MonkeyPatch.context() as patch:
            faults = Faults(memory, patch)
            faults.raise_(StoreBusy("busy"))
            exchange(bridge(memory), "one", "1")
        assert len(list((tmp_path / "spill").glob("*.jsonl"))) == 2
        assert memory.flush(20)
        assert contents(memory) == ["one", "1"]


# --- writes under way -----------------------------------------------------------------------------


@pytest.mark.parametrize("is_sealed", [False, True])
def test_a_late_write_is_forgotten_where_there_are_no_spill_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_sealed: bool
) -> None:
    sealed = {"type": "sealed", "url": f"sqlite:///{tmp_path}/agentmem.db", "keys": tmp_path / "keys"}
    log = sealed if is_sealed else {"type": "sql", "url": "sqlite://"}
    with MemoryManager(log, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        wrapped = bridge(memory, options=HASTY)
        released = Faults(memory, monkeypatch).hang()
        wrapped.prepare([Said("user", "one")])
        assert wrapped.status == "degraded"
        threading.Timer(0.2, released.set).start()
        assert memory.forget(scope=ANA, everything=True).status == "done"
        assert released.is_set()
        assert wrapped.flush(20)
        assert contents(memory) == []


def test_what_a_stream_said_before_it_was_closed_is_forgotten(memory: MemoryManager, faults: Faults) -> None:
    wrapped = bridge(memory)
    prepared = wrapped.prepare([Said("user", "one")])
    released = faults.hang()
    wrapped.observe(prepared, [Said("assistant", "half an ans")], complete=False, wait_for_write=False)
    threading.Timer(0.2, released.set).start()
    assert memory.forget(scope=ANA, where={"role": "assistant"}).status == "done"
    assert wrapped.flush(20)
    assert contents(memory) == ["one"]


def test_nothing_is_forgotten_while_a_write_hangs_on(
    memory: MemoryManager, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentmem.clients.spill._PATIENCE_S", 0.1)
    wrapped = bridge(memory)
    exchange(wrapped, "one", "1")
    released = faults.hang()
    wrapped.observe(wrapped.prepare([]), [Said("assistant", "2")], wait_for_write=False)
    with pytest.raises(StoreBusy, match="nothing was forgotten"):
        memory.forget(scope=ANA, everything=True)
    assert contents(memory) == ["one", "1"]
    assert memory.forget(scope=Scope(user="ben"), everything=True).status == "done"
    released.set()
    assert wrapped.flush(20)


# --- files that cannot be read --------------------------------------------------------------------


def torn(folder: Path, memory: MemoryManager, damage: Callable[[bytes], bytes]) -> Path:
    """The file of a turn that was spilled, damaged."""
    spill = Spill(folder / "agentmem.db.spill", store=lambda *_: None)
    turn = Turn("my number is four five six", idempotency_key="said:0198b3a8:0")
    kept = spill.keep([turn], CHAT, 1)
    assert kept is not None
    kept.path.write_bytes(damage(kept.path.read_bytes()))
    return kept.path


@pytest.mark.parametrize("damage", [lambda written: written[:-6], lambda written: b"\0" * 4 + written[4:]])
def test_everything_erases_a_torn_file_whose_owner_is_still_told(
    memory: MemoryManager, folder: Path, damage: Callable[[bytes], bytes]
) -> None:
    path = torn(folder, memory, damage)
    assert memory.forget(scope=Scope(user="ben"), everything=True).status == "done"
    assert path.exists()
    in_part = memory.forget(scope=ANA, where={"role": "user"}, verify=True)
    assert (in_part.status, in_part.verified) == ("pending", None)
    assert path.name in str(in_part.remaining)
    receipt = memory.forget(scope=ANA, everything=True)
    assert receipt.status == "done"
    assert not path.exists()


def test_a_file_that_cannot_be_read_at_all_keeps_a_receipt_open_until_it_is_removed(
    memory: MemoryManager, folder: Path
) -> None:
    path = torn(folder, memory, lambda written: written[70:])
    receipt = memory.forget(scope=ANA, everything=True, verify=True)
    assert (receipt.status, receipt.verified) == ("pending", None)
    assert str(path) in str(receipt.remaining)
    assert memory.flush(20)
    assert [each.status for each in memory.receipts(scope=ANA)] == ["pending"]
    path.unlink()
    memory.flush(20)
    assert [each.status for each in memory.receipts(scope=ANA)] == ["done"]


def test_a_file_that_was_only_begun_or_holds_nothing_is_removed(memory: MemoryManager, folder: Path) -> None:
    begun = torn(folder, memory, lambda written: written)
    begun.rename(begun.with_name(begun.name + ".new"))
    torn(folder, memory, lambda written: bytes(len(written)))
    assert memory.flush(20)
    receipt = memory.forget(scope=ANA, everything=True)
    assert receipt.status == "done"
    assert spilled(folder) == []


# --- the order in which things were said ----------------------------------------------------------


def test_turns_are_stored_in_their_order_though_the_clock_steps_back(
    folder: Path, memory: MemoryManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns()
    said = ["one", "two", "three", "four", "five", "six"]
    for number, words in enumerate(said):
        if number % 2 == 0:  # another process, whose clock is an hour behind
            now -= 3_600 * 10**9
            spill = Spill(folder / "agentmem.db.spill", store=lambda *_: None)
        monkeypatch.setattr(time, "time_ns", lambda now=now: now)
        assert spill.keep([_turn(words)], CHAT, spill.begin(CHAT, Future()))
    monkeypatch.undo()
    assert memory.flush(20)
    assert contents(memory) == said


def test_an_answer_that_comes_after_the_manager_was_closed_is_stored_by_the_next(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        wrapped = bridge(memory)
        prepared = wrapped.prepare([Said("user", "one")])
    wrapped.observe(prepared, [Said("assistant", "1")])
    assert (wrapped.status, wrapped.lost_turns) == ("spilled", 0)
    with MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        assert contents(memory) == ["one", "1"]


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
def test_what_is_said_after_the_database_was_removed_is_stored_in_the_next(folder: Path) -> None:
    memory = MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT)
    wrapped = bridge(memory)
    exchange(wrapped, "one", "1")
    for file in folder.iterdir():
        if file.is_file():
            file.unlink()
    exchange(wrapped, "two", "2")
    assert (wrapped.status, wrapped.lost_turns) == ("spilled", 0)
    memory.close()
    with MemoryManager.open(folder, embedder=None, extractor=None, wrapping=PATIENT) as memory:
        assert contents(memory) == ["two", "2"]
