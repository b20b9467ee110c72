"""Whose memory: 10,000 random calls through every public verb, from threads and tasks, and not one foreign row.

The same checker is run against a log whose scope conditions let everything through; there it must find foreign rows.
"""

from __future__ import annotations

import ast
import asyncio
import json
import random
import threading
import typing
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import true

import agentmem
from agentmem import AsyncMemoryManager, Fact, InvalidInput, MemoryManager, MemoryNotFound, Scope, ScopeError, Turn
from agentmem.errors import AgentMemError
from agentmem.log import erasing, reading
from agentmem.log.sql import SQLLog
from agentmem.records import Memory
from agentmem.testing import WordHashEmbedder

CALLS: Final = 10_000
SOURCES: Final = sorted(Path(agentmem.__file__).parent.rglob("*.py"))

OWNERS: Final = [
    Scope(tenant=tenant, user=user, agent=agent)
    for tenant in ("acme", "zeta")
    for user in ("ana", "ben", None)
    for agent in ("coach", "cook", None)
    if user or agent
]


def reads(scope: Scope, owner: Scope) -> bool:
    """The layers' table: whose rows a scope reads."""
    if owner.tenant != scope.tenant:
        return False
    if scope.user is None:
        return owner.user is None and owner.agent == scope.agent
    if scope.agent is None:
        return owner.user == scope.user
    return (owner.user, owner.agent) in {(scope.user, scope.agent), (scope.user, None), (None, scope.agent)}


def writes(scope: Scope, owner: Scope) -> bool:
    """The layers' table: whose rows a scope changes."""
    if scope.user and scope.agent:
        return (owner.tenant, owner.user, owner.agent) == (scope.tenant, scope.user, scope.agent)
    return reads(scope, owner)


def mark(owner: Scope) -> str:
    """A word that every memory of an owner holds and no other memory does."""
    return f"mark{owner.tenant}{owner.user}{owner.agent}".lower()


@dataclass
class World:
    """A memory with rows of every owner, and everything that was ever wrong with an answer of it."""

    memory: MemoryManager
    folder: Path
    populated_at: datetime = field(init=False)
    ids: dict[str, Scope] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    answers: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def populate(self) -> None:
        for owner in OWNERS:
            for stored in self.memory.store_many([self.content(owner, number) for number in range(5)], scope=owner):
                self.ids[stored.id] = owner
        assert self.memory.flush(30)
        self.populated_at = datetime.now(UTC)

    def content(self, owner: Scope, number: int) -> str:
        # Every third one states a fact, which is read from it behind the log.
        return f"I like {mark(owner)} soup." if number % 3 == 1 else f"{mark(owner)} likes soup number {number}."

    def stored(self, scope: Scope, memory: Memory) -> None:
        with self._lock:
            self.ids[memory.id] = Scope(tenant=scope.tenant, user=scope.user, agent=scope.agent)

    def seen(self, scope: Scope, verb: str, memories: typing.Iterable[Memory]) -> None:
        """Everything in an answer to the scope must be its to read, by what it says and by whose it claims to be."""
        with self._lock:
            for memory in memories:
                self.answers += 1
                marks = {word for word in memory.content.split() if word.startswith("mark")}
                allowed = {mark(owner) for owner in OWNERS if reads(scope, owner)}
                if not marks or not marks <= allowed or not reads(scope, memory.scope):
                    self.faults.append(f"{verb} of {scope} shows {memory.scope}: {memory.content}")

    def fault(self, said: str) -> None:
        with self._lock:
            self.faults.append(said)


# --- the calls ------------------------------------------------------------------------------------

Call = Callable[[World, Any, Scope, str, random.Random], Any]
"""What a random call does: to a world, through a manager, for a scope, with an id that may be anybody's."""


