"""The vector stores keep every promise of theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentmem.interfaces import VectorStore
from agentmem.testing import VectorStoreTests
from agentmem.vectors.exact import ExactVectors


class TestExactVectors(VectorStoreTests):
    @pytest.fixture
    def store(self) -> VectorStore:
        return ExactVectors()


class TestChromaVectors(VectorStoreTests):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[VectorStore]:
        pytest.importorskip("chromadb", reason="needs `pip install pyagentmem[chroma]`")
        from agentmem.vectors.chroma import ChromaVectors

        store = ChromaVectors(path=tmp_path / "chroma")
        yield store
        store.close()

    @pytest.fixture
    def reopen(self, store: VectorStore, tmp_path: Path) -> Callable[[], VectorStore]:
        from agentmem.vectors.chroma import ChromaVectors

        return lambda: ChromaVectors(path=tmp_path / "chroma")
