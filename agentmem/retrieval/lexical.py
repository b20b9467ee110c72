"""Words: what a text is searched by, how it is kept in the log, and BM25 over it.

A memory's key is its content, its speaker and the words of its date ("23 november 2026 monday"), because questions
name people and days. The key is kept as a bag: every term's 32-bit hash with its count, 6 bytes a term. Hashes are
the same in every process and on every machine. A term is the stem of a word in the language of its text; the bag of
another language than English carries the mark of it, and a question asks such memories for the stems of that language.
"""

from __future__ import annotations

import itertools
import math
import re
import struct
import threading
import unicodedata
import zlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from agentmem.growing import GrowingArray
from agentmem.interfaces import LexicalChange, LexicalHits, LexicalIndex, LexicalQuery
from agentmem.retrieval.languages import (
    ENGLISH,
    FUNCTION_WORDS,
    GLUING,
    function_words,
    language_of,
    parts,
    stem,
)
from agentmem.retrieval.timewords import TIME_WORDS, date_words, written_days

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Slots = NDArray[np.int32]

Forms = Mapping[int, tuple[int, ...]]
"""What else the word of a term is kept as, in memories of other languages."""
K1: Final = 1.2
B: Final = 0.75
QUESTION: Final = zlib.crc32(b"\x00question")
"""A mark in the bag, not a word: the content ends as a question."""
TIMED: Final = zlib.crc32(b"\x00timed")
"""A mark in the bag, not a word: the content itself speaks of a time ("last week", "in May", "at 5 pm")."""
OF_USER: Final = zlib.crc32(b"\x00user")
"""A mark in the bag, not a word: it states a fact about the user, who asks for it as "I"."""
MARK_OF_LANGUAGE: Final = {language: zlib.crc32(f"\0{language}".encode()) for language in FUNCTION_WORDS}
"""A mark in the bag, not a word: the content is in this language."""
MARKS: Final = frozenset({QUESTION, TIMED, OF_USER, *MARK_OF_LANGUAGE.values()})


# --- from text to terms ---------------------------------------------------------------------------


def query_terms(text: str) -> list[int]:
    """The terms that a question asks for, each once, in the order said; empty if it has only stopwords."""
    return list(asked_words(text).forms)


class AskedWords(NamedTuple):
    """What a question asks for, in the order said.

    Args:
        forms: Its terms, and what else memories in other languages keep each word as.
        parts: Of each term what a longer word begins or ends with, or it does itself.
    """

    language: str
    forms: Forms
    parts: Sequence[tuple[int, ...]]

    def only(self, terms: Collection[int]) -> AskedWords:
        """The same without any other terms."""
        kept = {term: parts for term, parts in zip(self.forms, self.parts, strict=True) if term in terms}
        return AskedWords(self.language, {term: self.forms[term] for term in kept}, list(kept.values()))


def asked_words(text: str, languages: Sequence[str] = ()) -> AskedWords:
    """The words of a question to memories in English and these languages; none if it has only stopwords."""
    words = _words(f"{text} {written_days(text)}")
    language = language_of(words)
    forms: dict[int, tuple[int, ...]] = {}
    parts: dict[int, tuple[int, ...]] = {}
    others = dict.fromkeys((language, *languages))
    gluing = [other for other in others if other in GLUING]
    for word in words:
        if own := _term(word, language):
            term = _term(word, ENGLISH) or own
            forms.setdefault(term, tuple({_term(word, other) for other in others} - {term, 0}))
            parts.setdefault(term, tuple(part for other in gluing for part in _parts_asked(word, other)))
    return AskedWords(language, forms, list(parts.values()))


def kept_terms(text: str) -> list[int]:
    """The terms that a memory of this content is kept by, as often and in the order said."""
    words = _words(text)
    return _terms(words, language_of(words))


def memory_terms(
    content: str, *, speaker: str | None, occurred_at: datetime, beside: str = "", of_user: bool = False
) -> tuple[bytes, int]:
    """The encoded bag of a memory's key, and how many tokens the key has.

    Args:
        beside: Words that it is found by too, and that make it no longer.
        of_user: Mark it as a fact about the user.
    """
    words = _words(content)
    language = language_of(words)
    terms = _terms(words, language)
    marks = [OF_USER] if of_user else []
    if content.rstrip().endswith(("?", "？", "؟")):
        marks.append(QUESTION)
    if not _time_terms(language).isdisjoint(terms):
        marks.append(TIMED)
    if speaker:
        terms += _terms(_words(speaker))
    day = occurred_at.astimezone(UTC).toordinal()
    terms += _date_terms(day, language)
    terms_beside = _terms(_words(beside))
    if language != ENGLISH:
        marks.append(MARK_OF_LANGUAGE[language])
        terms_beside += _date_terms(day, ENGLISH)
    if language in GLUING:
        terms_beside += [part for word in words for part in _parts_kept(word, language)]
    return encode_bag(Counter(terms + terms_beside + marks)), len(terms)


