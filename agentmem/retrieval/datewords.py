"""The words that ``dates`` reads: phrases that may name a time, and the words around them that decide.

Every pattern reads a text in lower case with straight apostrophes. Runs of space are bounded, so that no text makes a
pattern slow.
"""

from __future__ import annotations

import re
from typing import Final

_MONTH: Final = "january|february|march|april|may|june|july|august|september|october|november|december"
MONTHS: Final = tuple(_MONTH.split("|"))
SEASONS: Final = {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}
"""The month each begins with, in the north."""
WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
STEPS: Final = {"last": -1, "past": -1, "this": 0, "next": 1, "coming": 1}
DECADES: Final = {"sixties": 1960, "seventies": 1970, "eighties": 1980, "nineties": 1990}
_TO_TWENTY: Final = (
    "one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fourteen|fifteen|sixteen|seventeen|eighteen"
    "|nineteen|twenty"
)
NUMBERS: Final = {
    **dict.fromkeys(("a", "an"), 1),
    **dict.fromkeys(("a couple of", "a couple", "couple of", "couple"), 2),
    **{word: number for number, word in enumerate(_TO_TWENTY.split("|"), start=1)},
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
}


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# --- phrases --------------------------------------------------------------------------------------

_S: Final = r"\s{1,3}"
_WEEKDAY: Final = "|".join(WEEKDAYS)
_SHORT_MONTH: Final = "jan|feb|mar|apr|jun|jul|aug|sept|sep|oct|nov|dec"
_SEASON: Final = "|".join(SEASONS)
_COUNT: Final = "|".join([*sorted(NUMBERS, key=len, reverse=True), "[0-9]{1,3}"]).replace(" ", _S)
_ANY_MONTH: Final = (
    rf"(?P<month>{_MONTH}|(?:{_SHORT_MONTH})(?![a-z]))"
    # A full stop after a whole name ends the sentence.
    rf"(?:(?<=\b[a-z]{{3}})(?<!\bmay)\.(?=\s{{1,3}}(?:the\s)?[0-9]))?(?!\w)"
)
_OF_YEAR: Final = (
    rf"(?:(?:,?{_S}(?:of{_S})?|,)(?:(?P<year>[12][0-9]{{3}})(?!\w|[-/][0-9])|(?P<which>last|this|next){_S}year(?!\w)))?"
)
_DAY: Final = (
    r"(?P<day>[0-9]{1,2})(?P<ordinal>st|nd|rd|th)?"
    r"(?:(?:\s?[-–]\s?|\s(?:to|through)\s)(?P<last>[0-9]{1,2})(?:st|nd|rd|th)?)?(?![\w%°])"
)
_ON_WEEKDAY: Final = rf"(?:(?P<weekday>{_WEEKDAY}),?{_S}(?:the{_S})?)?"
_BEGINS: Final = r"(?<![\w$€£@#/-])(?<![0-9][.:,–])"
"""Not within a word, an amount, a path, a range."""
_ENDS: Final = r"(?!\w|/|[-.:,][0-9])"

