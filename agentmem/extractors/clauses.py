"""Sentences in words, and the clauses in them whose subject is the speaker or somebody of theirs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from agentmem.extractors import vocabulary as v

SENTENCES_READ: Final = 40
LONGEST_SENTENCE: Final = 400
_MOST_WORDS: Final = 80

_END: Final = re.compile(r"(?:[.!?…]+[\"')\]”]*(?=\s|$)|[!?]+|\n+|\x00+|[\U0001f300-\U0001faff]+)")
_ABBREVIATED: Final = re.compile(
    r"\b(?:dr|mr|mrs|ms|st|prof|jr|sr|vs|e\.g|i\.e|approx|dept|u\.s|u\.k|ph\.d|a\.m|p\.m|[a-z])\.$"
)
_NO_BREAKS: Final = " \t%$€£#*_~"
_TITLES: Final = frozenset(("dr", "mr", "mrs", "ms", "st", "prof", "jr", "sr"))
_WORD: Final = re.compile(r"\w+(?:['’&+@/.-]\w+|-)*")

_BLOCKERS: Final = re.compile(
    r"\b(?:replied|answered|yelled|shouted|explained|whispered|announced|argued|screamed|(?:he|she|it|song|saying)"
    r" goes|(?:was|were|is|be|all) like|quoted|quotes|states|stated|reads|someday|one day|eventually|in (?:the|a|this"
    r"|my|that) (?:game|story|play|show|film)|avatar|skyrim|minecraft|if|whether|unless|wish|wishes|wished|imagine"
    r"|suppose|supposing|pretend|dreamt|dreamed|hypothetically|when|whenever|until|till|once|before|said|says|saying"
    r"|told|tells|telling|asked|asks|thinks?|thought|guess|believes?|believed|claims?|claimed|assumes?|assumed|joked"
    r"|insists?|insisted|swears?|heard|hears?|wrote|writes|texted|quote|according|maybe|perhaps|probably|possibly"
    r"|apparently|supposedly|might|hope|hoping|hopefully|feels? like|felt like|as though|as if|not sure|unsure|let's"
    r" say|lets say|meant to say|want to say|can't say|cannot say|not that|instead of|bot|lyrics|titled|called|song"
    r"|novel|movie|script|example|e\.g|wonder|wondering|doubt|doubts|who|whoever|say|pretending|character|fake|lie"
    r"|lied|joke|rumou?r|dream|in case|assuming|would've|used to think)\b"
)
_ANEW: Final = re.compile(r";|\bbut\b|, so\b|\banyway\b|\bhowever\b")
_PASSING_DOUBTS: Final = re.compile(
    r"when|until|till|once|before|thought|thinks?|guess|hope|hoping|maybe|perhaps|probably|not sure|unsure|who|wonder"
    r"|wondering|doubt"
)
"""What is doubted or past only up to a "but"."""
_FACTUAL: Final = re.compile(
    r"\b(?:(?:i )?(?:don't|do not|dont|can't|cannot) (?:know|remember|recall) (?:if|whether) (?:i|i've"
    r"|i have) (?:ever |already )?"
    r"(?:said|mentioned|told you)(?: this| that| it)?(?: before| already| yet)?|i think i (?:already )?(?:mentioned"
    r"|told you)"
    r"|(?:you (?:may|might) )(?:remember|recall)|i should (?:probably )?(?:say|mention|tell you)|i have to say"
    r"|(?:as|like) i (?:already )?(?:said|mentioned|told you)|i (?:already )?told you|in case you (?:forgot|missed"
    r" it|wondered)|if you must know|if you're wondering|not sure if i (?:said|mentioned|told you)(?: this| that| it)?"
    r"(?: before)?|not sure (?:if|whether) you (?:know|remember)(?: this)?|did i mention)\b"
)
_REMINDS: Final = re.compile(
    r"(?:please |so |and |but |just )*(?:remember|don't forget|dont forget|keep in mind|note|bear in mind|you should"
    r" know|you know|you know already|just a reminder|a reminder|i should mention|i forgot to mention|i must say|the"
    r" thing is|fact is|turns out|did you know|it turns out|i told you|i mentioned) (?:that )?"
)
_AFTER: Final = re.compile(
    r"\b(?:or (?:had|was|did|used to)|i think|i guess|i suppose|i believe|i hope|or something|or so|maybe|probably"
    r"|perhaps|supposedly|apparently|in (?:the|a|this|my|that) (?:game|dreams?|story|novel|book|movie|film|play|show"
    r"|song|simulation|next life|past life)|in (?:minecraft|skyrim|gta|the sims|another life|theory|dog years)|if"
    r"|unless|not really|or not|would be|said|says|one day|someday|some day|in spirit|at heart|for a day|as a joke|on"
    r" paper|according to|he claims|she claims)\b"
)
_OPENS_QUESTION: Final = re.compile(
    r"[,;:—–-]?\s*(?:and |but |so |or |then |also |anyway |hey |any |did )*(?:what|how|who|where|when|why|which|do"
    r"|does|did|is|are|am|was|were|can|could|would|will|should|have|has|any|you|got|don't|isn't|what's|how's|where's"
    r"|who's|anything|mind)\b"
)


@dataclass(slots=True)
class Sentence:
    """Words with their places in the turn; a contraction is several words at one place.

    Args:
        breaks: What stands before each word if it is more than a space: ``","``; empty otherwise.
        plain: True if the turn is written without capital letters.
    """

    text: str
    low: str
    start: int
    end: int
    words: list[str]
    starts: list[int]
    ends: list[int]
    breaks: list[str]
    plain: bool

    def said(self, first: int, last: int) -> str:
        """The words from ``first`` to before ``last`` as they stand in the turn."""
        return self.text[self.starts[first] : self.ends[last - 1]]

    def is_capital(self, place: int) -> bool:
        return self.text[self.starts[place]].isupper()

    def rest(self, place: int) -> str:
        """What follows a word, in lower case, up to the end of the sentence."""
        return self.low[self.ends[place] : self.end]

    def between(self, first: int, last: int) -> str:
        return " ".join(self.words[first:last])


@dataclass(slots=True)
class Clause:
    """A clause up to its verb.

    Args:
        who: ``i``, ``we``, ``they`` (a third person) or ``it`` (a thing of the speaker's).
        subject: The third person's name or relation; the thing (``favourite color``, ``phone number``).
        name: The third person's name, if it was said.
        first: Place of its first word. verb: Place of its verb; may be one past the last word.
        be: The verb follows a form of "to be" (or is what that says of the subject). have: follows "have" (perfect).
    """

    sentence: Sentence
    who: str
    subject: str
    first: int
    verb: int
    name: str | None = None
    be: bool = False
    have: bool = False
    past: bool = False
    will: bool = False
    can: bool = False
    negated: bool = False
    no_longer: bool = False
    used_to: bool = False


def sentences(text: str, low: str) -> Iterator[tuple[int, int]]:
    """Where each sentence stands, end excluded and with its closing mark; at most the first forty."""
    start = 0
    found = 0
    for match in _END.finditer(low):
        mark = low[match.start()]
        if (
            mark == "."
            and match.end() - match.start() == 1
            and _ABBREVIATED.search(low, max(start, match.end() - 8), match.end())
        ):
            continue
        if match.start() > start:
            yield start, match.end()
            found += 1
            if found >= SENTENCES_READ:
                return
        start = match.end()
    if start < len(low):
        yield start, len(low)


def read_sentence(text: str, low: str, start: int, end: int, *, plain: bool) -> Sentence | None:
    """The sentence in words; None if it is too long to be one."""
    if end - start > LONGEST_SENTENCE:
        return None
    words: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    breaks: list[str] = []
    last = start
    for match in _WORD.finditer(low, start, end):
        begin, finish = match.span()
        word = match[0]
        gap = low[last:begin].strip(_NO_BREAKS)
        if gap == "." and len(words) and (len(words[-1]) == 1 or words[-1][-2:-1] == "." or words[-1] in _TITLES):
            gap = ""
        if gap == "'" and words and words[-1].endswith("s"):
            gap = ""
        last = finish
        parts = v.CONTRACTIONS.get(word)
        if parts is None:
            words.append(word)
            starts.append(begin)
            ends.append(finish)
            breaks.append(gap)
            continue
        for part in parts:
            words.append(part)
            starts.append(begin)
            ends.append(finish)
            breaks.append(gap)
            gap = ""
    if not words or len(words) > _MOST_WORDS:
        return None
    return Sentence(text, low, start, end, words, starts, ends, breaks, plain)


def clauses(sentence: Sentence) -> Iterator[Clause]:
    """The clauses that state something of the speaker or of theirs, as far as their verbs, doubtful ones left out."""
    words, breaks = sentence.words, sentence.breaks
    asked = _asked_from(sentence)
    is_open = True
    opened_until = 0
    reminded = _REMINDS.match(sentence.low, sentence.starts[0], sentence.end)
    for place, word in enumerate(words):
        if reminded and sentence.starts[place] < reminded.end():
            continue
        if sentence.starts[place] >= asked:
            return
        if place == 0 and word in _PREPOSITIONS:
            opened_until = _main_clause_after(sentence)
        if place < opened_until:
            continue
        if not is_open:
            is_open = bool(breaks[place]) or words[place - 1] in v.JOINERS
        elif place and breaks[place]:
            is_open = True
        if not is_open:
            continue
        if (word in _WITHOUT_I or words[place + 1 : place + 2] == ["here"]) and (
            clause := _elided(sentence, place)
        ) is not None:
            if not _is_doubtful(sentence, clause):
                yield clause
            is_open = False
            continue
        is_name_and_i = words[place + 1 : place + 3] == ["and", "i"] and is_name(sentence, place)
        if word in ("i", "we", "my", "our") or is_name_and_i:
            clause = _clause_at(sentence, place)
            if clause is not None and not _is_doubtful(sentence, clause):
                yield clause
            is_open = False
        elif word not in _OPENERS and not word.isdigit():
            is_open = False


_OPENERS: Final = v.FILLERS | v.TIME_OPENERS | v.JOINERS | v.ADVERBS


def _main_clause_after(sentence: Sentence) -> int:
    """Where "I" or "my" stands behind a phrase that opens the sentence ("After the divorce I …"); 0 if it does not."""
    words = sentence.words
    for place in range(1, min(8, len(words))):
        if words[place] in ("i", "we") and place > 1:
            return place
        if sentence.breaks[place] or words[place] in v.VERBS or words[place] in _NEW_CLAUSES:
            return 0
    return 0


_PREPOSITIONS: Final = v.words("after in at with on during despite following besides for since thanks apart due")
_NEW_CLAUSES: Final = v.words("that which who whom what if when while because as than like you he she they it")


def is_stated(sentence: Sentence, first: int, verb: int) -> bool:
    """True if what begins at a place is neither asked nor doubted."""
    if sentence.starts[first] >= _asked_from(sentence):
        return False
    return not _is_doubtful(sentence, Clause(sentence, "it", "", first, verb))


def _elided(sentence: Sentence, place: int) -> Clause | None:
    """A clause that leaves "I" out: "Just moved to Berlin", "Allergic to nuts, by the way"."""
    words = sentence.words
    if any(word not in v.FILLERS and word not in v.ADVERBS and word not in v.TIME_OPENERS for word in words[:place]):
        return None
    clause = Clause(sentence, "i", "", place, place)
    if words[place + 1 : place + 2] == ["here"]:
        clause.be = True
        return clause
    if words[place] == "been":
        clause.have = True
        return with_verb(clause)
    clause.be = word_is_state = words[place] in _STATES
    return clause if word_is_state or words[place] in _WITHOUT_I else None


_STATES: Final = v.words("from allergic born based living working studying married diagnosed")
_WITHOUT_I: Final = _STATES | v.words(
    "been moved relocated quit bought sold adopted started broke turned resigned got joined settled"
)


def _asked_from(sentence: Sentence) -> int:
    """Where a question begins; behind the sentence's end if it asks nothing."""
    low, start, end = sentence.low, sentence.start, sentence.end
    if "?" not in low[max(start, end - 4) : end]:
        return end + 1
    for place in range(len(sentence.words) - 1, 0, -1):
        joined = sentence.breaks[place] or sentence.words[place - 1] in v.JOINERS
        if joined and _OPENS_QUESTION.match(low, sentence.starts[place]):
            return start if _OPENS_QUESTION.match(low, sentence.starts[0]) else sentence.starts[place]
    return start


def _is_doubtful(sentence: Sentence, clause: Clause) -> bool:
    before = _FACTUAL.sub(" ", sentence.low[sentence.start : sentence.starts[clause.first]])
    if before and (blocker := _BLOCKERS.search(before)):
        fresh = max((match.end() for match in _ANEW.finditer(before)), default=0)
        passing = blocker.start() < fresh and _PASSING_DOUBTS.fullmatch(blocker[0])
        if not passing or any(not _PASSING_DOUBTS.fullmatch(doubt) for doubt in _BLOCKERS.findall(before)):
            return True
        if _BLOCKERS.search(before, fresh):
            return True
    return (
        clause.verb < len(sentence.words)
        and _AFTER.search(sentence.low, sentence.ends[clause.verb - 1], sentence.end) is not None
    )


# --- subject and verb -----------------------------------------------------------------------------


def _clause_at(sentence: Sentence, place: int) -> Clause | None:
    word = sentence.words[place]
    if word in ("my", "our"):
        return _of_theirs(sentence, place)
    if word not in ("i", "we"):
        return with_verb(Clause(sentence, "we", "", place, place + 3, name=sentence.said(place, place + 1)))
    return with_verb(Clause(sentence, word, "", place, place + 1))


def _of_theirs(sentence: Sentence, place: int) -> Clause | None:
    """A clause about "my sister (Clara)", "my wife and I", or a thing: "my favourite color", "my phone number"."""
    words = sentence.words
    at = place + 1
    while at < len(words) and words[at] in _KINDS_OF_RELATIVE and not sentence.breaks[at]:
        at += 1
    if at >= len(words) or sentence.breaks[at]:
        return None
    said = words[at]
    possessive = said.endswith(("'s", "s'"))
    base = said[:-2] if said.endswith("'s") else said
    relation = v.RELATIONS.get(base) or (base if base in v.PARTNERS else None)
    if relation is None or words[at + 1 : at + 2] == ["tongue"]:
        return _of_a_thing(sentence, place)
    name, after = name_at(sentence, at + 1) if not possessive else (None, at + 1)
    if words[after : after + 1] == ["who"] and not possessive and base != "parents" and not base.endswith("s"):
        clause = Clause(sentence, "they", name or relation, place, after + 1, name=name)
        return with_verb(clause) if sentence.breaks[after] in ("", ",") else None
    if words[after : after + 2] == ["and", "i"]:
        return with_verb(Clause(sentence, "we", base, place, after + 2, name=name))
    if words[after : after + 1] == ["and"]:
        return None
    if possessive and (after >= len(words) or words[after] not in _AFTER_IS):
        return _of_a_thing(sentence, place)
    if base == "parents":
        relation = base
    elif base != relation and base.endswith(("s", "children")) and base != "sis":
        return None
    clause = Clause(sentence, "they", name or relation, place, after, name=name)
    clause.be = possessive
    if sentence.breaks[after : after + 1] and sentence.breaks[after] and name is None:
        return None
    return with_verb(clause)


def _of_a_thing(sentence: Sentence, place: int) -> Clause | None:
    """The words up to "is" or "are" are the thing."""
    words = sentence.words
    for at in range(place + 1, min(place + 9, len(words))):
        if sentence.breaks[at] and at > place + 1:
            return None
        if words[at] in ("is", "are", "was", "were", "used", "falls", "include", "includes"):
            if at == place + 1:
                return None
            return with_verb(Clause(sentence, "it", sentence.between(place + 1, at), place, at))
        if words[at] in ("has", "have") and words[at + 1 : at + 2] and words[at + 1] in ("changed", "become"):
            return _that_changed(sentence, place, at)
    return None


def _that_changed(sentence: Sentence, place: int, at: int) -> Clause | None:
    """Reads "my number has changed: it's …", "my favourite band has become …"."""
    words = sentence.words
    new = at + 2
    while new < len(words) and words[new] in _NOW_IT_IS:
        new += 1
    if new >= len(words) or (new == at + 2 and words[at + 1] == "changed"):
        return None
    return Clause(sentence, "it", sentence.between(place + 1, at), place, new, be=True)


_NOW_IT_IS: Final = v.words("to it's its it is now")


def name_at(sentence: Sentence, place: int) -> tuple[str | None, int]:
    """A name of one or two capitalised words at a place (a comma may stand before it), and the place after it."""
    words = sentence.words
    if place >= len(words):
        return None, place
    comma = sentence.breaks[place]
    if comma not in ("", ",", "(") or not is_name(sentence, place):
        return None, place
    end = place + 1
    if end < len(words) and not sentence.breaks[end] and is_name(sentence, end) and not words[place].endswith("'s"):
        end += 1
    if comma == "," and end < len(words) and sentence.breaks[end][:1] not in (",", ")", ""):
        return None, place
    return sentence.said(place, end).removesuffix("'s").removesuffix("’s"), end


def is_name(sentence: Sentence, place: int) -> bool:
    word = sentence.words[place]
    return (
        sentence.is_capital(place)
        and word not in v.NOT_NAMES
        and word not in v.LANGUAGES
        and word[-1] not in "0123456789"
    )


def with_verb(clause: Clause) -> Clause | None:
    """The clause moved to its verb past auxiliaries, negations and adverbs; None if it is not meant as a statement."""
    words = clause.sentence.words
    place = clause.verb
    while place < len(words):
        word = words[place]
        if place > clause.verb and clause.sentence.breaks[place]:
            if not clause.be:
                return None
            break
        following = words[place + 1] if place + 1 < len(words) else ""
        if word in ("am", "is", "are", "'s", "falls", "include", "includes"):
            clause.be = True
        elif word in ("was", "were"):
            clause.be = clause.past = True
        elif word in ("have", "has") and (_is_participle(following) or following in _PERFECT or following in v.ADVERBS):
            clause.have = True
        elif word == "had" and (following == "been" or _is_participle(following)):
            return None
        elif word == "been" and clause.have:
            clause.be = True
        elif word in ("do", "does") and (following == "not" or following in v.ADVERBS or clause.negated):
            pass
        elif word == "did":
            clause.past = True
        elif word in ("not", "never"):
            clause.negated = True
        elif word == "no" and following == "longer":
            clause.no_longer = True
            place += 1
        elif word == "used" and following == "to":
            clause.used_to = True
            place += 1
        elif word == "be" and (clause.used_to or (clause.will and following.endswith("ing"))):
            clause.be, clause.will = True, False
        elif word in ("became", "become") and (following in ("a", "an") or following in v.DIETS):
            clause.be = True
        elif word == "will":
            clause.will = True
        elif word == "can":
            clause.can = True
        elif word in v.MODALS or word in v.UNSURE_ADVERBS:
            return None
        elif word not in v.ADVERBS:
            break
        place += 1
    clause.verb = place
    return clause


def _is_participle(word: str) -> bool:
    return word in _PARTICIPLES or (word.endswith("ed") and len(word) > 4)


_PARTICIPLES: Final = v.words(
    "been lived worked moved got bought given had taken quit sold lost broken gone become grown left fallen made found "
    "split begun"
)
_PERFECT: Final = v.words("not never no always")
_KINDS_OF_RELATIVE: Final = v.words(
    "older younger elder eldest oldest youngest big little baby twin half step dear beloved sweet lovely "
    "new only middle"
)
_AFTER_IS: Final = v.words(
    "a an from allergic vegan vegetarian married single divorced engaged called named studying working living "
    "moving based not originally also now still diabetic asthmatic retired widowed separated fluent into really very"
)
