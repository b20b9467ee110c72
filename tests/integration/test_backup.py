"""A backup brings back what was lost and nothing that was forgotten; without the journal it brings back nothing."""

from __future__ import annotations

import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from agentmem import ConfigError, InvalidInput, MemoryManager, Scope
from agentmem.errors import BackendError, StoreBusy
from agentmem.interfaces import EpisodicLog, ErasureRequest, LogQuery
from agentmem.log.backup import copying, restore_backup
from agentmem.log.sql import SQLLog
from agentmem.records import Finding
from agentmem.testing.fakes import A_MONDAY, draft

KEPT = Scope(user="kept")
SUBJECTS = [Scope(user=f"subject-{number}", agent="coach") for number in range(20)]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder / "agentmem.db"


@pytest.fixture
def backup(place: Path, tmp_path: Path) -> Path:
    """Taken before 20 subjects and 20 single memories were forgotten; the log is closed."""
    target = tmp_path / "backup.db"
    with closing(opened(place)) as log:
        singles = log.append(KEPT, [draft(f"single {number}") for number in range(40)], generation=None)
        for scope in SUBJECTS:
            log.append(scope, [draft(f"of {scope.user}") for _ in range(3)], generation=None)
        log.backup(target)
        for scope in SUBJECTS:
            log.erase_everything(Scope(user=scope.user), request=request(scope.user or ""))
        for memory in singles[:20]:
            log.erase(KEPT, [memory.id], mode="erase", request=request(memory.id))
        log.append(KEPT, [draft("after the backup")], generation=None)
    return target


def opened(place: Path, **options: object) -> SQLLog:
    return SQLLog(f"sqlite:///{place}", **options)  # type: ignore[arg-type]


def request(id: str) -> ErasureRequest:
    return ErasureRequest(f"request {id}", A_MONDAY)


def contents(log: EpisodicLog, scope: Scope) -> list[str]:
    return [memory.content for memory in log.read(LogQuery(scope))]


def finding(log: SQLLog, name: str) -> Finding:
    [found] = [each for each in log.check() if each.name == name]
    return found


# --- writing one ----------------------------------------------------------------------------------


def test_a_backup_is_whole_private_and_holds_neither_key_nor_journal(place: Path, tmp_path: Path) -> None:
    with closing(opened(place)) as log:
        log.append(KEPT, [draft("one")], generation=None)
        log.backup(tmp_path / "copy.db")
        key = place.with_name("agentmem.db.key").read_bytes()
    copy = tmp_path / "copy.db"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == ["copy.db", "memory"]
    assert key not in copy.read_bytes()
    with closing(sqlite3.connect(copy)) as database:
        assert database.execute("SELECT content FROM agentmem_version").fetchall() == [("one",)]


def test_a_backup_does_not_overwrite(place: Path, tmp_path: Path) -> None:
    with closing(opened(place)) as log:
        (tmp_path / "there").write_text("mine")
        with pytest.raises(InvalidInput, match="exists already"):
            log.backup(tmp_path / "there")
        with pytest.raises(BackendError):
            log.backup(tmp_path / "missing" / "copy.db")
    assert (tmp_path / "there").read_text() == "mine"


def test_a_log_in_memory_and_postgresql_say_what_to_use_instead(postgres_url: str, tmp_path: Path) -> None:
    for url in ("sqlite://", postgres_url):
        with closing(SQLLog(url)) as log, pytest.raises(BackendError, match="pg_dump"):
            log.backup(tmp_path / "copy.db")


# --- bringing one back ----------------------------------------------------------------------------


def test_nothing_that_was_forgotten_comes_back_and_everything_else_does(place: Path, backup: Path) -> None:
    assert restore_backup(backup, place) == 80
    with closing(opened(place)) as log:
        assert contents(log, KEPT) == [f"single {number}" for number in range(20, 40)]
        for scope in SUBJECTS:
            assert contents(log, Scope(user=scope.user)) == []
        assert log.forgotten_again == 0
        assert [each for each in log.check() if not each.ok] == []
        assert all(f"of subject-{number}".encode() not in place.read_bytes() for number in range(20))
        assert log.counts()["versions"] == 20


