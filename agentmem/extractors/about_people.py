"""Rules for family, partners and pets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence, is_name, is_stated, name_at
from agentmem.extractors.findings import Found, follows, polarity_of
from agentmem.extractors.own_name import is_a_name
from agentmem.extractors.phrases import Span, named
from agentmem.records import Polarity

_STATUS: Final = {
    **dict.fromkeys(("wife", "husband", "hubby", "spouse"), "married"),
    **dict.fromkeys(("fiance", "fiancee", "fiancé", "fiancée"), "engaged"),
}
"""What somebody is who has such a partner; with any other they are dating."""


def ended_with(who: str, at: Span, said: str = "") -> Iterator[Found]:
    """That somebody is no longer together with a partner, and so no longer what they were to each other."""
    yield Found("partner", at, value=who, polarity="ended")
    yield Found("relationship", at, value=_STATUS.get(said or who, "dating"), polarity="ended")


def relation(relation: str, name: str, at: Span | None = None, polarity: Polarity | None = "affirmed") -> Found:
    if relation in v.PARTNERS:
        return Found("partner", at, value=name, polarity=polarity, subject="")
    return Found("family", at, value=name, topic=v.RELATIONS[relation], polarity=polarity, subject="")


def relative(clause: Clause) -> Iterator[Found]:
    """That the speaker has the relative whose name stands in the clause."""
    if clause.name is None:
        return
    sentence = clause.sentence
    at = clause.first + 1
    if clause.subject == clause.name and _PARTED.search(sentence.low, sentence.starts[clause.first], sentence.end):
        return
    while sentence.words[at] not in v.RELATIONS and sentence.words[at] not in v.PARTNERS:
        at += 1
    yield relation(sentence.words[at], clause.name, (at + 1, at + 1 + len(clause.name.split())))


def is_somebody(clause: Clause) -> Iterator[Found]:
    """Reads "my wife is Ines", "my son is Leon, not Leo"."""
    sentence = clause.sentence
    name, end = named(sentence, clause.verb)
    said = clause.subject
    if clause.who != "they" or clause.name or clause.negated or clause.past or name is None or sentence.plain:
        return
    ends = end >= len(sentence.words) or sentence.breaks[end] or sentence.words[end] in ("and", "but", "not")
    if ends and is_a_name(sentence, name) and (said in v.PARTNERS or said in v.RELATIONS):
        yield relation(said, sentence.said(*name), name)


def mentions(sentence: Sentence) -> Iterator[tuple[int, Found]]:
    """Reads "my sister Clara", "my dog Rex": names said in passing, with the place where each mention begins."""
    words = sentence.words
    for place, word in enumerate(words[:-2]):
        if word not in ("my", "our"):
            continue
        at = place + 1
        years = ""
        while at + 1 < len(words) and not sentence.breaks[at]:
            if aged := _AGED.fullmatch(words[at]):
                years = aged[1]
            elif words[at] not in _PASSING:
                break
            at += 1
        said = words[at]
        if years and said in v.RELATIONS and said not in _PLURAL and not sentence.breaks[at]:
            name, _ = name_at(sentence, at + 1)
            whose = name or v.RELATIONS[said]
            yield place, Found("age", (at - 1, at), value=years, subject=whose, polarity="affirmed", end=at + 1)
        if sentence.breaks[at] or words[at - 1] == "ex":
            continue
        if (said in v.RELATIONS or said in v.PARTNERS) and said not in _PLURAL:
            name, end = name_at(sentence, at + 1)
            if said in v.PARTNERS and name is None and _LEFT.match(sentence.low, sentence.ends[at], sentence.end):
                yield from ((place, found) for found in ended_with(said, (at, at + 1)))
            if name and _ends_a_mention(sentence, at, end):
                if said not in v.PARTNERS or not _PARTED.search(sentence.low, sentence.start, sentence.end):
                    yield place, relation(said, name, (at + 1, end))
                elif _LEFT.match(sentence.low, sentence.ends[end - 1], sentence.end):
                    gone = _DEAD.match(sentence.low, sentence.ends[end - 1], sentence.end)
                    ends = (
                        [relation(said, name, (at + 1, end), "ended")]
                        if gone
                        else ended_with(name, (at + 1, end), said)
                    )
                    yield from ((place, found) for found in ends)
        elif said in v.RELATIONS and said != "sis":
            if len(names := _listed(sentence, at + 1)) > 1:
                yield from ((place, relation(said, sentence.said(*name), name)) for name in names)
        elif said in v.ANIMALS and said in _PLURAL and not _LOST.search(sentence.low, sentence.start, sentence.end):
            if len(names := _listed(sentence, at + 1)) > 1:
                found = [Found("pet", name, topic=animal_of(said), polarity="affirmed") for name in names]
                yield from ((place, pet) for pet in found)
        elif said in v.ANIMALS and said not in _PLURAL:
            name, end = name_at(sentence, at + 1)
            if name is None and (before := _named_before(sentence, place, at)):
                name, at, end = sentence.said(*before), before[0] - 1, before[1]
            if name and (at < place or _ends_a_mention(sentence, at, end)):
                if not _LOST.search(sentence.low, sentence.start, sentence.end):
                    yield place, Found("pet", (at + 1, end), value=name, topic=animal_of(said), polarity="affirmed")
                elif _IS_LOST.search(sentence.low, sentence.start, sentence.end):
                    yield place, Found("pet", (at + 1, end), value=name, topic=animal_of(said), polarity="ended")
            elif words[at + 1 : at + 2] and words[at + 1] in _GONE and not sentence.breaks[at + 1]:
                topic = animal_of(said)
                yield place, Found("pet", (at, at + 1), value=topic, topic=topic, polarity="ended", end=at + 2)


_PARTED: Final = re.compile(
    r"\b(?:broke up|split up|breaking up|dumped|left me|divorc\w+|died|passed away|passed|death|widow\w*|late|ex"
    r"|former|separated|funeral|grave|used to|left|leaving|cheated)\b"
)
_LEFT: Final = re.compile(r" (?:has )?(?:just )?(?:dumped|left|broke up with|divorced) me\b| (?:died|passed away)\b")
_DEAD: Final = re.compile(r" (?:died|passed away)\b")
_LOST: Final = re.compile(
    r"\b(?:died|passed|lost|put|sleep|down|gave|rehomed?|miss|buried|late|ran away|rainbow|euthani[sz]ed|grave"
    r"|used to|ashes|death)\b"
)
_IS_LOST: Final = re.compile(
    r"\b(?:died|passed(?: away| on)?|(?:we|i) lost (?:my|our)|rehomed|euthani[sz]ed"
    r"|put (?:my|our) [\w ]{1,30} (?:down|to sleep)|gave (?:my|our) [\w ]{1,30} away|gave away (?:my|our))\b"
)
_GONE: Final = frozenset(("died", "passed"))


_PASSING: Final = v.words(
    "older younger elder oldest youngest big little baby twin dear beloved new old sweet lovely crazy cute "
    "guinea golden german black white ginger tabby rescue year-old adorable best"
)


_PLURAL: Final = frozenset(
    word for word, one in {**v.RELATIONS, **v.ANIMALS}.items() if word.endswith(("s", "children")) and word != one
)


_AGED: Final = re.compile(r"(\d{1,2})-year-old|(?:\d{1,2})-month-old()")


def _listed(sentence: Sentence, place: int) -> list[Span]:
    """The names in "kids Mia and Leo", "cats, Luna and Milo", "children are called Ida and Jon"."""
    words = sentence.words
    if words[place : place + 1] == ["are"] and words[place + 1 : place + 2] and words[place + 1] in v.ANSWERS_TO:
        place += 1
    elif place < len(words) and not sentence.breaks[place] and is_name(sentence, place):
        if words[place + 1 : place + 2] == ["and"] and place + 2 < len(words) and is_name(sentence, place + 2):
            return [(place, place + 1), (place + 2, place + 3)]
        return []
    return _all_called(sentence, place)


def _named_before(sentence: Sentence, place: int, at: int) -> Span | None:
    """The name in "Rex, our dog, …"."""
    beside = place > 0 and sentence.breaks[place] == "," and is_name(sentence, place - 1)
    closed = at + 1 >= len(sentence.words) or sentence.breaks[at + 1]
    return (place - 1, place) if beside and closed and place == 1 else None


def _ends_a_mention(sentence: Sentence, at: int, end: int) -> bool:
    """False for "my sister, Paris is lovely": a name behind a comma is one only if a comma or the end follows."""
    if not sentence.breaks[at + 1]:
        return True
    return end >= len(sentence.words) or bool(sentence.breaks[end])


def animal_of(said: str) -> str:
    if said in v.DOGS:
        return "dog"
    return {"puppy": "dog", "kitten": "cat"}.get(v.ANIMALS[said], v.ANIMALS[said])


def counted(sentence: Sentence, place: int) -> Iterator[int]:
    """The places where the parts of "two brothers, a sister and a dog" begin."""
    yield place
    for at in range(place + 1, min(place + 20, len(sentence.words))):
        joined = sentence.words[at - 1] in ("and", "plus") or sentence.breaks[at] == ","
        if joined and _number(sentence.words[at : at + 1]) and not sentence.words[at].isdigit():
            yield at
        elif sentence.words[at] in v.VERBS and at > place + 1:
            return


def kin(sentence: Sentence, place: int) -> Iterator[Found]:
    """Reads "a sister named Clara", "two brothers", "a boyfriend"."""
    words = sentence.words
    count = _number(words[place : place + 1])
    at = place + 1
    while words[at : at + 1] and (words[at] in _PASSING or words[at].endswith("-old")) and not sentence.breaks[at]:
        at += 1
    if not count or at >= len(words) or any(sentence.breaks[place + 1 : at + 1]):
        return
    said = words[at]
    if said in v.PARTNERS:
        name = next(iter(_all_called(sentence, at + 1)), None)
        yield relation(said, sentence.said(*name) if name else said, name or (at, at + 1))
    elif said in v.RELATIONS:
        names = _all_called(sentence, at + 1)
        if count == 1 and not names and (beside := name_at(sentence, at + 1))[0]:
            names = [(at + 1, beside[1])]
        if names:
            for name in names:
                yield relation(said, sentence.said(*name), name)
        elif count == 1 and (later := name_said_later(sentence, at)):
            yield relation(said, later, (at, at + 1))
        elif not (words[at + 1 : at + 2] and words[at + 1] in ("who", "of", "to", "for", "in", "on")):
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
    if start > place and start < len(words) and not is_name(sentence, start) and _could_be_a_name(sentence, start):
        return [(start, start + 1)]
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


_NAMED_LATER: Final = re.compile(
    r"[^.!?\n]{0,60}(?:[.!,;]|\band)\s{1,3}(?:(?:his|her|its|their) name(?:'s| is) |(?:he|she|it)(?:'s| is) (?:called"
    r"|named) )(?P<name>[a-z]{2,20})\b"
)
_AND_NAMED: Final = re.compile(
    r",? and (?:we |i )?(?:have )?(?:named|called) (?:her|him|it|them) (?P<name>[a-z]{2,20})\b"
)


def name_said_later(sentence: Sentence, place: int) -> str:
    """The name in "I have a dog. His name is Rex."; empty if none is said at once."""
    ends = sentence.ends[place]
    found = _AND_NAMED.match(sentence.low, ends) or _NAMED_LATER.match(sentence.low, ends)
    name = sentence.text[found.start("name") : found.end("name")] if found else ""
    return name if name[:1].isupper() else ""


def _could_be_a_name(sentence: Sentence, place: int) -> bool:
    """A name in lower case behind "called", if nothing more follows."""
    word = sentence.words[place]
    ends = place + 1 >= len(sentence.words) or bool(sentence.breaks[place + 1]) or sentence.words[place + 1] in v.STOPS
    return ends and word.isalpha() and word not in v.BAD_START | v.STOPS | v.PRONOUNS | v.DETERMINERS


def animal(sentence: Sentence, place: int, *, polarity: Polarity = "affirmed") -> Iterator[Found]:
    """Reads "a dog named Rex", "two cats, Luna and Milo", "a cat"."""
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
    if words[at - 2 : at] == ["guinea", "pigs"] and at - place < 5:
        yield from _named_animals(sentence, at - 1, "guinea pig", polarity)
        return
    if not (words[at : at + 1] and words[at] in v.ANIMALS) or sentence.breaks[at] or words[at - 1] in _NOT_ALIVE:
        return
    if _FOR_OTHERS.match(sentence.low, sentence.ends[at], sentence.end):
        return
    if words[at + 1 : at + 2] and not sentence.breaks[at + 1]:
        if words[at + 1] in v.ANIMALS:
            at += 1
        elif words[at + 1] not in v.STOPS | v.ANSWERS_TO:
            return
    if words[at + 1 : at + 4] in (["in", "this", "fight"], ["in", "the", "race"], ["in", "that", "fight"]):
        return
    yield from _named_animals(sentence, at, animal_of(words[at]), polarity)


_NOT_ALIVE: Final = v.words(
    "hot corn chili chilli top stuffed toy plush robot rubber wooden chocolate ceramic rocking virtual imaginary clay "
    "paper lego "
    "inflatable pixel cartoon dream neighbor's neighbour's friend's"
)
_FOR_OTHERS: Final = re.compile(r" for (?:my (?!birthday|self)|his|her|their|a friend|mom|mum|dad)\b")


def _named_animals(sentence: Sentence, at: int, topic: str, polarity: Polarity = "affirmed") -> Iterator[Found]:
    """The names behind the animal at a place, or the animal where none is said."""
    words = sentence.words
    names = _all_called(sentence, at + 1)
    for name in names:
        yield Found("pet", name, topic=topic, polarity=polarity, subject="")
    if not names and words[at + 1 : at + 2] and sentence.breaks[at + 1] == "," and words[at + 1] in ("a", "an"):
        nearer = next((word for word in words[at + 2 : at + 6] if word in v.ANIMALS), None)
        if nearer and animal_of(nearer) == topic:
            return
    if not names and (later := name_said_later(sentence, at)):
        yield Found("pet", (at, at + 1), value=later, topic=topic, polarity=polarity, subject="")
    elif not names:
        yield Found(
            "pet", (at, at + 1), value=v.ANIMALS.get(words[at], topic), topic=topic, polarity=polarity, subject=""
        )


def adopted(clause: Clause) -> Iterator[Found]:
    if not clause.negated and clause.who in ("i", "we"):
        yield from animal(clause.sentence, clause.verb + 1)


def status(clause: Clause, place: int | None = None) -> Iterator[Found]:
    """Reads "I'm married (to Tom)", "we got engaged"."""
    sentence = clause.sentence
    words = sentence.words
    at = clause.verb if place is None else place
    if clause.past and place is None:
        return
    status = words[at]
    tail = words[at + 1 : at + 2]
    if (
        tail
        and not sentence.breaks[at + 1]
        and (
            tail[0] in _NOT_A_STATUS
            or _is_no_person(sentence, at + 1)
            or (tail[0] == "in" and status in ("engaged", "single"))
        )
    ):
        return
    yield Found("relationship", (at, at + 1))
    if clause.who == "we" and clause.name and clause.subject in ("", *v.PARTNERS) and status in ("married", "engaged"):
        yield Found("partner", (clause.first, clause.first + 1), value=clause.name)
    if clause.who == "we" and clause.name and status in ("divorced", "separated"):
        yield Found("partner", (clause.first, clause.first + 1), value=clause.name, polarity="ended")
    if tail == ["to"] and status in ("married", "engaged"):
        name = named_person(sentence, at + 2) or named(sentence, at + 2)[0]
        yield from [Found("partner", name)] if name else ()


def _is_no_person(sentence: Sentence, place: int) -> bool:
    """True for "married to my job"."""
    words = sentence.words
    if words[place] != "to" or place + 1 >= len(words):
        return False
    return words[place + 1] in ("my", "the", "this", "it", "that", "our") and not _MATES.search(
        sentence.low, sentence.starts[place + 1], sentence.end
    )


_MATES: Final = re.compile(r"(?:my|the) (?:best friend|love|man|woman|high school|college|childhood|most|same)\b")
_NOT_A_STATUS: Final = v.words("with by out handedly off mom dad all file most biggest")


def dates(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    if sentence.words[clause.verb + 1 : clause.verb + 2] in (["someone"], ["somebody"]):
        yield Found("relationship", (clause.verb, clause.verb + 1), value="dating")
    yield from together_with(clause, clause.verb + 1)


def together_with(clause: Clause, place: int) -> Iterator[Found]:
    """That somebody is together with who is named at a place: "Nina", "a man named Otto"."""
    sentence = clause.sentence
    name = named_person(sentence, place)
    if name:
        yield Found("relationship", (clause.verb, name[0]), value="dating")
        yield Found("partner", name)


def named_person(sentence: Sentence, place: int) -> Span | None:
    """The name in "Nina", "a man named Otto", "my colleague Otto"."""
    words = sentence.words
    if words[place : place + 1] and words[place] in ("a", "an", "this", "the", "someone", "somebody", "my"):
        for at in range(place + 1, min(place + 6, len(words))):
            if sentence.breaks[at] or words[at] in v.STOPS:
                return None
            if words[at - 1] in v.ANSWERS_TO or (words[at - 1] in _PERSONS and is_name(sentence, at)):
                place = at
                break
    if place >= len(words) or sentence.breaks[place] or not is_name(sentence, place) or sentence.plain:
        return None
    found = named(sentence, place)[0]
    if found is None or words[found[1] - 1].endswith("'s") or words[found[0]] in _TITLES:
        return None
    return found


_TITLES: Final = v.words("dr doctor prof professor mr mrs ms dr. mr. mrs. prof.")
_PERSONS: Final = v.words(
    "guy girl man woman colleague friend neighbour neighbor coworker called named boy lady person"
)
_STILL: Final = re.compile(
    r"(?:\s*[.!,;)…]|\s*$| (?:now|these days|again|at the moment|currently|and|but|since|so)\b| for (?:a|about|almost"
    r"|two|three"
    r"|four|five|six|\d+|some|several|over|nearly) )"
)


def sees(clause: Clause) -> Iterator[Found]:
    """Reads "seeing Jamie", "going out with Nadia": not an evening's company, and no place or show."""
    sentence = clause.sentence
    place = follows(clause, "out with") if sentence.words[clause.verb] == "going" else clause.verb + 1
    name = named_person(sentence, place) if place else None
    if name and sentence.between(*name) not in v.PLACES and _STILL.match(sentence.rest(name[1] - 1)):
        yield Found("relationship", (clause.verb, name[0]), value="dating")
        yield Found("partner", name)


