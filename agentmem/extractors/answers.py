"""What a language model answered, turned into facts: nothing is believed that the turns do not say.

An answer is either usable, and then each of its items stands or falls alone, or it is not, and says why. An empty list
is an answer; silence, a refusal, half an answer or a copy of the question is none.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from agentmem.errors import BackendError
from agentmem.extractors.attributes import ATTRIBUTES, Attribute
from agentmem.extractors.meant import Span, denies, doubt, is_of_another, is_wish, sentence_around
from agentmem.extractors.own_words import may_be_passed_on
from agentmem.interfaces import Completion, ExtractedFact
from agentmem.records import POLARITIES, Memory, Polarity
from agentmem.retrieval.dates import time_spans
from agentmem.retrieval.lexical import query_terms


@dataclass(frozen=True, slots=True)
class Piece:
    """A turn, or the part of a long one that is shown at once; ``start`` is its place in the turn's content."""

    turn: Memory
    text: str
    start: int = 0

    @property
    def key(self) -> tuple[str, int, int, int]:
        """What it is known by: the same words of the same version."""
        return self.turn.id, self.turn.version, self.start, len(self.text)


class UnusableAnswer(BackendError):
    """The model answered, but not what it was asked for; ``reason`` is one of the outcomes that are counted."""

    code = "unusable_answer"

    def __init__(self, reason: str) -> None:
        super().__init__(f"The model's answer was {reason}.")
        self.reason = reason


class Reading(NamedTuple):
    """The facts of an answer, each with the place of its piece, and what became of the items, counted by reason."""

    facts: list[tuple[int, ExtractedFact]]
    outcomes: Counter[str]


def read_answer(completion: Completion, pieces: Sequence[Piece], *, fence: str) -> Reading:
    """The facts that the answer gives of the pieces, which it numbers from 1.

    Raises:
        UnusableAnswer: there is no list of facts in it.
    """
    items = listed(completion, "facts", fence=fence)
    if items and not any(isinstance(item, dict) and "quote" in item for item in items):
        raise UnusableAnswer("malformed")
    outcomes = Counter[str]()
    facts: dict[ExtractedFact, int] = {}
    everything = content_words(" ".join(f"{piece.turn.speaker or ''} {piece.text}" for piece in pieces))
    for item in items:
        try:
            place, fact = _fact(_item(item), pieces, everything, outcomes)
        except _Dropped as dropped:
            outcomes[dropped.reason] += 1
        else:
            facts[fact] = place
    outcomes["facts"] = len(facts)
    return Reading([(place, fact) for fact, place in facts.items()], +outcomes)


def answer_schema() -> Mapping[str, Any]:
    """The JSON Schema of an answer, with the attributes that are registered now."""
    text, text_or_null = {"type": "string"}, {"type": ["string", "null"]}
    properties = {
        "turn": {"type": "integer"},
        "quote": text,
        "subject": text,
        "attribute": {"type": "string", "enum": list(ATTRIBUTES)},
        "topic": text_or_null,
        "value": text,
        "polarity": {"type": "string", "enum": list(POLARITIES)},
        "valid_from": text_or_null,
        "valid_to": text_or_null,
    }
    return json_object({"facts": {"type": "array", "items": json_object(properties)}})


