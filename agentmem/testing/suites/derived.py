"""The suites of what makes memories from memories: compressors and extractors."""

from __future__ import annotations

from datetime import timedelta

import pytest

from agentmem.interfaces import (
    CompressedLine,
    CompressionRequest,
    Compressor,
    ExtractionRequest,
    Extractor,
    TokenCounter,
)
from agentmem.records import POLARITIES, Memory
from agentmem.testing.fakes import A_MONDAY, memory
from agentmem.testing.suites.base import ODD_TEXTS, Suite, fixture_missing

TALK = [
    "Hi! How was the weekend?",
    "Good. I moved to Lisbon on Saturday, into a flat near the river.",
    "Nice! Is your sister there too?",
    "No, Marta stays in Porto. She starts her new job at the hospital on 1 December.",
    "I did not know that. And the allergy?",
    "Still there: no peanuts for me, ever. My doctor, Dr. Sousa, wants to see me on Friday at 9.",
    "ok",
    "Please remind me on Thursday evening. And my new number is 555-0142.",
    "Will do.",
    "By the way, I do not like tea any more. Coffee only.",
]


def a_talk() -> list[Memory]:
    """Ten turns between a user and an assistant, a minute apart."""
    return [
        memory(
            text,
            id=f"turn-{place}",
            role="user" if place % 2 else "assistant",
            position=place,
            occurred_at=A_MONDAY + timedelta(minutes=place),
        )
        for place, text in enumerate(TALK)
    ]


class CompressorTests(Suite):
    """The promises of ``Compressor``.

    Fixtures:
        compressor: The compressor.
        counter: What its tokens are counted with; unset = the default counter.
    """

    @pytest.fixture
    def compressor(self) -> Compressor:
        fixture_missing("compressor", "the Compressor to test.")

    @pytest.fixture
    def counter(self) -> TokenCounter:
        from agentmem.tokens import default_counter

        return default_counter()

    def test_every_line_cites_memories_it_was_given(self, compressor: Compressor) -> None:
        given = a_talk()
        lines = compressor.compress(CompressionRequest(given, max_tokens=80))
        assert lines
        for line in lines:
            assert line.text.strip()
            assert line.derived_from
            assert set(line.derived_from) <= {each.id for each in given}

    @pytest.mark.parametrize("max_tokens", [1, 10, 40, 100, 10_000])
    def test_the_lines_together_stay_within_the_budget(
        self, compressor: Compressor, counter: TokenCounter, max_tokens: int
    ) -> None:
        lines = compressor.compress(CompressionRequest(a_talk(), max_tokens=max_tokens))
        assert counter.count("\n".join(line.text for line in lines)) <= max_tokens

    def test_no_memories_give_no_lines(self, compressor: Compressor) -> None:
        assert list(compressor.compress(CompressionRequest([], max_tokens=100))) == []

    def test_one_long_memory_is_cut_to_the_budget(self, compressor: Compressor, counter: TokenCounter) -> None:
        long = memory(" ".join(f"On day {day} it rained in Porto." for day in range(400)), id="long")
        lines = compressor.compress(CompressionRequest([long], max_tokens=50))
        assert counter.count(_text(lines)) <= 50
        assert {id for line in lines for id in line.derived_from} <= {"long"}

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_odd_texts_can_be_compressed(self, compressor: Compressor, counter: TokenCounter, text: str) -> None:
        given = [memory(text, id="odd"), memory("The cat sat on the mat.", id="plain")]
        lines = compressor.compress(CompressionRequest(given, max_tokens=60))
        assert {id for line in lines for id in line.derived_from} <= {"odd", "plain"}
        assert counter.count(_text(lines)) <= 60

    def test_what_was_given_is_not_changed(self, compressor: Compressor) -> None:
        given = a_talk()
        compressor.compress(CompressionRequest(given, max_tokens=40))
        assert given == a_talk()


def _text(lines: object) -> str:
    assert isinstance(lines, list | tuple)
    return "\n".join(line.text for line in lines if isinstance(line, CompressedLine))


class ExtractorTests(Suite):
    """The promises of ``Extractor``; which facts it finds is its own business.

    Fixtures:
        extractor: The extractor.

    Class attribute ``telling``: a text in which it finds at least one fact.
    """

    telling = "I moved to Lisbon."

    @pytest.fixture
    def extractor(self) -> Extractor:
        fixture_missing("extractor", "the Extractor to test.")

    def test_every_fact_cites_a_turn_and_a_span_inside_it(self, extractor: Extractor) -> None:
        given = [*a_talk(), memory(self.telling, id="telling")]
        contents = {each.id: each.content for each in given}
        facts = extractor.extract(ExtractionRequest(given))
        assert facts, "a text that tells something gives a fact"
        for fact in facts:
            assert fact.derived_from in contents
            assert 0 <= fact.start < fact.end <= len(contents[fact.derived_from])
            assert fact.subject
            assert fact.attribute
            assert fact.value or fact.polarity == "ended"
            assert fact.polarity in POLARITIES

    def test_no_turns_give_no_facts(self, extractor: Extractor) -> None:
        assert list(extractor.extract(ExtractionRequest([]))) == []

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_odd_texts_break_nothing(self, extractor: Extractor, text: str) -> None:
        for fact in extractor.extract(ExtractionRequest([memory(text, id="odd")])):
            assert fact.derived_from == "odd"
            assert 0 <= fact.start < fact.end <= len(text)

    def test_a_time_is_aware(self, extractor: Extractor) -> None:
        for fact in extractor.extract(ExtractionRequest([memory(self.telling, id="telling")])):
            assert fact.valid_from is None or fact.valid_from.tzinfo is not None
