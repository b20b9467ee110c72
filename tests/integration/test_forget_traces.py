"""After forget, no file of the folder holds the words, their term hashes or the vector; and a control that can find."""

from __future__ import annotations

import sqlite3
import struct
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest
from children import embedder
from workers import obey

from agentmem import Document, MemoryManager, MemoryNotFound, Receipt, Scope, Turn
from agentmem.retrieval.lexical import query_terms

ANA = Scope(user="ana", agent="coach", session="monday")
BEN = Scope(user="ben", agent="coach", session="monday")
COACH = Scope(agent="coach")

WORDS = ("xylotheca", "quincunxes", "zwitterionic")
SENTINEL = f"The {WORDS[0]} keeps {WORDS[1]} beside the {WORDS[2]} drawer."


@dataclass(frozen=True)
class Evidence:
    """Byte strings that only the forgotten memory left: name to bytes."""

    needles: dict[str, bytes]

    def in_files(self, folder: Path) -> set[str]:
        """Names of the needles that some file of the folder holds, with the file."""
        files = [file for file in sorted(folder.rglob("*")) if file.is_file()]
        assert files, "there is something to search"
        contents = {file: file.read_bytes().lower() for file in files}
        return {
            f"{name} in {file.name}"
            for name, needle in self.needles.items()
            for file, content in contents.items()
            if needle.lower() in content
        }

    def names_found(self, folder: Path) -> set[str]:
        return {found.split(" in ")[0] for found in self.in_files(folder)}


def evidence_of(folder: Path, *ids: str) -> Evidence:
    """What the database holds of these memories, every version; and the words themselves."""
    needles = {"text": SENTINEL.encode(), "session": b"secretsession", "metadata": b"secretmetadata"}
    needles |= {f"word {word}": word.encode() for word in WORDS}
    needles |= {
        f"term {word}": struct.pack("<I", term) for word in WORDS for term in query_terms(word) if term > 0xFFFFFF
    }
    with closing(sqlite3.connect(f"file:{folder}/agentmem.db?mode=ro", uri=True)) as connection:
        for id in ids:
            needles[f"id {id}"] = id.encode()
            rows = connection.execute("SELECT version, terms, vector FROM agentmem_version WHERE id = ?", [id])
            for version, terms, vector in rows.fetchall():
                needles[f"bag {id} {version}"] = terms
                assert len(vector) > 100, "the default embedder gives everything a vector"
                needles[f"vector {id} {version}"] = vector
    return Evidence(needles)


@pytest.fixture
def memory(folder: Path) -> Iterator[MemoryManager]:
    with MemoryManager.open(folder, embedder=embedder()) as memory:
        for number in range(20):
            memory.store(f"Ordinary words, number {number}.", scope=ANA)
        memory.store("Ben says something else.", scope=BEN)
        yield memory


def store_sentinel(memory: MemoryManager, scope: Scope = ANA) -> str:
    turn = Turn(
        SENTINEL, speaker="Xylotheca", session="secretsession", metadata={"secretmetadata": 1}, idempotency_key=SENTINEL
    )
    return memory.store(turn, scope=scope).id


FORGETS: dict[str, Callable[[MemoryManager, str], Receipt]] = {
    "by id": lambda memory, id: memory.forget(id, scope=ANA, verify=True),
    "by ids": lambda memory, id: memory.forget([id], scope=ANA, verify=True),
    "by session": lambda memory, id: memory.forget(scope=ANA, where={"session": "secretsession"}, verify=True),
    "by metadata": lambda memory, id: memory.forget(scope=ANA, where={"metadata.secretmetadata": 1}, verify=True),
    "by the user": lambda memory, id: memory.forget(id, scope=Scope(user="ana"), verify=True),
    "everything of the user": lambda memory, id: memory.forget(scope=Scope(user="ana"), everything=True, verify=True),
}


