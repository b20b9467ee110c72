"""Noun phrases behind a verb: where they begin and end, and whether one can be a place, a name, a taste."""

from __future__ import annotations

from typing import Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.clauses import Sentence

Span = tuple[int, int]
"""Places of words, end excluded."""

MOST_WORDS: Final = 7
_MOST_ITEMS: Final = 8
_DANGLING: Final = v.STOPS | v.DETERMINERS | v.ADVERBS


def phrase(sentence: Sentence, place: int, *, stops: frozenset[str] = v.STOPS, most: int = MOST_WORDS) -> Span | None:
    """The words from a place up to a break or a stop word, without articles in front; None if there are too many."""
    words, breaks = sentence.words, sentence.breaks
    while place < len(words) and words[place] in v.DETERMINERS:
        place += 1
    end = place
    while end < len(words) and words[end] not in stops and not _is_a_while(words, end):
        if end > place and (words[end] in _DOING or (breaks[end] and not _quoted(breaks[end]))):
            break
        end += 1
        if end - place > most:
            return None
    return (place, end) if end > place else None


def _is_a_while(words: list[str], place: int) -> bool:
    """True for "two years (ago)"."""
    counted = words[place].isdigit() or words[place] in v.NUMBERS or words[place] in ("few", "several", "couple")
    following = words[place + 1 : place + 3]
    return counted and bool(following) and following[0] in _UNITS and following[1:] != ["old"]


_DOING: Final = v.words("working living studying trying looking specializing focusing")
_UNITS: Final = v.words("year years month months week weeks day days hour hours minute minutes times decades")


def items(sentence: Sentence, place: int, *, stops: frozenset[str] = v.STOPS, most: int = 4) -> list[Span]:
    """The phrases of a list ("tea, coffee and juice"); what follows the list is left out."""
    first = phrase(sentence, place, stops=stops, most=MOST_WORDS)
    if first is None or (sentence.breaks[place] and not _quoted(sentence.breaks[place])):
        return []
    words, breaks = sentence.words, sentence.breaks
    found = [first]
    closed = 1
    while len(found) < _MOST_ITEMS:
        at = found[-1][1]
        if at >= len(words):
            closed = len(found)
            break
        joined = words[at] in ("and", "or", "&") and breaks[at] in ("", ",")
        if not joined and breaks[at] != ",":
            closed = len(found) if breaks[at] else closed
            break
        if words[at + joined : at + joined + 1] and words[at + joined] in ("the", "their", "his", "her"):
            break
        following = phrase(sentence, at + joined, stops=stops, most=most)
        if following is None or following[0] > at + joined + 1 or not is_thing(sentence, following):
            closed = max(closed, len(found) if not joined and len(found) == 1 else closed)
            break
        if _verb_follows(sentence, following[1]):
            break
        found.append(following)
        if joined:
            closed = len(found)
    return found[:closed]


def is_thing(sentence: Sentence, span: Span) -> bool:
    """True if the words can be a noun phrase: no pronouns, no verbs or particles in front, nothing dangling."""
    words = sentence.words[span[0] : span[1]]
    return (
        words[0] not in v.BAD_START
        and words[-1] not in _DANGLING
        and v.PRONOUNS.isdisjoint(words)
        and any(character.isalpha() for character in words[0])
    )


def place_at(sentence: Sentence, place: int) -> Span | None:
    """A place: ``Lisbon``, ``Austin, Texas``, ``the Netherlands``, ``a small town near Leeds``."""
    words = sentence.words
    start = place
    if place < len(words) and words[place] in ("a", "an"):
        return _kind_of_place(sentence, place)
    if place < len(words) and words[place] == "the" and place + 1 < len(words):
        place += 1
    if place >= len(words) or sentence.breaks[place]:
        return None
    end = place
    while (
        end < len(words)
        and end - place < 5
        and (end == place or not sentence.breaks[end])
        and _is_place_word(sentence, end)
    ):
        end += 1
    while end > place and words[end - 1] in _IN_PLACES:
        end -= 1
    if end == place:
        return _known_place(sentence, start)
    if (words[place] in v.NOT_PLACES and not (words[place] == "new" and end - place > 1)) or _names_no_place(
        sentence, place, end
    ):
        return None
    if (
        end < len(words)
        and sentence.breaks[end] == ","
        and _is_place_word(sentence, end)
        and words[end] not in _IN_PLACES
    ):
        wider = end
        while wider < len(words) and (wider == end or not sentence.breaks[wider]) and _is_place_word(sentence, wider):
            wider += 1
        if wider - end <= 3 and words[end] not in v.NOT_PLACES and not _verb_follows(sentence, wider):
            return start, wider
    return start, end


