"""Facts in words: the sentence that is shown and searched."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extractors.attributes import attribute_of
from agentmem.records import Fact

_BEFORE: Final = "the one before"
_NAMED_TOPIC: Final = re.compile(r"\{topic\}(?: called|:)? \{value\}")
_PLACE: Final = re.compile(r"\{(subject|value|topic)\}")


def sentence(fact: Fact) -> str:
    """The fact as a sentence, as its attribute words it: "The user lives in Porto."

    >>> sentence(Fact("Clara", "employer", "Acme", "ended"))
    'Clara no longer works at Acme.'
    """
    attribute = attribute_of(fact.attribute)
    pattern: str = getattr(attribute, fact.polarity)
    if fact.topic and fact.value.casefold().strip() in ("", fact.topic.casefold()):
        # "has a dog", where its name was not said
        pattern = _NAMED_TOPIC.sub("{topic}", pattern)
    words = {
        "subject": "The user" if fact.subject == "user" else fact.subject,
        "value": fact.value.strip() or _BEFORE,
        "topic": fact.topic or attribute.name,
    }
    said = _PLACE.sub(lambda place: words[place[1]], pattern)
    return said[:-1] if said.endswith("..") else said


def search_words(fact: Fact) -> str:
    """Further words that a question about the fact may use: "work job company" beside "Ana is employed by Acme."

    Twice for what is so: who asks where somebody works wants that before where they no longer do.
    """
    words = attribute_of(fact.attribute).words
    return f"{words} {words}" if fact.polarity == "affirmed" else words
