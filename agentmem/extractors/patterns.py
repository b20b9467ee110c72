"""What each verb says: for every clause whose verb is known, the facts it states.

A rule takes a clause at its verb and gives facts as places of words. The table at the end says which rule reads which
verb; what is not in it states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence, is_name, name_at
from agentmem.extractors.phrases import Span, is_thing, items, named, organisation_at, phrase, place_at
from agentmem.records import Polarity


@dataclass(frozen=True, slots=True)
class Found:
    """A fact as found in a sentence: where its value stands, or the value where that is not word for word.

    ``subject`` and ``polarity`` are set where they differ from the clause's; ``end`` is the place its evidence ends at.
    """

    attribute: str
    at: Span | None = None
    value: str = ""
    topic: str | None = None
    polarity: Polarity | None = None
    subject: str | None = None
    end: int = 0


Rule = Callable[[Clause], Iterator[Found]]


def facts_of(clause: Clause) -> Iterator[Found]:
    """What the clause states."""
    sentence = clause.sentence
    if clause.who == "it":
        yield from _of_a_thing(clause)
        return
    if clause.who == "they":
        yield from _relative(clause)
    if clause.verb >= len(sentence.words) or (clause.past and not clause.used_to and not _past_tells(clause)):
        return
    word = sentence.words[clause.verb]
    table = _AFTER_BE if clause.be else _VERBS
    rule = table.get(word)
    if rule is not None and clause.who in _WHOSE.get(rule, _EVERYONE):
        yield from rule(clause)
    elif clause.be and clause.who != "we":
        yield from _is_something(clause)


def polarity_of(clause: Clause) -> Polarity:
    """What negation the clause's verb carries; "not … any more" ends."""
    if clause.no_longer or clause.used_to:
        return "ended"
    if not clause.negated:
        return "affirmed"
    return (
        "ended"
        if _ANY_MORE.search(clause.sentence.low, clause.sentence.starts[clause.first], clause.sentence.end)
        else "denied"
    )


_ANY_MORE: Final = re.compile(r"\bany ?more\b|\bany longer\b")
_EVERYONE: Final = ("i", "we", "they")


def _past_tells(clause: Clause) -> bool:
    return clause.sentence.words[clause.verb] in _TOLD_IN_THE_PAST


_TOLD_IN_THE_PAST: Final = v.words("born diagnosed raised promoted laid fired prescribed hired accepted")


def _words(clause: Clause, offset: int = 1) -> list[str]:
    return clause.sentence.words[clause.verb + offset :]


def _follows(clause: Clause, *phrases: str) -> int:
    """The place after the first of these phrases that stands just after the verb; 0 if none does."""
    words = clause.sentence.words
    for text in phrases:
        parts = text.split()
        start = clause.verb + 1
        if words[start : start + len(parts)] == parts and not any(clause.sentence.breaks[start : start + len(parts)]):
            return start + len(parts)
    return 0


# --- name, age, birthday --------------------------------------------------------------------------


def _called(clause: Clause) -> Iterator[Found]:
    found, _ = named(clause.sentence, clause.verb + 1)
    if found is None:
        return
    if clause.who == "i":
        yield Found("name", found)
    elif clause.who == "they" and clause.name is None:
        yield _relation(clause.subject, clause.sentence.said(*found), found)


def _goes_by(clause: Clause) -> Iterator[Found]:
    place = _follows(clause, "by the name of", "by the name", "by")
    found, _ = named(clause.sentence, place) if place else (None, 0)
    if found:
        yield Found("name", found)


def _age(clause: Clause) -> Iterator[Found]:
    sentence, place = clause.sentence, clause.verb
    words = sentence.words
    if words[place] == "turned":
        place += 1
    if (
        place >= len(words)
        or sentence.breaks[place] not in ("", ",")
        or not words[place].isdigit()
        or not 4 < int(words[place]) < 111
    ):
        return
    after = " ".join(words[place + 1 : place + 4])
    tail = sentence.rest(place)
    plain = not tail.strip(" .!,;)") or (tail.lstrip()[:1] in (",", ";", ".", "!", ")", "—", "–") and tail[:1] != ".")
    joined = re.match(r" (?:and|but|so|now|today|btw|with|years? young)\b", tail)
    if (
        re.match(r"(?:years? old|yrs? old|yo\b|y o\b|years? of age)", after)
        or (words[place] != "turned" and (plain or joined))
        or (words[clause.verb] == "turned")
    ):
        yield Found("age", (place, place + 1))


def _turned(clause: Clause) -> Iterator[Found]:
    words = clause.sentence.words
    if clause.verb + 1 < len(words) and words[clause.verb + 1].isdigit():
        yield from _age(clause)


def _short_age(clause: Clause) -> Iterator[Found]:
    found = re.match(r"(\d{1,3})(?:yo|y/o|yrs?)$", clause.sentence.words[clause.verb])
    if found and 4 < int(found[1]) < 111:
        yield Found("age", (clause.verb, clause.verb + 1), value=found[1])


_DAY: Final = re.compile(
    rf"(?:the )?(?:(?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? (?P<month>{'|'.join(v.MONTHS)})\b"
    rf"|(?P<month2>{'|'.join(v.MONTHS)})\.? (?:the )?(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\b)"
    r"(?:,? (?:of |in )?(?P<year>(?:19|20)\d\d)\b)?"
)


def _birthday_at(sentence: Sentence, place: int) -> Iterator[Found]:
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


# --- where from and where -------------------------------------------------------------------------