def organisation_at(sentence: Sentence, place: int) -> Span | None:
    """A company or institution: capitalised words, or a phrase such as "a small bakery"."""
    words = sentence.words
    if place >= len(words) or sentence.breaks[place]:
        return None
    start = place
    while place < len(words) and words[place] in ("a", "an", "the") and not sentence.breaks[place]:
        place += 1
    end = place
    while (
        end < len(words)
        and (end == place or not sentence.breaks[end])
        and (sentence.is_capital(end) or words[end] in _IN_NAMES)
    ):
        end += 1
    while end > place and words[end - 1] in _IN_NAMES:
        end -= 1
    if end > place and words[place] not in v.NOT_NAMES and end - place <= 6:
        if end < len(words) and not sentence.breaks[end] and words[end] in v.EMPLOYER_WORDS:
            end += 1
        return (start if words[start] == "the" else place), end
    if words[place : place + 1] and words[place] in v.COMPANIES:
        return place, place + 1
    found = phrase(sentence, place, most=5)
    if found and place > start:
        for at in range(found[0] + 1, found[1]):
            if words[at] in v.ANSWERS_TO:
                return organisation_at(sentence, at + 1) if words[at - 1] in v.EMPLOYER_WORDS | _FIRMS else None
    if found and words[found[1] - 1] in v.EMPLOYER_WORDS and place > start and is_thing(sentence, found):
        return found
    return None


def named(sentence: Sentence, place: int) -> tuple[Span | None, int]:
    """A name of up to three capitalised words (in a turn without capitals: one word), and the place after it."""
    words = sentence.words
    end = place
    while (
        end < len(words) and end - place < 3 and (end == place or not sentence.breaks[end]) and sentence.is_capital(end)
    ):
        if words[end] in v.NOT_NAMES or words[end][-1].isdigit():
            break
        end += 1
    if end == place and sentence.plain and place < len(words) and words[place].isalpha():
        last = place + 1 == len(words) or bool(sentence.breaks[place + 1]) or words[place + 1] in ("and", "but", "btw")
        if last and words[place] not in v.BAD_START | v.STOPS | v.PRONOUNS | v.NOT_NAMES | v.DETERMINERS:
            end = place + 1
    return ((place, end) if end > place else None), end


_FIRMS: Final = v.words("company corporation place business outfit practice office chain group one")
_IN_PLACES: Final = v.words("of de del la le el los las los sur am upon the san")
_IN_NAMES: Final = v.words("of and & for the de")


def _quoted(gap: str) -> bool:
    return gap in ('"', "“", "'")


def _is_place_word(sentence: Sentence, place: int) -> bool:
    word = sentence.words[place]
    return (sentence.is_capital(place) and word != "i") or word in _IN_PLACES


def _names_no_place(sentence: Sentence, place: int, end: int) -> bool:
    word = sentence.words[end] if end < len(sentence.words) and not sentence.breaks[end] else ""
    return word in ("mode", "time", "style", "language", "team", "class", "department", "office", "project", "'s")


def _known_place(sentence: Sentence, place: int) -> Span | None:
    for length in (4, 3, 2, 1):
        end = place + length
        if (
            end <= len(sentence.words)
            and not any(sentence.breaks[place:end])
            and sentence.between(place, end) in v.PLACES
        ):
            return place, end
    return None


def _kind_of_place(sentence: Sentence, place: int) -> Span | None:
    """``a small town near Leeds``; the place it lies at must be named."""
    words = sentence.words
    for at in range(place + 1, min(place + 5, len(words))):
        if sentence.breaks[at]:
            return None
        if (
            words[at] in v.PLACE_WORDS
            and words[at + 1 : at + 2]
            and words[at + 1] in ("near", "in", "outside", "called", "by")
        ):
            named_place = place_at(sentence, at + 2)
            return (place, named_place[1]) if named_place else None
    return None


def _verb_follows(sentence: Sentence, place: int) -> bool:
    """True if what stands before a place is the subject of something: "tea and my brother drinks"."""
    words = sentence.words
    return (
        place < len(words) and not sentence.breaks[place] and (words[place] in v.VERBS or words[place].endswith("'s"))
    )
