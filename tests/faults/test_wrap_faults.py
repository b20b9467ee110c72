"""A log that raises, hangs, is full and comes back, under a wrapped client: no call fails, no turn goes without a word.

The default is a thousand faulty calls; ten thousand: ``pytest tests/faults/test_wrap_faults.py -m campaign``.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from children import ANA
from killed_spiller import talk_until_killed

from agentmem import MemoryManager, Scope
from agentmem.clients import Bridge, Said, WrapOptions, private_turns, use_scope
from agentmem.errors import BackendError, InvalidInput, StoreBusy, StoreFull

HASTY = WrapOptions(deadline_s=0.02, write_deadline_s=0.02)
PEOPLE = 8


class Weather:
    """What befalls a log at each of its calls, by chance; it changes from spell to spell, as outages do."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._spell: Callable[[], None] = lambda: None
        self._left = 0
        self.met = Counter[str]()

    def strike(self) -> None:
        with self._lock:
            if not self._left:
                self._spell = self._chance.choice([self._fine, self._busy, self._full, self._odd, self._slow])
                self._left = self._chance.randrange(1, 30)
            self._left -= 1
            spell = self._spell
            self.met[spell.__name__] += 1
        spell()

    def _fine(self) -> None: ...

    def _busy(self) -> None:
        raise StoreBusy("busy")

    def _full(self) -> None:
        raise StoreFull("full")

    def _odd(self) -> None:
        raise RuntimeError("odd")

    def _slow(self) -> None:
        time.sleep(self._chance.choice([0.005, 0.03, 0.06]))


