"""How a text feels, by a lexicon of our own and a dozen rules. English; a text in another language has no affect.

A feeling is a word, phrase or emoji of ``affect.tsv``. What stands around it turns it ("not happy", "never liked"),
strengthens it ("so happy", "HAPPY!"), weakens it ("a bit sad"; questions, "if", what comes before a "but"), or says
that it is none (the name Joy, a question about your feelings, what a film is about). A sentence feels what its
feelings add up to; a text feels what its sentences do, the stronger the more.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from agentmem.records import Affect

LABELS: Final = (
    *("joy", "gratitude", "love", "pride", "hope", "relief", "calm", "surprise", "sadness", "grief", "anger"),
    *("frustration", "fear", "worry", "disgust", "shame", "loneliness", "tiredness"),
)
LEXICON: Final = Path(__file__).with_name("affect.tsv")
MAX_CHARACTERS: Final = 8_000
"""What lies behind is not read: affect is for what people say, and its cost is bounded."""


def affect_of(text: str) -> Affect | None:
    """The affect of a text, None where it carries none. Pure; never raises."""
    if len(text) > MAX_CHARACTERS:
        text = text[:MAX_CHARACTERS]
    if "’" in text:
        text = text.replace("’", "'")
    tokens = _TOKEN.findall(text)
    words = [token.lower() for token in tokens]
    found = _found(words, _lexicon())
    if not found:
        return None
    felt = []
    sentences = 0
    for start, end, closing in _sentences(tokens):
        sentences += 1
        here = [(first - start, last - start, entry) for first, last, entry in found if start <= first < end]
        if here and (affect := _sentence_affect(tokens[start:end], words[start:end], closing, here)):
            felt.append(affect)
    return _together(felt, sentences) if felt else None


# --- the lexicon ----------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """A word or phrase of the lexicon; ``words[place]`` is the one it is looked up by. No label: it is no feeling."""

    words: list[str]
    place: int
    valence: float
    arousal: float
    label: str


@lru_cache(1)
def _lexicon() -> dict[str, list[_Entry]]:
    """The entries by their rarest word, longer entries first."""
    found: dict[str, list[_Entry]] = {}
    rows = [line.split("\t") for line in LEXICON.read_text("utf-8").splitlines()[1:]]
    # What is no feeling is looked up by the word that would have looked like one, so it comes last.
    for pattern, valence, arousal, label in sorted(rows, key=lambda row: row[3] == "-"):
        for phrase in _spelled(pattern):
            words = _TOKEN.findall(phrase)
            place = max(
                (place for place, word in enumerate(words) if label != "-" or word in found),
                key=lambda place: _rarity(words[place]),
            )
            entry = _Entry(words, place, float(valence), float(arousal), label.strip("-"))
            found.setdefault(words[place], []).append(entry)
    for entries in found.values():
        entries.sort(key=lambda entry: -len(entry.words))
    return found


def _rarity(word: str) -> int:
    return len(word) - 20 * (word in _COMMON or len(word) < 3)


def _spelled(pattern: str) -> Iterator[str]:
    """Every phrase that ``can't {stand,bear} it`` stands for, "cant stand it" included."""
    frame = re.split(r"\{[^}]*\}", pattern)
    choices = [inside.split(",") for inside in re.findall(r"\{([^}]*)\}", pattern)]
    for chosen in itertools.product(*choices):
        phrase = "".join(itertools.chain.from_iterable(zip(frame, (*chosen, ""), strict=True)))
        yield phrase
        if (bare := phrase.replace("n't", "nt").replace("i'm", "im")) != phrase:
            yield bare


# --- texts and sentences --------------------------------------------------------------------------

_TOKEN: Final = re.compile(
    r"[A-Za-z][A-Za-z']*|[.,](?!\d)|[!?…\n]|[:;=]'?-?[()DPdp](?![A-Za-z])|[:;]|<3"
    r"|[\u2600-\u27bf\U0001f300-\U0001f64f\U0001f90c-\U0001f97f\U0001f9d0-\U0001f9ff]"
)


class _Felt(NamedTuple):
    """What a feeling, or a sentence of them, comes to."""

    valence: float
    arousal: float
    label: str


