"""Bad input and bad days: each gets an error of our tree or correct work, and nothing is half-written."""

from __future__ import annotations

import base64
import itertools
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import (
    Affect,
    BackendError,
    ConfigError,
    CorruptRecord,
    Document,
    InvalidInput,
    MemoryManager,
    MemoryNotFound,
    SchemaTooNew,
    Scope,
    StoreBusy,
    StoreFull,
    Turn,
    VersionConflict,
)
from agentmem.errors import AgentMemError
from agentmem.log import engine
from agentmem.records import MAX_CONTENT_BYTES, Fact
from agentmem.testing import FrozenClock, WordHashEmbedder
from agentmem.testing.fakes import A_MONDAY, draft
from agentmem.testing.suites.base import ODD_TEXTS

ANA = Scope(user="ana", agent="coach", session="monday")
BEN = Scope(user="ben", agent="coach")
NAIVE = datetime(2026, 3, 1, 12)


@pytest.fixture
def memory(folder: Path) -> Iterator[MemoryManager]:
    # Nothing is written but by the test: what comes behind the log has tests of its own.
    with MemoryManager.open(folder, embedder=WordHashEmbedder(), extractor=None) as memory:
        memory.store("I like figs.", scope=ANA, metadata={"topic": "food"})
        memory.store("Ben likes dates.", scope=BEN)
        yield memory


def state_of(memory: MemoryManager) -> Any:
    """Everything there is: if it is equal before and after, nothing was written."""
    scopes = (ANA, BEN, Scope(user="ana"), Scope(agent="coach"))
    return [memory.list(scope=scope, limit=1_000) for scope in scopes], memory.stats().versions


@contextmanager
def nothing_written(memory: MemoryManager) -> Iterator[None]:
    before = state_of(memory)
    yield
    assert state_of(memory) == before
    assert memory.verify(deep=True).ok


# --- store ----------------------------------------------------------------------------------------

