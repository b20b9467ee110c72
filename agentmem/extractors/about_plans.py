"""Rules for plans, promises, and standing wishes to the assistant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Clause, Sentence
from agentmem.extractors.findings import Found, follows
from agentmem.extractors.phrases import named, place_at


def plans(clause: Clause) -> Iterator[Found]:
    """ "planning to fly to Rome": a plan by its own words."""
    sentence = clause.sentence
    place = follows(clause, "to", "on")
    if clause.who == "they" or not place or place >= len(sentence.words):
        return
    on = sentence.words[place - 1] == "on"
    verb = v.GERUNDS.get(sentence.words[place]) if on else sentence.words[place]
    if verb and verb not in _NO_PLANS:
        yield from _deed("plan", clause, place, verb)


def is_going(clause: Clause) -> Iterator[Found]:
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


def promised(clause: Clause) -> Iterator[Found]:
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


def will(clause: Clause) -> Iterator[Found]:
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
    asks = "?" in sentence.low[sentence.ends[end - 1] : sentence.end]
    if end - place < 2 or sentence.words[place + 1] == "up" or asks:
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
