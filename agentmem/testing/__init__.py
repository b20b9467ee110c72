"""Conformance suites and fakes, for your own backends and your own tests.

A backend's test is a subclass with a fixture:

    from agentmem.testing import VectorStoreTests

    class TestMyVectors(VectorStoreTests):
        @pytest.fixture
        def store(self, tmp_path):
            return MyVectors(tmp_path)

The suites need pytest and hypothesis (``pip install "pyagentmem[testing]"``); the fakes need neither.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentmem.testing.fakes import (
        FailingEmbedder,
        FrozenClock,
        OverlapReranker,
        ScriptedExtractor,
        ScriptedLLM,
        SteppingClock,
        WordHashEmbedder,
        draft,
        memory,
    )
    from agentmem.testing.suites.derived import CompressorTests, ExtractorTests
    from agentmem.testing.suites.indexes import LexicalIndexTests, VectorStoreTests
    from agentmem.testing.suites.log import EpisodicLogTests
    from agentmem.testing.suites.models import EmbedderTests, LLMTests, RerankerTests, TokenCounterTests

_SUITES = {
    "CompressorTests": "derived",
    "EmbedderTests": "models",
    "EpisodicLogTests": "log",
    "ExtractorTests": "derived",
    "LLMTests": "models",
    "LexicalIndexTests": "indexes",
    "RerankerTests": "models",
    "TokenCounterTests": "models",
    "VectorStoreTests": "indexes",
}

__all__ = [
    "CompressorTests",
    "EmbedderTests",
    "EpisodicLogTests",
    "ExtractorTests",
    "FailingEmbedder",
    "FrozenClock",
    "LLMTests",
    "LexicalIndexTests",
    "OverlapReranker",
    "RerankerTests",
    "ScriptedExtractor",
    "ScriptedLLM",
    "SteppingClock",
    "TokenCounterTests",
    "VectorStoreTests",
    "WordHashEmbedder",
    "draft",
    "memory",
]


def __getattr__(name: str) -> Any:
    if name in _SUITES:
        import pytest

        # Before the suites are imported, so that a broken promise shows the values it was broken with.
        pytest.register_assert_rewrite("agentmem.testing.suites")
        return getattr(importlib.import_module(f"agentmem.testing.suites.{_SUITES[name]}"), name)
    if name in __all__:
        return getattr(importlib.import_module("agentmem.testing.fakes"), name)
    raise AttributeError(f"module 'agentmem.testing' has no attribute {name!r}")
