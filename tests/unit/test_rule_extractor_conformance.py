"""The rule extractor keeps every promise of an extractor."""

from __future__ import annotations

import pytest

from agentmem.extractors.rules import RuleExtractor
from agentmem.interfaces import Extractor
from agentmem.testing import ExtractorTests


class TestRuleExtractor(ExtractorTests):
    @pytest.fixture
    def extractor(self) -> Extractor:
        return RuleExtractor()
