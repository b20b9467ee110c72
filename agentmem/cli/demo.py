"""``agentmem demo``: three processes, one memory. What the first was told, the next ones know."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from agentmem.cli import output
from agentmem.cli.options import FOLDER, Answer, Setup
from agentmem.errors import AgentMemError, BackendError, InvalidInput
from agentmem.records import Memory, Retrieval, Scope, Turn

if TYPE_CHECKING:
    from agentmem.interfaces import LLM
    from agentmem.manager import MemoryManager

_MIRA: Final = Scope(user="mira", agent="studio")
_MODEL: Final = "gpt-5-mini"
_SYSTEM: Final = "You help Mira run her pottery studio. Answer in one or two sentences."

_NUMBER: Final = "0470 55 01 93"
_SESSION_ONE: Final = (
    ("user", "Hello! I'm Mira, I run a small pottery studio in Ghent: two kilns and far too many glazes."),
    ("assistant", "Good to meet you, Mira. What is on the wheel these days?"),
    ("user", "Forty bowls for a ramen place called Kumo. They want them by the 12th of June."),
    ("assistant", "That is a good order. Is anything in the way?"),
    ("user", "The last glaze test cracked because I let the kiln cool too fast."),
    ("assistant", "Then a slower night for the next one."),
    ("user", f"Joost repairs my kilns, his number is {_NUMBER}."),
    ("assistant", "Good to have someone to call."),
    ("user", "And mind this: I'm allergic to latex, so whatever I need gloves for, no latex."),
    ("assistant", "Understood."),
    ("user", "My bike has a flat tyre again, and the radio plays nothing but accordion today."),
    ("assistant", "Then today the clay has to be the good part."),
)
_QUESTION: Final = "When does the ramen place need its bowls, and which gloves should I order for glazing?"
_CORRECTED: Final = (
    "Forty bowls for a ramen place called Kumo. They moved the date: they want them by the 19th of June."
)
_LOOKED_FOR: Final = "Kumo"
"""A word that is not forgotten, so that a search that finds nothing is seen to be able to find."""


def play(at: Setup, *, path: Path | None, keep: bool, act: int) -> int:
    """Run the three acts, each in a process of its own; or one act, in the process that was started for it."""
    if act:
        assert path is not None
        return _ACTS[act](at, path)
    folder = path or Path(tempfile.mkdtemp(prefix="agentmem-demo-")) / FOLDER
    if folder.exists():
        raise InvalidInput(f"{folder} is there already.", hint="Give --path a folder that the demo may make.")
    began = time.monotonic()
    try:
        acts = [_in_a_new_process(at, folder, number) for number in _ACTS]
        if at.json:
            output.print_json({"folder": str(folder) if keep else None, "acts": acts})
        else:
            _line(f"\nThree processes, {time.monotonic() - began:.1f} s, one folder: {folder}", "dim")
            _line("It is kept." if keep or path else "It is removed now; --keep leaves it.", "dim")
    finally:
        if not (keep or path):
            shutil.rmtree(folder.parent, ignore_errors=True)
    return 0


def _in_a_new_process(at: Setup, folder: Path, act: int) -> Any:
    command = [sys.executable, "-m", "agentmem", "demo", "--act", str(act), "--path", str(folder)]
    environment = dict(os.environ)
    if at.config:
        environment["AGENTMEM_CONFIG"] = str(at.config.absolute())
    sys.stdout.flush()
    done = subprocess.run(  # noqa: S603  (this interpreter, this package, our own words)
        [*command, *(["--json"] if at.json else [])],
        env=environment,
        stdout=subprocess.PIPE if at.json else None,
        check=False,
    )
    if done.returncode:
        raise BackendError(f"Act {act} of the demo ended with {done.returncode}.", hint="Its error stands above.")
    return json.loads(done.stdout) if at.json else None


# --- the acts -------------------------------------------------------------------------------------


def _first(at: Setup, folder: Path) -> int:
    """Somebody talks to an assistant, and the process ends."""
    _heading(at, "Session one")
    with _open(folder) as memory:
        memory.store_many(
            [Turn(words, role=role, session="one") for role, words in _SESSION_ONE],  # type: ignore[arg-type]
            scope=_MIRA,
        )
    if at.json:
        output.print_json({"process": os.getpid(), "stored": len(_SESSION_ONE)})
        return 0
    for role, words in _SESSION_ONE:
        _line(f"{'Mira' if role == 'user' else 'assistant':>9}  {words}", "" if role == "user" else "dim")
    _line(
        f"\n{len(_SESSION_ONE)} turns are stored. This process ends: a model would now have forgotten all of it.", "dim"
    )
    return 0


def _second(at: Setup, folder: Path) -> int:
    """A new process is asked something; then one fact is corrected and one forgotten."""
    _heading(at, "Session two: a new process, which has only the folder")
    with _open(folder) as memory:
        found = memory.retrieve(_QUESTION, scope=_MIRA, k=4, explain=True)
        asked = _ask(at, _QUESTION, found)
        order = _that_says(memory, "Forty bowls")
        corrected = memory.update(order.id, scope=_MIRA, content=_CORRECTED, expected_version=order.version)
        receipt = memory.forget([_that_says(memory, _NUMBER).id], scope=_MIRA, verify=True, reason="asked to")
    if at.json:
        report = {"process": os.getpid(), "retrieval": found.to_dict(), **asked}
        output.print_json({**report, "corrected": corrected.to_dict(), "receipt": receipt.to_dict()})
        return 0
    _line("\nKumo moved the date. The memory is corrected; its history stays:", "bold")
    _line(f"  v{order.version}  {order.content}", "dim")
    _line(f"  v{corrected.version}  {corrected.content}")
    _line("\nMira wants Joost's number forgotten. The receipt:", "bold")
    shown = {
        "status": receipt.status,
        "memories": receipt.memories,
        "verified": receipt.verified,
        "receipt": receipt.id,
    }
    output.show(output.pairs(shown | ({"remaining": "; ".join(receipt.remaining)} if receipt.remaining else {})))
    return 0


def _third(at: Setup, folder: Path) -> int:
    """Another process sees both."""
    _heading(at, "Session three: another process")
    question, number = "By when does Kumo want the bowls?", "What is Joost's phone number?"
    with _open(folder) as memory:
        found = memory.retrieve(question, scope=_MIRA, k=1, explain=True)
        versions = memory.history(_that_says(memory, "Forty bowls").id, scope=_MIRA)
        gone = memory.retrieve(number, scope=_MIRA, k=12)
    files = {name: _files_holding(folder, name) for name in (_NUMBER, _LOOKED_FOR)}
    left = [hit.id for hit in gone if _NUMBER in hit.content]
    if at.json:
        report = {"process": os.getpid(), "retrieval": found.to_dict(), "versions": len(versions)}
        output.print_json({**report, "forgotten_hits": left, "files_with_forgotten_words": files[_NUMBER]})
    else:
        _line(f"{'Mira':>9}  {question}")
        output.show(output.hits(found))
        _line(f"That is version {versions[-1].version} of {len(versions)}; `agentmem history` shows both.", "dim")
        _line(f"\n{'Mira':>9}  {number}")
        _line(f"  hits that know it: {len(left)}")
        count = sum(1 for path in folder.rglob("*") if path.is_file())
        _line(f'  "{_NUMBER}" is in {len(files[_NUMBER])} of {count} files of the folder', "green")
        _line(f'  "{_LOOKED_FOR}" is in {len(files[_LOOKED_FOR])} of them, so the search can find', "dim")
    return 0 if not left and not files[_NUMBER] and files[_LOOKED_FOR] else 1


_ACTS: Final[Mapping[int, Callable[[Setup, Path], int]]] = {1: _first, 2: _second, 3: _third}


# --- what is asked of a model ---------------------------------------------------------------------


def _ask(at: Setup, question: str, found: Retrieval) -> dict[str, Any]:
    """Show what was found and why, the prompt block, and the model's answer where a model is configured."""
    from agentmem.context.rendering import render_hits
    from agentmem.tokens import default_counter

    counter = default_counter()
    rendered = render_hits(found.hits, counter=counter)
    messages = [
        {"role": "system", "content": _SYSTEM},
        {"role": "user", "content": f"{rendered.text}\n\n{question}"},
    ]
    model, why_not = _model(at)
    answer = _answer(model, messages) if model else None
    asked = {"messages": messages, "tokens": rendered.tokens, "answer": answer, "not_sent_because": why_not}
    if at.json:
        return asked
    _line(f"{'Mira':>9}  {question}")
    _line("\nWhat memory finds, and why:", "bold")
    output.show(output.hits(found))
    about = "" if counter.is_exact else ", estimated"
    _line(f"The prompt block ({rendered.tokens} tokens{about}):", "bold")
    _line(rendered.text, "cyan")
    if answer is None:
        _line(f"\nNothing was sent: {why_not} These are the messages that would be:", "bold")
        for message in messages:
            content = "[the block above]\n" + question if message["role"] == "user" else message["content"]
            _line(f"{message['role']:>9}  " + content.replace("\n", "\n           "), "dim")
    else:
        _line(f"\n{'assistant':>9}  {answer}", "green")
    return asked


