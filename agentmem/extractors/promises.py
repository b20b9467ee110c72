"""What the assistant owes: its own promises, and what the user asked to be reminded of.

An assistant says "I'll" at every turn and mostly means the lines that follow. A promise is what it cannot keep in the
same answer: something for a day to come, a reminder, an answer to be got elsewhere. What hangs on a condition, is
offered, or stands in a draft written for somebody is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import LONGEST_SENTENCE, Sentence, sentences
from agentmem.extractors.findings import as_date_words, due_within
from agentmem.extractors.gates import HIDDEN, READ_CHARACTERS, assistants_words
from agentmem.interfaces import ExtractedFact
from agentmem.records import Memory
from agentmem.retrieval.dates import time_spans

_WILL: Final = ("'ll ", "’ll ", "I will", "i will", "I promise", "et me ", "going to")
"""One of which every promise holds; found much faster than a pattern."""
_GATE: Final = re.compile(
    r"\bI promise\b|\b(?:I['’]ll|I will|let me|I['’]m going to|I am going to)\b[^.!?\n]{0,160}?\b(?:tomorrow|tonight"
    r"|today|this (?:week|evening|afternoon|morning|weekend)|next (?:week|month|time)"
    r"|(?:mon|tues|wednes|thurs|fri|satur|sun)day|in (?:an?|a few|[0-9]+|two|three) (?:hour|minute|day|week)s?"
    r"|remind you|back (?:to you|in with you)"
    r"|you back|in the next (?:commit|session|lesson|release|version|round|meeting|call)|on the [0-9]"
    r"|look into|find out|check with|ask|follow up|check in|send you|email you|message you|report back|be in touch"
    rf"|let you know (?:when|once|as soon|by)|(?:{'|'.join(v.MONTHS)}) [0-9]"
    rf"|[0-9](?:st|nd|rd|th)? (?:of )?(?:{'|'.join(v.MONTHS)}))\b",
    re.IGNORECASE,
)
_LEAD: Final = (
    r"(?:(?:sure|of course|great|okay|ok|alright|all right|got it|absolutely|no problem|no worries|thanks|thank you"
    r"|perfect|certainly|understood|noted|yes|will do|sounds good|good (?:idea|question)|done|deal"
    r"|i'm not sure|i don't know(?: yet)?|and|then|also|so|well|in the"
    r" meantime|meanwhile|tomorrow(?: morning| evening)?|tonight|(?:on )?(?:mon|tues|wednes|thurs|fri|satur|sun)day"
    r"|next week|[a-z]+(?= *,))[ ,:;–—-]+){0,3}"
)
_PROMISE: Final = re.compile(
    rf"[\s\"'*_]*{_LEAD}(?:(?P<promised>i promise(?: that| you)? )(?:we'll|we will|i'll|i will)|(?P<vowed>i promise)"
    r"(?: you)? to|i(?:'ll| will|'m going to| am going to))"
    r"(?: (?:definitely|certainly|also|then|gladly|happily|just|surely|be sure to|make sure to|go ahead and))*"
    r" (?P<deed>(?P<verb>[a-z]+(?:-[a-z]+)?)\b.*)"
)
_LET_ME: Final = re.compile(
    rf"[\s\"'*_]*{_LEAD}let me (?P<deed>[a-z].{{2,80}}?\band (?:then )?(?:i'll )?(?:get back to you|report back"
    r"|follow up(?: with you)?|let you know)\b.*)"
)
_DEFERRED: Final = re.compile(
    r"(?:get back to you|report back|follow up(?: with you)?|check (?:back )?in (?:with you|on you)|remind you"
    r"|you back|in the next (?:commit|session|lesson|release|version|round|meeting|call)|on the [0-9]"
    r"|look into|find out|check with|ask (?!you\b)|(?:send|e-?mail|message) you (?!to\b)|be in touch"
    r"|let you know (?:when|once|as soon as)|(?:call|ring|phone) you back)"
)
_LATER: Final = re.compile(
    r"\b(?:next time|in the next (?:commit|session|lesson|release|version|round|meeting|call))\b"
)
_READIES: Final = re.compile(r"have [^.!?]{3,60}? ready\b")
_CONDITION: Final = re.compile(
    r"\b(?:if|unless|whenever|in case|should you|would you like|let me know|please|feel free|as soon as you|(?:when"
    r"|once|after|until) you|like you|as you (?:like|wish)|of course not"
    r"|remind you (?:that|of))\b|:|\?"
)
_DONE_HERE: Final = v.words(
    "be help suggest provide recommend explain outline need assume try do share give list show break walk guide keep "
    "remember answer use start begin focus describe assist offer highlight include cover refer respond note add love "
    "like have want never always"
)
"""Verbs of what stands in the same answer, or is no deed."""
_DEED_ENDS: Final = re.compile(
    r"[.!?;\n]|,? (?:so that|so you|so we|because|but|since|while|which)\b|, (?:and|then|so|as|okay|ok|alright|too)\b"
    r"| (?:–|—|-) | (?:when|once|as soon as|before|after) (?:i|we|it|they|you|he|she|the|my)\b"
)
_DATE_LEADS: Final = re.compile(
    r"(?:[\s,]+(?:on|in|at|by|for|this|next|early|late|the|around|before|until|of))*[\s,]*$"
)
_MOST_WORDS: Final = 16
_YOURS: Final = (
    (re.compile(r"\byourself\b", re.IGNORECASE), "themselves"),
    (re.compile(r"\byours\b", re.IGNORECASE), "the user's"),
    (re.compile(r"\byour\b", re.IGNORECASE), "the user's"),
    (re.compile(r"\byou\b", re.IGNORECASE), "the user"),
)
_THE_ASSISTANTS: Final = tuple((said, meant.replace("user", "assistant")) for said, meant in _YOURS)
_MINE: Final = (
    (re.compile(r"\bmyself\b", re.IGNORECASE), "themselves"),
    (re.compile(r"\b(?:my|our)\b", re.IGNORECASE), "their"),
    (re.compile(r"\b(?:me|us)\b", re.IGNORECASE), "them"),
)


def assistants_promises(turn: Memory) -> Iterator[ExtractedFact]:
    """The promises of a turn that the assistant said."""
    said = turn.content
    if len(said) > READ_CHARACTERS or not any(will in said for will in _WILL) or not _GATE.search(said):
        return
    words = assistants_words(turn)
    if words is None:
        return
    text, low = words
    for start, end in sentences(text, low):
        promise = _promise(text, low, start, end, turn.occurred_at)
        if promise is not None:
            yield promise.as_fact(turn)


class Promise(NamedTuple):
    """A deed with its place in the turn and the day it is for."""

    value: str
    start: int
    end: int
    begins: datetime | None
    due: datetime | None

    def as_fact(self, turn: Memory) -> ExtractedFact:
        return ExtractedFact(
            subject="assistant",
            attribute="commitment",
            value=self.value,
            polarity="affirmed",
            derived_from=turn.id,
            start=self.start,
            end=self.end,
            valid_from=self.begins,
            due=self.due,
        )


def reminder(sentence: Sentence, said_at: datetime) -> Promise | None:
    """What somebody wants to be reminded of: "Remind me to call Mum on Friday"."""
    asked = _REMIND.match(sentence.low, sentence.starts[0], sentence.end)
    if asked is None or _CONDITION.search(asked["deed"].rstrip("?")) or asked["deed"].split()[0] in _NO_REMINDERS:
        return None
    start = asked.start("deed")
    deed = _deed(sentence.text, sentence.low, start, sentence.end, said_at, when=asked["when"] or "")
    is_named = deed is not None and (deed.value.casefold().split()[-1] not in _POINTING)
    if deed is None or not is_named or (asked["how"] == "about" and deed.due is None):
        return None
    value = f"remind the user {asked['how']} {_quoted_if_dangling(of_mine(deed.value))}"
    return deed._replace(value=value, start=sentence.starts[0])


_REMIND: Final = re.compile(
    rf"[\s\"'*_]*{_LEAD}(?:please,? )?(?:(?:can|could|would|will) you (?:please )?|i(?:'d like| want| need) you to )?"
    r"(?:make sure (?:to|you) |don't forget to |remember to )?(?:please )?remind me,? "
    r"(?:again )?(?P<when>(?:(?:tomorrow|tonight|today|on [a-z]+|next [a-z]+|this [a-z]+|in [a-z0-9]+ [a-z]+)"
    r"(?: (?:morning|afternoon|evening|night))?,? )?)(?P<how>to|about) (?P<deed>[a-z].*)"
)
_NO_REMINDERS: Final = v.words("always never not how what")


def _promise(text: str, low: str, start: int, end: int, said_at: datetime) -> Promise | None:
    if end - start > LONGEST_SENTENCE:
        return None
    match = _LET_ME.match(low, start, end) or _PROMISE.match(low, start, end)
    if match is None or _CONDITION.search(low, start, end):
        return None
    begins = match.start("deed")
    is_put_off = match.re is _LET_ME or _DEFERRED.match(low, begins) is not None
    if not is_put_off and match["verb"] in _DONE_HERE and not _READIES.match(low, begins):
        return None
    deferred = is_put_off or match["promised"] or match["vowed"] or _LATER.search(low, begins, end)
    deed = _deed(text, low, begins, end, said_at, when=low[start:begins])
    if deed is None or not _says_what(deed.value) or (deed.due is None and not deferred):
        return None
    return deed._replace(value=_POINTS_BACK.sub("", of_yours(deed.value)), start=begins)


def _deed(text: str, low: str, start: int, end: int, said_at: datetime, *, when: str) -> Promise | None:
    """The deed from a place on, without the words for its day; ``when`` is what stood before it and may name one."""
    stop = _DEED_ENDS.search(low, start, end)
    end = stop.start() if stop else end
    said = text[start:end]
    spans = time_spans(_FUTURE + as_date_words(said), said_at=said_at)
    value = said
    if len(spans) == 1 and spans[0].tense != "past":
        before = _DATE_LEADS.sub("", said[: spans[0].start - len(_FUTURE)])
        value = f"{before} {said[spans[0].end - len(_FUTURE) :].strip()}".strip()
    elif spans:
        return None
    elif when:
        spans = time_spans(_FUTURE + when, said_at=said_at)
    value = " ".join(value.split()).strip(" \"'“”,;:.")
    if not value or len(value.split()) > _MOST_WORDS or HIDDEN in value:
        return None
    if not spans and (day := _day_of_month(said, said_at)):
        value = " ".join(_BARE_DAY.sub("", value, 1).split())
        return Promise(value, start, end, day, day + timedelta(days=1, seconds=-1)) if value else None
    if len(spans) != 1 or spans[0].ends <= said_at:
        return Promise(value, start, end, None, None)
    return Promise(value, start, end, spans[0].begins, due_within(spans[0]))


def _day_of_month(said: str, said_at: datetime) -> datetime | None:
    """The next day to come that "on the 28th" may mean."""
    found = _BARE_DAY.search(said)
    today = said_at.replace(hour=0, minute=0, second=0, microsecond=0)
    days = (today + timedelta(days=ahead) for ahead in range(62)) if found else ()
    return next((day for day in days if found and day.day == int(found[1])), None)


def _says_what(value: str) -> bool:
    """True if the deed is more than "look into it"."""
    rest = value.casefold().split()[1:]
    return bool(rest) and not _POINTING.issuperset(rest)


def _quoted_if_dangling(deed: str) -> str:
    """The deed, in quotes where it speaks of somebody who was named elsewhere: whom "him" means, it does not say."""
    return f'"{deed}"' if _SOMEBODY.search(deed) else deed


def of_yours(deed: str) -> str:
    """What an assistant does, in the words of a third: "send the user the plan" for "send you the plan"."""
    return _reworded(deed, _YOURS)


def of_the_assistants(deed: str) -> str:
    """What a user does for the assistant, in the words of a third: "send the assistant the plan"."""
    return _reworded(deed, _THE_ASSISTANTS)


def of_mine(deed: str) -> str:
    """What a user does, in the words of a third: "water their plants" for "water my plants"."""
    return _reworded(deed, _MINE)


def _reworded(deed: str, words: tuple[tuple[re.Pattern[str], str], ...]) -> str:
    for said, meant in words:
        deed = said.sub(meant, deed)
    return deed


_SOMEBODY: Final = re.compile(r"\b(?:him|her|hers|his|he|she)\b", re.IGNORECASE)
_POINTS_BACK: Final = re.compile(
    r"^(?:think about|think over|look into|check|look at|look|find out|ask about) (?:that|it|this|them|those)"
    r"(?: over| up)? and (?=get back to|report back|follow up|let )"
)
"""What says nothing by itself: "look into it and get back to the user"."""
_BARE_DAY: Final = re.compile(
    r"\bon the ([1-9]\d?)(?:st|nd|rd|th)\b(?! (?:of|floor|time|try|day|street|avenue|page)\b)"
)
_FUTURE: Final = "I will "
"""Tells the grammar of dates which of two Septembers is meant."""
_POINTING: Final = v.words("it them that those this these there one ones into on up to with about for at")