REFUSED: list[Any] = [
    "",
    " \n\t",
    "a\x00b",
    "\ud83d alone",
    "x" * (MAX_CONTENT_BYTES + 1),
    "é" * (MAX_CONTENT_BYTES // 2 + 1),
    5,
    None,
    b"bytes",
    ["a list"],
    {"content": ""},
    {"contnt": "typo"},
    {"content": "x", "role": "user", "name": "a mixture"},
    {},
    {5: 1},
    Turn(""),
    Turn(5),  # type: ignore[arg-type]
    Turn("x", kind="turns"),  # type: ignore[arg-type]
    Turn("x", kind="document"),
    Turn("x", kind=[]),  # type: ignore[arg-type]
    Turn("x", role="boss"),  # type: ignore[arg-type]
    Turn("x", speaker=""),
    Turn("x", speaker="a\x00b"),
    Turn("x", speaker="a" * 600),
    Turn("x", session=5),  # type: ignore[arg-type]
    Turn("x", occurred_at=NAIVE),
    Turn("x", occurred_at="2026-03-01"),  # type: ignore[arg-type]
    Turn("x", expires_at=NAIVE),
    Turn("x", metadata=["a"]),  # type: ignore[arg-type]
    Turn("x", metadata={"at": A_MONDAY}),
    Turn("x", metadata={"big": "x" * 70_000}),
    Turn("x", importance=1.5),
    Turn("x", importance="high"),  # type: ignore[arg-type]
    Turn("x", affect="glad"),  # type: ignore[arg-type]
    Turn("x", affect={"valence": 5}),  # type: ignore[arg-type]
    Turn("x", integrity="root"),  # type: ignore[arg-type]
    Turn("x", idempotency_key=""),
    Turn("x", idempotency_key="\ud800"),
    Turn("x", derived_from="abc"),  # type: ignore[arg-type]
    Turn("x", derived_from=None),  # type: ignore[arg-type]
    Turn("x", derived_from=(5,)),  # type: ignore[arg-type]
    Document("x", ""),
    Document("x", 5),  # type: ignore[arg-type]
    Document("a\x00b", "notes.md"),
    Document(5, "notes.md"),  # type: ignore[arg-type]
    Document("x", "notes.md", media_type="application/pdf"),  # type: ignore[arg-type]
    Document("x", "notes.md", expires_at=NAIVE),
]


@pytest.mark.parametrize("item", REFUSED, ids=lambda item: repr(item)[:60])
def test_what_cannot_be_stored_is_refused_and_nothing_is_written(memory: MemoryManager, item: Any) -> None:
    with nothing_written(memory):
        with pytest.raises(InvalidInput):
            memory.store(item, scope=ANA)
        with pytest.raises(InvalidInput) as caught:
            memory.store_many(["A good one.", item, "Another."], scope=ANA)
        assert "items[1]" in str(caught.value), "the message names the item"


@pytest.mark.parametrize("items", [5, None, "a string", b"bytes", {"content": "x"}, [None], [[]]])
def test_store_many_takes_a_list_of_what_can_be_stored(memory: MemoryManager, items: Any) -> None:
    with nothing_written(memory), pytest.raises(InvalidInput):
        memory.store_many(items, scope=ANA)


def test_items_that_fail_while_they_are_read_store_nothing(memory: MemoryManager) -> None:
    def items() -> Iterator[str]:
        yield "A good one."
        raise RuntimeError("the source broke")

    with nothing_written(memory), pytest.raises(RuntimeError, match="the source broke"):
        memory.store_many(items(), scope=ANA)


def test_nothing_to_store_is_nothing(memory: MemoryManager) -> None:
    with nothing_written(memory):
        assert list(memory.store_many([], scope=ANA)) == []
        with pytest.raises(InvalidInput, match="blank"):
            memory.store(Document("  \n", "empty.md"), scope=ANA)


def test_details_beside_a_turn_are_refused(memory: MemoryManager) -> None:
    with nothing_written(memory), pytest.raises(InvalidInput, match="importance, role beside a Turn"):
        memory.store(Turn("x"), scope=ANA, role="assistant", importance=0.5)


@pytest.mark.parametrize("scope", [None, "ana", {"user": "ana"}, 5])
@pytest.mark.parametrize("verb", ["store", "store_many", "retrieve", "get", "history", "update", "forget", "list"])
def test_every_verb_wants_a_scope(memory: MemoryManager, verb: str, scope: Any) -> None:
    arguments = {"list": (), "store_many": (["x"],)}.get(verb, ("x",))
    with nothing_written(memory):
        with pytest.raises(InvalidInput, match="scope must be a Scope"):
            getattr(memory, verb)(*arguments, scope=scope)
        with pytest.raises(InvalidInput, match="scope must be a Scope"):
            memory.bind(scope)


@pytest.mark.parametrize("text", [*ODD_TEXTS[:9], pytest.param("x" * MAX_CONTENT_BYTES, id="one mebibyte")])
def test_unusual_text_is_kept_verbatim_and_found(memory: MemoryManager, text: str) -> None:
    content = f"quixotic {text}"[:MAX_CONTENT_BYTES]
    stored = memory.store(
        content, scope=ANA, speaker=text[:200].strip() or "x", metadata={text[:50]: text[:1_000]}, idempotency_key="odd"
    )
    assert memory.get(stored.id, scope=ANA).content == content
    assert memory.get(stored.id, scope=ANA).metadata == {text[:50]: text[:1_000]}
    assert memory.retrieve("quixotic", scope=ANA)[0].content == content
    assert memory.update(stored.id, scope=ANA, content=content + "!" * (len(content) < MAX_CONTENT_BYTES)).version == 2
    assert memory.retrieve(text, scope=ANA).query == text, "any text is a question"


def test_ids_that_look_like_something_else_are_only_ids(memory: MemoryManager) -> None:
    for odd in ("'; DROP TABLE agentmem_version; --", "../../etc/passwd", "%", "\u202eana", "ana\n", "null"):
        scope = Scope(user=odd, agent=odd, session=odd, tenant=odd)
        stored = memory.store("Mine are the keys to the shed.", scope=scope, idempotency_key=odd)
        assert [each.id for each in memory.list(scope=scope, where={"session": odd})] == [stored.id]
        assert memory.retrieve("mine", scope=scope)[0].memory.scope == scope
        with pytest.raises(MemoryNotFound):
            memory.get(odd, scope=scope)
        assert memory.forget(scope=Scope(user=odd, tenant=odd), everything=True, verify=True).verified
    assert len(memory.list(scope=ANA)) == 1


def test_metadata_keys_that_look_like_sql_are_only_keys(memory: MemoryManager) -> None:
    key = "x') OR 1=1; DROP TABLE agentmem_version; --"
    stored = memory.store("Odd key.", scope=ANA, metadata={key: "yes", "$gt": 1, "": 2, "a.b": 3})
    assert [each.id for each in memory.list(scope=ANA, where={f"metadata.{key}": "yes"})] == [stored.id]
    assert [hit.id for hit in memory.retrieve("odd", scope=ANA, where={f"metadata.{key}": "yes"})] == [stored.id]
    assert [each.id for each in memory.list(scope=ANA, where={"metadata.$gt": 1})] == [stored.id]
    assert memory.list(scope=ANA, where={f"metadata.{key}": "no"}).items == ()
    assert memory.verify(deep=True).ok


# --- ask ------------------------------------------------------------------------------------------

WHERES: list[Any] = [
    {},
    [],
    "topic",
    {"sesion": "x"},
    {"session": {"$like": "m%"}},
    {"topic": "food"},
    {"1=1; --": 1},
    {"session": ["monday"]},
    {"occurred_at": NAIVE},
    {"$where": "1"},
    {"importance": {"$gt": None}},
]
QUESTIONS: list[dict[str, Any]] = [
    {"query": ""},
    {"query": "  "},
    {"query": None},
    {"query": 5},
    {"query": "a\x00b"},
    {"query": "\ud800"},
    {"k": 0},
    {"k": -1},
    {"k": 1.5},
    {"k": True},
    {"max_tokens": 0},
    {"min_confidence": 1.5},
    {"min_confidence": "high"},
    {"kinds": "turn"},
    {"kinds": {"nope"}},
    {"kinds": []},
    {"kinds": 5},
    {"kinds": [[]]},
    {"as_of": NAIVE},
    {"known_at": "yesterday"},
    {"conversation": "before"},
    {"conversation": 5},
    {"conversation": None},
    {"conversation": [5]},
    {"conversation": [{"role": "user"}]},
    *({"where": where} for where in WHERES),
]


@pytest.mark.parametrize("question", QUESTIONS, ids=str)
def test_a_question_that_means_nothing_is_refused(memory: MemoryManager, question: dict[str, Any]) -> None:
    asked = question.get("query", "figs")
    options = {name: value for name, value in question.items() if name != "query"}
    with pytest.raises(InvalidInput):
        memory.retrieve(asked, scope=ANA, **options)


@pytest.mark.parametrize(
    "question",
    [
        {"query": "?!"},
        {"query": "figs " * 200_000},
        {"k": 10**30},
        {"max_tokens": 10**30},
        {"known_at": datetime(1, 1, 1, tzinfo=UTC)},
        {"as_of": datetime(9999, 12, 31, tzinfo=UTC)},
        {"min_confidence": 1},
        {"where": {"metadata.topic": float("nan")}},
        {"conversation": [{"role": "user", "content": ""}]},
    ],
    ids=lambda question: str(question)[:50],
)
def test_an_odd_question_has_an_answer(memory: MemoryManager, question: dict[str, Any]) -> None:
    options = {name: value for name, value in question.items() if name != "query"}
    answer = memory.retrieve(question.get("query", "figs"), scope=ANA, **options)
    assert {hit.content for hit in answer} <= {"I like figs."}
    assert 0 <= answer.confidence <= 1


@pytest.mark.parametrize("where", WHERES, ids=str)
def test_list_and_forget_refuse_the_same_conditions(memory: MemoryManager, where: Any) -> None:
    with nothing_written(memory):
        with pytest.raises(InvalidInput):
            memory.list(scope=ANA, where=where)
        with pytest.raises(InvalidInput):
            memory.forget(scope=ANA, where=where)


def cursor_of(place: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


PLACES = [
    1,
    [],
    [1],
    [1, 2, 3],
    {"a": 1},
    None,
    [None, 1],
    [1.5, 2],
    [True, 1],
    [1, 10**30],
    ["a", "b"],
    [1, float("inf")],
]
CURSORS = ["", "x", "====", "é", "\x00", 5, b"x", [1, 2], *map(cursor_of, PLACES)]


@pytest.mark.parametrize("cursor", CURSORS, ids=repr)
def test_a_cursor_that_list_never_gave_is_refused(memory: MemoryManager, cursor: Any) -> None:
    with pytest.raises(InvalidInput, match="cursor"):
        memory.list(scope=ANA, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 10_001, True, "5", None, 1.0])
def test_a_page_has_a_size(memory: MemoryManager, limit: Any) -> None:
    with pytest.raises(InvalidInput, match="limit"):
        memory.list(scope=ANA, limit=limit)


def test_anothers_cursor_leads_to_none_of_their_rows(memory: MemoryManager) -> None:
    memory.store_many([f"Ben, number {number}." for number in range(5)], scope=BEN)
    cursor = memory.list(scope=BEN, limit=2).cursor
    assert all(each.scope.user == "ana" for each in memory.list(scope=ANA, cursor=cursor))


# --- by id ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("id", [5, None, "", b"x", ["x"]])
def test_what_is_no_id_is_refused(memory: MemoryManager, id: Any) -> None:
    for call in _by_id(memory).values():
        with nothing_written(memory), pytest.raises((InvalidInput, MemoryNotFound)):
            call(id)


@pytest.mark.parametrize("target", [None, 5, b"x", [], [None], [5]])
def test_feedback_judges_memories(memory: MemoryManager, target: Any) -> None:
    memory.store("I like figs.", scope=ANA)
    with pytest.raises(InvalidInput):
        memory.feedback(target, scope=ANA, outcome=1.0)


@pytest.mark.parametrize(
    "change",
    [
        {"subject": ""},
        {"subject": "x" * 100_000},
        {"subject": 5},
        {"attribute": "a\x00b"},
        {"attribute": ["x"]},
        {"topic": "\ud800"},
        {"topic": {}},
        {"value": "\ud800"},
        {"value": None},
        {"value": " "},
    ],
    ids=lambda change: repr(change)[:30],
)
def test_facts_that_an_import_made_are_checked_like_a_callers(memory: MemoryManager, change: dict[str, Any]) -> None:
    fact = replace(Fact("user", "home", "Porto"), **change)
    with pytest.raises(InvalidInput):
        memory.store(Turn("The user lives in Porto.", kind="fact", fact=fact), scope=ANA)
    with pytest.raises(InvalidInput):
        memory.store_drafts([draft("The user lives in Porto.", kind="fact", fact=fact, terms=b"", length=0)], scope=ANA)
    assert [each.kind for each in memory.list(scope=ANA)] == ["turn"], "what the fixture stored"


@pytest.mark.parametrize(
    ("attribute", "said"), [("hom", "Did you mean 'home'"), ("Home", "Did you mean 'home'"), ("hat_size", "register")]
)
def test_a_callers_fact_is_about_something_that_is_registered(memory: MemoryManager, attribute: str, said: str) -> None:
    fact = Fact("user", attribute, "Porto")
    with pytest.raises(InvalidInput, match=f"there is no '{attribute}'.*{said}"):
        memory.store(Turn("The user lives in Porto.", kind="fact", fact=fact), scope=ANA)
    with pytest.raises(InvalidInput, match="register"):
        memory.store(Turn.of_fact(fact), scope=ANA)
    assert [each.kind for each in memory.list(scope=ANA)] == ["turn"], "what the fixture stored"


@pytest.mark.parametrize("id", ["unknown", "0" * 32, "\x00", "\ud800", "x" * 100_000, "%", "1 OR 1=1", "theirs"])
def test_unknown_and_foreign_ids_answer_alike(memory: MemoryManager, id: str) -> None:
    [theirs] = memory.list(scope=BEN)
    asked = theirs.id if id == "theirs" else id
    for name, call in _by_id(memory).items():
        with nothing_written(memory), pytest.raises(MemoryNotFound) as caught:
            call(asked)
        assert str(caught.value) == str(unknown(asked)), name


def unknown(id: str) -> MemoryNotFound:
    from agentmem.errors import unknown_memory

    return unknown_memory(id)


def _by_id(memory: MemoryManager) -> Mapping[str, Callable[[Any], object]]:
    return {
        "get": lambda id: memory.get(id, scope=ANA),
        "history": lambda id: memory.history(id, scope=ANA),
        "update": lambda id: memory.update(id, scope=ANA, content="overwritten"),
        "update metadata": lambda id: memory.update(id, scope=ANA, metadata={}),
        "forget": lambda id: (
            memory.forget(id if not isinstance(id, list) else [id], scope=ANA)
            if id is not None
            else memory.get(id, scope=ANA)
        ),
        "retire": lambda id: memory.forget([id], scope=ANA, mode="retire"),
    }


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"content": ""},
        {"content": None},
        {"content": 5},
        {"content": "a\x00b"},
        {"metadata": ["a"]},
        {"metadata": {"at": A_MONDAY}},
        {"importance": 2},
        {"importance": "high"},
        {"content": "y", "expected_version": "1"},
        {"content": "y", "expected_version": True},
        {"content": "y", "expected_version": 1.0},
    ],
    ids=str,
)
def test_a_change_that_means_nothing_is_refused(memory: MemoryManager, change: dict[str, Any]) -> None:
    [mine] = memory.list(scope=ANA)
    with nothing_written(memory), pytest.raises(InvalidInput):
        memory.update(mine.id, scope=ANA, **change)


