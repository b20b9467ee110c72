"""A sealed log keeps every promise of a log, keeps no word in the clear, and forgets in its backups too."""

from __future__ import annotations

import base64
import json
import re
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agentmem import Document, MemoryManager, Scope, Turn
from agentmem.cli.commands import app
from agentmem.errors import (
    AgentMemError,
    BackendError,
    ConfigError,
    IdempotencyConflict,
    MemoryNotFound,
    StoreBusy,
    UnderHold,
)
from agentmem.interfaces import EpisodicLog, LogQuery
from agentmem.log.backup import restore_backup
from agentmem.log.keyring import OF_THE_LOG, Key, KeyRing, place_of
from agentmem.log.sealed import SealedLog
from agentmem.records import Affect, Fact, Finding
from agentmem.testing import EpisodicLogTests, draft
from agentmem.testing.suites.log_base import append_one, blob, contents

ANA = Scope(user="ana", agent="coach", session="monday")
BEN = Scope(user="ben", agent="coach")
SECRET = "xylophone quarterly"


class TestSealedLog(EpisodicLogTests):
    @pytest.fixture
    def log(self, tmp_path: Path) -> Iterator[EpisodicLog]:
        log = sealed(tmp_path)
        yield log
        log.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], EpisodicLog]:
        return lambda: sealed(tmp_path)


def sealed(folder: Path) -> SealedLog:
    return SealedLog(f"sqlite:///{folder}/agentmem.db", keys=folder / "keys")


def opened(folder: Path, *, extractor: str | None = None) -> MemoryManager:
    log = {"type": "sealed", "url": f"sqlite:///{folder}/agentmem.db", "keys": folder / "keys"}
    return MemoryManager(log, extractor=extractor)


def files_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


def files_named(folder: Path, name: str) -> list[Path]:
    return [file for file in folder.rglob("*") if file.name == name]


def key_of_ana(folder: Path) -> Key | None:
    return KeyRing(folder / "keys").of(("default", "user", "ana"))


def finding(log: EpisodicLog, name: str) -> Finding:
    (found,) = (finding for finding in log.check(deep=True) if finding.name == name)
    return found


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryManager]:
    with opened(tmp_path) as memory:
        yield memory


def test_no_word_lies_in_the_clear(tmp_path: Path, memory: MemoryManager) -> None:
    memory.store(
        Turn(
            f"I play the {SECRET}.",
            speaker="Anastasia",
            metadata={"instrument": "sousaphone"},
            affect=Affect(0.5, 0.5, "exhilarated"),
            origin="bassoon.json",
            idempotency_key="dulcimer-1",
        ),
        scope=ANA,
    )
    memory.store(Document("# Clavichord\n\nTuned weekly.", name="harpsichord.md"), scope=ANA)
    memory.store(Turn("She lives in Timbuktu.", kind="fact", fact=Fact("Anastasia", "home", "Timbuktu")), scope=ANA)
    memory.flush(10)
    stored = files_of(tmp_path)
    assert b"coach" in stored  # the control: ids are in the clear, so the files were looked into
    names = "Anastasia sousaphone exhilarated bassoon Clavichord harpsichord Timbuktu dulcimer"
    for word in (SECRET, *names.split()):
        assert word.encode() not in stored, word


def test_ids_that_were_made_from_words_do_not_confirm_a_guess_at_them(tmp_path: Path) -> None:
    chat = tmp_path / "chat.jsonl"
    said = [{"role": "user", "content": content} for content in ("I live in Porto.", "I moved to Lisbon.")]
    chat.write_text(json.dumps({"messages": said}) + "\n")
    (tmp_path / "log").mkdir()
    with opened(tmp_path / "log", extractor="rules") as memory:
        memory.import_from(chat, scope=ANA, trust="user")
        memory.flush(30)
        everything = memory.list(scope=ANA).items
        turns = [found for found in everything if found.kind == "turn"]
        facts = [found for found in everything if found.kind == "fact"]
        assert [turn.content for turn in turns] == ["I live in Porto.", "I moved to Lisbon."]
        session = turns[0].scope.session
        assert session is not None and session.startswith("import:")
        assert [found.id for found in memory.list(scope=ANA, where={"session": session}, kinds={"turn"})] == [
            turn.id for turn in turns
        ]
        for fact in facts:
            assert memory.get(fact.id, scope=ANA) == fact
            assert memory.why(fact.id, scope=ANA)
            assert memory.history(fact.id, scope=ANA)[-1] == fact
        given = {session, *(found.id for found in everything), *(str(turn.idempotency_key) for turn in turns)}
        assert facts and len(given) == 1 + len(everything) + len(turns)
        memory.forget(turns[0].id, scope=ANA, verify=True)
        with pytest.raises(MemoryNotFound, match=re.escape(turns[0].id)):
            memory.history(turns[0].id, scope=ANA)
        memory.import_from(chat, scope=ANA, trust="user")
        assert [turn.id for turn in memory.list(scope=ANA, kinds={"turn"})] == [turns[1].id], "it stays forgotten"
    stored = files_of(tmp_path / "log")
    for name in given:
        assert name.encode() not in stored, name


