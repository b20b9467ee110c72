"""Rules for who somebody is, where they come from and live, and how to reach them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_health import diet_at, illnesses
from agentmem.extractors.about_people import relation
from agentmem.extractors.about_tastes import languages
from agentmem.extractors.clauses import Clause, Sentence, is_stated
from agentmem.extractors.findings import Found, follows
from agentmem.extractors.phrases import Span, named, place_at


def called(clause: Clause) -> Iterator[Found]:
    found, _ = named(clause.sentence, clause.verb + 1)
    if found is None:
        return
    if clause.who == "i":
        yield Found("name", found)
    elif clause.who == "they" and clause.name is None:
        yield relation(clause.subject, clause.sentence.said(*found), found)


def goes_by(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "by the name of", "by the name", "by")
    found, _ = named(clause.sentence, place) if place else (None, 0)
    if found:
        yield Found("name", found)


def age(clause: Clause) -> Iterator[Found]:
    """A number behind "I'm" that can be nothing else: "34", "34 years old", "34 and …"; not "34 minutes late"."""
    sentence = clause.sentence
    words = sentence.words
    has_turned = words[clause.verb] == "turned"
    place = clause.verb + has_turned
    if place >= len(words) or not words[place].isdigit() or sentence.breaks[place] not in ("", ","):
        return
    if sentence.rest(place)[:1] == "," and sentence.rest(place)[1:2].isdigit():
        return
    youngest = 5 if clause.who == "i" else 1
    if youngest <= int(words[place]) < 111 and (has_turned or _NOTHING_ELSE.match(sentence.rest(place))):
        yield Found("age", (place, place + 1))


_NOTHING_ELSE: Final = re.compile(
    r"(?: (?:years?|yrs?)[ -](?:old|young|of age)| y/?o)?(?:(?:[.!)]*\s*$|[,;!)]|\.\s)| ?[—–-] | (?:and|but|so|now"
    r"|today|btw"
    r"|with|from)\b)"
)


def turned(clause: Clause) -> Iterator[Found]:
    words = clause.sentence.words
    if words[clause.verb + 1 : clause.verb + 2] and words[clause.verb + 1] in v.DIETS and not clause.negated:
        yield Found("diet", (clause.verb + 1, clause.verb + 2), polarity="affirmed")
    if _LONG_AGO.search(clause.sentence.low, clause.sentence.start, clause.sentence.end):
        return
    if clause.verb + 1 < len(words) and words[clause.verb + 1].isdigit():
        yield from age(clause)


_LONG_AGO: Final = re.compile(r"\b(?:19|20)\d\d\b|\bago\b|\bwhen\b|\bback in\b|\bbefore\b|\bthe (?:day|year|month)\b")


def spelled_age(word: str) -> int | None:
    """34 for "thirty-four"."""
    tens, _, ones = word.partition("-")
    if tens not in v.TENS or (ones and ones not in v.NUMBERS):
        return None
    return v.TENS[tens] + (v.NUMBERS[ones] if ones else 0)


def short_age(clause: Clause) -> Iterator[Found]:
    found = re.match(r"(\d{1,3})(?:yo|y/o|yrs?)$", clause.sentence.words[clause.verb])
    if found and 4 < int(found[1]) < 111:
        yield Found("age", (clause.verb, clause.verb + 1), value=found[1])


_DAY: Final = re.compile(
    rf"(?:the )?(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{'|'.join(v.MONTHS)})\b"
    rf"|(?P<month2>{'|'.join(v.MONTHS)})\.? (?:the )?(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b)"
    r"(?:,? (?:of |in )?(?P<year>(?:19|20)\d\d)\b)?"
)


def birthday_at(sentence: Sentence, place: int) -> Iterator[Found]:
    if place >= len(sentence.words):
        return
    found = _DAY.match(sentence.low, sentence.starts[place])
    if found is None:
        return
    day, month = int(found["day"] or found["day2"]), v.MONTHS[found["month"] or found["month2"]]
    if not 1 <= day <= (29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31):
        return
    written = f"{day} {v.MONTH_NAMES[month - 1]}" + (f" {found['year']}" if found["year"] else "")
    end = next((at for at in range(place, len(sentence.words)) if sentence.ends[at] >= found.end()), place)
    yield Found("birthday", (place, end + 1), value=written)


_IS_BIRTHDAY: Final = re.compile(r" is (?:also )?my (?:birthday|bday|b-day)\b")


def birthday_said(sentence: Sentence) -> Iterator[Found]:
    """Reads "14 March is my birthday", "it's my birthday on 14 March"."""
    low, end = sentence.low, sentence.end
    found = _IS_BIRTHDAY.search(low, sentence.start, end)
    if found is None:
        return
    for day in _DAY.finditer(low, sentence.start, found.start()):
        place = next((at for at, start in enumerate(sentence.starts) if start >= day.start()), 0)
        if day.end() == found.start() and is_stated(sentence, place, place + 1):
            yield from birthday_at(sentence, place)


def lives(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    place = follows(
        clause, "in", "out in", "over in", "near", "back in", "here in", "down in", "up in", "alone in", (
            "with my family in"
        ),
        "with my parents in", "together in", "outside", "just outside", "outside of", "just outside of",
    ) or _further_in(sentence, clause.verb + 1)  # fmt: skip
    if clause.past:
        return
    if follows(clause, "with") and clause.who != "we":
        yield from illnesses(sentence, clause.verb + 2)
    elif eaten := follows(clause, "on"):
        yield from diet_at(sentence, eaten)
    if not place:
        return
    found = place_at(sentence, place) or _dwelling(sentence, place)
    if found is None:
        return
    if (
        clause.have
        and sentence.words[clause.verb] == "lived"
        and not re.search(r"\b(?:for|since|all my life)\b", sentence.rest(found[1] - 1))
    ):
        return
    if clause.used_to or sentence.words[clause.verb] != "lived" or clause.have:
        yield Found("home", found)


def _further_in(sentence: Sentence, place: int) -> int:
    """The place after the "in" of "with my two cats in", "alone and happily in"; 0 if there is none."""
    words = sentence.words
    if words[place : place + 1] and words[place] in _LIVES_HOW:
        for at in range(place, min(place + 8, len(words))):
            if sentence.breaks[at] or words[at] in v.VERBS or words[at] in ("who", "that", "which", "somewhere"):
                return 0
            if words[at] == "in":
                return at + 1
    return 0


_LIVES_HOW: Final = v.words("with alone together happily here there still right by just on")


def _dwelling(sentence: Sentence, place: int) -> Span | None:
    """Where the flat is: "in a small flat in Leeds"."""
    words = sentence.words
    if words[place : place + 1] not in (["a"], ["an"], ["the"], ["my"], ["our"]):
        return None
    for at in range(place + 1, min(place + 6, len(words) - 1)):
        if sentence.breaks[at]:
            return None
        if words[at] in v.DWELLINGS and words[at + 1] in ("in", "near", "outside"):
            return place_at(sentence, at + 2)
    return None


def moved(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    if clause.negated:
        return
    place = follows(
        clause, "to", "back to", "over to", "out to", "down to", "up to", "here to", "away to", "into", "in to"
    )
    if not place:
        out = follows(clause, "out of", "away from")
        source = follows(clause, "from", "here from", "back from")
        left = place_at(sentence, out) if out else None
        if left:
            yield Found("home", left, polarity="ended")
        start = place_at(sentence, source) if source else None
        to = start[1] if start else 0
        if start and sentence.words[to : to + 1] == ["to"] and (found := place_at(sentence, to + 1)):
            yield Found("home", found, polarity="affirmed")
        return
    found = place_at(sentence, place) or _dwelling(sentence, place)
    if found and not re.search(
        r"\bwhen i was\b|\bas a (?:kid|child|baby|teen)|^,? (?:and |but )?(?:then|later|back)\b|\b(?:and|then) (?:back"
        r" )?to\b|\bfor (?:a|an|one|two|three|six|the) (?:summer|month|months|year|years|semester)",
        sentence.rest(found[1] - 1),
    ):
        yield Found("home", found, polarity="affirmed")


def ended_up(clause: Clause) -> Iterator[Found]:
    """Reads "ended up moving to Turin", "ended up in Turin"."""
    place = follows(clause, "up in", "up living in", "up moving to", "up back in", "up settling in")
    found = place_at(clause.sentence, place) if place and not clause.negated else None
    if found and _stays(clause.sentence, found):
        yield Found("home", found, polarity="affirmed")


def is_back(clause: Clause) -> Iterator[Found]:
    """Reads "I'm back in Dublin": home, unless it is for a while."""
    place = follows(clause, "in", "home in", "living in")
    found = place_at(clause.sentence, place) if place and not clause.negated else None
    if found and _stays(clause.sentence, found):
        yield Found("home", found)


def is_in(clause: Clause) -> Iterator[Found]:
    """Reads "I'm in Porto these days"; without that it may be a journey."""
    found = place_at(clause.sentence, clause.verb + 1)
    if found and not clause.negated and _THESE_DAYS.match(clause.sentence.rest(found[1] - 1)):
        yield Found("home", found)


_THESE_DAYS: Final = re.compile(r",? (?:these days|nowadays|for good)\b")
_AWAY: Final = re.compile(
    r"\b(?:for (?:a|an|the|my|our|one|two|three|some|work|business|\d+)\b(?! (?:good|while))|on (?:business|holiday"
    r"|vacation)"
    r"|visit\w*|until|till|this (?:week|weekend|afternoon|morning)|today|tonight|tomorrow|hotel|airport|hostel"
    r"|airbnb)\b"
)


def _stays(sentence: Sentence, place: Span) -> bool:
    return _AWAY.search(sentence.rest(place[1] - 1)) is None


def made_home(clause: Clause) -> Iterator[Found]:
    """Reads "made Bologna our home"."""
    found = place_at(clause.sentence, clause.verb + 1)
    words = clause.sentence.words
    if found and not clause.negated and words[found[1] : found[1] + 2] in (["our", "home"], ["my", "home"]):
        yield Found("home", found, polarity="affirmed")


def calls_home(clause: Clause) -> Iterator[Found]:
    """Reads "I call Porto home"."""
    found = place_at(clause.sentence, clause.verb + 1)
    if found and not clause.negated and clause.sentence.words[found[1] : found[1] + 1] == ["home"]:
        yield Found("home", found)


def home_is(sentence: Sentence) -> Iterator[Found]:
    """Reads "Home is Lyon these days"."""
    words = sentence.words
    start = next((at for at, word in enumerate(words) if word not in v.FILLERS), 0)
    if words[start : start + 2] != ["home", "is"] or not is_stated(sentence, start, start + 2):
        return
    place = start + 2
    while words[place : place + 1] and words[place] in ("now", "currently", "in"):
        place += 1
    if found := place_at(sentence, place):
        yield Found("home", found, polarity="affirmed")


def settled(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "in", "down in")
    found = place_at(clause.sentence, place) if place and not clause.negated else None
    if found:
        yield Found("home", found, polarity="affirmed")


def changed(clause: Clause) -> Iterator[Found]:
    """Reads "changed my name to Ana"."""
    place = follows(clause, "my name to", "my last name to")
    name = named(clause.sentence, place)[0] if place else None
    if name and not clause.negated:
        yield Found("name", name, polarity="affirmed")


def left_for(clause: Clause) -> Iterator[Found]:
    """Reads "left London for Margate"."""
    sentence = clause.sentence
    former = place_at(sentence, clause.verb + 1)
    if former and sentence.words[former[1] : former[1] + 1] == ["for"] and (new := place_at(sentence, former[1] + 1)):
        yield Found("home", new, polarity="affirmed")


def based(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "in", "out of")
    found = place_at(clause.sentence, place) if place else None
    if found:
        yield Found("home", found)


def comes_from(clause: Clause) -> Iterator[Found]:
    found = place_at(clause.sentence, clause.verb + 1)
    if found:
        yield Found("origin", found)


def born(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    place = follows(clause, "and raised in", "and bred in", "up in", "in")
    found = place_at(sentence, place) if place and not clause.negated else None
    if place and not found and sentence.words[place : place + 1] and sentence.words[place].isdigit():
        found = place_at(sentence, place + 2) if sentence.words[place + 1 : place + 2] == ["in"] else None
    if found and not clause.negated and sentence.words[found[0]] not in v.MONTHS:
        yield Found("origin", found, polarity="affirmed")
    yield from birthday_at(sentence, follows(clause, "on") or clause.verb + 1)


def grew(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "up in", "up near", "up outside", "up just outside", "up outside of", "up on")
    found = place_at(clause.sentence, place) if place and not clause.negated else None
    if found:
        yield Found("origin", found, polarity="affirmed")
    if (spoken := follows(clause, "up speaking", "up with")) and not clause.negated:
        yield from languages(clause.sentence, spoken)


_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")


_PHONE: Final = re.compile(r"\+?\(?\d[\d ()./-]{4,20}\d")


def contact(sentence: Sentence, place: int, attribute: str) -> Iterator[Found]:
    """An address or a number that stands at a place."""
    if place >= len(sentence.words):
        return
    pattern = _EMAIL if attribute == "email" else _PHONE
    start = sentence.starts[place] - (sentence.low[sentence.starts[place] - 1 : sentence.starts[place]] in ("+", "("))
    found = pattern.match(sentence.low, max(start, 0), sentence.end)
    if found is None or (attribute == "phone" and sum(map(str.isdigit, found[0])) < 6):
        return
    end = next((at for at in range(place, len(sentence.words)) if sentence.ends[at] >= found.end()), place)
    yield Found(attribute, (place, end + 1), value=sentence.text[found.start() : found.end()])


_FORMER: Final = re.compile(r"\b(?:was|were|old|former|no longer|used to|any ?more|not|don't|his|her|their|your)\b")


def _written_contact(sentence: Sentence) -> Found | None:
    """An address or a number behind "my …" or "… me"."""
    for attribute, pattern in (("email", _EMAIL), ("phone", _PHONE)):
        found = pattern.search(sentence.low, sentence.start, sentence.end)
        if found and _is_former(sentence, found, pattern):
            return None
        if found and _MINE.search(sentence.low, sentence.start, found.start()):
            place = next((at for at, end in enumerate(sentence.ends) if end > found.start()), 0)
            return next(contact(sentence, place, attribute), None)
    return None


def _is_former(sentence: Sentence, found: re.Match[str], pattern: re.Pattern[str]) -> bool:
    """True if the address is an old one or somebody else's, or there are two; "the old one is dead" is about "
    "another."""
    if pattern.search(sentence.low, found.end(), sentence.end) or _FORMER.search(
        sentence.low, sentence.start, found.start()
    ):
        return True
    former = _FORMER.search(sentence.low, found.end(), sentence.end)
    return former is not None and not sentence.low.startswith(("the old", "my old"), former.start() - len("the "))