def _retrieve(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    asked = chance.choice([f"{mark(chance.choice(OWNERS))} soup", "Who likes soup?", "number 3"])
    options: dict[str, Any] = chance.choice(
        [{}, {"k": 100}, {"explain": True}, {"max_tokens": 500}, {"where": {"id": id}}, {"where": {"user": "ana"}},
         {"include_untrusted": True}, {"conversation": [{"role": "user", "content": mark(chance.choice(OWNERS))}]},
         {"kinds": {"fact"}}, {"known_at": world.populated_at}, {"as_of": world.populated_at}]
    )  # fmt: skip
    return memory.retrieve(asked, scope=scope, **options)


def _list(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    options: dict[str, Any] = chance.choice(
        [{}, {"limit": 1}, {"where": {"user": "ben"}}, {"where": {"$or": [{"id": id}, {"agent": "coach"}]}},
         {"where": {"$not": {"user": "ana"}}}, {"cursor": world.memory.list(scope=world.ids[id], limit=1).cursor},
         {"kinds": {"fact"}}, {"known_at": world.populated_at}]
    )  # fmt: skip
    return memory.list(scope=scope, **options)


def _store(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    number = chance.randrange(9)
    return memory.store(world.content(scope, number), scope=scope, idempotency_key=f"key {number}")


def _store_fact(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    # The same subject and attribute as everybody's: a value closes the one before, and never another owner's.
    fact = Fact("user", "home", f"{mark(scope)} {chance.randrange(3)}")
    return memory.store(Turn(f"The user lives in {fact.value} .", kind="fact", fact=fact), scope=scope)


def _store_many(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    # What it claims to be made from may be another's: it must not lead there.
    return memory.store_many([Turn(world.content(scope, 1), derived_from=(id,))], scope=scope)


def _get(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.get(id, scope=scope)


def _why(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.why(id, scope=scope)


def _diff(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    since = chance.choice([world.populated_at, datetime.now(UTC) - timedelta(seconds=1)])
    return memory.diff(scope=scope, start=since, end=datetime.now(UTC) + timedelta(days=1))


def _history(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.history(id, scope=scope)


def _update(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    # A sentence that a fact may be changed to as well.
    return memory.update(id, scope=scope, content=f"The user lives in {mark(world.ids[id])} now.")


def _restore(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.restore(id, scope=scope, version=chance.choice([None, 1]))


def _feedback(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.feedback(id, scope=scope, outcome=1.0)


def _forget(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    mode = chance.choice(["erase", "retire"])
    return memory.forget(id, scope=scope, mode=mode, dry_run=chance.random() < 0.8, verify=True)


def _forget_where(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.forget(scope=scope, where={"id": id}, verify=True)


def _compress(world: World, memory: Any, scope: Scope, id: str, chance: random.Random) -> Any:
    return memory.compress(scope=scope, max_tokens=60)


VERBS: Final[dict[Call, int]] = {
    _retrieve: 34,
    _list: 13,
    _store: 7,
    _store_fact: 2,
    _store_many: 3,
    _get: 8,
    _why: 3,
    _diff: 1,
    _history: 8,
    _update: 7,
    _restore: 4,
    _feedback: 2,
    _forget: 6,
    _forget_where: 1,
    _compress: 1,
}
"""Every verb, and how often it is called, in percent."""
BY_ID: Final = {_get, _why, _history, _update, _restore, _feedback, _forget}
CHANGING: Final = {_update, _restore, _forget}


def judge(world: World, call: Call, scope: Scope, id: str, answer: Any) -> None:
    """Note everything that is wrong with what a call returned or raised."""
    verb = call.__name__.removeprefix("_")
    owner = world.ids[id]
    if isinstance(answer, AgentMemError):
        if call in BY_ID and not reads(scope, owner):
            if type(answer) is not MemoryNotFound or str(answer).replace(id, "…") != _UNKNOWN:
                world.fault(f"{verb}: a foreign id answers {answer!r}")
        elif call in BY_ID and not writes(scope, owner):
            if not isinstance(answer, ScopeError | MemoryNotFound):
                world.fault(f"{verb}: {answer!r}")
        elif not isinstance(answer, MemoryNotFound) and not (call is _restore and isinstance(answer, InvalidInput)):
            world.fault(f"{verb} of {scope}: {answer!r}")
        return
    if call in BY_ID and not reads(scope, owner):
        world.fault(f"{verb} of {scope} reached the id of {owner}")
    if call in CHANGING and not writes(scope, owner):
        world.fault(f"{verb} of {scope} changed what is {owner}'s")
    if call is _forget_where and answer.memories and not writes(scope, owner):
        world.fault(f"{verb} of {scope} forgot what is {owner}'s")
    world.seen(scope, verb, memories_in(answer))
    if call in (_store, _store_fact, _store_many):
        for memory in memories_in(answer):
            world.stored(scope, memory)


def memories_in(answer: Any) -> Iterator[Memory]:
    """Every memory anywhere in what a verb returned."""
    if isinstance(answer, Memory):
        yield answer
    elif isinstance(answer, list | tuple):
        for each in answer:
            yield from memories_in(each)
    elif hasattr(answer, "__dataclass_fields__"):
        for name in answer.__dataclass_fields__:
            yield from memories_in(getattr(answer, name))


_UNKNOWN: Final = str(agentmem.errors.unknown_memory("…"))


def choose(world: World, chance: random.Random) -> tuple[Call, Scope, str]:
    [call] = chance.choices(list(VERBS), list(VERBS.values()))
    scope = chance.choice([*OWNERS, Scope(tenant="acme", user="nobody"), Scope(tenant="void", user="ana")])
    return call, scope, chance.choice(list(world.ids))


def call_at_random(world: World, seed: int, count: int) -> None:
    chance = random.Random(seed)
    for _ in range(count):
        call, scope, id = choose(world, chance)
        if scope not in OWNERS and call in (_store, _store_fact, _store_many):
            continue
        try:
            answer = call(world, world.memory, scope, id, chance)
        except AgentMemError as error:
            answer = error
        judge(world, call, scope, id, answer)


# --- the tests ------------------------------------------------------------------------------------


@pytest.fixture
def world(folder: Path, tmp_path: Path) -> Iterator[World]:
    with MemoryManager.open(folder, embedder=WordHashEmbedder()) as memory:
        world = World(memory, tmp_path)
        world.populate()
        yield world


def test_no_answer_to_threads_holds_a_foreign_row(world: World) -> None:
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda seed: call_at_random(world, seed, CALLS // 2 // 6 + 1), range(6)))
    assert world.faults == []
    assert world.answers > CALLS, "the calls were answered"
    assert world.memory.verify(deep=True).ok


@pytest.mark.asyncio
async def test_no_answer_to_tasks_holds_a_foreign_row(world: World) -> None:
    manager = AsyncMemoryManager(world.memory)

    async def call_at_random_in_a_task(seed: int, count: int) -> None:
        chance = random.Random(seed)
        for _ in range(count):
            call, scope, id = choose(world, chance)
            if scope not in OWNERS and call in (_store, _store_fact, _store_many):
                continue
            try:
                answer = await call(world, manager, scope, id, chance)
            except AgentMemError as error:
                answer = error
            judge(world, call, scope, id, answer)

    await asyncio.gather(*(call_at_random_in_a_task(100 + seed, CALLS // 2 // 20) for seed in range(20)))
    assert world.faults == []
    assert world.answers > CALLS, "the calls were answered"


def test_exports_bound_memories_and_imports_keep_to_their_scope(world: World) -> None:
    for owner in OWNERS:
        file = world.folder / "export.jsonl"
        world.memory.export_to(file, scope=owner)
        lines = file.read_text("utf-8").splitlines()[1:]
        assert lines, "everybody has something to take along"
        for line in lines:
            record = json.loads(line)
            assert writes(owner, Scope(**record["scope"])), record
        bound = world.memory.bind(owner)
        world.seen(owner, "bound retrieve", memories_in(bound.retrieve("Who likes soup?", k=100)))
        world.seen(owner, "bound list", memories_in(bound.list(limit=100)))
        elsewhere = Scope(tenant="elsewhere", user=owner.user, agent=owner.agent)
        before = {other: world.memory.list(scope=other, limit=1_000) for other in OWNERS}
        world.memory.import_from(file, scope=elsewhere, trust="declared")
        assert {other: world.memory.list(scope=other, limit=1_000) for other in OWNERS} == before
    assert world.faults == []


def test_a_summary_never_holds_another_layers_words(world: World) -> None:
    for owner in OWNERS:
        for summary in world.memory.compress(scope=owner, max_tokens=200):
            for word in summary.content.split():
                if word.startswith("mark"):
                    assert word == mark(Scope(tenant=owner.tenant, user=summary.scope.user, agent=summary.scope.agent))
            for id in summary.derived_from:
                assert (world.ids[id].user, world.ids[id].agent) == (summary.scope.user, summary.scope.agent)


@pytest.mark.parametrize(
    "verb",
    ["get", "why", "history", "update", "restore", "feedback", "forget", "forget (retire)", "forget (dry run)"],
)
def test_a_foreign_id_answers_like_one_that_never_was(world: World, verb: str) -> None:
    memory = world.memory
    calls: dict[str, Callable[[str, Scope], object]] = {
        "get": lambda id, scope: memory.get(id, scope=scope),
        "why": lambda id, scope: memory.why(id, scope=scope),
        "history": lambda id, scope: memory.history(id, scope=scope),
        "restore": lambda id, scope: memory.restore(id, scope=scope, version=7),
        "feedback": lambda id, scope: memory.feedback(id, scope=scope, outcome=1.0),
        "update": lambda id, scope: memory.update(id, scope=scope, content="overwritten", expected_version=7),
        "forget": lambda id, scope: memory.forget(id, scope=scope),
        "forget (retire)": lambda id, scope: memory.forget(id, scope=scope, mode="retire"),
        "forget (dry run)": lambda id, scope: memory.forget(id, scope=scope, dry_run=True),
    }

    def said(id: str, scope: Scope) -> tuple[Any, ...]:
        with pytest.raises(AgentMemError) as caught:
            calls[verb](id, scope)
        error = caught.value
        return type(error), error.code, error.hint, str(error).replace(id, "…")

    unknown = "0" * 32
    for id, owner in world.ids.items():
        for scope in OWNERS:
            if not reads(scope, owner):
                assert said(id, scope) == said(unknown, scope) == said("not an id at all", scope)
    assert said(unknown, OWNERS[0])[0] is MemoryNotFound


def test_the_checker_finds_foreign_rows_when_the_scope_lets_everything_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mutation: without its conditions the same calls must be seen to cross scopes, in every verb."""
    _drop_cached_statements()
    for module in (reading, erasing):
        for name in ("visible", "writable"):
            if hasattr(module, name):
                monkeypatch.setattr(module, name, lambda _reader: true())
    try:
        with MemoryManager(SQLLog(f"sqlite:///{tmp_path}/agentmem.db"), embedder=WordHashEmbedder()) as memory:
            world = World(memory, tmp_path)
            world.populate()
            call_at_random(world, seed=1, count=400)
    finally:
        monkeypatch.undo()
        _drop_cached_statements()
    crossed = {fault.split()[0].rstrip(":") for fault in world.faults}
    reached = {"retrieve", "list", "get", "why", "diff", "history", "update", "restore", "feedback", "forget"}
    assert crossed >= reached, crossed


def _drop_cached_statements() -> None:
    for value in vars(reading).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def test_every_select_stands_in_the_log() -> None:
    """Statements are built in one package, so that one condition guards them all."""
    offenders = {
        f"{source.relative_to(SOURCES[0].parent)}:{line}"
        for source in SOURCES
        if "log" not in source.relative_to(SOURCES[0].parent).parts
        for line in _statements_in(ast.parse(source.read_text("utf-8")))
    }
    assert offenders == set()


def test_every_select_of_memories_carries_the_scope() -> None:
    """In ``reading``, a SELECT of versions or partitions names its scope, or partitions that were checked."""
    tree = ast.parse(Path(reading.__file__).read_text("utf-8"))
    guards = {"visible", "writable", "_at", "partition_id", "partitions", "conditions", "condition"}
    unguarded = [
        function.name
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        and any(_is_select(node) for node in ast.walk(function))
        and not guards & {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    ]
    assert unguarded == []


def test_the_lint_sees_a_select_in_code_and_in_text() -> None:
    assert list(_statements_in(ast.parse("select(version).where(x)"))) == [1]
    assert list(_statements_in(ast.parse("sa.select(version)"))) == [1]
    assert list(_statements_in(ast.parse("points.select(group='x')"))) == []
    assert list(_statements_in(ast.parse('x = "SELECT * FROM agentmem_version"'))) == [1]
    assert list(_statements_in(ast.parse('x = f"delete from {table} where 1"'))) == [1]
    assert list(_statements_in(ast.parse('"""Says select() in a docstring."""\nselector = 1'))) == []
    assert list(_statements_in(ast.parse('"""Update chains, each set from a value."""'))) == []


def _statements_in(tree: ast.AST) -> Iterator[int]:
    """Lines with a SQLAlchemy statement, or with a string that is SQL."""
    # Nobody runs a docstring.
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if _is_select(node):
            yield typing.cast(ast.Call, node).lineno
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            words = node.value.upper().split()
            if words[:1] in (["SELECT"], ["INSERT"], ["UPDATE"], ["DELETE"]) and {"FROM", "INTO", "SET"} & set(words):
                yield node.lineno


def _is_select(node: ast.AST) -> bool:
    # Columns are given by place; by keyword alone, importlib's entry points are selected.
    if not isinstance(node, ast.Call) or not node.args:
        return False
    name = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
    return name in {"select", "exec_driver_sql"} or (isinstance(node.func, ast.Name) and name == "text")


def test_a_scope_is_a_value_that_every_verb_demands() -> None:
    assert set(asdict(OWNERS[0])) == {"user", "agent", "session", "tenant"}
    for name, verb in vars(MemoryManager).items():
        if name in {"store", "store_many", "store_drafts", "retrieve", "get", "list", "history", "update", "forget",
                    "why", "diff", "restore", "feedback", "receipts", "hold", "release", "holds",
                    "compress", "end_session", "export_to", "import_from"}:  # fmt: skip
            parameter = __import__("inspect").signature(verb).parameters["scope"]
            assert parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty, name
