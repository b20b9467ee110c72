"""forget(verify=True) looks into the files, says what it saw and what it could not see; Chroma's files included."""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem import InvalidInput, MemoryManager, Receipt, Scope
from agentmem.lifecycle.residue import Finder
from agentmem.log.sql import SQLLog
from agentmem.testing import WordHashEmbedder

ANA = Scope(user="ana", agent="coach")
SECRET = "The xylotheca keeps quincunxes beside the zwitterionic drawer."


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryManager]:
    with MemoryManager.open(tmp_path, embedder=WordHashEmbedder(), extractor=None) as memory:
        yield memory


def said(receipt: Receipt, words: str) -> bool:
    return any(words in check for check in receipt.checks)


def test_files_are_searched_and_the_receipt_says_so(memory: MemoryManager) -> None:
    old = memory.store(SECRET, scope=ANA)
    receipt = memory.forget(old.id, scope=ANA, verify=True)
    assert (receipt.status, receipt.verified) == ("done", True)
    assert said(receipt, "nothing is there")
    assert said(receipt, "what was planted")
    assert said(receipt, "1 texts and 1 vectors") and said(receipt, "none found")
    assert memory.log.receipts(ANA) == [receipt], "what was seen is kept"


class Leaking(SQLLog):
    """A log one of whose files keeps what was said."""

    leak: Path

    def files(self) -> Sequence[Path]:
        return [*super().files(), self.leak]


@pytest.mark.parametrize("what", ["text", "former version", "float16", "float32"])
def test_what_a_file_still_holds_is_found(tmp_path: Path, what: str) -> None:
    embedder = WordHashEmbedder()
    log = Leaking(f"sqlite:///{tmp_path}/agentmem.db")
    log.leak = tmp_path / "leak.bin"
    with MemoryManager(log, embedder=embedder, extractor=None) as memory:
        old = memory.store(SECRET, scope=ANA)
        if what == "former version":
            memory.update(old.id, scope=ANA, content="All is harmless in this one.")
        vector = next(iter(_vectors(memory)))
        leaked = {"float16": vector, "float32": np.frombuffer(vector, np.float16).astype(np.float32).tobytes()}
        log.leak.write_bytes(b"....." + leaked.get(what, SECRET.encode()) + b".....")
        receipt = memory.forget(old.id, scope=ANA, verify=True)
        assert (receipt.status, receipt.verified) == ("pending", False)
        assert said(receipt, "found in leak.bin")
        assert "leak.bin" in receipt.remaining[0] and "flush()" in receipt.remaining[0]
        memory.flush()
        [ended] = memory.receipts(scope=ANA)
        assert (ended.status, ended.verified, ended.remaining) == ("done", False, ()), "nobody can look for it again"
        assert said(ended, "found in leak.bin")
        assert memory.log.unfinished_receipts() == []
    log.close()


def test_of_a_file_in_a_format_nobody_knows_the_answer_is_cannot_tell(tmp_path: Path) -> None:
    log = Leaking(f"sqlite:///{tmp_path}/agentmem.db")
    log.leak = tmp_path / "sealed"
    log.leak.write_bytes(bytes(range(256)) * 8)
    with MemoryManager(log, embedder=None) as memory:
        receipt = memory.forget(memory.store(SECRET, scope=ANA).id, scope=ANA, verify=True)
        assert (receipt.status, receipt.verified) == ("done", None)
        assert said(receipt, "cannot tell what sealed holds")
        assert not said(receipt, "sealed: none found")
    log.close()


def test_a_log_without_files_cannot_tell(postgres_url: str) -> None:
    for url in ("sqlite://", postgres_url):
        log = SQLLog(url)
        with MemoryManager(log, embedder=None) as memory:
            receipt = memory.forget(memory.store(SECRET, scope=ANA).id, scope=ANA, verify=True)
            assert said(receipt, "cannot tell") or said(receipt, "not searched")
            assert receipt.verified is None
            assert not said(receipt, "none found")
        log.close()