def _model(at: Setup) -> tuple[LLM | None, str]:
    """The model that YAML or the environment names; or None and why there is none."""
    from agentmem import registry

    if at.configured and at.configured.llm:
        spec: dict[str, Any] = {"type": at.configured.llm.type, **at.configured.llm.options}
    elif os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"):
        spec = {"type": "openai", "model": os.environ.get("OPENAI_MODEL", _MODEL)}
    else:
        return None, "no model is configured (OPENAI_API_KEY, OPENAI_BASE_URL, or llm: in agentmem.yaml)."
    try:
        return registry.build("llm", spec), ""
    except AgentMemError as error:
        return None, str(error)


def _answer(model: LLM, messages: Sequence[Mapping[str, str]]) -> str:
    from agentmem.interfaces import CompletionRequest, Message

    said = [Message(role=message["role"], content=message["content"]) for message in messages]  # type: ignore[arg-type]
    try:
        return model.complete(CompletionRequest(said, max_tokens=300, timeout_s=30.0)).text
    except BackendError as error:
        return f"(the model gave no answer: {error})"
    finally:
        getattr(model, "close", lambda: None)()


# --- how ------------------------------------------------------------------------------------------


def _open(folder: Path) -> MemoryManager:
    from agentmem.manager import MemoryManager

    return MemoryManager.open(folder)


def _that_says(memory: MemoryManager, words: str) -> Memory:
    return next(found for found in memory.list(scope=_MIRA) if words in found.content)


def _files_holding(folder: Path, words: str) -> list[str]:
    """The files below the folder in whose bytes the words stand."""
    wanted = words.encode()
    return [str(path) for path in sorted(folder.rglob("*")) if path.is_file() and wanted in path.read_bytes()]


def _heading(at: Answer, title: str) -> None:
    if not at.json:
        from rich.rule import Rule
        from rich.text import Text

        output.show(Text(), Rule(Text(f"{title}  (process {os.getpid()})", "bold"), align="left"))


def _line(text: str, style: str = "") -> None:
    from rich.text import Text

    output.show(Text(output.safe(text), style))
