"""Which value holds from when to when: the standing of each fact among those of its key. Pure.

A standing follows from the facts alone, in the order of when they are true and not of when they came, so that a late
arrival, a deletion and a restore all lead to where things would have stood without a detour.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from agentmem.extractors.attributes import attribute_of
from agentmem.extractors.vocabulary import ANIMALS, ANY_DEED, CAR_MAKES, words
from agentmem.interfaces import Standing
from agentmem.records import POLARITIES, Fact, Memory
from agentmem.retrieval.lexical import query_terms

if TYPE_CHECKING:
    from agentmem.extractors.manner import Matter

DEEDS: Final = frozenset({"plan", "commitment"})
"""Attributes whose values are deeds: a verb, and what it is done to."""
Word = str | int
"""A word of a value, or the hash of its stem."""


def decide(facts: Sequence[Memory]) -> Mapping[str, Standing]:
    """How each of these facts stands, by id: all of one key, with ``valid_to`` as it was stated.

    - A new value of a single-valued attribute closes the one before it; others stand side by side.
    - What is denied or ended closes that value where it was affirmed, and the other way round; an end that names no
      value closes any.
    - The same value again restates the first of its run; after a gap it begins a run of its own.
    - Where times are equal, what was said later wins; and "she died last night" over what was said without a day this
      morning.
    - What ends a promise or plan in other words ("I sent it") closes the one open deed that is most like it, and none
      if two are equally so; a promise stands from when it was made, whenever it is due.
    - A wish closes an earlier one that cannot be met beside it ("answer in German", "answer in French"; "use emoji",
      never); one that is lifted, "emoji are fine again", closes what forbade them.
    - What is not trusted closes nothing that is, and the other way round.
    """
    lines = {True: _Line(), False: _Line()}
    for memory in sorted(facts, key=_when):
        lines[memory.trusted].add(memory)
    runs = (run for line in lines.values() for run in line.runs)
    return {memory.id: standing for run in runs for memory, standing in run.standings()}


class Deed:
    """What a fact says was promised, planned, or done, ready to be compared with others of its key."""

    __slots__ = ("_value",)

    def __init__(self, fact: Fact) -> None:
        self._value = _Value.of(fact)

    def may_be(self, promised: Deed) -> bool:
        """True if this, done, may be what was promised before."""
        return self._value.likeness(promised._value) > 0


def _when(memory: Memory) -> tuple[Any, ...]:
    is_deed = _fact(memory).attribute.casefold() in DEEDS
    begins = min(memory.valid_from, memory.occurred_at) if is_deed else memory.valid_from
    return begins, memory.occurred_at, memory.position, _fact(memory).span or (-1, -1), memory.id


class _Line:
    """The runs of one key, as they open and close while the facts come in their order."""

    def __init__(self) -> None:
        self.runs: list[_Run] = []
        self._open: dict[tuple[str, tuple[Word, ...]], _Run] = {}

    def add(self, memory: Memory) -> None:
        new = _Run(memory)
        near = [run for run in self._near(new) if not self._is_over(run, memory.valid_from)]
        against = [run for run in near if new.is_against(run)]
        if new.ends_a_deed():
            against = _most_alike(new, against)
        former = next((run for closer in against for run in closer.closed if new.is_outdone(run)), None)
        if former is not None:
            former.said.append(memory)
            return
        end = next((run for run in near if new.is_belied_by(run)), None)
        if end is not None:
            self.runs.append(new)
            new.closed_by = end.said[0]
            end.closed.append(new)
            return
        run = next((run for run in near if run not in against and new.restates(run)), None)
        if run is None:
            run = new
            self.runs.append(run)
            self._open[run.key] = run
        else:
            run.repeat(new)
        for other in against:
            del self._open[other.key]
            other.closed_by = memory
            run.closed.append(other)

    def _near(self, new: _Run) -> list[_Run]:
        """The open runs that a fact like this may concern."""
        if new.value.is_single or not new.value.words or new.ends_a_thing() or new.ends_a_deed() or new.matter:
            return list(self._open.values())
        # Somebody may like a thousand things: each is looked up.
        keys = ((polarity, words) for polarity in POLARITIES for words in (new.value.words, ()))
        return [self._open[key] for key in keys if key in self._open]

    def _is_over(self, run: _Run, at: datetime) -> bool:
        if run.stated_to is None or run.stated_to > at:
            return False
        del self._open[run.key]
        return True


class _Run:
    """One value from when it was first said until it ends, however often it is said in between."""

    def __init__(self, first: Memory) -> None:
        self.said = [first]
        self.polarity = _fact(first).polarity
        self.value = _Value.of(_fact(first))
        self.matter = _matter(_fact(first))
        self.key = (self.polarity, self.value.words)
        self.stated_to = first.valid_to
        self.closed_by: Memory | None = None
        self.closed: list[_Run] = []

    def ends_a_thing(self) -> bool:
        """True if this ends what may have been called otherwise: "the Fiat" and "a red Fiat"."""
        return self.polarity != "affirmed" and self.value.attribute == "belonging"

    def ends_a_deed(self) -> bool:
        """True if this ends what may have been promised or planned in other words."""
        return self.polarity == "ended" and self.value.attribute in DEEDS and bool(self.value.words)

    def restates(self, other: _Run) -> bool:
        return self.polarity == other.polarity and self.value.says_no_more_than(other.value)

    def is_against(self, other: _Run) -> bool:
        """True if both cannot hold at once, so that this, said of a later time, closes the other."""
        if self.matter and other.matter:
            if self.polarity == "ended":
                return other.polarity != "ended" and self.matter.lifts(other.matter)
            return other.polarity != "ended" and self.matter.withdraws(other.matter)
        if self.polarity == other.polarity == "affirmed":
            # A name for what had none ("my wife", then "Clara") takes its place, even where several may stand.
            differs = not self.value.says_no_more_than(other.value)
            return differs and (self.value.is_single or not other.value.words)
        if self.polarity == "affirmed":
            # Another dog does not bring the one that died back to life.
            return not other.value.words or (bool(self.value.words) and self.value.concerns(other.value))
        return other.polarity == "affirmed" and self.value.ends(other.value, denied=self.polarity == "denied")

    def is_belied_by(self, end: _Run) -> bool:
        """True if somebody later said that this had ended before ("moved out in May", said after "lives with me")."""
        said = self.said[0]
        named = self.polarity == "affirmed" and end.polarity == "ended" and bool(end.value.words)
        is_older_news = said.valid_from == said.occurred_at < end.said[-1].occurred_at
        return named and is_older_news and end.value.ends(self.value, denied=False)

    def is_outdone(self, former: _Run) -> bool:
        """True if this only repeats what somebody later said had ended before ("I moved last month")."""
        said = self.said[0]
        assert former.closed_by is not None
        return self.restates(former) and said.valid_from == said.occurred_at < former.closed_by.occurred_at

    def repeat(self, again: _Run) -> None:
        """Take in a statement of the same; what it says of the end counts, and its wording where it says more."""
        self.said += again.said
        self.stated_to = again.stated_to or self.stated_to
        if len(again.value.words) > len(self.value.words):
            self.value = again.value

    def standings(self) -> Iterator[tuple[Memory, Standing]]:
        ends = self.stated_to if self.closed_by is None else self.closed_by.valid_from
        closer = None if self.closed_by is None else self.closed_by.id
        first = self.said[0]
        for memory in self.said:
            valid_to = ends and max(ends, memory.valid_from)
            if memory is first:
                yield memory, Standing(valid_to, closer, times=len(self.said))
            else:
                yield memory, Standing(valid_to, closer, restates=first.id)


def _matter(fact: Fact) -> Matter | None:
    """What a wish to the assistant is about; None for all else."""
    if fact.attribute.casefold() != "instruction" or not fact.value:
        return None
    from agentmem.extractors.manner import matter  # its patterns take 50 ms to compile, and few facts are wishes

    return matter(fact.value, fact.polarity)


def _most_alike(end: _Run, deeds: Sequence[_Run]) -> list[_Run]:
    """The one deed that is more like what ended than any other; none if there is no such."""
    likeness = [end.value.likeness(deed.value) for deed in deeds]
    best = max(likeness, default=0.0)
    return (
        [deed for deed, each in zip(deeds, likeness, strict=True) if each == best] if likeness.count(best) == 1 else []
    )


@dataclass(frozen=True, slots=True)
class _Value:
    """A value as it is compared: no words where it names nothing ("" or, of a dog, "dog")."""

    attribute: str
    is_single: bool
    words: tuple[Word, ...]
    parts: tuple[tuple[Word, ...], ...]

    @classmethod
    def of(cls, fact: Fact) -> _Value:
        attribute = fact.attribute.casefold()
        texts = _PARTS.split(fact.value) if attribute in _PLACES else [fact.value]
        parts = tuple(words for text in texts if (words := _words(text, attribute)))
        words = tuple(word for part in parts for word in part)
        if words == _words(fact.topic or "", attribute) or _is_generic(words, fact, attribute):
            words, parts = (), ()
        return cls(attribute, attribute_of(attribute).single, words, parts)

    def says_no_more_than(self, other: _Value) -> bool:
        """True if it is the same value, or a less telling word for it."""
        if not self.words or self.words == other.words:
            return True
        if not other.words:
            return False
        if self.attribute in _PLACES:
            # "Porto, Portugal" is no other place than "Porto", but tells more than "Portugal".
            mine, theirs = set(self.parts), set(other.parts)
            return mine <= theirs or (theirs < mine and self.parts[0] == other.parts[0])
        if self.attribute in _FULLER:
            return set(self.words) <= set(other.words)
        if self.attribute == "phone":
            return _ends_like(str(self.words[0]), str(other.words[0]))
        return False

    def concerns(self, other: _Value) -> bool:
        return self.says_no_more_than(other) or other.says_no_more_than(self)

    def ends(self, other: _Value, *, denied: bool) -> bool:
        """True if the other is over once this is: a couple that parts is neither dating nor engaged nor married."""
        if self.attribute == "relationship" and not denied:
            return self.concerns(other) or (_is_a_couples(self.words) and _is_a_couples(other.words))
        if self.attribute in DEEDS and self.words and not denied:
            return self.likeness(other) > 0
        if self.attribute == "belonging":
            mine, theirs = _kinds(self.words), _kinds(other.words)
            return set(self.words) <= theirs or set(other.words) <= mine
        return self.concerns(other)

    def likeness(self, deed: _Value) -> float:
        """How surely this, done, is that deed: 0 (it is not) to 2 (the same words).

        The verb must be the same, or one for any deed, and what one names of the object the other must name too; "it"
        may be any thing.
        """
        verb, named = _verb_and_object(self.words)
        other_verb, other_named = _verb_and_object(deed.words)
        if verb != other_verb and verb not in _ANY_DEED:
            return 0.0
        if self.words == deed.words:
            return 2.0
        if not named:
            # "it" may be any thing; "I paid you back" is the one payment that names nothing either.
            may_be = not other_named or not _ANY_THING.isdisjoint(self.words)
            return 0.5 if verb not in _ANY_DEED and may_be else 0.0
        if not other_named or not (named <= other_named or other_named <= named):
            return 0.0
        return 1 + len(named & other_named) / len(named | other_named)


def _verb_and_object(deed: tuple[Word, ...]) -> tuple[Word, frozenset[Word]]:
    """The verb of a deed and what it names; who is reminded of a deed is asked for that deed."""
    if deed[:3] == _REMINDS:
        deed = deed[3:]
    return (deed[0], frozenset(deed[1:]) - _NOTHING_NAMED) if deed else ("", frozenset())


def _is_generic(words: tuple[Word, ...], fact: Fact, attribute: str) -> bool:
    """True for a partner who is but "wife", and a pet that is but "dog" or its breed."""
    if attribute == "partner":
        return _RELATIONS.issuperset(words)
    return attribute == "pet" and " ".join(map(str, words)) in ANIMALS


def _is_a_couples(status: tuple[Word, ...]) -> bool:
    return _TOGETHER.issuperset(status)


def _kinds(thing: tuple[Word, ...]) -> set[Word]:
    """The words for a thing, and "car" where it is of a make of cars."""
    return {*thing, *(_CAR if _CARS.intersection(thing) else ())}


# --- words ----------------------------------------------------------------------------------------

_PLACES: Final = frozenset({"home", "origin"})
"""Whose value may be told more closely behind a comma: "Porto, Portugal"."""
_FULLER: Final = frozenset({"name", "partner", "birthday"})
"""Whose value may be told in part: "Ana" of "Ana Silva", "14 March" of "14 March 1990"."""
_COMMON: Final = frozenset(
    {"studies", "health", "medication", "allergy", "diet", "likes", "belonging", "plan", "commitment", "language"}
)
"""Whose values are common words, which may be inflected; elsewhere "Andrea" and "Andreas" are two people."""
_RELATIONS: Final = frozenset(
    {"wife", "husband", "boyfriend", "girlfriend", "partner", "spouse", "fiance", "fiancee", "fiancé", "fiancée"}
)
_TOGETHER: Final = frozenset({"dating", "engaged", "married"})
_ARTICLES: Final = frozenset({"a", "an", "the", "my", "our", "your", "his", "her", "their", "some"})
_PARTS: Final = re.compile(r"[,;()]|\bin\b")
_WORD: Final = re.compile(r"\w+(?:['’]\w+)*[+#]*")
_ORDINAL: Final = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_SHORTEST_NUMBER: Final = 7


def _words(text: str, attribute: str) -> tuple[Word, ...]:
    plain = unicodedata.normalize("NFKC", text).casefold().strip()
    if not plain:
        return ()
    if attribute == "phone" and (digits := re.sub(r"\D", "", plain)):
        return (digits,)
    if attribute == "email":
        return (plain,)
    if attribute == "birthday":
        plain = _ORDINAL.sub("", plain)
    # What is all signs is compared as it stands.
    said = _WORD.findall(plain) or [plain]
    words = [word for word in said if word not in _ARTICLES] or said
    return tuple(_stem(word) for word in words) if attribute in _COMMON else tuple(words)


@lru_cache(4096)
def _stem(word: str) -> Word:
    # Search knows no "C++", and of a word without spaces around it the pieces.
    terms = query_terms(word) if word.isalpha() else []
    return terms[0] if len(terms) == 1 else word


_ANY_DEED: Final = frozenset(map(_stem, ANY_DEED))
_REMINDS: Final = tuple(map(_stem, ("remind", "user", "to")))
_ANY_THING: Final = frozenset(map(_stem, words("it that this them those these everything all")))
_NOTHING_NAMED: Final = _ANY_THING | frozenset(
    map(
        _stem,
        words(
            "him her you me us user user's assistant assistant's to for with about at on in of off up out back over "
            "down from by"
        ),
    )
)
_CAR: Final = frozenset({_stem("car")})
_CARS: Final = frozenset(map(_stem, CAR_MAKES))


def _ends_like(number: str, other: str) -> bool:
    """True if both are one number, with and without the country's code."""
    shorter, longer = sorted((number.lstrip("0"), other.lstrip("0")), key=len)
    return len(shorter) >= _SHORTEST_NUMBER and longer.endswith(shorter)


def _fact(memory: Memory) -> Fact:
    assert memory.fact is not None, "only facts have a key"
    return memory.fact
