"""Whether a sentence means what some words of it say: what is asked, supposed or denied in it is not so.

Small gates for facts that a model cites, whatever its quote leaves out. They doubt too much rather than too little.
Questions are known by their mark in any language and denials by the words of several, all else in English.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from agentmem.extractors.vocabulary import words

Doubt = Literal["asked", "supposed", "negated"]
Span = tuple[int, int]


def sentence_around(text: str, at: int) -> Span:
    """Where the sentence stands that holds this character, its closing mark included; a line break alone ends none."""
    start = 0
    for match in _END.finditer(text):
        if match[0] == "." and _ABBREVIATED.search(text, max(start, match.start() - 8), match.start()):
            continue
        if match.end() > at:
            return start, match.end()
        start = match.end()
    return start, len(text)


def doubt(text: str, quote: Span, value: Span, *, attribute: str, affirmed: bool) -> Doubt | None:
    """Why the sentence around the value does not mean it; None if it seems to.

    Args:
        quote: The words that are said to state it. value: Where in them the value stands.
        affirmed: True if it is taken to be so: what is not, or no longer, may well stand behind a "not".
    """
    start, end = sentence_around(text, value[0])
    said = _plain(text[start:end])
    before, behind = said[: value[0] - start], said[value[1] - start :]
    is_wish = attribute == "instruction" and _WANTS.search(said) is not None
    if not is_wish and _asked_from(said) <= len(before):
        return "asked"
    if (_CONDITION if is_wish else _SUPPOSED).search(_TURN.split(before)[-1]):
        return "supposed"
    if not affirmed:
        return None
    harmless = _CANNOT_EAT if attribute == "allergy" else _HARMLESS
    is_denied = (
        _NEGATION.search(harmless.sub(" ", _NEW_CLAUSE.split(before)[-1]))
        or _NO_MORE.match(behind)
        or _DENIED_BEHIND.match(behind[: max(quote[1] - value[1], 0)])
    )
    return "negated" if is_denied else None


def denies(words: str) -> bool:
    """True if the words hold a negation: "not use emojis"."""
    return _NEGATION.search(_plain(words)) is not None


def is_of_another(text: str, value: Span) -> bool:
    """True if the clause up to the value tells of a relative or friend of the speaker's, and not of the speaker too."""
    start, _ = sentence_around(text, value[0])
    clause = _NEW_CLAUSE.split(_plain(text[start : value[0]]))[-1]
    return _ANOTHER.match(clause) is not None and _SPEAKER.search(clause) is None


def is_wish(text: str, value: Span) -> bool:
    """Whether the value may be what somebody wants done: more than a thing's name, and nobody's own deed."""
    wanted = text[slice(*value)]
    if max(wanted) >= _FIRST_UNSPACED:
        return len(wanted) > 2
    said = _WORD.findall(wanted)
    if len(said) < 2 or said[0].lower() in _BEGINS_NO_DEED or all(word[0].isupper() for word in said):
        return False
    start, _ = sentence_around(text, value[0])
    before = _NEW_CLAUSE.split(_plain(text[start : value[0]]))[-1]
    return _SOMEBODY.search(before) is None or _WANTS.search(before) is not None


def _plain(text: str) -> str:
    """In lower case with plain apostrophes, character for character."""
    low = text.lower()
    return (low if len(low) == len(text) else text).translate(_APOSTROPHES)


def _asked_from(said: str) -> int:
    """Where in a sentence its question begins; behind its end if it asks nothing."""
    if _INVERTED.match(said):
        return 0
    if not _QUESTION_MARK.search(said[-6:]):
        return len(said) + 1
    if _OPENS_QUESTION.match(said) or _TAG.search(said):
        return 0
    return max((match.start() for match in _QUESTION_FOLLOWS.finditer(said)), default=0)


_FIRST_UNSPACED: Final = "\u2e80"
"""From here on, more or less, scripts are written without spaces."""
_APOSTROPHES: Final = str.maketrans("’‘ʼ", "'''")
_WORD: Final = re.compile(r"\w[\w'’-]*")

# --- sentences ------------------------------------------------------------------------------------

_END: Final = re.compile(
    r"[.!?…؟]+[\"'”’)\]]{0,3}(?=\s|$)|[。！？]|\n[ \t]*(?=\n)|\n(?=[ \t]{0,8}(?:[-*•–]|\d{1,2}[.)])[ \t])"
)
_ABBREVIATED: Final = re.compile(r"\b(?:dr|mr|mrs|ms|st|prof|jr|sr|vs|e\.g|i\.e|[a-z])$", re.IGNORECASE)
_TURN: Final = re.compile(r";|(?<!nothing )\bbut\b")
"""What is supposed before it is not supposed behind it."""
_NEW_CLAUSE: Final = re.compile(
    rf"{_TURN.pattern}|\bhowever\b|\binstead\b|[,—–]\s*(?:(?:and|so|because|since|as|though|now|actually|then)\s+)*"
    r"(?=(?:i|i'm|i've|i'll|we|we're|we've|my|our|he|she|they|it|it's|his|her|their)\b)"
)