def test_the_receipts_of_what_was_forgotten_since_are_still_there(place: Path, backup: Path) -> None:
    restore_backup(backup, place)
    with closing(opened(place)) as log:
        first, again = log.receipts(SUBJECTS[0])
        assert (first.id, first.memories) == ("request subject-0", 3)
        assert (again.memories, again.reason) == (3, "an older backup had brought it back")
        assert finding(log, "receipts").ok


def test_a_backup_that_is_put_in_place_by_hand_is_caught_up_before_it_is_served(place: Path, backup: Path) -> None:
    for end in ("", "-wal", "-shm"):
        place.with_name(place.name + end).unlink(missing_ok=True)
    shutil.copyfile(backup, place)
    with closing(opened(place)) as log:
        assert log.forgotten_again == 80
        assert contents(log, KEPT) == [f"single {number}" for number in range(20, 40)]
        assert contents(log, SUBJECTS[3]) == []
        assert len(log.resume()) == 20, "the rows of whole subjects go afterwards; they were invisible at once"
        assert log.counts()["versions"] == 20
    with closing(opened(place)) as log:
        assert log.forgotten_again == 0


def test_an_import_does_not_bring_back_what_the_backup_had_not_yet_forgotten(place: Path, backup: Path) -> None:
    with closing(opened(place)) as log:
        live = log.receipts(KEPT)
    restore_backup(backup, place)
    with closing(opened(place)) as log:
        ids = [receipt.id.removeprefix("request ") for receipt in live]
        assert log.tombstoned(KEPT, ids) == set(ids)


def test_what_a_person_said_after_being_forgotten_is_theirs(place: Path, tmp_path: Path) -> None:
    ana = Scope(user="ana")
    with closing(opened(place)) as log:
        log.append(ana, [draft("before")], generation=None)
        log.erase_everything(ana)
        log.append(ana, [draft("after")], generation=None)
        log.backup(tmp_path / "later.db")
        log.append(ana, [draft("lost")], generation=None)
    assert restore_backup(tmp_path / "later.db", place) == 0
    with closing(opened(place)) as log:
        assert contents(log, ana) == ["after"]


def test_a_restore_can_be_repeated(place: Path, backup: Path) -> None:
    assert restore_backup(backup, place) == restore_backup(backup, place) == 80
    with closing(opened(place)) as log:
        assert len(contents(log, KEPT)) == 20
        assert finding(log, "receipts").ok


@pytest.mark.parametrize("missing", ["journal", "key"])
def test_without_the_journal_or_the_key_nothing_is_restored(place: Path, backup: Path, missing: str) -> None:
    place.with_name(f"agentmem.db.{missing}").unlink()
    before = place.read_bytes()
    with pytest.raises(ConfigError, match=rf"agentmem\.db\.{missing}"):
        restore_backup(backup, place)
    assert place.read_bytes() == before
    restore_backup(backup, place, accept_missing_journal=True)
    with closing(opened(place)) as log:
        assert len(contents(log, KEPT)) == 40, "all that the backup holds is back"


def test_a_backup_that_is_not_there_is_named_before_the_journal(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"monday\.db: there is no such backup"):
        MemoryManager.restore_from(tmp_path / "monday.db", tmp_path / "memory")