_AFTER_NAMES: Final = v.words("and please instead btw from")
_NO_NAMES: Final = v.words(
    "crazy later back when asap maybe ishmael anytime stupid paranoid cynical weird biased lazy picky old-fashioned "
    "old names whatever anything again first out up over boss tonight soon sometime mad silly dumb naive selfish "
    "spoiled evil sir ma'am madam master daddy mommy a an skeptical cheesy traditional basic boring vain nerdy "
    "sentimental"
)
_REACH_ME: Final = re.compile(
    r"\b(?:reach|e-?mail|mail|write|write to|contact|text|call|ring|message|phone) me (?:at|on|under|via)(?: my)?(?:"
    r" e-?mail| number| cell| mobile)?:? "
)
_IS_MY: Final = re.compile(
    r" is my (?:new |personal |work |current )?(?P<what>e-?mail|(?:phone |cell |mobile )?number|cell|mobile)\b"
)


_MINE: Final = re.compile(
    r"(?:\bmy (?:(?:new|current|personal|private|work|business|home|phone|cell|mobile|contact|main|other|e-?mail|mail"
    r"|tele"
    r"phone|whatsapp) ){0,2}(?:e-?mail|mail|address|inbox|number|phone|cell|mobile|whatsapp)\b|\bi (?:have |got "
    r"|have got )?"
    r"a new (?:(?:phone|cell|mobile|work|e-?mail) )?(?:number|e-?mail|address|phone|mobile)\b"
    r"|\bi've (?:got )?a new (?:(?:ph"
    r"one|cell|mobile|work|e-?mail) )?(?:number|e-?mail|address|phone|mobile)\b|\b(?:e-?mail|mail"
    r"|write|reach|contact|text|call|ring|message|line|note|whatsapp|get|find)(?: to)? (?:me|us)\b|\bto"
    r" me\b)[^@\d]{0,25}$"
)


