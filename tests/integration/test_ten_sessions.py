"""The same someone in the eleventh session: ten processes on one folder; some end, some just exit, two are killed."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any, Final

import pytest
from one_session import MEMORY_TOKENS, talk
from openai_server import Answer, OpenAIServer, serving

from agentmem.tokens import default_counter

pytest.importorskip("openai", reason='the wrapper needs `pip install "pyagentmem[openai]"`')

SESSIONS: Final[list[tuple[str, list[str]]]] = [
    ("ends", ["Hi! My name is Ana Marques.", "Please always answer in British English."]),
    ("exits", ["I live in Lisbon and I work as a nurse.", "I promised my sister to call the vet by Friday."]),
    ("ends", ["I'm training for a half marathon.", "I promised you to send my running diary by Sunday."]),
    ("killed", ["Please never mention my weight.", "I live in Porto now, we moved at the weekend."]),
    ("exits", ["I called the vet this morning.", "The dog is fine again."]),
    ("ends", ["I quit my job at the hospital, I work as a teacher now.", "The children are lovely."]),
    ("exits", ["Can you remind me to buy new running shoes on Saturday?"]),
    ("ends", ["My diary is full of hills.", "Was the pace all right?"]),
    ("exits", ["My brother Rui wants to join me for the long runs.", "He has never run more than five kilometres."]),
    (
        "killed",
        ["My left knee hurts when I run downhill.", "The pain began after the hill sprints near the lighthouse."],
    ),
]
ANSWERS: Final = {"remind me": "Sure, I'll remind you on Saturday to buy new running shoes."}


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        server.otherwise = lambda request: Answer(_answer(str(request["messages"][-1]["content"])))
        yield server


def test_the_eleventh_session_knows_who_it_talks_to_and_what_is_open(
    tmp_path: Path, server: OpenAIServer, processes: ForkServerContext
) -> None:
    for number, (ending, said) in enumerate([*SESSIONS, ("ends", ["Good morning!"])], 1):
        process = processes.Process(target=talk, args=(tmp_path, server.url, f"session {number}", ending, said))
        process.start()
        process.join(120)
        assert process.exitcode == (-signal.SIGKILL if ending == "killed" else 0)
    memory = _remembered(server.requests[-1])
    rules, identity, handover = (_block(memory, name) for name in ("rules", "identity", "handover"))
    assert "British English" in rules
    assert "never mention" in rules or "not want the assistant to mention" in rules
    assert "Ana Marques" in identity
    assert "Porto" in identity
    assert "Lisbon" not in identity
    assert "teacher" in identity
    assert _open(identity) == {"send my running diary", "buy new running shoes"}
    assert "knee" in handover
    assert "lighthouse" in handover
    assert default_counter().count(memory.strip()) <= MEMORY_TOKENS < 600


def _remembered(request: dict[str, Any]) -> str:
    """What memory put in front of the only thing that the user says."""
    (words,) = (str(message["content"]) for message in request["messages"] if message["role"] == "user")
    assert words.endswith("Good morning!")
    return words.removesuffix("Good morning!")


def _block(memory: str, name: str) -> str:
    found = re.search(rf"<{name}>\n(.*?)</{name}>", memory, re.DOTALL)
    return found[1] if found else ""


def _open(identity: str) -> set[str]:
    """The promises that are told as open."""
    promises = [line for line in identity.splitlines() if line.startswith("commitments:") and " open" in line]
    deeds = ("call the vet", "send my running diary", "buy new running shoes")
    return {deed for deed in deeds if any(deed in line for line in promises)}


def _answer(asked: str) -> str:
    return next((answer for words, answer in ANSWERS.items() if words in asked.rpartition("\n")[2]), "Understood.")
