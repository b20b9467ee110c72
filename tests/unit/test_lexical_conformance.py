"""The inverted index keeps every promise of a lexical index."""

from __future__ import annotations

import pytest

from agentmem.interfaces import LexicalIndex
from agentmem.retrieval.lexical import InvertedIndex
from agentmem.testing import LexicalIndexTests


class TestInvertedIndex(LexicalIndexTests):
    @pytest.fixture
    def index(self) -> LexicalIndex:
        return InvertedIndex()