def _sentences(tokens: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """(start, end, the mark that ends it, ``!!`` as ``!`` twice) of every sentence that has a word."""
    start = 0
    for place in [place for place, token in enumerate(tokens) if token in _CLOSING]:
        if place > start:
            mark = tokens[place]
            loud = mark == "!" and place + 1 < len(tokens) and tokens[place + 1] == "!"
            yield start, place, "!!" if loud else mark
        start = place + 1
    if start < len(tokens):
        yield start, len(tokens), ""


def _sentence_affect(
    tokens: Sequence[str], words: Sequence[str], closing: str, found: Sequence[tuple[int, int, _Entry]]
) -> _Felt | None:
    whole = 1.0 + 0.05 * closing.count("!")
    cued = closing == "?" or words[0] in _ASKS or not _CUES.isdisjoint(words)
    if cued:
        whole *= _earnest(words, closing)
    felt = []
    for start, end, entry in found:
        if entry.label and not _is_name(tokens, words, start, end):
            strength, valence, label = _in_place(words, start, entry)
            strength *= whole * (_contrast(words, start) if cued else 1.0)
            if end - start == 1 and tokens[start].isupper() and len(tokens[start]) > 2:
                strength *= 1.2
            valence *= strength
            if abs(valence) >= _FAINT:
                felt.append(_Felt(valence, entry.arousal * min(1.2, strength), label))
    return _joined(felt) if felt else None


def _joined(felt: Sequence[_Felt]) -> _Felt:
    """Feelings of one sentence as one: more of a sign is stronger, never above 1; signs are set against each other."""
    valence, arousal, label = felt[0]
    if len(felt) > 1:
        good, bad = 1.0, 1.0
        for each in felt:
            if each.valence > 0:
                good *= max(0.0, 1 - each.valence)
            else:
                bad *= max(0.0, 1 + each.valence)
        valence = bad - good
        arousal = max(each.arousal for each in felt)
        label = max(felt, key=lambda each: each.valence if valence >= 0 else -each.valence).label
    return _Felt(max(-1.0, min(1.0, valence)), arousal, label)


def _together(felt: Sequence[_Felt], sentences: int) -> Affect:
    """The mean of the sentences that feel, each weighing what it feels; fainter where few of many do."""
    valence, arousal, label = felt[0]
    if len(felt) > 1:
        weights = [abs(each.valence) for each in felt]
        whole = sum(weights) or 1.0
        valence = sum(each.valence * weight for each, weight in zip(felt, weights, strict=True)) / whole
        arousal = sum(each.arousal * weight for each, weight in zip(felt, weights, strict=True)) / whole
        label = max(felt, key=lambda each: each.valence if valence >= 0 else -each.valence).label
    spread = min(1.0, (3 * len(felt) / sentences) ** 0.5)
    return Affect(round(valence * spread, 2), round(min(1.0, arousal * spread), 2), label)


# --- what stands around a feeling -----------------------------------------------------------------


def _found(words: Sequence[str], lexicon: dict[str, list[_Entry]]) -> list[tuple[int, int, _Entry]]:
    """(start, end, entry) of what the lexicon knows; of two that overlap the longer, then the first."""
    found = []
    for place in [place for place, word in enumerate(words) if word in lexicon]:
        for entry in lexicon[words[place]]:
            start = place - entry.place
            end = start + len(entry.words)
            if end - start == 1 or (start >= 0 and words[start:end] == entry.words):
                found.append((start, end, entry))
                break
    if all(before[1] <= after[0] for before, after in itertools.pairwise(found)):
        return found
    kept: list[tuple[int, int, _Entry]] = []
    for start, end, entry in sorted(found, key=lambda each: each[0] - each[1]):
        if all(end <= before or after <= start for before, after, _ in kept):
            kept.append((start, end, entry))
    return kept


def _in_place(words: Sequence[str], start: int, entry: _Entry) -> tuple[float, float, str]:
    """(strength, valence, label) of an entry, the words of its clause before it counted in."""
    strength = 1.0
    for place in range(start - 1, max(start - 6, -1), -1):
        role = _ROLES.get(words[place])
        if role is None:
            continue
        if role == "not":
            if place + 1 < start and words[place + 1] in _NOT_NEGATED:
                break
            return (strength, *_negated(words[place], entry))
        if role == "end":
            # "I don't think I am happy": think hands its "not" on to the next clause.
            if not (place and words[place - 1] in _HANDS_ON):
                break
        elif start - place < 4:
            strength *= _FACTORS[role]
    return strength, entry.valence, entry.label


def _negated(negator: str, entry: _Entry) -> tuple[float, str]:
    """Valence and label of a negated entry."""
    if entry.words[0] in _COMPARATIVES and negator in _NEVER:
        return entry.valence * 1.2, entry.label
    if entry.valence > 0:
        return -0.6 * entry.valence, "frustration" if entry.label in ("gratitude", "love", "pride") else "sadness"
    if negator in _ABSENCE:
        return 0.0, entry.label
    return -0.35 * entry.valence, "relief" if entry.label in ("fear", "worry") else "calm"


def _earnest(words: Sequence[str], closing: str) -> float:
    """How much of what a sentence says is felt by who says it: 1 is all, 0 nothing."""
    asks = closing == "?"
    # "Are you happy?" and "Write a sad song" tell nothing of the one who asks.
    if words[0] in _ORDERS or ((asks or words[0] in _AUXILIARIES) and not _SECOND_PERSON.isdisjoint(words[:3])):
        return 0.0
    personal = not _FIRST_PERSON.isdisjoint(words)
    if asks:
        return 0.6 if personal and _WANTED.isdisjoint(words) else 0.0
    if "if" in words:
        return 0.5 if personal else 0.0
    return 1.0 if personal or _TOLD.isdisjoint(words) else 0.15


def _contrast(words: Sequence[str], start: int) -> float:
    """What stands before a "but" weighs less, and so do what was ("used to") and an "although" up to its comma."""
    if not _TURNS.isdisjoint(words[start:]) or words[start - 2 : start] == ["used", "to"]:
        return 0.35
    clause = start
    while clause and words[clause - 1] != ",":
        clause -= 1
    return 1.0 if _CONCESSIONS.isdisjoint(words[clause:start]) else 0.35


def _is_name(tokens: Sequence[str], words: Sequence[str], start: int, end: int) -> bool:
    """A single word with a capital that does not open the sentence, or Joy, Hope and their like that do."""
    token = tokens[start]
    if end - start > 1 or not "A" <= token[0] <= "Z" or token.isupper():
        return False
    if start:
        return tokens[start - 1] not in ("I", ",", ":")
    return words[0] in _NAMES and (len(words) == 1 or words[1] not in _AFTER_A_VERB)


_FAINT: Final = 0.08
_FACTORS: Final = {"very": 1.25, "bit": 0.6, "would": 0.5}


# --- the words that the rules know ----------------------------------------------------------------


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_CLOSING: Final = frozenset(".!?…\n")
_FIRST_PERSON: Final = _set(
    "i im i'm i've ive i'd i'll me my mine myself we we're we've we'd we'll us our ours ourselves"
)
_SECOND_PERSON: Final = _set("you your you're anyone anybody")
_ORDERS: Final = _set(
    "write design describe explain list find give tell create generate suggest recommend compose translate "
    "rewrite summarize summarise show"
)
_AUXILIARIES: Final = _set("can could would will do does did have has are is was were")
_ASKS: Final = _ORDERS | _AUXILIARIES
_WANTED: Final = _set("tips advice recommend recommendations suggest suggestions suggestion ideas")
_TOLD: Final = _set(
    "film movie book novel story song album documentary character called named titled entitled poem course class "
    "chapter series episode playlist"
)
_TURNS: Final = _set("but however nevertheless nonetheless")
_CONCESSIONS: Final = _set("although though despite")
_CUES: Final = _TOLD | _TURNS | _CONCESSIONS | {"if", "used"}
_ABSENCE: Final = _set("no without denied denies")
_NEVER: Final = _set("never couldn't couldnt can't cant cannot nothing nobody")
_NOT_NEGATED: Final = _set("only just merely doubt matter wonder idea")
_COMPARATIVES: Final = _set("happier happiest better prouder calmer nicer funnier")
_HANDS_ON: Final = _set("think believe feel say that")
_NAMES: Final = _set("joy hope bliss pride treasure blessing cherish merry charm darling")
_AFTER_A_VERB: Final = _set("to you that it this the of so everything all we i he she they your my for in")
_NEGATORS: Final = _set(
    "not no never none nobody nothing neither nor without hardly barely scarcely rarely seldom cannot less "
    "stopped denied denies don't dont can't cant didn't didnt doesn't doesnt isn't isnt wasn't wasnt won't wont "
    "wouldn't wouldnt couldn't couldnt haven't havent hasn't hasnt hadn't hadnt aren't arent weren't werent ain't "
    "aint shouldn't shouldnt"
)
_CLAUSE_ENDS: Final = _set(
    ", ; : but and because when how why which who while since though i i'm he she it we they you i've we're"
)
_BOOSTERS: Final = _set(
    "very really so extremely absolutely totally completely incredibly super truly deeply utterly such insanely "
    "ridiculously terribly awfully genuinely seriously hugely immensely quite too"
)
_DAMPENERS: Final = _set("bit slightly somewhat little kinda sorta fairly mildly almost rather partly")
_CONDITIONALS: Final = _set("would could might would've")
_ROLES: Final = {
    **dict.fromkeys(_NEGATORS, "not"),
    **dict.fromkeys(_CLAUSE_ENDS, "end"),
    **dict.fromkeys(_BOOSTERS, "very"),
    **dict.fromkeys(_DAMPENERS, "bit"),
    **dict.fromkeys(_CONDITIONALS, "would"),
}
_COMMON: Final = _set(
    "that this those them there with have having had some about been being what which when while where really "
    "from make makes made making way also that's just not see seeing keep keeps got get gets getting looking look "
    "looks would could should into sounds sound going goes since much did still well support things thing doing "
    "back always best especially each every week year day days time times feel feels feeling felt through life "
    "first over right home better long hard friends friend big world working works same place found here down "
    "again another myself yeah more lately own very thought everything everyone never only without morning went "
    "running point true said took party months i'm don't dont im isn't can't cant couldn't couldnt my our his her "
    "him its it's you your we're what's shouldn't someone nobody dad father mum mom mother brother sister son "
    "daughter husband wife uncle aunt cousin dog cat grandma grandpa grandmother grandfather nan partner "
    "boyfriend girlfriend boss neighbour neighbor roommate baby night trip good great happy wish enough take "
    "think know want any out off up for the and was wasn't were"
)
"""What turns are full of: entries are looked up by another of their words where they have one."""