def test_a_conflict_names_the_key_that_the_caller_gave(memory: MemoryManager) -> None:
    first = memory.store("I sing.", scope=ANA, idempotency_key="k-1")
    assert memory.store("I sing.", scope=ANA, idempotency_key="k-1") == first
    with pytest.raises(IdempotencyConflict, match="'k-1'"):
        memory.store("I dance.", scope=ANA, idempotency_key="k-1")


def test_a_source_is_found_in_every_layer_that_the_scope_reads(memory: MemoryManager) -> None:
    memory.store(Document("# Manual\n\nPress the button.", name="manual.md"), scope=Scope(agent="coach"))
    memory.store(Document("# Manual\n\nPress it twice.", name="manual.md"), scope=ANA)
    found = [found.scope.user for found in memory.list(scope=ANA, where={"origin": "manual.md"})]
    assert found == [None, "ana"]
    in_turn = memory.log.read(LogQuery(ANA, source="manual.md", limit=1))
    assert [memory.scope.user for memory in in_turn] == [None]


def test_what_was_sealed_is_found_filtered_and_read_as_it_was(memory: MemoryManager) -> None:
    said = Turn(
        f"I play the {SECRET}.",
        speaker="Ana",
        metadata={"band": "blue"},
        affect=Affect(0.5, 0.4, "joy"),
        origin="a.json",
    )
    stored = memory.store(said, scope=ANA)
    memory.store("Something else entirely.", scope=ANA)
    (hit,) = memory.retrieve("Who plays the xylophone?", scope=ANA, where={"metadata.band": "blue"})
    assert hit.memory == stored
    assert (stored.speaker, stored.metadata, stored.affect, stored.origin) == (
        "Ana",
        {"band": "blue"},
        Affect(0.5, 0.4, "joy"),
        "a.json",
    )
    assert [found.id for found in memory.list(scope=ANA, where={"origin": "a.json"})] == [stored.id]
    assert [found.id for found in memory.list(scope=ANA, where={"affect.valence": {"$gt": 0.4}})] == [stored.id]


def test_facts_supersede_each_other_under_seal(memory: MemoryManager) -> None:
    for year, place in ((2023, "Lisbon"), (2024, "Porto")):
        said_at = datetime(year, 5, 1, tzinfo=UTC)
        fact = Fact("Ana" if year == 2023 else "ana", "home", place)
        memory.store(Turn(f"Ana lives in {place}.", kind="fact", fact=fact, occurred_at=said_at), scope=ANA)
    memory.flush(10)
    assert [found.content for found in memory.list(scope=ANA, kinds={"fact"})] == ["Ana lives in Porto."]


