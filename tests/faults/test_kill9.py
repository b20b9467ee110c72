"""kill -9 of a process that writes: what it had acknowledged is there, whole and findable; the rest is not half there.

A thousand kills: ``pytest tests/faults/test_kill9.py -m campaign``. Every failure names the seed that replays it.
"""

from __future__ import annotations

import os
import random
import signal
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from children import ANA, embedder, words_of
from killed_writer import content_of, write_until_killed

from agentmem import MemoryManager, MemoryNotFound

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")

LONGEST_S = 0.150
KILLS_A_FOLDER = 50


@dataclass
class Acknowledged:
    """What the writers said, over any number of kills: id to (version, number); ids that were forgotten."""

    live: dict[str, tuple[int, int]] = field(default_factory=dict)
    forgotten: dict[str, int] = field(default_factory=dict)
    next_number: int = 1
    in_flight: tuple[str, str, list[int]] | None = None
    new: list[str] = field(default_factory=list)

    def hear(self, message: tuple[Any, ...]) -> None:
        if message[0] == "will":
            _, what, id, numbers = message
            self.in_flight = (what, id, numbers)
            self.next_number = numbers[-1] + 1
        elif message[0] == "did":
            assert self.in_flight is not None
            what, id, numbers = self.in_flight
            self.in_flight = None
            if what == "forget":
                self.forgotten[id] = self.live.pop(id)[1]
            for (stored, version), number in zip(message[1], numbers, strict=False):
                self.live[stored] = (version, number)
                self.new.append(stored)


@pytest.mark.parametrize("mode", ["store", "change"])
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path, processes: ForkServerContext, mode: str) -> None:
    _kill_and_look(processes, tmp_path, mode, kills=15)


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("mode", ["store", "change"])
def test_what_was_acknowledged_survives_a_thousand_kills(
    tmp_path: Path, processes: ForkServerContext, mode: str
) -> None:
    for start in range(0, 500, KILLS_A_FOLDER):
        _kill_and_look(processes, tmp_path / str(start), mode, kills=KILLS_A_FOLDER)


def test_a_process_killed_while_it_makes_a_memory_leaves_one_that_opens(
    tmp_path: Path, processes: ForkServerContext
) -> None:
    seed = _seed()
    chance = random.Random(seed)
    for kill in range(10):
        folder = tmp_path / str(kill)
        _killed(processes, folder, seed + kill, Acknowledged(), "store", chance.uniform(0, 0.1), from_the_start=True)
        with MemoryManager.open(folder, embedder=embedder()) as memory:
            stored = memory.store("A new life begins.", scope=ANA)
            assert memory.retrieve("new life", scope=ANA)[0].id == stored.id, _replay(seed)
            assert memory.verify(deep=True).ok, _replay(seed)


def test_the_look_afterwards_sees_what_is_missing(tmp_path: Path) -> None:
    """The control: an acknowledged memory taken away, and a forgotten one brought back, are both noticed."""
    heard = Acknowledged()
    with MemoryManager.open(tmp_path, embedder=embedder()) as memory:
        for number in (1, 2):
            heard.live[memory.store(content_of(number), scope=ANA).id] = (1, number)
        heard.new = list(heard.live)
        _look(memory, heard, random.Random(0))
        lost = heard.new[0]
        forgotten = Acknowledged(forgotten={lost: 1}, live={heard.new[1]: (1, 2)}, new=[heard.new[1]])
        with pytest.raises(AssertionError):
            _look(memory, forgotten, random.Random(0))
        memory.forget(lost, scope=ANA)
        with pytest.raises(AssertionError):
            _look(memory, heard, random.Random(0))


