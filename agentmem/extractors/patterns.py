"""What each verb says: for every clause whose verb is known, the facts it states.

A rule takes a clause at its verb and gives facts as places of words. The table at the end says which rule reads which
verb; what is not in it states nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_days import events, turns_on
from agentmem.extractors.about_health import (
    allergic,
    comes_off,
    condition,
    could_kill,
    diagnosed,
    diet,
    drug_in,
    eats,
    health_word,
    injured,
    intolerant,
    intolerant_word,
    is_of_type,
    keeps,
    must_not_have,
    on_a_diet,
    outgrew,
    prescribed,
    put_on,
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
    couple,
    dates,
    is_relative,
    is_somebody,
    is_together,
    kin,
    left_me,
    named_person,
    no_longer_with,
    parted,
    proposed,
    relation,
    relative,
    sees,
    status,
    tied,
)
from agentmem.extractors.about_plans import has_appointment, is_going, must, plans, present, promised, will
from agentmem.extractors.about_self import (
    age,
    based,
    birthday_at,
    birthday_said,
    born,
    called,
    calls_home,
    changed,
    comes_from,
    contact,
    ended_up,
    goes_by,
    grew,
    home_is,
    is_back,
    is_in,
    left_for,
    lives,
    made_home,
    moved,
    reached,
    settled,
    short_age,
    spelled_age,
    turned,
)
from agentmem.extractors.about_tastes import (
    ENTHUSIASTS,
    bought,
    cares,
    comes_to_like,
    drives,
    enthusiast,
    favourite,
    fond,
    gets_into,
    goods,
    is_favourite,
    is_into,
    is_language,
    likes,
    owned,
    owns,
    picked_up,
    sold,
    speaks,
    stands,
    tastes,
    traded,
)
from agentmem.extractors.about_work import (
    attends,
    changed_major,
    degree,
    dropped,
    hired,
    hired_me,
    in_a_year_of,
    is_at,
    is_now_at,
    job_at,
    job_is_over,
    joined,
    learns,
    left,
    lost,
    makes_a_living,
    my_job,
    new_job,
    new_role,
    occupation,
    of_a_job,
    passive_job,
    promotion,
    resigned,
    retired,
    started,
    student,
    studies,
    works,
)
from agentmem.extractors.clauses import Clause, Sentence, with_verb
from agentmem.extractors.findings import Found, Rule, follows, polarity_of, words_after
from agentmem.extractors.own_name import introduced
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
    elif clause.be:
        yield from _is_something(clause)
    if rule is not None or clause.be or clause.who in ("i", "we"):
        yield from _shared(clause)


_EVERYONE: Final = ("i", "we", "they")


def _past_tells(clause: Clause) -> bool:
    return clause.sentence.words[clause.verb] in _TOLD_IN_THE_PAST


_TOLD_IN_THE_PAST: Final = v.words(
    "born diagnosed raised brought promoted laid fired sacked let made prescribed hired accepted"
)


def _is_something(clause: Clause) -> Iterator[Found]:
    """Reads "I'm a nurse", "I'm a big fan of jazz", "I'm 34"."""
    sentence, place = clause.sentence, clause.verb
    words = sentence.words
    if clause.past:
        return
    if clause.who == "we":
        if clause.name and words[place : place + 2] in (["a", "couple"], ["an", "item"]):
            yield from couple(clause)
        elif words[place].endswith("ing"):
            yield from is_going(clause)
        return
    if words[place].isdigit():
        yield from age(clause)
    elif words[place] in ("a", "an"):
        yield from _is_a(clause)
    elif words[place] == "the" and clause.who == "i":
        yield from occupation(sentence, place, strict=True)
    elif words[place][0].isdigit():
        yield from short_age(clause)
    elif (spelled := spelled_age(words[place])) and _OLD.match(sentence.rest(place)):
        yield Found("age", (place, place + 1), value=str(spelled))
    elif in_one := _IN_A_RELATIONSHIP.match(sentence.between(place, place + 5)):
        end = place + len(in_one[0].split())
        if words[end : end + 1] != ["with"]:
            yield Found("relationship", (place, end), value="dating")
        elif name := named_person(sentence, end + 1):
            yield Found("relationship", (place, name[0]), value="dating")
            yield Found("partner", name)
    elif words[place : place + 2] == ["in", "my"]:
        yield from in_a_year_of(clause)
    elif words[place] == "in":
        yield from is_in(clause)
    elif words[place].endswith("ing"):
        yield from is_going(clause)
    else:
        yield from introduced(clause)
        yield from is_somebody(clause)
        yield from new_role(clause)


_IN_A_RELATIONSHIP: Final = re.compile(
    r"in an? (?:(?:long-term|committed|serious|happy|new|stable|steady|long-distance|long|distance|term|very) ){0,2}"
    r"relationship\b"
)
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
    if years := _YEARS_OLD.match(sentence.between(*found)):
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
    elif head in _PARENTS and words[found[1] : found[1] + 1] == ["of"] and clause.who == "i":
        yield from _children(sentence, found[1] + 1)
    elif head in ("student", "major"):
        yield from student(sentence, found)
    elif head in ENTHUSIASTS and clause.who != "we":
        yield from enthusiast(sentence, found)
    elif clause.who in ("i", "they") and words[found[1] : found[1] + 1] != ["of"]:
        yield from occupation(sentence, place, strict=True)


def _children(sentence: Sentence, place: int) -> Iterator[Found]:
    """Reads "(a mother) of two", "of three boys"."""
    words = sentence.words
    count = v.NUMBERS.get(words[place], 0) if place < len(words) else 0
    if not count:
        return
    following = words[place + 1 : place + 2]
    if not following or sentence.breaks[place + 1] or following[0] in v.STOPS | {"kids", "children"}:
        yield Found("family", (place, place + 1), value=str(count), topic="child", subject="")
    elif v.RELATIONS.get(following[0]) in ("daughter", "son"):
        yield Found("family", (place, place + 2), value=str(count), topic=v.RELATIONS[following[0]], subject="")


_PARENTS: Final = v.words("mother father mom mum dad parent")


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
    if follows(clause, "fired", "sacked", "laid off", "let go", "made redundant"):
        passive = replace(clause, verb=clause.verb + 1)
        if gone := list(passive_job(passive)):
            yield from gone
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
    elif word == "stopped" and (liked := follows(clause, "liking", "enjoying")):
        for found in tastes(clause, liked):
            yield Found("likes", found.at, polarity="ended")
    elif word == "left" or (word == "quit" and v.SERVICES.isdisjoint(words[place : place + 1])):
        yield from left(clause)


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
    place = follows(clause, "up eating", "up on", "up", "out")
    if place and clause.who in ("i", "we") and not clause.negated:
        for food in items(clause.sentence, place):
            if clause.sentence.words[food[1] - 1] in v.MEATS:
                yield Found("diet", food, polarity="ended")


def _went(clause: Clause) -> Iterator[Found]:
    yield from went(clause)
    yield from comes_to_like(clause)


def _with(clause: Clause) -> Iterator[Found]:
    yield from no_longer_with(clause)
    if clause.who == "i" and polarity_of(clause) == "ended":
        yield from left(clause)
    elif clause.who == "i":
        yield from is_at(clause)


def _sees(clause: Clause) -> Iterator[Found]:
    """Reads "seeing Jamie" (these days) and "seeing the dentist" (on a day)."""
    if clause.negated:
        yield from no_longer_with(clause)
        return
    persons = list(sees(clause)) if clause.who == "i" else []
    yield from persons or is_going(clause)


def _shared(clause: Clause) -> Iterator[Found]:
    """What a second verb of the same subject says: "I'm 34 and live in Leeds"."""
    sentence = clause.sentence
    words = sentence.words
    for at in range(clause.verb + 1, min(clause.verb + 16, len(words) - 1)):
        if words[at] in _NEW_SUBJECTS:
            return
        listed = sentence.breaks[at + 1] == "," and words[at + 1] in _LISTED_VERBS
        joined = words[at] == "and" and (words[at + 1] in _SECOND_VERBS | (_SECOND_AFTER_BE if clause.be else set()))
        if listed or joined:
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
    "likes enjoys hates attend moved bought adopted started joined got quit sold turned became"
)
_LISTED_VERBS: Final = v.words("live lives work works speak speaks moved adopted vegan vegetarian divorced single")
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
    if clause.who == "i" and not clause.negated and (job := job_at(sentence, place)) and words[job - 1] != "work":
        yield from of_a_job(sentence, job) if words[job : job + 1] in (["at"], ["as"]) else ()
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
    elif not {"favorite", "favourite", "fave"}.isdisjoint(words):
        yield from favourite(clause, words)
    elif not {"email", "e-mail", "mail"}.isdisjoint(words):
        yield from contact(sentence, clause.verb, "email")
    elif last in ("number", "cell", "mobile", "phone") and set(words) <= _NUMBERS_OF_MINE:
        yield from contact(sentence, clause.verb, "phone")
    elif thing in ("native language", "mother tongue", "first language", "native tongue"):
        if sentence.words[clause.verb] in v.LANGUAGES:
            yield Found("language", (clause.verb, clause.verb + 1))
    elif thing in ("job", "profession", "occupation", "day job", "new job", "current job"):
        if sentence.words[clause.verb] in ("at", "with") and (firm := organisation_at(sentence, clause.verb + 1)):
            yield Found("employer", firm)
        yield from occupation(sentence, clause.verb, strict=False)
    elif thing in ("employer", "current employer", "new employer") and (firm := organisation_at(sentence, clause.verb)):
        yield Found("employer", firm)
    elif thing in ("major", "degree subject") and (subject := phrase(sentence, clause.verb, most=4)):
        yield Found("studies", subject)
    elif last in ("hobby", "hobbies") and len(words) <= 2:
        yield from tastes(clause, clause.verb)
    elif last in ("flat", "apartment", "house", "home", "place") and len(words) <= 2 and words[0] not in _NOT_HOMES:
        is_in = sentence.words[clause.verb] == "in"
        if (is_in or last == "home") and (found := place_at(sentence, clause.verb + is_in)):
            yield Found("home", found)
    elif last == "hometown" and (found := place_at(sentence, clause.verb)):
        yield Found("origin", found)
    elif (
        last in v.ANIMALS
        and sentence.words[clause.verb] in v.ANSWERS_TO
        and (name := named(sentence, clause.verb + 1)[0])
    ):
        yield Found("pet", name, topic=animal_of(last))


_NUMBERS_OF_MINE: Final = v.words("new current phone cell mobile number telephone work home private")
_NOT_HOMES: Final = v.words(
    "old former childhood summer holiday favorite favourite first second parents dream ideal happy"
)


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
    **dict.fromkeys((goes_by, stands, promised, _quit, broke, dropped, left, lost, is_at, comes_to_like, sees), ("i",)),
    **dict.fromkeys((owns, plans, adopted, dates, calls_home, traded), ("i", "we")),
    **dict.fromkeys(
        (
            likes,
            is_into,
            fond,
            allergic,
            age,
            works,
            studies,
            learns,
            comes_from,
            called,
            is_of_type,
            hired,
            started,
            new_job,
            passive_job,
        ),
        ("i", "they"),
    ),
    parted: ("we",),
}


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
    ("ended", ended_up),
    ("made", made_home),
    ("lost", lost),
    ("took accepted landed found", new_job),
    ("learn learns", learns),
    ("traded swapped", traded),
    ("fallen fell grown", comes_to_like),
    ("tied", tied),
    ("gone", _went),
    ("changed", lambda clause: iter([*changed(clause), *changed_major(clause)])),
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
    ("agreed committed vowed swore pledged", promised),
    ("freelance moonlight", makes_a_living),
    ("get", lambda clause: gets_into(clause) if clause.can else _got(clause)),
    ("gave", _gave),
    ("split", lambda clause: parted(clause) if clause.who == "we" else broke(clause)),
    ("divorced separated parted", parted),
    ("suffer suffers", suffers),
    ("take takes", takes),
    ("eat eats", eats),
    ("went", _went),
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
    ("decided", lambda clause: plans(clause) if clause.have else iter(())),
    ("call", calls_home),
    ("know", speaks),
    ("picked treated", picked_up),
    ("inherited", bought),
    ("use inject", takes),
    ("ride", drives),
    ("cut", _gave),
    ("promised promise", promised),
)


_AFTER_BE: Final = _table(
    ("called named", called),
    ("living residing", lives),
    ("based", based),
    ("from", comes_from),
    ("born raised brought", born),
    ("working employed interning", works),
    ("promoted laid fired sacked let made", passive_job),
    ("hired", hired),
    ("retired", retired),
    ("studying majoring", studies),
    ("enrolled attending", attends),
    ("doing pursuing finishing completing", degree),
    ("married divorced single engaged widowed separated", status),
    ("dating", dates),
    ("together", is_together),
    ("turning", lambda clause: iter(()) if any(turns_on(clause.sentence)) else is_going(clause)),
    ("learning", learns),
    ("type", is_of_type),
    ("back", is_back),
    ("at", is_at),
    ("diagnosed", diagnosed),
    (" ".join(v.HEALTH_ADJECTIVES), health_word),
    ("taking", takes),
    ("allergic intolerant", allergic),
    ("with", _with),
    ("bilingual", speaks),
    ("big", fond),
    (" ".join(v.INTOLERANCES), intolerant),
    (" ".join(f"{food}-intolerant" for food in v.INTOLERANCES), intolerant_word),
    (" ".join(v.DIETS), diet),
    ("on following", on_a_diet),
    ("into", is_into),
    ("fond obsessed crazy keen passionate mad hooked addicted partial", fond),
    ("prescribed", prescribed),
    ("struggling suffering battling dealing", suffers),
    ("fluent", speaks),
    ("planning", plans),
    (" ".join(word for word in v.GERUNDS if word != "attending"), is_going),
    ("seeing going", _sees),
    ("getting", lambda clause: iter(list(gets_into(clause)) or list(is_going(clause)))),
    ("taking", lambda clause: iter(list(takes(clause)) or list(is_going(clause)))),
)


SENTENCE_RULES: Final[tuple[Callable[[Sentence], Iterator[Found]], ...]] = (
    is_favourite, is_language, is_relative, reached, home_is, birthday_said, my_job, hired_me, put_on, left_me,
    proposed, job_is_over, is_now_at, must_not_have, could_kill, outgrew, events, turns_on,
)  # fmt: skip
"""What reads a sentence whose subject is not the speaker: "They hired me as …", "Home is …"."""