def test_a_backup_from_before_a_forget_cannot_be_read_after_it(tmp_path: Path) -> None:
    live, backup = tmp_path / "live", tmp_path / "backup"
    live.mkdir()
    keys = tmp_path / "keys"
    people = [Scope(user=f"person {number}") for number in range(20)]
    with MemoryManager(SealedLog(f"sqlite:///{live}/agentmem.db", keys=keys), extractor=None) as memory:
        for person in people:
            memory.store(f"I am {person.user} and I play the {SECRET}.", scope=person)
        memory.store(f"Ben plays the {SECRET} too.", scope=BEN)
    shutil.copytree(live, backup)
    with MemoryManager(SealedLog(f"sqlite:///{live}/agentmem.db", keys=keys), extractor=None) as memory:
        for person in people:
            assert memory.forget(scope=person, everything=True).rows["key"] == 1
    # The whole folder as it was, its journal of tombstones too: only the keys are of today.
    with MemoryManager(SealedLog(f"sqlite:///{backup}/agentmem.db", keys=keys), extractor=None) as memory:
        for person in people:
            assert memory.list(scope=person).items == ()
            assert not memory.retrieve("Who plays what?", scope=person).hits
            # And who comes back is somebody new.
            memory.store("Hello again.", scope=person)
            assert [found.content for found in memory.list(scope=person)] == ["Hello again."]
        assert [hit.content for hit in memory.retrieve("xylophone", scope=BEN)] == [f"Ben plays the {SECRET} too."]
        assert [finding.name for finding in memory.verify().findings if not finding.ok and finding.name == "keys"] == []
    assert SECRET.encode() not in files_of(backup)


def test_a_key_that_another_process_destroyed_seals_nothing_more(tmp_path: Path) -> None:
    one, other = KeyRing(tmp_path), KeyRing(tmp_path)
    subject = ("default", "user", "ana")
    first = one.made(subject)
    assert other.made(subject) == first
    assert other.destroy(place_of(subject), first.name)
    assert one.of(subject) is None
    second = one.made(subject)
    assert second != first
    assert not other.destroy(place_of(subject), first.name), "the new key in its place stays"
    assert other.of(subject) == second


def test_a_key_whose_destruction_was_cut_short_is_destroyed_by_the_next_try(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path)
    place = place_of(("default", "user", "ana"))
    key = ring.made(("default", "user", "ana"))
    (file,) = files_named(tmp_path, place)
    file.rename(file.with_name(f"{place}.going"))  # as a crash leaves it
    assert ring.destroy(place, key.name)
    assert key.secret not in files_of(tmp_path)


def test_of_threads_that_make_a_key_at_once_all_get_the_same(tmp_path: Path) -> None:
    made: list[object] = []
    barrier = threading.Barrier(8)

    def make() -> None:
        ring = KeyRing(tmp_path)
        barrier.wait()
        made.append(ring.made(("default", "user", "ana")))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 8 and len(set(made)) == 1


def test_a_master_key_wraps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMEM_MASTER_KEY", base64.b64encode(b"m" * 32).decode())
    with opened(tmp_path) as memory:
        memory.store("I sing.", scope=ANA)
    with opened(tmp_path) as memory:
        assert [found.content for found in memory.list(scope=ANA)] == ["I sing."]
    monkeypatch.setenv("AGENTMEM_MASTER_KEY", base64.b64encode(b"n" * 32).decode())
    with pytest.raises(ConfigError, match="master key"):
        sealed(tmp_path)
    monkeypatch.setenv("AGENTMEM_MASTER_KEY", "short")
    with pytest.raises(ConfigError, match="32 bytes in base64"):
        sealed(tmp_path)


def test_a_log_is_not_opened_with_the_keys_of_another(tmp_path: Path) -> None:
    sealed(tmp_path).close()
    KeyRing(tmp_path / "others").made(OF_THE_LOG)
    for folder in ("others", "none"):
        with pytest.raises(ConfigError, match="other keys"):
            SealedLog(f"sqlite:///{tmp_path}/agentmem.db", keys=tmp_path / folder)
    assert not any((tmp_path / "none").iterdir()), "no key was made that opens nothing"


def test_sealed_and_open_are_not_mixed_in_one_database(tmp_path: Path) -> None:
    sealed(tmp_path).close()
    with pytest.raises(ConfigError, match="type: sealed"):
        MemoryManager.open(tmp_path)
    (tmp_path / "open").mkdir()
    with MemoryManager.open(tmp_path / "open", extractor=None) as memory:
        memory.store("In the clear.", scope=ANA)
    with pytest.raises(ConfigError, match="Export"):
        sealed(tmp_path / "open")
    assert not list((tmp_path / "open" / "keys").iterdir())


