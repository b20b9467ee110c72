"""Rules for health, medicines, allergies and diets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence, is_stated
from agentmem.extractors.findings import Found, follows, polarity_of
from agentmem.extractors.phrases import Span, is_thing, items, phrase


def condition(clause: Clause, place: int) -> Iterator[Found]:
    """Reads "asthma", "a peanut allergy", "an allergy to nuts", "type 2 diabetes"."""
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
        start = found[1] + 1
        while words[start : start + 1] and words[start] in _SOME:
            start += 1
        for item in items(sentence, start):
            yield Found("allergy", item)
    elif head in ("intolerance",) and found[1] - found[0] > 1:
        yield Found("allergy", (found[1] - 2, found[1] - 1))
    else:
        while words[place : place + 1] and words[place] in ("a", "an", "the", "really", "very"):
            place += 1
        yield from illnesses(sentence, place)


def illnesses(sentence: Sentence, place: int) -> Iterator[Found]:
    """The conditions in a list; "anxiety about the exam" is a mood."""
    words = sentence.words
    for item in items(sentence, place):
        start = item[0]
        while start < item[1] - 1 and words[start] in _SEVERITIES:
            start += 1
        while start > 0 and words[start - 1] in _SEVERITIES and sentence.between(start - 1, item[1]) in v.DISEASES:
            start -= 1
        said = sentence.between(start, item[1])
        known = words[item[1] - 1] in v.CONDITIONS or said in v.DISEASES or _DIABETES.fullmatch(said)
        if (
            known
            and (said in v.DISEASES or is_thing(sentence, (start, item[1])))
            and words[item[1] : item[1] + 1] not in (["about"], ["over"], ["when"])
        ):
            yield Found("health", (start, item[1]))


_DIABETES: Final = re.compile(r"type [12] diabetes|diabetes type [12]|type [12] diabetic")
_DRUG: Final = re.compile(
    r"\w{3,}(?:pril|sartan|olol|statin|prazole|cillin|mycin|oxetine|triptan|azepam|azolam|gliptin|glutide|dipine"
    r"|thyroxine|gabalin)"
)
_SEVERITIES: Final = v.words(
    "severe mild bad terrible serious chronic slight really very any nasty deadly major minor no strong"
) - {("chronic")}


def injured(clause: Clause) -> Iterator[Found]:
    """Reads "broke my wrist"; what happened long ago has healed."""
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb + 2
    end = next((at + 1 for at in range(place, min(place + 3, len(words))) if words[at] in _PARTS), 0)
    if clause.negated or words[place - 1 : place] != ["my"] or not end:
        return
    found = place, end
    if not _HEALED.search(sentence.low, sentence.start, sentence.end):
        value = f"{_INJURIES[words[clause.verb]]} {sentence.said(*found)}"
        yield Found("health", (clause.verb, found[1]), value=value, polarity="affirmed")


_INJURIES: Final = {"broke": "broken", "fractured": "fractured", "sprained": "sprained", "tore": "torn"}
_PARTS: Final = v.words(
    "arm leg wrist ankle foot toe finger hand elbow shoulder collarbone rib ribs hip knee nose acl meniscus hamstring"
)
_HEALED: Final = re.compile(r"\b(?:when|ago|as a|once|years?|kid|child|almost|nearly)\b")


def comes_off(clause: Clause) -> Iterator[Found]:
    """Reads "came off sertraline", "switched from Prozac to Zoloft"."""
    sentence = clause.sentence
    words = sentence.words
    if clause.negated:
        return
    if former := follows(clause, "off", "off of", "from"):
        if not (drug := drug_in(words, (former, min(former + 2, len(words))))):
            return
        yield Found("medication", drug, polarity="ended")
        new = drug[1] + 1 if words[drug[1] : drug[1] + 1] == ["to"] else 0
    else:
        new = follows(clause, "to")
        yield from diet_at(sentence, new) if new else ()
    if new and (drug := drug_in(words, (new, min(new + 1, len(words))))):
        yield Found("medication", drug, polarity="affirmed")


def is_of_type(clause: Clause) -> Iterator[Found]:
    """Reads "I'm type 1 diabetic"."""
    words = clause.sentence.words
    if re.fullmatch("type [12] diabetic", " ".join(words[clause.verb : clause.verb + 3])) and not clause.negated:
        at = clause.verb, clause.verb + 3
        yield Found("health", at, value=f"type {words[clause.verb + 1]} diabetes", polarity="affirmed")


_PUT_ON: Final = re.compile(
    r"\b(?:(?:put|started|has|got|keeps) me (?:back )?on|(?:doctor|gp|dr|psychiatrist|she|he"
    r"|they) (?:has )?(?:just )?prescribed"
    r"(?: me)?) (?P<drug>\w)"
)


def put_on(sentence: Sentence) -> Iterator[Found]:
    """Reads "My doctor put me on omeprazole"."""
    found = _PUT_ON.search(sentence.low, sentence.start, sentence.end)
    if found is None:
        return
    place = next((at for at, start in enumerate(sentence.starts) if start >= found.start("drug")), 0)
    if place and is_stated(sentence, 0, place):
        for item in items(sentence, place):
            if drug := drug_in(sentence.words, item):
                yield Found("medication", drug, polarity="affirmed")


def diagnosed(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "with", "as having")
    for found in items(clause.sentence, place) if place else []:
        if is_thing(clause.sentence, found):
            yield Found("health", found)


def suffers(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "from", "with")
    if place:
        yield from illnesses(clause.sentence, place)


def health_word(clause: Clause) -> Iterator[Found]:
    if clause.who != "we":
        yield Found(
            "health", (clause.verb, clause.verb + 1), value=v.HEALTH_ADJECTIVES[clause.sentence.words[clause.verb]]
        )


def takes(clause: Clause) -> Iterator[Found]:
    """A medicine that is known, or one with its dose."""
    if clause.who == "we":
        return
    for found in items(clause.sentence, clause.verb + 1):
        if at := drug_in(clause.sentence.words, found):
            yield Found("medication", at)


def prescribed(clause: Clause) -> Iterator[Found]:
    for found in items(clause.sentence, clause.verb + 1):
        if at := drug_in(clause.sentence.words, found):
            yield Found("medication", at, polarity="affirmed")


def drug_in(words: list[str], span: Span) -> Span | None:
    """The medicine in "20 mg of lisinopril"."""
    return next(((at, at + 1) for at in range(*span) if words[at] in v.DRUGS or _DRUG.fullmatch(words[at])), None)


def allergic(clause: Clause) -> Iterator[Found]:
    if place := follows(clause, "to"):
        if clause.sentence.words[place : place + 1] in (["my"], ["our"]):
            return
        while clause.sentence.words[place : place + 1] and clause.sentence.words[place] in _SOME:
            place += 1
        for found in items(clause.sentence, place, stops=_WITH_STOPS):
            said = clause.sentence.words[found[0] : found[1]]
            if _SHARED_HEAD.match(clause.sentence.rest(found[1] - 1)) and len(said) == 1:
                continue
            if is_thing(clause.sentence, found) and v.NOT_ALLERGENS.isdisjoint(said):
                yield Found("allergy", found)


_MUST_NOT: Final = re.compile(
    r"\bi (?:must not|mustn't|must never|am not allowed to|'m not allowed to|can't ever|have to avoid"
    r"|must avoid|may not)"
    r"(?: (?:eat|drink|have|eating|drinking))? (?P<what>\w)"
)
_NOT_ALLOWED: Final = re.compile(r"\bi(?:'m| am) not allowed to (?:eat|drink|have) (?P<what>\w)")
_FOR_A_WHILE: Final = re.compile(
    r"\b(?:before|after|until|till|today|tonight|tomorrow|for (?:a|an|the next|\d+|two|three|one)"
    r"|this (?:week|evening)|at"
    r" (?:work|night|home)|in (?:class|here)|during|too much|more than|less)\b"
)
_EATEN: Final = re.compile(r" (?:eat|drink|have|eating|drinking|avoid) $")
_KILLS: Final = re.compile(
    r"^\W*(?:(?:and|so|but|also|btw|by the way),? )?(?:(?:even )?(?:a |an |one |any )?(?:single |tiny |little )?"
    r"(?:(?:trace|bit|bite|crumb|amount|drop)s? of )?)"
    r"(?P<what>[a-z]+(?: [a-z]+)?) (?:could|can|would|might|will|may) (?:literally |easily |actually )?"
    r"(?:kill me|be (?:fatal|deadly|lethal) (?:for|to) me|send me to (?:the )?(?:hospital|er)|put me"
    r" in (?:the )?hospital)\b"
)
_ALLERGENS: Final = v.words(
    "peanut peanuts nut nuts walnut walnuts almond almonds cashew cashews hazelnut hazelnuts "
    "pistachio pistachios sesame soy "
    "soya shellfish shrimp shrimps prawn prawns crab lobster mussels oysters fish milk dairy egg eggs wheat gluten "
    "kiwi kiwis strawberry strawberries celery mustard lupin latex penicillin aspirin ibuprofen "
    "amoxicillin bee bees wasp wasps "
    "sting stings seafood peach peaches banana bananas mango coconut sulfites morphine codeine iodine"
)


def must_not_have(sentence: Sentence) -> Iterator[Found]:
    """Reads "I must not eat grapefruit": not before an operation or after eight, but ever."""
    said = sentence.low[sentence.start : sentence.end]
    found = _MUST_NOT.search(said) or _NOT_ALLOWED.search(said)
    if found is None or not _EATEN.search(found[0][:-1]) or _FOR_A_WHILE.search(said, found.start("what")):
        return
    at = sentence.start + found.start("what")
    place = next((n for n, start in enumerate(sentence.starts) if start >= at), len(sentence.words))
    if is_stated(sentence, 0, place):
        for food in items(sentence, place, most=3):
            if is_thing(sentence, food) and food[1] - food[0] <= 3:
                yield Found("diet", food, polarity="denied")


def could_kill(sentence: Sentence) -> Iterator[Found]:
    """Reads "Peanuts could kill me"; so could Mondays."""
    found = _KILLS.match(sentence.low[sentence.start : sentence.end])
    if found is None or _ALLERGENS.isdisjoint(found["what"].split()[-1:]):
        return
    first, last = sentence.start + found.start("what"), sentence.start + found.end("what")
    places = [n for n, start in enumerate(sentence.starts) if first <= start < last]
    if places and is_stated(sentence, 0, places[-1]):
        yield Found("allergy", (places[0], places[-1] + 1), polarity="affirmed")


_OUTGREW: Final = re.compile(
    r"\bi(?:'ve| have)?(?: finally| actually)? (?:outgrown|outgrew|grown out of|got rid of) my"
    r" (?P<what>[\w-]+(?: [\w-]+)?) allergy\b"
)


def outgrew(sentence: Sentence) -> Iterator[Found]:
    """Reads "I outgrew my nut allergy"."""
    found = _OUTGREW.search(sentence.low, sentence.start, sentence.end)
    if found is None:
        return
    places = [n for n, start in enumerate(sentence.starts) if found.start("what") <= start < found.end("what")]
    if places and is_stated(sentence, 0, places[0]):
        yield Found("allergy", (places[0], places[-1] + 1), polarity="ended")


_SHARED_HEAD: Final = re.compile(r" (?:and|or) \w+ (?:stings?|bites?|hair|fur|dander|products|feathers|pollen|milk)\b")
_SOME: Final = v.words("almost nearly most all certain both some many any various several kinds types sorts of")
_WITH_STOPS: Final = v.STOPS - {"with"}


def intolerant(clause: Clause) -> Iterator[Found]:
    words = clause.sentence.words
    if words[clause.verb + 1 : clause.verb + 2] in (["intolerant"], ["-intolerant"]):
        yield Found("allergy", (clause.verb, clause.verb + 1))


def intolerant_word(clause: Clause) -> Iterator[Found]:
    yield Found(
        "allergy", (clause.verb, clause.verb + 1), value=clause.sentence.words[clause.verb].removesuffix("-intolerant")
    )


def diet(clause: Clause) -> Iterator[Found]:
    following = clause.sentence.words[clause.verb + 1 : clause.verb + 2]
    if following and not clause.sentence.breaks[clause.verb + 1] and following[0] not in v.STOPS | {"diet"}:
        return
    if _AT_TIMES.match(clause.sentence.rest(clause.verb)):
        return
    yield Found("diet", (clause.verb, clause.verb + 1))


_AT_TIMES: Final = re.compile(
    r",? (?:except|unless|apart from|on (?:\w+days?|weekends|weekdays)|at (?:home|work)|during|most|mostly|when"
    r"|whenever|until"
    r"|for (?:january|lent|the (?:week|month|day|time))|in (?:january|theory)|minus|besides|but (?:only|i (?:eat"
    r"|still|also)))\b"
)


def went(clause: Clause) -> Iterator[Found]:
    words = clause.sentence.words
    following = words[clause.verb + 1 : clause.verb + 2]
    if following and following[0] in v.DIETS and not clause.negated:
        yield Found("diet", (clause.verb + 1, clause.verb + 2), polarity="affirmed")


def keeps(clause: Clause) -> Iterator[Found]:
    place = clause.verb + 1
    if clause.sentence.words[place : place + 1] in (["kosher"], ["halal"]):
        yield Found("diet", (place, place + 1))


def eats(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb + 1
    while words[place : place + 1] and words[place] in ("a", "an", "strictly", "only", "mostly"):
        place += 1
    if words[place : place + 1] and words[place] in v.DIETS:
        after = words[place + 1 : place + 2]
        if not after or sentence.breaks[place + 1] or after[0] in v.STOPS | {"food", "diet", "meals", "meat"}:
            yield Found("diet", (place, place + 1))
    elif polarity_of(clause) in ("denied", "ended"):
        for found in items(sentence, place):
            if words[found[1] - 1] in v.MEATS and found[1] - found[0] <= 2:
                yield Found("diet", (found[1] - 1, found[1]))


def on_a_diet(clause: Clause) -> Iterator[Found]:
    """Reads "on a keto diet", "on metformin"."""
    sentence = clause.sentence
    found = phrase(sentence, clause.verb + 1, most=4)
    if found is None or clause.who == "we":
        return
    if at := drug_in(sentence.words, found):
        yield Found("medication", at)
    elif sentence.words[found[0]] in ("keto", "paleo") and found[1] - found[0] == 1:
        yield Found("diet", found)
    else:
        yield from diet_at(sentence, clause.verb + 1)


def diet_at(sentence: Sentence, place: int) -> Iterator[Found]:
    """Reads "a keto diet"."""
    found = phrase(sentence, place, most=4)
    words = sentence.words
    if found and words[found[1] - 1] == "diet" and words[found[1] - 2] in v.DIETS:
        yield Found("diet", (found[1] - 2, found[1] - 1))
