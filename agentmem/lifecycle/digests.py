"""What summaries above a session are made of: the pieces of a week, the turns about a topic. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from agentmem.extractors.gates import readable
from agentmem.extractors.vocabulary import words
from agentmem.records import Memory

_MOST_TOPICS: Final = 10
_FEWEST_TURNS: Final = 3


@dataclass(frozen=True, slots=True)
class Piece:
    """Something to summarise again: a line of a summary, or a turn that is in none.

    Args:
        memory: Its words, in the place of the first turn that it cites.
        cites: Ids of turns.
        source: What it was taken from: the summary, or the turn itself.
    """

    memory: Memory
    cites: tuple[str, ...]
    source: Memory


def week_of(moment: datetime) -> str:
    """The ISO week in UTC, as ``2026-W14``."""
    year, week, _ = moment.astimezone(UTC).isocalendar()
    return f"{year}-W{week:02}"


def weeks_in(turns: Sequence[Memory], summaries: Iterable[Memory]) -> Mapping[str, Sequence[Piece]]:
    """By week, oldest first: the lines of sessions' summaries, and the turns that no summary was made from.

    A line belongs to the week of the first turn that it cites.
    """
    place = {turn.id: number for number, turn in enumerate(turns)}
    by_id = {turn.id: turn for turn in turns}
    pieces: list[Piece] = []
    covered: set[str] = set()
    for summary in summaries:
        covered.update(summary.derived_from)
        for number, (text, cites) in enumerate(zip(summary.content.split("\n"), _cited(summary), strict=False)):
            turn = by_id.get(cites[0]) if cites else None
            if turn is not None:
                said = text.removeprefix(f"{turn.speaker or turn.role}: ")
                line = replace(turn, id=f"{summary.id}:{number}", content=said)
                pieces.append(Piece(line, cites, summary))
    pieces += [Piece(turn, (turn.id,), turn) for turn in turns if turn.id not in covered]
    pieces.sort(key=lambda piece: (piece.memory.occurred_at, place[piece.cites[0]]))
    weeks: dict[str, list[Piece]] = {}
    for piece in pieces:
        weeks.setdefault(week_of(piece.memory.occurred_at), []).append(piece)
    return weeks


def _cited(summary: Memory) -> list[tuple[str, ...]]:
    lines = summary.metadata.get("lines")
    return [tuple(line) for line in lines] if isinstance(lines, list) else []


def topics_in(turns: Sequence[Memory]) -> Mapping[str, Sequence[Memory]]:
    """The ten names that most turns hold, three at least, each with those turns.

    A name is a run of capitalised words, also where it begins a sentence, that is written so within sentences in more
    turns than it is written small: people, places, things that have one. The names of those who speak are none, for
    they are in every other turn; nor are titles, months and days of the week.
    """
    speakers = names_of(turns)
    within = Counter(name for turn in turns for name in set(_WITHIN.findall(turn.content)))
    small = Counter(word for turn in turns for word in set(_SMALL.findall(turn.content)))
    known = {name for name in within if within[name] > small[name.lower()] and not _is_common(name, speakers)}
    naming: dict[str, list[Memory]] = {}
    for turn in turns:
        for name in {_known(run, known) for run in _RUN.findall(turn.content)} & known:
            naming.setdefault(name, []).append(turn)
    often = (name for name, named in naming.items() if len(named) >= _FEWEST_TURNS)
    topics = sorted(often, key=lambda name: (-len(naming[name]), name))[:_MOST_TOPICS]
    return {name: naming[name] for name in topics}


def names_of(turns: Iterable[Memory]) -> frozenset[str]:
    """The words, in lower case, that those who speak are called by, as they present and greet each other."""
    names: set[str] = set()
    for turn in turns:
        begins = turn.content[:_GREETING_CHARACTERS]
        said = [turn.speaker or "", *_GREETED.findall(begins)]
        if turn.role == "assistant":
            said += _ADDRESSED.findall(begins)
        elif _PRESENTED.search(begins) and (own := readable(turn)) is not None:
            said += _PRESENTED.findall(own[0][:_GREETING_CHARACTERS])
        names.update(word.casefold() for name in said for word in _PART_OF_NAME.findall(name))
    return frozenset(names - _TITLES)


_TITLES: Final = words("dr mr mrs ms mx prof st sir madam the a an my your")
_PART_OF_NAME: Final = re.compile(r"[^\W\d_][\w-]+")
_NAME: Final = r"(?:(?:Dr|Mr|Mrs|Ms|Prof)\.? )?[^\W\d_a-zß-öø-ÿ][\w'’-]*(?: [^\W\d_a-zß-öø-ÿ][\w'’-]+)?"
_GREETING: Final = (
    r"(?:hi|hello|hey|hola|dear|thanks|thank you|thx|welcome(?: back)?|good (?:morning|evening|afternoon))"
)
_PRESENTED: Final = re.compile(
    rf"(?:\b(?i:I['’]?m|I am|my name is|my name['’]s|name is|calls? me) (?={_NAME})"
    rf"|^\W*(?i:{_GREETING}[\w ]*, i['’]?m) )({_NAME}|\w+)"
)
_GREETED: Final = re.compile(rf"^\W*(?i:{_GREETING}),? ({_NAME}|[a-z]+(?=[,!]))")
_ADDRESSED: Final = re.compile(rf"^[^.!?\n]{{0,40}}, ({_NAME})[.!?…](?=\s|$)")
_GREETING_CHARACTERS: Final = 400

_WORD: Final = r"[^\W\d_a-zß-öø-ÿ](?:[\w-]*\w)?"
_RUN: Final = re.compile(rf"\b{_WORD}(?: {_WORD})*")
_WITHIN: Final = re.compile(rf"(?:(?<=[^\W\d_] )|(?<=[,;:] )){_WORD}(?: {_WORD})*")
_SMALL: Final = re.compile(r"\b[a-zß-öø-ÿ][\w-]*\b")
_MONTHS: Final = "january february march april may june july august september october november december"
_DAYS: Final = "monday tuesday wednesday thursday friday saturday sunday"
_NO_NAMES: Final = frozenset(f"i {_MONTHS} {_DAYS}".split()) | _TITLES


def _known(run: str, known: Collection[str]) -> str:
    """The run, or what is left of it without the word that began a sentence: "Then Max"."""
    return run if run in known else run.partition(" ")[2]


def _is_common(name: str, speakers: Collection[str]) -> bool:
    """True for what names no topic: "I", a month, a speaker, also by a short name ("Mel" for Melanie)."""
    words = name.casefold().split()
    return _NO_NAMES.issuperset(words) or any(speaker.startswith(words[0]) for speaker in speakers)