def test_a_sealed_log_takes_no_vector_store_that_keeps_them_in_the_clear(tmp_path: Path) -> None:
    pytest.importorskip("chromadb")
    with pytest.raises(ConfigError, match="sealed"):
        MemoryManager(sealed(tmp_path), vectors={"type": "chroma", "path": str(tmp_path / "chroma")})


# --- forgetting a person ----------------------------------------------------------------------------------------------


class Killed(BaseException):
    """What a process does not live to see."""


class DyingLog(SealedLog):
    """Dies when the wish to forget is recorded and nothing of it is done."""

    def _erase_doomed(self, partitions: Sequence[int]) -> Counter[str]:
        raise Killed


def dying(folder: Path) -> MemoryManager:
    return MemoryManager(DyingLog(f"sqlite:///{folder}/agentmem.db", keys=folder / "keys"), extractor=None)


def test_a_forget_that_died_before_the_key_went_is_finished_with_the_key(tmp_path: Path) -> None:
    memory = dying(tmp_path)
    memory.store(f"I play the {SECRET}.", scope=ANA)
    with pytest.raises(Killed):
        memory.forget(scope=Scope(user="ana"), everything=True)
    assert key_of_ana(tmp_path) is not None
    with opened(tmp_path) as another:
        another.flush(10)
        (receipt,) = another.receipts(scope=ANA)
        assert (receipt.status, receipt.rows["key"]) == ("done", 1)
    assert key_of_ana(tmp_path) is None


def test_who_comes_back_before_a_forget_is_finished_has_a_key_that_stays(tmp_path: Path) -> None:
    memory = dying(tmp_path)
    memory.store(f"I play the {SECRET}.", scope=ANA)
    old = key_of_ana(tmp_path)
    with pytest.raises(Killed):
        memory.forget(scope=Scope(user="ana"), everything=True)
    log = sealed(tmp_path)
    append_one(log, ANA, draft("Hello again."))
    new = key_of_ana(tmp_path)
    assert new is not None and new != old
    log.resume()
    log.close()
    with opened(tmp_path) as another:
        another.flush(10)
        assert [found.content for found in another.list(scope=ANA)] == ["Hello again."]
        assert [receipt.status for receipt in another.receipts(scope=ANA)] == ["done"]
    assert key_of_ana(tmp_path) == new


def test_a_receipt_is_pending_while_the_key_is_there(tmp_path: Path, memory: MemoryManager) -> None:
    memory.store(f"I play the {SECRET}.", scope=ANA)
    (file,) = files_named(tmp_path, place_of(("default", "user", "ana")))
    blocked = file.with_name(f"{file.name}.going")
    blocked.mkdir()
    receipt = memory.forget(scope=Scope(user="ana"), everything=True)
    assert receipt.status == "pending" and any("cannot be destroyed" in left for left in receipt.remaining)
    assert memory.list(scope=ANA).items == ()
    with pytest.raises(BackendError, match="cannot be destroyed"):
        memory.store("Sealed with the old key?", scope=ANA)
    blocked.rmdir()
    memory.flush(10)
    assert [receipt.status for receipt in memory.receipts(scope=ANA)] == ["done"]
    assert key_of_ana(tmp_path) is None


def test_a_key_that_nobody_asked_a_receipt_for_goes_when_it_can(tmp_path: Path) -> None:
    log = sealed(tmp_path)
    append_one(log, ANA, draft(f"I play the {SECRET}."))
    (file,) = files_named(tmp_path, place_of(("default", "user", "ana")))
    blocked = file.with_name(f"{file.name}.going")
    blocked.mkdir()
    assert log.erase_everything(Scope(user="ana")).memories == 1, "rows do not stay because a key does"
    blocked.rmdir()
    assert key_of_ana(tmp_path) is not None
    log.resume()
    assert key_of_ana(tmp_path) is None
    log.close()