PHRASES: Final = {
    name: re.compile(_BEGINS + pattern)
    for name, pattern in {
        "iso": (
            r"(?P<year>[12][0-9]{3})(?P<one>[-/.])(?P<month>[0-9]{1,2})(?P<other>[-/.])(?P<day>[0-9]{1,2})"
            r"(?:[t ](?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})(?::[0-9]{2}(?:\.[0-9]{1,9})?)?"
            rf"(?P<zone>z|[+-][0-9]{{2}}:?[0-9]{{2}})?(?![\w:]))?{_ENDS}"
        ),
        "numeric": (
            r"(?P<first>[0-9]{1,2})(?P<one>[-/.])(?P<second>[0-9]{1,2})(?P<other>[-/.])(?P<year>[12][0-9]{3})"
            rf"{_ENDS}"
        ),
        "day_month": rf"{_ON_WEEKDAY}{_DAY}{_S}(?:of{_S})?{_ANY_MONTH}{_OF_YEAR}{_ENDS}",
        "month_day": rf"{_ON_WEEKDAY}{_ANY_MONTH}{_S}(?:the{_S})?{_DAY}{_OF_YEAR}{_ENDS}",
        "month": rf"(?:(?:early|mid|late)[\s-])?{_ANY_MONTH}{_OF_YEAR}{_ENDS}",
        "season": rf"(?P<season>{_SEASON})(?=,?\s[1-9oltn]){_OF_YEAR}{_ENDS}",
        "decade": (
            rf"(?P<the>the{_S})?(?:(?:early|mid|late)[\s-])?"
            rf"(?:(?P<full>(?:19|20)[0-9]0)'?s|'?(?P<short>[6-9]0'?s|{'|'.join(DECADES)}))(?!\w)"
        ),
        "year": rf"(?P<part>(?:early|mid|late)[\s-])?(?P<year>[12][0-9]{{3}})(?![%°]){_ENDS}",
        "named_day": (
            rf"(?:(?:the{_S})?(?P<beyond>day{_S}(?:before|after){_S}))?"
            r"(?P<day>yesterday|today|tonight|tomorrow|last night|this (?:morning|afternoon|evening))"
            rf"(?:{_S}(?:morning|afternoon|evening|night))?(?!\w)"
        ),
        "relative": (
            rf"(?P<which>last|next|this{_S}past|this{_S}coming|this|coming){_S}"
            rf"(?P<name>week|month|year|weekend|{_SEASON}|{_WEEKDAY}|{_MONTH})(?!\w|{_S}of(?!\w)|{_S}[0-9]|-\w)"
        ),
        "counted": (
            rf"(?P<count>{_COUNT}){_S}(?P<unit>minute|hour|day|weekend|week|month|year|decade)s?(?!\w)"
            rf"(?:{_S}(?P<side>ago|from{_S}(?:now|today))(?!\w))?"
        ),
        "weekday": rf"(?P<name>{_WEEKDAY})(?!\w)",
    }.items()
}
"""In the order of precedence where two begin at the same place."""

ANY_PHRASE: Final = re.compile(
    "|".join(
        f"(?P<{name}>{re.sub(r'[(][?]P<[a-z]+>', '(?:', phrase.pattern).removeprefix(_BEGINS)})"
        for name, phrase in PHRASES.items()
    ).join((f"{_BEGINS}(?:", ")"))
)
"""Its ``lastgroup`` names the phrase found."""

GATE: Final = re.compile(
    r"yesterday|to(?:day|night|morrow)|ago(?!\w)|from\s{1,3}(?:now|today)|[12][0-9]{3}|[0-9]0'?s"
    rf"|{'|'.join(DECADES)}|{_MONTH}|(?:{_SHORT_MONTH})\.?\s{{1,3}}(?:the\s)?[0-9]"
    rf"|[0-9](?:st|nd|rd|th)?\s{{1,3}}(?:of\s{{1,3}})?(?:{_SHORT_MONTH})|on\s{{1,3}}(?:{_WEEKDAY})"
    r"|(?:last|this|next|coming|past)\s{1,3}"
    rf"(?:week|month|year|night|morning|afternoon|evening|{_SEASON}|{_WEEKDAY}|{_MONTH})"
    rf"|in\s{{1,3}}(?:{_COUNT})\s{{1,3}}(?:minute|hour|day|week|month|year|decade)"
)
"""Finds something in every text that names a time, and nothing in most others."""

_CLOCK: Final = (
    r"(?=(?:1[0-2]|0?[1-9])(?::[0-5][0-9])?\s?[ap]\.?m(?!\w)|(?:1[3-9]|2[0-3]):[0-5][0-9](?!\w))"
    r"(?P<hour>[0-9]{1,2})(?::(?P<minute>[0-9]{2}))?(?:\s?(?P<half>[ap])\.?m)?"
)
CLOCK_AFTER: Final = re.compile(rf",?{_S}(?:(?:at|@){_S})?{_CLOCK}(?!\s?[-–])")
CLOCK_BEFORE: Final = re.compile(rf"(?<!\w)at{_S}{_CLOCK}{_S}(?:on{_S})?$")

# --- what stands around a phrase ------------------------------------------------------------------