@pytest.mark.parametrize("how", FORGETS)
def test_what_is_forgotten_leaves_no_trace_in_any_file(memory: MemoryManager, folder: Path, how: str) -> None:
    id = store_sentinel(memory)
    assert memory.retrieve(WORDS[0], scope=ANA)[0].id == id
    evidence = evidence_of(folder, id)
    assert evidence.names_found(folder) == set(evidence.needles), "the control: before, the search finds every needle"

    receipt = FORGETS[how](memory, id)

    assert (receipt.status, receipt.verified, receipt.remaining) == ("done", True, ())
    assert evidence.in_files(folder) == set()
    assert all(WORDS[0] not in hit.content for hit in memory.retrieve(WORDS[0], scope=ANA, k=100))
    assert memory.retrieve("Ben", scope=BEN).hits, "others keep theirs"
    memory.close()
    assert evidence.in_files(folder) == set()


def test_an_agents_layer_is_forgotten_without_trace(memory: MemoryManager, folder: Path) -> None:
    id = store_sentinel(memory, COACH)
    evidence = evidence_of(folder, id)
    receipt = memory.forget(scope=COACH, everything=True, verify=True)
    assert (receipt.status, receipt.memories, receipt.verified) == ("done", 1, True)
    assert evidence.in_files(folder) == set()
    assert len(memory.list(scope=ANA)) == 20, "the users' rows of that agent are not the agent's"


@pytest.mark.parametrize("reopened", [False, True])
def test_former_versions_are_forgotten_too(memory: MemoryManager, folder: Path, reopened: bool) -> None:
    id = store_sentinel(memory)
    if reopened:
        # Now the first version stands in the database, and the later ones in the write-ahead log.
        memory.close()
        memory = MemoryManager.open(folder, embedder=embedder())
    memory.update(id, scope=ANA, content=f"First {SENTINEL}")
    memory.update(id, scope=ANA, content="Harmless now.")
    memory.forget(memory.store(SENTINEL, scope=ANA).id, scope=ANA, mode="retire")
    evidence = evidence_of(folder, id)
    assert {f"bag {id} 1", f"bag {id} 2", f"bag {id} 3"} <= evidence.names_found(folder)
    memory.forget(scope=Scope(user="ana"), everything=True)
    assert evidence.in_files(folder) == set()
    memory.close()


def test_a_retired_memory_can_still_be_forgotten(memory: MemoryManager, folder: Path) -> None:
    id = store_sentinel(memory)
    evidence = evidence_of(folder, id)
    memory.forget(id, scope=ANA, mode="retire")
    assert "text" in evidence.names_found(folder), "retiring keeps the record"
    assert memory.forget(id, scope=ANA, verify=True).verified
    assert evidence.in_files(folder) == set()


def test_a_summary_goes_with_what_it_was_made_from(memory: MemoryManager, folder: Path) -> None:
    for number in range(4):
        memory.store(Turn(f"Number {number} was said on that day.", session="secretsession"), scope=ANA)
    id = store_sentinel(memory)
    [summary] = memory.compress(scope=Scope(user="ana", agent="coach", session="secretsession"))
    assert WORDS[0] in summary.content and id in summary.derived_from, "the summary quotes it"
    evidence = evidence_of(folder, id, summary.id)
    receipt = memory.forget(id, scope=ANA, verify=True)
    assert (receipt.status, receipt.memories) == ("done", 2)
    assert {name for name in evidence.names_found(folder) if name not in {"session"}} == set()
    with pytest.raises(MemoryNotFound):
        memory.get(summary.id, scope=ANA)


def test_what_was_made_from_it_elsewhere_of_the_same_user_goes_too(memory: MemoryManager, folder: Path) -> None:
    id = store_sentinel(memory)
    of_the_user = memory.store(Turn(f"Quoting: {SENTINEL}", derived_from=(id,)), scope=Scope(user="ana"))
    of_another_agent = memory.store(
        Turn(f"Quoting again: {SENTINEL}", derived_from=(of_the_user.id,)), scope=Scope(user="ana", agent="cook")
    )
    evidence = evidence_of(folder, id, of_the_user.id, of_another_agent.id)
    assert memory.forget(id, scope=ANA, verify=True).memories == 3
    assert evidence.in_files(folder) == set()