def test_the_files_that_an_error_asks_for_reach_the_log_through_the_manager(
    place: Path, backup: Path, tmp_path: Path
) -> None:
    files = {
        "journal_file": place.with_name("agentmem.db.journal").rename(tmp_path / "journal"),
        "tombstone_key_file": place.with_name("agentmem.db.key").rename(tmp_path / "key"),
    }
    with pytest.raises(ConfigError, match="accept_missing_journal"):
        MemoryManager.open(place.parent)
    with MemoryManager.open(place.parent, embedder=None, **files) as memory:
        assert len(memory.list(scope=KEPT)) == 21
    with MemoryManager.restore_from(backup, tmp_path / "new", embedder=None, **files) as memory:
        assert len(memory.list(scope=KEPT)) == 20
    with MemoryManager.open(place.parent, embedder=None, accept_missing_journal=True) as memory:
        assert memory.verify().ok


def test_an_option_that_nobody_takes_is_named_with_the_one_that_was_meant(tmp_path: Path) -> None:
    for wrong, meant in (("journal", "journal_file"), ("embeder", "embedder")):
        with pytest.raises(ConfigError, match=f"'{wrong}'. Did you mean '{meant}'"):
            MemoryManager.open(tmp_path / "new", **{wrong: None})
    with pytest.raises(ConfigError, match="takes no 'log'"):
        MemoryManager.restore_from(tmp_path / "monday.db", tmp_path / "new", log=None)
    assert not (tmp_path / "new").exists()


