"""What each verb says: for every clause whose verb is known, the facts it states.

A rule takes a clause at its verb and gives facts as places of words. The table at the end says which rule reads which
verb; what is not in it states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_health import (
    allergic,
    comes_off,
    condition,
    diagnosed,
    diet,
    drug_in,
    eats,
    health_word,
    injured,
    intolerant,
    intolerant_word,
    keeps,
    on_a_diet,
    prescribed,
    suffers,
    takes,
    went,
)
from agentmem.extractors.about_people import (
    adopted,
    animal,
    animal_of,
    broke,
    counted,
    dates,
    kin,
    no_longer_with,
    parted,
    relation,
    relative,
    status,
)
from agentmem.extractors.about_plans import has_appointment, is_going, must, plans, present, promised, will
from agentmem.extractors.about_self import (
    age,
    based,
    birthday_at,
    born,
    called,
    changed,
    comes_from,
    contact,
    goes_by,
    grew,
    introduced,
    left_for,
    lives,
    moved,
    settled,
    short_age,
    spelled_age,
    turned,
)
from agentmem.extractors.about_tastes import (
    bought,
    cares,
    drives,
    favourite,
    fond,
    goods,
    is_into,
    likes,
    owned,
    owns,
    sold,
    speaks,
    stands,
    tastes,
)
from agentmem.extractors.about_work import (
    attends,
    degree,
    dropped,
    hired,
    job_at,
    joined,
    makes_a_living,
    occupation,
    of_a_job,
    passive_job,
    promotion,
    resigned,
    retired,
    started,
    studies,
    works,
)
from agentmem.extractors.clauses import Clause, with_verb
from agentmem.extractors.findings import Found, Rule, follows, polarity_of, words_after
from agentmem.extractors.phrases import items, named, organisation_at, phrase, place_at


def facts_of(clause: Clause) -> Iterator[Found]:
    """What the clause states."""
    sentence = clause.sentence
    if clause.who == "it":
        yield from _of_a_thing(clause)
        return
    if clause.who == "they":
        yield from relative(clause)
    if clause.verb >= len(sentence.words) or (clause.past and not clause.used_to and not _past_tells(clause)):
        return
    word = sentence.words[clause.verb]
    table = _AFTER_BE if clause.be else _VERBS
    rule = table.get(word)
    if clause.will and rule is not plans:
        yield from will(clause)
        return
    if rule is not None and clause.who in _WHOSE.get(rule, _EVERYONE):
        yield from rule(clause)
    elif clause.be and (clause.who != "we" or word.endswith("ing")):
        yield from _is_something(clause)
    if rule is not None or clause.be:
        yield from _shared(clause)


_EVERYONE: Final = ("i", "we", "they")


def _past_tells(clause: Clause) -> bool:
    return clause.sentence.words[clause.verb] in _TOLD_IN_THE_PAST


_TOLD_IN_THE_PAST: Final = v.words("born diagnosed raised brought promoted laid fired prescribed hired accepted")


def _is_something(clause: Clause) -> Iterator[Found]:
    """Reads "I'm a nurse", "I'm a big fan of jazz", "I'm 34"."""
    sentence, place = clause.sentence, clause.verb
    words = sentence.words
    if clause.past:
        return
    if words[place].isdigit() and clause.who != "we":
        yield from age(clause)
    elif words[place] in ("a", "an"):
        yield from _is_a(clause)
    elif words[place] == "the" and clause.who == "i":
        yield from occupation(sentence, place, strict=True)
    elif words[place][0].isdigit():
        yield from short_age(clause)
    elif (spelled := spelled_age(words[place])) and _OLD.match(sentence.rest(place)):
        yield Found("age", (place, place + 1), value=str(spelled))
    elif words[place : place + 3] == ["in", "a", "relationship"]:
        yield Found("relationship", (place, place + 3), value="dating")
    elif words[place].endswith("ing"):
        yield from is_going(clause)
    else:
        yield from introduced(clause)


_OLD: Final = re.compile(r"[ -](?:years?[ -]old)|[.!,]?\s*$|,")
_YEARS_OLD: Final = re.compile(r"(\d{1,3})(?:-year-old| year old| years old|-years-old|yo| yo)\b")
_BARE_STOPS: Final = v.STOPS | {"of"}


def _is_a(clause: Clause) -> Iterator[Found]:
    sentence, place = clause.sentence, clause.verb
    words = sentence.words
    found = phrase(sentence, place, stops=_BARE_STOPS, most=7)
    if found is None:
        return
    head = words[found[1] - 1]
    if (years := _YEARS_OLD.match(sentence.between(*found))) and clause.who != "we":
        yield Found("age", (found[0], found[0] + 1), value=years[1])
        place = found[0] + len(years[0].split())
        if place >= found[1]:
            return
        found = place, found[1]
    if words[found[0]] in ("married", "divorced") and head in ("man", "woman", "guy"):
        yield Found("relationship", (found[0], found[0] + 1))
    if head in ("widow", "widower"):
        yield Found("relationship", (found[1] - 1, found[1]), value="widowed")
    if words[found[0]] == "single" and head in ("mom", "mum", "mother", "dad", "father", "parent", "man", "woman"):
        yield Found("relationship", (found[0], found[0] + 1))
    if head in v.DIETS and found[1] - found[0] <= 2:
        yield Found("diet", (found[1] - 1, found[1]))
    elif clause.who == "i" and [head, *words[found[1] : found[1] + 1]] in (["fan", "of"], ["sucker", "for"]):
        yield from tastes(clause, found[1] + 1)
    elif head in ("speaker",) and words[found[0]] == "native" and words[found[0] + 1] in v.LANGUAGES:
        yield Found("language", (found[0] + 1, found[0] + 2))
    elif head in ("student", "major"):
        if words[found[1] - 2] in v.SUBJECTS and found[1] - found[0] > 1:
            yield Found("studies", (found[1] - 2, found[1] - 1))
        if words[found[1] : found[1] + 1] == ["at"] and (school := organisation_at(sentence, found[1] + 1)):
            yield Found("studies", school)
    elif clause.who in ("i", "they") and words[found[1] : found[1] + 1] != ["of"]:
        yield from occupation(sentence, place, strict=True)


def _got(clause: Clause) -> Iterator[Found]:
    """Reads "got a job at …", "got married", "got a dog", "got a new car"."""
    sentence = clause.sentence
    words = sentence.words
    if clause.have:
        yield from _has(clause)
        return
    if clause.negated:
        return
    following = words[clause.verb + 1 : clause.verb + 2]
    if following and following[0] in ("married", "engaged", "divorced", "separated"):
        yield from status(clause, clause.verb + 1)
        return
    if place := follows(clause, "promoted to"):
        yield from promotion(sentence, place)
        return
    if job := job_at(sentence, clause.verb + 1):
        yield from of_a_job(sentence, job)
        return
    if laid := follows(clause, "laid off from", "fired from", "let go from", "rid of"):
        if words[laid - 2 : laid] == ["rid", "of"]:
            yield from goods(sentence, laid, polarity="ended")
        elif firm := organisation_at(sentence, laid):
            yield Found("employer", firm, polarity="ended")
        return
    if clause.who in ("i", "we"):
        yield from animal(sentence, clause.verb + 1)
        yield from goods(sentence, clause.verb + 1 + (words[clause.verb + 1 : clause.verb + 2] == ["myself"]))


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
            for found in occupation(sentence, at + 1, strict=False):
                yield Found(found.attribute, found.at, polarity="ended")
        elif not (words[at : at + 1] and words[at] in ("search", "hunt", "offer", "interview")):
            yield Found("employer", polarity="ended", end=place + 2)
    elif word == "left" and (moves := list(left_for(clause))):
        yield from moves
    elif word == "quit" and words[place : place + 1] and words[place] in v.COMPANIES:
        yield Found("employer", (place, place + 1), polarity="ended")
    elif word in ("stopped", "quit") and (taken := follows(clause, "taking")):
        for drug in items(sentence, taken):
            if medicine := drug_in(words, drug):
                yield Found("medication", medicine, polarity="ended")
    elif word in ("stopped", "quit") and (eaten := follows(clause, "eating")):
        for food in items(sentence, eaten):
            if words[food[1] - 1] in v.MEATS:
                yield Found("diet", food, polarity="ended")
    elif word in ("stopped", "quit") and (worked := follows(clause, "working at", "working for")):
        if firm := organisation_at(sentence, worked):
            yield Found("employer", firm, polarity="ended")
    elif word == "stopped" and (liked := follows(clause, "liking")):
        for found in tastes(clause, liked):
            yield Found("likes", found.at, polarity="ended")


_FONDNESS: Final = re.compile(r"have (?:got )?a (?:passion|weakness|soft spot) for ")


def _broke(clause: Clause) -> Iterator[Found]:
    if clause.who == "we":
        yield from parted(clause)
    else:
        yield from broke(clause)
        yield from injured(clause)


def _had(clause: Clause) -> Iterator[Found]:
    """Reads "I've had asthma since …"; what somebody had once is past."""
    if clause.have:
        yield from condition(clause, clause.verb + 1)


def _liked(clause: Clause) -> Iterator[Found]:
    """Reads "I've always loved trains"."""
    if clause.have:
        yield from likes(clause)


def _comes(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "from", "originally from")
    found = place_at(clause.sentence, place) if place and not clause.past else None
    if found:
        yield Found("origin", found)


def _gave(clause: Clause) -> Iterator[Found]:
    """Reads "gave up meat", "gave up the vegan diet"."""
    place = follows(clause, "up", "up eating", "up on")
    if place and clause.who == "i" and not clause.negated:
        for food in items(clause.sentence, place):
            if clause.sentence.words[food[1] - 1] in v.MEATS:
                yield Found("diet", food, polarity="ended")


def _shared(clause: Clause) -> Iterator[Found]:
    """What a second verb of the same subject says: "I'm 34 and live in Leeds"."""
    sentence = clause.sentence
    words = sentence.words
    for at in range(clause.verb + 1, min(clause.verb + 16, len(words) - 1)):
        if words[at] in _NEW_SUBJECTS:
            return
        if words[at] == "and" and (words[at + 1] in _SECOND_VERBS or (clause.be and words[at + 1] in _SECOND_AFTER_BE)):
            second = Clause(sentence, clause.who, clause.subject, at + 1, at + 1, name=clause.name)
            second.be = clause.be and words[at + 1] in _SECOND_AFTER_BE
            second.negated = False
            if (
                clause.verb < len(words)
                and words[clause.verb] not in v.GERUNDS
                and not clause.negated
                and with_verb(second)
            ):
                yield from _second(second)
            return


def _second(clause: Clause) -> Iterator[Found]:
    table = _AFTER_BE if clause.be else _VERBS
    rule = table.get(clause.sentence.words[clause.verb]) if clause.verb < len(clause.sentence.words) else None
    if rule is not None and clause.who in _WHOSE.get(rule, _EVERYONE):
        for found in rule(clause):
            yield Found(
                found.attribute,
                found.at,
                found.value,
                found.topic,
                found.polarity or polarity_of(clause),
                found.subject,
                found.end,
            )


_NEW_SUBJECTS: Final = v.words("i we you he she it they my our your his her their that which who if because when to")
_SECOND_VERBS: Final = v.words(
    "live lives work works study studies have has own owns speak speaks moved don't do love like enjoy hate loves "
    "likes enjoys hates attend"
)
_SECOND_AFTER_BE: Final = v.words(
    "allergic married single divorced engaged from based living working studying vegan vegetarian originally lactose "
    "diabetic asthmatic"
)


def _has(clause: Clause) -> Iterator[Found]:
    sentence, place = clause.sentence, clause.verb + 1
    words = sentence.words
    while words[place : place + 1] == ["got"]:
        place += 1
    yield from has_appointment(clause)
    yield from must(clause)
    if clause.who == "i" and (fond_of := _FONDNESS.match(sentence.low, sentence.starts[clause.verb], sentence.end)):
        start = next((at for at, begin in enumerate(sentence.starts) if begin >= fond_of.end()), len(words))
        yield from tastes(clause, start)
    if clause.who in ("i", "we"):
        for at in counted(sentence, place):
            if not (clause.negated or clause.no_longer or clause.used_to):
                yield from kin(sentence, at)
            if not clause.negated or at == place:
                yield from animal(sentence, at, polarity=polarity_of(clause))
            yield from owned(sentence, at)
    if clause.who != "we":
        yield from condition(clause, place)


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
    if words[0].endswith("'s") and last not in ("birthday", "bday", "b-day", "name"):
        return
    if thing in ("name", "first name", "full name", "real name", "nickname", "given name"):
        found, _ = named(sentence, clause.verb)
        if found:
            yield Found("name", found)
    elif last in ("birthday", "bday", "b-day") or thing == "date of birth":
        yield from _whose_birthday(clause, words)
    elif last == "name" and words[0].endswith("'s"):
        yield from _whose_name(clause, words)
    elif "favorite" in words or "favourite" in words:
        yield from favourite(clause, words)
    elif not {"email", "e-mail", "mail"}.isdisjoint(words):
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
    elif thing in ("job", "profession", "occupation", "day job"):
        yield from occupation(sentence, clause.verb, strict=False)
    elif thing in ("employer", "current employer") and (firm := organisation_at(sentence, clause.verb)):
        yield Found("employer", firm)
    elif thing in ("major", "degree subject") and (subject := phrase(sentence, clause.verb, most=4)):
        yield Found("studies", subject)
    elif last in ("hobby", "hobbies") and len(words) <= 2:
        yield from tastes(clause, clause.verb)
    elif last in ("flat", "apartment", "house", "home") and len(words) <= 2 and sentence.words[clause.verb] == "in":
        if found := place_at(sentence, clause.verb + 1):
            yield Found("home", found)
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
    if len(words) > 1 and words[-1] in ("birthday", "bday", "b-day"):
        relation = words[-2].removesuffix("'s")
        if not words[-2].endswith("'s") or (v.RELATIONS.get(relation) not in v.ONE_EACH and relation not in v.PARTNERS):
            return
        subject = v.RELATIONS.get(relation, relation)
    for found in birthday_at(clause.sentence, place):
        yield Found("birthday", found.at, value=found.value, subject=subject)


def _whose_name(clause: Clause, words: list[str]) -> Iterator[Found]:
    owner = words[-2].removesuffix("'s")
    found, _ = named(clause.sentence, clause.verb)
    if found is None:
        return
    if owner in v.RELATIONS or owner in v.PARTNERS:
        yield relation(owner, clause.sentence.said(*found), found, None)
    elif owner in v.ANIMALS:
        yield Found("pet", found, topic=animal_of(owner))


_WHOSE: dict[Rule, tuple[str, ...]] = {
    goes_by: ("i",), likes: ("i", "they"), stands: ("i",), is_into: ("i", "they"), fond: ("i", "they"), owns: ("i", (
        "we"
    )),
    plans: ("i", "we"), promised: ("i",), adopted: ("i", "we"), _quit: ("i",), broke: ("i",), dates: ("i", "we"),
    parted: ("we",), allergic: ("i", "they"), eats: ("i", "we", "they"), speaks: ("i", "they"),
    age: ("i", "they"), works: ("i", "they"), studies: ("i", "they"), comes_from: ("i", "they"), dropped: ("i",),
    hired: ("i",), started: ("i",), passive_job: ("i",), called: ("i", "they"),
}  # fmt: skip


def _table(*rows: tuple[str, Rule]) -> dict[str, Rule]:
    return {word: rule for words, rule in rows for word in words.split()}


_VERBS: Final = _table(
    ("live lives lived reside resides", lives),
    ("moved relocated", moved),
    ("grew", grew),
    ("go goes", _go := lambda clause: goes_by(clause) if "by" in words_after(clause)[:1] else attends(clause)),
    ("attend attends enrolled", attends),
    ("turned", turned),
    ("work works worked", works),
    ("got get", _got),
    ("started", started),
    ("quit left stopped", _quit),
    ("study studies major", studies),
    ("dropped", dropped),
    ("have has own's", _has),
    ("adopted", adopted),
    ("had", _had),
    ("need", must),
    ("start leave fly begin graduate travel meet visit return", present),
    ("broke fractured sprained tore", _broke),
    ("came switched", comes_off),
    ("make earn qualified trained", makes_a_living),
    ("settled", settled),
    ("changed", changed),
    ("retired", retired),
    ("loved liked enjoyed hated adored", _liked),
    ("told", promised),
    ("follow follows", on_a_diet),
    ("keep keeps", keeps),
    ("come comes hail hails", _comes),
    ("joined", joined),
    ("resigned", resigned),
    ("struggle struggles", suffers),
    ("care", cares),
    ("drive", drives),
    ("intend", plans),
    ("agreed committed vowed swore", promised),
    ("gave", _gave),
    ("split", lambda clause: parted(clause) if clause.who == "we" else broke(clause)),
    ("divorced separated parted", parted),
    ("suffer suffers", suffers),
    ("take takes", takes),
    ("eat eats", eats),
    ("went", went),
    (
        "like likes love loves enjoy enjoys adore adores hate hates dislike dislikes detest despise loathe prefer "
        "prefers",
        likes,
    ),
    ("stand bear", stands),
    ("own owns", owns),
    ("bought purchased", bought),
    ("sold", sold),
    ("speak speaks", speaks),
    ("plan", plans),
    ("promised promise", promised),
)


_AFTER_BE: Final = _table(
    ("called named", called),
    ("living residing", lives),
    ("based", based),
    ("from", comes_from),
    ("born raised brought", born),
    ("working employed interning", works),
    ("promoted laid fired", passive_job),
    ("hired", hired),
    ("retired", retired),
    ("studying majoring", studies),
    ("enrolled attending", attends),
    ("doing pursuing", degree),
    ("married divorced single engaged widowed separated", status),
    ("dating seeing", dates),
    ("diagnosed", diagnosed),
    (" ".join(v.HEALTH_ADJECTIVES), health_word),
    ("taking", takes),
    ("allergic intolerant", allergic),
    ("with", no_longer_with),
    ("bilingual", speaks),
    ("big", fond),
    (" ".join(v.INTOLERANCES), intolerant),
    (" ".join(f"{food}-intolerant" for food in v.INTOLERANCES), intolerant_word),
    (" ".join(v.DIETS), diet),
    ("on following", on_a_diet),
    ("into", is_into),
    ("fond obsessed crazy keen passionate mad hooked", fond),
    ("prescribed", prescribed),
    ("struggling suffering battling dealing", suffers),
    ("fluent", speaks),
    ("planning", plans),
    (" ".join(word for word in v.GERUNDS if word != "attending"), is_going),
)
