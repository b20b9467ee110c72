"""Rules for work and study."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_health import drug_in
from agentmem.extractors.clauses import Clause, Sentence
from agentmem.extractors.findings import Found, follows
from agentmem.extractors.phrases import is_thing, items, organisation_at, phrase


def works(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    if words[clause.verb] == "worked" and not (
        clause.have and re.search(r"\b(?:for|since)\b", sentence.rest(clause.verb))
    ):
        return
    place = clause.verb + 1
    while words[place : place + 1] and words[place] in _HOURS:
        place += 1
    if words[place : place + 1] == ["as"]:
        yield from occupation(sentence, place + 1, strict=False)
    elif words[place : place + 1] == ["in"] and (field := phrase(sentence, place + 1, most=3)):
        if sentence.between(*field) in v.FIELDS:
            yield Found("job", field)
    elif words[place : place + 1] and words[place] in ("at", "for", "with", "by"):
        found = organisation_at(sentence, place + 1) if words[place] != "with" else None
        if found:
            yield Found("employer", found)
            if words[found[1] : found[1] + 1] == ["as"]:
                yield from occupation(sentence, found[1] + 1, strict=False)


_HOURS: Final = v.words("full-time part-time part full time remotely now currently night nights shifts days weekends")


def occupation(sentence: Sentence, place: int, *, strict: bool) -> Iterator[Found]:
    """A job behind "as"; where it works may follow. Strict asks for a known one."""
    words = sentence.words
    article = words[place : place + 1] and words[place] in ("a", "an", "the")
    found = phrase(sentence, place, most=5)
    if found is None or not is_thing(sentence, found):
        return
    head = words[found[1] - 1]
    known = (
        _is_job(head)
        and (head != "assistant" or found[1] - found[0] > 1)
        and _can_modify_a_job(words[found[0] : found[1] - 1])
    )
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


def _can_modify_a_job(words: list[str]) -> bool:
    """False for "pretty cautious driver": how one drives is no job."""
    return v.NOT_JOB_MODIFIERS.isdisjoint(words) and not any(
        word in v.ADVERBS or word.endswith(("ous", "ful", "less", "able", "ly")) for word in words
    )


def _is_job(head: str) -> bool:
    return head in v.JOBS or (head.endswith("s") and head[:-1] in v.JOBS)


def job_at(sentence: Sentence, place: int) -> int:
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


def of_a_job(sentence: Sentence, place: int) -> Iterator[Found]:
    words = sentence.words
    if (
        words[place : place + 1]
        and words[place] in ("at", "by", "with")
        and (firm := organisation_at(sentence, place + 1))
    ):
        yield Found("employer", firm, polarity="affirmed")
        place = firm[1]
    if words[place : place + 1] == ["as"]:
        yield from occupation(sentence, place + 1, strict=False)


def started(clause: Clause) -> Iterator[Found]:
    """Reads "started a job at …", "started working as …"; "started in" says too little."""
    sentence = clause.sentence
    if clause.negated:
        return
    if job := job_at(sentence, clause.verb + 1):
        yield from of_a_job(sentence, job)
    elif place := follows(clause, "as"):
        yield from occupation(sentence, place, strict=True)
    elif follows(clause, "a", "my"):
        yield from degree(clause)
    elif place := follows(clause, "taking", "on"):
        for found in items(sentence, place):
            if medicine := drug_in(sentence.words, found):
                yield Found("medication", medicine, polarity="affirmed")
    elif place := follows(clause, "studying"):
        for found in items(sentence, place):
            if is_thing(sentence, found) and sentence.words[found[0]] not in v.STUDY_STOPS:
                yield Found("studies", found, polarity="affirmed")


def passive_job(clause: Clause) -> Iterator[Found]:
    """Reads "was promoted to …", "was laid off from …", "was fired from …"."""
    sentence = clause.sentence
    if clause.negated:
        return
    if (place := follows(clause, "to")) and sentence.words[clause.verb] == "promoted":
        yield from promotion(sentence, place)
    elif (place := follows(clause, "off from", "from")) and (firm := organisation_at(sentence, place)):
        yield Found("employer", firm, polarity="ended")


def joined(clause: Clause) -> Iterator[Found]:
    """Reads "joined Siemens as an engineer": a company only if a job is said."""
    sentence = clause.sentence
    firm = organisation_at(sentence, clause.verb + 1)
    if firm and not clause.negated and sentence.words[firm[1] - 1] in v.COMPANIES:
        yield Found("employer", firm, polarity="affirmed")
    if firm and sentence.words[firm[1] : firm[1] + 1] == ["as"] and not clause.negated:
        jobs = list(occupation(sentence, firm[1] + 1, strict=False))
        if jobs:
            yield Found("employer", firm, polarity="affirmed")
            yield from jobs


def makes_a_living(clause: Clause) -> Iterator[Found]:
    """Reads "make my living as a potter", "qualified as a nurse"."""
    place = follows(clause, "a living as", "my living as", "as")
    if place and not clause.negated:
        yield from occupation(clause.sentence, place, strict=True)


def resigned(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "from")
    firm = organisation_at(clause.sentence, place) if place and not clause.negated else None
    if firm:
        yield Found("employer", firm, polarity="ended")


def promotion(sentence: Sentence, place: int) -> Iterator[Found]:
    found = phrase(sentence, place, most=5)
    if found and is_thing(sentence, found):
        yield Found("job", found, polarity="affirmed")


def hired(clause: Clause) -> Iterator[Found]:
    yield from () if clause.negated else of_a_job(clause.sentence, clause.verb + 1)


def retired(clause: Clause) -> Iterator[Found]:
    tail = clause.sentence.rest(clause.verb).strip(" .!")
    if clause.who != "we" and (not tail or tail.startswith((",", "and ", "now", "but "))):
        yield Found("job", (clause.verb, clause.verb + 1))


def studies(clause: Clause) -> Iterator[Found]:
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb + 1
    if words[clause.verb] in ("major", "majoring"):
        place = follows(clause, "in")
    if not place or place >= len(words) or clause.who == "we":
        return
    if words[place] in ("for", "towards", "toward"):
        yield from degree(clause)
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


def attends(clause: Clause) -> Iterator[Found]:
    """A school by name: "go to Leeds University", "enrolled at MIT"."""
    sentence = clause.sentence
    place = clause.verb + 1
    if sentence.words[clause.verb] in ("go", "goes", "going"):
        place = follows(clause, "to", "to school at")
    elif sentence.words[clause.verb] == "enrolled":
        place = follows(clause, "at", "in")
    found = organisation_at(sentence, place) if place else None
    if (
        found
        and not v.SCHOOL_WORDS.isdisjoint(sentence.words[found[0] : found[1]])
        and sentence.is_capital(found[1] - 1)
    ):
        yield Found("studies", found)


def degree(clause: Clause) -> Iterator[Found]:
    """Reads "doing a PhD in physics", "pursuing a degree in law"."""
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


def dropped(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "out of")
    found = organisation_at(clause.sentence, place) if place else None
    if found and not clause.negated:
        yield Found("studies", found, polarity="ended")
