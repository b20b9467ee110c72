"""The token counters keep every promise of theirs."""

from __future__ import annotations

import pytest

from agentmem.errors import ConfigError
from agentmem.interfaces import TokenCounter
from agentmem.testing import TokenCounterTests
from agentmem.tokens import EstimatedCounter, TiktokenCounter, default_counter


class TestEstimatedCounter(TokenCounterTests):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        return EstimatedCounter()


class TestTiktokenCounter(TokenCounterTests):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        try:
            return TiktokenCounter()
        except ConfigError as error:
            pytest.skip(f"tiktoken's tables are not on this machine: {error}")


class TestDefaultCounter(TokenCounterTests):
    @pytest.fixture
    def counter(self) -> TokenCounter:
        return default_counter()