WORD_BEFORE: Final = re.compile(r"([\w'-]+)\s{1,3}$")
SENTENCE_END: Final = re.compile(r"[.!?;\n]+(?=\s|$)")
CAPITALIZED: Final = re.compile(r"\s{1,3}[A-Z]")
STANDS_ALONE: Final = re.compile(
    r"\s{0,3}(?:$|\n|[^\w\s%°$€£/+*=^<>.,:–-]|[.,:](?![0-9])|[–-](?!\w)|(?:i|we|he|she|they|it|you|my|our|his|her|their"
    r"|its|the|an?|this|that|there|and|or|but|when|where|while|because|so|as|at|in|on|with|for|to|from|by|after|before"
    r"|during|until|till|through|since|if|than|then|is|was|were|are|has|have|had|did|do|does|will|would|which|who|not"
    r"|just|only|also|both|around|near|last|next|too|again)(?!\w))"
)
"""No thing that could be counted or numbered follows: "in 2019 we", not "in 2019 dollars"."""
MONTH_NOT_ALONE: Final = re.compile(rf"'|-\w|{_S}(?:of|last|this|next|[0-9])")
WEEKDAY_NOT_ALONE: Final = re.compile(
    rf"'|\s?[-–/&]|{_S}(?:mornings|afternoons|evenings|nights|of|last|this|next)(?!\w)"
    rf"|,?\s{{1,3}}(?:(?:and|or|to|through|thru|till|until){_S})?(?:{_WEEKDAY})"
)
FALLS: Final = re.compile(
    rf"{_S}(?:apart|under|into|flat|short|from|upon|to{_S}mind|down|through|off|within|back)(?!\w)"
)
NOT_A_DAY: Final = re.compile(
    r"'s\s(?:world|society|age|youth|standards?|kids|generation|leaders|children|technology|culture|economy|market|fast)"
    r"|\sshow(?!\w)"
)
NOT_A_POINT: Final = re.compile(rf"-|{_S}(?:of|or|old)(?!\w)")
LEADS_TO_DAY: Final = _words("on by until till since from before after for of between and to")
DETERMINERS: Final = _words("the my your his her its our their a an at very every each that these those")
VERB_BEFORE: Final = _words("does did do let make made watch would will could can should might may to why how")
INEXACT: Final = _words("or to and over than least most nearly almost under half few up every some")
NOT_THAT_DAY: Final = {
    "yesterday": re.compile(
        r"\b(?:born|like|seems|like it (?:was|were)|as (?:if|though) it (?:was|were))\s(?:(?:just|only)\s)?$"
    ),
    "today": re.compile(
        r"\b(?:even|still|of|known|world|society|civilizations|until|exists?)\s$"
        r"|\b(?:societ(?:y|ies)|modern|contemporary|continues? to|still (?:relevant|used|practi[cs]ed|in use))\b"
    ),
    "tomorrow": re.compile(r"\b(?:a|no|the|of|better|brighter|new|for)\s(?:[a-z]+\s)?$"),
    "tonight": re.compile(r"\bthe\s$"),
    "last night": re.compile(r"\b(?:the|my|your|his|her|its|our|their|a)\s$"),
}
"""What is said before it when "today" is nowadays, "yesterday" long ago, "tomorrow" the future."""
TITLES: Final = frozenset({1917, 1923, 1984, 2001, 2010, 2012, 2046, 2049, 2077})
FICTION: Final = re.compile(r"\b(?:book|novel|film|movie|orwell|read|reading|watch|watched|watching|album|song|game)\b")
MEASURES: Final = re.compile(
    r"\b(?:degrees?|temperatures?|fahrenheit|weather|hot|heat|humid|humidity|scor(?:es?|ed|ing)|grades?|percent|percentile|aged?"
    r"|bpm|mph|iq)\b"
)
ANY_YEAR: Final = re.compile(r"(?<![\w$])(?:1[5-9]|20)[0-9]{2}(?!\w)|\byears?\b")
YEAR_AS_SUBJECT: Final = re.compile(
    r"\s(?:was|is|will be|has been|had been)\s"
    r"(?:when\b|(?:an?|the|my|our|such an?)\s(?:[a-z]+\s){0,2}(?:year|time|one)\b)"
)
YEAR_CUE: Final = re.compile(
    r"\b(?:in|since|during|until|till|throughout|year"
    rf"|(?:end|start|beginning|middle|rest|half|{_SEASON}|{_MONTH}) of)\s$"
)
OLD_YEAR_CUE: Final = re.compile(
    r"\b(?:year|(?:born|died|built|founded|established|written|published|invented|painted|composed|back) in|circa)\s$"
)
REPEATED: Final = re.compile(r"\b(?:times?|once|twice|[0-9]+\s?[a-z]+)\sin\s{1,3}$")
RECURRING: Final = re.compile(
    r"\b(?:every|each|usually|always|often|normally|typically|generally|sometimes|annual|annually|yearly|if|whenever"
    r"|used to|born|birthday|birthdays|anniversary|tends?|imagine|suppose|hypothetically)\b"
)