@contextmanager
def struck(memory: MemoryManager, weather: Weather) -> Iterator[None]:
    """The memory's log, struck at every read and write while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("append", "read", "heads", "has_forgotten"):
            call = getattr(memory.log, name)

            def struck_call(*args: Any, _call: Callable[..., Any] = call, **options: Any) -> Any:
                weather.strike()
                return _call(*args, **options)

            patch.setattr(memory.log, name, struck_call)
        yield


def test_a_thousand_faulty_calls_fail_nothing_and_lose_nothing_unreported(folder: Path) -> None:
    _faulty_calls(folder, 1_000)


@pytest.mark.campaign
@pytest.mark.timeout(3_600)
def test_ten_thousand_faulty_calls_fail_nothing_and_lose_nothing_unreported(folder: Path) -> None:
    _faulty_calls(folder, 10_000)


def _faulty_calls(folder: Path, calls: int) -> None:
    seed = _seed()
    weather = Weather(seed)
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        bridge = Bridge(memory, options=HASTY, spill=memory._spill)

        def talk(person: int) -> None:
            chance = random.Random(seed + person)
            with use_scope(Scope(user=f"u{person}", session="chat")):
                for number in range(calls // PEOPLE):
                    prepared = bridge.prepare([Said("user", f"u{person} says {number}")])
                    broke_off = chance.random() < 0.2
                    answer = [Said("assistant", f"answer {number} to u{person}")]
                    bridge.observe(prepared, answer, complete=not broke_off, wait_for_write=not broke_off)

        with struck(memory, weather), ThreadPoolExecutor(PEOPLE) as pool:
            list(pool.map(talk, range(PEOPLE)))  # raises what any call raised
        assert memory.flush(120), f"AGENTMEM_SEED={seed}"
        assert memory.verify().ok
        lost = bridge.lost_turns + memory._spill.lost_turns
        missing = 0
        for person in range(PEOPLE):
            said = _said(memory, Scope(user=f"u{person}"), limit=10_000)
            mine = [content for content in said if content.startswith("u")]
            assert all(content.startswith(f"u{person} ") for content in mine), f"AGENTMEM_SEED={seed}"
            assert all(count == 1 for count in Counter(said).values()), f"twice; AGENTMEM_SEED={seed}"
            numbers = [int(content.split()[-1]) for content in mine]
            assert numbers == sorted(numbers), f"out of order; AGENTMEM_SEED={seed}"
            missing += 2 * (calls // PEOPLE) - len(said)
        assert missing == lost == 0, f"AGENTMEM_SEED={seed}"
    assert min(weather.met.values()) > 10, "every weather was met"
    assert bridge.spilled_turns > calls / 10


def test_with_no_room_to_spill_every_turn_is_there_or_reported_as_lost(folder: Path) -> None:
    seed = _seed()
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        memory._spill._max_bytes = 2_000
        bridge = Bridge(memory, scope=ANA, options=HASTY, spill=memory._spill)
        with struck(memory, Weather(seed)):
            for number in range(150):
                bridge.observe(bridge.prepare([Said("user", f"said {number}")]), [Said("assistant", f"heard {number}")])
        assert memory.flush(60)
        said = _said(memory, ANA, limit=1_000)
        assert len(said) == len(set(said)) == 300 - bridge.lost_turns, f"AGENTMEM_SEED={seed}"


def test_private_turns_leave_no_trace_however_the_log_fails(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        bridge = Bridge(memory, scope=ANA, options=HASTY, spill=memory._spill)
        with struck(memory, Weather(_seed())), private_turns():
            for number in range(100):
                bridge.observe(bridge.prepare([Said("user", f"secret {number}")]), [Said("assistant", "hush")])
        assert memory.flush(20)
        assert _said(memory, ANA, limit=100) == []
        assert memory._spill.files() == []


def test_a_log_that_loses_an_error_in_every_way_fails_no_call_and_says_so(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
        bridge = Bridge(memory, scope=ANA, spill=memory._spill)
        for error in (InvalidInput("no"), BackendError("gone"), OSError("disk"), MemoryError()):
            with pytest.MonkeyPatch.context() as patch:

                def fail(*_: Any, _error: Exception = error, **__: Any) -> Any:
                    raise _error

                patch.setattr(memory.log, "append", fail)
                patch.setattr(memory.log, "heads", fail)
                bridge.observe(bridge.prepare([Said("user", f"{error!r}")]), [Said("assistant", "so what")])
            assert bridge.status == ("lost" if isinstance(error, InvalidInput) else "spilled")


# --- kill -9 --------------------------------------------------------------------------------------

pytest_kill = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")


@pytest_kill
def test_what_was_spilled_survives_kill_9_and_is_stored_by_the_next(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    _kill_and_look(tmp_path, processes, kills=8)


@pytest_kill
@pytest.mark.campaign
@pytest.mark.timeout(3_600)
def test_what_was_spilled_survives_two_hundred_kills(tmp_path: Path, processes: ForkServerContext) -> None:
    _kill_and_look(tmp_path, processes, kills=200)


def _kill_and_look(folder: Path, processes: ForkServerContext, *, kills: int) -> None:
    seed = _seed()
    chance = random.Random(seed)
    told: dict[int, str] = {}
    next_number = 0
    for kill in range(kills):
        listen, said = processes.Pipe(duplex=False)
        child = processes.Process(target=talk_until_killed, args=(folder, seed + kill, next_number, said), daemon=True)
        child.start()
        said.close()
        spilled_before = Counter(told.values())["spilled"]
        heard = _heard(listen)
        for number, status in heard:
            told[number] = status
            if Counter(told.values())["spilled"] > spilled_before:
                break
        time.sleep(chance.uniform(0, 0.2))
        os.kill(child.pid or 0, signal.SIGKILL)
        child.join()
        told |= dict(heard)
        next_number = max(told) + 2  # the last call may have been cut off before it said anything
        with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
            assert memory.flush(30)
            words = [content for content in _said(memory, ANA, limit=10_000) if content.startswith("word")]
            assert len(words) == len(set(words)), f"stored twice; AGENTMEM_SEED={seed}"
            kept = {number for number, status in told.items() if status != "lost"}
            assert kept <= {int(each.split()[1]) for each in words}, f"AGENTMEM_SEED={seed}"
            assert memory._spill.files() == []


def _heard(listen: Connection) -> Iterator[tuple[int, str]]:
    """The number and the status of every call that a child has told of."""
    while listen.poll(60):
        try:
            yield listen.recv()
        except EOFError:
            return


def _said(memory: MemoryManager, scope: Scope, *, limit: int) -> list[str]:
    return [each.content for each in memory.list(scope=scope, kinds={"turn"}, limit=limit)]


def _seed() -> int:
    return int(os.environ.get("AGENTMEM_SEED") or random.randrange(1 << 30))
