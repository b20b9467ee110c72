from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem import Affect, Document, Fact, MemoryManager, Scope, Turn
from agentmem.errors import InvalidInput, StoreFull
from agentmem.portability import ImportReport
from agentmem.records import Memory
from agentmem.testing.fakes import WordHashEmbedder

ANA = Scope(user="ana", agent="coach")


def opened(place: Path | str, extractor: str | None = None) -> MemoryManager:
    return MemoryManager.open(place, embedder=WordHashEmbedder(), extractor=extractor)


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[MemoryManager]:
    with opened(tmp_path / "memory") as manager:
        yield manager


@pytest.fixture
def other(tmp_path: Path) -> Iterator[MemoryManager]:
    with opened(tmp_path / "other") as manager:
        yield manager


def write_lines(path: Path, *values: Any) -> Path:
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")
    return path


def contents(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    return [each.content for each in memory.list(scope=scope)]


def counts(report: ImportReport) -> tuple[int, int, int]:
    return report.stored, report.unchanged, len(report.problems)


# --- turns and chats ------------------------------------------------------------------------------


def test_turns_are_taken_with_their_times_and_found(memory: MemoryManager, tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "turns.jsonl",
        {"content": "I moved to Lisbon.", "occurred_at": "2026-05-03T09:00:00Z", "session": "monday"},
        {"content": "Nice.", "role": "assistant", "session": "monday"},
    )
    assert counts(memory.import_from(file, scope=ANA, trust="declared")) == (2, 0, 0)
    (hit, *_) = memory.retrieve("Lisbon", scope=ANA)
    assert hit.memory.occurred_at == datetime(2026, 5, 3, 9, tzinfo=UTC)
    assert (hit.memory.scope.session, hit.memory.integrity) == ("monday", "user")


def test_importing_twice_stores_nothing_twice(memory: MemoryManager, tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "turns.jsonl", *({"content": f"turn {n}"} for n in range(1_203)), {"content": "turn 1"}
    )
    assert counts(memory.import_from(file, scope=ANA, trust="user")) == (1_204, 0, 0)
    assert counts(memory.import_from(file, scope=ANA, trust="user")) == (0, 1_204, 0)
    assert memory.stats().memories["turn"] == 1_204


def test_the_same_file_may_be_taken_for_two_users(memory: MemoryManager, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "turns.jsonl", {"content": "hello"})
    for scope in (ANA, Scope(user="ben", agent="coach"), Scope(user="ana")):
        assert counts(memory.import_from(file, scope=scope, trust="user")) == (1, 0, 0)


def test_what_was_changed_or_forgotten_here_stays_so_when_it_is_imported_again(
    memory: MemoryManager, tmp_path: Path
) -> None:
    file = write_lines(tmp_path / "turns.jsonl", *({"content": f"turn {n}"} for n in range(3)))
    memory.import_from(file, scope=ANA, trust="user")
    first, second, _ = memory.list(scope=ANA)
    memory.update(first.id, scope=ANA, content="corrected")
    memory.forget(second.id, scope=ANA)
    report = memory.import_from(file, scope=ANA, trust="user")
    assert (*counts(report), report.tombstoned) == (0, 2, 0, 1)
    assert contents(memory) == ["corrected", "turn 2"]


def test_records_that_cannot_be_taken_are_listed_and_the_others_stored(memory: MemoryManager, tmp_path: Path) -> None:
    file = tmp_path / "turns.jsonl"
    file.write_bytes(
        b'{"content": "good"}\n{"content": "lone \\ud800"}\n{"content": "nul \\u0000"}\nnonsense\n'
        b'{"content": "taken", "idempotency_key": "k"}\n{"content": "other words", "idempotency_key": "k"}\n'
        b'{"content": "x", "importance": 7}\n{"content": "also good"}\n'
    )
    report = memory.import_from(file, scope=ANA, trust="user")
    assert contents(memory) == ["good", "taken", "also good"]
    assert [problem.place for problem in report.problems] == [f"turns.jsonl:{line}" for line in (4, 2, 3, 7)]
    assert "lone surrogate" in str(report.problems[1])
    # The same key again is the same memory to an import, whatever it says now.
    assert counts(report) == (3, 1, 4)


def test_a_key_that_the_store_knows_with_other_words_is_a_problem(memory: MemoryManager, tmp_path: Path) -> None:
    memory.store("mine", scope=ANA, idempotency_key="k")
    memory.store("same", scope=ANA, idempotency_key="s")
    file = write_lines(
        tmp_path / "turns.jsonl",
        {"content": "before"},
        {"content": "theirs", "idempotency_key": "k"},
        {"content": "same", "idempotency_key": "s"},
        {"content": "after"},
    )
    report = memory.import_from(file, scope=ANA, trust="user")
    assert counts(report) == (2, 1, 1)
    assert report.problems[0].place == "turns.jsonl:2"
    assert contents(memory) == ["mine", "same", "before", "after"]


def test_trust_says_whose_words_they_are_but_lifts_no_stranger(memory: MemoryManager, tmp_path: Path) -> None:
    file = write_lines(
        tmp_path / "chat.jsonl",
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "tool", "content": "c"},
        {"content": "d", "integrity": "web"},
    )
    memory.import_from(file, scope=ANA, trust="declared")
    assert [each.integrity for each in memory.list(scope=ANA)] == ["user", "assistant", "tool", "web"]
    ben = Scope(user="ben")
    memory.import_from(file, scope=ben, trust="operator")
    assert [each.integrity for each in memory.list(scope=ben)] == ["operator", "operator", "tool", "web"]
    eve = Scope(user="eve")
    memory.import_from(file, scope=eve, trust="undeclared")
    assert {each.trusted for each in memory.list(scope=eve)} == {False}