@pytest.mark.parametrize("version", [0, 2, -1, 10**30])
def test_a_version_that_is_not_the_current_one_is_a_conflict(memory: MemoryManager, version: int) -> None:
    [mine] = memory.list(scope=ANA)
    with nothing_written(memory), pytest.raises(VersionConflict):
        memory.update(mine.id, scope=ANA, content="y", expected_version=version)


@pytest.mark.parametrize(
    "selection",
    [
        {"ids": 5},
        {"ids": [5]},
        {"ids": [None]},
        {"ids": []},
        {"ids": {}},
        {"ids": "x", "mode": "burn"},
        {"ids": "x", "mode": None},
        {"ids": "x", "everything": True},
        {"everything": "yes"},
        {"everything": 1},
        {"everything": None},
        {"where": 5},
        {},
    ],
    ids=str,
)
def test_forget_takes_no_vague_orders(memory: MemoryManager, selection: dict[str, Any]) -> None:
    options = {name: value for name, value in selection.items() if name != "ids"}
    with nothing_written(memory), pytest.raises(InvalidInput):
        memory.forget(selection.get("ids"), scope=ANA, **options)


# --- files and places -----------------------------------------------------------------------------


def test_a_file_that_is_not_utf8_is_named_and_nothing_of_it_is_half_taken(
    memory: MemoryManager, tmp_path: Path
) -> None:
    (tmp_path / "latin.md").write_bytes("Grüße aus Köln".encode("latin-1"))
    (tmp_path / "turns.jsonl").write_bytes(b'{"role": "user", "content": "fine"}\n{"content": "\xff\xfe"}\nnot json\n')
    with nothing_written(memory):
        report = memory.import_from(tmp_path / "latin.md", scope=ANA, trust="user")
        assert report.stored == 0 and "latin.md" in report.problems[0].place
    report = memory.import_from(tmp_path / "turns.jsonl", scope=ANA, trust="user")
    assert (report.stored, len(report.problems)) == (1, 2)


