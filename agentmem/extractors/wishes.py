"""Standing wishes to the assistant: "Always answer in French", "Never suggest sushi", "Emoji are fine again".

What is read here is followed in every later session, so it must be the user's own and about how to answer. A turn is
read if all of it is plain talk to the assistant: wishes, what the user says of themselves, a courtesy, at most a
question behind; one sentence that may tell of somebody else's words, and none of its wishes is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from agentmem.extractors import vocabulary as v
from agentmem.extractors.about_plans import base_of
from agentmem.extractors.about_self import call_me
from agentmem.extractors.clauses import read_sentence, sentences
from agentmem.extractors.manner import FORMS_OF_ADDRESS, manner
from agentmem.extractors.own_words import may_have_marks, tells_of_others
from agentmem.interfaces import ExtractedFact
from agentmem.records import Memory, Polarity


class Wish(NamedTuple):
    """A wish and where in the turn it stands. Without an attribute of its own it is an ``instruction``."""

    value: str
    polarity: Polarity
    start: int
    end: int
    is_standing: bool = True
    attribute: str = "instruction"


def wishes(turn: Memory, text: str, low: str) -> Iterator[ExtractedFact]:
    """The standing wishes of a turn that is plainly its user's own, and the name that they want to be called."""
    if not _MAY_WISH.search(low) or may_have_marks(text):
        return
    found: list[Wish] = []
    is_asked_more = False
    # A mark that stands alone is no end: "always use ? with anyhow".
    marked = low.replace(" ? ", " _ ")
    last = ""
    for start, end in sentences(text, marked):
        said = marked[start:end].strip()
        if not said or (not found and _greets(said, turn)):
            continue
        here = _in_sentence(text, marked, start, end, introduced_by=last)
        if here is None:
            return
        if not here:
            if not _is_harmless(said, after_wish=bool(found)):
                return
            is_asked_more = is_asked_more or (bool(found) and not _STATES.match(said) and not _COURTESY.fullmatch(said))
        found += here
        last = said
    for wish in found:
        if wish.is_standing or not is_asked_more:
            yield ExtractedFact("user", wish.attribute, wish.value, wish.polarity, turn.id, wish.start, wish.end)


def _in_sentence(text: str, low: str, start: int, end: int, *, introduced_by: str) -> list[Wish] | None:
    """The wishes of a sentence; None if there is more to it, so that its turn is not to be read."""
    found: list[Wish] = []
    begins = end
    for at in (start, *(match.end() for match in _JOINT.finditer(low, start, end))):
        if found and at < found[-1].end:
            continue
        for wish in _wishes_at(text, low, at, end):
            begins = min(begins, at)
            found.append(wish)
    if not found:
        return []
    before, behind = low[start:begins].strip(" ,;"), low[found[-1].end : end]
    between = " ".join(low[one.end : other.start] for one, other in pairwise(found))
    is_fit = not before or _STATES.match(before) or _STATES_OF_ANOTHER.match(before)
    is_asked = "?" in low[max(start, end - 4) : end] and not _ASKS.match(low, start, end)
    told = tells_of_others(f"{before} {between}") or _TOLD_BEHIND.search(f"{between} {behind}")
    # "She wrote." tells of others by itself; "He is my boss. Never …" may be about him.
    is_of_another = _STATES_OF_ANOTHER.match(introduced_by) and not _STATES.match(introduced_by)
    is_led = bool(introduced_by) and not before and bool(is_of_another)
    return None if not is_fit or is_asked or told or is_led else found


def _wishes_at(text: str, low: str, at: int, end: int) -> Iterator[Wish]:
    """What is wished from a place on: a wish, what is no longer one, or a name."""
    if lifted := _lifted(text, low, at, end):
        yield lifted
    elif name := _name_at(text, low, at, end):
        yield name
    elif wish := _short_wish(low, at, end) or _deed(text, low, at, end):
        yield wish


