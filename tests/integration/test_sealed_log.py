"""A sealed log keeps every promise of a log, keeps no word in the clear, and forgets in its backups too."""

from __future__ import annotations

import base64
import shutil
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agentmem import Document, MemoryManager, Scope, Turn
from agentmem.errors import ConfigError
from agentmem.interfaces import EpisodicLog
from agentmem.log.keyring import KeyRing
from agentmem.log.sealed import SealedLog
from agentmem.records import Affect, Fact
from agentmem.testing import EpisodicLogTests

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


def files_of(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file())


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryManager]:
    with MemoryManager(sealed(tmp_path), extractor=None) as memory:
        yield memory


def test_no_word_lies_in_the_clear(tmp_path: Path, memory: MemoryManager) -> None:
    memory.store(
        Turn(
            f"I play the {SECRET}.",
            speaker="Anastasia",
            metadata={"instrument": "sousaphone"},
            affect=Affect(0.5, 0.5, "exhilarated"),
            origin="bassoon.json",
        ),
        scope=ANA,
    )
    memory.store(Document("# Clavichord\n\nTuned weekly.", name="harpsichord.md"), scope=ANA)
    memory.store(Turn("She lives in Timbuktu.", kind="fact", fact=Fact("Anastasia", "home", "Timbuktu")), scope=ANA)
    memory.flush(10)
    stored = files_of(tmp_path)
    assert b"coach" in stored  # the control: ids are in the clear, so the files were looked into
    for word in (SECRET, "Anastasia", "sousaphone", "exhilarated", "bassoon", "Clavichord", "harpsichord", "Timbuktu"):
        assert word.encode() not in stored, word


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
    assert other.destroy(subject)
    assert one.of(subject) is None
    assert one.made(subject) != first
    assert not other.destroy(("default", "user", "nobody"))


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
    assert len(made) == 8 and len(set(made)) == 1  # type: ignore[type-var]


def test_a_master_key_wraps_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTMEM_MASTER_KEY", base64.b64encode(b"m" * 32).decode())
    with MemoryManager(sealed(tmp_path), extractor=None) as memory:
        memory.store("I sing.", scope=ANA)
    with MemoryManager(sealed(tmp_path), extractor=None) as memory:
        assert [found.content for found in memory.list(scope=ANA)] == ["I sing."]
    monkeypatch.setenv("AGENTMEM_MASTER_KEY", base64.b64encode(b"n" * 32).decode())
    with MemoryManager(sealed(tmp_path), extractor=None) as memory, pytest.raises(ConfigError, match="master key"):
        memory.list(scope=ANA)
    monkeypatch.setenv("AGENTMEM_MASTER_KEY", "short")
    with pytest.raises(ConfigError, match="32 bytes in base64"):
        sealed(tmp_path)


def test_a_sealed_log_takes_no_vector_store_that_keeps_them_in_the_clear(tmp_path: Path) -> None:
    pytest.importorskip("chromadb")
    with pytest.raises(ConfigError, match="sealed"):
        MemoryManager(sealed(tmp_path), vectors={"type": "chroma", "path": str(tmp_path / "chroma")})
