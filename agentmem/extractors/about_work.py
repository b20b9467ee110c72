"""Rules for work and study."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_health import drug_in
from agentmem.extractors.about_people import together_with
from agentmem.extractors.clauses import Clause, Sentence, is_stated
from agentmem.extractors.findings import Found, follows
from agentmem.extractors.phrases import Span, is_thing, items, organisation_at, phrase


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
    elif words[place : place + 2] in (["in", "a"], ["in", "the"]) and "as" in words[place + 3 : place + 7]:
        yield from occupation(sentence, words.index("as", place) + 1, strict=True)
    elif words[place : place + 1] == ["in"] and (field := phrase(sentence, place + 1, most=3)):
        if sentence.between(*field) in v.FIELDS:
            yield Found("job", field)
    elif words[place : place + 1] and words[place] in ("at", "for", "with", "by"):
        found = organisation_at(sentence, place + 1) if words[place] != "with" else None
        later = next((at for at in range(place + 2, min(place + 9, len(words))) if words[at] == "as"), 0)
        if not found and later and not any(sentence.breaks[place : later + 1]):
            yield from occupation(sentence, later + 1, strict=True)
        if found:
            yield Found("employer", found)
            if words[found[1] : found[1] + 1] == ["as"]:
                yield from occupation(sentence, found[1] + 1, strict=False)


_HOURS: Final = v.words("full-time part-time part full time remotely now currently night nights shifts days weekends")


def occupation(sentence: Sentence, place: int, *, strict: bool) -> Iterator[Found]:
    """A job behind "as"; where it works may follow. Strict asks for a known one."""
    words = sentence.words
    article = words[place : place + 1] and words[place] in ("a", "an", "the")
    found = phrase(sentence, place, stops=_JOB_STOPS, most=5)
    if found is None or not is_thing(sentence, found):
        return
    if _BY_TRAINING.match(sentence.rest(found[1] - 1)):
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


_JOB_STOPS: Final = v.STOPS | {"of"}
_BY_TRAINING: Final = re.compile(r" (?:by training|at heart|by degree|by education|in name only|wannabe)\b")


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
    if words[at - 1 : at] in (["hired"], ["working"]) and at > place:
        return at
    return at + 1 if words[at : at + 1] and words[at] in ("job", "position", "role", "gig", "work") else 0


def of_a_job(sentence: Sentence, place: int) -> Iterator[Found]:
    words = sentence.words
    if (
        words[place : place + 1]
        and words[place] in ("at", "by", "with", "for")
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
    elif place := follows(clause, "at", "with"):
        if (firm := organisation_at(sentence, place)) and is_company(sentence, firm):
            yield Found("employer", firm, polarity="affirmed")
    elif place := follows(clause, "dating", "seeing", "going out with"):
        yield from together_with(clause, place)
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
    elif (place := follows(clause, "off from", "go from", "redundant by", "from")) and (
        firm := organisation_at(sentence, place)
    ):
        yield Found("employer", firm, polarity="ended")
    elif _LET_GO.match(sentence.low, sentence.starts[clause.verb], sentence.end):
        yield Found("employer", polarity="ended", end=clause.verb + 1)


_NO_MORE: Final = (
    r"(?=\s*(?:[.!,;:…)]|$)| (?:last|this|yesterday|today|on|in|again|and|so|but|because|after|two"
    r"|three|a|recently|by my"
    r"|by the|when|at work|as)\b)"
)
_LET_GO: Final = re.compile(rf"(?:fired|sacked|laid off|let go|made redundant){_NO_MORE}")
_FIRED_ME: Final = re.compile(
    rf"(?:^\W*|\b(?:and|but|so|because|today|yesterday),? )(?:they|my (?:boss|company|employer|manager|work)|we|he|she)"
    r"(?: have| has| just| finally)* (?P<what>(?:fired|sacked|dismissed|laid off) me|(?:laid|let) me (?:off|go)|made me"
    rf" redundant){_NO_MORE}"
)
_LAST_DAY: Final = re.compile(
    r"(?:\b(?:was|is|had) (?P<mine>my last day) (?P<at>at|with|for) |(?:^\W*|\b)(?P<day>(?:my )?last"
    r" day) (?:at|with|for) )"
    r"(?P<firm>\w)"
)
_THERE_UNTIL: Final = re.compile(r"\bi (?:only )?(?P<what>worked (?:there|for them)) (?:until|till|up to|before)\b")


def job_is_over(sentence: Sentence) -> Iterator[Found]:
    """Reads "they fired me", "today was my last day at Acme", "I worked there until August"."""
    low, start, end = sentence.low, sentence.start, sentence.end
    said = low[start:end]
    if over := (_FIRED_ME.search(said) or _THERE_UNTIL.search(said)):
        first, last = _word_at(sentence, start + over.start("what")), _word_at(sentence, start + over.end("what") - 1)
        if is_stated(sentence, first, first):
            yield Found("employer", polarity="ended", end=last + 1)
    elif day := _LAST_DAY.search(said):
        place = _word_at(sentence, start + day.start("firm"))
        firm = organisation_at(sentence, place)
        is_past = day["mine"] is not None or _WAS.match(sentence.rest(firm[1] - 1)) if firm else False
        if firm and is_past and sentence.is_capital(firm[0]) and is_stated(sentence, 0, place):
            yield Found("employer", firm, polarity="ended")


_WAS: Final = re.compile(r" was\b")


def _word_at(sentence: Sentence, at: int) -> int:
    return next((n for n, end in enumerate(sentence.ends) if end > at), len(sentence.ends) - 1)


def new_role(clause: Clause) -> Iterator[Found]:
    """Reads "I'm head nurse now"."""
    sentence = clause.sentence
    found = phrase(sentence, clause.verb, stops=_JOB_STOPS, most=4)
    if clause.who != "i" or clause.negated or clause.past or found is None or found[0] != clause.verb:
        return
    said = sentence.words[found[0] : found[1]]
    is_now = sentence.words[found[1] : found[1] + 1] == ["now"] or sentence.words[clause.verb - 1] == "now"
    if is_now and _is_job(said[-1]) and _can_modify_a_job([word for word in said[:-1] if word not in v.RANKS]):
        yield Found("job", found)


def joined(clause: Clause) -> Iterator[Found]:
    """Reads "joined Siemens as an engineer"; without a job it must be a company, and not as a customer."""
    sentence = clause.sentence
    firm = organisation_at(sentence, clause.verb + 1)
    if firm and not clause.negated and is_company(sentence, firm):
        is_news = clause.have or sentence.words[clause.verb - 1] == "just"
        if sentence.words[firm[0]] not in (v.PASTIMES if is_news else v.SERVICES):
            yield Found("employer", firm, polarity="affirmed")
    if firm and sentence.words[firm[1] : firm[1] + 1] == ["as"] and not clause.negated:
        jobs = list(occupation(sentence, firm[1] + 1, strict=False))
        if jobs:
            yield Found("employer", firm, polarity="affirmed")
            yield from jobs


def is_company(sentence: Sentence, firm: Span) -> bool:
    """True for a known company, or one that calls itself so, and nothing of it ("the Google app")."""
    words = sentence.words
    after = sentence.rest(firm[1] - 1)
    known = words[firm[1] - 1] in v.COMPANIES or words[firm[1] - 1] in _IN_COMPANY_NAMES
    return known and v.CLUBS.isdisjoint(words[firm[0] : firm[1]]) and _ENDS_A_FIRM.match(after) is not None


_IN_COMPANY_NAMES: Final = v.words("inc ltd gmbh llc corp labs bank hospital consulting ag plc")
_ENDS_A_FIRM: Final = re.compile(
    r"\s*(?:[.,!;:()–—-]|$)| (?:last|this|in|on|after|and|but|because|so|as|a|two|three|yesterday|today|recently|now"
    r"|since|at|to"
    r"|about|with|\d+)\b| for (?:a|about|almost|over|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|many"
    r"|\d+)\b"
)


def left(clause: Clause) -> Iterator[Found]:
    """Reads "left Zalando": only a company that is known is surely no person and no place."""
    firm = organisation_at(clause.sentence, clause.verb + 1)
    if firm and is_company(clause.sentence, firm):
        yield Found("employer", firm, polarity="ended")


def lost(clause: Clause) -> Iterator[Found]:
    """Reads "lost my job at Adobe"."""
    words = clause.sentence.words
    place = follows(clause, "my job", "my position")
    if place and not clause.negated and not _ONCE.search(clause.sentence.rest(place - 1)):
        firm = organisation_at(clause.sentence, place + 1) if words[place : place + 1] in (["at"], ["with"]) else None
        yield Found("employer", firm, polarity="ended", end=place)


_ONCE: Final = re.compile(r"\b(?:when|back in|as a (?:kid|teenager|student)|(?:years|decades) ago)\b")


def new_job(clause: Clause) -> Iterator[Found]:
    """Reads "took a job at Lidl", "found work as a waiter"."""
    if not clause.negated and (job := job_at(clause.sentence, clause.verb + 1)):
        yield from of_a_job(clause.sentence, job)


def is_at(clause: Clause) -> Iterator[Found]:
    """Reads "I changed jobs: I'm at Adobe now", "I've been with Philips for twelve years"."""
    sentence = clause.sentence
    firm = organisation_at(sentence, clause.verb + 1)
    if not firm or clause.negated or not is_company(sentence, firm):
        return
    served = clause.have and re.match(r" (?:for|since)\b", sentence.rest(firm[1] - 1))
    changed = re.search(
        r"\b(?:jobs?|work|employers?|career)\b", sentence.low[sentence.start : sentence.starts[clause.first]]
    )
    if served or changed:
        yield Found("employer", firm)


def is_now_at(sentence: Sentence) -> Iterator[Found]:
    """Reads "I worked there until August, now I'm at Northwestern"."""
    found = _NOW_AT.search(sentence.low[sentence.start : sentence.end])
    if found is None:
        return
    place = _word_at(sentence, sentence.start + found.start("firm"))
    firm = organisation_at(sentence, place)
    if firm and sentence.is_capital(firm[0]) and is_stated(sentence, 0, 1):
        yield Found("employer", firm, polarity="affirmed")


_NOW_AT: Final = re.compile(
    r"\bi (?:worked|was working|used to work)\b[^.!?]{1,60}[,;]? (?:but |and )?(?:now i'm|now i am|i'm now|i am now) "
    r"(?:at|with) (?P<firm>\w)"
)


_HIRED_ME: Final = re.compile(
    r"\b(?:hired|employed|took|taken) me (?:on )?as (?P<job>\w)|\bpromoted me to (?P<role>\w)"
)


def hired_me(sentence: Sentence) -> Iterator[Found]:
    """Reads "They hired me as a lab technician"."""
    found = _HIRED_ME.search(sentence.low, sentence.start, sentence.end)
    if found is None:
        return
    begins = found.start("job" if found["job"] else "role")
    place = next((at for at, start in enumerate(sentence.starts) if start >= begins), 0)
    if place and is_stated(sentence, 0, place):
        jobs = occupation(sentence, place, strict=False) if found["job"] else promotion(sentence, place)
        yield from (replace(job, polarity="affirmed") for job in jobs)


_MY_JOB: Final = re.compile(
    r"\bmy (?:new |current |day |full-time |part-time )?(?:job|work|career|role"
    r"|position) as (?P<job>an? \w)"
)


def my_job(sentence: Sentence) -> Iterator[Found]:
    """Reads "my job as a baker", said in passing; what is quit or lost is not meant."""
    found = _MY_JOB.search(sentence.low, sentence.start, sentence.end)
    if found is None or _JOB_IS_OVER.search(sentence.low, sentence.start, sentence.end):
        return
    words = sentence.words
    first = next((at for at, start in enumerate(sentence.starts) if start >= found.start("job")), 0) + 1
    last = next((at for at in range(first, min(first + 4, len(words))) if _is_job(words[at])), 0)
    if last and not any(sentence.breaks[first : last + 1]) and _can_modify_a_job(words[first:last]):
        yield Found("job", (first, last + 1), polarity="affirmed")


_JOB_IS_OVER: Final = re.compile(
    r"\b(?:quit|left|lost|was|were|resign\w*|leaving|quitting|former|old|first|previous|last|gave up|fired|if|would"
    r"|could|dream"
    r"|used|apply|applied|interview|retired|started out)\b"
)


def makes_a_living(clause: Clause) -> Iterator[Found]:
    """Reads "make my living as a potter", "qualified as a nurse"."""
    place = follows(clause, "a living as", "my living as", "full-time as", "part-time as", "as")
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


def learns(clause: Clause) -> Iterator[Found]:
    """Reads "learning German"."""
    for found in items(clause.sentence, clause.verb + 1):
        if clause.sentence.words[found[0]] in v.LANGUAGES and found[1] - found[0] == 1 and clause.who != "we":
            yield Found("studies", found)


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
    while words[place : place + 1] and words[place] in ("a", "an", "my", "on", "for", "towards", "second", "up"):
        place += 1
    if words[place : place + 1] and re.match(
        r"(?:phd|ph\.d|master|masters|master's|bachelor|bachelor's|degree|mba|msc|bsc|ba|ma|doctorate|diploma)$",
        words[place],
    ):
        at = place + 1 + (words[place + 1 : place + 2] in (["degree"], ["diploma"]))
        if (
            words[at : at + 1] in (["in"], ["on"])
            and (found := phrase(sentence, at + 1, most=4))
            and is_thing(sentence, found)
        ):
            yield Found("studies", found)


def student(sentence: Sentence, found: Span) -> Iterator[Found]:
    """Reads "second-year law student", "PhD student in physics", "student of biology at MIT"."""
    words = sentence.words
    if words[found[1] - 2] in v.SUBJECTS and found[1] - found[0] > 1:
        yield Found("studies", (found[1] - 2, found[1] - 1))
    at = found[1]
    subject = phrase(sentence, at + 1, most=3) if words[at : at + 1] in (["in"], ["of"]) else None
    if subject and not v.SUBJECTS.isdisjoint(words[subject[0] : subject[1]]):
        yield Found("studies", subject)
        at = subject[1]
    if words[at : at + 1] == ["at"] and (school := organisation_at(sentence, at + 1)):
        yield Found("studies", school)


def in_a_year_of(clause: Clause) -> Iterator[Found]:
    """Reads "in my second year of law"."""
    words = clause.sentence.words
    place = clause.verb + 3
    found = phrase(clause.sentence, place + 2, most=3) if words[place : place + 2] == ["year", "of"] else None
    if found and words[found[1] - 1] in v.SUBJECTS:
        yield Found("studies", found)


def changed_major(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "my major to", "majors to", "major to")
    found = phrase(clause.sentence, place, most=3) if place and not clause.negated else None
    if found:
        yield Found("studies", found, polarity="affirmed")


def dropped(clause: Clause) -> Iterator[Found]:
    place = follows(clause, "out of")
    found = organisation_at(clause.sentence, place) if place else None
    if found and not clause.negated:
        yield Found("studies", found, polarity="ended")
