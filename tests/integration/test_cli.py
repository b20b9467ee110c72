from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from openai_server import Answer, serving
from typer.testing import CliRunner, Result

import agentmem
from agentmem import errors
from agentmem.cli.commands import app
from agentmem.cli.options import exit_code_of

Run = Callable[..., Result]
ROOT = Path(agentmem.__file__).parent.parent


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, as Ana."""
    monkeypatch.chdir(tmp_path)
    for name in ("AGENTMEM_CONFIG", "AGENTMEM_AGENT", "AGENTMEM_SESSION", "AGENTMEM_TENANT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AGENTMEM_USER", "ana")
    monkeypatch.setenv("COLUMNS", "200")
    runner = CliRunner()
    return lambda *words, **settings: runner.invoke(app, list(words), **settings)


def answer(result: Result) -> Any:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def store(run: Run, words: str, *options: str) -> str:
    return str(answer(run("store", words, "--json", *options))["id"])


def test_a_memory_goes_its_way_from_store_to_forget(run: Run) -> None:
    id = store(run, "The fair is in Lisbon in May.", "--at", "2026-05-03T09:00:00Z", "--metadata", '{"topic": "fair"}')
    found = answer(run("search", "When is the fair in Lisbon?", "--json", "--explain"))
    assert [hit["memory"]["id"] for hit in found["hits"]] == [id]
    assert found["hits"][0]["signals"]
    assert answer(run("show", id, "--json"))["metadata"] == {"topic": "fair"}
    assert answer(run("update", id, "The fair is in Porto in May.", "--json"))["version"] == 2
    versions = answer(run("history", id, "--json"))
    assert [version["content"] for version in versions] == [
        "The fair is in Lisbon in May.",
        "The fair is in Porto in May.",
    ]
    assert [item["id"] for item in answer(run("list", "--json"))["items"]] == [id]
    receipt = answer(run("forget", id, "--verify", "--json"))
    assert (receipt["memories"], receipt["status"], receipt["verified"]) == (1, "done", True)
    assert run("list", "--json").exit_code == 1
    assert run("search", "Porto").exit_code == 1


def test_a_backup_comes_back_by_the_journal_and_the_key_that_the_configuration_names(run: Run, tmp_path: Path) -> None:
    for folder in ("data", "safe"):
        (tmp_path / folder).mkdir()
    (tmp_path / "agentmem.yaml").write_text(
        "version: 1\nembedder: null\nlog:\n  type: sql\n  url: sqlite:///data/log.db\n"
        "  journal_file: safe/log.journal\n  tombstone_key_file: safe/log.key\n"
    )
    kept, gone = store(run, "The fair is in Lisbon in May."), store(run, "My diagnosis is between us.")
    answer(run("backup", "monday.db", "--json"))
    answer(run("forget", gone, "--yes", "--json"))
    assert answer(run("restore-backup", "monday.db", "--yes", "--json"))["forgotten"] >= 1
    assert [item["id"] for item in answer(run("list", "--kind", "turn", "--json"))["items"]] == [kept]
    assert not [file for file in (tmp_path / "data").iterdir() if file.suffix in (".journal", ".key")]


def test_a_fact_that_changed_goes_its_way_through_the_commands(run: Run) -> None:
    lisbon = store(run, "I live in Lisbon.", "--at", "2026-05-03T09:00:00Z")
    [fact] = answer(run("list", "--kind", "fact", "--json"))["items"]
    assert (fact["content"], fact["derived_from"]) == ("The user lives in Lisbon.", [lisbon])
    assert [source["id"] for source in answer(run("why", fact["id"][-8:], "--json"))] == [lisbon]
    porto = store(run, "I live in Porto.", "--at", "2026-08-03T09:00:00Z")
    facts = ["list", "--kind", "fact", "--json"]
    assert [item["content"] for item in answer(run(*facts))["items"]] == ["The user lives in Porto."]
    assert [item["id"] for item in answer(run(*facts, "--as-of", "2026-06-01T00:00:00Z"))["items"]] == [fact["id"]]
    assert answer(run("show", fact["id"][-8:], "--json"))["valid_to"] == "2026-08-03T09:00:00+00:00"
    assert answer(run("diff", "2026-01-01T00:00:00Z", "--json"))["ended"] == []
    assert "The user lives in Porto." in run("diff", "2026-01-01T00:00:00Z").stdout
    assert answer(run("show", fact["id"], "--as-of", "2026-06-01T00:00:00Z", "--json"))["version"] == 2
    assert run("show", fact["id"], "--as-of", "2026-09-01T00:00:00Z").exit_code == 1, "it was true no more"
    assert run("show", fact["id"], "--known-at", "2026-01-01T00:00:00Z").exit_code == 1, "nobody had said it"
    told = run("history", fact["id"]).stdout
    assert ("supersession" in told, "true from 2026-05-03 09:00 until 2026-08-03 09:00" in told) == (True, True)
    assert answer(run("forget", porto, "--mode", "retire", "--json"))["memories"] == 2
    assert [item["id"] for item in answer(run(*facts))["items"]] == [fact["id"]], "it holds again"
    assert answer(run("restore", porto[-8:], "--reason", "a slip", "--json"))["reason"] == "a slip"
    assert [item["content"] for item in answer(run(*facts))["items"]] == ["The user lives in Porto."]
    assert answer(run("hold", "case 4711", "--json"))["reason"] == "case 4711"
    held = run("forget", porto)
    assert (held.exit_code, "`agentmem release` ends it" in held.stderr) == (5, True)
    answer(run("hold", "tax audit", "--json"))
    assert [each["reason"] for each in answer(run("holds", "--json"))] == ["case 4711", "tax audit"]
    assert "tax audit" in run("holds").stdout
    unnamed = run("release")
    assert (unnamed.exit_code, "'case 4711', 'tax audit'" in unnamed.stderr) == (2, True)
    assert answer(run("release", "--reason", "tax audit", "--json"))["released"]
    assert answer(run("release", "--json"))["released"]
    assert (run("release").exit_code, run("holds").exit_code) == (1, 1)
    receipt = answer(run("forget", porto, "--by", "ana", "--reason", "asked", "--verify", "--json"))
    assert (receipt["memories"], receipt["verified"]) == (2, True)
    assert [each["id"] for each in answer(run("receipts", "--json"))][-1] == receipt["id"]
    assert "asked" in run("receipts").stdout


def test_every_answer_for_people_names_what_it_is_about(run: Run) -> None:
    id = run("store", "The fair is in Lisbon in May.").stdout.strip()
    for words in (
        ["search", "Lisbon", "--explain"],
        ["list"],
        ["show", id],
        ["history", id],
        ["search", "Lisbon", "--prompt"],
    ):
        result = run(*words)
        assert result.exit_code == 0, result.output
        assert "The fair is in Lisbon in May." in result.stdout
    assert id in run("update", id, "--importance", "0.5").stdout
    assert "memories, turn" in run("stats").stdout
    assert "All is well." in run("doctor").stdout
    assert "ChromaVectors" in run("plugins").stdout
    assert "1 memory" in run("forget", id, "--dry-run").stdout
    assert id not in run("forget", id).stdout


def test_when_something_is_true_can_be_corrected_and_left_open_again(run: Run) -> None:
    id = store(run, "The fair is in Lisbon.", "--at", "2026-05-03T09:00:00Z")
    times = (
        "--valid-from",
        "2026-05-01T00:00:00+02:00",
        "--valid-to",
        "2026-05-20T00:00:00Z",
        "--reason",
        "the poster",
    )
    assert answer(run("update", id, *times, "--json"))["valid_from"] == "2026-04-30T22:00:00+00:00"
    told = run("history", id).stdout
    assert ("true from 2026-04-30 22:00 until 2026-05-20 00:00" in told, "(the poster)" in told) == (True, True)
    assert run("history", id).stdout.count("true from") == 1, "it says when it is true where that is new"
    assert answer(run("update", id, "--valid-to", "none", "--json"))["valid_to"] is None
    assert "true from 2026-04-30 22:00 on" in run("history", id).stdout


def test_how_it_went_with_a_memory_can_be_said(run: Run) -> None:
    ids = [store(run, words) for words in ("The kiln cools at night.", "The glaze is mixed in the morning.")]
    [one, other] = answer(run("feedback", *ids, "--outcome", "-1", "--json"))
    assert (one["id"], other["id"]) == (ids[0], ids[1])
    assert one["outcome"] == other["outcome"] < 0
    assert run("feedback", ids[0], "--outcome", "2").exit_code == 2
    assert run("feedback", ids[0]).exit_code == 2


def test_words_may_come_from_standard_input(run: Run) -> None:
    id = answer(run("store", "-", "--json", input="from a pipe\n"))["id"]
    assert answer(run("show", id, "--json"))["content"] == "from a pipe\n"


def test_control_characters_never_reach_the_terminal(run: Run) -> None:
    words = "red \x1b[31m alert \x07 \u202egnp.exe \x9b2J end"
    id = store(run, words)
    for options in (["list"], ["show", id], ["search", "alert", "--explain"], ["list", "--json"], ["history", id]):
        said = run(*options).stdout
        assert not set(said) & set("\x1b\x07\u202e\x9b"), options
    assert answer(run("show", id, "--json"))["content"] == words
    assert "\\u001b[31m" in run("show", id).stdout


def test_text_that_looks_like_markup_is_shown_as_it_is(run: Run) -> None:
    store(run, "[bold]not bold[/bold] [/nothing] :smile:")
    assert "[bold]not bold[/bold] [/nothing] :smile:" in run("list").stdout


# --- forgetting everything ------------------------------------------------------------------------


def test_everything_is_not_forgotten_before_somebody_says_yes(run: Run) -> None:
    store(run, "one")
    refused = run("forget", "--everything")
    assert refused.exit_code == 2
    assert "Forget all 1 memories of ana? Nobody is here to answer. Say --yes." in refused.stderr
    assert answer(run("forget", "--everything", "--dry-run", "--json"))["status"] == "dry_run"
    assert len(answer(run("list", "--json"))["items"]) == 1
    assert answer(run("forget", "--everything", "--yes", "--json"))["memories"] == 1


def test_forget_takes_exactly_one_selector(run: Run) -> None:
    id = store(run, "one")
    assert run("forget").exit_code == 2
    assert run("forget", id, "--everything", "--yes").exit_code == 2
    assert answer(run("forget", "--where", '{"role": "user"}', "--json"))["memories"] == 1


def test_a_dry_run_says_what_would_go_and_that_nothing_went(run: Run) -> None:
    ids = [store(run, words) for words in ("The kiln cools at night.", "The glaze is mixed in the morning.")]
    assert run("forget", *ids, "--dry-run").stdout == "would forget 2 memories; nothing was touched\n"
    assert len(answer(run("list", "--json"))["items"]) == 2
    said = run("forget", *ids, "--verify").stdout
    assert "2 memories" in said
    assert "looked for, and not found" in said
    assert "rows of" not in said


def test_class_names_are_whole_on_a_narrow_terminal(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip() for line in run("plugins").stdout.splitlines()]
    assert "agentmem.embedders.sentence_transformers:SentenceTransformersEmbedder" in lines


# --- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["show", "nope"], 1, "error: "),
        (["show", "nope", "--user", "ben"], 1, "error: "),
        (["search", ""], 2, "query is empty"),
        (["search", "x", "--where", "{"], 2, "--where is not JSON"),
        (["search", "x", "--where", "[]"], 2, "must be a JSON object"),
        (["search", "x", "--where", '{"sesion": "a"}'], 2, "Did you mean 'session'"),
        (["search", "x", "--as-of", "yesterday"], 2, "--as-of: 'yesterday' is not a time"),
        (["store", "x", "--at", "2026-05-03"], 2, "Write 2026-05-03T00:00:00Z for UTC"),
        (["store", "  "], 2, "content is empty"),
        (["store", "x", "--kind", "document"], 2, "`agentmem import` takes documents"),
        (["store", "x" * (1 << 20) + "x"], 2, "`agentmem import` it"),
        (["update", "nope"], 2, "Give new words, --metadata, --importance, --valid-from or --valid-to"),
        (["restore", "nope"], 1, "`agentmem list` shows the ids"),
        (["hold", " "], 2, "Such as: case 4711"),
        (["diff", "monday"], 2, "start: 'monday' is not a time"),
        (["forget"], 2, "agentmem forget --user ana --everything"),
        (["forget", "nope", "--everything"], 2, "Exactly one of ids, --where and --everything"),
        (["forget", "--everything", "--agent", "coach"], 2, "Leave --agent out"),
        (["forget", "nope"], 1, "`agentmem list` shows the ids"),
        (["list", "--where", '{"occurred_at": {"$gt": "2026-05-03"}}'], 2, "Write 2026-11-23T09:00:00+00:00"),
        (["store", "x", "--kind", "fcat"], 2, "Did you mean 'fact'"),
        (["list", "--limit", "0"], 2, "limit must be"),
        (["list", "--cursor", "zzz"], 2, "cursor"),
        (["import", "nowhere.jsonl", "--trust", "user"], 2, "There is no nowhere.jsonl"),
        (["export", "no/such/folder/out.jsonl"], 2, "No such file"),
        (["list", "--path", "elsewhere"], 2, "There is no memory in"),
        (["list", "--path", "memory", "--url", "sqlite://"], 2, "exclude one another"),
        (["list", "--config", "nowhere.yaml"], 3, "nowhere.yaml cannot be read"),
        (["list", "--url", "mysql://x"], 3, "error: "),
        (["no-such-command"], 2, ""),
        (["import", "x"], 2, "--trust is missing. It is one of: user the user's own words"),
        (["import", "x", "--trust", "me"], 2, "web pages and mail of strangers; untrusted"),
        (["stats", "--user", "ana"], 2, "No such option: --user"),
    ],
)
def test_what_goes_wrong_is_one_line_and_a_code(words: list[str], code: int, said: str, run: Run) -> None:
    store(run, "something")
    result = run(*words)
    assert result.exit_code == code, result.output
    assert said in " ".join(result.stderr.split())
    assert not any(word in result.stderr for word in ("Traceback", "list()", "forget(", "update(", ".replace(", "UTC)"))
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("search", {"--path", "--config", "--url", "--user", "--agent", "--session", "--tenant"}),
        ("stats", {"--path", "--config", "--url"}),
        ("doctor", {"--path", "--config", "--url"}),
        ("reembed", {"--path", "--config", "--url"}),
        ("upgrade", {"--path", "--config", "--url"}),
        ("demo", {"--path", "--config"}),
        ("bench quality", {"--config"}),
        ("init", set()),
        ("plugins", set()),
        ("schema", set()),
    ],
)
def test_a_command_offers_only_what_it_heeds(command: str, options: set[str], run: Run) -> None:
    shared = {"--path", "--config", "--url", "--user", "--agent", "--session", "--tenant"}
    said = run(*command.split(), "--help").stdout
    assert {word for word in said.split() if word in shared} == options
    assert "bool" not in said


@pytest.mark.parametrize("cited", ["{}", "m:{}", "[m:{}]"])
def test_a_memory_is_known_by_the_end_of_its_id(cited: str, run: Run) -> None:
    id = store(run, "The fair is in Lisbon in May.")
    store(run, "another")
    tail = cited.format(id[-8:])
    assert answer(run("show", tail, "--json"))["id"] == id
    assert answer(run("update", tail, "The fair is in Porto.", "--json"))["id"] == id
    assert [version["id"] for version in answer(run("history", tail, "--json"))] == [id, id]
    assert run("show", tail, "--user", "ben").exit_code == 1
    assert run("show", id[-7:]).exit_code == 1
    assert answer(run("forget", tail, "--json"))["memories"] == 1
    assert run("show", id).exit_code == 1


def test_an_end_that_two_ids_share_is_refused(run: Run, tmp_path: Path) -> None:
    store(run, "one")
    run("export", "out.jsonl")
    manifest, line = (tmp_path / "out.jsonl").read_text().splitlines()
    memory = json.loads(line)
    twins = [{**memory, "id": head + memory["id"][1:], "content": head} for head in "ab"]
    text = "".join(json.dumps(twin) + "\n" for twin in twins)
    digest = hashlib.sha256(text.encode()).hexdigest()
    (tmp_path / "twins.jsonl").write_text(json.dumps({**json.loads(manifest), "sha256": digest}) + "\n" + text)
    there = ["--path", "there"]
    assert answer(run("import", "twins.jsonl", "--trust", "user", *there, "--json"))["stored"] == 2
    refused = run("forget", memory["id"][-8:], *there)
    assert (refused.exit_code, "2 memories end in" in refused.stderr) == (2, True)
    assert len(answer(run("list", *there, "--json"))["items"]) == 2


def test_programs_read_errors_with_their_code(run: Run) -> None:
    store(run, "something")
    said = json.loads(run("show", "nope", "--json").stderr)["error"]
    assert (said["code"], said["retryable"]) == ("not_found", False)


def test_whose_memory_is_asked_when_nobody_said(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AGENTMEM_USER")
    result = run("store", "x")
    assert (result.exit_code, result.stderr) == (
        2,
        "error: Whose memory? Say --user ana or --agent coach, or set AGENTMEM_USER.\n",
    )


def test_every_error_of_our_tree_has_an_exit_code() -> None:
    tree = [
        error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, errors.AgentMemError)
    ]
    codes = {error.__name__: exit_code_of(error("x")) for error in tree}
    assert set(codes.values()) == {1, 2, 3, 4, 5}
    assert {codes[name] for name in ("StoreBusy", "StoreFull", "SchemaTooNew", "CorruptRecord", "BackendError")} == {4}


# --- configuration --------------------------------------------------------------------------------


def test_init_writes_a_file_that_works_and_keeps_one_that_is_there(run: Run, tmp_path: Path) -> None:
    assert answer(run("init", "--json"))["written"] == ["agentmem.yaml", "agentmem.schema.json"]
    assert json.loads((tmp_path / "agentmem.schema.json").read_text()) == json.loads(run("schema").stdout)
    again = run("init")
    assert (again.exit_code, "--force replaces it" in again.stderr) == (2, True)
    assert run("init", "--force").exit_code == 0
    store(run, "kept where the file says")
    assert (tmp_path / "memory" / "agentmem.db").is_file()
    assert len(answer(run("list", "--json"))["items"]) == 1


def test_the_file_says_whose_memory_unless_the_command_line_does(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTMEM_USER")
    (tmp_path / "agentmem.yaml").write_text("scope: {user: yaml, require: [user]}\n")
    assert answer(run("store", "x", "--json"))["scope"]["user"] == "yaml"
    assert answer(run("store", "x", "--user", "cli", "--json"))["scope"]["user"] == "cli"
    (tmp_path / "agentmem.yaml").write_text("scope: {require: [user]}\n")
    assert run("store", "x", "--agent", "coach").exit_code == 5


def test_a_typo_in_the_file_is_shown_with_its_line(run: Run, tmp_path: Path) -> None:
    (tmp_path / "agentmem.yaml").write_text("version: 1\nvector: exact\n")
    result = run("list")
    assert result.exit_code == 3
    assert result.stderr.startswith("error: agentmem.yaml:2: vector: there is no such key. Did you mean 'vectors'?")


# --- in and out -----------------------------------------------------------------------------------


def test_what_is_exported_can_be_imported_elsewhere(run: Run, tmp_path: Path) -> None:
    id = store(run, "The fair is in Lisbon in May.")
    assert answer(run("export", "out.jsonl", "--json"))["memories"] == 1
    there = ["--path", "there", "--json"]
    assert answer(run("import", "out.jsonl", "--trust", "declared", *there))["stored"] == 1
    assert answer(run("import", "out.jsonl", "--trust", "declared", *there))["unchanged"] == 1
    assert answer(run("show", id, *there))["id"] == id


def test_documents_of_one_name_in_two_folders_are_both_kept(run: Run, tmp_path: Path) -> None:
    for folder in ("p1", "p2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "README.md").write_text(f"This is {folder}.")
        run("import", f"{folder}/README.md", "--trust", "user")
    assert len(answer(run("list", "--json"))["items"]) == 2
    (tmp_path / "p2" / "README.md").write_text("This is new.")
    replaced = answer(run("import", "p2", "--trust", "user", "--json"))
    assert (replaced["stored"], replaced["replaced"]) == (0, 1)
    assert "unchanged  1" in run("import", "p2", "--trust", "user").stdout


def test_an_export_may_be_of_a_time(run: Run, tmp_path: Path) -> None:
    store(run, "The fair is in Lisbon.", "--at", "2026-05-03T09:00:00Z")
    store(run, "The fair is in Porto.", "--at", "2026-08-03T09:00:00Z")
    assert answer(run("export", "then.jsonl", "--as-of", "2026-06-01T00:00:00Z", "--json"))["memories"] == 1
    assert "Lisbon" in run("export", "-", "--as-of", "2026-06-01T00:00:00Z").stdout
    assert "Porto" not in run("export", "-", "--as-of", "2026-06-01T00:00:00Z").stdout
    assert answer(run("export", "never.jsonl", "--known-at", "2026-01-01T00:00:00Z", "--json"))["memories"] == 0


def test_an_export_may_go_to_standard_output(run: Run, tmp_path: Path) -> None:
    store(run, "Käse")
    (tmp_path / "out.jsonl").write_bytes(run("export", "-").stdout_bytes)
    assert not (tmp_path / "-").exists()
    assert answer(run("import", "out.jsonl", "--trust", "user", "--path", "there", "--json"))["stored"] == 1


def test_records_that_could_not_be_taken_are_named_and_change_the_exit_code(run: Run, tmp_path: Path) -> None:
    (tmp_path / "turns.jsonl").write_text('{"content": "good"}\nbroken\n')
    result = run("import", "turns.jsonl", "--trust", "user")
    assert result.exit_code == 1
    assert "stored" in result.stdout
    assert "turns.jsonl:2: not JSON" in result.stderr


# --- upkeep ---------------------------------------------------------------------------------------


def test_upkeep_answers_programs(run: Run) -> None:
    store(run, "I moved to Lisbon in May.", "--session", "monday")
    assert answer(run("stats", "--json"))["memories"]["turn"] == 1
    health = answer(run("doctor", "--deep", "--json"))
    assert health["ok"]
    assert {"agentmem", "python", "sqlite"} <= set(health["versions"])
    assert answer(run("doctor", "--fix", "--json"))["ok"]
    assert answer(run("reembed", "--json"))["embedder"] == "static"
    upgraded = answer(run("upgrade", "--json"))
    assert upgraded["from"] == upgraded["to"]
    assert {"role": "vectors", "name": "chroma"}.items() <= next(
        claim for claim in answer(run("plugins", "--json")) if claim["name"] == "chroma"
    ).items()
    summaries = answer(run("compress", "--json"))
    assert [len(summary["derived_from"]) for summary in summaries] == [1]
    [week] = answer(run("compress", "--level", "week", "--json"))
    assert week["derived_from"] == [summaries[0]["id"]]
    assert week["metadata"]["week"] in run("compress", "--level", "week").stdout
    assert run("compress", "--level", "topic").exit_code == 1, "nothing is named three times"
    assert run("compress", "--keep-last", "1").exit_code == 1, "there is one turn"


def test_a_session_is_ended_and_says_what_it_hands_over(run: Run) -> None:
    store(run, "I've decided to tile the kitchen in blue.", "--session", "monday")
    handover = answer(run("end-session", "--session", "monday", "--json"))
    assert handover["metadata"]["level"] == "handover"
    assert "blue" in run("end-session", "--session", "monday").stdout
    nothing = run("end-session", "--session", "tuesday")
    assert nothing.exit_code == 1
    assert "nothing to hand over" in nothing.stdout


# --- as a process ---------------------------------------------------------------------------------


def process(
    *words: str, folder: Path, environment: dict[str, str] | None = None, **settings: Any
) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AGENTMEM_"))}
    own = {**inherited, "PYTHONPATH": str(ROOT), "AGENTMEM_USER": "ana", **(environment or {})}
    command = [sys.executable, "-m", "agentmem", *words]
    return subprocess.run(command, cwd=folder, env=own, capture_output=True, text=True, check=False, **settings)


def test_the_demo_remembers_corrects_and_forgets_across_processes(tmp_path: Path) -> None:
    done = process("demo", "--json", "--path", str(tmp_path / "demo"), folder=tmp_path, timeout=120)
    assert done.returncode == 0, done.stderr
    first, second, third = json.loads(done.stdout)["acts"]
    assert len({act["process"] for act in (first, second, third)}) == 3
    found = " ".join(hit["memory"]["content"] for hit in second["retrieval"]["hits"])
    assert "Kumo" in found
    assert "latex" in found
    assert second["tokens"] > 50
    assert second["answer"] is None
    assert "no model is configured" in second["not_sent_because"]
    assert (second["corrected"]["version"], second["receipt"]["verified"]) == (2, True)
    assert "19th of June" in third["retrieval"]["hits"][0]["memory"]["content"]
    assert (third["versions"], third["forgotten_hits"], third["files_with_forgotten_words"]) == (2, [], [])
    # The demo's own search, repeated from outside.
    files = [path for path in (tmp_path / "demo").rglob("*") if path.is_file()]
    assert not [path for path in files if b"0470 55 01 93" in path.read_bytes()]
    assert [path for path in files if b"Kumo" in path.read_bytes()]


def test_the_demo_asks_the_model_that_the_environment_names(tmp_path: Path) -> None:
    with serving() as server:
        server.will(Answer(text="By the 12th of June, and nitrile gloves."))
        environment = {"OPENAI_BASE_URL": server.url, "OPENAI_MODEL": "local"}
        done = process("demo", folder=tmp_path, timeout=120, environment=environment)
    assert done.returncode == 0, done.stderr
    assert "assistant  By the 12th of June, and nitrile gloves." in done.stdout
    assert server.requests[0]["model"] == "local"
    assert "allergic to latex" in server.prompt
    assert "Nothing was sent" not in done.stdout


def test_what_the_terminal_cannot_write_is_escaped(tmp_path: Path) -> None:
    process("store", "Käse – gut", folder=tmp_path)
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    shown = process("list", folder=tmp_path, environment=ascii_only)
    assert (shown.returncode, "K\\xe4se \\u2013 gut" in shown.stdout) == (0, True)
    listed = process("list", "--json", folder=tmp_path, environment=ascii_only)
    assert json.loads(listed.stdout)["items"][0]["content"] == "Käse – gut"


def test_words_that_are_no_text_are_refused(tmp_path: Path) -> None:
    for words, given in (["-"], b"\xff"), ([b"\xff"], None):
        command = [sys.executable, "-m", "agentmem", "store", *words]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTMEM_USER": "ana"}
        done = subprocess.run(command, cwd=tmp_path, env=environment, input=given, capture_output=True, check=False)
        assert (done.returncode, done.stderr.startswith(b"error: The words are not UTF-8.")) == (2, True)


def test_the_demo_never_touches_a_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    done = process("demo", "--path", "mine", folder=tmp_path)
    assert (done.returncode, "is there already" in done.stderr) == (2, True)


def test_a_reader_that_stops_reading_is_no_error(tmp_path: Path) -> None:
    process("store", "-", folder=tmp_path, input="word " * 50_000)
    command = f"'{sys.executable}' -m agentmem list --json | head -c 10"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTMEM_USER": "ana"}
    # Unbuffered, Python drops the rest of a write that was cut short, and nobody ever learns of the closed pipe.
    environment.pop("PYTHONUNBUFFERED", None)
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (141, "")


def test_help_and_version_load_neither_the_database_nor_numpy(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom agentmem.cli.commands import app\n"
        "try: app(['--version'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'sqlalchemy', 'pydantic', 'rich', 'yaml'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [agentmem.__version__, "[]"]


def test_the_bench_skips_what_is_not_there_and_says_so(run: Run) -> None:
    result = run("bench", "quality", "locomo.json", "--json")
    assert result.exit_code == 1
    assert "there is no file" in json.loads(result.stdout)[0]["skipped"]


def test_who_is_who_is_shown_and_written(run: Run) -> None:
    store(run, "Hello.")
    assert run("identity").exit_code == 1, "nothing is known yet"
    store(run, "My name is Ana.", "--at", "2026-05-03T09:00:00Z")
    written = answer(run("identity", "--set", "persona", "You are Max.", "You joke.", "--json"))
    assert [line["content"] for line in written["lines"]] == ["You are Max.", "You joke.", "The user is called Ana."]
    assert "You are Max." in run("identity").stdout
    then = answer(run("identity", "--as-of", "2026-05-04T00:00:00Z", "--json"))
    assert [line["section"] for line in then["lines"]] == ["profile"]
    assert run("identity", "--set", "persona").exit_code == 0
    assert [line["section"] for line in answer(run("identity", "--json"))["lines"]] == ["profile"]
    assert run("identity", "--set", "person", "x").exit_code == 2
    assert run("identity", "a line").exit_code == 2