# --- tense ----------------------------------------------------------------------------------------

_PARTICIPLE: Final = (
    "[a-z]{2,}ed|made|met|found|told|said|bought|brought|taught|caught|sold|lost|won|built|kept|held|spent|heard"
)
TENSE: Final = re.compile(
    # Participles after a form of "to be" or an article are no past: "it is held", "the limited edition", "I've moved".
    r"\b(?:be|is|are|am|been|being|gets?|getting|not|so|very|an?|the|my|your|his|her|our|their)\s(?:\w+ly\s)?"
    rf"(?:{_PARTICIPLE})\b|'(?:s|m|re|ve)\s(?:\w+ly\s|been\s)?(?:{_PARTICIPLE})\b"
    # What is planned or wanted in the past may lie ahead.
    r"|\b(?:planned|scheduled|booked|decided|excited|interested|tired|supposed|expected|worried|scared|based|related"
    r"|limited|advanced|detailed|recommended|preferred|required|invited|signed|registered|enrolled|applied|wondered"
    r"|reminded|asked|wanted|hoped|intended|agreed|promised|reserved|offered|accepted|located|called|named|prepared"
    r"|married|need|feed|speed|hundred|indeed|exceed|proceed|succeed|embed|breed|bleed|naked|sacred|aged|used|wished"
    r"|inspired|motivated|confirmed)\b"
    rf"|(?P<past>\b(?:{_PARTICIPLE}|was|were|had|did|didn't|wasn't|weren't|hadn't|couldn't|went|got|saw|came|took|gave"
    r"|knew|began|ran|wrote|spoke|drove|flew|ate|drank|slept|fought|stood|became|broke|fell|forgot|grew|rode|sang|swam"
    r"|threw|wore|woke|felt|(?:i|we|he|she|they|you)\s(?:left|thought|read|put|cut|quit|hurt))\b)"
    r"|(?P<future>\b(?:will|won't|shall|gonna|going to|plans?|planning|upcoming|coming|tomorrow|next|let's|see you"
    r"|can't wait|looking forward|hope to|hoping to|want to|would like to|need to|due|(?:can|could|should) we"
    r"|thinking of)\b|'ll\b|'d (?:like|love) to\b"
    r"|(?:'m|'re|'s|\bam|\bis|\bare)\s(?:moving|flying|going|leaving|starting|coming|having|hosting|visiting"
    r"|travell?ing|attending|meeting|launching|joining|returning|throwing|performing|getting married)\b"
    r"|\bhave\san?\s(?:\w+\s)?(?:meeting|appointment|interview|exam|flight|date|call|deadline|presentation)\b)"
)
CLAUSE_END: Final = re.compile(
    r"[,:]\s|\s[-–—]\s|\s(?:and|but|so|because|while|since)\s(?=(?:now\s|then\s)?(?:i|we|he|she|they|it|you|my|our|there)\b)"
)
PRESENT: Final = re.compile(
    r"\b(?:am|is|are|has|have|do|does|don't|doesn't|can|can't|could|may|might|must|should|would|if)\b|'(?:m|re|ve)\b"
)
"""A verb that tells neither past nor future."""