def _deed(text: str, low: str, at: int, end: int) -> Wish | None:
    """A wish with its verb: "from now on never suggest sushi"."""
    head = _HEAD.match(low, at, end)
    assert head is not None, "all of it is optional"
    begins = head.end()
    stop = _DEED_ENDS.search(low, begins, end)
    ends = stop.start() if stop else end
    ends = begins + len(low[begins:ends].rstrip(" .!?,;"))
    how = head["how"] or ""
    is_ban = _BAN.search(how) is not None or (head["frame"] or "").rstrip().endswith("didn't")
    if ends <= begins or (is_ban and "always" in how) or _CONDITIONAL.match(low, ends, end):
        return None
    verb, _, rest = text[begins:ends].partition(" ")
    if _GERUND_BAN.search(how):
        doing = _BASES.get(verb.lower()) or base_of(verb.lower())
        verb, rest = (doing, rest) if doing or how.endswith("stop ") else ("use", text[begins:ends])
    value = f"{verb[:1].lower()}{verb[1:]} {rest}".strip()
    kind = manner(value, is_ban=is_ban)
    marked = bool(head["mark"] or head["mark2"]) or _MARKED.search(how) is not None
    standing = marked or _MARKED.search(low, ends, end) is not None
    if not kind or (kind == "asked" and not standing):
        return None
    return Wish(value, "denied" if is_ban else "affirmed", begins, ends, is_standing=standing)


def _short_wish(low: str, at: int, end: int) -> Wish | None:
    """A wish without a verb: "no emoji please", "only English from now on", "shorter answers, please"."""
    found = _SHORT.match(low, at, end)
    if found is None or _CONDITIONAL.match(low, found.end(), end):
        return None
    polarity: Polarity = "denied" if found["no"] else "affirmed"
    if found["no"]:
        told = found["no"]
        value = told if told.startswith(("tips", "advice")) else ""
        value = f"give {value}" if value else f"{'make' if told.startswith(('jokes', 'puns')) else 'use'} {told}"
    elif found["language"] or found["language2"]:
        value = f"answer in {(found['language'] or found['language2']).title()}"
    else:
        value = f"give {found['answers']}"
    if not manner(value, is_ban=polarity == "denied"):
        return None
    return Wish(value, polarity, found.start("said"), found.end("said"))


def _lifted(text: str, low: str, at: int, end: int) -> Wish | None:
    """What is no longer wished: "emoji are fine again", "you don't have to answer in French any more"."""
    if found := _ALLOWED.match(low, at, end):
        thing = found["thing"] or found["thing2"] or found["subject"]
        if manner(f"mention {thing}" if found["subject"] else f"use {thing}", is_ban=bool(found["subject"])):
            return Wish(f"avoid {thing}", "ended", found.start("said"), found.end("said"))
    if found := _SPARED.match(low, at, end):
        deed = text[found.start("deed") : found.end("deed")]
        if found["stop"]:
            doing, _, rest = deed.partition(" ")
            deed = f"{_BASES.get(doing.lower()) or base_of(doing.lower())} {rest}"
        if manner(deed, is_ban=False):
            return Wish(deed, "ended", found.start("deed"), found.end("deed"))
    if (found := _DROPPED.match(low, at, end)) and manner(f"use {found['thing']}", is_ban=False):
        return Wish(f"use {found['thing']}", "ended", found.start("thing"), found.end("thing"))
    return None


def _name_at(text: str, low: str, at: int, end: int) -> Wish | None:
    """What the user wants to be called: "call me Dr. Reyes", "you don't have to call me that, Elena is fine"."""
    if found := _NAME_IS_FINE.match(text, at, end):
        return Wish(found["name"], "affirmed", found.start("name"), found.end("name"), attribute="name")
    sentence = read_sentence(text, low, at, end, plain=low == text) if " me " in low[at:end] else None
    for called in call_me(sentence) if sentence else ():
        if called.at is not None and sentence is not None:
            first, last = called.at
            start, until = sentence.starts[first], sentence.ends[last - 1]
            polarity = called.polarity or "affirmed"
            if polarity == "denied" and sentence.words[first] in FORMS_OF_ADDRESS and last == first + 1:
                return None
            return Wish(text[start:until].strip(" .,"), polarity, start, until, attribute="name")
    return None


def _greets(said: str, turn: Memory) -> bool:
    """True for "Hi!" and "Thanks, Max."; who greets somebody by name may be quoting a letter."""
    named = _GREETS_NAME.fullmatch(said)
    if named is None:
        return _COURTESY.fullmatch(said) is not None
    return named["name"] in _ANYBODY or named["name"] == (turn.scope.agent or "").casefold()


