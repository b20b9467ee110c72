"""Facts in words."""

from __future__ import annotations

import pytest

from agentmem.extractors.attributes import ATTRIBUTES
from agentmem.extractors.sentences import sentence
from agentmem.records import POLARITIES, Fact


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (Fact("user", "home", "Porto"), "The user lives in Porto."),
        (Fact("Clara", "employer", "Acme", "ended"), "Clara no longer works at Acme."),
        (Fact("user", "employer", "", "ended"), "The user no longer works at the one before."),
        (Fact("user", "employer", "Acme Inc."), "The user works at Acme Inc."),
        (Fact("user", "likes", "olives", "denied"), "The user dislikes olives."),
        (Fact("user", "pet", "Rex", topic="dog"), "The user has a dog called Rex."),
        (Fact("user", "pet", "dog", topic="dog"), "The user has a dog."),
        (Fact("user", "pet", "", "ended", topic="dog"), "The user no longer has the dog."),
        (Fact("user", "family", "sister", topic="sister"), "The user has a sister."),
        (Fact("user", "shoe size", "38"), "The user shoe size: 38"),
        (Fact("{value}", "home", "{topic}"), "{value} lives in {topic}."),
    ],
)
def test_a_fact_reads_as_its_attribute_words_it(fact: Fact, said: str) -> None:
    assert sentence(fact) == said


@pytest.mark.parametrize("polarity", POLARITIES)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_every_attribute_names_its_subject_and_its_value(name: str, polarity: str) -> None:
    said = sentence(Fact("Clara", name, "Xyz", polarity, topic="cat"))  # type: ignore[arg-type]  # one of POLARITIES
    assert said.startswith("Clara ")
    assert "Xyz" in said
    assert "{" not in said
