"""Words that say something is done or off: "I sent it", "the report is done", "forget about the dentist".

By themselves they are no facts: who finishes a novel owed it to nobody. They close what was promised or planned before,
if something was; see ``agentmem.lifecycle.closing``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import LONGEST_SENTENCE, sentences
from agentmem.extractors.gates import HIDDEN, READ_CHARACTERS, assistants_words, is_the_assistants, readable
from agentmem.extractors.promises import of_mine, of_yours
from agentmem.records import Memory


class Closing(NamedTuple):
    """What is done or off, of whom, as verb and object, and where in the turn it is said."""

    subject: str
    value: str
    start: int
    end: int


def may_close_something(turn: Memory) -> bool:
    """False, quickly, for most turns."""
    if turn.kind != "turn":
        return False
    if not is_the_assistants(turn):
        return _GATE.search(turn.content, 0, READ_CHARACTERS) is not None
    # What it has done it says first or last.
    text = turn.content
    return len(text) <= READ_CHARACTERS and bool(_OF_ASSISTANT.search(f"{text[:_AT_ENDS]}\n{text[-_AT_ENDS:]}"))


def closings(turn: Memory) -> Iterator[Closing]:
    """What a turn says is done or off: by its speaker, and of what the assistant was to remind of."""
    if not may_close_something(turn):
        return
    is_assistants = is_the_assistants(turn)
    words = assistants_words(turn) if is_assistants else readable(turn)
    if words is None:
        return
    text, low = words
    for start, end in sentences(text, low):
        if end - start > LONGEST_SENTENCE or low[start:end].rstrip().endswith("?"):
            continue
        for deed, at, until, is_off in _closed(text, low, start, end):
            if " " not in deed.strip():
                continue
            if is_assistants:
                yield Closing("assistant", of_yours(deed), at, until)
            elif deed.startswith("remind me "):
                yield Closing("assistant", of_mine(f"remind the user {deed[10:]}"), at, until)
            else:
                yield Closing(turn.speaker or "user", deed, at, until)
                if turn.speaker is None:
                    owed = deed if is_off else f"remind the user to {deed}"
                    yield Closing("assistant", of_mine(owed), at, until)
        if is_assistants and (here := _HERE.match(low, start, end)):
            yield Closing("assistant", of_yours(f"finish {_thing(text, here)}"), here.start("what"), here.end("what"))


def _closed(text: str, low: str, start: int, end: int) -> Iterator[tuple[str, int, int, bool]]:
    """The deeds of a sentence with their places, and whether they are off rather than done."""
    if off := _OFF.match(low, start, end):
        yield f"attend to {_thing(text, off)}", off.start("what"), off.end("what"), True
    if spared := _SPARED.match(low, start, end):
        yield _thing(text, spared), spared.start("what"), spared.end("what"), True
    done = _IS_DONE.search(low, start, end) or _DONE_WITH.search(low, start, end)
    if done and not _DOUBT.search(low, start, done.start()):
        yield f"finish {_thing(text, done)}", done.start("what"), done.end("what"), False
    goes_on = False
    for did in _DID.finditer(low, start, end):
        base = _base(did["verb"])
        goes_on = (did["who"] == "i" or goes_on) and bool(base) and not _DOUBT.search(low, start, did.start())
        if not goes_on or base in _NO_DEEDS or not _is_whole(did["what"].split()):
            continue
        object_ = text[did.end("verb") : did.end("what")]
        yield f"{base} {' '.join(object_.split())}", did.start("verb"), did.end("what"), False


def _is_whole(thing: Sequence[str]) -> bool:
    """False for what only leads to what it was: "a lot of", "from the", "working" on something."""
    if not thing:
        return False
    leads = thing[0] in v.STOPS - _POINTING or thing[-1] in v.DETERMINERS - _POINTING
    return not leads and not thing[-1].endswith("ing")


def _thing(text: str, match: re.Match[str]) -> str:
    """What a pattern calls ``what``, as it stands, but for the capital of "The report"."""
    first, _, rest = " ".join(text[match.start("what") : match.end("what")].split()).strip("\"'“”*_ ").partition(" ")
    return f"{first.lower() if first.lower() in v.DETERMINERS else first} {rest}".strip()


# --- patterns -------------------------------------------------------------------------------------

_ADVERBS: Final = r"(?: (?:just|already|finally|now|also|actually|then|at last|managed to))*"
_LEAD: Final = r"[\s\"'*_]*(?:(?:oh|ok|okay|actually|please|and|so|well|no|hey|sorry|by the way|btw|also|wait),? ){0,3}"
_ENDS_THING: Final = (
    r"(?=[.,;:!?\n\x00]|$| (?:to|for|at|on|in|by|with|from|because|so|and|but|when|while|after|before|as|yesterday"
    r"|today|tonight|tomorrow|this|last|earlier|already|finally|now|ago|who|which|that|too|then|anymore|any more|please"
    r"|ok|okay|right|via|\(|–|—|-)(?!\w))"
)
_WHAT: Final = rf"(?P<what>[^.,;:!?\n{HIDDEN}]{{2,60}}?){_ENDS_THING}"
_PARTICLES: Final = r"(?: (?:to|with|for|about|up|in|off|out|back|over|down|after|on))*"
_DID: Final = re.compile(
    rf"\b(?P<who>i|and)(?:'ve| have)?(?<!\band 've){_ADVERBS} (?P<verb>[a-z]{{3,}}){_PARTICLES} {_WHAT}"
)
_FINISHED: Final = (
    r"(?:completed?|sent|submitted|paid|booked|sorted|settled|taken care of|handed in|delivered|filed|fixed|renewed"
    r"|mailed|rented|ordered|reserved|arranged|signed|over with)"
)
_IS_DONE: Final = re.compile(
    r"(?P<what>(?:the|my|our|your|that|this|[a-z]+'s) [a-z0-9' -]{2,50}?"
    r"|(?<!\S)(?<!\w )(?!it\b|that\b|this\b|what\b)[a-z-]{3,20}(?: [a-z-]{3,20})?)"
    r"(?: (?:is|are|has been|have been|was|were)|'s)(?: (?:now|all|finally|already|officially))* "
    rf"(?:done|finished|{_FINISHED})\b"
    r"(?! (?:by|when|if|before|until)\b)"
)
_DONE_WITH: Final = re.compile(
    rf"\b(?:i(?:'m| am)|we(?:'re| are))(?: (?:all|finally|now|just))* (?:done|finished|through) with {_WHAT}"
)
_OFF: Final = re.compile(
    rf"{_LEAD}(?:you can )?(?:forget(?: about)?|never ?mind(?: about)?|i(?:'ve| have)?(?: just| already)? (?:cancell?ed"
    rf"|called off)) (?!that\b|it\b|what\b|how\b|to\b){_WHAT}"
)
_SPARED: Final = re.compile(
    rf"{_LEAD}(?:there(?:'s| is) )?(?:no need to|you (?:don't|do not|no longer) (?:have to|need to)"
    r"|i (?:don't|do not|no longer) (?:have to|need to))"
    rf" (?P<what>[^.,;:!?\n{HIDDEN}]{{4,80}}?)(?: any ?more| any longer)?(?=[.,;:!?\n{HIDDEN}]|$| (?:because|so|but)\b)"
)
_HERE: Final = re.compile(
    r"[\s\"'*_]*(?:(?:sure|okay|ok|hi|hello|hey|as promised|of course|[a-z]+)[,!:]? ){0,2}(?:here(?:'s| is| are)"
    rf"|attached (?:is|are)) (?P<what>(?:the|your) [a-z0-9' -]{{2,50}}?){_ENDS_THING}"
)
_DOUBT: Final = re.compile(
    r"\b(?:if|unless|when|whenever|once|until|till|before|after|whether|as soon as|wish|should|would|could|might"
    r"|thought|think|hope|imagine|dream\w*|pretend\w*|suppose|maybe|perhaps|not|never|didn't|haven't|hasn't|isn't|aren't|say"
    r"|said|says|told|ask\w*|almost|nearly|half|because|since|used)\b"
)
_IRREGULAR: Final[Mapping[str, str]] = {
    "sent": "send", "paid": "pay", "wrote": "write", "written": "write", "bought": "buy", "made": "make", "did":
    "do", "done": "do", "took": "take", "taken": "take", "brought": "bring", "gave": "give", "given": "give",
    "told": "tell", "spoke": "speak", "spoken": "speak", "met": "meet", "got": "get", "found": "find", "built":
    "build", "went": "go", "gone": "go", "put": "put", "set": "set", "read": "read", "sold": "sell", "left":
    "leave", "kept": "keep", "taught": "teach", "drew": "draw", "drawn": "draw", "drove": "drive", "driven":
    "drive", "fed": "feed", "held": "hold", "lent": "lend", "rang": "ring", "rung": "ring", "ran": "run", "saw":
    "see", "seen": "see", "sang": "sing", "swam": "swim", "swept": "sweep", "threw": "throw", "thrown": "throw",
    "cut": "cut", "chose": "choose", "chosen": "choose", "began": "begin", "begun": "begin", "came": "come",
    "caught": "catch", "dealt": "deal", "flew": "fly", "hung": "hang", "laid": "lay", "spent": "spend", "won":
    "win", "wore": "wear", "cancelled": "cancel",
}  # fmt: skip
_WITH_E: Final = v.words(
    "bak prepar arrang organis organiz updat invit schedul complet shar clos creat chang mov sav us hir reserv practis "
    "practic revis finalis finaliz fil typ not remov replac exchang purchas upgrad donat provid solv resolv describ "
    "translat reschedul clean-up explor notic advis apologis apologiz celebrat danc driv giv hik liv los rais renovat "
    "retriev shav stor trac tun vot wip charg judg manag pack-up produc prun rat recycl reduc refin restor rot sign-up"
)
_NO_DEEDS: Final = v.words("start begin get go come become want like love decide plan need try")
_NO_PAST: Final = v.words("need indeed speed feed seed weed bleed breed exceed proceed succeed hundred")
_POINTING: Final = v.words("me him her us them it this that these those you")
_AT_ENDS: Final = 400
_OF_ASSISTANT: Final = re.compile(
    rf"I['’]ve |I have |I (?:just|already|now|finally) |I (?:[a-z]{{2,}}ed|{'|'.join(sorted(_IRREGULAR))}) "
    r"|[Hh]ere(?:['’]s| is| are) (?:the|your) |[Aa]ttached (?:is|are) "
    r"|(?:is|are|been) (?:now )?(?:done|sent|booked)"
)
_GATE: Final = re.compile(
    r"\b(?:done|finished|forget|never ?mind|no need|(?:don['’]t|no longer) (?:have|need) to|cancell?ed|called off"
    r"|here['’]s|here (?:is|are)|attached"
    rf"|(?:i|and)(?:['’]ve| have)?{_ADVERBS} (?:[a-z]{{2,}}ed|{'|'.join(sorted(_IRREGULAR))})"
    rf"|(?:(?:is|are|was|were|been)(?: \w+)?|['’]s) {_FINISHED})\b",
    re.IGNORECASE,
)


def _base(past: str) -> str:
    """``call`` for "called"; empty if it is no such form."""
    if past in _IRREGULAR:
        return _IRREGULAR[past]
    if not past.endswith("ed") or len(past) < 5 or past in _NO_PAST:
        return ""
    if past.endswith("ied"):
        return past[:-3] + "y"
    stem = past[:-2]
    if stem in _WITH_E:
        return stem + "e"
    return stem[:-1] if stem[-1] == stem[-2] and stem[-1] not in "lsz" else stem
