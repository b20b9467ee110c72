"""Rules for plans and promises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_work import degree
from agentmem.extractors.clauses import Clause
from agentmem.extractors.findings import Found, follows
from agentmem.extractors.phrases import phrase, place_at


def plans(clause: Clause) -> Iterator[Found]:
    """What somebody plans by their own words: "planning to fly to Rome", "plan on visiting Ana"."""
    sentence = clause.sentence
    place = follows(clause, "to", "on")
    if clause.who == "they" or not place or place >= len(sentence.words):
        return
    word = sentence.words[place]
    verb = base_of(word) if sentence.words[place - 1] == "on" else word
    if verb and verb not in v.PRONOUNS | v.DETERMINERS and verb not in v.STOPS - {"do", "be", "have"}:
        yield from _deed("plan", clause, place, verb)


def is_going(clause: Clause) -> Iterator[Found]:
    """A plan if a day to come is said: "going to visit Rome in May", "flying to Rome on Friday"."""
    sentence = clause.sentence
    words = sentence.words
    place = clause.verb
    verb = base_of(words[place])
    if clause.who == "they" or clause.negated or clause.past or clause.have or not verb or words[place] in v.NO_DOINGS:
        return
    if words[place] == "getting" and (studied := list(degree(clause))):
        yield from studied
        return
    if words[place] == "moving" and words[place + 1 : place + 2] == ["to"]:
        if place_at(sentence, place + 2):
            yield from _deed("plan", clause, place, verb)
        return
    if words[place] == "going" and words[place + 1 : place + 2] == ["to"] and place + 2 < len(words):
        deed = words[place + 2]
        if deed not in v.STOPS | v.PRONOUNS | v.DETERMINERS and not sentence.is_capital(place + 2):
            place, verb = place + 2, deed
            if verb in _NO_PLANS:
                return
        elif deed in ("have", "do") or deed in v.STOPS:
            place, verb = place + 2, deed
            if deed != "have":
                return
    yield from _deed("plan", clause, place, verb, dated=True)


def has_appointment(clause: Clause) -> Iterator[Found]:
    """Reads "I have a dentist appointment on 14 January"."""
    found = phrase(clause.sentence, clause.verb + 1, most=5)
    if found and clause.who == "i" and clause.sentence.words[found[1] - 1] in v.APPOINTMENTS and not clause.negated:
        yield from _deed("plan", clause, clause.verb, "have", dated=True)


def base_of(doing: str) -> str:
    """``fly`` for "flying"; empty if it is no such form."""
    if doing in v.GERUNDS:
        return v.GERUNDS[doing]
    if not doing.endswith("ing") or len(doing) < 6:
        return ""
    stem = doing[:-3]
    if stem in _WITH_E:
        return stem + "e"
    return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem


_WITH_E: Final = v.words(
    "mak tak hav giv driv danc hik bak mov leav liv writ rid us com celebrat renovat prepar complet graduat relocat "
    "explor invit organiz organis chang divorc propos practic practis shar produc clos captur donat investigat"
)


def promised(clause: Clause) -> Iterator[Found]:
    """Reads "promised (my sister) to call", "promised Ana that I'd help"."""
    sentence = clause.sentence
    words = sentence.words
    if clause.who != "i" or clause.negated:
        return
    if words[clause.verb] in _BOUND_TO and not follows(clause, "to"):
        return
    if words[clause.verb] == "told" and words[clause.verb + 2 : clause.verb + 3] != ["i"]:
        return
    for place in range(clause.verb + 1, min(clause.verb + 7, len(words) - 1)):
        if sentence.breaks[place] or words[place] == "myself":
            return
        if words[place : place + 2] == ["to", "myself"]:
            return
        if words[place] == "to" or (words[place] == "i" and words[place + 1] in ("would", "will")):
            verb = place + 1 + (words[place] == "i")
            if verb < len(words) and words[verb] not in _NO_PLANS | {"not", "never"}:
                yield from _deed("commitment", clause, verb, words[verb])
            return


def will(clause: Clause) -> Iterator[Found]:
    """With its day: "I'll send (you) the report by Friday" is a promise, "I'll visit Ana on Friday" a plan."""
    words = clause.sentence.words
    verb = words[clause.verb]
    if (
        clause.who != "i"
        or clause.negated
        or (verb in _NO_PLANS | v.STOPS | _REPLIES and not _gets_back(words, clause.verb))
        or not verb.isalpha()
        or follows(clause, ("sure"))
    ):
        return
    rest = clause.sentence.rest(clause.verb)
    is_owed = _BY_THEN.search(rest) or _takes_you(words, clause.verb) or (verb in _OWED and _STILL_TODAY.search(rest))
    yield from _deed("commitment" if is_owed else "plan", clause, clause.verb, verb, dated=True)


def present(clause: Clause) -> Iterator[Found]:
    """Reads "I start my new job on 2 March"."""
    if clause.who in ("i", "we") and not clause.negated and not clause.have:
        yield from _deed("plan", clause, clause.verb, clause.sentence.words[clause.verb], dated=True)


def must(clause: Clause) -> Iterator[Found]:
    """Reads "I have to hand in my thesis by 1 June"."""
    sentence = clause.sentence
    place = follows(clause, "to")
    if (
        place
        and place < len(sentence.words)
        and clause.who == "i"
        and not clause.negated
        and _BY_THEN.search(sentence.rest(place))
    ):
        verb = sentence.words[place]
        if verb not in _NO_PLANS | v.STOPS:
            yield from _deed("commitment", clause, place, verb, dated=True)


_BOUND_TO: Final = v.words("agreed committed vowed swore pledged")
_BY_THEN: Final = re.compile(
    r"\bby (?:(?:the|this|next|early|mid|late|end|noon|midnight|tomorrow|tonight|today|then|\d+|(?:mon|tues|wednes"
    r"|thurs|fri|satur"
    rf"|sun)day|{'|'.join(v.MONTHS)})\b)"
)
"""A day that something is due; who stops by on Friday owes nothing."""
_STILL_TODAY: Final = re.compile(r"\b(?:today|tonight|this (?:morning|afternoon|evening|week|weekend|month))\b")
_OWED: Final = v.words(
    "send call email mail pay return finish submit book renew sign deliver bring ask tell order post write"
)
"""What somebody waits for, so that it is promised for today rather than going on."""
_REPLIES: Final = v.words("let get see talk update definitely also probably go take give post share start pick stick")


def _deed(attribute: str, clause: Clause, place: int, verb: str, *, dated: bool = False) -> Iterator[Found]:
    """A verb and its rest, up to the end of the clause; ``end`` marks what must carry a date if ``dated``."""
    sentence = clause.sentence
    words = sentence.words
    end = place + 1
    yours = _takes_you(words, place)
    while (
        end < len(words)
        and end - place < 16
        and not sentence.breaks[end]
        and (end == yours or not _ends_deed(words, end))
    ):
        end += 1
    while end > place + 1 and words[end - 1] in _LOOSE_ENDS:
        end -= 1
    points = words[end : end + 1] == ["that"] and words[end - 1] in ("out", "up", "off", "over", "down")
    if end - place < 2 or points or words[end - 1].endswith("'s") or not _POINTING.isdisjoint(words[place:end]):
        return
    said = sentence.said(place + 1, end) if end > place + 1 else ""
    yield Found(attribute, (place, end), value=f"{verb} {said}".strip(), topic="dated" if dated else None)


def _takes_you(words: list[str], verb: int) -> int:
    """The place of the "you" to whom something is to be done: "send you the plan", "mail it to you"; 0 if nobody is."""
    for place in range(verb + 1, min(verb + 8, len(words))):
        if words[place] == "you":
            return place if place == verb + 1 or words[place - 1] in ("to", "for", "with") else 0
    return 0


def _gets_back(words: list[str], verb: int) -> bool:
    """True for "get back to you with the numbers", "give you the keys" and their like, which are more than a phrase."""
    return words[verb : verb + 4] == ["get", "back", "to", "you"] or words[verb : verb + 2] == ["give", "you"]


def _ends_deed(words: list[str], place: int) -> bool:
    """True where another clause begins; "and" may join two things to be done or done with."""
    if words[place] != "and":
        return words[place] in _DEED_STOPS
    following = words[place + 1] if place + 1 < len(words) else ""
    return not following or following in v.VERBS | v.PRONOUNS or following.endswith("ed") or following in _NEW_CLAUSE


_NEW_CLAUSE: Final = v.words("my our the this need was then also just")
_NO_PLANS: Final = v.words("be do try keep know think use need say tell ask it that this a the end turn check look")


_LOOSE_ENDS: Final = v.DETERMINERS | v.words("like before after until and or at in on to for with from by of about")
_POINTING: Final = v.words("it them that those there one ones")
_DEED_STOPS: Final = v.words(
    "that's it's what's he's she's there's who's but so because cause since which who that if though although while "
    "where when i you he she it they"
)