def encode_bag(bag: Mapping[int, int]) -> bytes:
    """The bag as bytes: ``<u4`` hash and ``<u2`` count, term after term; counts stop at 65,535."""
    size = len(bag)
    flat: list[int] = [0] * (2 * size)
    flat[::2] = bag.keys()
    flat[1::2] = bag.values() if max(bag.values(), default=0) < 65_536 else [min(n, 65_535) for n in bag.values()]
    return _packer(size).pack(*flat)


def decode_bag(data: bytes) -> dict[int, int]:
    """What ``encode_bag`` encoded."""
    entries = np.frombuffer(data, _ENTRY)
    return dict(zip(entries["term"].tolist(), entries["count"].tolist(), strict=True))


def split_sentences(text: str) -> list[tuple[int, int]]:
    """The (start, end) spans of the sentences, without the space around them; lines end sentences too."""
    spans = []
    start = 0
    ends = (match.end() for match in _SENTENCE_END.finditer(text) if not _is_abbreviated(text, match))
    for stop in [*ends, len(text)]:
        sentence = text[start:stop]
        if bare := sentence.strip():
            begin = start + sentence.index(bare)
            spans.append((begin, begin + len(bare)))
        start = stop
    return spans


def _is_abbreviated(text: str, end: re.Match[str]) -> bool:
    """Whether the stop before the space is that of "Dr. Moura", "5 a.m. sharp" or "J. R. R. Tolkien"."""
    at = end.start()
    if text[at - 1 : at] != "." or "\n" in end[0]:
        return False
    before = text[max(at - _LONGEST_ABBREVIATION, 0) : at]
    follows = text[end.end() : end.end() + 2]
    return (
        _TITLED.search(before) is not None
        or (_NUMBERED.search(before) is not None and follows[:1].isdigit())
        or (_WITHIN.search(before) is not None and not follows[:1].isupper())
        or (_INITIAL.search(before) is not None and follows[:1].isupper())
        or (_FIRST_INITIAL.search(before) is not None and follows[:1].isupper() and follows[1:] == ".")
    )


# --- BM25 over bags -------------------------------------------------------------------------------