def test_a_document_is_forgotten_by_its_name(memory: MemoryManager, folder: Path) -> None:
    text = f"# secretsession\n\n{SENTINEL}\n\n## More\n\nThis is about secretmetadata."
    chunks = memory.store_many([Document(text, "notes.md")], scope=ANA)
    evidence = evidence_of(folder, *(chunk.id for chunk in chunks))
    receipt = memory.forget(scope=ANA, where={"source": "notes.md"})
    assert (receipt.status, receipt.memories) == ("done", len(chunks))
    assert evidence.in_files(folder) == set()


def test_a_replaced_document_is_forgotten_with_its_former_chunks(memory: MemoryManager, folder: Path) -> None:
    text = f"# Top\n\n{SENTINEL}\n\nThis is about secretmetadata and secretsession."
    chunks = memory.store_many([Document(text, "notes.md")], scope=ANA)
    evidence = evidence_of(folder, *(chunk.id for chunk in chunks))
    memory.store(Document("# Top\n\nAll is new here.", "notes.md"), scope=ANA)
    memory.forget(scope=Scope(user="ana"), everything=True)
    assert evidence.in_files(folder) == set()


def test_a_long_memory_over_many_pages_leaves_none_of_them(memory: MemoryManager, folder: Path) -> None:
    id = memory.store("\n".join(f"{number} {SENTINEL}" for number in range(5_000)), scope=ANA).id
    evidence = Evidence({"word": WORDS[0].encode()})
    assert evidence.in_files(folder)
    assert memory.forget(id, scope=ANA).status == "done"
    assert evidence.in_files(folder) == set()


# --- while others look ----------------------------------------------------------------------------


