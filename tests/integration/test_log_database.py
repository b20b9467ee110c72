"""The log's database when something else goes wrong: a disk, another transaction, another process."""

from __future__ import annotations

import itertools
import os
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

import agentmem
from agentmem import MemoryManager
from agentmem.clock import utc_now
from agentmem.errors import AgentMemError, BackendError, ConfigError, MemoryNotFound, ScopeError, StoreBusy
from agentmem.interfaces import EmbedRequest, IndexQuery, LogQuery, Revision, Use
from agentmem.lifecycle.supersession import decide
from agentmem.log import erasing, upkeep
from agentmem.log.engine import Database
from agentmem.log.sql import SQLLog
from agentmem.records import Fact, Finding, Scope
from agentmem.testing import FrozenClock, WordHashEmbedder, draft

ANA = Scope(user="ana")
SAID = "My doctor says migraine."
SPEAKER = "Anastasia"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SQLLog]:
    log = SQLLog(f"sqlite:///{tmp_path}/agentmem.db")
    yield log
    log.close()


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[SQLLog]:
    log = SQLLog(postgres_url)
    yield log
    log.close()


def _database(log: SQLLog) -> Database:
    return log._database


def test_setting_up_a_memory_writes_nothing_into_the_log_of_the_application(tmp_path: Path) -> None:
    code = (
        "import logging, sys; logging.basicConfig(level=logging.INFO)\n"
        "from agentmem import MemoryManager\n"
        "MemoryManager.open(sys.argv[1]).close()\n"
        "logging.getLogger('alembic.x').info('our own migration')"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(agentmem.__file__).parent.parent)}
    command = [sys.executable, "-c", code, str(tmp_path / "memory")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == "INFO:alembic.x:our own migration\n"


# --- what errors tell -----------------------------------------------------------------------------


def test_an_error_of_the_database_quotes_nothing_that_was_said(log: SQLLog) -> None:
    with _database(log).writing() as connection:
        connection.execute(
            text("CREATE TRIGGER refuse BEFORE INSERT ON agentmem_version BEGIN SELECT RAISE(ABORT, 'refused'); END")
        )
    _require_silence(log)


def test_an_error_of_postgresql_quotes_nothing_that_was_said(postgres: SQLLog) -> None:
    with _database(postgres).writing() as connection:
        connection.execute(text("ALTER TABLE agentmem_version ADD CHECK (length(content) < 5)"))
    _require_silence(postgres)


def _require_silence(log: SQLLog) -> None:
    with pytest.raises(BackendError) as raised:
        log.append(ANA, [draft(SAID, speaker=SPEAKER)], generation=None)
    told = "".join(traceback.format_exception(raised.value))
    assert "INSERT INTO agentmem_version" in told, "the statement may be told"
    assert SAID not in told
    assert SPEAKER not in told


def test_a_place_shows_no_password_wherever_the_url_has_it() -> None:
    database = Database("postgresql+psycopg://ana:geheim@localhost/memory?password=geheim&sslpassword=geheim")
    assert "geheim" not in database.place
    assert "localhost/memory" in database.place
    database.close()


@pytest.mark.parametrize("name", ["agentmem.db.lock", "agentmem.db.key"])
def test_a_file_beside_the_database_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(AgentMemError, match=name):
        SQLLog(f"sqlite:///{tmp_path}/agentmem.db")


@pytest.mark.parametrize("name", ["who?", "100%41", "#1", "a b@c:d", "ünï"])
def test_a_folder_may_be_called_what_a_url_would_read_otherwise(tmp_path: Path, name: str) -> None:
    for folder, opened in (
        (tmp_path / name, lambda: MemoryManager.open(tmp_path / name, embedder=None)),
        (tmp_path / f"yaml {name}", lambda: _from_yaml(tmp_path / f"yaml {name}")),
    ):
        with opened() as memory:
            memory.store("Here.", scope=ANA)
        assert (folder / "agentmem.db").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {name, f"yaml {name}"}


def _from_yaml(folder: Path) -> MemoryManager:
    folder.mkdir()
    file = folder / "agentmem.yaml"
    file.write_text("log: sqlite:///agentmem.db\nembedder: null\n")
    return MemoryManager.from_yaml(file)


# --- a write is a write ---------------------------------------------------------------------------


def test_a_write_whose_checkpoint_a_reader_stops_is_still_acknowledged(log: SQLLog, tmp_path: Path) -> None:
    """A caller who is told that nothing was written stores it twice."""
    [first] = log.append(ANA, [draft("Here before the reader.")], generation=None)
    reader = sqlite3.connect(tmp_path / "agentmem.db", isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM agentmem_version").fetchone()
    written = [log.append(ANA, [draft(f"{number} " + "long " * 20_000)], generation=None)[0] for number in range(60)]
    assert (tmp_path / "agentmem.db-wal").stat().st_size > 1_000 * 4_096
    assert log.read(LogQuery(ANA)) == [first, *written]
    assert log.purge_traces()
    reader.close()
    assert log.purge_traces() == ()
    assert (tmp_path / "agentmem.db-wal").stat().st_size == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no file that is open")
@pytest.mark.parametrize("is_replaced", [False, True])
def test_a_write_into_a_file_that_was_removed_or_replaced_is_refused(
    log: SQLLog, tmp_path: Path, is_replaced: bool
) -> None:
    log.append(ANA, [draft("one")], generation=None)
    file = tmp_path / "agentmem.db"
    copy = file.with_name("copy.db")
    copy.write_bytes(file.read_bytes())
    file.unlink()
    if is_replaced:
        copy.rename(file)
    with pytest.raises(BackendError, match="removed or replaced"):
        log.append(ANA, [draft("two")], generation=None)


def test_the_write_ahead_log_is_written_over_and_does_not_grow(log: SQLLog, tmp_path: Path) -> None:
    for number in range(200):
        log.append(ANA, [draft(f"{number} " + "long " * 20_000)], generation=None)
    assert (tmp_path / "agentmem.db-wal").stat().st_size < 3 * 1_000 * 4_096


# --- transactions beside each other ---------------------------------------------------------------


@pytest.fixture(params=["log", "postgres"])
def any_log(request: pytest.FixtureRequest) -> SQLLog:
    found: SQLLog = request.getfixturevalue(request.param)
    return found


def test_a_read_sees_one_state_of_the_database_throughout(any_log: SQLLog) -> None:
    any_log.append(ANA, [draft("Before.")], generation=None)
    with _database(any_log).reading() as connection:
        first = upkeep.all_heads(connection)
        any_log.append(ANA, [draft("Meanwhile.")], generation=None)
        assert upkeep.all_heads(connection) == first
        assert upkeep.counts(connection)["versions"] == 1
    assert any_log.counts()["versions"] == 2


def test_a_change_that_waited_for_a_forget_finds_nothing_to_change(postgres: SQLLog) -> None:
    [old] = postgres.append(ANA, [draft("Soon forgotten.")], generation=None)
    answers: list[object] = []

    def call(verb: Any, *arguments: Any, **options: Any) -> None:
        try:
            answers.append(verb(*arguments, **options))
        except AgentMemError as error:
            answers.append(type(error))

    changes = [
        threading.Thread(
            target=call,
            args=(postgres.revise, ANA, old.id, Revision(metadata={})),
            kwargs={"expected_version": None, "generation": None},
        ),
        *(
            threading.Thread(target=call, args=(postgres.erase, ANA, [old.id]), kwargs={"mode": mode})
            for mode in ("erase", "retire")
        ),
    ]
    with postgres._forgetting() as desk:
        erasing.doom(desk, ANA, request=None)
        for change in changes:
            change.start()
        _wait_until_blocked(postgres, len(changes))
    for change in changes:
        change.join()
    assert answers == [MemoryNotFound] * 3


def _wait_until_blocked(log: SQLLog, count: int) -> None:
    deadline = time.monotonic() + 10
    waiting = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    while time.monotonic() < deadline:
        with _database(log).reading() as connection:
            if connection.execute(waiting).scalar_one() >= count:
                return
        time.sleep(0.02)
    raise AssertionError("nobody waits for the forget")


# --- whose files they are -------------------------------------------------------------------------


def test_nobody_else_may_read_the_files_of_a_new_log(log: SQLLog, tmp_path: Path) -> None:
    log.append(ANA, [draft(SAID)], generation=None)
    modes = {file.name: file.stat().st_mode & 0o077 for file in tmp_path.iterdir()}
    assert {"agentmem.db", "agentmem.db-wal", "agentmem.db.key"} <= set(modes)
    assert set(modes.values()) == {0}


def test_a_log_that_has_forgotten_is_not_opened_with_another_key(tmp_path: Path) -> None:
    url, key = f"sqlite:///{tmp_path}/agentmem.db", tmp_path / "agentmem.db.key"
    with closing(SQLLog(url)) as log:
        (memory,) = log.append(ANA, [draft(SAID)], generation=None)
        log.erase(ANA, [memory.id], mode="erase")
    kept = key.rename(tmp_path / "kept")
    with pytest.raises(
        ConfigError, match=r"agentmem\.db\.key is not there.*tombstone_key_file.*accept_missing_journal"
    ):
        SQLLog(url)
    assert not key.exists(), "no other one takes its place"
    key.write_bytes(bytes(32))
    with pytest.raises(ConfigError, match=r"agentmem\.db\.key is another one"):
        SQLLog(url)
    with closing(SQLLog(url, tombstone_key_file=kept)) as log:
        assert log.tombstoned(ANA, [memory.id]) == {memory.id}
    with closing(SQLLog(url, accept_missing_journal=True)) as log:
        assert log.tombstoned(ANA, [memory.id]) == frozenset()
    SQLLog(url).close()


def test_a_journal_alone_binds_a_log_to_its_key(tmp_path: Path) -> None:
    """A backup from before anything was forgotten has no tombstones yet; those in the journal need the key too."""
    url = f"sqlite:///{tmp_path}/agentmem.db"
    with closing(SQLLog(url)) as log:
        (memory,) = log.append(ANA, [draft(SAID)], generation=None)
        log.backup(tmp_path / "backup.db")
        log.erase(ANA, [memory.id], mode="erase")
    (tmp_path / "backup.db").replace(tmp_path / "agentmem.db")
    (tmp_path / "agentmem.db.key").unlink()
    with pytest.raises(ConfigError, match=r"agentmem\.db\.key is not there"):
        SQLLog(url)


def test_a_log_that_has_forgotten_nothing_takes_a_new_key(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agentmem.db"
    SQLLog(url).close()
    (tmp_path / "agentmem.db.key").unlink()
    with closing(SQLLog(url)) as log:
        (memory,) = log.append(ANA, [draft(SAID)], generation=None)
        log.erase(ANA, [memory.id], mode="erase")
    with closing(SQLLog(url)) as log:
        assert log.tombstoned(ANA, [memory.id]) == {memory.id}


def test_postgresql_that_has_forgotten_wants_the_key_file_that_it_had(postgres_url: str, tmp_path: Path) -> None:
    with closing(SQLLog(postgres_url, tombstone_key_file=tmp_path / "key")) as log:
        (memory,) = log.append(ANA, [draft(SAID)], generation=None)
        log.erase(ANA, [memory.id], mode="erase")
    with pytest.raises(ConfigError, match="not told where"):
        SQLLog(postgres_url)
    with closing(SQLLog(postgres_url, tombstone_key_file=tmp_path / "key")) as log:
        assert log.tombstoned(ANA, [memory.id]) == {memory.id}


def test_a_retired_memory_of_a_layer_that_is_only_read_is_unknown(log: SQLLog) -> None:
    (memory,) = log.append(Scope(agent="coach"), [draft("a note")], generation=None)
    log.erase(Scope(agent="coach"), [memory.id], mode="retire")
    with pytest.raises(MemoryNotFound):
        log.erase(Scope(user="ana", agent="coach"), [memory.id], mode="erase")


def test_processes_that_open_a_new_postgresql_log_at_once_agree_on_its_key(postgres_url: str) -> None:
    SQLLog(postgres_url).close()
    with Database(postgres_url).writing() as connection:
        connection.execute(text("DELETE FROM agentmem_setting"))
    logs: list[SQLLog] = []
    openers = [threading.Thread(target=lambda: logs.append(SQLLog(postgres_url))) for _ in range(6)]
    for opener in openers:
        opener.start()
    for opener in openers:
        opener.join()
    assert len(logs) == 6
    (memory,) = logs[0].append(ANA, [draft(SAID)], generation=None)
    logs[0].erase(ANA, [memory.id], mode="erase")
    assert all(log.tombstoned(ANA, [memory.id]) for log in logs)
    for log in logs:
        log.close()


class Unreachable(WordHashEmbedder):
    """An embedder behind a network that is down."""

    def embed(self, request: EmbedRequest) -> Any:
        raise BackendError("Nobody answers.")

    def fingerprint(self) -> str:
        raise BackendError("Nobody answers.")


def test_verify_names_an_embedder_that_does_not_answer(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path) as memory:
        memory.store("Here.", scope=ANA)
    with MemoryManager.open(tmp_path, embedder=Unreachable()) as memory:
        (finding,) = [finding for finding in memory.verify().findings if finding.name == "embedder"]
        assert not finding.ok
        assert "failed" in finding.detail
        assert "failed" in (memory.stats().degraded or "")


# --- a partition that is to be erased as a whole --------------------------------------------------


def test_what_is_to_be_erased_as_a_whole_is_nobodys_from_then_on(any_log: SQLLog) -> None:
    """However long the erasing itself takes."""
    [memory] = any_log.append(ANA, [draft(SAID, id="m1", expires_at=utc_now())], generation=None)
    fact = draft(SAID, kind="fact", fact=Fact("user", "health", "migraine"), derived_from=("m1",))
    any_log.append(ANA, [fact], generation=None)
    [head] = any_log.all_heads()
    with _database(any_log).writing() as connection:
        connection.execute(text("UPDATE agentmem_partition SET doomed_by = 'somebody'"))
    for scope in (ANA, Scope(user="ana", agent="coach")):
        assert any_log.heads(scope) == []
        for query in (LogQuery(scope), LogQuery(scope, retired=True), LogQuery(scope, rows=((head.partition, 1),))):
            assert any_log.read(query) == []
        assert any_log.partitions_of(scope, ["m1"]) == {}
        assert any_log.changes(scope, memory.recorded_from, utc_now()) == []
        assert any_log.vectors(scope, [(head.partition, 1)]) == {}
        for refused in (
            lambda scope=scope: any_log.history(scope, "m1"),
            lambda scope=scope: any_log.restore(scope, "m1", version=1, reason=None),
            lambda scope=scope: any_log.revise(scope, "m1", Revision(), expected_version=None, generation=None),
            lambda scope=scope: any_log.erase(scope, ["m1"], mode="erase"),
        ):
            with pytest.raises(MemoryNotFound):
                refused()
        with pytest.raises(ScopeError):
            any_log.index_rows(IndexQuery(scope, head.partition))
    with pytest.raises(StoreBusy, match="being forgotten"):
        any_log.append(ANA, [draft("Later.")], generation=None)
    assert any_log.append(Scope(user="ben"), [draft("Ben is not Ana.")], generation=None)
    assert any_log.overdue(head, at=utc_now(), outlived=(), limit=9) == []
    assert any_log.without_vector(head, 1, after=0, limit=9) == []
    assert any_log.tasks("settle") == []
    any_log.note_uses([Use(head.partition, "m1", 1)])
    counts = any_log.counts()
    assert (counts["memories"], counts["versions"], counts["partitions"]) == ({"turn": 1}, 1, 1)
    with _database(any_log).reading() as connection:
        head_now = connection.execute(text("SELECT head FROM agentmem_partition WHERE doomed_by IS NOT NULL")).scalar()
    assert head_now == head.seq


# --- facts that were left behind ------------------------------------------------------------------


def test_a_fact_settled_by_one_that_is_gone_is_noticed_and_settled_again(any_log: SQLLog) -> None:
    cities = [draft(city, kind="fact", fact=Fact("user", "home", city), valid_from=utc_now()) for city in ("A", "B")]
    first, second = any_log.append(ANA, cities, generation=None)
    assert _finding(any_log, "facts").detail.startswith("1 keys wait")
    any_log.settle(decide)
    assert _finding(any_log, "facts").ok
    with _database(any_log).writing() as connection:
        connection.execute(text("DELETE FROM agentmem_version WHERE id = :id"), {"id": second.id})
    assert not _finding(any_log, "facts").ok
    assert any_log.repair() == ["1 facts' keys left to be settled again"]
    assert _finding(any_log, "facts").ok
    any_log.settle(decide)
    [stands] = any_log.read(LogQuery(ANA))
    assert (stands.id, stands.valid_to, stands.fact) == (first.id, None, first.fact)
    assert any_log.repair() == []


def test_what_outlived_the_erased_memory_it_came_from_is_noticed(any_log: SQLLog) -> None:
    [source] = any_log.append(ANA, [draft(SAID)], generation=None)
    any_log.append(ANA, [draft("from afar", derived_from=("never here",))], generation=None)
    any_log.erase(ANA, [source.id], mode="erase")
    assert _finding(any_log, "derived").ok
    with _database(any_log).writing() as connection:
        connection.execute(text("UPDATE agentmem_lineage SET source_id = :id"), {"id": source.id})
    assert not _finding(any_log, "derived").ok


def _finding(log: SQLLog, name: str) -> Finding:
    [finding] = [finding for finding in log.check() if finding.name == name]
    return finding


# --- a clock that jumps ---------------------------------------------------------------------------


def test_no_two_versions_are_known_at_once_whatever_the_clock_does(tmp_path: Path) -> None:
    clock = FrozenClock()
    log = SQLLog(f"sqlite:///{tmp_path}/agentmem.db", clock=clock)
    [memory] = log.append(ANA, [draft("one")], generation=None)
    for number in range(8):
        clock.advance(hours=(-3, 2, 0, -1)[number % 4])
        if number % 3 == 2:
            log.erase(ANA, [memory.id], mode="retire")
            clock.advance(hours=-1)
            log.restore(ANA, memory.id, version=None, reason=None)
        else:
            log.revise(ANA, memory.id, Revision(metadata={"n": number}), expected_version=None, generation=None)
    versions = log.history(ANA, memory.id)
    assert len(versions) == 9
    for earlier, later in itertools.pairwise(versions):
        assert earlier.recorded_to is not None
        assert earlier.recorded_from < earlier.recorded_to <= later.recorded_from
    log.close()