class Postings:
    """The inverted bags of one partition: which slots hold a term, and how often.

    A slot is the place of a memory in the order added. Not thread-safe: its owner holds the lock.
    """

    def __init__(self) -> None:
        self._lengths = GrowingArray(np.float32)
        self._alive = GrowingArray(np.bool_)
        self.count = 0
        """Memories alive."""
        self.tokens = 0.0
        """Their lengths together."""
        self._sorted = _Entries.none()
        self._tail = _Entries.none()
        self._fresh: list[_Entries] = []
        self._unpurged = 0

    def __len__(self) -> int:
        """How many slots there are, dead ones included."""
        return len(self._lengths)

    @property
    def lengths(self) -> Floats:
        """Tokens by slot."""
        return self._lengths.values

    @property
    def alive(self) -> NDArray[np.bool_]:
        """By slot: False once it was removed."""
        return self._alive.values

    @property
    def nbytes(self) -> int:
        return sum(entries.nbytes for entries in (self._sorted, self._tail, *self._fresh)) + self._lengths.nbytes

    def append(self, bags: Sequence[bytes], lengths: Sequence[int]) -> None:
        """Add memories behind the last slot; ``lengths`` in tokens."""
        self._fresh.append(_Entries.of(bags, len(self)))
        self._lengths.extend(lengths)
        self._alive.extend(np.ones(len(bags), np.bool_))
        self.count += len(bags)
        self.tokens += sum(lengths)

    def remove(self, slots: Sequence[int] | NDArray[np.integer[Any]]) -> None:
        """Take memories out of every later answer; their slots stay empty."""
        index = np.unique(np.asarray(slots, np.int32))
        index = index[self.alive[index]]
        self.count -= len(index)
        self.tokens -= float(self.lengths[index].sum())
        self._unpurged += len(index)
        self.alive[index] = False

    def find(self, terms: Sequence[int], forms: Forms = MappingProxyType({})) -> list[tuple[Slots, Floats]]:
        """For each term the slots that hold it, or another of its forms, and its counts there."""
        others = [(place, other) for place, term in enumerate(terms) for other in forms.get(term, ())]
        found = self._find([*terms, *(other for _, other in others)])
        for (place, _), (slots, counts) in zip(others, found[len(terms) :], strict=True):
            if len(slots):
                found[place] = _summed(*found[place], slots, counts)
        return found[: len(terms)]

    def _find(self, terms: Sequence[int]) -> list[tuple[Slots, Floats]]:
        self._settle()
        wanted = np.asarray(terms, np.uint32)
        starts = np.searchsorted(self._sorted.terms, wanted, "left")
        ends = np.searchsorted(self._sorted.terms, wanted, "right")
        found = []
        for term, start, end in zip(wanted, starts, ends, strict=True):
            slots, counts = self._sorted.slots[start:end], self._sorted.counts[start:end]
            if len(self._tail.terms):
                places = np.flatnonzero(self._tail.terms == term)
                if len(places):
                    slots = np.concatenate([slots, self._tail.slots[places]])
                    counts = np.concatenate([counts, self._tail.counts[places]])
            if self._unpurged:
                living = self.alive[slots]
                slots, counts = slots[living], counts[living]
            found.append((slots, counts.astype(np.float32)))
        return found

    def _settle(self) -> None:
        """Join what was added to the tail; sort the tail in when it is long, drop the dead when they are many."""
        if self._fresh:
            self._tail = _Entries.joined([self._tail, *self._fresh])
            self._fresh.clear()
        many_dead = self._unpurged > max(256, len(self) // 8)
        if many_dead or len(self._tail.terms) > max(_MAX_TAIL, len(self._sorted.terms) // 8):
            merged = _Entries.joined([self._sorted, self._tail])
            if self._unpurged:
                merged = merged.where(self.alive[merged.slots])
            order = np.argsort(merged.terms.astype(np.uint64) << 32 | merged.slots.astype(np.uint64), kind="stable")
            self._sorted, self._tail, self._unpurged = merged.where(order), _Entries.none(), 0


def _summed(slots: Slots, counts: Floats, other_slots: Slots, other_counts: Floats) -> tuple[Slots, Floats]:
    """Two of ``find``'s answers as one, each slot once."""
    both, place = np.unique(np.concatenate([slots, other_slots]), return_inverse=True)
    return both, np.bincount(place, np.concatenate([counts, other_counts])).astype(np.float32)


class _Entries(NamedTuple):
    """Parallel arrays: one entry per term of a memory."""

    terms: NDArray[np.uint32]
    slots: Slots
    counts: NDArray[np.uint16]

    @classmethod
    def none(cls) -> _Entries:
        return cls(np.zeros(0, np.uint32), np.zeros(0, np.int32), np.zeros(0, np.uint16))

    @classmethod
    def of(cls, bags: Sequence[bytes], first_slot: int) -> _Entries:
        entries = np.frombuffer(b"".join(bags), _ENTRY)
        sizes = [len(bag) // _ENTRY.itemsize for bag in bags]
        slots = np.repeat(np.arange(first_slot, first_slot + len(bags), dtype=np.int32), sizes)
        return cls(entries["term"].copy(), slots, entries["count"].copy())

    @classmethod
    def joined(cls, parts: Sequence[_Entries]) -> _Entries:
        return cls(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))

    def where(self, chosen: NDArray[Any]) -> _Entries:
        return _Entries(self.terms[chosen], self.slots[chosen], self.counts[chosen])

    @property
    def nbytes(self) -> int:
        return self.terms.nbytes + self.slots.nbytes + self.counts.nbytes


def idf(holding: int, total: int) -> float:
    """How telling a term is that ``holding`` of ``total`` texts hold; above 0."""
    return math.log(1 + (total - holding + 0.5) / (holding + 0.5))


def saturated(counts: Floats, lengths: Floats, mean_length: float) -> Floats:
    """BM25's weight of a term that stands ``counts`` times in texts of these lengths, 0 to ``K1 + 1``."""
    floor, slope = K1 * (1 - B), K1 * B / max(mean_length, 1.0)
    return ((K1 + 1) * counts / (counts + floor + slope * lengths)).astype(np.float32, copy=False)


class InvertedIndex(LexicalIndex):
    """BM25 in process over the bags of any number of partitions; holds nothing on disk."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._partitions: dict[int, _Numbered] = {}

    def apply(self, change: LexicalChange, *, connection: Any = None) -> None:
        with self._lock:
            partition = self._partitions.setdefault(change.partition, _Numbered(Postings(), [], {}))
            for row in (*change.gone, *change.bags):
                if (slot := partition.slots.pop(row, None)) is not None:
                    partition.postings.remove([slot])
            lengths = [sum(n for t, n in decode_bag(bag).items() if t not in MARKS) for bag in change.bags.values()]
            partition.slots.update(zip(change.bags, itertools.count(len(partition.rows))))
            partition.rows.extend(change.bags)
            partition.postings.append(list(change.bags.values()), lengths)

    def search(self, query: LexicalQuery) -> LexicalHits:
        with self._lock:
            numbers = [number for number in query.partitions if number in self._partitions]
            asked = [self._partitions[number] for number in numbers]
            total = sum(partition.postings.count for partition in asked)
            tokens = sum(partition.postings.tokens for partition in asked)
            found = [partition.postings.find(query.terms) for partition in asked]
            scores = [np.zeros(len(partition.postings), np.float32) for partition in asked]
            for number in range(len(query.terms)):
                weight = idf(sum(len(places[number][0]) for places in found), total)
                for partition, places, score in zip(asked, found, scores, strict=True):
                    slots, counts = places[number]
                    lengths = partition.postings.lengths[slots]
                    score[slots] += np.float32(weight) * saturated(counts, lengths, tokens / max(total, 1))
            flat = np.concatenate([np.zeros(0, np.float32), *scores])
            rows = [(n, row) for n, partition in zip(numbers, asked, strict=True) for row in partition.rows]
        best = [place for place in np.argsort(-flat, kind="stable")[: query.limit].tolist() if flat[place] > 0]
        return LexicalHits([rows[place] for place in best], flat[best])

    def drop(self, partition: int) -> None:
        with self._lock:
            self._partitions.pop(partition, None)


class _Numbered(NamedTuple):
    """A partition's postings, the row of each slot, and the slot of each living row."""

    postings: Postings
    rows: list[int]
    slots: dict[int, int]


# --- word tables ----------------------------------------------------------------------------------

_ENTRY: Final = np.dtype([("term", "<u4"), ("count", "<u2")])
_NUMBER: Final = r"\d{1,3}(?:,\d{3})+(?![\d,])|\d+\.\d+(?![\d.])"
_CONTRACTED: Final = r"(?:'(?:s|t|m|d|re|ve|ll)\b)?"
_ASCII_WORDS: Final = re.compile(rf"{_NUMBER}|[a-z0-9]+{_CONTRACTED}")
# Python's \w leaves out combining marks, which would cut Hindi or Thai words at every vowel sign.
_MARKED: Final = "\u0300-\u036f\u0900-\u0963\u0966-\u0dff\u0f71-\u0fbc"
_PICTURES: Final = "\u2600-\u27bf\U0001f300-\U0001f3fa\U0001f400-\U0001faff"
_HAN: Final = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_UNSPACED: Final = (
    f"{_HAN}々〆\u3041-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"  # Chinese, Japanese
    "\uac00-\ud7a3"  # Korean has spaces, but glues particles to its words
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0edf\u1000-\u1049\u1780-\u17d3"  # Thai, Lao, Burmese, Khmer
)
_ANY_WORDS: Final = re.compile(
    rf"[{_UNSPACED}]+|{_NUMBER}|(?:(?![{_UNSPACED}])(?:[^\W_]|[{_MARKED}]))+{_CONTRACTED}|[{_PICTURES}]"
)
_IS_UNSPACED: Final = re.compile(f"[{_UNSPACED}]")
_IS_HAN: Final = re.compile(f"[{_HAN}]")
# Soft hyphen, zero-width characters, bidi controls, word joiner, BOM, vowel points: no part of a word's letters.
_UNWRITTEN: Final = re.compile(
    "[\u00ad\u034f\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061c\u0640\u064b-\u065f\u0670\u06d6-\u06ed"
    "\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff]"
)
_DIGIT: Final = re.compile(r"[^\W\D0-9]")
_THOUSANDS: Final = re.compile(r"\d{1,3}\.\d{3}")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…؟۔।])[\"')\]”’]*\s+|(?<=[。！？｡])[」』”’]*|\n+")
_TITLED: Final = re.compile(r"\b(?:Dr|Mr|Mrs|Ms|Mx|St|Prof|Rev|Gen|Capt|Lt|Sgt)\.$|\b(?:e\.g|i\.e|E\.g|I\.e|vs|cf)\.$")
_NUMBERED: Final = re.compile(r"\b(?:[Nn]os?|[Pp]p?|[Vv]ol|[Cc]h|[Ff]ig)\.$")
_WITHIN: Final = re.compile(r"\b(?:[aApP]\.[mM]|approx|etc|incl|max|min)\.$")
_INITIAL: Final = re.compile(r"(?:[A-Z]\.|\b[A-Z][a-z]+) [A-HJ-Z]\.$")
_FIRST_INITIAL: Final = re.compile(r"\b[A-Z]\.$")
_LONGEST_ABBREVIATION: Final = 24
"""Characters, with the name before an initial."""
_MAX_REMEMBERED: Final = 200_000
_MAX_TAIL: Final = 16_384
_remembered: dict[str, dict[str, int]] = {language: {} for language in (ENGLISH, *FUNCTION_WORDS)}