def _is_harmless(said: str, *, after_wish: bool) -> bool:
    """True for a sentence that may stand beside a wish: a courtesy, a word on oneself, or a request behind."""
    if _COURTESY.fullmatch(said):
        return True
    if tells_of_others(said) or _POINTS.search(said):
        return False
    if _STATES.match(said):
        return True
    if not after_wish:
        return _STATES_OF_ANOTHER.match(said) is not None
    return len(said.split()) > 3 and _REQUESTS.match(said) is not None and not _ABOUT_IT.search(said)


# --- patterns -------------------------------------------------------------------------------------

_MAY_WISH: Final = re.compile(
    r"\b(?:please|pls|always|never|don't|do not|dont|stop|avoid|from now on|from here on|going forward|future|default"
    r"|keep"
    r"|no more|no|only|again|any ?more|forget|call me|use|answers?|repl(?:y|ies)|respond|speak|write|talk|be|shorter"
    r"|longer"
    r"|address me|explain|rather|give|show|correct)\b"
)
_JOINT: Final = re.compile(r"[,;] (?:(?:and|but|so|then|also) )*| (?:and|but|so) ")
_MARK: Final = (
    r"(?:from now on|from here on(?: out)?|going forward|(?:in|for the) (?:the )?future|in general|by default"
    r"|at all times"
    r"|as a rule|when(?:ever)? you (?:answer|reply|respond|write|explain|talk|speak)(?: to me| me)?"
    r"|in (?:all )?your (?:answers|replies|responses))"
)
_LEAD: Final = (
    r"[\s*]*(?:(?:please|pls|kindly|and|but|also|so|then|oh|ok|okay|hey|hi|hello|btw|by the way|just|let's|actually"
    r"|no|yes|thanks|thank you|thx|well|one more thing|sorry|hmm|great|perfect|right|anyway|cool|nice|again)[,!.:]? +)*"
)
_HEAD: Final = re.compile(
    rf"{_LEAD}(?:(?P<mark>{_MARK}),? +)?{_LEAD}"
    r"(?P<frame>(?:can|could|would|will) you |(?:i|i'd|i would) (?:like|want|need|prefer) you to |i'd (?:like|prefer"
    r"|want) "
    r"you to |make sure (?:to |you |that you )|be sure to |remember to |try to |i(?:'d| would) (?:rather"
    r"|prefer) (?:it )?"
    r"(?:if )?you (?:didn't )?)?"
    rf"(?:(?P<mark2>{_MARK}),? +)?(?P<how>(?:(?:please|always|only|never ever|never|don't ever|do not ever|don't"
    rf"|do not|dont"
    r"|avoid|stop|not|just|ever|to),? )*)"
)
_BAN: Final = re.compile(r"\b(?:never|don't|do not|dont|avoid|stop|not)\b")
_GERUND_BAN: Final = re.compile(r"\b(?:avoid|stop) $")
_MARKED: Final = re.compile(
    rf"\b(?:always|never|ever|stop|avoid|{_MARK[3:-1]}|any ?more|any longer|again|every time|each time)\b"
)
_WISH_VERBS: Final = (
    r"(?:answer|reply|respond|use|write|give|speak|talk|explain|include|keep|address|start|end|cite|show|add|avoid"
    r"|suggest"
    r"|recommend|mention|call me|be|put|make sure|ask|tell|say|limit|correct|send|forward|delete|pay|share|book|buy)"
)
_DEED_ENDS: Final = re.compile(
    r"[.!?;…](?:\s|$)|, |$| (?:-|–|—) | (?:because|since|so(?! much| many)|unless|when|whenever|if|even|please|pls"
    r"|thanks|thank you"
    r"|from now on|from here on|going forward|in (?:the )?future|by default|any ?more|any longer|again|ever|always"
    r"|at all times|every time|each time|ok|okay|though|too|only(?! in\b)|except|until|till|(?<! a )while|today"
    r"|tonight|for now"
    r"|this time|unless|or else|instead)\b"
    rf"| (?:and|but|or) (?=(?:(?:please|also|then|just|always|never|only|don't|do not|dont|stop|avoid"
    rf"|no) )*{_WISH_VERBS}\b)"
    r"| (?:and|but) (?=(?:i|i'm|my|we|you|it|he|she|they|please|never|always|don't|no)\b)"
)
_CONDITIONAL: Final = re.compile(
    r",? *(?:only )?(?:(?:if|unless|until|till|while|except|this time|for (?:this|today|now|the (?:next|rest))|today"
    r"|tonight"
    r"|in this|here|or else)\b|when(?:ever)? (?!you (?:answer|reply|respond|write|talk|speak)\b))"
)
_STYLE_NOUNS: Final = (
    r"emojis?|emoticons|smileys|bullet ?points?|bullets|lists|tables?|markdown|headings|jargon|slang"
    r"|exclamation marks|hashtags"
    r"|abbreviations|filler(?: words)?|jokes|puns|metaphors|disclaimers|sarcasm|swear words|profanity|code blocks"
    r"|sources"
    r"|citations|short answers|long answers"
)
_SHORT: Final = re.compile(
    rf"{_LEAD}(?:(?:{_MARK}),? +)?{_LEAD}(?P<said>no (?:more )?(?P<no>{_STYLE_NOUNS}|(?:tips|advice) (?:on"
    rf"|about) [\w ]{{3,40}})"
    rf"|only (?:in )?(?P<language>{'|'.join(sorted(v.LANGUAGES))})"
    rf"|(?P<language2>{'|'.join(sorted(v.LANGUAGES))})(?: only)?"
    r" (?:again|from now on|only)|(?P<answers>(?:(?:much|a bit|even) )?(?:shorter|longer|briefer|simpler|more detailed"
    r"|less formal|more formal|short|brief) (?:answers|replies|responses|explanations)))"
    r"(?=(?:,? (?:please|pls|from now on|going forward|any ?more|in (?:the )?future|ok|okay|again|thanks))*(?:[.!,;]"
    r"|$))"
)
_ALLOWED: Final = re.compile(
    rf"{_LEAD}(?P<said>(?:the )?(?P<thing>[\w -]{{2,30}}?) (?:are|is|would be) (?:totally |perfectly )?(?:fine|ok|okay"
    r"|allowed|welcome|good|alright|all right) (?:again|after all|now(?= again| after all))|(?:you (?:can|may)"
    r"|it(?:'s| is) (?:fine|ok|okay|alright) (?:for you )?to) (?:use (?P<thing2>[\w' -]{2,40}?)|(?:mention|bring up"
    r"|talk about|suggest|recommend|say|ask (?:me )?about) (?P<subject>[\w' -]{2,40}?)) again)"
    r"(?=[.!,;]|$| now| after all)"
)
_SPARED: Final = re.compile(
    rf"{_LEAD}(?:you (?:don't|do not|no longer) (?:have to|need to)|no need to|you needn't|you can (?P<stop>stop)) "
    r"(?:always )?(?P<deed>(?!call me)[\w' -]{4,60}?)(?: any ?more| any longer| now)?(?=[.!,;]|$| because\b| so\b)"
)
_DROPPED: Final = re.compile(
    rf"{_LEAD}(?:you can )?(?:forget(?: about)?|drop|never ?mind) (?:the |my wish for "
    rf"|those )?(?P<thing>{_STYLE_NOUNS})"
    r"(?=[.!,;]|$| again| from now on)"
)
_NAME_IS_FINE: Final = re.compile(
    r"(?:(?:And|and|Also|But|but|Oh|Actually),? )?(?:[Yy]ou (?:don't|don’t|do not|needn't) (?:(?:have|need) to )?"
    r"|[Nn]o need to )"
    r"(?:always )?call me [\w. ]{2,30}, (?:just )?(?P<name>[A-Z][\w'-]+) (?:is|will do|would be)\b"
)
_ASKS: Final = re.compile(rf"{_LEAD}(?:(?:{_MARK}),? +)?(?:can|could|would|will) you (?!always (?:see|hear|read|know))")
_LEADING: Final = (
    r"(?:(?:and|but|so|oh|hmm|well|also|ok|okay|actually|hi|hey|hello|thanks|yes|no|by the way|btw|sorry|because"
    r"|anyway|since"
    r"|as|yeah|perfect|great)[,!]? )*"
)
_STATES: Final = re.compile(
    rf"{_LEADING}(?:(?:i|i'm|i've|i'll|i'd|im|ive|we|we're|we've|we'll)\b|my (?:{'|'.join(sorted(v.LANGUAGES))}|eyes"
    rf"|eyesight"
    r"|time|level|name|spelling|grammar|attention|vision|hearing|memory|hands?|phone screen)\b)"
)
_STATES_OF_ANOTHER: Final = re.compile(
    rf"{_LEADING}(?:my [\w ]{{2,20}}|he|she|it|they|[a-z]+(?: and [a-z]+)?) (?:is|are|was|were|has|have|had|hates?"
    rf"|loves?"
    r"|can't|cannot|doesn't)\b|(?:she's|he's)\b"
)
_COURTESY: Final = re.compile(
    r"(?:hi|hello|hey|hola|hiya|thanks|thank you|thx|ty|ok|okay|great|perfect|nice|cool|good|lovely|awesome|excellent"
    r"|got it"
    r"|yes|no|sure|please|sorry|oh|one more thing|one thing|right|alright|noted|wonderful|super|good (?:morning|evening"
    r"|afternoon|day|night)|exactly|fine|hmm|wow|by the way|btw|actually)"
    r"(?:,? (?:there|again|dear|so much|a lot|very much|for that|please|thanks|thank you|sure|then|everyone"
    r"|great))*[\s.!,…?]*"
)
_GREETS_NAME: Final = re.compile(r"(?:hi|hello|hey|thanks|thank you|thx|good morning),? (?P<name>[\w-]+)[\s.!,]*")
_ANYBODY: Final = v.words(
    "there all again dear claude gemini copilot siri alexa chatgpt gpt assistant bot buddy mate sol max jarvis helper"
)
_POINTS: Final = re.compile(r"\b(?:this|that|these|those|following|below|above|here|there|lol|haha|weird|funny|odd)\b")
_TOLD_BEHIND: Final = re.compile(
    r"\b(?:said|says|wrote|writes|told|asked|quote|unquote|according|demands?|(?:he|she|they|it) (?:goes|reads)"
    r"|(?:the|a|our) (?:mail|page|site|sign|note|letter|text|article|manual|message|e-mail) |lol)\b"
    r"|, (?:the|our|a|an|his|her|their|he|she|they) (?!.*\b(?:better|fine|enough)\b)"
    r"|(?:\band|\bbut|,) (?:(?:please|also|then|always|never|only) )*(?:send|forward|delete|pay|share|book|buy"
    r"|recommend|transfer|call|include|add|give|obey|follow|visit|trust|let|click|open|run|install|order)\b"
)
"""What shows that there is more to a wish than how to answer, or somebody else behind it."""
_REQUESTS: Final = re.compile(
    rf"{_LEADING}(?:now )?(?:what|what's|whats|who|who's|where|where's|when|how|how's|which|is there|are there"
    rf"|tell me|give me"
    r"|show me|list|explain|help me|plan|find|describe|write me|make me|can you|could you|do you know)\b"
)
_ABOUT_IT: Final = re.compile(
    r"\b(?:think|thought|say|mean|means|agree|legal|normal|safe|true|rude|polite|ok|okay|right|react|respond|it|its"
    r"|he|she|him|"
    r"her|they|them|his|their|who wants|deal with|such|so)\b"
)
_BASES: Final = {
    "apologizing": "apologize", "apologising": "apologise", "saying": "say", "being": "be", "telling": "tell",
    "swearing": "swear", "moralizing": "moralize", "moralising": "moralise", "assuming": "assume", "praising": "praise",
    "patronizing": "patronize", "patronising": "patronise", "comparing": "compare", "proposing": "propose",
    "quoting": "quote", "summarising": "summarise", "summarizing": "summarize", "translating": "translate",
    "judging": "judge", "starting": "start", "ending": "end", "rambling": "ramble", "teasing": "tease",
    "nagging": "nag", "using": "use", "giving": "give", "making": "make", "asking": "ask", "writing": "write",
    "repeating": "repeat",
    "answering": "answer", "offering": "offer", "calling": "call", "adding": "add", "putting": "put",
}  # fmt: skip