def test_files_that_a_reader_keeps_from_being_emptied_are_not_called_searched(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, embedder=None, extractor=None) as memory:
        old = memory.store(SECRET, scope=ANA)
        memory.flush()
        with closing(sqlite3.connect(tmp_path / "agentmem.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM agentmem_version").fetchall()
            receipt = memory.forget(old.id, scope=ANA, verify=True)
            assert (receipt.status, receipt.verified) == ("pending", None)
        memory.flush()
        [receipt] = memory.receipts(scope=ANA)
        assert (receipt.status, receipt.verified) == ("done", None)
        assert said(receipt, "nothing is there") and said(receipt, "not searched")


@pytest.mark.parametrize("where", ["reason", "requested_by"])
@pytest.mark.parametrize("verify", [False, True])
def test_a_receipt_does_not_quote_what_it_speaks_of(memory: MemoryManager, where: str, verify: bool) -> None:
    kept = memory.store(SECRET, scope=ANA)
    long = memory.store(f"It began so: {SECRET} And it went on like this for a good while.", scope=ANA)
    said: dict[str, Any] = {where: f"Please remove '{SECRET.upper()}'", "verify": verify}
    for selector in ({"where": {"kind": "turn"}}, {"everything": True}):
        scope = Scope(user="ana") if "everything" in selector else ANA
        with pytest.raises(InvalidInput, match=where):
            memory.forget(scope=scope, **selector, **said)
    with pytest.raises(InvalidInput, match="nothing was forgotten"):
        memory.forget(long.id, scope=ANA, reason=f"the one with {long.content[:48]}…")
    assert list(memory.list(scope=ANA)) == [kept, long] and memory.receipts(scope=ANA) == []
    receipt = memory.forget(kept.id, scope=ANA, reason="She asked for it by letter on Monday.", verify=True)
    assert (receipt.status, receipt.verified) == ("done", True)


def test_the_persons_own_copies_are_named(memory: MemoryManager) -> None:
    old = memory.store(SECRET, scope=ANA)
    noted = memory.store("Something else.", scope=ANA, metadata={"notes": [{"said": f'she said "{SECRET}"'}]})
    quoted = memory.store(f"{'Much more was said that day. ' * 40}{SECRET}", scope=ANA)
    former = memory.store(f"Once more: {SECRET}", scope=ANA)
    memory.update(former.id, scope=ANA, content="All is harmless in this one.")
    retired = memory.store(f"And again: {SECRET}", scope=ANA)
    memory.forget(retired.id, scope=ANA, mode="retire")
    memory.store(SECRET, scope=Scope(user="ben", agent="coach"))
    receipt = memory.forget(old.id, scope=ANA, verify=True)
    assert set(receipt.similar) == {noted.id, quoted.id, former.id, retired.id}


def test_what_somebody_else_said_too_is_no_residue(memory: MemoryManager) -> None:
    old = memory.store(SECRET, scope=ANA)
    memory.store(f"I heard this: {SECRET}", scope=Scope(user="ben"))
    receipt = memory.forget(old.id, scope=ANA, verify=True)
    assert (receipt.status, receipt.verified) == ("done", True)
    assert said(receipt, "in other memories too")


def test_memories_that_say_nearly_the_same_are_named_and_others_are_not(memory: MemoryManager) -> None:
    old = memory.store("My sister Vera moved to Porto with her two dogs.", scope=ANA)
    near = memory.store("Vera, my sister, moved to Porto last May. She has dogs.", scope=ANA)
    memory.store("I had soup for lunch.", scope=ANA)
    memory.store("My sister Vera moved to Porto with her two dogs!", scope=Scope(user="ben", agent="coach"))
    receipt = memory.forget(old.id, scope=ANA, verify=True)
    assert receipt.similar == (near.id,)
    assert memory.forget(near.id, scope=ANA).similar == ()


def test_what_is_not_searched_for_is_said(memory: MemoryManager) -> None:
    receipt = memory.forget(memory.store("Short.", scope=ANA).id, scope=ANA, verify=True)
    assert said(receipt, "1 texts are too short")


# --- Chroma ---------------------------------------------------------------------------------------


def _vectors(memory: MemoryManager) -> Iterator[bytes]:
    from agentmem.interfaces import IndexQuery

    for head in memory.log.heads(ANA):
        yield from (row.vector for row in memory.log.index_rows(IndexQuery(ANA, head.partition)).rows if row.vector)


@pytest.mark.parametrize("everything", [False, True])
@pytest.mark.parametrize("count", [60, 1_100])
def test_chromas_files_keep_no_vector_of_what_was_forgotten(tmp_path: Path, everything: bool, count: int) -> None:
    chroma = {"type": "chroma", "path": str(tmp_path / "chroma")}
    with MemoryManager.open(tmp_path, vectors=chroma, embedder=WordHashEmbedder(), extractor=None) as memory:
        texts = [f"ordinary words {number} and {number * 7}" for number in range(count)]
        old = memory.store_many([SECRET, *texts], scope=ANA)[0]
        memory.store_many(texts[:50], scope=Scope(user="ben"))
        memory.flush()
        vector = np.frombuffer(next(_vectors(memory)), np.float16).astype(np.float32)
        finder = Finder([], [vector, vector / np.linalg.norm(vector)])
        files = [file for file in (tmp_path / "chroma").rglob("*") if file.is_file()]
        assert any(finder.count(file) for file in files), "the control: before, it is found"

        scope = Scope(user="ana") if everything else ANA
        receipt = memory.forget(None if everything else old.id, scope=scope, everything=everything)
        assert receipt.status == "pending" and "flush()" in receipt.remaining[0]
        memory.flush()

        [receipt] = memory.log.receipts(ANA)
        assert receipt.status == "done"
        files = [file for file in tmp_path.rglob("*") if file.is_file()]
        assert [file.name for file in files if finder.count(file)] == []
        assert memory.retrieve(texts[30], scope=Scope(user="ben"))[0].content == texts[30]
        if not everything:
            assert memory.retrieve(texts[30], scope=ANA)[0].content == texts[30]
            assert memory.verify(deep=True).ok


def test_a_verified_forget_on_chroma_is_done_at_once(tmp_path: Path) -> None:
    chroma = {"type": "chroma", "path": str(tmp_path / "chroma")}
    with MemoryManager.open(tmp_path, vectors=chroma, embedder=WordHashEmbedder(), extractor=None) as memory:
        old = memory.store_many([SECRET, *itertools.repeat("other words entirely", 20)], scope=ANA)[0]
        memory.flush()
        receipt = memory.forget(old.id, scope=ANA, verify=True)
        assert (receipt.status, receipt.verified) == ("done", True)
        assert said(receipt, "none found")
