"""Every example runs from start to end, offline and without a key, and says what it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("[0-9]*.py"))
SAYS = {
    "01_five_lines.py": "When did she move?  ->  I moved to Lisbon in May",
    "02_update_and_forget.py": "Forgotten: 1 memory, status done, verified True",
    "03_wrap_openai.py": '"The user is allergic to nuts."',
    "04_documents.py": "Found in: handbook.md > Handbook > Laptops",
    "05_async.py": "bob: I live in Bergen.",
    "06_yaml.py": "Did you mean 'vectors'?",
    "07_write_a_backend.py": "I moved to Lisbon in May.",
    "08_a_year.py": "31 Dec: The user lives in Vienna. The user works at Spotify.",
    "09_register_a_client.py": "The user is allergic to nuts.",
    "10_memory_tools.py": '"Ana is training for the Porto marathon."',
    "11_chat.py": "coach: Hi Ana! When is it?",
}


LEAVES = {"11_chat.py": ["chat-memory"]}
"""What an example leaves behind: nothing, but for the one that is to be run again."""


def run(example: Path, folder: Path, **more: str) -> str:
    settings = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AGENTMEM_"))}
    done = subprocess.run(
        [sys.executable, str(example)],
        cwd=folder,
        env={**settings, **more, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_an_example_runs_and_says_what_it_promises(example: Path, tmp_path: Path) -> None:
    if "openai" in example.name:
        pytest.importorskip("openai", reason='needs `pip install "pyagentmem[openai]"`')
    assert SAYS[example.name] in run(example, tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == LEAVES.get(example.name, [])


def test_the_chat_agent_knows_after_two_restarts_whom_it_talks_to(tmp_path: Path) -> None:
    pytest.importorskip("openai", reason='needs `pip install "pyagentmem[openai]"`')
    chat = ROOT / "examples" / "11_chat.py"
    before = run(chat, tmp_path, SHOW_PROMPT="1")
    run(chat, tmp_path)
    after = run(chat, tmp_path, SHOW_PROMPT="1")
    rule = "The user wants the assistant to answer in one sentence."
    for known in (rule, "The user is called Ana.", "The user lives in Porto.", "My left knee hurts after long runs."):
        assert known in after
        assert known not in before


def test_examples_are_short_enough_to_read() -> None:
    for example in EXAMPLES:
        lines = example.read_text("utf-8").count("\n")
        assert 20 <= lines <= 75, f"{example.name} has {lines} lines"


def test_examples_are_numbered_without_gaps() -> None:
    numbers = [int(re.match(r"\d+", example.name)[0]) for example in EXAMPLES]  # type: ignore[index]  # the glob
    assert numbers == list(range(1, len(numbers) + 1))
