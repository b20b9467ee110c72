"""Rules for family, partners and pets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence, is_name, name_at
from agentmem.extractors.findings import Found, follows, polarity_of
from agentmem.extractors.phrases import Span, named
from agentmem.records import Polarity


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


def mentions(sentence: Sentence) -> Iterator[tuple[int, Found]]:
    """Reads "my sister Clara", "my dog Rex": names said in passing, with the place where each mention begins."""
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
            if said in v.PARTNERS and name is None and _LEFT.match(sentence.low, sentence.ends[at], sentence.end):
                yield place, relation(said, said, (at, at + 1), "ended")
            if name and _ends_a_mention(sentence, at, end):
                if said not in v.PARTNERS or not _PARTED.search(sentence.low, sentence.start, sentence.end):
                    yield place, relation(said, name, (at + 1, end))
                elif _LEFT.match(sentence.low, sentence.ends[end - 1], sentence.end):
                    yield place, relation(said, name, (at + 1, end), "ended")
        elif said in v.RELATIONS and said != "sis" and sentence.breaks[at + 1] == ",":
            names = _all_called(sentence, at + 1)
            if len(names) > 1:
                yield from ((place, relation(said, sentence.said(*name), name)) for name in names)
        elif said in v.ANIMALS and said not in _PLURAL:
            name, end = name_at(sentence, at + 1)
            if name and _ends_a_mention(sentence, at, end):
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
_LOST: Final = re.compile(
    r"\b(?:died|passed|lost|put|sleep|down|gave away|rehomed?|miss|buried|late|ran away|rainbow|euthani[sz]ed|grave"
    r"|used to|ashes|death)\b"
)
_IS_LOST: Final = re.compile(
    r"\b(?:died|passed(?: away| on)?|(?:we|i) lost (?:my|our)|rehomed|euthani[sz]ed"
    r"|put (?:my|our) [\w ]{1,30} (?:down|to sleep))\b"
)
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
        name, _ = _called_at(sentence, at + 1)
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


def name_said_later(sentence: Sentence, place: int) -> str:
    """The name in "I have a dog. His name is Rex."; empty if none is said at once."""
    found = _NAMED_LATER.match(sentence.low, sentence.ends[place])
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
    if not (words[at : at + 1] and words[at] in v.ANIMALS) or sentence.breaks[at]:
        return
    if words[at + 1 : at + 2] and not sentence.breaks[at + 1]:
        if words[at + 1] in v.ANIMALS:
            at += 1
        elif words[at + 1] not in v.STOPS | v.ANSWERS_TO:
            return
    topic = animal_of(words[at])
    if words[at + 1 : at + 4] in (["in", "this", "fight"], ["in", "the", "race"], ["in", "that", "fight"]):
        return
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
        yield Found("pet", (at, at + 1), value=v.ANIMALS[words[at]], topic=topic, polarity=polarity, subject="")


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
    if tail == ["to"] and status in ("married", "engaged") and (name := named(sentence, at + 2)[0]):
        yield Found("partner", name)


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
    place = (
        follows(
            clause, "someone called", "someone named", "a guy called", "a guy named", "a girl named", "a girl called"
        )
        or clause.verb + 1
    )
    if sentence.words[clause.verb + 1 : clause.verb + 2] in (["someone"], ["somebody"]):
        yield Found("relationship", (clause.verb, clause.verb + 1), value="dating")
    if place < len(sentence.words) and is_name(sentence, place) and not sentence.plain:
        name, _ = named(sentence, place)
        if name:
            yield Found("relationship", (clause.verb, clause.verb + 1), value="dating")
            yield Found("partner", name)


def broke(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    if clause.negated:
        return
    if place := follows(clause, "up with"):
        if words[place : place + 1] == ["my"] and words[place + 1 : place + 2] and words[place + 1] in v.PARTNERS:
            name, _ = name_at(sentence, place + 2)
            yield Found("partner", (place + 1, place + 2), value=name or words[place + 1], polarity="ended")
        elif found := named(sentence, place)[0]:
            yield Found("partner", found, polarity="ended")
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
    elif follows(clause, "up", "ways"):
        yield Found("partner", (clause.first, clause.verb + 1), value=who, polarity="ended")


def no_longer_with(clause: Clause) -> Iterator[Found]:
    """Reads "I'm no longer with Tom"."""
    name, _ = named(clause.sentence, clause.verb + 1)
    if name and polarity_of(clause) == "ended":
        yield Found("partner", name, polarity="ended")


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