def test_files_that_are_not_there_are_named(memory: MemoryManager, tmp_path: Path) -> None:
    with pytest.raises(AgentMemError, match=r"nothing\.jsonl"):
        memory.import_from(tmp_path / "nothing.jsonl", scope=ANA, trust="user")
    for place in (tmp_path / "no" / "folder" / "out.jsonl", tmp_path):
        with pytest.raises(InvalidInput, match="directory"):
            memory.export_to(place, scope=ANA)


@pytest.mark.parametrize(
    "place",
    [5, None, b"x", "", "\x00", "/proc/nothing", "mysql://host/db", "nodb://x", "sqlite:////no/such/folder/x.db"],
    ids=repr,
)
def test_a_place_that_cannot_hold_a_memory_is_refused(place: Any) -> None:
    with pytest.raises(ConfigError):
        MemoryManager.open(place)


def test_a_file_in_the_folders_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        MemoryManager.open(tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("role", ["embedder", "vectors", "tokens", "reranker", "llm", "log"])
@pytest.mark.parametrize("spec", [5, "nope", {"type": "nope"}, {"no": "type"}, []])
def test_a_backend_that_is_none_is_refused_by_its_role(role: str, spec: Any, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=role):
        MemoryManager(**{"log": {"type": "sql", "url": f"sqlite:///{tmp_path}/agentmem.db"}, role: spec})


# --- databases on bad days ------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setitem(engine._SQLITE_PRAGMAS, "busy_timeout", "200")


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_is_busy_and_readers_go_on(memory: MemoryManager, tmp_path: Path) -> None:
    [mine] = memory.list(scope=ANA)
    with closing(sqlite3.connect(tmp_path / "memory" / "agentmem.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for write in _writes(memory, mine.id):
            with nothing_written(memory), pytest.raises(StoreBusy) as caught:
                write()
            assert caught.value.retryable
        assert memory.retrieve("figs", scope=ANA)[0].id == mine.id
        other.execute("COMMIT")
    memory.store("Free again.", scope=ANA)
    assert memory.verify(deep=True).ok


@pytest.mark.usefixtures("impatient")
@pytest.mark.skipif(sys.platform == "win32", reason="locks differ")
def test_a_writer_that_hangs_makes_the_others_busy_not_wait_for_ever(memory: MemoryManager, tmp_path: Path) -> None:
    import fcntl

    [mine] = memory.list(scope=ANA)
    with open(tmp_path / "memory" / "agentmem.db.lock", "rb+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for write in _writes(memory, mine.id):
            with nothing_written(memory), pytest.raises(StoreBusy, match="another writer"):
                write()
    memory.store("Free again.", scope=ANA)


def _writes(memory: MemoryManager, id: str) -> list[Callable[[], object]]:
    return [
        lambda: memory.store("new", scope=ANA),
        lambda: memory.store_many(["new", "newer"], scope=ANA),
        lambda: memory.update(id, scope=ANA, content="changed"),
        lambda: memory.forget(id, scope=ANA),
        lambda: memory.forget(scope=Scope(user="ana"), everything=True),
    ]


@contextmanager
def small_disk(at: Path, megabytes: int) -> Iterator[Path]:
    """A file system of its own, of so many megabytes."""
    at.mkdir()
    mounted = sys.platform == "linux" and os.geteuid() == 0 and _run(
        "mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", str(at)
    )  # fmt: skip
    if not mounted:
        pytest.skip("Mounting a small file system needs root on Linux.")
    try:
        yield at
    finally:
        _run("umount", "-l", str(at))


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


def fill(disk: Path) -> Path:
    """Leave no space on the disk; the file that takes it."""
    ballast = disk / "ballast"
    descriptor = os.open(ballast, os.O_CREAT | os.O_WRONLY)
    try:
        while True:
            os.write(descriptor, b"x" * 4096)
    except OSError:
        os.close(descriptor)
    return ballast


def test_on_a_full_disk_writes_are_refused_reads_work_and_nothing_is_lost(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 6) as disk:
        memory = MemoryManager.open(disk / "memory", embedder=WordHashEmbedder())
        ids = [memory.store(f"Number {number}.", scope=ANA).id for number in range(50)]
        ballast = fill(disk)
        for number in range(100):
            try:
                ids.append(memory.store(f"Full {number}. " + "x " * 2_000, scope=ANA).id)
            except StoreFull:
                break
        else:
            pytest.fail("the disk was never full")
        for write in _writes(memory, ids[0]):
            with pytest.raises(StoreFull, match="Free some space"):
                write()
        assert [each.id for each in memory.list(scope=ANA, limit=1_000)] == ids
        assert memory.retrieve("number 7", scope=ANA).hits
        memory.close()
        ballast.unlink()
        with MemoryManager.open(disk / "memory", embedder=WordHashEmbedder()) as memory:
            assert [each.id for each in memory.list(scope=ANA, limit=1_000)] == ids
            assert memory.forget(ids[0], scope=ANA, verify=True).status == "done"
            memory.store("There is room again.", scope=ANA)
            assert memory.verify(deep=True).ok


def test_a_read_only_folder_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 6) as disk:
        with MemoryManager.open(disk / "memory", embedder=WordHashEmbedder()) as memory:
            memory.store("I like figs.", scope=ANA)
        assert _run("mount", "-o", "remount,ro", str(disk))
        before = {file.name: file.read_bytes() for file in (disk / "memory").iterdir()}
        with pytest.raises(AgentMemError, match="memory"):
            MemoryManager.open(disk / "memory", embedder=WordHashEmbedder())
        with pytest.raises(ConfigError, match="new"):
            MemoryManager.open(disk / "new", embedder=WordHashEmbedder())
        assert {file.name: file.read_bytes() for file in (disk / "memory").iterdir()} == before


def test_a_lock_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    MemoryManager.open(tmp_path, embedder=WordHashEmbedder()).close()
    (tmp_path / "agentmem.db.lock").unlink()
    (tmp_path / "agentmem.db.lock").mkdir()
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder()) as memory:
        with pytest.raises(BackendError, match=r"agentmem\.db\.lock"):
            memory.store("x", scope=ANA)
        assert memory.list(scope=ANA).items == ()


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    MemoryManager.open(tmp_path, embedder=WordHashEmbedder()).close()
    _sql(tmp_path, "UPDATE agentmem_schema SET version_num = '9999'")
    before = (tmp_path / "agentmem.db").read_bytes()
    with pytest.raises(SchemaTooNew, match="9999") as caught:
        MemoryManager.open(tmp_path)
    assert "pip install -U" in caught.value.hint
    assert (tmp_path / "agentmem.db").read_bytes() == before


@pytest.mark.parametrize("damage", ["no database", "empty", "cut in half", "a page of noise"])
def test_a_damaged_file_is_an_error_of_ours(tmp_path: Path, damage: str) -> None:
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder()) as memory:
        memory.store_many([f"Number {number}. " + "word " * 50 for number in range(300)], scope=ANA)
    file = tmp_path / "agentmem.db"
    whole = file.read_bytes()
    noise = bytes(range(256)) * 16
    file.write_bytes(
        {
            "no database": b"This is a letter, not a database. " * 100,
            "empty": b"",
            "cut in half": whole[: len(whole) // 2],
            "a page of noise": whole[:8192] + noise + whole[8192 + len(noise) :],
        }[damage]
    )
    if damage == "empty":
        with MemoryManager.open(tmp_path, embedder=WordHashEmbedder()) as memory:
            assert memory.list(scope=ANA).items == (), "an empty file is a new database to SQLite"
        return
    with pytest.raises(AgentMemError, match=r"agentmem\.db"):
        _look_around(tmp_path)


def _look_around(folder: Path) -> None:
    with MemoryManager.open(folder, embedder=WordHashEmbedder()) as memory:
        assert not memory.verify(deep=True).ok
        memory.list(scope=ANA, limit=1_000)


def test_a_changed_row_is_refused_by_name_and_the_others_are_read(memory: MemoryManager, tmp_path: Path) -> None:
    broken = memory.store("The treasure is under the oak.", scope=ANA)
    whole = memory.store("A zebra came by.", scope=Scope(user="ana", agent="cook"))
    _sql(tmp_path / "memory", f"UPDATE agentmem_version SET content = 'The treasure is gone.' WHERE id = '{broken.id}'")
    calls: list[Callable[[], object]] = [
        lambda: memory.get(broken.id, scope=ANA),
        lambda: memory.history(broken.id, scope=ANA),
        lambda: memory.list(scope=ANA),
        lambda: memory.retrieve("treasure oak", scope=ANA),
    ]
    for call in calls:
        with pytest.raises(CorruptRecord, match=broken.id):
            call()
    assert memory.get(whole.id, scope=whole.scope) == whole
    assert memory.retrieve("zebra", scope=whole.scope)[0].id == whole.id
    assert memory.verify().ok, "only the deep look reads every row"
    health = memory.verify(deep=True)
    assert not health.ok
    assert any(broken.id in finding.detail for finding in health.findings if not finding.ok)
    assert memory.forget(broken.id, scope=ANA).status == "done", "what is broken can still be forgotten"
    assert memory.verify(deep=True).ok


def _sql(folder: Path, statement: str) -> None:
    with closing(sqlite3.connect(folder / "agentmem.db")) as connection, connection:
        assert connection.execute(statement).rowcount == 1


# --- time -----------------------------------------------------------------------------------------


def test_a_clock_that_jumps_back_reorders_nothing_and_loses_nothing(tmp_path: Path) -> None:
    clock = FrozenClock()
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder(), clock=clock) as memory:
        stored = []
        for jump in (0, 1, -24, 0, 24 * 365, -48 * 365, 1):
            clock.advance(hours=jump)
            stored.append(memory.store(f"Number {len(stored)}.", scope=ANA))
        assert [each.id for each in memory.list(scope=ANA)] == [each.id for each in stored]
        for hours in (-1, -10_000, 5):
            clock.advance(hours=hours)
            memory.update(stored[0].id, scope=ANA, content=f"Changed at {hours}.")
        history = memory.history(stored[0].id, scope=ANA)
        assert [each.version for each in history] == [1, 2, 3, 4]
        for before, after in itertools.pairwise(history):
            assert before.recorded_from < after.recorded_from
            assert before.recorded_to == after.recorded_from
        clock.advance(hours=-50_000)
        memory.forget(stored[1].id, scope=ANA, mode="retire")
        [retired] = memory.history(stored[1].id, scope=ANA)
        assert retired.recorded_to is not None and retired.recorded_to > retired.recorded_from
        found = {hit.id for hit in memory.retrieve("number changed", scope=ANA, k=100)}
        assert found == {each.id for each in stored if each is not stored[1]}
        assert memory.verify(deep=True).ok


def test_nothing_expires_early_and_what_expired_is_hidden(tmp_path: Path) -> None:
    clock = FrozenClock()
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder(), clock=clock) as memory:
        stored = memory.store("The code is 1234.", scope=ANA, expires_at=clock() + timedelta(hours=1))
        for hours, is_there in ((0, True), (0.99, True), (0.02, False), (-24, True), (1_000, False)):
            clock.advance(hours=hours)
            assert [each.id for each in memory.list(scope=ANA)] == [stored.id] * is_there
            answer = memory.retrieve("What is the code?", scope=ANA)
            assert [hit.id for hit in answer] == [stored.id] * is_there
            assert answer.hidden.get("expired", 0) == (not is_there)
        with pytest.raises(MemoryNotFound):
            memory.get(stored.id, scope=ANA)
        assert memory.forget(stored.id, scope=ANA, verify=True).memories == 1, "what is hidden can be forgotten"