def _lives(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    place = _follows(
        clause, "in", "out in", "over in", "near", "back in", "here in", "down in", "up in", "alone in", (
            "with my family in"
        ),
        "with my parents in", "together in",
    )  # fmt: skip
    if clause.past or not place:
        return
    found = place_at(sentence, place)
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


def _moved(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    if clause.negated:
        return
    place = _follows(
        clause, "to", "back to", "over to", "out to", "down to", "up to", "here to", "away to", "into", "in to"
    )
    if not place:
        out = _follows(clause, "out of", "away from")
        source = _follows(clause, "from", "here from", "back from")
        left = place_at(sentence, out) if out else None
        if left:
            yield Found("home", left, polarity="ended")
        start = place_at(sentence, source) if source else None
        to = start[1] if start else 0
        if start and sentence.words[to : to + 1] == ["to"] and (found := place_at(sentence, to + 1)):
            yield Found("home", found, polarity="affirmed")
        return
    found = place_at(sentence, place)
    if found and not re.search(
        r"\bwhen i was\b|\bas a (?:kid|child|baby|teen)|\bfor (?:a|an|one|two|three|six|the) (?:summer|month|months"
        r"|year|years|semester)",
        sentence.rest(found[1] - 1),
    ):
        yield Found("home", found, polarity="affirmed")


def _based(clause: Clause) -> Iterator[Found]:
    place = _follows(clause, "in", "out of")
    found = place_at(clause.sentence, place) if place else None
    if found:
        yield Found("home", found)


def _from(clause: Clause) -> Iterator[Found]:
    found = place_at(clause.sentence, clause.verb + 1)
    if found:
        yield Found("origin", found)


def _born(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    place = _follows(clause, "and raised in", "in")
    found = place_at(sentence, place) if place and not clause.negated else None
    if found and sentence.words[found[0]] not in v.MONTHS:
        yield Found("origin", found, polarity="affirmed")
    if on := _follows(clause, "on"):
        yield from _birthday_at(sentence, on)


def _grew(clause: Clause) -> Iterator[Found]:
    place = _follows(clause, "up in", "up near")
    found = place_at(clause.sentence, place) if place and not clause.negated else None
    if found:
        yield Found("origin", found, polarity="affirmed")


# --- work and study -------------------------------------------------------------------------------


def _works(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    if words[clause.verb] == "worked" and not (
        clause.have and re.search(r"\b(?:for|since)\b", sentence.rest(clause.verb))
    ):
        return
    place = clause.verb + 1
    while words[place : place + 1] and words[place] in (
        "full-time",
        "part-time",
        "remotely",
        "now",
        "currently",
        "night",
        "shifts",
    ):
        place += 1
    if words[place : place + 1] == ["as"]:
        yield from _occupation(sentence, place + 1, strict=False)
    elif words[place : place + 1] and words[place] in ("at", "for", "with"):
        found = organisation_at(sentence, place + 1) if words[place] != "with" else None
        if found:
            yield Found("employer", found)
            if words[found[1] : found[1] + 1] == ["as"]:
                yield from _occupation(sentence, found[1] + 1, strict=False)


def _occupation(sentence: Sentence, place: int, *, strict: bool) -> Iterator[Found]:
    """A job behind "as"; where it works may follow. Strict asks for a known one."""
    words = sentence.words
    article = words[place : place + 1] and words[place] in ("a", "an", "the")
    found = phrase(sentence, place, most=5)
    if found is None or not is_thing(sentence, found):
        return
    head = words[found[1] - 1]
    known = _is_job(head) and v.NOT_JOB_MODIFIERS.isdisjoint(words[found[0] : found[1]])
    if not known and (
        strict
        or not article
        or head
        in ("team", "way", "group", "result", "kid", "teenager", "student", "favor", "favour", "whole", "couple")
    ):
        return
    yield Found("job", found)
    at = found[1]
    if (
        words[at : at + 1]
        and words[at] in ("at", "for")
        and not sentence.breaks[at]
        and (firm := organisation_at(sentence, at + 1))
    ):
        yield Found("employer", firm)


def _is_job(head: str) -> bool:
    return head in v.JOBS or (head.endswith("s") and head[:-1] in v.JOBS)


def _is_something(clause: Clause) -> Iterator[Found]:
    """ "I'm a nurse", "I'm a big fan of jazz", "I'm 34"."""
    sentence, place = clause.sentence, clause.verb
    words = sentence.words
    if clause.past:
        return
    if words[place].isdigit() and clause.who != "we":
        yield from _age(clause)
    elif words[place] in ("a", "an"):
        yield from _is_a(clause)
    elif words[place][0].isdigit():
        yield from _short_age(clause)


_BARE_STOPS: Final = v.STOPS | {"of"}


def _is_a(clause: Clause) -> Iterator[Found]:
    sentence, place = clause.sentence, clause.verb
    words = sentence.words
    found = phrase(sentence, place, stops=_BARE_STOPS, most=6)
    if found is None:
        return
    head = words[found[1] - 1]
    if head in v.DIETS and found[1] - found[0] <= 2:
        yield Found("diet", (found[1] - 1, found[1]))
    elif head == "fan" and words[found[1] : found[1] + 1] == ["of"] and clause.who == "i":
        yield from _tastes(clause, found[1] + 1)
    elif head in ("speaker",) and words[found[0]] == "native" and words[found[0] + 1] in v.LANGUAGES:
        yield Found("language", (found[0] + 1, found[0] + 2))
    elif words[found[1] : found[1] + 1] and words[found[1]] in ("at",) and head == "student" and clause.who != "we":
        school = organisation_at(sentence, found[1] + 1)
        if school:
            yield Found("studies", school)
    elif clause.who in ("i", "they") and words[found[1] : found[1] + 1] != ["of"]:
        yield from _occupation(sentence, place, strict=True)


def _got(clause: Clause) -> Iterator[Found]:
    """ "got a job at …", "got married", "got a dog", "got a new car"."""
    sentence = clause.sentence
    words = sentence.words
    if clause.negated:
        return
    following = words[clause.verb + 1 : clause.verb + 2]
    if following and following[0] in ("married", "engaged", "divorced"):
        yield from _status(clause, clause.verb + 1)
        return
    job = _job_at(sentence, clause.verb + 1)
    if job:
        yield from _of_a_job(sentence, job)
        return
    if laid := _follows(clause, "laid off from", "fired from", "let go from", "rid of"):
        if words[laid - 2 : laid] == ["rid", "of"]:
            yield from _goods(sentence, laid, polarity="ended")
        elif firm := organisation_at(sentence, laid):
            yield Found("employer", firm, polarity="ended")
        return
    if clause.who in ("i", "we"):
        yield from _animal(sentence, clause.verb + 1)
        yield from _goods(sentence, clause.verb + 1)


def _job_at(sentence: Sentence, place: int) -> int:
    """The place after "a (new) job (offer)"; 0 if something else stands there."""
    words = sentence.words
    at = place
    while words[at : at + 1] and words[at] in (
        "a",
        "an",
        "the",
        "new",
        "my",
        "dream",
        "full-time",
        "part-time",
        "first",
        "hired",
        "working",
    ):
        at += 1
    if words[at - 1 : at] == ["hired"] or words[at - 1 : at] == ["working"]:
        return at
    return at + 1 if words[at : at + 1] and words[at] in ("job", "position", "role", "gig", "work") else 0


def _of_a_job(sentence: Sentence, place: int) -> Iterator[Found]:
    words = sentence.words
    if (
        words[place : place + 1]
        and words[place] in ("at", "by", "with")
        and (firm := organisation_at(sentence, place + 1))
    ):
        yield Found("employer", firm, polarity="affirmed")
        place = firm[1]
    if words[place : place + 1] == ["as"]:
        yield from _occupation(sentence, place + 1, strict=False)


def _started(clause: Clause) -> Iterator[Found]:
    """ "started a job at …", "started working as …"; "started in" says too little."""
    job = _job_at(clause.sentence, clause.verb + 1)
    if job and not clause.negated:
        yield from _of_a_job(clause.sentence, job)


def _quit(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    if clause.negated:
        return
    word = words[clause.verb]
    place = clause.verb + 1
    if words[place : place + 2] in (["my", "job"], ["my", "position"]):
        at = place + 2
        if words[at : at + 1] == ["at"] and (firm := organisation_at(sentence, at + 1)):
            yield Found("employer", firm, polarity="ended")
        elif words[at : at + 1] == ["as"]:
            for found in _occupation(sentence, at + 1, strict=False):
                yield Found(found.attribute, found.at, polarity="ended")
        elif not (words[at : at + 1] and words[at] in ("search", "hunt", "offer", "interview")):
            yield Found("employer", polarity="ended", end=place + 2)
    elif word == "quit" and words[place : place + 1] and words[place] in v.COMPANIES:
        yield Found("employer", (place, place + 1), polarity="ended")
    elif word in ("stopped", "quit") and (taken := _follows(clause, "taking")):
        for drug in items(sentence, taken):
            if medicine := _drug_in(words, drug):
                yield Found("medication", medicine, polarity="ended")
    elif word in ("stopped", "quit") and (eaten := _follows(clause, "eating")):
        for food in items(sentence, eaten):
            if words[food[1] - 1] in v.MEATS:
                yield Found("diet", food, polarity="ended")
    elif word in ("stopped", "quit") and (worked := _follows(clause, "working at", "working for")):
        if firm := organisation_at(sentence, worked):
            yield Found("employer", firm, polarity="ended")
    elif word == "stopped" and (liked := _follows(clause, "liking")):
        for found in _tastes(clause, liked):
            yield Found("likes", found.at, polarity="ended")


def _passive_job(clause: Clause) -> Iterator[Found]:
    """ "was promoted to …", "was laid off from …", "was fired from …"."""
    sentence = clause.sentence
    if clause.negated:
        return
    if place := _follows(clause, "to"):
        found = phrase(sentence, place, most=5)
        if found and is_thing(sentence, found) and sentence.words[clause.verb] == "promoted":
            yield Found("job", found, polarity="affirmed")
    elif (place := _follows(clause, "off from", "from")) and (firm := organisation_at(sentence, place)):
        yield Found("employer", firm, polarity="ended")


def _hired(clause: Clause) -> Iterator[Found]:
    yield from () if clause.negated else _of_a_job(clause.sentence, clause.verb + 1)


def _retired(clause: Clause) -> Iterator[Found]:
    tail = clause.sentence.rest(clause.verb).strip(" .!")
    if clause.who != "we" and (not tail or tail.startswith((",", "and ", "now", "but "))):
        yield Found("job", (clause.verb, clause.verb + 1))


def _studies(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb + 1
    if words[clause.verb] in ("major", "majoring"):
        place = _follows(clause, "in")
    if not place or place >= len(words) or clause.who == "we":
        return
    if words[place] in ("at",):
        found = organisation_at(sentence, place + 1)
        if found:
            yield Found("studies", found)
        return
    if words[place] in v.STUDY_STOPS | v.STOPS | v.DETERMINERS:
        return
    for found in items(sentence, place):
        if is_thing(sentence, found) and words[found[0]] not in v.STUDY_STOPS:
            yield Found("studies", found)
            if words[found[1] : found[1] + 1] == ["at"] and (school := organisation_at(sentence, found[1] + 1)):
                yield Found("studies", school)


def _attends(clause: Clause) -> Iterator[Found]:
    """A school by name: "go to Leeds University", "enrolled at MIT"."""
    sentence = clause.sentence
    place = clause.verb + 1
    if sentence.words[clause.verb] in ("go", "goes", "going"):
        place = _follows(clause, "to", "to school at")
    elif sentence.words[clause.verb] == "enrolled":
        place = _follows(clause, "at", "in")
    found = organisation_at(sentence, place) if place else None
    if (
        found
        and not v.SCHOOL_WORDS.isdisjoint(sentence.words[found[0] : found[1]])
        and sentence.is_capital(found[1] - 1)
    ):
        yield Found("studies", found)


def _degree(clause: Clause) -> Iterator[Found]:
    """ "doing a PhD in physics", "pursuing a degree in law"."""
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb + 1
    while words[place : place + 1] and words[place] in ("a", "an", "my", "on", "for", "towards", "second"):
        place += 1
    if words[place : place + 1] and re.match(
        r"(?:phd|ph\.d|master|masters|master's|bachelor|bachelor's|degree|mba|msc|bsc|ba|ma|doctorate|diploma)$",
        words[place],
    ):
        at = place + 1 + (words[place + 1 : place + 2] in (["degree"], ["diploma"]))
        if words[at : at + 1] == ["in"] and (found := phrase(sentence, at + 1, most=4)) and is_thing(sentence, found):
            yield Found("studies", found)


def _dropped(clause: Clause) -> Iterator[Found]:
    place = _follows(clause, "out of")
    found = organisation_at(clause.sentence, place) if place else None
    if found and not clause.negated:
        yield Found("studies", found, polarity="ended")


# --- family, partner, pets ------------------------------------------------------------------------


def _relation(relation: str, name: str, at: Span | None = None, polarity: Polarity | None = "affirmed") -> Found:
    if relation in v.PARTNERS:
        return Found("partner", at, value=name, polarity=polarity, subject="")
    return Found("family", at, value=name, topic=v.RELATIONS[relation], polarity=polarity, subject="")


def _relative(clause: Clause) -> Iterator[Found]:
    """That the speaker has the relative whose name stands in the clause."""
    if clause.name is None:
        return
    sentence = clause.sentence
    at = clause.first + 1
    while sentence.words[at] not in v.RELATIONS and sentence.words[at] not in v.PARTNERS:
        at += 1
    yield _relation(sentence.words[at], clause.name, (at + 1, at + 1 + len(clause.name.split())))


def mentions(sentence: Sentence) -> Iterator[tuple[int, Found]]:
    """ "my sister Clara", "my dog Rex": names said in passing, with the place where each mention begins."""
    words = sentence.words
    for place, word in enumerate(words[:-2]):
        if word not in ("my", "our"):
            continue
        at = place + 1
        while at + 1 < len(words) and words[at] in _PASSING and not sentence.breaks[at]:
            at += 1
        said = words[at]
        if sentence.breaks[at] or words[at - 1] == "ex":
            continue
        if (said in v.RELATIONS or said in v.PARTNERS) and said not in _PLURAL:
            name, end = name_at(sentence, at + 1)
            if name and _ends_a_mention(sentence, at, end):
                yield place, _relation(said, name, (at + 1, end))
        elif said in v.ANIMALS and said not in _PLURAL:
            name, end = name_at(sentence, at + 1)
            if name and _ends_a_mention(sentence, at, end):
                gone: Polarity = "ended" if words[end : end + 1] and words[end] in _GONE else "affirmed"
                yield place, Found("pet", (at + 1, end), value=name, topic=animal_of(said), polarity=gone)
            elif words[at + 1] in _GONE and not sentence.breaks[at + 1]:
                topic = animal_of(said)
                yield place, Found("pet", (at, at + 1), value=topic, topic=topic, polarity="ended", end=at + 2)


_GONE: Final = frozenset(("died", "passed"))
_PASSING: Final = v.words(
    "older younger elder oldest youngest big little baby twin dear beloved new old sweet lovely crazy cute "
    "guinea golden german black white ginger tabby rescue year-old adorable best"
)
_PLURAL: Final = frozenset(
    word for word, one in {**v.RELATIONS, **v.ANIMALS}.items() if word.endswith(("s", "children")) and word != one
)


def _ends_a_mention(sentence: Sentence, at: int, end: int) -> bool:
    """False for "my sister, Paris is lovely": a name behind a comma is one only if a comma or the end follows."""
    if not sentence.breaks[at + 1]:
        return True
    return end >= len(sentence.words) or bool(sentence.breaks[end])


def animal_of(said: str) -> str:
    if said in v.DOGS:
        return "dog"
    return {"puppy": "dog", "kitten": "cat"}.get(v.ANIMALS[said], v.ANIMALS[said])


def _has(clause: Clause) -> Iterator[Found]:
    sentence, place = clause.sentence, clause.verb + 1
    words = sentence.words
    while words[place : place + 1] == ["got"]:
        place += 1
    if clause.who in ("i", "we"):
        for at in _counted(sentence, place):
            if not (clause.negated or clause.no_longer or clause.used_to):
                yield from _kin(sentence, at)
            if not clause.negated or at == place:
                yield from _animal(sentence, at, polarity=polarity_of(clause))
            yield from _owned(sentence, at)
    if clause.who != "we":
        yield from _condition(clause, place)


def _counted(sentence: Sentence, place: int) -> Iterator[int]:
    """The places where the parts of "two brothers, a sister and a dog" begin."""
    yield place
    for at in range(place + 1, min(place + 20, len(sentence.words))):
        joined = sentence.words[at - 1] in ("and", "plus") or sentence.breaks[at] == ","
        if joined and _number(sentence.words[at : at + 1]) and not sentence.words[at].isdigit():
            yield at
        elif sentence.words[at] in v.VERBS and at > place + 1:
            return


def _kin(sentence: Sentence, place: int) -> Iterator[Found]:
    """ "a sister named Clara", "two brothers", "a boyfriend"."""
    words = sentence.words
    count = _number(words[place : place + 1])
    at = place + 1
    while words[at : at + 1] and words[at] in _PASSING and not sentence.breaks[at]:
        at += 1
    if not count or at >= len(words) or any(sentence.breaks[place + 1 : at + 1]):
        return
    said = words[at]
    if said in v.PARTNERS:
        name, _ = _called_at(sentence, at + 1)
        yield _relation(said, sentence.said(*name) if name else said, name or (at, at + 1))
    elif said in v.RELATIONS:
        names = _all_called(sentence, at + 1)
        if names:
            for name in names:
                yield _relation(said, sentence.said(*name), name)
        elif not (words[at + 1 : at + 2] and words[at + 1] in ("who", "of", "to", "for")):
            yield Found("family", (place, at + 1), value=str(count), topic=v.RELATIONS[said], subject="")


def _number(words: list[str]) -> int:
    if not words:
        return 0
    word = words[0]
    if word in ("a", "an"):
        return 1
    return int(word) if word.isdigit() and 0 < int(word) < 15 else v.NUMBERS.get(word, 0)


def _called_at(sentence: Sentence, place: int) -> tuple[Span | None, int]:
    words = sentence.words
    if words[place : place + 1] and words[place] in v.ANSWERS_TO and not sentence.breaks[place]:
        return named(sentence, place + 1)
    return None, place


def _all_called(sentence: Sentence, place: int) -> list[Span]:
    """The names behind "called", or behind a comma: "two cats, Luna and Milo"."""
    words = sentence.words
    if place >= len(words):
        return []
    start = place + 1 if words[place] in v.ANSWERS_TO and not sentence.breaks[place] else place
    if start == place and sentence.breaks[place] not in (",", ":", "(", "-", "–", "—"):
        return []
    found: list[Span] = []
    while start < len(words) and is_name(sentence, start) and len(found) < 6:
        end = start + 1
        found.append((start, end))
        if end < len(words) and words[end] == "and":
            end += 1
        elif not (end < len(words) and sentence.breaks[end] == ","):
            break
        start = end
    ends = found[-1][1] if found else 0
    if (
        start != place + 1
        and len(found) == 1
        and ends < len(words)
        and not sentence.breaks[ends]
        and words[place] not in v.ANSWERS_TO
    ):
        return []
    return found


def _animal(sentence: Sentence, place: int, *, polarity: Polarity = "affirmed") -> Iterator[Found]:
    """ "a dog named Rex", "two cats, Luna and Milo", "a cat"."""
    words = sentence.words
    if not _number(words[place : place + 1]):
        return
    at = place + 1
    while (
        words[at : at + 1]
        and at - place < 5
        and words[at] not in v.ANIMALS
        and not sentence.breaks[at]
        and words[at] not in v.STOPS
    ):
        at += 1
    if not (words[at : at + 1] and words[at] in v.ANIMALS) or sentence.breaks[at]:
        return
    if words[at + 1 : at + 2] and not sentence.breaks[at + 1]:
        if words[at + 1] in v.ANIMALS:
            at += 1
        elif words[at + 1] not in v.STOPS | v.ANSWERS_TO:
            return
    topic = animal_of(words[at])
    names = _all_called(sentence, at + 1)
    for name in names:
        yield Found("pet", name, topic=topic, polarity=polarity, subject="")
    if not names:
        yield Found("pet", (at, at + 1), value=topic, topic=topic, polarity=polarity, subject="")


def _adopted(clause: Clause) -> Iterator[Found]:
    if not clause.negated and clause.who in ("i", "we"):
        yield from _animal(clause.sentence, clause.verb + 1)


def _status(clause: Clause, place: int | None = None) -> Iterator[Found]:
    """ "I'm married (to Tom)", "we got engaged"."""
    sentence = clause.sentence
    words = sentence.words
    at = clause.verb if place is None else place
    if clause.who == "they" or (clause.past and place is None):
        return
    status = words[at]
    tail = words[at + 1 : at + 2]
    if (
        tail
        and not sentence.breaks[at + 1]
        and tail[0] in ("in", "with", "by", "out", "handedly", "off", "mom", "dad", "all")
    ):
        return
    yield Found("relationship", (at, at + 1))
    if tail == ["to"] and status in ("married", "engaged") and (name := named(sentence, at + 2)[0]):
        yield Found("partner", name)


def _dates(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    place = (
        _follows(
            clause, "someone called", "someone named", "a guy called", "a guy named", "a girl named", "a girl called"
        )
        or clause.verb + 1
    )
    if place < len(sentence.words) and is_name(sentence, place) and not sentence.plain:
        name, _ = named(sentence, place)
        if name:
            yield Found("relationship", (clause.verb, clause.verb + 1), value="dating")
            yield Found("partner", name)


def _broke(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    if clause.negated:
        return
    if place := _follows(clause, "up with"):
        if words[place : place + 1] == ["my"] and words[place + 1 : place + 2] and words[place + 1] in v.PARTNERS:
            name, _ = name_at(sentence, place + 2)
            yield Found("partner", (place + 1, place + 2), value=name or words[place + 1], polarity="ended")
        elif found := named(sentence, place)[0]:
            yield Found("partner", found, polarity="ended")
    elif _follows(clause, "up") and clause.who == "they" and clause.subject:
        return


def _parted(clause: Clause) -> Iterator[Found]:
    """ "my girlfriend and I broke up"."""
    sentence = clause.sentence
    words = sentence.words
    before = words[clause.first : clause.verb]
    if clause.negated or "and" not in before or "i" not in before:
        return
    if (
        (words[clause.verb] == "broke" and _follows(clause, "up"))
        or words[clause.verb] in ("divorced", "separated")
        or _follows(clause, "ways")
    ):
        at = clause.first + 1
        said = words[at]
        if said in v.PARTNERS:
            name, _ = name_at(sentence, at + 1)
            yield Found("partner", (at, at + 1), value=name or said, polarity="ended")


# --- health and food ------------------------------------------------------------------------------


def _condition(clause: Clause, place: int) -> Iterator[Found]:
    """ "asthma", "a peanut allergy", "an allergy to nuts", "type 2 diabetes"."""
    sentence = clause.sentence
    words = sentence.words
    if words[place : place + 1] == ["been"]:
        return
    found = phrase(sentence, place, most=6)
    if found is None:
        return
    head = words[found[1] - 1]
    if head in ("allergy", "allergies") and found[1] - found[0] > 1:
        start = found[0]
        while words[start] in _SEVERITIES:
            start += 1
        if start < found[1] - 1:
            yield Found("allergy", (start, found[1] - 1))
    elif head in ("allergy", "allergies") and words[found[1] : found[1] + 1] == ["to"]:
        for item in items(sentence, found[1] + 1):
            yield Found("allergy", item)
    elif head in ("intolerance",) and found[1] - found[0] > 1:
        yield Found("allergy", (found[1] - 2, found[1] - 1))
    else:
        for item in items(sentence, place):
            start = item[0]
            while start < item[1] - 1 and words[start] in _SEVERITIES:
                start += 1
            if (
                words[item[1] - 1] in v.CONDITIONS
                or (words[start : start + 1] == ["type"] and "diabetes" in words[start : item[1]])
            ) and is_thing(sentence, (start, item[1])):
                yield Found("health", (start, item[1]))


_SEVERITIES: Final = v.words(
    "severe mild bad terrible serious chronic slight really very any nasty deadly major minor no strong"
) - {("chronic")}


def _diagnosed(clause: Clause) -> Iterator[Found]:
    place = _follows(clause, "with", "as having")
    for found in items(clause.sentence, place) if place else []:
        if is_thing(clause.sentence, found):
            yield Found("health", found)


def _suffers(clause: Clause) -> Iterator[Found]:
    place = _follows(clause, "from", "with")
    for found in items(clause.sentence, place) if place else []:
        words = clause.sentence.words
        if is_thing(clause.sentence, found) and words[found[1] - 1] in v.CONDITIONS:
            yield Found("health", found)


def _health_word(clause: Clause) -> Iterator[Found]:
    if clause.who != "we":
        yield Found(
            "health", (clause.verb, clause.verb + 1), value=v.HEALTH_ADJECTIVES[clause.sentence.words[clause.verb]]
        )


def _takes(clause: Clause) -> Iterator[Found]:
    """A medicine that is known, or one with its dose."""
    if clause.who == "we":
        return
    for found in items(clause.sentence, clause.verb + 1):
        if at := _drug_in(clause.sentence.words, found):
            yield Found("medication", at)


def _drug_in(words: list[str], span: Span) -> Span | None:
    """The medicine in "20 mg of lisinopril"."""
    return next(((at, at + 1) for at in range(*span) if words[at] in v.DRUGS), None)


def _allergic(clause: Clause) -> Iterator[Found]:
    if place := _follows(clause, "to"):
        for found in items(clause.sentence, place):
            if is_thing(clause.sentence, found):
                yield Found("allergy", found)


def _intolerant(clause: Clause) -> Iterator[Found]:
    words = clause.sentence.words
    if words[clause.verb + 1 : clause.verb + 2] in (["intolerant"], ["-intolerant"]):
        yield Found("allergy", (clause.verb, clause.verb + 1))


def _intolerant_word(clause: Clause) -> Iterator[Found]:
    yield Found(
        "allergy", (clause.verb, clause.verb + 1), value=clause.sentence.words[clause.verb].removesuffix("-intolerant")
    )


def _diet(clause: Clause) -> Iterator[Found]:
    following = clause.sentence.words[clause.verb + 1 : clause.verb + 2]
    if following and not clause.sentence.breaks[clause.verb + 1] and following[0] not in v.STOPS | {"diet"}:
        return
    yield Found("diet", (clause.verb, clause.verb + 1))


def _went(clause: Clause) -> Iterator[Found]:
    words = clause.sentence.words
    following = words[clause.verb + 1 : clause.verb + 2]
    if following and following[0] in v.DIETS and not clause.negated:
        yield Found("diet", (clause.verb + 1, clause.verb + 2), polarity="affirmed")


def _eats(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb + 1
    if words[place : place + 1] and words[place] in v.DIETS:
        after = words[place + 1 : place + 2]
        if not after or sentence.breaks[place + 1] or after[0] in v.STOPS:
            yield Found("diet", (place, place + 1))
    elif polarity_of(clause) in ("denied", "ended"):
        for found in items(sentence, place):
            if words[found[1] - 1] in v.MEATS and found[1] - found[0] <= 2:
                yield Found("diet", (found[1] - 1, found[1]))


def _on_a_diet(clause: Clause) -> Iterator[Found]:
    """ "on a keto diet", "on metformin"."""
    sentence = clause.sentence
    found = phrase(sentence, clause.verb + 1, most=4)
    if found is None or clause.who == "we":
        return
    words = sentence.words
    if words[found[1] - 1] == "diet" and words[found[1] - 2] in v.DIETS:
        yield Found("diet", (found[1] - 2, found[1] - 1))
    elif at := _drug_in(words, found):
        yield Found("medication", at)


# --- tastes, things, tongues ----------------------------------------------------------------------


def _likes(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    hates = sentence.words[clause.verb] in ("hate", "hates", "dislike", "dislikes", "detest", "despise", "loathe")
    if clause.can or (hates and clause.negated):
        return
    for found in _tastes(clause, clause.verb + 1):
        polarity: Polarity | None = None
        if hates:
            polarity = "ended" if clause.used_to or clause.no_longer else "denied"
        if not (hates and polarity == "ended"):
            yield Found("likes", found.at, polarity=polarity)


def _tastes(clause: Clause, place: int) -> Iterator[Found]:
    """Bare nouns and gerunds; what carries an article is mostly a remark on something at hand."""
    sentence = clause.sentence
    words = sentence.words
    if place >= len(words) or sentence.breaks[place]:
        return
    if words[place] == "to" and place + 1 < len(words):
        if words[place + 1] in _WILLING or words[place + 1] in v.BAD_START - _DOING:
            return
        found = phrase(sentence, place + 1, stops=_VERB_STOPS, most=5)
        if (
            found
            and v.PRONOUNS.isdisjoint(words[found[0] : found[1]])
            and words[found[1] - 1] not in v.STOPS | v.DETERMINERS
        ):
            yield Found("likes", (place, found[1]))
        return
    if words[place] in v.DETERMINERS:
        known = sentence.between(place, place + 2)
        if known in v.TASTES and (place + 2 >= len(words) or sentence.breaks[place + 2] or words[place + 2] in v.STOPS):
            yield Found("likes", (place, place + 2))
        return
    first = True
    for found in items(sentence, place, stops=_TASTE_STOPS if words[place].endswith("ing") else v.STOPS):
        if not _is_taste(sentence, found):
            if first:
                return
            break
        first = False
        yield Found("likes", found)


_WILLING: Final = v.words("hear see know think say be have get help come join meet talk chat share check try do go it")
_DOING: Final = v.words("take make start keep help plan work")
_VERB_STOPS: Final = v.STOPS - v.words("to in on at with for about by from the a") | {"and", "or", "but"}
_TASTE_STOPS: Final = v.STOPS - v.words("in on at to with for about through by")


def _is_taste(sentence: Sentence, span: Span) -> bool:
    words = sentence.words[span[0] : span[1]]
    if not is_thing(sentence, span) or len(words) > 6:
        return False
    if words[0] in v.NOT_TASTES or words[-1] in v.NOT_TASTES or words[0].endswith(("'s", "ly")):
        return False
    after = sentence.words[span[1]] if span[1] < len(sentence.words) and not sentence.breaks[span[1]] else ""
    return after not in (
        "that",
        "you",
        "i",
        "it",
        "is",
        "are",
        "was",
        "he",
        "she",
        "we",
        "they",
        "who",
        "which",
        "too",
    ) or (after in ("that",) and False)


def _stands(clause: Clause) -> Iterator[Found]:
    if clause.can and clause.negated:
        for found in _tastes(clause, clause.verb + 1):
            yield Found("likes", found.at, polarity="denied")


def _into(clause: Clause) -> Iterator[Found]:
    yield from _tastes(clause, clause.verb + 1)


def _fond(clause: Clause) -> Iterator[Found]:
    if place := _follows(clause, "of", "with"):
        yield from _tastes(clause, place)


def _owned(sentence: Sentence, place: int) -> Iterator[Found]:
    words = sentence.words
    if words[place : place + 1] and words[place] in ("a", "an"):
        yield from _goods(sentence, place)


def _owns(clause: Clause) -> Iterator[Found]:
    found = phrase(clause.sentence, clause.verb + 1, most=5)
    if (
        found
        and is_thing(clause.sentence, found)
        and clause.sentence.words[found[0] - 1] in ("a", "an", "my", "two", "three", "own")
    ):
        head = clause.sentence.words[found[1] - 1]
        if head not in (
            "mistakes",
            "mistake",
            "business",
            "life",
            "way",
            "time",
            "share",
            "lot",
            "few",
            "decisions",
            "company",
        ):
            yield Found("belonging", found)


def _goods(sentence: Sentence, place: int, polarity: Polarity | None = None) -> Iterator[Found]:
    """A thing of worth behind an article or "my"."""
    words = sentence.words
    if not (words[place : place + 1] and words[place] in ("a", "an", "my", "our", "two", "our")):
        return
    found = phrase(sentence, place, most=5)
    if found is None or words[found[1] - 1] not in v.GOODS or not is_thing(sentence, found):
        return
    start = found[0]
    while start < found[1] - 1 and words[start] in (
        "new",
        "brand",
        "brand-new",
        "old",
        "own",
        "used",
        "nice",
        "beautiful",
        "lovely",
        "great",
        "cool",
    ):
        start += 1
    yield Found("belonging", (start, found[1]), polarity=polarity)


def _bought(clause: Clause) -> Iterator[Found]:
    if clause.negated or clause.who == "they":
        return
    place = clause.verb + 1
    while clause.sentence.words[place : place + 1] == ["myself"] or clause.sentence.words[place : place + 1] == [
        "ourselves"
    ]:
        place += 1
    yield from _goods(clause.sentence, place, "affirmed")


def _sold(clause: Clause) -> Iterator[Found]:
    if (
        not clause.negated
        and clause.who != "they"
        and clause.sentence.words[clause.verb + 1 : clause.verb + 2] in (["my"], ["our"])
    ):
        yield from _goods(clause.sentence, clause.verb + 1, "ended")


def _speaks(clause: Clause) -> Iterator[Found]:
    place = clause.verb + 1
    words = clause.sentence.words
    while words[place : place + 1] and words[place] in (
        "fluent",
        "some",
        "a",
        "little",
        "good",
        "decent",
        "in",
        "basic",
        "both",
        "only",
        "bit",
        "of",
        "native",
        "conversational",
    ):
        place += 1
    for found in items(clause.sentence, place):
        if words[found[1] - 1] in v.LANGUAGES and found[1] - found[0] <= 3:
            yield Found("language", (found[1] - 1, found[1]))


# --- things of the speaker's ----------------------------------------------------------------------

_EMAIL: Final = re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4}")
_PHONE: Final = re.compile(r"\+?\(?\d[\d ()./-]{4,20}\d")


def _of_a_thing(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    thing = clause.subject
    words = thing.split()
    if clause.past or clause.verb >= len(sentence.words):
        return
    if clause.used_to and sentence.words[clause.verb] == "be":
        clause.verb += 1
        if clause.verb >= len(sentence.words):
            return
    last = words[-1]
    if thing in ("name", "first name", "full name", "real name"):
        found, _ = named(sentence, clause.verb)
        if found:
            yield Found("name", found)
    elif last == "birthday" or thing == "date of birth":
        yield from _whose_birthday(clause, words)
    elif last == "name" and words[0].endswith("'s"):
        yield from _whose_name(clause, words)
    elif "favorite" in words or "favourite" in words:
        yield from _favourite(clause, words)
    elif words[0] in ("email", "e-mail", "mail") or last in ("email", "e-mail"):
        yield from contact(sentence, clause.verb, "email")
    elif last in ("number", "cell", "mobile", "phone") and set(words) <= {
        "new",
        "phone",
        "cell",
        "mobile",
        "number",
        "telephone",
        "work",
        "home",
    }:
        yield from contact(sentence, clause.verb, "phone")
    elif thing in ("native language", "mother tongue", "first language", "native tongue"):
        if sentence.words[clause.verb] in v.LANGUAGES:
            yield Found("language", (clause.verb, clause.verb + 1))
    elif last == "hometown" and (found := place_at(sentence, clause.verb)):
        yield Found("origin", found)
    elif (
        last in v.ANIMALS
        and sentence.words[clause.verb] in v.ANSWERS_TO
        and (name := named(sentence, clause.verb + 1)[0])
    ):
        yield Found("pet", name, topic=animal_of(last))


def _whose_birthday(clause: Clause, words: list[str]) -> Iterator[Found]:
    place = clause.verb
    while clause.sentence.words[place : place + 1] and clause.sentence.words[place] in ("on", "the"):
        place += 1
    subject = None
    if len(words) > 1 and words[-1] == "birthday":
        relation = words[-2].removesuffix("'s")
        if not words[-2].endswith("'s") or (v.RELATIONS.get(relation) not in v.ONE_EACH and relation not in v.PARTNERS):
            return
        subject = v.RELATIONS.get(relation, relation)
    for found in _birthday_at(clause.sentence, place):
        yield Found("birthday", found.at, value=found.value, subject=subject)


def _whose_name(clause: Clause, words: list[str]) -> Iterator[Found]:
    owner = words[-2].removesuffix("'s")
    found, _ = named(clause.sentence, clause.verb)
    if found is None:
        return
    if owner in v.RELATIONS or owner in v.PARTNERS:
        yield _relation(owner, clause.sentence.said(*found), found, None)
    elif owner in v.ANIMALS:
        yield Found("pet", found, topic=animal_of(owner))


def _favourite(clause: Clause, words: list[str]) -> Iterator[Found]:
    at = next(place for place, word in enumerate(words) if word in ("favorite", "favourite"))
    topic = [word for word in words[at + 1 :] if word not in ("ever", "all-time")]
    if (
        at > 2
        or not topic
        or len(topic) > 4
        or topic[0] in v.NOT_FAVOURITES
        or words[0].endswith("'s")
        or "to" in topic
    ):
        return
    sentence = clause.sentence
    place = clause.verb
    while sentence.words[place : place + 1] and sentence.words[place] in ("definitely", "probably", "either"):
        if sentence.words[place] != "definitely":
            return
        place += 1
    found = phrase(sentence, place, stops=_FAVOURITE_STOPS, most=8)
    if found and is_thing(sentence, found):
        for span in items(sentence, place) if topic[-1].endswith("s") and not topic[-1].endswith("ss") else [found]:
            yield Found("favourite", span, topic=topic_of(topic))


_FAVOURITE_STOPS: Final = v.STOPS - v.words("of the in on to for with as at by from")


def topic_of(words: list[str]) -> str:
    """``color`` for "colour" and "colors"."""
    last = words[-1]
    if last == "movies":
        last = "movie"
    elif last.endswith("ies"):
        last = last[:-3] + "y"
    elif last.endswith("s") and not last.endswith(("ss", "series", "sports")) and len(last) > 3:
        last = last[:-1]
    last = {"colour": "color", "sports": "sport", "film": "film"}.get(last, last)
    return " ".join([*words[:-1], last])


def is_favourite(sentence: Sentence) -> Iterator[Found]:
    """ "Blue is my favourite color": the value stands first."""
    words = sentence.words
    for place in range(1, min(len(words) - 2, 8)):
        if words[place] in ("is", "are") and words[place + 1] == "my" and not any(sentence.breaks[1 : place + 2]):
            at = place + 2 + (words[place + 2] in ("all-time", "absolute"))
            if words[at : at + 1] in (["favorite"], ["favourite"]):
                topic = phrase(sentence, at + 1, most=3)
                value = phrase(sentence, 0, most=5)
                if (
                    topic
                    and value
                    and value[1] == place
                    and is_thing(sentence, value)
                    and words[topic[0]] not in v.NOT_FAVOURITES
                ):
                    tail = words[topic[1] : topic[1] + 1]
                    if not tail or sentence.breaks[topic[1]] or tail[0] in ("and", "but", "of", "ever"):
                        yield Found(
                            "favourite",
                            value,
                            topic=topic_of(words[topic[0] : topic[1]]),
                            polarity="affirmed",
                            end=topic[1],
                        )
            return


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


# --- plans, promises, wishes ----------------------------------------------------------------------


def _plans(clause: Clause) -> Iterator[Found]:
    """ "planning to fly to Rome": a plan by its own words."""
    sentence = clause.sentence
    place = _follows(clause, "to", "on")
    if clause.who == "they" or not place or place >= len(sentence.words):
        return
    on = sentence.words[place - 1] == "on"
    verb = v.GERUNDS.get(sentence.words[place]) if on else sentence.words[place]
    if verb and verb not in _NO_PLANS:
        yield from _deed("plan", clause, place, verb)


def _is_going(clause: Clause) -> Iterator[Found]:
    """ "going to visit Rome in May", "flying to Rome on Friday": a plan if a day to come is said."""
    sentence = clause.sentence
    words = sentence.words
    if clause.who == "they" or (clause.negated and clause.no_longer):
        return
    if words[clause.verb] == "moving" and words[clause.verb + 1 : clause.verb + 2] == ["to"]:
        if place_at(sentence, clause.verb + 2):
            yield from _deed("plan", clause, clause.verb, "move")
        return
    if (
        words[clause.verb] == "going"
        and words[clause.verb + 1 : clause.verb + 2] == ["to"]
        and clause.verb + 2 < len(words)
    ):
        verb = words[clause.verb + 2]
        if verb in v.GERUNDS.values() or verb in _DEEDS:
            yield from _deed("plan", clause, clause.verb + 2, verb, dated=True)
            return
    if words[clause.verb] in v.GERUNDS:
        yield from _deed("plan", clause, clause.verb, v.GERUNDS[words[clause.verb]], dated=True)


def _promised(clause: Clause) -> Iterator[Found]:
    """ "promised (my sister) to call", "promised Ana that I'd help"."""
    sentence = clause.sentence
    words = sentence.words
    if clause.who != "i" or clause.negated:
        return
    for place in range(clause.verb + 1, min(clause.verb + 7, len(words) - 1)):
        if sentence.breaks[place]:
            return
        if words[place] == "to" or (words[place] == "i" and words[place + 1] in ("would", "will")):
            verb = place + 1 + (words[place] == "i")
            if verb < len(words) and words[verb] not in _NO_PLANS:
                yield from _deed("commitment", clause, verb, words[verb])
            return


def _will(clause: Clause) -> Iterator[Found]:
    """ "I'll send the report by Friday"."""
    words = clause.sentence.words
    if clause.will and clause.who == "i" and not clause.negated and "by" in words[clause.verb :]:
        yield from _deed("commitment", clause, clause.verb, words[clause.verb], dated=True)


def _deed(attribute: str, clause: Clause, place: int, verb: str, *, dated: bool = False) -> Iterator[Found]:
    """A verb and its rest, up to the end of the clause; ``end`` marks what must carry a date if ``dated``."""
    sentence = clause.sentence
    words = sentence.words
    end = place + 1
    while end < len(words) and not sentence.breaks[end] and words[end] not in _DEED_STOPS and end - place < 16:
        end += 1
    if end - place < 2 or words[end - 1] in v.DETERMINERS:
        return
    said = sentence.said(place + 1, end) if end > place + 1 else ""
    yield Found(attribute, (place, end), value=f"{verb} {said}".strip(), topic="dated" if dated else None)


_NO_PLANS: Final = v.words("be have do get try see keep make give know think use it that this a the start") - {"start"}
_DEEDS: Final = v.words("propose marry adopt buy sell study retire graduate perform compete travel volunteer launch")
_DEED_STOPS: Final = v.words(
    "and but so because cause since which who that if though although while where when i you he she it they"
)

_WISH: Final = re.compile(
    r"(?:please,? |and |also,? |btw,? |so |ok,? |okay,? )*(?:(?P<always>always)|(?P<never>never|don't ever|do not ever"
    r"|dont ever)|(?P<on>from now on|in (?:the )?future|going forward|by default|whenever you answer|in all your "
    r"(?:answers|replies|responses)),?(?: please,?)?|i(?:'d like| would like| want| need) you to (?P<want>always"
    r"|never)|make sure (?:to|you) (?P<sure>always|never)|remember to (?P<remember>always|never)),? (?:please )?"
    r"(?:always )?(?P<not>never |don't |do not |avoid |stop )?(?P<verb>[a-z-]+)"
)


def wishes(sentence: Sentence) -> Iterator[Found]:
    """Standing wishes to the assistant: "always answer in French", "from now on, call me Ana"."""
    found = _WISH.match(sentence.low, sentence.starts[0], sentence.end)
    if found is None:
        return
    verb = found["verb"].removesuffix("ing") if found["not"] == "stop " else found["verb"]
    place = next((at for at, start in enumerate(sentence.starts) if start >= found.start("verb")), 0)
    if (verb not in v.WISHES and verb + "e" not in v.WISHES) or not place:
        return
    verb = verb if verb in v.WISHES else verb + "e"
    end = place + 1
    while (
        end < len(sentence.words)
        and sentence.breaks[end] in ("", ",", "/")
        and end - place < 24
        and not _ends_wish(sentence, end)
    ):
        end += 1
    negative = bool(found["never"] or found["not"] or "never" in (found["want"], found["sure"], found["remember"]))
    if end - place < 2 or "?" in sentence.low[sentence.ends[end - 1] : sentence.end]:
        return
    if verb == "call" and sentence.words[place + 1 : place + 2] == ["me"]:
        name, _ = named(sentence, place + 2)
        if name:
            yield Found("name", name, polarity="denied" if negative else "affirmed")
        return
    value = f"{verb} {sentence.said(place + 1, end)}"
    yield Found("instruction", (place, end), value=value, polarity="denied" if negative else "affirmed")


def _ends_wish(sentence: Sentence, place: int) -> bool:
    return sentence.breaks[place] == "," and sentence.words[place] in (
        "because",
        "i",
        "please",
        "ok",
        "okay",
        "thanks",
        "it's",
    )


_CALL_ME: Final = re.compile(
    r"(?:(?:hi|hey|hello|please|just|you can|everyone calls|everybody calls|people call|friends call|my friends call"
    r"|so|but|and)[, ]+)*(?P<not>(?:don't|do not|never|stop) )?call(?:ing)? me (?P<name>\w)"
)


def call_me(sentence: Sentence) -> Iterator[Found]:
    """ "Call me Ana"."""
    found = _CALL_ME.match(sentence.low, sentence.starts[0], sentence.end)
    if found is None:
        return
    place = next((at for at, start in enumerate(sentence.starts) if start >= found.start("name")), 0)
    name, end = named(sentence, place)
    if name and (
        end >= len(sentence.words)
        or sentence.breaks[end]
        or sentence.words[end] in ("and", "please", "instead", "btw", "from")
    ):
        yield Found("name", name, polarity="denied" if found["not"] else "affirmed")


_WHOSE: dict[Rule, tuple[str, ...]] = {
    _goes_by: ("i",), _likes: ("i", "they"), _stands: ("i",), _into: ("i", "they"), _fond: ("i", "they"), _owns: ("i", (
        "we"
    )),
    _plans: ("i", "we"), _promised: ("i",), _adopted: ("i", "we"), _quit: ("i",), _broke: ("i",), _dates: ("i",),
    _parted: ("we",), _got: ("i", "we"), _allergic: ("i", "they"), _eats: ("i", "we", "they"), _speaks: ("i", "they"),
    _age: ("i", "they"), _works: ("i", "they"), _studies: ("i", "they"), _from: ("i", "they"), _dropped: ("i",),
    _hired: ("i",), _started: ("i",), _passive_job: ("i",), _called: ("i", "they"),
}  # fmt: skip


def _table(*rows: tuple[str, Rule]) -> dict[str, Rule]:
    return {word: rule for words, rule in rows for word in words.split()}


_VERBS: Final = _table(
    ("live lives lived reside resides", _lives),
    ("moved relocated", _moved),
    ("grew", _grew),
    ("go goes", _go := lambda clause: _goes_by(clause) if "by" in _words(clause)[:1] else _attends(clause)),
    ("attend attends enrolled", _attends),
    ("turned", _turned),
    ("work works worked", _works),
    ("got get", _got),
    ("started", _started),
    ("quit left stopped", _quit),
    ("study studies major", _studies),
    ("dropped", _dropped),
    ("have has own's", _has),
    ("adopted", _adopted),
    ("broke", lambda clause: _parted(clause) if clause.who == "we" else _broke(clause)),
    ("divorced separated parted", _parted),
    ("suffer suffers", _suffers),
    ("take takes", _takes),
    ("eat eats", _eats),
    ("went", _went),
    (
        "like likes love loves enjoy enjoys adore adores hate hates dislike dislikes detest despise loathe prefer "
        "prefers",
        _likes,
    ),
    ("stand bear", _stands),
    ("own owns", _owns),
    ("bought purchased", _bought),
    ("sold", _sold),
    ("speak speaks", _speaks),
    ("plan", _plans),
    ("promised promise", _promised),
    ("send finish submit deliver pay return bring call email hand", _will),
)
_AFTER_BE: Final = _table(
    ("called named", _called),
    ("living residing", _lives),
    ("based", _based),
    ("from", _from),
    ("born raised", _born),
    ("working employed", _works),
    ("promoted laid fired", _passive_job),
    ("hired", _hired),
    ("retired", _retired),
    ("studying majoring", _studies),
    ("enrolled attending", _attends),
    ("doing pursuing", _degree),
    ("married divorced single engaged widowed separated", _status),
    ("dating seeing", _dates),
    ("diagnosed", _diagnosed),
    (" ".join(v.HEALTH_ADJECTIVES), _health_word),
    ("taking", _takes),
    ("allergic", _allergic),
    (" ".join(v.INTOLERANCES), _intolerant),
    (" ".join(f"{food}-intolerant" for food in v.INTOLERANCES), _intolerant_word),
    (" ".join(v.DIETS), _diet),
    ("on following", _on_a_diet),
    ("into", _into),
    ("fond", _fond),
    ("fluent", _speaks),
    ("planning", _plans),
    (" ".join(word for word in v.GERUNDS if word not in ("having", "attending")), _is_going),
)