def _kill_and_look(processes: ForkServerContext, folder: Path, mode: str, *, kills: int) -> None:
    seed = _seed()
    print(_replay(seed))
    chance = random.Random(seed)
    heard = Acknowledged()
    for kill in range(kills):
        # Every fifth process is killed while it opens the memory, or soon after.
        opening = kill % 5 == 4
        delay_s = chance.uniform(0, 0.05 if opening else LONGEST_S)
        _killed(processes, folder, seed + kill, heard, mode, delay_s, from_the_start=opening)
        with MemoryManager.open(folder, embedder=embedder()) as memory:
            try:
                _look(memory, heard, chance)
            except Exception as error:
                raise AssertionError(f"after kill {kill}: {error}; {_replay(seed)}") from error
    assert heard.next_number > kills, "the writers came to write"


def _killed(
    processes: ForkServerContext,
    folder: Path,
    seed: int,
    heard: Acknowledged,
    mode: str,
    delay_s: float,
    *,
    from_the_start: bool,
) -> None:
    """Start a writer, kill it after the delay, and hear what it had said."""
    listen, said = processes.Pipe(duplex=False)
    versions = {id: version for id, (version, _) in heard.live.items()}
    writer = processes.Process(
        target=write_until_killed, args=(folder, seed, heard.next_number, versions, said, mode), daemon=True
    )
    writer.start()
    said.close()
    heard.new.clear()
    if not from_the_start:
        assert listen.poll(30), "the writer did not start"
        assert listen.recv() == ("ready",)
    time.sleep(delay_s)
    os.kill(writer.pid or 0, signal.SIGKILL)
    writer.join()
    assert writer.exitcode == -signal.SIGKILL, "it died of nothing else"
    try:
        while True:
            heard.hear(listen.recv())
    except EOFError:
        listen.close()


def _look(memory: MemoryManager, heard: Acknowledged, chance: random.Random) -> None:
    """Everything acknowledged is there; what was in flight is there whole or not at all, and is settled now."""
    there = {}
    cursor = None
    while True:
        page = memory.list(scope=ANA, limit=1_000, cursor=cursor)
        there |= {each.id: each for each in page}
        cursor = page.cursor
        if cursor is None:
            break
    _settle(there, heard)
    assert set(there) == set(heard.live), "neither lost nor doubled nor back again"
    for id, (version, number) in heard.live.items():
        assert (there[id].version, there[id].content) == (version, content_of(number))
    sample = chance.sample(list(heard.live), min(20, len(heard.live)))
    for id in {*heard.new, *sample} & set(heard.live):
        assert id in {hit.id for hit in memory.retrieve(words_of(heard.live[id][1]), scope=ANA, k=3)}
    for id, number in chance.sample(list(heard.forgotten.items()), min(20, len(heard.forgotten))):
        assert words_of(number) not in {hit.content for hit in memory.retrieve(words_of(number), scope=ANA)}
        with pytest.raises(MemoryNotFound):
            memory.history(id, scope=ANA)
    health = memory.verify(deep=True)
    assert health.ok, health
    assert memory.stats().waiting == 0, "no memory came without its vector"


def _settle(there: dict[str, Any], heard: Acknowledged) -> None:
    """Decide what became of the write that was cut off, from what is there."""
    if heard.in_flight is None:
        return
    what, id, numbers = heard.in_flight
    heard.in_flight = None
    if what == "forget":
        if id not in there:
            heard.forgotten[id] = heard.live.pop(id)[1]
    elif what == "update":
        version, number = heard.live[id]
        if there[id].version == version + 1:
            heard.live[id] = (version + 1, numbers[0])
        else:
            assert there[id].content == content_of(number)
    else:
        contents = {content_of(number): number for number in numbers}
        arrived = [each for each in there.values() if each.id not in heard.live and each.content in contents]
        assert len(arrived) in (0, len(numbers)), "all or none"
        for each in arrived:
            heard.live[each.id] = (1, contents[each.content])
            heard.new.append(each.id)


def _seed() -> int:
    return int(os.environ.get("AGENTMEM_SEED") or random.randrange(1 << 30))


def _replay(seed: int) -> str:
    return f"replay: AGENTMEM_SEED={seed} pytest {Path(__file__).name}"
