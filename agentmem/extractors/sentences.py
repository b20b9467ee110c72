"""Facts in words: the sentence that is shown and searched."""

from __future__ import annotations

import re
from typing import Final

from agentmem.extractors import vocabulary
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
    >>> sentence(Fact("user", "job", "nurse"))
    'The user works as a nurse.'
    >>> sentence(Fact("user", "job", "retired"))
    'The user is retired.'
    """
    attribute = attribute_of(fact.attribute)
    pattern: str = getattr(attribute, fact.polarity)
    if fact.value.casefold().strip() in ("", (fact.topic or "").casefold()):
        if fact.polarity == "ended":
            pattern = attribute.unnamed or _UNNAMED
        elif fact.topic:
            # "has a dog", where its name was not said
            pattern = _NAMED_TOPIC.sub("{topic}", pattern)
    if fact.attribute == "job" and fact.polarity == "affirmed" and fact.value.casefold() == "retired":
        pattern = "{subject} is {value}."
    value = _with_article(fact.value.strip()) if attribute.counted else fact.value.strip()
    words = {
        "subject": subject_in_words(fact.subject),
        "value": _of_the_assistant(value) if attribute.name == "instruction" else value,
        "topic": fact.topic or attribute.name.replace("_", " "),
    }
    said = _PLACE.sub(lambda place: words[place[1]], pattern)
    return said[:-1] if said.endswith("..") else said


def _of_the_assistant(value: str) -> str:
    """A wish in the words of a third: "keep its answers short" for "keep your answers short"."""
    return _YOURS.sub(lambda match: _ITS[match[0].casefold()], value)


_ITS: Final = {"your": "its", "yours": "its own", "yourself": "itself"}
_YOURS: Final = re.compile(rf"\b(?:{'|'.join(_ITS)})\b", re.IGNORECASE)


def subject_in_words(subject: str) -> str:
    """Whom a fact is about, as its sentence begins."""
    return {"user": "The user", "assistant": "The assistant"}.get(subject, subject)


def _with_article(value: str) -> str:
    """ "a nurse" for "nurse"; what is counted, many or no thing at all stays as it is."""
    words = value.casefold().split()
    last = words[-1] if words else ""
    is_many = last.endswith("s") and not last.endswith(("ss", "us"))
    if not words or words[0] in _BEFORE_A_NOUN or " of " in value or is_many or value.casefold() in vocabulary.FIELDS:
        return value
    is_vowel = words[0][0] in "aeiou" and not words[0].startswith(("uni", "use", "eu", "one"))
    return f"{'an' if is_vowel else 'a'} {value}"


_BEFORE_A_NOUN: Final = vocabulary.words(
    "a an the my our his her their your some two three four five six retired head chief"
)


def search_words(fact: Fact) -> str:
    """Further words that a question about the fact may use: "work job company" beside "Ana is employed by Acme."

    Twice for what is so: who asks where somebody works wants that before where they no longer do.
    """
    words = attribute_of(fact.attribute).words
    return f"{words} {words}" if fact.polarity == "affirmed" else words
