"""A backend of one's own keeps the promises of its role: the example's and the guide's."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from test_docs import ROOT, blocks_of

from agentmem import MemoryManager, Scope
from agentmem.interfaces import VectorStore
from agentmem.testing import VectorStoreTests


def _example() -> ModuleType:
    path = ROOT / "examples" / "07_write_a_backend.py"
    spec = importlib.util.spec_from_file_location("write_a_backend", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class TestTheExample(VectorStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[VectorStore]:
        store = _example().SQLiteVectors(tmp_path / "vectors.db")
        yield store
        store.close()

    @pytest.fixture
    def reopen(self, tmp_path: Path) -> Callable[[], VectorStore]:
        return lambda: _example().SQLiteVectors(tmp_path / "vectors.db")

    def test_it_stays_short(self) -> None:
        source = (ROOT / "examples" / "07_write_a_backend.py").read_text()
        body = source.partition("class SQLiteVectors")[2].partition("if __name__")[0]
        assert len(body.splitlines()) < 60


def test_a_manager_keeps_the_example_in_step_with_the_log(tmp_path: Path) -> None:
    vectors = _example().SQLiteVectors(tmp_path / "vectors.db")
    ana = Scope(user="ana")
    with MemoryManager.open(tmp_path, vectors=vectors, extractor=None) as memory:
        first = memory.store("I moved to Lisbon in May.", scope=ana)
        memory.store("My sister stays in Porto.", scope=ana)
        memory.flush()
        generation, [head] = memory.log.generation(), memory.log.heads(ana)
        assert generation
        assert len(vectors.rows(generation, head.partition)) == 2
        memory.forget([first.id], scope=ana)
        memory.flush()
        assert len(vectors.rows(generation, head.partition)) == 1
    vectors.close()


def test_the_example_runs(tmp_path: Path) -> None:
    program = [sys.executable, str(ROOT / "examples" / "07_write_a_backend.py")]
    ran = subprocess.run(program, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=True)
    assert ran.stdout == "I moved to Lisbon in May.\n"


def test_the_backend_of_the_guide_passes_its_suite(tmp_path: Path) -> None:
    for block in blocks_of(ROOT / "docs" / "extending.md"):
        if block.note.startswith("file: "):
            (tmp_path / block.note.removeprefix("file: ")).write_text(block.code)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_my_vectors.py"]
    ran = subprocess.run(command, cwd=tmp_path, env=_environment(), capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout
    assert "20 passed" in ran.stdout


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}
