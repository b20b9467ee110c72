"""The extractive compressor keeps every promise of a compressor."""

from __future__ import annotations

import pytest

from agentmem.compressors.extractive import ExtractiveCompressor
from agentmem.interfaces import Compressor
from agentmem.testing import CompressorTests


class TestExtractiveCompressor(CompressorTests):
    @pytest.fixture
    def compressor(self) -> Compressor:
        return ExtractiveCompressor()
