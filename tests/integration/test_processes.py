"""Many processes on one memory: nothing lost, nothing doubled, and each sees at once what the others did."""

from __future__ import annotations

import faulthandler
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from children import ANA, embedder, words_of
from workers import count_up, obey, store_each_twice

from agentmem import AsyncMemoryManager, MemoryManager, MemoryNotFound, Scope
from agentmem.testing import FailingEmbedder, WordHashEmbedder

PROCESSES = 8
TIMES = 300
HANGS_S = 20


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryManager]:
    with MemoryManager.open(tmp_path, embedder=embedder()) as memory:
        yield memory


# --- at the same time -----------------------------------------------------------------------------


def test_eight_processes_change_the_same_memories_and_no_change_is_lost(
    memory: MemoryManager, tmp_path: Path, processes: ForkServerContext
) -> None:
    counters = [memory.store(f"Counter {name}.", scope=ANA, metadata={"count": 0}).id for name in "abcd"]
    conflicts = _all_of(processes, count_up, [(tmp_path, seed, counters, TIMES) for seed in range(PROCESSES)])
    found = [memory.get(id, scope=ANA) for id in counters]
    assert sum(each.metadata["count"] for each in found) == PROCESSES * TIMES
    assert sum(each.version for each in found) == PROCESSES * TIMES + len(counters)
    assert sum(conflicts) > 0, "they did get in each other's way"
    assert memory.verify(deep=True).ok


def test_eight_processes_store_and_repeat_and_nothing_is_lost_or_doubled(
    memory: MemoryManager, tmp_path: Path, processes: ForkServerContext
) -> None:
    times = TIMES // 3
    _all_of(processes, store_each_twice, [(tmp_path, number, times) for number in range(PROCESSES)])
    contents = [each.content for each in memory.list(scope=ANA, limit=10_000)]
    assert sorted(contents) == sorted(words_of(number) for number in range(PROCESSES * times))
    for number in range(0, PROCESSES * times, 37):
        assert memory.retrieve(words_of(number), scope=ANA, k=1)[0].content == words_of(number)
    assert memory.stats().waiting == 0


def test_processes_that_open_a_new_memory_at_once_make_one(tmp_path: Path, processes: ForkServerContext) -> None:
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        _all_of(processes, store_each_twice, [(folder, number, 5) for number in range(PROCESSES)])
        with MemoryManager.open(folder, embedder=embedder()) as memory:
            assert len(memory.list(scope=ANA, limit=100)) == PROCESSES * 5
            assert memory.verify(deep=True).ok
            assert memory.stats().partitions == 1


# --- one after the other --------------------------------------------------------------------------


@pytest.fixture
def elsewhere(tmp_path: Path, processes: ForkServerContext) -> Iterator[Callable[..., Any]]:
    """Calls a verb in another process, which keeps the memory open."""
    here, there = processes.Pipe()
    worker = processes.Process(target=obey, args=(tmp_path, there), daemon=True)
    worker.start()
    there.close()

    def call(verb: str, *arguments: Any, **options: Any) -> Any:
        here.send((verb, arguments, options))
        assert here.poll(30), f"the other process hangs in {verb}"
        return here.recv()

    yield call
    here.send(None)
    worker.join(30)
    assert worker.exitcode == 0


def test_what_another_process_does_is_seen_at_once(memory: MemoryManager, elsewhere: Callable[..., Any]) -> None:
    def found(question: str, scope: Scope = ANA, **options: Any) -> list[str]:
        here = [hit.content for hit in memory.retrieve(question, scope=scope, k=50, **options)]
        there = [hit.content for hit in elsewhere("retrieve", question, scope=scope, k=50, **options)]
        assert here == there, "both processes give one answer"
        return here

    memory.store("The weather is fine.", scope=ANA)
    assert found("weather") == ["The weather is fine."]

    stored = elsewhere("store", "Her cat is called Zubi.", scope=ANA, metadata={"topic": "pets"})
    assert found("What is her cat called?")[0] == "Her cat is called Zubi."

    elsewhere("update", stored.id, scope=ANA, content="Her cat is called Momo.")
    assert found("cat called Momo")[0] == "Her cat is called Momo."
    assert "Her cat is called Zubi." not in found("cat called Zubi")

    elsewhere("update", stored.id, scope=ANA, metadata={"topic": "cats"})
    assert found("cat", where={"metadata.topic": "pets"}) == []
    assert found("cat", where={"metadata.topic": "cats"}) == ["Her cat is called Momo."]

    elsewhere("forget", stored.id, scope=ANA)
    assert found("cat called Momo") == ["The weather is fine."] or found("cat called Momo") == []
    with pytest.raises(MemoryNotFound):
        memory.get(stored.id, scope=ANA)

    elsewhere("store_many", ["One tea.", "Two teas."], scope=Scope(user="ana"))
    assert set(found("tea")) >= {"One tea.", "Two teas."}
    elsewhere("forget", scope=Scope(user="ana"), where={"session": None})
    assert not {"One tea.", "Two teas."} & set(found("tea"))

    elsewhere("forget", scope=Scope(user="ana"), everything=True)
    assert found("weather") == []
    memory.store("A new life.", scope=ANA)
    assert found("life") == ["A new life."]


