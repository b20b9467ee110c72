"""Facts in words: the sentence that is shown and searched."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extractors.attributes import attribute_of
from agentmem.records import Fact

_UNNAMED: Final = "{subject}'s {topic} is no longer what it was."
_NAMED_TOPIC: Final = re.compile(r"\{topic\}(?: called|:)? \{value\}")
_PLACE: Final = re.compile(r"\{(subject|value|topic)\}")


def sentence(fact: Fact) -> str:
    """The fact as a sentence, as its attribute words it: "The user lives in Porto."

    >>> sentence(Fact("Clara", "employer", "Acme", "ended"))
    'Clara no longer works at Acme.'
    >>> sentence(Fact("Clara", "employer", "", "ended"))
    'Clara no longer works where they did.'
    """
    attribute = attribute_of(fact.attribute)
    pattern: str = getattr(attribute, fact.polarity)
    if fact.value.casefold().strip() in ("", (fact.topic or "").casefold()):
        if fact.polarity == "ended":
            pattern = attribute.unnamed or _UNNAMED
        elif fact.topic:
            # "has a dog", where its name was not said
            pattern = _NAMED_TOPIC.sub("{topic}", pattern)
    words = {
        "subject": "The user" if fact.subject == "user" else fact.subject,
        "value": fact.value.strip(),
        "topic": fact.topic or attribute.name.replace("_", " "),
    }
    said = _PLACE.sub(lambda place: words[place[1]], pattern)
    return said[:-1] if said.endswith("..") else said


def search_words(fact: Fact) -> str:
    """Further words that a question about the fact may use: "work job company" beside "Ana is employed by Acme."

    Twice for what is so: who asks where somebody works wants that before where they no longer do.
    """
    words = attribute_of(fact.attribute).words
    return f"{words} {words}" if fact.polarity == "affirmed" else words