def _terms(words: Sequence[str], language: str = ENGLISH) -> list[int]:
    """The term of every word, in order, without stopwords."""
    remembered = _remembered[language]
    try:
        found = [remembered[word] for word in words]
    except KeyError:
        found = [_term(word, language) for word in words]
    return [term for term in found if term]


def _term(word: str, language: str) -> int:
    """The hash of the word's stem, 0 for a stopword; remembered, because most words come again."""
    remembered = _remembered[language]
    term = remembered.get(word)
    if term is None:
        bare = word.partition("'")[0]
        if not function_words(language).isdisjoint((word, bare)):
            term = 0
        else:
            if language != ENGLISH and _THOUSANDS.fullmatch(bare):
                bare = bare.replace(".", "")
            term = zlib.crc32(stem(bare, language).replace(",", "").encode()) or 1
        if len(remembered) >= _MAX_REMEMBERED:
            remembered.clear()
        remembered[word] = term
    return term


@lru_cache(65_536)
def _parts_kept(word: str, language: str) -> tuple[int, ...]:
    """What a long word is kept by beside itself: everything it may begin or end with."""
    if not _term(word, language):
        return ()
    pairs = parts(stem(word, language))
    return tuple(_part(part) for first, last in pairs for part in (f"^{first}", f"{last}$"))


