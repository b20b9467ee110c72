"""Rules for days to come that are told of an event or an age: "my exam is on 23 May", "Oliver turns seven on …"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_self import birthday_at
from agentmem.extractors.clauses import Sentence, is_name, is_stated
from agentmem.extractors.findings import Found

_EVENTS: Final = (
    r"(?:exam|exams|flight|release|wedding|interview|surgery|operation|appointment|test|finals?|graduation|recital|audition"
    r"|hearing|marathon|race|presentation|defen[cs]e|launch|check-?up|viewing|conference|trip|holiday|vacation|move|trial"
    r"|due date|concert|gig|reunion|ceremony|performance|match|tournament)"
)
_DAY: Final = rf"(?:the )?(?:\d|(?:{'|'.join(v.MONTHS)})\b|(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)"
_IS_ON: Final = re.compile(
    rf"(?:\b(?:my|our) (?P<mine>(?:[\w-]+ ){{0,3}}?{_EVENTS}(?: (?:to|in|at|with) [\w ]{{2,30}}?)?)"
    rf"|^\W*(?:the )?(?P<bare>{_EVENTS}))(?:'s| is| are|'ll be| will be| leaves| departs| starts| begins| takes place)"
    rf"(?: (?:scheduled|set|planned|booked|now|already))*(?: for)? on {_DAY}"
)


def events(sentence: Sentence) -> Iterator[Found]:
    """Reads "my flight to Chicago is on the 15th"."""
    start = sentence.start
    found = _IS_ON.search(sentence.low[start : sentence.end])
    if found is None:
        return
    group = "mine" if found["mine"] else "bare"
    first, last = _place(sentence, start + found.start(group)), _place(sentence, start + found.end(group) - 1) + 1
    if is_stated(sentence, first, last) and not any(sentence.words[at].endswith("'s") for at in range(first, last)):
        said = sentence.said(first, last)
        head = sentence.words[first]
        article = "" if head in _WITHOUT_ARTICLE else "an " if head[0] in "aeiou" else "a "
        yield Found("plan", (first, last), value=f"have {article}{said}", topic="dated", polarity="affirmed")


_WITHOUT_ARTICLE: Final = v.words("exams finals first second third last next big")

_AGES: Final = r"(?:\d{1,3}|[a-z]+(?:-[a-z]+)?)"
_TURNS: Final = re.compile(
    rf"(?: is turning| is going to turn| will turn| will be turning| turns| am turning|'m turning|'s turning)"
    rf" (?P<age>{_AGES})(?: years old)? on "
)


def turns_on(sentence: Sentence) -> Iterator[Found]:
    """Reads "Oliver is turning seven on February 3rd", "my son turns 4 on 2 July"."""
    found = _TURNS.search(sentence.low, sentence.start, sentence.end)
    if found is None or not _is_age(found["age"]):
        return
    who = _place(sentence, found.start() - 1)
    day = next((at for at, start in enumerate(sentence.starts) if start >= found.end()), len(sentence.words))
    subject = _whose(sentence, who)
    if subject is not None and is_stated(sentence, who, who + 1):
        for birthday in birthday_at(sentence, day):
            assert birthday.at is not None
            yield Found("birthday", (who, birthday.at[1]), birthday.value, polarity="affirmed", subject=subject)


def _whose(sentence: Sentence, who: int) -> str | None:
    """The subject of what is said of the person at a place; None if it is nobody."""
    word = sentence.words[who]
    if word == "i":
        return ""
    if is_name(sentence, who) and not sentence.plain and word not in v.COMPANIES | v.SERVICES | v.NO_NAMES:
        return sentence.said(who, who + 1)
    mine = sentence.words[max(0, who - 1) : who] in (["my"], ["our"])
    return v.RELATIONS[word] if mine and v.RELATIONS.get(word) in v.ONE_EACH else None


def _is_age(said: str) -> bool:
    tens, _, ones = said.partition("-")
    return (
        said.isdigit()
        or said in v.NUMBERS
        or tens in v.TENS
        or said.endswith("teen")
        or (tens in v.TENS and bool(ones))
    )


def _place(sentence: Sentence, at: int) -> int:
    """The word at a place of the turn."""
    return next((n for n, end in enumerate(sentence.ends) if end > at), len(sentence.ends) - 1)
