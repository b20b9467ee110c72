"""What "it", "she" and "there" in a question point at: words of the conversation before, and what each counts.

By rules, without a model; the pronouns are English ones. A question that says itself what it is about borrows nothing:
it has a name, more than a few words of its own, or before its pronoun what the pronoun stands for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple

from agentmem.interfaces import Message
from agentmem.retrieval.lexical import query_terms

Kind = Literal["he", "she", "they", "it", "there", "none"]
"""What a question points with."""


class Pointed(NamedTuple):
    """Words that the question points at, and what each counts beside 1 for its own: above 0, at most 1."""

    text: str
    share: float


def pointed_at(question: str, conversation: Sequence[Message]) -> list[Pointed]:
    """What the question borrows from the messages before it, strongest first; nothing if it stands alone.

    The newest messages with a name or phrase that fits count most, those before another one of the user's half as much.

    Args:
        conversation: Oldest first.
    """
    kind, share = _pointing(question) if conversation else ("none", 0.0)
    messages = [each for each in reversed(conversation[-_MESSAGES:]) if each.role in _SPEAKERS] if share else []
    texts = [message.content[-_CHARACTERS:] for message in messages]
    if kind in _RELATIVES and not any(_people(text, kind) for text in texts):
        kind = "they"  # nobody is named: "the dentist" it is
    found: list[Pointed] = []
    is_met = False
    for message, text in zip(messages, texts, strict=True):
        if query_terms(text):
            parts = list(_parts(text, kind, question))
            found += (Pointed(words, share * part) for words, part in parts if words)
            is_met |= any(words and part == 1.0 for words, part in parts)
        if message.role == "user" and is_met:
            share *= _EARLIER
    return sorted(found, key=lambda each: -each.share)


def worded(question: str, conversation: Sequence[Message]) -> str:
    """The question as it is embedded: one without any words of its own with those that it points at."""
    if not conversation or query_terms(question):
        return question
    pointed = [each.text for each in pointed_at(question, conversation) if each.share >= _EARLIER]
    return " ".join([*pointed, question])


def _pointing(question: str) -> tuple[Kind, float]:
    """What the question points with, and how surely it does, 0 to 1."""
    own = query_terms(question)
    if len(own) > _FEW_TERMS and not _OPENS.match(question):
        return "none", 0.0
    found = next((each for each in _PRONOUN.finditer(question) if not _joins(question, each)), None)
    kind: Kind = _KINDS.get(found[0].lower(), "it") if found else "none"
    if _OPENS.match(question) or not own:
        return kind, 1.0
    if _names(question):
        return kind, 0.0
    if found:
        return kind, 1.0
    return kind, _UNSAID if len(own) <= _ONLY_TERMS else 0.0


def _joins(question: str, pronoun: re.Match[str]) -> bool:
    """Whether it joins clauses: "the book that I read", "say that it rains"."""
    return pronoun[0].lower() == "that" and bool(
        _SUBJECT.match(question, pronoun.end()) or query_terms(question[: pronoun.start()].rpartition(" ")[0][-20:])
    )


def _parts(text: str, kind: Kind, question: str) -> Iterator[tuple[str, float]]:
    """Names, phrases and all the rest of a message, and what each may count."""
    names, phrases, rest = _SHARES[kind]
    if kind == "none" and (own := _names(question)):
        # "And in Oslo?": its own name stands where another one stood.
        others = set(_names(text)).difference(own)
        yield " ".join(word for word in _WORD.findall(text) if word not in others), phrases
        return
    yield " ".join(_people(text, kind)), names
    yield " ".join(phrase[1] for phrase in _PHRASE.finditer(text)), phrases
    yield text, rest


def _people(text: str, kind: Kind) -> list[str]:
    """The names in a text; for "he" and "she" those that may be meant, with relatives of that gender."""
    named = _names(text)
    if kind not in _RELATIVES:
        return named
    fitting = [name for name in named if not (kind == "he" and name.endswith("a"))]
    return fitting + [relative[0] for relative in _RELATIVES[kind].finditer(text)]


def _names(text: str) -> list[str]:
    """Capitalised words inside a sentence, and one that opens it where what follows shows a name."""
    return [found[0] for found in _NAME.finditer(text) if found[0] not in _TITLES and query_terms(found[0])]


_MESSAGES: Final = 6
_CHARACTERS: Final = 500
"""Of a long message the end: it is the nearest."""
_SPEAKERS: Final = frozenset({"user", "assistant"})
_FEW_TERMS: Final = 3
"""A question with more terms of its own says what it is about, whatever "it" is."""
_ONLY_TERMS: Final = 2
"""One with so few, no name and no pronoun ("When is the exam?") may leave out what everybody has in mind."""
_UNSAID: Final = 0.3
_EARLIER: Final = 0.5
_SHARES: Final[dict[Kind, tuple[float, float, float]]] = {
    "he": (1.0, 0.3, 0.15),
    "she": (1.0, 0.3, 0.15),
    "they": (1.0, 1.0, 0.15),
    "it": (0.3, 1.0, 0.15),
    "there": (1.0, 1.0, 0.15),
    "none": (1.0, 1.0, 0.3),
}
"""What names, phrases ("my blue bicycle") and other words of a message count, by what the question points with."""

_PRONOUN: Final = re.compile(
    r"\b(?:it|its|that|this|those|these|they|them|their|he|him|his|she|her|hers|there|one|same)\b", re.IGNORECASE
)
_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(("he", "him", "his"), "he"),
    **dict.fromkeys(("she", "her", "hers"), "she"),
    **dict.fromkeys(("they", "them", "their", "these", "those"), "they"),
    "there": "there",
}
_OPENS: Final = re.compile(r"\s*(?:and|what about|how about)\b", re.IGNORECASE)
_SUBJECT: Final = re.compile(r"\s+(?:i|you|he|she|we|they|it)\b", re.IGNORECASE)
_RELATIVES: Final[dict[Kind, re.Pattern[str]]] = {
    "she": re.compile(
        r"\b(?:(?:grand|step)?(?:mother|daughter)|mom|mum|grandma|sister|wife|girlfriend|aunt|niece)\b", re.IGNORECASE
    ),
    "he": re.compile(
        r"\b(?:(?:grand|step)?(?:father|son)|dad|grandpa|brother|husband|boyfriend|uncle|nephew)\b", re.IGNORECASE
    ),
}
_WORD: Final = re.compile(r"[\w'’-]+")
_TITLES: Final = frozenset({"Mr", "Mrs", "Ms", "Dr", "OK"})
_FOLLOWS_A_NAME: Final = (
    r"(?=['’]s\b|\s+(?!(?:I|me|my|you|your|it|its|this|that|the|an?|to|in|on|at|of|for|with|not|do)\b)\w)"
)
_NAME: Final = re.compile(
    r"(?:(?<=[^.!?:\s\"“]\s)|(?<=\b(?:Mr|Ms|Dr)\.\s))[A-ZÀ-Þ][\w-]+"
    rf"|(?:^|(?<=[.!?]\s))[A-ZÀ-Þ][\w-]+{_FOLLOWS_A_NAME}"
)
_PHRASE: Final = re.compile(
    r"\b(?:the|an?|my|our|your|his|her|their|this|that|[A-Z]\w+['’]s)\s+"
    r"((?:(?!(?:is|was|are|were|and|or|of|in|on|at|to|for|with|so|this|that|the|will|has|had|have|need|if|when)\b)"
    r"[\w-]+\s*){1,3})"
)
