"""AsyncMemoryManager: the same verbs with the same arguments, many at once, and whole under cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agentmem import (
    AsyncMemoryManager,
    Document,
    ManagerClosed,
    MemoryManager,
    MemoryNotFound,
    Scope,
    Turn,
    VersionConflict,
    use_scope,
)
from agentmem.aio import AsyncBoundMemory
from agentmem.bound import BoundMemory
from agentmem.clients import current_scope
from agentmem.interfaces import EmbedRequest
from agentmem.testing import WordHashEmbedder

ANA = Scope(user="ana", agent="coach", session="monday")


@pytest_asyncio.fixture
async def memory(folder: Path) -> AsyncIterator[AsyncMemoryManager]:
    async with await AsyncMemoryManager.open(folder, embedder=WordHashEmbedder(), extractor=None) as memory:
        yield memory


# --- the same verbs -------------------------------------------------------------------------------


def _public(cls: type) -> dict[str, Any]:
    return {
        name: member
        for name, member in inspect.getmembers_static(cls)
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod))
    }


def _parameters(member: Any) -> list[tuple[str, Any, Any, Any]]:
    function = member.__func__ if isinstance(member, classmethod) else member
    return [
        (each.name, each.kind, each.default, each.annotation)
        for each in inspect.signature(function).parameters.values()
    ]


def test_every_verb_is_there_with_the_same_arguments() -> None:
    # What imports are built on stays synchronous, inside one call of import_from.
    sync = {name: member for name, member in _public(MemoryManager).items() if name not in {"drafts"}}
    asynchronous = _public(AsyncMemoryManager)
    assert set(sync) == set(asynchronous)
    for name, member in sync.items():
        assert _parameters(asynchronous[name]) == _parameters(member), name
        function = getattr(asynchronous[name], "__func__", asynchronous[name])
        assert inspect.iscoroutinefunction(function) is (name not in {"bind", "tools", "wrap", "wrap_callable"}), name


def test_bound_memories_have_every_verb_that_takes_a_scope() -> None:
    scoped = {
        name
        for name, member in _public(MemoryManager).items()
        if "scope" in inspect.signature(member.__func__ if isinstance(member, classmethod) else member).parameters
    }
    assert set(_public(BoundMemory)) == scoped - {"bind", "drafts", "store_drafts"}
    assert set(_public(AsyncBoundMemory)) == set(_public(BoundMemory))
    for name, member in _public(BoundMemory).items():
        others = [each for each in _parameters(_public(MemoryManager)[name]) if each[0] != "scope"]
        own = _parameters(member)
        if own[-1][1] is not inspect.Parameter.VAR_KEYWORD:
            assert [each[:3] for each in own] == [each[:3] for each in others], name
        else:
            assert [each[0] for each in own[:-1]] == [each[0] for each in others][: len(own) - 1], name


@pytest.mark.asyncio
async def test_every_verb_does_what_it_does_there(memory: AsyncMemoryManager, tmp_path: Path) -> None:
    stored = await memory.store("I moved to Lisbon.", scope=ANA, metadata={"topic": "home"}, idempotency_key="k")
    assert await memory.store("I moved to Lisbon.", scope=ANA, idempotency_key="k") == stored
    many = await memory.store_many([Turn("I like figs."), "I like dates.", Document("# A\n\ntext", "a.md")], scope=ANA)
    assert len(many) == 3
    assert (await memory.retrieve("Lisbon", scope=ANA, k=1))[0].id == stored.id
    assert await memory.get(stored.id, scope=ANA) == stored
    assert len(await memory.list(scope=ANA, limit=2)) == 2
    updated = await memory.update(stored.id, scope=ANA, content="I moved to Porto.", expected_version=1)
    assert [each.version for each in await memory.history(stored.id, scope=ANA)] == [1, 2]
    with pytest.raises(VersionConflict):
        await memory.update(stored.id, scope=ANA, content="x", expected_version=1)
    assert (await memory.get(stored.id, scope=ANA, known_at=stored.recorded_from)).content == "I moved to Lisbon."
    [summary] = await memory.compress(scope=ANA)
    assert updated.id in summary.derived_from
    assert await memory.export_to(tmp_path / "out.jsonl", scope=ANA) == 5
    report = await memory.import_from(tmp_path / "out.jsonl", scope=Scope(user="eva"), trust="declared")
    assert report.stored == 5
    assert (await memory.forget(stored.id, scope=ANA, verify=True)).status == "done"
    with pytest.raises(MemoryNotFound):
        await memory.get(stored.id, scope=ANA)
    assert (await memory.stats()).versions > 5
    assert (await memory.verify(deep=True)).ok
    assert (await memory.repair()).ok
    assert await memory.reembed() == 0
    assert await memory.flush(5)


@pytest.mark.asyncio
async def test_a_bound_memory_speaks_for_its_scope(memory: AsyncMemoryManager, tmp_path: Path) -> None:
    ana = memory.bind(ANA)
    stored = await ana.store("I like figs.", importance=0.5)
    assert stored.scope == ANA
    await ana.store_many(["One.", "Two."])
    assert (await ana.retrieve("figs", k=1))[0].id == stored.id
    await ana.update(stored.id, metadata={"a": 1})
    assert (await ana.get(stored.id)).metadata == {"a": 1}
    assert len(await ana.history(stored.id)) == 2
    assert len(await ana.list(limit=10)) == 3
    assert await ana.export_to(tmp_path / "out.jsonl") == 3
    assert (await ana.forget(stored.id)).memories == 1


# --- at once --------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_a_hundred_stores_at_once_are_all_there(memory: AsyncMemoryManager) -> None:
    stored = await asyncio.gather(*(memory.store(f"Number {number}.", scope=ANA) for number in range(100)))
    assert len({each.id for each in stored}) == 100
    assert len(await memory.list(scope=ANA, limit=1_000)) == 100
    answers = await asyncio.gather(*(memory.retrieve(f"number {number}", scope=ANA, k=1) for number in range(100)))
    assert [answer[0].content for answer in answers] == [f"Number {number}." for number in range(100)]


@pytest.mark.asyncio
async def test_a_key_given_many_times_at_once_stores_one(memory: AsyncMemoryManager) -> None:
    stored = await asyncio.gather(*(memory.store("Once.", scope=ANA, idempotency_key="k") for _ in range(20)))
    assert len({each.id for each in stored}) == 1
    assert len(await memory.list(scope=ANA)) == 1


@pytest.mark.asyncio
async def test_tasks_that_change_one_memory_lose_no_change(memory: AsyncMemoryManager) -> None:
    counter = await memory.store("Counter.", scope=ANA, metadata={"count": 0})

    async def count_up() -> None:
        while True:
            seen = await memory.get(counter.id, scope=ANA)
            try:
                await memory.update(
                    counter.id,
                    scope=ANA,
                    metadata={"count": seen.metadata["count"] + 1},
                    expected_version=seen.version,
                )
                return
            except VersionConflict:
                continue

    await asyncio.gather(*(count_up() for _ in range(20)))
    assert (await memory.get(counter.id, scope=ANA)).metadata == {"count": 20}


@pytest.mark.asyncio
async def test_the_event_loop_is_free_while_a_verb_works(folder: Path) -> None:
    class SlowEmbedder(WordHashEmbedder):
        def embed(self, request: EmbedRequest) -> Any:
            time.sleep(0.3)
            return super().embed(request)

    async with await AsyncMemoryManager.open(folder, embedder=SlowEmbedder()) as memory:
        storing = asyncio.create_task(memory.store("Slow.", scope=ANA))
        beats = 0
        while not storing.done():
            await asyncio.sleep(0.01)
            beats += 1
        assert beats > 10
        assert (await storing).content == "Slow."


@pytest.mark.asyncio
async def test_no_more_threads_work_than_were_allowed(folder: Path) -> None:
    at_once: list[int] = []
    working = threading.Semaphore(0)

    class CountingEmbedder(WordHashEmbedder):
        def embed(self, request: EmbedRequest) -> Any:
            working.release()
            at_once.append(working._value)
            time.sleep(0.01)
            working.acquire()
            return super().embed(request)

    memory = AsyncMemoryManager(MemoryManager.open(folder, embedder=CountingEmbedder()), max_threads=3)
    async with memory:
        await asyncio.gather(*(memory.store(f"Number {number}.", scope=ANA) for number in range(30)))
    assert 1 < max(at_once) <= 3


@pytest.mark.asyncio
async def test_the_callers_context_goes_along(memory: AsyncMemoryManager, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Scope | None] = []
    monkeypatch.setattr(memory.sync, "stats", lambda: seen.append(current_scope()))
    with use_scope(ANA):
        await memory.stats()
    assert seen == [ANA]


# --- cancelled and closed -------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_cancelled_calls_leave_whole_memories_or_none(memory: AsyncMemoryManager) -> None:
    for number in range(40):
        batch = [f"Batch {number}, part {part}." for part in range(5)]
        task = asyncio.create_task(memory.store_many(batch, scope=ANA))
        await asyncio.sleep(number % 8 / 1000)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert (await memory.store("After all that.", scope=ANA)).version == 1
    found = [each.content for each in await memory.list(scope=ANA, limit=1_000)]
    for number in range(40):
        parts = sum(content.startswith(f"Batch {number},") for content in found)
        assert parts in (0, 5), "all or none"
    assert (await memory.verify(deep=True)).ok
    assert (await memory.retrieve("After all that", scope=ANA))[0].content == "After all that."


@pytest.mark.asyncio
async def test_a_timeout_around_a_verb_is_only_a_timeout(folder: Path) -> None:
    class StuckEmbedder(WordHashEmbedder):
        stuck = False

        def embed(self, request: EmbedRequest) -> Any:
            if self.stuck:
                time.sleep(0.3)
            return super().embed(request)

    embedder = StuckEmbedder()
    async with await AsyncMemoryManager.open(folder, embedder=embedder) as memory:
        await memory.store("Before.", scope=ANA)
        embedder.stuck = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await memory.retrieve("before", scope=ANA)
        embedder.stuck = False
        assert (await memory.retrieve("before", scope=ANA)).hits


@pytest.mark.asyncio
async def test_leaving_the_block_closes_it_and_closing_again_is_fine(folder: Path) -> None:
    async with await AsyncMemoryManager.open(folder, embedder=WordHashEmbedder()) as memory:
        await memory.store("Kept.", scope=ANA)
    with pytest.raises(ManagerClosed):
        await memory.store("x", scope=ANA)
    with pytest.raises(ManagerClosed):
        await memory.list(scope=ANA)
    await memory.close()
    async with await AsyncMemoryManager.open(folder, embedder=WordHashEmbedder()) as memory:
        assert [each.content for each in await memory.list(scope=ANA)] == ["Kept."]


@pytest.mark.asyncio
async def test_calls_under_way_end_before_it_is_closed(folder: Path) -> None:
    memory = await AsyncMemoryManager.open(folder, embedder=WordHashEmbedder())
    storing = [asyncio.create_task(memory.store(f"Number {number}.", scope=ANA)) for number in range(30)]
    await asyncio.sleep(0)
    await memory.close()
    done = await asyncio.gather(*storing, return_exceptions=True)
    stored = [each.content for each in done if not isinstance(each, BaseException)]
    assert all(isinstance(each, ManagerClosed) for each in done if isinstance(each, BaseException)), done
    async with await AsyncMemoryManager.open(folder, embedder=WordHashEmbedder()) as memory:
        assert {each.content for each in await memory.list(scope=ANA)} == set(stored), "said to be stored = stored"
        assert (await memory.verify(deep=True)).ok


@pytest.mark.asyncio
async def test_it_opens_from_a_file_and_a_mapping(tmp_path: Path) -> None:
    mapping = {"version": 1, "log": {"type": "sql", "url": f"sqlite:///{tmp_path}/agentmem.db"}}
    async with await AsyncMemoryManager.from_dict(mapping) as memory:
        await memory.store("I like figs.", scope=ANA)
    (tmp_path / "agentmem.yaml").write_text(
        f"version: 1\nlog: {{type: sql, url: 'sqlite:///{tmp_path}/agentmem.db'}}\n"
    )
    async with await AsyncMemoryManager.from_yaml(tmp_path / "agentmem.yaml") as memory:
        assert [each.content for each in await memory.list(scope=ANA, kinds={"turn"})] == ["I like figs."]
