"""Words that say something only beside what is known already: "Whiskers died", "we broke up", "Tim moved to Oslo".

By themselves they may be said of a band, a game or a neighbour. So they are read as what they would do to a fact, and
are one where there is such a fact; see ``agentmem.lifecycle.closing``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING, Final

from agentmem.extractors import vocabulary as v
from agentmem.interfaces import ExtractedFact
from agentmem.records import Fact, Memory, Polarity

if TYPE_CHECKING:
    from agentmem.extractors.clauses import Clause, Sentence
    from agentmem.extractors.findings import Found


@dataclass(frozen=True, slots=True)
class Sequel:
    """A fact that is one only if another is known, of the same subject.

    Args:
        fact: What is said; what it leaves blank, its attribute or value, is that of the known fact.
        of: What the known fact is about. named: How its value begins, in lower case; none given = the latest known.
        was: What the known fact says of its value. leaves: What the subject is now that a couple is none any more.
    """

    fact: ExtractedFact
    of: tuple[str, ...]
    named: frozenset[str] = frozenset()
    was: Polarity = "affirmed"
    leaves: str = ""


@dataclass(slots=True)
class Known:
    """The facts that sequels may be said of."""

    _facts: dict[tuple[str, str], list[tuple[datetime, Fact]]] = field(default_factory=dict)

    def add(self, stated: Iterable[tuple[Fact | None, datetime]]) -> list[datetime]:
        """Take in those of the facts that something may be said of later, and say when each of them was said."""
        found = [(fact, said_at) for fact, said_at in stated if fact is not None and fact.key[1] in _MAY_CHANGE]
        for fact, said_at in found:
            self._facts.setdefault(fact.key[:2], []).append((said_at, fact))
        return [said_at for _, said_at in found]

    def follows(self, sequel: Sequel, said_at: datetime) -> Iterator[ExtractedFact]:
        """The facts that a sequel states, told at a moment."""
        for attribute in sequel.of:
            known = self._concerned(sequel, attribute, said_at)
            if known and sequel.fact.value:
                yield sequel.fact
                return
            for fact in known:
                yield _concluded(sequel, fact)
            if known and sequel.leaves:
                yield replace(sequel.fact, attribute="relationship", value=sequel.leaves, polarity="affirmed")
                sequel = replace(sequel, leaves="")
            if known and attribute == "partner" and "relationship" not in sequel.of:
                status = self._concerned(replace(sequel, named=frozenset()), "relationship", said_at)
                yield from (_concluded(sequel, fact) for fact in status)

    def _concerned(self, sequel: Sequel, attribute: str, said_at: datetime) -> list[Fact]:
        """What is known of the kind: all of a name, the latest where none is said."""
        subject = " ".join(sequel.fact.subject.casefold().split())
        known = [
            (at, fact)
            for at, fact in self._facts.get((subject, attribute), ())
            if at <= said_at
            and fact.polarity == sequel.was
            and fact.value
            and _is_named(fact.value, sequel.named)
            and (attribute != "relationship" or fact.value.casefold() in _COUPLES)
        ]
        return [fact for _, fact in (known if sequel.named else sorted(known, key=_WHEN_SAID)[-1:])]


_WHEN_SAID: Final = itemgetter(0)
_COUPLES: Final = frozenset({"dating", "engaged", "married"})


def _concluded(sequel: Sequel, known: Fact) -> ExtractedFact:
    """What a known fact is now."""
    return replace(sequel.fact, attribute=known.attribute, value=known.value, topic=known.topic)


_MAY_CHANGE: Final = frozenset(
    {"pet", "partner", "family", "relationship", "allergy", "likes", "diet", "home", "employer", "plan"}
)


def _is_named(value: str, names: frozenset[str]) -> bool:
    said = value.casefold()
    return not names or any(
        said == name or said.startswith((f"{name} ", f"{name},")) or said in (f"{name}s", name.removesuffix("s"))
        for name in names
    )


def may_follow_on(turn: Memory) -> bool:
    """False, quickly, for most turns."""
    from agentmem.extractors.gates import is_the_assistants

    return turn.kind == "turn" and not is_the_assistants(turn) and _GATE.search(turn.content, 0, _READ) is not None


def sequels(turn: Memory) -> Iterator[Sequel]:
    """What a turn says that may concern what is known."""
    from agentmem.extractors.clauses import read_sentence, sentences
    from agentmem.extractors.gates import readable

    if not may_follow_on(turn) or (words := readable(turn)) is None:
        return
    text, low = words
    plain = text.islower()
    for start, end in sentences(text, low):
        if not _GATE.search(low, start, end) or low[start:end].rstrip().endswith("?"):
            continue
        if (sentence := read_sentence(text, low, start, end, plain=plain)) is not None:
            yield from _Teller(turn, sentence).sequels()


@dataclass(slots=True)
class _Teller:
    turn: Memory
    sentence: Sentence

    def sequels(self) -> Iterator[Sequel]:
        said = self._said()
        for ending in _ENDINGS:
            if any(cue in said for cue in ending.cues):
                for match in ending.said.finditer(said):
                    yield from self._ended(ending, match)
        yield from self._eaten_again()
        yield from self._not_after_all()
        yield from self._of_others()

    def _said(self) -> str:
        return self.sentence.low[self.sentence.start : self.sentence.end]

    def _ended(self, ending: _Ending, match: re.Match[str]) -> Iterator[Sequel]:
        names = self._names(ending, match) if "name" in match.groupdict() else frozenset[str]()
        if "name" in match.groupdict() and not names:
            return
        start, end = match.start("what"), match.end("what")
        if self._is_stated(start, end):
            fact = self._fact(start, end, ending.polarity)
            yield Sequel(fact, ending.of, names or ending.named, leaves=ending.leaves)

    def _names(self, ending: _Ending, match: re.Match[str]) -> frozenset[str]:
        """The name that was said, whole and without a word in front of it; written as names are."""
        words = match["name"].split()
        if words[0] in _OF_OTHERS or any(word.endswith("'s") for word in words):
            return frozenset()
        last = self.sentence.text[self.sentence.start + match.end("name") - len(words[-1])]
        if ending.of_a_person and not (self.sentence.plain or last.isupper()):
            return frozenset()
        first = self.sentence.text[self.sentence.start + match.start("name")]
        whole = " ".join(words)
        # "Freddie Mercury" is not our Freddie, "poor Freddie" is; and a sentence begins with a capital anyway.
        return frozenset(
            {whole, words[-1]} if self.sentence.plain or not first.isupper() or len(words) == 1 else {whole}
        )

    def _is_stated(self, start: int, end: int) -> bool:
        from agentmem.extractors.clauses import is_stated

        first, last = self._place(start), self._place(max(start, end - 1))
        return is_stated(self.sentence, first, last) and not _UNREAL.search(self._said())

    def _place(self, at: int) -> int:
        """The word at an offset in the sentence."""
        ends = self.sentence.ends
        return next((n for n, end in enumerate(ends) if end > self.sentence.start + at), len(ends) - 1)

    def _fact(self, start: int, end: int, polarity: Polarity) -> ExtractedFact:
        from agentmem.extractors.clauses import Clause
        from agentmem.extractors.rules import Reader

        first, last = self._place(start), self._place(end - 1)
        clause = Clause(self.sentence, "i", "", first, first)
        return ExtractedFact(
            subject=self.turn.speaker or "user",
            attribute="",
            value="",
            polarity=polarity,
            derived_from=self.turn.id,
            start=self.sentence.starts[first],
            end=self.sentence.ends[last],
            valid_from=Reader(self.turn, self.sentence).since(clause, last + 1),
        )

    def _eaten_again(self) -> Iterator[Sequel]:
        """Reads "I eat meat again": over is what forbade it."""
        match = _AGAIN.search(self._said())
        if match is None or not self._is_stated(match.start("what"), match.end("what")):
            return
        fact = self._fact(match.start("what"), match.end("what"), "ended")
        yield Sequel(fact, ("diet",), _FORBIDDEN[match["food"]])
        yield Sequel(
            replace(fact, attribute="diet", value=match["food"], polarity="affirmed"),
            ("diet",),
            frozenset({match["food"]}),
            was="denied",
        )

    def _not_after_all(self) -> Iterator[Sequel]:
        """Reads "we're not moving (to Rome) after all"."""
        from agentmem.extractors.about_plans import base_of

        match = _AFTER_ALL.search(self._said())
        if match is not None and (verb := base_of(match["verb"])):
            fact = self._fact(match.start("what"), match.end("what"), "ended")
            yield Sequel(fact, ("plan",), frozenset({f"{verb} {match['rest'] or ''}".strip()}))

    def _of_others(self) -> Iterator[Sequel]:
        """Reads "Tim moved to Oslo", where something of the kind is known of Tim."""
        from agentmem.extractors.rules import Reader

        clause = self._of_somebody()
        if clause is None:
            return
        for found in _now(clause):
            for fact in Reader(self.turn, self.sentence).fact(found, clause.first, clause=clause):
                yield Sequel(fact, (fact.attribute,))

    def _of_somebody(self) -> Clause | None:
        from agentmem.extractors.clauses import Clause, is_name, is_stated, name_at, with_verb

        sentence = self.sentence
        first = next((n for n, word in enumerate(sentence.words) if word not in v.FILLERS), 0)
        name, after = name_at(sentence, first) if first < len(sentence.words) else (None, 0)
        if name is None or not is_name(sentence, first) or not is_stated(sentence, first, after):
            return None
        clause = with_verb(Clause(sentence, "they", name, first, after, name=name))
        return clause if clause and clause.verb < len(sentence.words) and not clause.negated else None


def _now(clause: Clause) -> Iterator[Found]:
    from agentmem.extractors.about_self import lives, moved
    from agentmem.extractors.about_work import works

    rules = {"moved": moved, "relocated": moved, "lives": lives, "works": works}
    rule = rules.get(clause.sentence.words[clause.verb])
    for found in rule(clause) if rule else ():
        yield replace(found, polarity=found.polarity or "affirmed")


# --- patterns -------------------------------------------------------------------------------------

_READ: Final = 4000
_GATE: Final = re.compile(
    r"\b(?:died|passed (?:away|on)|put (?:\w+ ){1,3}(?:down|to sleep)|(?:gave|give|given) (?:\w+ ){1,3}away"
    r"|(?:gave|give|given) away|re-?homed?|lost \w+|ran away|moved (?:to|out|into|back)|relocated|lives in"
    r"|works (?:at|for)|left \w+|broken? (?:up|off)|called (?:it|off)|cancell?ed (?:the|our|my)"
    r"|ended (?:the|our|things)|split|separated"
    r"|parted ways|divorced?|widow(?:ed|er)?|single|together|my ex|allergy|(?:eat|ate|eaten|eating) [a-z -]{1,30} again"
    r"|(?:drink|eat) [a-z -]{1,30} any ?(?:more|longer)|no longer (?:drink|eat)|retired|after all)\b",
    re.IGNORECASE,
)
_UNREAL: Final = re.compile(
    r"\b(?:game|level|movie|book|story|film|show|episode|dream\w*|novel|series|almost|nearly|laughing|laughter|boredom"
    r"|found (?:him|her|it|them)|(?<!never )came back|is back|again, but|into groups)\b"
)
_OF_OTHERS: Final = v.words("your his her their the a an this that no")
_NAME: Final = r"(?P<name>[^\W\d_][\w'-]*(?: [^\W\d_][\w'-]*)?)"
_START: Final = r"(?:^\W*|[,;:–—(] ?|\b(?:and|but|so|then|because|sadly|unfortunately|actually|that|well|know|news) )"
_HAS: Final = r"(?:(?:'ve| has| have| had to| just| also| sadly| suddenly| finally| recently| now| decided to))*"
_MONTH: Final = "|".join(name for name in v.MONTHS if len(name) > 2)
_DAY: Final = (
    rf"(?:the )?(?:\d|{_MONTH}|early|late|mon|tues|wednes|thurs|fri|satur|sun|spring|summer|autumn|winter|last)"
)
_WHEN: Final = (
    r"(?=\s*(?:[.!,;:…)]|$)| (?:last|this|yesterday|today|tonight|recently|earlier|two|three|four|a"
    r" (?:few|week|month|year)"
    rf"|some (?:days|weeks|months))\b| (?:in|on|since) {_DAY}"
    r"| (?:peacefully|suddenly|unexpectedly|from|after|at|of|and|so|but|now|for good)\b)"
)
_I_OR_WE: Final = r"\b(?:i|we)"
_A_COUPLE: Final = r"(?:we|(?:my|the) (?:wife|husband|girlfriend|boyfriend|partner|fianc[eé]e?) and i)"
_BROKE_UP: Final = (
    r"(?:(?:broken?|split) up|split|(?:got )?divorced|parted ways|called it quits|ended things"
    r"|(?:(?:are|'re) (?:no longer|not)|aren't) together(?: any ?more)?)"
)


@dataclass(frozen=True, slots=True)
class _Ending:
    """Words for what is over: ``what`` is the evidence, ``name`` of whom or what it is, if that is said.

    Args:
        cues: One of these stands in a sentence that says so.
        leaves: What the speaker is now, as a relationship.
        of_a_person: The name is written with a capital, unless nothing is.
    """

    cues: tuple[str, ...]
    said: re.Pattern[str]
    of: tuple[str, ...]
    named: frozenset[str] = frozenset()
    polarity: Polarity = "ended"
    leaves: str = ""
    of_a_person: bool = True


_ENDINGS: Final = (
    _Ending(
        ("died", "passed"),
        re.compile(
            rf"{_START}(?P<what>{_NAME}{_HAS} (?:died|passed (?:away|on))){_WHEN}(?! of (?:laugh|bore|embarrass))"
        ),
        ("pet", "partner", "family"),
    ),
    _Ending(
        (" put ",),
        re.compile(
            rf"(?P<what>{_I_OR_WE}{_HAS} put {_NAME} (?:down|to sleep))"
            rf"(?=\s*(?:[.!,;…]|$)| (?:last|this|yesterday|today)\b| (?:in|on) {_DAY})"
        ),
        ("pet",),
    ),
    _Ending(("away",), re.compile(rf"(?P<what>{_I_OR_WE}{_HAS} (?:gave|give|given) {_NAME} away)\b"), ("pet",)),
    _Ending(
        ("away", "home"),
        re.compile(rf"(?P<what>{_I_OR_WE}{_HAS} (?:(?:gave|give|given) away|re-?homed?) {_NAME}){_WHEN}"),
        ("pet",),
    ),
    _Ending((" lost ",), re.compile(rf"(?P<what>{_I_OR_WE}{_HAS} lost {_NAME}){_WHEN}"), ("pet", "partner")),
    _Ending(
        ("ran away",),
        re.compile(
            rf"{_START}(?P<what>{_NAME}{_HAS} ran away[^.!?]{{0,40}}? (?:never|hasn't|has not|didn't|did not)"
            r" (?:come|came|returned?)(?: back| home)?)"
        ),
        ("pet",),
    ),
    _Ending(
        ("moved out",),
        re.compile(
            rf"{_START}(?P<what>{_NAME}{_HAS} moved out(?: of (?:our|my|the) (?:flat|apartment|house|place|home))?)"
            rf"(?! of\b){_WHEN}"
        ),
        ("partner",),
    ),
    _Ending(
        ("broke", "split", "divorced", "parted", "quits", "ended", "together"),
        re.compile(rf"{_START}(?P<what>{_A_COUPLE}{_HAS} {_BROKE_UP}){_WHEN}"),
        ("partner", "relationship"),
    ),
    _Ending(
        ("separated",),
        re.compile(rf"{_START}(?P<what>{_A_COUPLE}{_HAS} separated){_WHEN}"),
        ("partner", "relationship"),
        leaves="separated",
    ),
    _Ending(
        ("engagement", "wedding"),
        re.compile(
            rf"(?P<what>\b(?:i|we|he|she){_HAS} (?:called off|cancell?ed|broken? off|ended) (?:the|our|my)"
            r" (?:engagement|wedding))\b"
        ),
        ("relationship",),
        named=frozenset({"engaged"}),
    ),
    _Ending(
        ("divorce", "widow", "single"),
        re.compile(
            r"(?P<what>\bi(?:'m| am)(?: now| finally| newly| officially)+ (?:divorced|widowed|single)"
            r"|\bi(?:'m| am) (?:(?:divorced|single) (?:now|again)|widowed|a widow(?:er)?)"
            r"|\b(?:i|we)(?:'ve| have| just| finally)* (?:got|gotten) (?:divorced|a divorce))\b(?! (?:from|when|twice))"
        ),
        ("partner",),
    ),
    _Ending(
        ("my ex",),
        re.compile(
            r"(?P<what>\bmy ex(?:[- ](?:husband|wife|boyfriend|girlfriend|partner))?,? (?P<name>[^\W\d_][\w'-]*))\b"
        ),
        ("partner",),
    ),
    _Ending(
        (" left ",),
        re.compile(
            rf"(?P<what>\bi(?:'ve| have| just| finally)* left {_NAME})(?=\s*(?:[.!;…]|$)|,? (?:for good|behind)\b"
            rf"| last (?:year|month|summer|winter|spring|autumn|fall)\b| in (?:{_MONTH}|\d{{4}})\b"
            r"| (?:\w+ )?(?:months?|years?) ago\b)"
        ),
        ("home", "employer"),
    ),
    _Ending(
        ("retired",),
        re.compile(r"(?P<what>\bi(?:'ve| have|'m| am| just| finally)* retired)\b(?! (?:from|the|this))"),
        ("employer",),
    ),
    _Ending(
        ("allergy",),
        re.compile(
            r"(?P<what>\b(?:my|the) (?P<name>[\w-]+(?: [\w-]+)?) allergy (?:was|is|turned out to be|has been)(?: just)?"
            r"(?: an?)? (?:mistake|misdiagnosis|false alarm|error|misunderstanding|wrong|not real|imagined))\b"
        ),
        ("allergy",),
        polarity="denied",
        of_a_person=False,
    ),
    _Ending(
        (" any",),
        re.compile(
            r"(?P<what>\bi (?:(?:don't|do not) (?:drink|eat) (?P<name>[\w-]+(?: [\w-]+)?) (?:any ?more|any longer)))\b"
        ),
        ("likes",),
        of_a_person=False,
    ),
    _Ending(
        ("no longer",),
        re.compile(r"(?P<what>\bi no longer (?:drink|eat) (?P<name>[\w-]+(?: [\w-]+)?))\b"),
        ("likes",),
        of_a_person=False,
    ),
)
_MEATLESS: Final = frozenset({"vegetarian", "vegan", "plant-based", "raw-vegan"})
_DAIRYLESS: Final = frozenset({"vegan", "plant-based", "raw-vegan", "dairy-free", "lactose-free"})
_FORBIDDEN: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(("meat", "chicken", "beef", "pork", "lamb", "turkey"), _MEATLESS | {"pescatarian", "pescetarian"}),
    **dict.fromkeys(("fish", "seafood", "shellfish"), _MEATLESS),
    **dict.fromkeys(("cheese", "dairy", "yoghurt", "yogurt", "butter"), _DAIRYLESS),
    **dict.fromkeys(("eggs", "honey"), frozenset({"vegan", "plant-based", "raw-vegan"})),
    **dict.fromkeys(("gluten", "wheat", "bread"), frozenset({"gluten-free"})),
    **dict.fromkeys(("sugar", "carbs", "pasta"), frozenset({"keto", "ketogenic", "low-carb"})),
}
"""What each food is forbidden by."""
_AGAIN: Final = re.compile(
    rf"(?P<what>\b(?:i|we)(?:'m|'re| am| are|'ve| have|'ve started| started| now| just| also)*(?: back to)?"
    rf" (?:eat|ate|eating|eaten) (?P<food>{'|'.join(_FORBIDDEN)})(?: and [a-z]+)? again)\b"
)
_AFTER_ALL: Final = re.compile(
    r"(?P<what>\b(?:(?:i'm|i am|we're|we are)(?: no longer| not)|we aren't) (?P<verb>[a-z]+ing)"
    r"(?: (?P<rest>[^.,;!?\n]{1,60}?))? after all)\b"
)
