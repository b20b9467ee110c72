"""What importing costs: no heavy module, no thread, no other file, no network; each in its own interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

PACKAGE = Path(__file__).parents[2]
PROVIDERS = {
    "openai",
    "anthropic",
    "google",
    "chromadb",
    "psycopg",
    "sentence_transformers",
    "torch",
    "tiktoken",
    "tokenizers",
    "wordllama",
    "httpx",
    "requests",
    "urllib3",
    "aiohttp",
}
HEAVY = PROVIDERS | {"numpy", "sqlalchemy", "alembic", "pydantic", "yaml", "Stemmer", "typer", "rich", "asyncio"}

_WATCHED = """
import json, os, sys, threading, time
opened, forbidden = [], []
def watch(event, arguments):
    if event == "open":
        opened.append(str(arguments[0]))
    elif event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn", "urllib.")):
        forbidden.append(event)
sys.addaudithook(watch)
before = set(sys.modules)
started = time.process_time()
exec(sys.argv[1])
cpu_s = time.process_time() - started
own = [os.path.realpath(path) for path in (sys.argv[2], sys.prefix, sys.base_prefix)]
print(json.dumps({
    "modules": sorted({name.partition(".")[0] for name in set(sys.modules) - before}),
    "names": sorted(set(sys.modules) - before),
    "threads": [thread.name for thread in threading.enumerate()],
    "strange files": [path for path in opened if not os.path.realpath(path).startswith(tuple(own))],
    "forbidden": forbidden,
    "cpu_s": cpu_s,
}))
"""


def watched(statement: str, cwd: Path) -> dict[str, Any]:
    """What running the statement in a new interpreter loaded, started and opened."""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(PACKAGE)!r})\n{_WATCHED}", statement]
    done = subprocess.run([*command, str(PACKAGE / "agentmem")], cwd=cwd, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen


@pytest.mark.parametrize(
    "statement",
    ["import agentmem", "from agentmem import Scope, Turn, Document, MemoryNotFound", "import agentmem.interfaces"],
)
def test_importing_loads_nothing_heavy_and_touches_nothing(statement: str, tmp_path: Path) -> None:
    seen = watched(statement, tmp_path)
    assert "agentmem" in seen["modules"], "the watch sees what is loaded"
    assert HEAVY.isdisjoint(seen["modules"])
    assert seen["threads"] == ["MainThread"]
    assert seen["strange files"] == []
    assert seen["forbidden"] == []


def test_importing_the_manager_loads_no_migrations_and_no_provider(tmp_path: Path) -> None:
    seen = watched("from agentmem import MemoryManager, AsyncMemoryManager", tmp_path)
    assert (PROVIDERS | {"alembic"}).isdisjoint(seen["modules"])
    assert seen["threads"] == ["MainThread"]
    assert seen["strange files"] == []
    assert seen["forbidden"] == []


def test_the_watch_sees_what_it_must_not_see(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    statement = "import numpy, socket, threading; open('notes.txt').close(); socket.socket().close(); \
threading.Thread(target=threading.Event().wait, args=(5,), daemon=True, name='stray').start()"
    seen = watched(statement, tmp_path)
    assert "numpy" in seen["modules"]
    assert "stray" in seen["threads"]
    assert seen["strange files"] == ["notes.txt"]
    assert "socket.__new__" in seen["forbidden"]


def test_importing_is_quick(tmp_path: Path) -> None:
    # Processor time, because other work on the machine must not fail this; the least of three, for the same reason.
    assert min(watched("import agentmem", tmp_path)["cpu_s"] for _ in range(3)) < 0.15


def test_opening_a_memory_that_exists_runs_no_migrations_and_no_network(tmp_path: Path) -> None:
    statement = """
from agentmem import MemoryManager, Scope
with MemoryManager.open("memory") as memory:
    memory.store("I moved to Lisbon.", scope=Scope(user="ana"))
    assert memory.retrieve("Where is Lisbon?", scope=Scope(user="ana")).hits
"""
    first, second = watched(statement, tmp_path), watched(statement, tmp_path)
    assert "alembic" in first["modules"], "a new memory is set up by its migrations"
    assert {"alembic", "pydantic"}.isdisjoint(second["modules"]), "what only a new or a configured memory needs"
    assert (PROVIDERS - {"tiktoken", "tokenizers", "wordllama"}).isdisjoint(second["modules"])
    assert second["forbidden"] == []
    # A checkout reads its own names from its pyproject.toml; tempfile tries out the folder for temporary files.
    allowed = [tmp_path / "memory", PACKAGE / "pyproject.toml", Path(tempfile.gettempdir())]
    strange = [Path(tmp_path, path) for path in second["strange files"]]
    assert [path for path in strange if not any(path.is_relative_to(place) for place in allowed)] == []
    assert [path.name for path in tmp_path.iterdir()] == ["memory"], "nothing beside its own folder is made"
