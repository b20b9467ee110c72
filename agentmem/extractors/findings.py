"""What a rule finds in a clause, and what the clause says of whether it is so."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from agentmem.extractors.clauses import Clause
from agentmem.extractors.phrases import Span
from agentmem.records import Polarity

if TYPE_CHECKING:
    from agentmem.retrieval.dates import TimeSpan


@dataclass(frozen=True, slots=True)
class Found:
    """A fact as found in a sentence: where its value stands, or the value where that is not word for word.

    ``subject`` and ``polarity`` are set where they differ from the clause's; ``end`` is the place its evidence ends at.
    """

    attribute: str
    at: Span | None = None
    value: str = ""
    topic: str | None = None
    polarity: Polarity | None = None
    subject: str | None = None
    end: int = 0


Rule = Callable[[Clause], Iterator[Found]]


def polarity_of(clause: Clause) -> Polarity:
    """What negation the clause's verb carries; "not … any more" ends."""
    if clause.no_longer or clause.used_to:
        return "ended"
    if not clause.negated:
        return "affirmed"
    return (
        "ended"
        if _ANY_MORE.search(clause.sentence.low, clause.sentence.starts[clause.first], clause.sentence.end)
        else "denied"
    )


_ANY_MORE: Final = re.compile(r"\bany ?more\b|\bany longer\b")


def words_after(clause: Clause, offset: int = 1) -> list[str]:
    return clause.sentence.words[clause.verb + offset :]


def follows(clause: Clause, *phrases: str) -> int:
    """The place after the first of these phrases that stands just after the verb; 0 if none does."""
    words = clause.sentence.words
    for text in phrases:
        parts = text.split()
        start = clause.verb + 1
        if words[start : start + len(parts)] == parts and not any(clause.sentence.breaks[start : start + len(parts)]):
            return start + len(parts)
    return 0


def due_within(span: TimeSpan) -> datetime:
    """The last second of the time named: who promises something for Friday has all of Friday."""
    return span.ends - timedelta(seconds=1)


def as_date_words(said: str) -> str:
    """Words of what somebody will do, so that the grammar of dates is sure of their days; as long as they were.

    It reads no date in "by Friday", which may be past, nor in "the report tomorrow", which may be the world's.
    """
    return _TOMORROW.sub(",", _BY_DAY.sub("on ", said))


_BY_DAY: Final = re.compile(r"\bby (?=(?:mon|tues|wednes|thurs|fri|satur|sun)day\b)", re.IGNORECASE)
_TOMORROW: Final = re.compile(r"(?<!er)(?<!\bnew)(?<!\bof)(?<!\bthe)(?<!\ba) (?=tomorrow\b)", re.IGNORECASE)