def test_times_at_the_ends_of_the_calendar_are_kept(memory: MemoryManager) -> None:
    for at in (datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)):
        stored = memory.store("Far away.", scope=ANA, occurred_at=at, affect=Affect(-1.0, 1.0))
        assert memory.get(stored.id, scope=ANA).occurred_at == at
        assert memory.retrieve("far away", scope=ANA).hits


# --- embedders ------------------------------------------------------------------------------------


def test_another_embedder_degrades_the_answers_until_reembed(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder(64), extractor=None) as memory:
        memory.store("I like figs.", scope=ANA)
        assert memory.retrieve("figs", scope=ANA).degraded is None
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder(32), extractor=None) as memory:
        answer = memory.retrieve("figs", scope=ANA, explain=True)
        assert answer.degraded and "reembed" in answer.degraded
        assert [hit.content for hit in answer] == ["I like figs."], "words still find it"
        assert memory.stats().degraded and "reembed" in (memory.stats().degraded or "")
        memory.store("Dates are sweet.", scope=ANA)
        assert memory.retrieve("dates", scope=ANA)[0].content == "Dates are sweet."
        assert memory.stats().vectors == 1, "vectors of two embedders are never mixed"
        progress: list[tuple[int, int]] = []
        assert memory.reembed(lambda done, total: progress.append((done, total))) == 2
        assert progress[-1] == (2, 2)
        answer = memory.retrieve("figs", scope=ANA, explain=True)
        assert answer.degraded is None and answer[0].signals["dense"] > 0
        assert (memory.stats().vectors, memory.stats().waiting, memory.stats().degraded) == (2, 0, None)
        memory.store("Now with vectors again.", scope=ANA)
        assert memory.stats().vectors == 3
        assert memory.reembed() == 0, "nothing to do is fine"
    with MemoryManager.open(tmp_path, embedder=None) as memory:
        assert memory.retrieve("figs", scope=ANA)[0].content == "I like figs."
        with pytest.raises(InvalidInput, match="no embedder"):
            memory.reembed()