def test_a_forget_that_only_its_journal_knows_of_takes_the_key_too(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        memory.store(f"I play the {SECRET}.", scope=ANA)
    shutil.copy(tmp_path / "agentmem.db", tmp_path / "before.db")
    memory = dying(tmp_path)
    with pytest.raises(Killed):
        memory.forget(scope=Scope(user="ana"), everything=True)
    for end in ("", "-wal", "-shm"):
        (tmp_path / f"agentmem.db{end}").unlink(missing_ok=True)
    shutil.copy(tmp_path / "before.db", tmp_path / "agentmem.db")  # died between journal and commit
    with opened(tmp_path) as memory:
        assert memory.list(scope=ANA).items == ()
        memory.flush(10)
    assert key_of_ana(tmp_path) is None


def test_a_forget_that_a_hold_stops_leaves_the_key(tmp_path: Path, memory: MemoryManager) -> None:
    memory.store("I sing.", scope=ANA)
    memory.hold(scope=Scope(user="ana"), reason="case 4711")
    with pytest.raises(UnderHold):
        memory.forget(scope=Scope(user="ana"), everything=True)
    memory.log.resume()
    assert key_of_ana(tmp_path) is not None
    assert [found.content for found in memory.list(scope=ANA)] == ["I sing."]


class InterruptedLog(SealedLog):
    """Something else happens between getting the key and writing."""

    meanwhile: Callable[[], object] = staticmethod(lambda: None)

    def _made_seal(self, scope: Scope) -> Any:
        seal = super()._made_seal(scope)
        self.meanwhile()
        return seal


def test_what_is_stored_while_another_process_forgets_is_readable_or_refused(tmp_path: Path) -> None:
    other = sealed(tmp_path)
    log = InterruptedLog(f"sqlite:///{tmp_path}/agentmem.db", keys=tmp_path / "keys")
    append_one(log, ANA, draft("old"))

    def forget_once() -> None:
        log.meanwhile = lambda: None
        other.erase_everything(Scope(user="ana"))

    log.meanwhile = forget_once
    append_one(log, ANA, draft("acknowledged"))
    assert contents(log.read(LogQuery(ANA))) == contents(other.read(LogQuery(ANA))) == ["acknowledged"]
    log.meanwhile = lambda: other.erase_everything(Scope(user="ana"))
    with pytest.raises(StoreBusy, match="nothing was written"):
        append_one(log, ANA, draft("refused"))
    assert log.counts()["versions"] == 0
    assert finding(log, "keys").ok
    other.close()
    log.close()


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_writers_and_forgets_at_once_leave_nothing_unreadable(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = f"sqlite:///{tmp_path}/agentmem.db" if database == "sqlite" else request.getfixturevalue("postgres_url")
    logs = [SealedLog(url, keys=tmp_path / "keys") for _ in range(4)]
    errors: list[BaseException] = []

    def store(log: SealedLog, agent: int) -> None:
        for number in range(12):
            try:
                append_one(log, Scope(user="ana", agent=f"{agent}-{number}"), draft(f"{number}"))
            except StoreBusy:
                pass
            except AgentMemError as error:
                errors.append(error)

    def forget(log: SealedLog) -> None:
        for _ in range(12):
            with suppress(StoreBusy):
                log.erase_everything(Scope(user="ana"))

    threads = [threading.Thread(target=store, args=(log, number)) for number, log in enumerate(logs[1:])]
    threads.append(threading.Thread(target=forget, args=(logs[0],)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    logs[0].resume()
    append_one(logs[0], ANA, draft("the last"))
    assert finding(logs[0], "keys").ok, finding(logs[0], "keys").detail
    for log in logs:
        log.close()


def test_a_deep_look_counts_what_no_key_opens(tmp_path: Path) -> None:
    live, backup = tmp_path / "live", tmp_path / "backup"
    live.mkdir()
    log = SealedLog(f"sqlite:///{live}/agentmem.db", keys=tmp_path / "keys")
    for number in range(5):
        append_one(log, ANA, draft(f"old {number}", vector=blob(1)))
    log.close()
    shutil.copytree(live, backup)
    log = SealedLog(f"sqlite:///{live}/agentmem.db", keys=tmp_path / "keys")
    log.erase_everything(Scope(user="ana"))
    log.close()
    log = SealedLog(f"sqlite:///{backup}/agentmem.db", keys=tmp_path / "keys")
    for number in range(3):
        append_one(log, ANA, draft(f"new {number}"))
    assert "5 versions" in finding(log, "keys").detail
    # What cannot be opened takes no place on a page.
    first = log.read(LogQuery(ANA, limit=2))
    assert contents(first) == ["new 0", "new 1"]
    (head,) = log.heads(ANA)
    assert contents(log.read(LogQuery(ANA, limit=2, after=(head.partition, first[-1].position)))) == ["new 2"]
    assert [memory.content for _, memory in log.without_vector(head, 1, after=0, limit=2)] == ["new 0", "new 1"]
    log.close()


def test_a_verified_forget_says_that_nothing_is_left(memory: MemoryManager) -> None:
    one = memory.store(f"I play the {SECRET} on my own.", scope=ANA)
    assert memory.forget(one.id, scope=ANA, verify=True).verified
    memory.store(f"I play the {SECRET} with others.", scope=ANA)
    receipt = memory.forget(scope=Scope(user="ana"), everything=True, verify=True)
    assert (receipt.status, receipt.verified) == ("done", True)


def test_what_a_receipt_names_as_similar_can_be_forgotten_as_it_stands_there(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        one = memory.store(f"I play the {SECRET} on my own.", scope=ANA)
        (alike,) = memory.store_drafts([draft(f"Ana: I play the {SECRET} on my own.", id="hash-of-words")], scope=ANA)
        (found,) = memory.forget(one.id, scope=ANA, verify=True).similar
        assert memory.get(found, scope=ANA) == memory.get("hash-of-words", scope=ANA) == alike
        memory.forget(found, scope=ANA)
        assert memory.list(scope=ANA).items == ()
    assert b"hash-of-words" not in files_of(tmp_path)


def test_words_in_the_name_of_a_session_are_found_by_verifying(memory: MemoryManager) -> None:
    words = "the long name of a session"
    one = memory.store(Turn(words, session=words), scope=ANA)
    memory.store(Turn("Something else.", session=words), scope=ANA)
    assert memory.forget(one.id, scope=ANA, verify=True).verified is False


# --- backups ----------------------------------------------------------------------------------------------------------


def test_a_backup_of_a_sealed_log_comes_back_without_what_was_forgotten(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        gone = memory.store(f"I play the {SECRET}.", scope=ANA)
        memory.store("I sing.", scope=ANA)
        memory.store("Ben dances.", scope=BEN)
        memory.backup(tmp_path / "backup.db")
        memory.forget(gone.id, scope=ANA)
        memory.forget(scope=Scope(user="ben"), everything=True)
    with pytest.raises(ConfigError, match="keys="):
        restore_backup(tmp_path / "backup.db", tmp_path / "agentmem.db")
    assert restore_backup(tmp_path / "backup.db", tmp_path / "agentmem.db", keys=tmp_path / "keys") == 2
    with opened(tmp_path) as memory:
        assert [found.content for found in memory.list(scope=ANA)] == ["I sing."]
        assert memory.list(scope=BEN).items == ()
    assert SECRET.encode() not in files_of(tmp_path)


def test_a_restored_backup_leaves_the_key_of_who_came_back_since(tmp_path: Path) -> None:
    with opened(tmp_path) as memory:
        memory.store("I sing.", scope=ANA)
        memory.backup(tmp_path / "first.db")
        memory.forget(scope=Scope(user="ana"), everything=True)
        memory.store("I dance.", scope=ANA)
        memory.backup(tmp_path / "second.db")
    key = key_of_ana(tmp_path)
    for backup in ("first.db", "second.db"):
        restore_backup(tmp_path / backup, tmp_path / "agentmem.db", keys=tmp_path / "keys")
    assert key_of_ana(tmp_path) == key
    with opened(tmp_path) as memory:
        assert [found.content for found in memory.list(scope=ANA)] == ["I dance."]


def test_the_command_line_restores_a_sealed_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("agentmem.yaml").write_text(
        "version: 1\nlog: {type: sealed, url: 'sqlite:///agentmem.db', keys: keys, journal_file: forgotten}\n"
    )

    def run(*words: str) -> str:
        result = CliRunner().invoke(app, list(words), env={"AGENTMEM_USER": "ana"})
        assert result.exit_code == 0, result.output
        return result.stdout

    run("store", f"I play the {SECRET}.")
    run("backup", "backup.db")
    run("forget", "--everything", "--yes")
    run("restore-backup", "backup.db", "--yes")
    assert SECRET.encode() not in files_of(tmp_path)
    assert "turn" not in run("stats")