def test_a_long_exchange_between_two_processes_leaves_both_with_the_same_picture(
    memory: MemoryManager, elsewhere: Callable[..., Any]
) -> None:
    ids: list[str] = []
    for number in range(60):
        store = memory.store if number % 2 else (lambda *a, **o: elsewhere("store", *a, **o))
        ids.append(store(words_of(number), scope=ANA).id)
        if number % 3 == 0:
            memory.forget(ids.pop(0), scope=ANA)
        if number % 5 == 4:
            elsewhere("update", ids[0], scope=ANA, content=f"{words_of(number)} changed")
        question = words_of(number)
        assert elsewhere("retrieve", question, scope=ANA).to_dict() == memory.retrieve(question, scope=ANA).to_dict()


# --- forked ---------------------------------------------------------------------------------------


def _forked(work: Callable[[], None]) -> int:
    """The process id of a child that does the work in a copy of this process; its exit code tells how it went."""
    child = os.fork()
    if child:
        return child
    try:
        faulthandler.dump_traceback_later(HANGS_S, exit=True, file=sys.__stderr__)
        work()
        os._exit(0)
    except BaseException:  # noqa: BLE001 - whatever it is, this copy must not go on as if it were the test
        traceback.print_exc(file=sys.__stderr__)
        sys.__stderr__.flush()
    finally:
        os._exit(1)


def _ended(child: int) -> int:
    """The exit code of a child; one that hangs says where, and ends with 1."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="This system cannot fork.")


@needs_fork
def test_forked_workers_read_and_write_with_the_manager_they_inherit(memory: MemoryManager) -> None:
    said = memory.store("The parent likes figs.", scope=ANA)
    assert memory.retrieve("figs", scope=ANA)[0].id == said.id

    def work(number: int) -> None:
        assert memory.retrieve("Who likes figs?", scope=ANA)[0].id == said.id
        for place in range(20):
            stored = memory.store(words_of(number * 20 + place), scope=ANA)
            assert memory.retrieve(stored.content, scope=ANA, k=1)[0].id == stored.id
        memory.update(stored.id, scope=ANA, metadata={"worker": number})
        memory.forget(stored.id, scope=ANA)

    children = [_forked(lambda number=number: work(number)) for number in range(4)]
    for place in range(20):
        memory.store(words_of(80 + place), scope=ANA)
    assert [_ended(child) for child in children] == [0] * 4
    contents = {each.content for each in memory.list(scope=ANA, limit=1_000)}
    expected = {words_of(number) for number in range(100) if number >= 80 or number % 20 != 19}
    assert contents == expected | {"The parent likes figs."}
    for number in (0, 25, 50, 75, 99):
        if number % 20 != 19 or number >= 80:
            assert memory.retrieve(words_of(number), scope=ANA, k=1)[0].content == words_of(number)
    assert memory.verify(deep=True).ok


@needs_fork
def test_workers_may_be_forked_while_threads_of_the_parent_are_at_work(memory: MemoryManager) -> None:
    stop = threading.Event()

    def keep_busy(number: int) -> None:
        while not stop.is_set():
            memory.store(f"busy {number}", scope=Scope(user=f"busy{number}"))
            memory.retrieve("busy", scope=Scope(user=f"busy{number}"))

    def work() -> None:
        stored = memory.store("A worker was here.", scope=ANA)
        assert memory.retrieve("Was a worker here?", scope=ANA, k=1)[0].content == stored.content
        assert memory.retrieve("busy", scope=Scope(user="busy0")).hits

    memory.store("Before.", scope=ANA)
    threads = [threading.Thread(target=keep_busy, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(6):
            assert _ended(_forked(work)) == 0
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(memory.list(scope=ANA)) == 7


@needs_fork
def test_a_forked_worker_embeds_what_it_stores_when_the_embedder_is_slow(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=FailingEmbedder(WordHashEmbedder())) as memory:
        memory.store("The parent likes figs.", scope=ANA)
        assert memory.flush(10)

        def work() -> None:
            memory.store("The child likes dates.", scope=ANA)
            assert memory.flush(10)
            assert memory.stats().waiting == 0

        assert _ended(_forked(work)) == 0
        memory.store("And nuts.", scope=ANA)
        assert memory.flush(10)
        assert (memory.stats().waiting, memory.stats().vectors) == (0, 3)


@needs_fork
def test_a_forked_worker_may_use_the_async_manager_it_inherits(memory: MemoryManager) -> None:
    import asyncio

    asynchronous = AsyncMemoryManager(memory, max_threads=2)

    async def ask(content: str) -> None:
        stored = await asynchronous.store(content, scope=ANA)
        assert (await asynchronous.retrieve(content, scope=ANA, k=1))[0].id == stored.id

    asyncio.run(ask("The parent likes figs."))
    assert _ended(_forked(lambda: asyncio.run(ask("The child likes dates.")))) == 0
    asyncio.run(ask("And nuts."))
    assert len(memory.list(scope=ANA)) == 3


def _all_of(processes: ForkServerContext, work: Callable[..., None], arguments: list[tuple[Any, ...]]) -> list[Any]:
    """What processes say that do the work at the same time; each of them must end well."""
    pipes = [processes.Pipe(duplex=False) for _ in arguments]
    workers: list[BaseProcess] = [
        processes.Process(target=work, args=(*each, said), daemon=True)
        for each, (_, said) in zip(arguments, pipes, strict=True)
    ]
    for worker, (_, said) in zip(workers, pipes, strict=True):
        worker.start()
        said.close()
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)
    return [heard.recv() for heard, _ in pipes]