def test_while_a_reader_holds_the_log_the_receipt_is_pending_and_flush_finishes(
    memory: MemoryManager, folder: Path
) -> None:
    id = store_sentinel(memory)
    evidence = evidence_of(folder, id)
    with closing(sqlite3.connect(folder / "agentmem.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM agentmem_version").fetchone()
        receipt = memory.forget(id, scope=ANA, verify=True)
        assert (receipt.status, receipt.done_at, receipt.verified) == ("pending", None, None)
        assert receipt.checks[0] == "read back: nothing is there", "the files were not searched yet"
        assert "write-ahead log" in receipt.remaining[0]
        assert evidence.in_files(folder), "the control: what is pending is really there"
        assert all(hit.id != id for hit in memory.retrieve(WORDS[0], scope=ANA)), "but no answer shows it"
        memory.store("Writers go on meanwhile.", scope=ANA)
        reader.execute("COMMIT")
    memory.flush()
    assert evidence.in_files(folder) == set()


def test_what_stayed_pending_is_gone_when_the_memory_is_closed(memory: MemoryManager, folder: Path) -> None:
    id = store_sentinel(memory)
    evidence = evidence_of(folder, id)
    with closing(sqlite3.connect(folder / "agentmem.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM agentmem_version").fetchone()
        assert memory.forget(id, scope=ANA).status == "pending"
    memory.close()
    assert evidence.in_files(folder) == set()


def test_another_process_does_not_answer_with_what_was_forgotten_here(
    memory: MemoryManager, folder: Path, processes: ForkServerContext
) -> None:
    here, there = processes.Pipe()
    worker = processes.Process(target=obey, args=(folder, there), daemon=True)
    worker.start()

    def elsewhere(verb: str, *arguments: Any, **options: Any) -> Any:
        here.send((verb, arguments, options))
        assert here.poll(30)
        return here.recv()

    id = store_sentinel(memory)
    assert elsewhere("retrieve", WORDS[0], scope=ANA)[0].id == id
    evidence = evidence_of(folder, id)
    assert memory.forget(id, scope=ANA, verify=True).status == "done", "a process that only has it open holds nothing"
    answer = elsewhere("retrieve", f"{WORDS[0]} {WORDS[1]}", scope=ANA, k=100)
    assert all(WORDS[0] not in hit.content for hit in answer)
    assert all(memory.id != id for hit in answer for memory in hit.neighbours)
    assert all(each.id != id for each in elsewhere("list", scope=ANA))
    assert evidence.in_files(folder) == set()
    here.send(None)
    worker.join(30)


# --- receipts and return --------------------------------------------------------------------------


def test_a_receipt_counts_and_holds_no_content(memory: MemoryManager, folder: Path) -> None:
    id = store_sentinel(memory)
    memory.update(id, scope=ANA, content=f"More {SENTINEL}")
    rehearsal = memory.forget(id, scope=ANA, dry_run=True)
    assert (rehearsal.status, rehearsal.memories, rehearsal.done_at) == ("dry_run", 1, None)
    receipt = memory.forget(id, scope=ANA, reason="asked by letter")
    assert (receipt.memories, receipt.rows["version"], receipt.reason) == (1, 2, "asked by letter")
    assert receipt.verified is None, "nobody asked to look"
    assert receipt.done_at is not None and receipt.done_at >= receipt.requested_at
    said = str(receipt.to_dict()).lower()
    for needle in (*WORDS, id, "ana", "secretsession", "secretmetadata"):
        assert needle not in said


def test_an_import_does_not_bring_back_what_was_forgotten_but_saying_it_again_does(
    memory: MemoryManager, folder: Path, tmp_path: Path
) -> None:
    id = store_sentinel(memory)
    before = len(memory.list(scope=ANA, limit=1_000))
    memory.export_to(tmp_path / "all.jsonl", scope=ANA)
    memory.forget(id, scope=ANA)
    report = memory.import_from(tmp_path / "all.jsonl", scope=ANA, trust="declared")
    assert (report.stored, report.tombstoned) == (0, 1)
    assert len(memory.list(scope=ANA, limit=1_000)) == before - 1
    again = memory.store(SENTINEL, scope=ANA, idempotency_key=SENTINEL)
    assert again.id != id
    assert memory.retrieve(WORDS[0], scope=ANA)[0].id == again.id


def test_an_import_does_not_bring_back_a_user_who_was_forgotten(
    memory: MemoryManager, folder: Path, tmp_path: Path
) -> None:
    id = store_sentinel(memory)
    evidence = evidence_of(folder, id)
    memory.export_to(tmp_path / "all.jsonl", scope=Scope(user="ana"))
    memory.forget(scope=Scope(user="ana"), everything=True)
    for scope in (ANA, Scope(user="ana"), Scope(user="ana", agent="another")):
        report = memory.import_from(tmp_path / "all.jsonl", scope=scope, trust="declared")
        assert (report.stored, report.tombstoned) == (0, 21), scope
    assert evidence.in_files(folder) == set()


def test_an_import_does_not_bring_back_what_was_made_from_what_was_forgotten(
    memory: MemoryManager, folder: Path, tmp_path: Path
) -> None:
    id = store_sentinel(memory)
    memory.store(Turn(f"Quoting: {SENTINEL}", derived_from=(id,)), scope=BEN)
    memory.export_to(tmp_path / "ben.jsonl", scope=BEN)
    memory.forget(id, scope=ANA)
    report = memory.import_from(tmp_path / "ben.jsonl", scope=ANA, trust="declared")
    assert (report.stored, report.tombstoned) == (1, 1), "the quotation stays out, the rest comes in"
    with pytest.raises(MemoryNotFound):
        memory.store(Turn(f"Quoting: {SENTINEL}", derived_from=(id,)), scope=ANA)


@pytest.mark.parametrize("selector", [{}, {"where": {"session": "x"}, "everything": True}])
def test_forget_takes_exactly_one_selector(memory: MemoryManager, selector: dict[str, Any]) -> None:
    from agentmem import InvalidInput

    before = memory.list(scope=ANA)
    with pytest.raises(InvalidInput, match="exactly one"):
        memory.forget(scope=ANA, **selector)
    with pytest.raises(InvalidInput, match="exactly one"):
        memory.forget(None, scope=ANA, **selector)
    with pytest.raises(InvalidInput):
        memory.forget([], scope=ANA)
    with pytest.raises(InvalidInput):
        memory.forget(scope=ANA, where={})
    assert memory.list(scope=ANA) == before