def json_object(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of an object with exactly these properties."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


# --- from text to items ---------------------------------------------------------------------------

_MAX_CHARACTERS: Final = 200_000
_FENCED: Final = re.compile(r"```[a-z]*\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_MAX_BEGINNINGS: Final = 8
_REFUSAL: Final = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an ai|(?:can(?:no|['’])t|can not|will not|won['’]t|unable to|not able to|decline to)"
    r"(?: to)? (?:help|assist|comply|process|extract|provide|do|answer|fulfil|with))",
    re.IGNORECASE,
)


def listed(completion: Completion, key: str, *, fence: str) -> list[Any]:
    """The list that the answer gives under the key, or is.

    Raises:
        UnusableAnswer: there is none in it.
    """
    text = completion.text
    is_cut = completion.finish_reason == "length"
    if completion.finish_reason in ("content_filter", "refusal"):
        raise UnusableAnswer("refused")
    if not text.strip():
        raise UnusableAnswer("truncated" if is_cut else "empty")
    if len(text) > _MAX_CHARACTERS:
        raise UnusableAnswer("oversized")
    if fence in text:
        raise UnusableAnswer("echoed")
    found = None
    for said in _values(text, key):
        given = said.get(key) if isinstance(said, dict) else said
        # The last one counts: models think aloud before they answer.
        found = given if isinstance(given, list) else found
    if found is not None:
        return found
    if is_cut:
        raise UnusableAnswer("truncated")
    raise UnusableAnswer("refused" if _REFUSAL.search(text[:400]) else "malformed")


def _values(text: str, key: str) -> Iterator[Any]:
    """Every JSON value that may be meant: the whole text; else code blocks; else objects within prose."""
    whole = _decoded(text)
    if whole is not None:
        yield whole
        return
    blocks = [block for block in map(_decoded, _FENCED.findall(text)) if block is not None]
    yield from blocks
    if not blocks:
        # Few of them, because each may be read to the end in vain.
        for beginning in list(re.finditer(rf'\{{\s*"{key}"\s*:', text))[-_MAX_BEGINNINGS:]:
            yield _decoded(text[beginning.start() :], whole=False)


def _decoded(text: str, *, whole: bool = True) -> Any:
    try:
        return json.loads(text) if whole else json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):  # not JSON, a number of thousands of digits, brackets without end
        return None


# --- from items to facts --------------------------------------------------------------------------

_SHORT: Final = 200
_LONG: Final = 2_000
_THEMSELVES: Final = frozenset({"user", "the user", "i", "me", "myself", "speaker", "the speaker"})
_OWNERS: Final = re.compile(r"^(?:my|his|her|their|our|the|user's)\s+", re.IGNORECASE)
_OF_TWO: Final = frozenset({"family", "partner", "relationship"})
"""What "my wife is …" may well say of the speaker."""
_DAY: Final = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?", re.ASCII)
_FROM_YEAR_TO_YEAR: Final = re.compile(
    r"\b((?:19|20)\d\d)\s?(?:-|–|—|to|until|till|through)\s?((?:19|20)\d\d)\b", re.ASCII | re.IGNORECASE
)
_TOKEN: Final = re.compile(r"\w[\w'’-]*")


class _Item(BaseModel):
    """One fact as the model said it; a number may come as text and text as a number."""

    model_config = ConfigDict(extra="ignore", frozen=True, coerce_numbers_to_str=True, hide_input_in_errors=True)

    turn: int
    quote: str = Field(min_length=1, max_length=_LONG)
    subject: str = Field(min_length=1, max_length=_SHORT)
    attribute: str
    topic: str | None = Field(default=None, max_length=_SHORT)
    value: str = Field(max_length=_SHORT)
    polarity: Polarity
    valid_from: Any = None
    valid_to: Any = None

    @field_validator("subject", "attribute", "topic", "value")
    @classmethod
    def _on_one_line(cls, text: str | None) -> str | None:
        line = None if text is None else " ".join(text.split())
        if line and not line.isprintable():
            raise ValueError("it holds what cannot be seen")
        return line

    @field_validator("attribute", "polarity", mode="before")
    @classmethod
    def _in_lower_case(cls, name: Any) -> Any:
        return name.strip().lower() if isinstance(name, str) else name

    @field_validator("value", mode="before")
    @classmethod
    def _blank_for_null(cls, value: Any) -> Any:
        return "" if value is None else value


class _Dropped(Exception):
    """The item is not kept; ``reason`` is counted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _item(said: Any) -> _Item:
    try:
        return _Item.model_validate(said)
    except ValidationError as error:
        place = error.errors(include_url=False, include_input=False)[0]["loc"]
        raise _Dropped(f"bad_{place[0]}" if place else "bad_item") from None


def _fact(
    item: _Item, pieces: Sequence[Piece], everything: frozenset[int], outcomes: Counter[str]
) -> tuple[int, ExtractedFact]:
    """The item as a fact with the place of its piece; dates that nobody said are taken out and counted."""
    if not 1 <= item.turn <= len(pieces):
        raise _Dropped("no_such_turn")
    attribute = ATTRIBUTES.get(item.attribute)
    if attribute is None:
        raise _Dropped("unknown_attribute")
    piece = pieces[item.turn - 1]
    span = find_quote(item.quote, piece.text)
    if span is None:
        raise _Dropped("no_such_quote")
    valid_from, valid_to = _days(item, span, piece, outcomes)
    value = _value_in(item, span, piece.text, dates=(valid_from is not None, valid_to is not None))
    if value is None:
        raise _Dropped("unsupported_value")
    _require_meant(item, span, value, piece.text)
    if item.attribute == "instruction" and may_be_passed_on(piece.turn.content, besides=piece.text[slice(*value)]):
        raise _Dropped("not_own_words")
    polarity = item.polarity
    if polarity == "affirmed" and valid_from is None and valid_to is not None and valid_to <= piece.turn.occurred_at:
        # Since when is not said, only that it is over.
        polarity, valid_from, valid_to = "ended", valid_to, None
    return item.turn - 1, ExtractedFact(
        subject=_subject(item, value, piece, everything),
        attribute=attribute.name,
        value=item.value,
        polarity=polarity,
        derived_from=piece.turn.id,
        start=piece.start + span[0],
        end=piece.start + span[1],
        topic=_topic(item.topic, attribute),
        valid_from=valid_from,
        valid_to=valid_to,
    )


def _require_meant(item: _Item, quote: Span, value: Span, text: str) -> None:
    """Raise _Dropped if the sentence asks, supposes or denies what the quote alone seems to say."""
    is_affirmed = item.polarity == "affirmed" and not denies(item.value)
    reason = doubt(text, quote, value, attribute=item.attribute, affirmed=is_affirmed)
    if reason is not None:
        raise _Dropped(reason)
    if item.attribute == "instruction" and item.value and not is_wish(text, value):
        raise _Dropped("no_wish")


def _subject(item: _Item, value: Span, piece: Piece, everything: frozenset[int]) -> str:
    said, speaker = item.subject, piece.turn.speaker
    if said.casefold() in _THEMSELVES or (speaker and said.casefold() == speaker.casefold()):
        if item.attribute not in _OF_TWO and is_of_another(piece.text, value):
            raise _Dropped("bad_subject")
        return speaker or "user"
    bare = _OWNERS.sub("", said)
    words = content_words(bare)
    # A pronoun has no words of its own, and of somebody never mentioned nothing can have been said.
    if not words or not words <= everything:
        raise _Dropped("bad_subject")
    # Two people in one conversation may each have a sister.
    return f"{speaker}'s {bare}" if speaker and bare.islower() else bare


def _topic(said: str | None, attribute: Attribute) -> str | None:
    """The topic where the attribute has one: elsewhere it would keep a new value from closing the old one."""
    if "{topic}" not in attribute.affirmed:
        return None
    if not said:
        raise _Dropped("bad_topic")
    return said.lower()


def _value_in(item: _Item, quote: Span, text: str, *, dates: tuple[bool, bool]) -> Span | None:
    """Where in the quote the value stands; None if the quote does not say it.

    Args:
        dates: Which of the item's two days the words name: such a day may be written into the value.
    """
    if not item.value:
        return quote if item.polarity == "ended" else None
    value = item.value
    for day, is_named in zip((item.valid_from, item.valid_to), dates, strict=True):
        if is_named and _DAY.fullmatch(str(day)):
            value = value.replace(str(day), " ")
    start, quoted = quote[0], text[slice(*quote)]
    words, place = content_words(value), find_quote(value, quoted)
    if not words:
        return None if place is None or _is_all_stopwords(quoted, place) else (start + place[0], start + place[1])
    if not words <= content_words(quoted):
        return None
    if place is None:
        said = [each.span() for each in _TOKEN.finditer(quoted) if not words.isdisjoint(content_words(each[0]))]
        place = (said[0][0], said[-1][1]) if said else (0, len(quoted))
    return start + place[0], start + place[1]


def _is_all_stopwords(quoted: str, place: Span) -> bool:
    """True for "in"; not for "IT" and "The Who", nor for what is no word at all."""
    said = quoted[slice(*place)]
    is_name = place[0] > 0 and said != "I" and not quoted.isupper() and all(word[0].isupper() for word in said.split())
    return any(map(str.isalpha, said)) and not is_name


def _days(item: _Item, quote: Span, piece: Piece, outcomes: Counter[str]) -> tuple[datetime | None, datetime | None]:
    """Since when and until when, as far as the sentence around the quote names it."""
    named = _times_named(item, quote, piece)
    said_at = piece.turn.occurred_at
    just_then = (said_at, said_at + timedelta(microseconds=1))
    days: list[datetime | None] = []
    # What begins may begin as it is said; an end must be named.
    for said, spans in ((item.valid_from, [just_then, *named]), (item.valid_to, named)):
        try:
            days.append(_named_day(said, spans))
        except ValueError:
            outcomes["dates_dropped"] += 1
            days.append(None)
    first, last = days
    if first and last and last <= first:
        outcomes["dates_dropped"] += 1
        first, last = (None, last) if first == said_at else (first, None)
    return first, last


def _times_named(item: _Item, quote: Span, piece: Piece) -> list[tuple[datetime, datetime]]:
    """From when to when each time is that the sentence around the quote names."""
    (start, _), (_, end) = sentence_around(piece.text, quote[0]), sentence_around(piece.text, quote[1] - 1)
    said = piece.text[start:end]
    # Of two Mays, a plan is for the one to come.
    readings = [said, f"I will {said}"] if item.attribute in ("plan", "commitment") else [said]
    named = [(each.begins, each.ends) for text in readings for each in time_spans(text, said_at=piece.turn.occurred_at)]
    years = [int(year) for match in _FROM_YEAR_TO_YEAR.finditer(said) for year in match.groups()]
    return named + [(datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)) for year in years]


def _named_day(said: Any, spans: Sequence[tuple[datetime, datetime]]) -> datetime | None:
    """The first moment of the first span that shares a day with this year, month or day, but not before its own.

    Raises:
        ValueError: it is written in another way, no calendar has it, or it shares a day with none.
    """
    if said is None or said == "":
        return None
    written = str(said)
    if not _DAY.fullmatch(written):
        raise ValueError
    begins = datetime.fromisoformat(f"{written}-01-01"[:10]).replace(tzinfo=UTC)
    for first, end in spans:
        last = end - timedelta(microseconds=1)
        if first.isoformat()[: len(written)] <= written <= last.isoformat()[: len(written)]:
            return max(begins, first)
    raise ValueError


# --- what counts as the same words ----------------------------------------------------------------

_ORDINAL: Final = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b", re.IGNORECASE)
_NUMBERS: Final = tuple("zero one two three four five six seven eight nine ten eleven twelve".split())  # noqa: SIM905
_NUMBER: Final = re.compile(rf"\b(?:{'|'.join(_NUMBERS)})\b", re.IGNORECASE)
_SAME: Final = str.maketrans(
    {**dict.fromkeys("‘’‛`´", "'"), **dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‐‑–—", "-")}
)
_AROUND: Final = " \"'.,;…"
_JOINED: Final = re.compile(r"[^\W_]")
_FIRST_UNSPACED: Final = "\u2e80"
"""From here on, more or less, scripts are written without spaces: a word may begin anywhere."""


def content_words(text: str) -> frozenset[int]:
    """The text's content words, by stem; numbers as digits."""
    plain = _NUMBER.sub(lambda match: str(_NUMBERS.index(match[0].lower())), _ORDINAL.sub(r"\1", text))
    return frozenset(query_terms(plain))


def find_quote(quote: str, text: str) -> tuple[int, int] | None:
    """Where the text says the quote as whole words, whatever its spaces, case and kind of quotation marks; or None."""
    wanted = _folded(quote)[0].strip(_AROUND)
    said, places = _folded(text)
    start = said.find(wanted) if wanted else -1
    while start >= 0:
        end = start + len(wanted)
        if not (_splits_a_word(said, start) or _splits_a_word(said, end)):
            return places[start], places[end - 1] + 1
        start = said.find(wanted, start + 1)
    return None


def _splits_a_word(text: str, at: int) -> bool:
    around = text[max(at - 1, 0) : at + 1]
    return 0 < at < len(text) and len(_JOINED.findall(around)) == 2 and max(around) < _FIRST_UNSPACED


@lru_cache(64)
def _folded(text: str) -> tuple[str, list[int]]:
    """The text in lower case with single spaces, and the place in the text that each character comes from."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for same in character.translate(_SAME).casefold():
            if same.isspace():
                if characters and characters[-1] == " ":
                    continue
                same = " "
            elif unicodedata.category(same) in ("Cf", "Cc"):
                continue
            characters.append(same)
            places.append(place)
    return "".join(characters), places
