"""What summaries above a session are made of: the pieces of a week, the turns about a topic. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

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

    A name is a run of capitalised words within a sentence: people, places, things that have one. The names of those
    who speak are none, for they are in every other turn; nor are months and days of the week.
    """
    speakers = {word.casefold() for turn in turns for word in (turn.speaker or "").split()}
    naming: dict[str, list[Memory]] = {}
    spelled: dict[str, Counter[str]] = {}
    for turn in turns:
        found = {name.casefold(): name for name in _names(turn.content)}
        for key, name in found.items():
            if key not in _CALENDAR and not speakers.intersection(key.split()):
                naming.setdefault(key, []).append(turn)
                spelled.setdefault(key, Counter())[name] += 1
    often = sorted(
        (key for key in naming if len(naming[key]) >= _FEWEST_TURNS), key=lambda key: (-len(naming[key]), key)
    )
    return {max(sorted(spelled[key]), key=spelled[key].__getitem__): naming[key] for key in often[:_MOST_TOPICS]}


_NAME: Final = re.compile(r"(?<=[^\W\d_,;:] )[A-Z][\w’'-]*[\w](?: [A-Z][\w’'-]*[\w])*")
_POSSESSIVE: Final = re.compile(r"['’]s$")
_MONTHS: Final = "january february march april may june july august september october november december"
_DAYS: Final = "monday tuesday wednesday thursday friday saturday sunday"
_CALENDAR: Final = frozenset(f"{_MONTHS} {_DAYS}".split())


def _names(text: str) -> list[str]:
    return [_POSSESSIVE.sub("", name) for name in _NAME.findall(text)]