# --- questions ------------------------------------------------------------------------------------

_QUESTION_MARK: Final = re.compile("[?？؟]")
_INVERTED: Final = re.compile(
    r"\W*(?:(?:and|but|so|or|then|hey|ok|okay|well)\b[\s,]*)*"
    r"(?:do|does|did|am|is|are|was|were|have|has|can|could|should|would|will)(?:n't)? (?:i|we|my|our|he|she|they)\b"
)
_OPENER: Final = (
    r"(?:(?:and|but|so|or|then|also|hey|ok|okay|well|anyway)\b[\s,]*)*"
    r"(?:what|how|who|where|when|why|which|do|does|did|is|are|am|was|were|can|could|would|will|should|have|has|any|you"
    r"|got|don't|isn't|aren't|what's|how's|where's|who's|mind)\b"
)
_OPENS_QUESTION: Final = re.compile(rf"\W*{_OPENER}")
_QUESTION_FOLLOWS: Final = re.compile(rf"(?:[,;:—–\n]|\b(?:and|but|so|or)\b)\s*{_OPENER}")
_TAG: Final = re.compile(
    r",\s*(?:right|no|yes|yeah|correct|ok|eh|huh|true|(?:is|was|are|am|do|does|did|have|has)(?:n't)? (?:it|i|we|he|she"
    r"|they|you))\s*[?!]+\W*$"
)

# --- what is supposed -----------------------------------------------------------------------------

_CONDITION: Final = re.compile(r"\b(?:if|unless|whether|when|whenever|in case)\b")
_SUPPOSED: Final = re.compile(
    r"\b(?:if|unless|whether|in case|wish|wished|wishes|imagine|imagining|suppose|supposing|supposedly|assuming|pretend"
    r"|pretending|hypothetically|maybe|perhaps|possibly|might|would|wouldn't|would've|could|couldn't|could've|dream"
    r"|dreamed|dreamt|dreaming|hope|hoping|hopefully|as though|let's say)\b"
    r"|'d (?:like|love|rather|prefer|be|live|work|move|go|have|say)\b"
)

# --- what is denied -------------------------------------------------------------------------------

_NEGATION: Final = re.compile(
    r"\b(?:not|never|nobody|no one|none|neither|nor|cannot|hardly|barely)\b|n't\b"
    r"|\b(?:do|does|did|is|are|was|were|have|has|had|ca|could|wo|would|ai|should)nt\b"
    r"|\bno\b(?!\s*(?:[,.:;!—–-]|i\b|we\b|my\b|doubt|matter|wonder|problem))"
    r"|(?<!'m )(?<!\bam )(?<!\bget )(?<!\bgot )(?<!\bgetting )\bused to\b"
    r"|\b(?:nicht|kein\w*|nie|niemals|nunca|jamás|não|pas|jamais|non|niet|geen|nooit|inte|ikke|не|нет|никогда)\b|没|不"
)
_HARMLESS: Final = re.compile(
    r"\bnot (?:only|just|to mention)\b|\b(?:don't|do not|never) forget\b|\bdon't (?:worry|mind|get me wrong)\b"
    r"|\bnever mind\b|\b(?:can't|cannot|couldn't) (?:wait|help|get enough|(?:live|do) without)\b|\bwhy not\b"
)
_CANNOT_EAT: Final = re.compile(
    r"\b(?:can't|cannot|can not|don't|do not|shouldn't|mustn't) (?:really )?(?:eat|have|drink|take|touch|tolerate"
    r"|digest)\b"
)
_NO_MORE: Final = re.compile(r"\W*(?:no longer|no more|any ?more|not any ?more)\b")
_DENIED_BEHIND: Final = re.compile(r"\W*(?:is|are|was|were|do|does|did|has|have|had)(?: not\b| never\b|n't\b)")

# --- whose it is ----------------------------------------------------------------------------------

_ANOTHER: Final = re.compile(
    r"\W*(?:(?:and|but|so|well|yes|no)\b[\s,]*)*(?:he|she|they|(?:my|our) (?:\w+ )?(?:brother|sister|sibling|mother"
    r"|father|mom|mum|dad|parent|son|daughter|child|kid|wife|husband|partner|spouse|boyfriend|girlfriend|fianc[eé]e?"
    r"|cousin|uncle|aunt|niece|nephew|grand\w+|friend|neighbou?r|colleague|boss|roommate|flatmate)s?)\b(?!')"
)
_SPEAKER: Final = re.compile(r"\b(?:i|i'm|i've|me|we|us|myself|ourselves)\b")

# --- wishes ---------------------------------------------------------------------------------------

_WANTS: Final = re.compile(
    r"\b(?:you|your|please|let)\b|\b(?:want|wants|prefer|prefers|expect|need|appreciate)\b(?! to\b)"
)
_SOMEBODY: Final = re.compile(r"\b(?:i|we|he|she|they|it|i'm|i've|we're|we've|my|our|his|her|their|there)\b")
_BEGINS_NO_DEED: Final = words(
    "a an the my your his her our their this that these those in on at with for of from into about by to i you he she "
    "we they it me us is are am was were very some any no"
)
