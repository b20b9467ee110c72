"""Facts in words."""

from __future__ import annotations

import pytest

from agentmem.errors import InvalidInput
from agentmem.extractors.attributes import ATTRIBUTES, Attribute, register
from agentmem.extractors.sentences import sentence
from agentmem.lifecycle.revising import revision_of
from agentmem.records import POLARITIES, Fact
from agentmem.testing import memory


@pytest.mark.parametrize(
    ("fact", "said"),
    [
        (Fact("user", "home", "Porto"), "The user lives in Porto."),
        (Fact("Clara", "employer", "Acme", "ended"), "Clara no longer works at Acme."),
        (Fact("user", "employer", "", "ended"), "The user no longer works where they did."),
        (Fact("Clara", "partner", "", "ended"), "Clara is no longer in a relationship with the partner they had."),
        (Fact("user", "shoe_size", "", "ended"), "The user's shoe size is no longer what it was."),
        (Fact("user", "employer", "Acme Inc."), "The user works at Acme Inc."),
        (Fact("user", "likes", "olives", "denied"), "The user dislikes olives."),
        (Fact("user", "pet", "Rex", topic="dog"), "The user has a dog called Rex."),
        (Fact("user", "pet", "dog", topic="dog"), "The user has a dog."),
        (Fact("user", "pet", "", "ended", topic="dog"), "The user no longer has the dog."),
        (Fact("user", "family", "sister", topic="sister"), "The user has a sister."),
        (Fact("user", "shoe size", "38"), "The user shoe size: 38"),
        (
            Fact("user", "instruction", "keep your answers short"),
            "The user wants the assistant to keep its answers short.",
        ),
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


# --- and back -------------------------------------------------------------------------------------


def restated(fact: Fact, words: str) -> Fact:
    """The fact after an update of its words."""
    found = revision_of(memory(sentence(fact), kind="fact", fact=fact), content=words).fact
    assert isinstance(found, Fact)
    return found


@pytest.mark.parametrize("polarity", POLARITIES)
@pytest.mark.parametrize("name", ATTRIBUTES)
def test_an_update_reads_every_sentence_as_the_fact_it_words(name: str, polarity: str) -> None:
    fact = Fact("Clara", name, "Xyz", polarity, topic="cat")  # type: ignore[arg-type]  # one of POLARITIES
    assert restated(Fact("Clara", name, "Abc", topic="cat"), sentence(fact)) == fact


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_what_ended_without_a_name_is_worded_for_itself_and_read_back(name: str) -> None:
    fact = Fact("user", name, "", "ended", topic="cat")
    said = sentence(fact)
    assert said.startswith("The user ")
    assert "no longer" in said
    assert "{" not in said
    assert "  " not in said
    assert restated(Fact("user", name, "Abc", topic="cat"), said) == fact
    assert restated(Fact("user", name, "Abc", topic="cat"), said.removesuffix(".")) == fact


def test_what_has_no_name_is_read_back() -> None:
    dog = Fact("user", "pet", "Rex", topic="dog")
    assert restated(dog, "The user has a dog.") == Fact("user", "pet", "dog", topic="dog")
    assert restated(dog, "The user has no dog.") == Fact("user", "pet", "dog", "denied", topic="dog")
    size = Fact("user", "shoe_size", "38")
    assert restated(size, "The user's shoe size is no longer what it was.") == Fact("user", "shoe_size", "", "ended")


def test_an_attribute_may_say_how_it_ends_unnamed_if_it_says_of_whom() -> None:
    words = ("hat_size", True, "{subject} wears {value}.", "{subject} does not.", "{subject} did.", "", "")
    with pytest.raises(InvalidInput, match=r"lacks \{subject\}"):
        register(Attribute(*words, unnamed="no longer wears that hat."))
