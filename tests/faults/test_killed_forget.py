"""kill -9 in the middle of forgetting a subject: the wish is carried out by whoever opens the memory next.

Longer: ``pytest tests/faults/test_killed_forget.py -m campaign``. Every failure names the seed that replays it.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from contextlib import suppress
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from killed_forgetter import forget_until_killed

from agentmem import MemoryManager, Scope
from agentmem.log.backup import restore_backup

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no kill -9 on this system")

USERS = 6
EACH = 150


def test_a_forget_that_was_killed_is_finished_by_the_next(tmp_path: Path, processes: ForkServerContext) -> None:
    _kill_and_look(tmp_path, processes, kills=8)


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_many_forgets_that_were_killed_are_finished(tmp_path: Path, processes: ForkServerContext) -> None:
    _kill_and_look(tmp_path, processes, kills=300)


def _kill_and_look(tmp_path: Path, processes: ForkServerContext, *, kills: int) -> None:
    seed = int(os.environ.get("AGENTMEM_SEED") or random.randrange(1 << 30))
    replay = f"replay: AGENTMEM_SEED={seed} pytest {Path(__file__).name}"
    print(replay)
    chance = random.Random(seed)
    filled, backup = tmp_path / "filled", tmp_path / "backup.db"
    with MemoryManager.open(filled, embedder=None, extractor=None) as memory:
        for user in range(USERS):
            texts = [f"xylotheca-{user} said number {number}" for number in range(EACH)]
            memory.store_many(texts, scope=Scope(user=f"u{user}", agent="coach"))
        memory.log.backup(backup)
    halfway = 0
    for kill in range(kills):
        folder = tmp_path / f"kill-{kill}"
        shutil.copytree(filled, folder)
        begun, done = _killed(processes, folder, chance.uniform(0, 0.2))
        with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
            for user in range(USERS):
                scope = Scope(user=f"u{user}")
                left = len(memory.list(scope=scope, limit=1_000))
                if user in done:
                    assert left == 0, replay
                else:
                    assert left in ((0, EACH) if user in begun else (EACH,)), f"none is half there; {replay}"
            memory.flush()
            gone = [user for user in range(USERS) if not len(memory.list(scope=Scope(user=f"u{user}")))]
            halfway += len(gone) > len(done)
            assert all(each.status == "done" for user in gone for each in memory.log.receipts(Scope(user=f"u{user}")))
            assert memory.verify(deep=True).ok, replay
        contents = b"".join(file.read_bytes() for file in folder.iterdir())
        assert [user for user in gone if b"xylotheca-%d said" % user in contents] == [], replay
        if kill % 4 == 0:
            restore_backup(backup, folder / "agentmem.db")
            with MemoryManager.open(folder, embedder=None, extractor=None) as memory:
                back = [user for user in gone if len(memory.list(scope=Scope(user=f"u{user}")))]
                assert back == [], f"a backup brought somebody back; {replay}"
        shutil.rmtree(folder)
    assert halfway, "some were killed in the middle"


def _killed(processes: ForkServerContext, folder: Path, delay_s: float) -> tuple[set[int], set[int]]:
    """Users whose forgetting began, and those for whom it was acknowledged."""
    listen, said = processes.Pipe(duplex=False)
    names = [f"u{user}" for user in range(USERS - 1)]
    child = processes.Process(target=forget_until_killed, args=(folder, names, 3, said), daemon=True)
    child.start()
    said.close()
    heard: dict[str, set[int]] = {"will": set(), "did": set()}

    assert listen.poll(30), "the child came to forget"
    time.sleep(delay_s)
    child.kill()
    child.join()
    with suppress(EOFError):
        while listen.poll():
            what, user = listen.recv()
            if what in heard:
                heard[what].add(int(user[1:]))
    return heard["will"], heard["did"]