def test_an_unknown_trust_is_refused_before_anything_is_read(memory: MemoryManager, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'operator'"):
        memory.import_from(tmp_path, scope=ANA, trust="operater")


def test_a_chatgpt_export_is_read_from_its_zip(memory: MemoryManager, tmp_path: Path) -> None:
    def said(id: str, parent: str | None, role: str, words: str) -> dict[str, Any]:
        message = {
            "id": f"m{id}",
            "author": {"role": role},
            "create_time": 1_780_000_000 + int(id),
            "content": {"content_type": "text", "parts": [words]},
        }
        return {"id": id, "parent": parent, "children": [], "message": message}

    nodes = [said("1", None, "user", "Which glaze for the bowls?"), said("2", "1", "assistant", "Tenmoku.")]
    export = [{"id": "c1", "title": "Bowls", "current_node": "2", "mapping": {node["id"]: node for node in nodes}}]
    with zipfile.ZipFile(tmp_path / "export.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("user.json", "{}")
        archive.writestr("conversations.json", json.dumps(export))
    for expected in ((2, 0, 0), (0, 2, 0)):
        assert counts(memory.import_from(tmp_path / "export.zip", scope=ANA, trust="declared")) == expected
    assert [(each.role, each.scope.session) for each in memory.list(scope=ANA)] == [("user", "c1"), ("assistant", "c1")]


@pytest.mark.parametrize("content", [b"no zip", b"PK\x03\x04broken"])
def test_a_broken_zip_is_refused(content: bytes, memory: MemoryManager, tmp_path: Path) -> None:
    (tmp_path / "export.zip").write_bytes(content)
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        memory.import_from(tmp_path / "export.zip", scope=ANA, trust="user")


def test_a_zip_that_is_damaged_inside_is_refused(memory: MemoryManager, tmp_path: Path) -> None:
    file = tmp_path / "export.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", json.dumps([{"messages": [{"content": f"n {n}"}]} for n in range(999)]))
    raw = bytearray(file.read_bytes())
    raw[100:300] = bytes(range(200))
    file.write_bytes(raw)
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        memory.import_from(file, scope=ANA, trust="user")


def test_a_zip_that_unpacks_to_far_more_than_it_is_is_refused(memory: MemoryManager, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("conversations.json", "[" + " " * 20_000_000 + "]")
    with pytest.raises(InvalidInput, match="which no export does"):
        memory.import_from(tmp_path / "bomb.zip", scope=ANA, trust="user")


# --- documents ------------------------------------------------------------------------------------


def test_a_folder_becomes_documents_named_by_their_path(
    memory: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("notes")
    (folder / "deep").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / "kiln.md").write_text("# Kiln\n\nCool slowly.\n")
    (folder / "deep" / "glaze.txt").write_text("Tenmoku needs iron.\n")
    (folder / ".git" / "config").write_text("hidden")
    (folder / "photo.png").write_bytes(b"\x89PNG\x00\x00")
    (folder / "latin.txt").write_bytes("für Ton".encode("latin-1"))
    (folder / "wide.txt").write_bytes("Ton".encode("utf-16"))
    (folder / "link.md").symlink_to(folder / "kiln.md")
    report = memory.import_from(folder, scope=ANA, trust="operator")
    assert {each.source.name for each in memory.list(scope=ANA) if each.source} == {
        "notes/kiln.md",
        "notes/deep/glaze.txt",
    }
    assert report.skipped == {"binary file": 1}
    assert [str(problem) for problem in report.problems] == [
        "notes/latin.txt: not UTF-8 at byte 1 (0xfc). Say its encoding, such as latin-1.",
        "notes/wide.txt: begins like UTF-16. Say that its encoding is utf-16.",
    ]


@pytest.mark.parametrize("given", ["p1/README.md", "./p1//README.md", "p1", "p1/"])
def test_files_of_one_name_in_two_places_are_two_documents(
    given: str, memory: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p1", "p2"):
        Path(name).mkdir()
        Path(name, "README.md").write_text(f"This is {name}.")
        report = memory.import_from(given.replace("p1", name), scope=ANA, trust="operator")
        assert (report.stored, report.replaced) == (1, 0)
    named = {each.source.name: each.content for each in memory.list(scope=ANA) if each.source}
    assert named == {"p1/README.md": "This is p1.", "p2/README.md": "This is p2."}


def test_a_file_that_is_gone_from_a_folder_keeps_its_memories_until_they_are_forgotten(
    memory: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("notes").mkdir()
    for name in ("a.md", "b.md"):
        Path("notes", name).write_text(f"Words of {name}.")
    memory.import_from("notes", scope=ANA, trust="operator")
    Path("notes", "b.md").unlink()
    assert counts(memory.import_from("notes", scope=ANA, trust="operator")) == (0, 1, 0)
    assert contents(memory) == ["Words of a.md.", "Words of b.md."]
    memory.forget(scope=ANA, where={"source": "notes/b.md"})
    assert contents(memory) == ["Words of a.md."]


def test_a_changed_file_replaces_what_changed_and_an_unchanged_one_nothing(
    memory: MemoryManager, tmp_path: Path
) -> None:
    file = tmp_path / "kiln.md"
    file.write_text("# Kiln\n\nCool slowly.\n")
    assert counts(memory.import_from(file, scope=ANA, trust="operator")) == (1, 0, 0)
    assert counts(memory.import_from(file, scope=ANA, trust="operator")) == (0, 1, 0)
    file.write_text("# Kiln\n\nCool very slowly.\n")
    report = memory.import_from(file, scope=ANA, trust="operator")
    assert (*counts(report), report.replaced) == (0, 0, 0, 1)
    assert contents(memory) == ["# Kiln\n\nCool very slowly."]


def test_other_encodings_are_read_when_they_are_named(memory: MemoryManager, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("für Ton".encode("latin-1"))
    memory.import_from(tmp_path / "latin.txt", scope=ANA, trust="web", encoding="latin-1")
    (only,) = memory.list(scope=ANA)
    assert (only.content.strip(), only.integrity) == ("für Ton", "web")


@pytest.mark.parametrize("encoding", ["latin-99", "rot13"])
def test_an_encoding_that_is_none_is_named(memory: MemoryManager, tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InvalidInput, match=encoding):
        memory.import_from(tmp_path / "a.txt", scope=ANA, trust="user", encoding=encoding)


def test_a_missing_file_is_named(memory: MemoryManager, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"There is no .*nowhere.jsonl"):
        memory.import_from(tmp_path / "nowhere.jsonl", scope=ANA, trust="user")


def test_progress_counts_bytes_up_to_all_of_them(memory: MemoryManager, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "turns.jsonl", *({"content": f"turn {n}"} for n in range(1_100)))
    told: list[tuple[int, int]] = []
    memory.import_from(file, scope=ANA, trust="user", progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (file.stat().st_size, file.stat().st_size)
    assert told == sorted(told)
    assert len(told) >= 3


# --- our own export -------------------------------------------------------------------------------


def kept(memory: Memory) -> tuple[Any, ...]:
    """What an export promises to keep: all but the log's own times and numbering."""
    scope = memory.scope
    given = memory.to_dict()
    for own in ("position", "recorded_from", "recorded_to", "scope"):
        del given[own]
    return json.dumps(given, sort_keys=True), scope.user, scope.agent, scope.session


def shelf(memory: MemoryManager, scope: Scope) -> set[tuple[Any, ...]]:
    found = memory.list(scope=scope, limit=10_000)
    return {kept(version) for each in found for version in memory.history(each.id, scope=scope)}


def test_an_export_brings_back_ids_versions_times_and_sources(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    stored = memory.store(
        Turn(
            "I live in Porto.",
            speaker="Ana",
            session="monday",
            occurred_at=datetime(2026, 5, 3, tzinfo=UTC),
            metadata={"tags": ["home"], "n": 1},
            importance=0.25,
            idempotency_key="k",
            expires_at=datetime(2099, 1, 1, tzinfo=UTC),
        ),
        scope=ANA,
    )
    memory.update(stored.id, scope=ANA, content="I live in Lisbon.")
    memory.update(stored.id, scope=ANA, metadata={"tags": []}, importance=None)
    memory.store("from a page", scope=ANA, integrity="web")
    (tmp_path / "kiln.md").write_text("# Kiln\n\nCool slowly.\n")
    memory.import_from(tmp_path / "kiln.md", scope=ANA, trust="operator")
    assert memory.export_to(tmp_path / "out.jsonl", scope=ANA) == 3
    report = other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert counts(report) == (3, 0, 0)
    assert shelf(other, ANA) == shelf(memory, ANA)
    assert counts(other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")) == (0, 3, 0)
    assert shelf(other, ANA) == shelf(memory, ANA)
    assert other.retrieve("Where does Ana live, Lisbon?", scope=ANA)[0].id == stored.id


def test_an_export_brings_back_versions_whatever_was_changed_and_by_what_rule(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    far = datetime(2099, 1, 1, tzinfo=UTC)
    stored = memory.store("I live in Porto.", scope=ANA)
    # The rules judge these words otherwise than those before.
    memory.update(stored.id, scope=ANA, content="I live in Porto, and I hate it so terribly!", reason="said more")
    memory.update(stored.id, scope=ANA, affect=Affect(0.5, 0.5, "calm"))
    memory.update(stored.id, scope=ANA, content="I live in Porto now.", expires_at=far)
    memory.update(stored.id, scope=ANA, valid_from=datetime(2019, 1, 1, tzinfo=UTC), valid_to=far)
    judged = [(each.affect, each.importance) for each in memory.history(stored.id, scope=ANA)]
    assert len(set(judged)) >= 3
    memory.export_to(tmp_path / "out.jsonl", scope=ANA)
    report = other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert (*counts(report), report.skipped) == (1, 0, 0, {})
    assert shelf(other, ANA) == shelf(memory, ANA)


def test_a_restored_turn_keeps_its_versions_on_a_journey(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    stored = memory.store("one", scope=ANA)
    memory.update(stored.id, scope=ANA, content="two")
    memory.restore(stored.id, scope=ANA, version=1)
    memory.export_to(tmp_path / "out.jsonl", scope=ANA)
    other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert [each.content for each in other.history(stored.id, scope=ANA)] == ["one", "two", "one"]


def test_versions_that_no_update_leads_to_are_not_passed_over_in_silence(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    for words in ("# Kiln\n\nCool slowly.\n", "An introduction.\n\n# Kiln\n\nCool slowly.\n"):
        memory.store(Document(words, name="kiln.md"), scope=ANA)
    memory.export_to(tmp_path / "out.jsonl", scope=ANA)
    report = other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert report.skipped == {"earlier versions": 1}
    assert sorted(contents(other)) == sorted(contents(memory))


def test_a_fact_comes_as_it_last_was_and_is_known_from_its_import_on(tmp_path: Path) -> None:
    with opened(tmp_path / "memory") as memory, opened(tmp_path / "other") as other:
        for year, city in ((2020, "Porto"), (2022, "Berlin")):
            turn = Turn.of_fact(Fact("user", "home", city), occurred_at=datetime(year, 1, 1, tzinfo=UTC))
            memory.store(turn, scope=ANA)
            assert memory.flush(10)
        [porto] = memory.list(scope=ANA, kinds={"fact"}, as_of=datetime(2021, 1, 1, tzinfo=UTC))
        between = memory.history(porto.id, scope=ANA)[0].recorded_from
        memory.export_to(tmp_path / "out.jsonl", scope=ANA)
        report = other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
        assert (*counts(report), report.skipped) == (2, 0, 0, {})
        assert other.flush(10)
        assert kept(other.get(porto.id, scope=ANA)) == kept(memory.get(porto.id, scope=ANA))
        assert len(memory.list(scope=ANA, kinds={"fact"}, known_at=between)) == 1
        assert len(other.list(scope=ANA, kinds={"fact"}, known_at=between)) == 0


@pytest.mark.parametrize(
    "forged",
    [
        {"fact": {"value": "\ud800"}},
        {"fact": {"value": "a\0b"}},
        {"fact": {"subject": ""}},
        {"fact": {"topic": "\ud800"}},
        {"fact": {"polarity": "maybe"}},
        {"kind": "turn"},
        {"origin": "\ud800"},
        {"written_by": "\0"},
        {"reason": "\ud800"},
    ],
    ids=str,
)
def test_a_fact_that_somebody_forged_is_a_problem_of_its_line(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path, forged: dict[str, Any]
) -> None:
    for city in ("Porto", "Berlin", "Rome"):
        memory.store(Turn.of_fact(Fact("user", "likes", city)), scope=ANA)
    file = tmp_path / "out.jsonl"
    memory.export_to(file, scope=ANA)
    manifest, one, two, three = (json.loads(line) for line in file.read_text().splitlines())
    spoilt = {**two, **forged, "fact": {**two["fact"], **forged.get("fact", {})}}
    body = "".join(json.dumps(each) + "\n" for each in (one, spoilt, three))
    write_lines(file, {**manifest, "sha256": hashlib.sha256(body.encode()).hexdigest()})
    with file.open("a") as end:
        end.write(body)
    report = other.import_from(file, scope=ANA, trust="declared")
    assert counts(report) == (2, 0, 1)
    assert report.problems[0].place == "out.jsonl:3"
    assert other.flush(10)


def test_an_export_brings_back_facts_as_they_stand_and_reading_its_turns_adds_none(tmp_path: Path) -> None:
    file, copied = tmp_path / "out.jsonl", tmp_path / "copy.jsonl"
    with opened(tmp_path / "memory", "rules") as memory, opened(tmp_path / "other", "rules") as other:
        for day, words in enumerate(("I live in Lisbon.", "I like figs.", "I live in Porto.", "I like figs.")):
            memory.store(words, scope=ANA, occurred_at=datetime(2026, 5, 3 + day, tzinfo=UTC))
        assert memory.flush(10)
        [lisbon] = memory.list(scope=ANA, kinds={"fact"}, as_of=datetime(2026, 5, 3, tzinfo=UTC))
        assert memory.get(lisbon.id, scope=ANA).valid_to is not None, "Porto closed it"
        written = memory.export_to(file, scope=ANA)
        assert written == 8
        assert counts(other.import_from(file, scope=ANA, trust="declared")) == (written, 0, 0)
        assert other.flush(10)
        assert other.stats().memories == memory.stats().memories == {"turn": 4, "fact": 4}
        assert shelf(other, ANA) == shelf(memory, ANA)
        closed = other.get(lisbon.id, scope=ANA)
        assert kept(closed) == kept(memory.get(lisbon.id, scope=ANA))
        assert other.export_to(copied, scope=ANA) == written
        assert counts(memory.import_from(copied, scope=ANA, trust="declared")) == (0, written, 0)


def test_the_manifest_counts_and_a_changed_byte_is_noticed(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    file = tmp_path / "out.jsonl"
    for n in range(3):
        memory.store(f"turn {n}", scope=ANA)
    memory.export_to(file, scope=ANA)
    manifest = json.loads(file.read_text().splitlines()[0])
    assert (manifest["format"], manifest["version"], manifest["memories"], manifest["lines"]) == (
        "agentmem-export",
        1,
        3,
        3,
    )
    whole = file.read_bytes()
    for damaged in (whole[:-5], whole.replace(b"turn 1", b"turn 7"), whole + b"{}\n"):
        file.write_bytes(damaged)
        with pytest.raises(InvalidInput, match="not what its manifest says"):
            other.import_from(file, scope=ANA, trust="declared")
    assert contents(other) == []


@pytest.mark.parametrize(
    "forged",
    [
        {"content": "\ud800"},
        {"content": "a\0b"},
        {"content": " "},
        {"content": "x" * (2 << 20)},
        {"occurred_at": "2024-01-01T00:00:00"},
        {"valid_to": "2024-01-01T00:00:00"},
        {"id": "\ud800"},
        {"id": ""},
        {"speaker": "\ud800"},
        {"importance": 7},
        {"metadata": {"a": "\ud800"}},
        {"metadata": {"a": 10**30}},
        {"idempotency_key": "\0"},
        {"derived_from": ["\ud800"]},
        {"kind": "document", "source": {"name": "\ud800", "headings": [], "place": 0, "start": 0, "end": 1}},
    ],
    ids=str,
)
def test_an_export_that_somebody_forged_is_checked_as_a_callers_words_are(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path, forged: dict[str, Any]
) -> None:
    memory.store_many(["one", "two", "three"], scope=ANA)
    file = tmp_path / "out.jsonl"
    memory.export_to(file, scope=ANA)
    manifest, one, two, three = (json.loads(line) for line in file.read_text().splitlines())
    body = "".join(json.dumps(each) + "\n" for each in (one, {**two, **forged}, three))
    write_lines(file, {**manifest, "sha256": hashlib.sha256(body.encode()).hexdigest()})
    with file.open("a") as end:
        end.write(body)
    report = other.import_from(file, scope=ANA, trust="user")
    assert counts(report) == (2, 0, 1)
    assert report.problems[0].place == "out.jsonl:3"
    assert contents(other) == ["one", "three"]


def test_a_later_version_that_somebody_forged_is_a_problem_too(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    memory.update(memory.store("one", scope=ANA).id, scope=ANA, content="two")
    file = tmp_path / "out.jsonl"
    memory.export_to(file, scope=ANA)
    manifest, one, two = (json.loads(line) for line in file.read_text().splitlines())
    body = "".join(json.dumps(each) + "\n" for each in (one, {**two, "content": "\ud800"}))
    write_lines(file, {**manifest, "sha256": hashlib.sha256(body.encode()).hexdigest()})
    with file.open("a") as end:
        end.write(body)
    report = other.import_from(file, scope=ANA, trust="user")
    assert "version 2" in report.problems[0].reason
    assert contents(other) == ["one"]


def test_an_export_of_a_newer_format_is_refused(other: MemoryManager, tmp_path: Path) -> None:
    file = write_lines(tmp_path / "out.jsonl", {"format": "agentmem-export", "version": 2, "sha256": ""})
    with pytest.raises(InvalidInput, match="this agentmem reads 1"):
        other.import_from(file, scope=ANA, trust="declared")


def test_an_export_holds_what_its_scope_may_change_and_nothing_else(memory: MemoryManager, tmp_path: Path) -> None:
    for scope in (ANA, Scope(user="ana"), Scope(agent="coach"), Scope(user="ben", agent="coach")):
        memory.store(f"of {scope.user} and {scope.agent}", scope=scope)
    for scope, expected in (
        (ANA, ["of ana and coach"]),
        (Scope(user="ana"), ["of ana and None", "of ana and coach"]),
        (Scope(agent="coach"), ["of None and coach"]),
    ):
        memory.export_to(tmp_path / "out.jsonl", scope=scope)
        lines = (tmp_path / "out.jsonl").read_text().splitlines()[1:]
        assert sorted(json.loads(line)["content"] for line in lines) == expected


def test_an_export_of_a_user_comes_back_under_every_agent_also_for_another_user(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path
) -> None:
    memory.store("with coach", scope=ANA)
    memory.store("with nobody", scope=Scope(user="ana"))
    memory.export_to(tmp_path / "out.jsonl", scope=Scope(user="ana"))
    other.import_from(tmp_path / "out.jsonl", scope=Scope(user="bea"), trust="declared")
    found = {each.content: each.scope.agent for each in other.list(scope=Scope(user="bea"))}
    assert found == {"with coach": "coach", "with nobody": None}


def test_what_was_forgotten_stays_out_and_is_counted(memory: MemoryManager, tmp_path: Path) -> None:
    kept_, gone = memory.store("kept", scope=ANA), memory.store("gone", scope=ANA)
    memory.export_to(tmp_path / "out.jsonl", scope=ANA)
    memory.forget(gone.id, scope=ANA)
    report = memory.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert (*counts(report), report.tombstoned) == (0, 1, 0, 1)
    assert [each.id for each in memory.list(scope=ANA)] == [kept_.id]


def test_an_import_that_was_broken_off_is_finished_by_the_next(
    memory: MemoryManager, other: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        stored = memory.store(f"turn {n}, first", scope=ANA)
        memory.update(stored.id, scope=ANA, content=f"turn {n}, second")
    memory.export_to(tmp_path / "out.jsonl", scope=ANA)
    real, calls = other.update, []

    def full(id: str, /, **changes: Any) -> Memory:
        calls.append(id)
        if len(calls) == 2:
            raise StoreFull("The disk is full.")
        return real(id, **changes)

    monkeypatch.setattr(other, "update", full)
    with pytest.raises(StoreFull):
        other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert shelf(other, ANA) != shelf(memory, ANA)
    other.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
    assert shelf(other, ANA) == shelf(memory, ANA)


def test_an_export_that_fails_leaves_what_was_there(
    memory: MemoryManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "out.jsonl"
    memory.store("one", scope=ANA)
    memory.export_to(file, scope=ANA)
    before = file.read_bytes()
    assert file.stat().st_mode & 0o077 == 0

    def broken(_: Any) -> None:
        raise StoreFull("The disk is full.")

    monkeypatch.setattr(memory.log, "read", broken)
    with pytest.raises(StoreFull):
        memory.export_to(file, scope=ANA)
    assert file.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=30).filter(
    lambda text: bool(text.strip())
)
times = st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC))
written_turns = st.builds(
    Turn,
    texts,
    role=st.sampled_from(["user", "assistant", "system", "tool"]),
    speaker=st.none() | texts,
    occurred_at=times,
    session=st.none() | texts,
    kind=st.sampled_from(["turn", "rule", "lesson", "fact"]),
    metadata=st.none() | st.dictionaries(texts, st.none() | st.booleans() | st.integers(-5, 5) | texts, max_size=2),
    importance=st.none() | st.floats(0, 1),
    integrity=st.none() | st.sampled_from(["operator", "user", "web", "undeclared"]),
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(written_turns, st.lists(texts, max_size=2)), min_size=1, max_size=5))
def test_what_is_exported_and_imported_is_equal(tmp_path: Path, written: list[tuple[Turn, list[str]]]) -> None:
    far = datetime(2200, 1, 1, tzinfo=UTC)
    with opened("sqlite://") as one, opened("sqlite://") as two:
        for number, (turn, changes) in enumerate(written):
            later = replace(turn, expires_at=far + timedelta(days=number) if number % 2 else None)
            stored = one.store(later, scope=ANA)
            for words in changes:
                one.update(stored.id, scope=ANA, content=words)
        assert one.export_to(tmp_path / "out.jsonl", scope=ANA) == len(written)
        report = two.import_from(tmp_path / "out.jsonl", scope=ANA, trust="declared")
        assert counts(report) == (len(written), 0, 0)
        assert shelf(two, ANA) == shelf(one, ANA)