def _parts_asked(word: str, language: str) -> tuple[int, ...]:
    """What finds the longer words that begin or end with this one, and the words it is put together from."""
    whole = stem(word, language)
    pairs = parts(whole)
    own = {_term(part, language) for pair in pairs for part in pair}
    return (_part(f"^{whole}"), _part(f"{whole}$"), *(own - {0}))


def _part(part: str) -> int:
    return zlib.crc32(part.encode())


def _words(text: str) -> list[str]:
    """The words of a text of any script; scripts without spaces give pairs of characters, and each Han one."""
    if text.isascii():
        return _ASCII_WORDS.findall(text.lower())
    whole = unicodedata.normalize("NFKC", _UNWRITTEN.sub("", text).casefold()).casefold().replace("’", "'")
    words: list[str] = _ANY_WORDS.findall(_DIGIT.sub(lambda found: str(unicodedata.digit(found[0])), whole))
    if not _IS_UNSPACED.search(whole):
        return words
    pieces: list[str] = []
    for word in words:
        if _IS_UNSPACED.match(word):
            pieces += [word[i : i + 2] for i in range(len(word) - 1)] or [word]
            if len(word) > 1:
                pieces += _IS_HAN.findall(word)
        else:
            pieces.append(word)
    return pieces


@lru_cache(None)
def _time_terms(language: str) -> frozenset[int]:
    return frozenset(_terms(_words(TIME_WORDS[language]), language))


@lru_cache(4096)
def _date_terms(ordinal: int, language: str) -> list[int]:
    return _terms(_words(date_words(date.fromordinal(ordinal), language)), language)


@lru_cache(1024)
def _packer(size: int) -> struct.Struct:
    return struct.Struct("<" + "IH" * size)