def test_a_damaged_backup_changes_nothing(place: Path, backup: Path, tmp_path: Path) -> None:
    whole = backup.read_bytes()
    backup.write_bytes(whole[: len(whole) // 2])
    before = place.read_bytes()
    with pytest.raises(BackendError):
        restore_backup(backup, place)
    with pytest.raises(BackendError):
        restore_backup(tmp_path / "nothing.db", place)
    assert place.read_bytes() == before
    assert not list(place.parent.glob("*.restoring*"))


def test_a_log_that_somebody_has_open_is_not_replaced(place: Path, backup: Path) -> None:
    with closing(opened(place)) as log:
        log.append(KEPT, [draft("still writing")], generation=None)
        with pytest.raises(StoreBusy, match="open"):
            restore_backup(backup, place)
        assert contents(log, KEPT)[-1] == "still writing"


def test_a_damaged_log_can_be_replaced(place: Path, backup: Path) -> None:
    place.write_bytes(b"no database at all" * 1000)
    restore_backup(backup, f"sqlite:///{place}")
    with closing(opened(place)) as log:
        assert len(contents(log, KEPT)) == 20


@pytest.mark.parametrize("what", ["backup", "restore"])
def test_a_copy_that_somebody_died_over_is_searched_and_removed(place: Path, tmp_path: Path, what: str) -> None:
    with closing(opened(place)) as log:
        log.append(KEPT, [draft("one")], generation=None)
        log.backup(tmp_path / "whole.db")
    dying = (
        "import os, sys\n"
        "from agentmem.log import backup\n"
        "from agentmem.log.sql import SQLLog\n"
        "what, place, folder = sys.argv[1:]\n"
        "backup._sync = lambda path: None if path.name.endswith('.copying') else os._exit(9)\n"
        "if what == 'backup':\n"
        "    SQLLog(f'sqlite:///{place}').backup(folder + '/copy.db')\n"
        "backup.restore_backup(folder + '/whole.db', place)\n"
    )
    foreign = [
        file.with_name(file.name + end) for file in (place, tmp_path / "copy.db") for end in (".new", ".restoring")
    ]
    for file in foreign:
        file.write_text("somebody else's")
    with closing(opened(place)) as log:
        assert log.files() and not any(".copying" in file.name for file in log.files())
        if what == "restore":
            log.close()
        done = subprocess.run([sys.executable, "-c", dying, what, str(place), str(tmp_path)], check=False)
        assert done.returncode == 9
        copies = [file for file in tmp_path.rglob("*") if file not in foreign and file.suffix in (".new", ".restoring")]
        assert len(copies) == 1 and b"one" in copies[0].read_bytes()
        if what == "backup":
            assert copies[0] in log.files(), "a search for residue sees it"
            log.backup(tmp_path / "another.db")
            assert not copies[0].exists(), "the next copy removes it"
    with closing(opened(place)) as log:
        assert not copies[0].exists()
        assert not any(copies[0].name in file.name for file in tmp_path.rglob("*"))
        log.backup(tmp_path / "copy.db")
    restore_backup(tmp_path / "copy.db", place)
    assert {file.read_text() for file in foreign} == {"somebody else's"}
    for file in foreign:
        file.unlink()


def test_a_copy_that_is_being_made_stays(place: Path, tmp_path: Path) -> None:
    with closing(opened(place)) as log:
        with copying(place, tmp_path / f"copy.db.{'0' * 32}.new") as copy:
            copy.write_text("half")
            opened(place).close()
            assert copy.exists() and copy in log.files()
        assert not copy.exists() and copy not in log.files()


# --- the journal ----------------------------------------------------------------------------------


def test_a_log_whose_journal_is_gone_is_not_opened(place: Path, backup: Path) -> None:
    journal = place.with_name("agentmem.db.journal")
    moved = journal.rename(place.with_name("elsewhere"))
    with pytest.raises(ConfigError, match=r"agentmem\.db\.journal.*journal_file"):
        opened(place)
    with closing(opened(place, journal_file=moved)) as log:
        assert len(contents(log, KEPT)) == 21
    with closing(opened(place, accept_missing_journal=True)) as log:
        assert finding(log, "journal").ok
    with closing(opened(place)) as log:
        assert len(contents(log, KEPT)) == 21, "from then on it has a new one"
    restored = place.with_name("again.db")
    with closing(opened(place)) as log:
        log.backup(restored)
    assert restore_backup(restored, place) == 0


def test_a_new_journal_knows_what_the_log_has_forgotten_before(place: Path, backup: Path) -> None:
    place.with_name("agentmem.db.journal").unlink()
    opened(place, accept_missing_journal=True).close()
    assert restore_backup(backup, place) == 80


def test_the_journal_of_another_log_is_refused(place: Path, tmp_path: Path) -> None:
    opened(place).close()
    opened(tmp_path / "other.db").close()
    with pytest.raises(ConfigError, match="another log"):
        opened(place, journal_file=tmp_path / "other.db.journal")


def test_the_journal_is_private_and_names_nobody(place: Path, backup: Path) -> None:
    journal = place.with_name("agentmem.db.journal")
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600
    text = journal.read_text()
    assert "subject-0" not in text.replace("request subject-0", ""), "the test's own request ids are in the receipts"
    assert "single" not in text


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_line_that_a_crash_cut_off_is_left_out(place: Path, backup: Path, cut: int) -> None:
    journal = place.with_name("agentmem.db.journal")
    whole = journal.read_bytes()
    journal.write_bytes(whole + b"T 00112233445566778899aabbccddeeff 12345678\n"[:-cut])
    with closing(opened(place)) as log:
        [memory] = log.append(KEPT, [draft("one more")], generation=None)
        log.erase(KEPT, [memory.id], mode="erase")
    assert journal.read_bytes().startswith(whole + b"T ")
    assert restore_backup(backup, place) == 80


def test_a_journal_damaged_in_the_middle_is_not_trusted(place: Path, backup: Path) -> None:
    journal = place.with_name("agentmem.db.journal")
    whole = bytearray(journal.read_bytes())
    whole[len(whole) // 2] ^= 1
    journal.write_bytes(whole)
    with pytest.raises(BackendError, match="damaged"):
        restore_backup(backup, place)


def test_a_forget_that_failed_does_not_happen_after_all(place: Path) -> None:
    class Failing(SQLLog):
        is_failing = False

        def _desk(self, connection, page):  # type: ignore[no-untyped-def]
            if not self.is_failing:
                return super()._desk(connection, page)
            connection.exec_driver_sql("PRAGMA defer_foreign_keys=ON")
            connection.exec_driver_sql("INSERT INTO agentmem_lineage VALUES (99, 'a', 'b')")
            return super()._desk(connection, page)

    with closing(Failing(f"sqlite:///{place}")) as log:
        [memory] = log.append(KEPT, [draft("stays")], generation=None)
        before = place.with_name("agentmem.db.journal").read_bytes()
        log.is_failing = True
        with pytest.raises(BackendError):
            log.erase(KEPT, [memory.id], mode="erase")  # the commit fails, after the journal was written
        assert place.with_name("agentmem.db.journal").read_bytes() == before
    with closing(opened(place)) as log:
        assert contents(log, KEPT) == ["stays"]


def test_a_forget_that_a_crash_cut_off_behind_the_journal_is_carried_out(place: Path) -> None:
    with closing(opened(place)) as log:
        [one, _] = log.append(KEPT, [draft("goes"), draft("stays")], generation=None)
        before = place.with_name("copy")
        log.backup(before)
        log.erase(KEPT, [one.id], mode="erase")
    shutil.copyfile(before, place)  # as if the commit had never reached the disk
    with closing(opened(place)) as log:
        assert (log.forgotten_again, contents(log, KEPT)) == (1, ["stays"])


def test_what_another_process_died_over_is_forgotten_before_anything_else_is(place: Path) -> None:
    ana, ben = Scope(user="ana"), Scope(user="ben")
    journal, key = (place.with_name(f"agentmem.db.{end}") for end in ("journal", "key"))
    with closing(opened(place)) as log:
        goes, other, _ = log.append(KEPT, [draft("goes"), draft("other"), draft("stays")], generation=None)
        log.append(ana, [draft("of ana")], generation=None)
        log.append(ben, [draft("of ben")], generation=None)
        copy = place.with_name("copy")
        log.backup(copy)
        with closing(opened(copy, journal_file=journal, tombstone_key_file=key)) as dying:
            # Whose commits never reach the database of the other.
            dying.erase(KEPT, [goes.id], mode="erase", request=request("dying"))
            dying.erase_everything(ana)
        log.erase_everything(ben)
        log.append(ben, [draft("said by ben since")], generation=None)
        log.erase(KEPT, [other.id], mode="erase")
        assert (contents(log, KEPT), contents(log, ana)) == (["stays"], [])
        log.append(ana, [draft("said by ana since")], generation=None)
        assert log.tombstoned(KEPT, [goes.id, other.id]) == {goes.id, other.id}
        assert {"request dying"} < {receipt.id for receipt in log.receipts(KEPT)}
        assert [each for each in log.check() if not each.ok] == []
    with closing(opened(place)) as log:
        assert log.forgotten_again == 0
        assert contents(log, KEPT) == ["stays"]
        assert contents(log, ana) + contents(log, ben) == ["said by ana since", "said by ben since"]


def test_postgresql_keeps_a_journal_where_it_is_told_to(postgres_url: str, tmp_path: Path) -> None:
    with closing(SQLLog(postgres_url)) as log:
        assert "brings back" in finding(log, "journal").detail
    journal = tmp_path / "pg.journal"
    with closing(SQLLog(postgres_url, journal_file=journal)) as log:
        [one] = log.append(KEPT, [draft("one")], generation=None)
        log.erase(KEPT, [one.id], mode="erase", request=request("1"))
        log.erase_everything(KEPT)
        assert journal.stat().st_size > 100
        assert finding(log, "journal").ok
    with pytest.raises(ConfigError, match="journal_file"):
        SQLLog(postgres_url)
    journal.unlink()
    with pytest.raises(ConfigError, match=r"pg\.journal"):
        SQLLog(postgres_url, journal_file=journal)
    SQLLog(postgres_url, accept_missing_journal=True).close()
    SQLLog(postgres_url).close()


@pytest.fixture(autouse=True)
def _no_leftovers(tmp_path: Path) -> Iterator[None]:
    yield
    assert not [file for file in tmp_path.rglob("*") if file.suffix in (".new", ".restoring")]
