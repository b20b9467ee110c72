"""A new process to its first answer at 20,000 memories, and the import alone: `python -m bench.cold`."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from agentmem import MemoryManager, Scope
from bench.texts import turns
from bench.timing import milliseconds, p50, report

ROUNDS = 7
ANSWER = """
import sys
from agentmem import MemoryManager, Scope
with MemoryManager.open(sys.argv[1]) as memory:
    assert len(memory.retrieve("Who bought a blue bicycle in Lisbon?", scope=Scope(user="ana"))) == 10
"""
IMPORT = """
import json, sys, threading, time
start = time.perf_counter()
import agentmem
taken_ms = (time.perf_counter() - start) * 1000
heavy = [name for name in ("numpy", "sqlalchemy", "alembic", "openai", "chromadb", "tiktoken") if name in sys.modules]
print(json.dumps({"ms": taken_ms, "threads": threading.active_count(), "heavy": heavy}))
"""


def main() -> None:
    with tempfile.TemporaryDirectory(dir=".") as folder:
        place = str(Path(folder) / "memory")
        with MemoryManager.open(place) as memory:
            memory.store_many(turns(20_000), scope=Scope(user="ana"))
        answers = [milliseconds(lambda: _python(ANSWER, place)) for _ in range(ROUNDS)]
    empty = [milliseconds(lambda: _python("pass")) for _ in range(ROUNDS)]
    imports = [json.loads(_python(IMPORT)) for _ in range(ROUNDS)]
    figures = {
        "process_to_first_answer_ms": p50(answers),
        "of_which_python_itself_ms": p50(empty),
        "import_ms": p50([each["ms"] for each in imports]),
        "threads_after_import": max(each["threads"] for each in imports),
        "heavy_modules_after_import": sorted({name for each in imports for name in each["heavy"]}),
    }
    bounds = {
        "process_to_first_answer_ms": ("<=", 1000.0),
        "import_ms": ("<=", 150.0),
        "threads_after_import": ("<=", 1.0),
    }
    report("cold", figures, bounds)


def _python(code: str, *arguments: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    main()