def test_a_process_that_still_has_the_former_embedder_mixes_nothing_in(folder: Path) -> None:
    with (
        MemoryManager.open(folder, embedder=WordHashEmbedder(64), extractor=None) as former,
        MemoryManager.open(folder, embedder=WordHashEmbedder(32), extractor=None) as newer,
    ):
        former.store("I like figs.", scope=ANA)
        assert former.retrieve("figs", scope=ANA).degraded is None
        assert newer.reembed() == 1
        stored = former.store("Dates are sweet.", scope=ANA)
        former.update(stored.id, scope=ANA, content="Dates are very sweet.")
        assert former.retrieve("sweet dates", scope=ANA).degraded, "its own questions cannot be compared any more"
        answer = newer.retrieve("sweet dates", scope=ANA, explain=True)
        [hit] = [hit for hit in answer if hit.id == stored.id]
        assert hit.content == "Dates are very sweet." and "dense" not in hit.signals
        assert (newer.stats().vectors, newer.stats().waiting) == (1, 1)
        assert newer.reembed() == 1
        best = newer.retrieve("sweet dates", scope=ANA, explain=True)[0]
        assert best.id == stored.id and best.signals["dense"] > 0


@pytest.mark.parametrize("path", [5, None, "", b"notes"])
def test_what_names_no_file_is_refused_by_export_and_import(memory: MemoryManager, path: Any) -> None:
    with pytest.raises(InvalidInput, match="path must name"):
        memory.export_to(path, scope=Scope(user="ana"))
    with pytest.raises(InvalidInput, match="path must name"):
        memory.import_from(path, scope=Scope(user="ana"), trust="user")
