"""The embedders that need no network keep every promise of an embedder, and so do the fakes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agentmem.embedders.function import FunctionEmbedder
from agentmem.embedders.static import StaticEmbedder
from agentmem.interfaces import Embedder, EmbedRequest
from agentmem.testing import EmbedderTests, FailingEmbedder, WordHashEmbedder


class TestStaticEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return StaticEmbedder()

    @pytest.fixture
    def twin(self) -> Embedder:
        return StaticEmbedder()


class TestFunctionEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return FunctionEmbedder(_triple_word_hash, dimensions=64, name="word-hash-x3")

    @pytest.fixture
    def twin(self) -> Embedder:
        return FunctionEmbedder(_triple_word_hash, dimensions=64, name="word-hash-x3")


class TestWordHashEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return WordHashEmbedder()

    @pytest.fixture
    def twin(self) -> Embedder:
        return WordHashEmbedder()


class TestFailingEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return FailingEmbedder(WordHashEmbedder(32))

    @pytest.fixture
    def twin(self) -> Embedder:
        return FailingEmbedder(WordHashEmbedder(32))


def _triple_word_hash(texts: Sequence[str]) -> list[list[float]]:
    """What a user's function may well give: lists, and rows that are not of length 1."""
    return [[3 * number for number in row] for row in WordHashEmbedder().embed(EmbedRequest(texts)).tolist()]