def tied(clause: Clause) -> Iterator[Found]:
    """Reads "tied the knot"."""
    if (place := follows(clause, "the knot")) and not clause.negated and clause.who in ("i", "we"):
        yield Found("relationship", (clause.verb, place), value="married", polarity="affirmed")
        if clause.name:
            yield Found("partner", (clause.first, clause.first + 1), value=clause.name, polarity="affirmed")


def is_together(clause: Clause) -> Iterator[Found]:
    """Reads "together with Alex", of two "together", "a couple", "an item"."""
    sentence = clause.sentence
    if place := follows(clause, "with"):
        yield from together_with(clause, place)
    elif clause.who == "we" and clause.name and _STILL.match(sentence.rest(clause.verb)):
        yield from couple(clause)


def couple(clause: Clause) -> Iterator[Found]:
    """That "Sascha and I" are together."""
    assert clause.name is not None
    yield Found("relationship", (clause.first, clause.verb + 1), value="dating")
    yield Found("partner", (clause.first, clause.first + 1), value=clause.name)


def broke(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    if clause.negated:
        return
    if place := follows(clause, "up with"):
        if words[place : place + 1] == ["my"] and words[place + 1 : place + 2] and words[place + 1] in v.PARTNERS:
            name, _ = name_at(sentence, place + 2)
            yield from ended_with(name or words[place + 1], (place + 1, place + 2), words[place + 1])
        elif (found := named(sentence, place)[0]) and words[found[0]] not in v.COMPANIES | v.SERVICES:
            yield from ended_with(sentence.said(*found), found)
    elif follows(clause, "up") and clause.who == "they" and clause.subject:
        return


def parted(clause: Clause) -> Iterator[Found]:
    """That "my girlfriend and I", "Tom and I" broke up."""
    sentence = clause.sentence
    verb = sentence.words[clause.verb]
    who = clause.name or (clause.subject if clause.subject in v.PARTNERS else "")
    if not who or clause.negated:
        return
    if verb in ("divorced", "separated"):
        yield Found("relationship", (clause.verb, clause.verb + 1), polarity="affirmed")
        if clause.name:
            yield Found("partner", (clause.first, clause.verb + 1), value=who, polarity="ended")
    elif (place := follows(clause, "up", "ways")) and _PARTED_FOR_GOOD.match(sentence.rest(place - 1)):
        yield from ended_with(who, (clause.first, clause.verb + 1), clause.subject)


_PARTED_FOR_GOOD: Final = re.compile(r"(?! (?:the|our|into|teams|to|at|so)\b)")


def no_longer_with(clause: Clause) -> Iterator[Found]:
    """Reads "I'm no longer with Tom", "not seeing Tom anymore"."""
    place = follows(clause, "with", "out with") or clause.verb + 1
    name, _ = named(clause.sentence, place)
    if name and polarity_of(clause) == "ended" and clause.sentence.words[name[0]] not in v.COMPANIES | v.SERVICES:
        yield from ended_with(clause.sentence.said(*name), name)


_LEFT_ME: Final = re.compile(
    r"(?: has| just)? (?:left|dumped|broke up with|divorced) me(?=\s*[.!,;]|\s*$| (?:last|this|in|on|for)\b)"
)


_PROPOSED: Final = re.compile(r"\b(?P<who>\w+) (?:just )?proposed(?: to me)?\b[^.?!]{0,40}\b(?:i said yes|said yes)\b")
_DIVORCED: Final = re.compile(
    r"\bmy divorce (?:is|was|got|has been|came|went) (?:now |just |finally )*(?:final|finalized|finalised|through"
    r"|official)\b"
)


def proposed(sentence: Sentence) -> Iterator[Found]:
    """Reads "Sam proposed and I said yes", "my divorce is final"."""
    if found := _PROPOSED.search(sentence.low, sentence.start, sentence.end):
        place = next((at for at, start in enumerate(sentence.starts) if start >= found.start("who")), 0)
        if not is_stated(sentence, place, len(sentence.words)):
            return
        yield Found("relationship", (place, place + 2), value="engaged", polarity="affirmed")
        if is_name(sentence, place) and not sentence.plain and sentence.words[place] not in v.PRONOUNS:
            yield Found("partner", (place, place + 1), polarity="affirmed")
    elif found := _DIVORCED.search(sentence.low, sentence.start, sentence.end):
        place = next((at for at, start in enumerate(sentence.starts) if start >= found.start()), 0)
        if is_stated(sentence, place, place + 1):
            yield Found("relationship", (place, place + 2), value="divorced", polarity="affirmed")


def left_me(sentence: Sentence) -> Iterator[Found]:
    """Reads "Tom left me"."""
    said = not sentence.plain and is_name(sentence, 0)
    if said and _LEFT_ME.match(sentence.low, sentence.ends[0], sentence.end) and is_stated(sentence, 0, 1):
        yield from (replace(found, end=3) for found in ended_with(sentence.said(0, 1), (0, 1)))


def is_relative(sentence: Sentence) -> Iterator[Found]:
    """Whose name stands first: "Clara is my sister"."""
    words = sentence.words
    if len(words) < 4 or not is_name(sentence, 0):
        return
    place = 1 + (words[1] not in ("is", "was") and is_name(sentence, 1) and not sentence.breaks[1])
    if words[place : place + 2] != ["is", "my"] or any(sentence.breaks[1 : place + 2]):
        return
    at = place + 2
    while at < len(words) - 1 and words[at] in _PASSING:
        at += 1
    after = words[at + 1 : at + 2]
    if at >= len(words) or (after and not sentence.breaks[at + 1] and after[0] not in v.STOPS):
        return
    if (words[at] in v.RELATIONS or words[at] in v.PARTNERS) and words[at] not in _PLURAL:
        found = relation(words[at], sentence.said(0, place), (0, place))
        yield Found(found.attribute, found.at, found.value, found.topic, "affirmed", end=at + 1)
    elif words[at] in v.ANIMALS:
        yield Found("pet", (0, place), topic=animal_of(words[at]), polarity="affirmed", end=at + 1)