def reached(sentence: Sentence) -> Iterator[Found]:
    """Reads "You can reach me at …", "… is my new number"."""
    low, end = sentence.low, sentence.end
    if found := _REACH_ME.search(low, sentence.start, end):
        place = next((at for at, start in enumerate(sentence.starts) if start >= found.end()), len(sentence.words))
        yield from contact(sentence, place, "email" if "@" in low[found.end() : end] else "phone")
    elif mine := _written_contact(sentence):
        yield mine
    elif found := _IS_MY.search(low, sentence.start, end):
        place = next((at for at, start in enumerate(sentence.starts) if start >= found.start()), 1) - 1
        for at in range(max(0, place - 5), place + 1):
            contacts = list(contact(sentence, at, "email" if "mail" in found["what"] else "phone"))
            if contacts:
                yield from contacts
                return


_CALL_ME: Final = re.compile(
    r"(?:(?:hi|hey|hello|please|just|you can|remember to|feel free to|from now on|in (?:the )?future|always|actually"
    r"|also|so|but|and)[, ]+)*(?P<not>(?:don't|do not|never|stop) )?call(?:ing)? me (?P<name>\w)"
)


def call_me(sentence: Sentence) -> Iterator[Found]:
    """Reads "Call me Ana", "Don't call me Princess"."""
    found = _CALL_ME.match(sentence.low, sentence.starts[0], sentence.end) if " me " in sentence.low else None
    for name in _name_behind(sentence, found.start("name")) if found else ():
        yield replace(name, polarity="denied") if found and found["not"] else name


def _name_behind(sentence: Sentence, begins: int) -> Iterator[Found]:
    place = next((at for at, start in enumerate(sentence.starts) if start >= begins), 0)
    name, end = named(sentence, place)
    if name is None or sentence.words[name[0]] in _NO_NAMES:
        return
    if end >= len(sentence.words) or sentence.breaks[end] or sentence.words[end] in _AFTER_NAMES:
        yield Found("name", name, polarity="affirmed")
