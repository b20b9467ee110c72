"""Facts without a language model: rules that read what people say of themselves and of theirs.

Precision before recall: a turn is read only where a person speaks for themselves and means it; what is asked, supposed,
reported, quoted, played or joked states nothing, and what is doubtful stays a turn. Deterministic and without state.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final

from agentmem.extractors import vocabulary as v
from agentmem.extractors.phrases import is_thing, phrase
from agentmem.interfaces import ExtractedFact, ExtractionRequest, Extractor
from agentmem.records import Memory, Polarity

if TYPE_CHECKING:
    from agentmem.extractors.clauses import Clause, Sentence
    from agentmem.extractors.findings import Found
    from agentmem.extractors.phrases import Span
    from agentmem.retrieval.dates import TimeSpan

_LONGEST_VALUE: Final = 80
_LONGEST_DEED: Final = 140
_MOST_FACTS: Final = 12
_TALKS_OF_SELF: Final = re.compile(
    r"\b(?:please|i|i'm|im|i’m|ive|my|our|we|me|here|name|names|don't|stop|keep|use|moved|quit|bought|sold|adopted"
    r"|broke up|turned|got|started|allergic|born|based|living|working|studying|always|never|from now on|in future"
    r"|going forward|by default|again|any ?more|no more|only|forget|answers?|speak"
    r"|avoid|call|be|address|write|home|joined|settled|promoted|diagnosed|turning|turns|last day|is on)\b",
    re.IGNORECASE,
)
_CORRECTED: Final = re.compile(
    r"[\s,;.…—–-]+(?:(?:oh|ah|er|um|uh|well|oops)[\s,.…]+)?(?:no[,.…—–-]+\s*(?!(?:i|we|my|it)\b)|no (?=sorry|wait"
    r"|actually)|(?:sorry|wait|oops|correction|scratch that|i mean|i meant|or rather|make that|actually no|actually"
    r"|rather)[\s,:.…—–-]+)(?:(?:no|sorry|wait|actually|i mean|i meant|make that|it's|it is|its|that's|in|at|to|a|an"
    r"|as)[\s,.…—–-]+){0,4}"
)
"""What takes the words before it back; the right ones follow it."""
_DOUBTED: Final = re.compile(
    r",? (?:or )?well, |[.!…]+ {1,2}no, (?!(?:i|we|my|it|he|she)\b)(?:[\w'-]{1,20} ?){1,3}[.!]"
)
_ANOTHERS: Final = re.compile(
    r"[\s,.!…—–-]+(?:(?:hmm+|oh|ah|er|um|uh|sorry|wait|well|actually|no|hang on|hold on)[\s,.!…—–-]+){1,5}"
    r"(?:that's|that is|that was|it's|it is|i mean|i meant) (?:my|his|her|our) "
)
"""What says that the words before it are true of somebody else."""
_SURELY_CORRECTED: Final = re.compile(r"\b(?:sorry|wait|i mean|i meant|scratch|correction|make that|rather)\b")
_CHANGES: Final = v.words(
    "moved relocated started got bought purchased quit left stopped sold adopted turned broke divorced separated "
    "went married promoted hired laid fired diagnosed retired engaged joined became gone gave lost changed switched "
    "resigned split traded settled become tied dropped passed died put ran"
)
"""Verbs of what happens at a time; a time beside any other says nothing of since when."""


class RuleExtractor(Extractor):
    """Facts by rules: English, no model, no network, thousands of turns a second.

    It reads the turns of role ``user``, and those of role ``assistant`` whose speaker is a named person; of any other
    assistant only what it promises.
    """

    name = "rules"

    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
        return [fact for turn in request.memories for fact in _facts(turn)]


def _facts(turn: Memory) -> list[ExtractedFact]:
    if turn.kind != "turn" or not _TALKS_OF_SELF.search(turn.content, 0, 8000):
        return []
    from agentmem.extractors.gates import is_the_assistants, readable
    from agentmem.extractors.promises import assistants_promises

    if is_the_assistants(turn):
        return list(assistants_promises(turn))
    words = readable(turn)
    if words is None:
        return []
    facts: dict[tuple[str, str, str | None, str, str], ExtractedFact] = {}
    for fact in _read(turn, *words):
        facts.setdefault((fact.subject, fact.attribute, fact.topic, fact.value.casefold(), fact.polarity), fact)
        if len(facts) >= _MOST_FACTS:
            break
    return list(facts.values())


def _read(turn: Memory, text: str, low: str) -> Iterator[ExtractedFact]:
    from agentmem.extractors.about_people import mentions
    from agentmem.extractors.clauses import clauses, read_sentence, sentences
    from agentmem.extractors.findings import polarity_of
    from agentmem.extractors.own_name import KIDDED, goes_by, names_self
    from agentmem.extractors.patterns import SENTENCE_RULES, facts_of
    from agentmem.extractors.promises import reminder
    from agentmem.extractors.wishes import wishes

    if turn.speaker is None and turn.role == "user":
        yield from wishes(turn, text, low)
    plain = text.islower() or not any(map(str.isupper, text))
    for start, end in sentences(text, low):
        if not _TALKS_OF_SELF.search(low, start, end) and not KIDDED.search(low, max(0, start - 60), start):
            continue
        sentence = read_sentence(text, low, start, end, plain=plain)
        if sentence is None:
            continue
        reader = Reader(turn, sentence)
        if turn.speaker is None:
            for found in names_self(sentence):
                yield from reader.fact(found, 0)
            if (asked := reminder(sentence, turn.occurred_at)) is not None:
                yield asked.as_fact(turn)
        for read in SENTENCE_RULES:
            for found in read(sentence):
                yield from reader.fact(found, 0)
        stated: set[str] = set()
        for clause in clauses(sentence):
            polarity = polarity_of(clause)
            for found in facts_of(clause):
                for fact in reader.fact(found, clause.first, clause=clause, polarity=polarity):
                    stated.add(fact.value)
                    yield fact
        for found in goes_by(sentence) if turn.speaker is None else ():
            yield from reader.fact(found, 0)
        for place, found in mentions(sentence):
            yield from (fact for fact in reader.fact(found, place) if fact.value not in stated)


@dataclass(slots=True)
class Reader:
    """Makes facts of what was found in one sentence."""

    turn: Memory
    sentence: Sentence

    def fact(
        self, found: Found, first: int, *, clause: Clause | None = None, polarity: Polarity = "affirmed"
    ) -> Iterator[ExtractedFact]:
        """The fact, cited and dated, unless the words after it take it back."""
        from agentmem.extractors.findings import due_within
        from agentmem.extractors.promises import of_the_assistants

        sentence = self.sentence
        at = found.at
        if at is not None and (at := self._corrected(at)) is None:
            return
        if found.at and at != found.at and found.value and found.value != sentence.said(*found.at):
            return
        value = found.value if found.at == at else ""
        if not value and at is not None:
            value = sentence.said(*at)
        last = max(found.end, at[1] if at else 0)
        begins = due = None
        if found.attribute in ("plan", "commitment"):
            day, value = self._planned(found, first, value)
            if not value or (found.topic == "dated" and day is None):
                return
            begins, due = (day.begins, due_within(day)) if day else (None, None)
        elif clause is not None:
            begins = self.since(clause, last)
        value = " ".join(value.split()).strip(" \"'“”,;:.")
        if found.attribute in _PLEDGES and _YOU.search(value):
            if self.turn.speaker is not None:
                return
            value = of_the_assistants(value)
        longest = _LONGEST_DEED if found.attribute in _DEEDS else _LONGEST_VALUE
        if value in _TOO_LITTLE or len(value) > longest or "\x00" in value or not (value or found.polarity == "ended"):
            return
        start = sentence.starts[min(first, at[0] if at else first)]
        stated = ExtractedFact(
            subject=self._subject(found, clause),
            attribute=found.attribute,
            value=value,
            polarity=found.polarity or polarity,
            derived_from=self.turn.id,
            start=start,
            end=sentence.ends[last - 1],
            topic=None if found.topic == "dated" else found.topic,
            valid_from=begins,
            due=due,
        )
        yield stated
        other = self._instead_of(at) if found.attribute in _NAMED and at is not None else None
        if other is not None:
            end = sentence.ends[other[1] - 1]
            yield replace(stated, value=sentence.said(*other), polarity="denied", end=end)

    def _instead_of(self, at: Span) -> Span | None:
        """The name behind "Leon, not Leo"."""
        from agentmem.extractors.phrases import named

        sentence, place = self.sentence, at[1] + 1
        if sentence.words[at[1] : place] != ["not"] or sentence.breaks[at[1]] not in ("", ","):
            return None
        other, end = named(sentence, place)
        return other if end >= len(sentence.words) or sentence.breaks[end] else None

    def _subject(self, found: Found, clause: Clause | None) -> str:
        speaker = self.turn.speaker
        subject = found.subject
        named = False
        if subject is None and clause is not None and clause.who == "they":
            subject, named = clause.subject, clause.name is not None
        if not subject:
            return speaker or "user"
        # Two people in one conversation may each have a sister.
        return subject if named or speaker is None else f"{speaker}'s {subject}"

    def _corrected(self, at: Span) -> Span | None:
        """Where the value stands after "no, sorry, Porto"; None if it was taken back without another."""
        sentence = self.sentence
        after = sentence.ends[at[1] - 1]
        if _DOUBTED.match(sentence.low, after) or _ANOTHERS.match(sentence.low, after):
            return None
        match = _CORRECTED.match(sentence.low, sentence.ends[at[1] - 1])
        if match is None:
            return at
        if match.end() >= sentence.end:
            return at if not _SURELY_CORRECTED.search(match[0]) else None
        place = next((n for n, start in enumerate(sentence.starts) if start >= match.end()), 0)
        right = phrase(sentence, place) if place else None
        is_like = right is not None and (
            sentence.words[right[0]].isdigit() == sentence.words[at[0]].isdigit()
            and (sentence.words[right[0]].isdigit() or is_thing(sentence, right))
        )
        capital = sentence.text[match.end()]
        if match[0].strip(" ,") == "actually" and not (is_like and (capital.isupper() or capital.isdigit())):
            return at
        longer = 0 if sentence.words[at[0]].isdigit() else 2
        if right is None or not is_like or right[1] - right[0] > at[1] - at[0] + longer:
            return None
        if longer == 0 and right[1] - right[0] < at[1] - at[0]:
            return None
        return right

    def _planned(self, found: Found, first: int, value: str) -> tuple[TimeSpan | None, str]:
        """The day to come that a plan is for, and the plan without the words for it."""
        assert found.at is not None
        sentence = self.sentence
        spans = self._times_to_come(sentence.starts[found.at[0]], sentence.end)
        if not spans and sentence.breaks[first]:
            spans = self._times_to_come(sentence.start, sentence.starts[first])
            return (spans[0] if len(spans) == 1 and spans[0].tense == "future" else None), value
        # Who will do it "today" owes it; other plans for today are mostly what somebody is doing.
        to_come = ("future", "present") if found.attribute == "commitment" else ("future",)
        if len(spans) != 1 or spans[0].tense not in to_come:
            return None, _BY_A_DAY.sub("", value)
        end = sentence.ends[found.at[1] - 1]
        if spans[0].start < end:
            said = sentence.text[spans[0].start : end]
            cut = value.rfind(said)
            before = _DATE_LEADS.sub("", value[:cut]) if cut > 0 else ""
            if " " in before:
                value = before
            elif spans[0].end >= end - 1:
                value = ""
        elif spans[0].start - end > 12:
            return None, value
        return spans[0], value

    def _times_to_come(self, after: int, until: int) -> list[TimeSpan]:
        """The times named behind a place; "by Friday", said of what will be done, is the Friday to come."""
        from agentmem.extractors.findings import as_date_words
        from agentmem.retrieval.dates import time_spans

        said = as_date_words(self.sentence.text[after:until])
        spans = time_spans(_FUTURE + said, said_at=self.turn.occurred_at)
        if not spans and (day := _BARE_DAY.search(said)):
            month = self._month_of(int(day[1]))
            spans = time_spans(f"{_FUTURE}{said[: day.start()]}on {day[1]} {month}", said_at=self.turn.occurred_at)
            spans = [replace(span, end=len(_FUTURE) + day.end()) for span in spans if month]
        return [
            replace(span, start=span.start + after - len(_FUTURE), end=span.end + after - len(_FUTURE))
            for span in spans
        ]

    def _month_of(self, day: int) -> str:
        """The next month, with its year, that has such a day to come; blank if there is none soon."""
        today = self.turn.occurred_at.date()
        for ahead in range(3):
            year, month = today.year + (today.month - 1 + ahead) // 12, (today.month - 1 + ahead) % 12 + 1
            if day <= monthrange(year, month)[1] and date(year, month, day) >= today:
                return f"{v.MONTH_NAMES[month - 1]} {year}"
        return ""

    def since(self, clause: Clause, last: int) -> datetime | None:
        """Since when, if one time stands right beside a clause that tells of a change, or behind "since"."""
        from agentmem.retrieval.dates import time_spans

        sentence = self.sentence
        spans = self._times()
        begins, end = sentence.starts[clause.first], sentence.ends[last - 1]
        if not spans and (since := _SINCE_WHEN.search(sentence.low, sentence.start, sentence.end)):
            if end <= since.start() <= end + 12 or since.end() <= begins:
                spans = time_spans(f"I was there in {since[1].capitalize()}", said_at=self.turn.occurred_at)
            return spans[0].begins if spans else None
        if len(spans) != 1 or spans[0].tense == "future":
            return None
        span = spans[0]
        before = sentence.low[max(span.start - 8, sentence.start) : span.start]
        if re.search(r"\bsince (?:the )?$", before) or sentence.low.startswith("since ", span.start):
            return span.begins if end <= span.start <= end + 12 or span.end <= begins else None
        words = sentence.words[clause.first : last]
        near = end - 1 <= span.start <= end + 14 or begins - 3 <= span.end <= begins or begins <= span.start < end
        return self._surely_since(span) if near and not _CHANGES.isdisjoint(words) else None

    def _surely_since(self, span: TimeSpan) -> datetime:
        """The last moment at which what changed within a span may have been otherwise, as far as its teller can know.

        What was said within the span of how things stood is older news than the change.
        """
        return max(span.begins, min(span.ends - _INSTANT, self.turn.occurred_at))

    def _times(self) -> list[TimeSpan]:
        from agentmem.retrieval.dates import time_spans

        start = self.sentence.start
        said = self.sentence.text[start : self.sentence.end]
        return [
            replace(span, start=span.start + start, end=span.end + start)
            for span in time_spans(said, said_at=self.turn.occurred_at)
        ]


_BY_A_DAY: Final = re.compile(r" (?:by|on) (?:mon|tues|wednes|thurs|fri|satur|sun)day$", re.IGNORECASE)
_SINCE_WHEN: Final = re.compile(rf"\bsince ({'|'.join(v.MONTHS)})\b(?! \d)")
_INSTANT: Final = timedelta(microseconds=1)
_NAMED: Final = frozenset({"family", "partner", "pet"})
_BARE_DAY: Final = re.compile(
    r"\bon the ([1-9]\d?)(?:st|nd|rd|th)\b(?! (?:of|floor|time|try|day|street|avenue|row|page|and))"
)
_FUTURE: Final = "I will "
"""Tells the grammar of dates which of two Septembers is meant."""
_TOO_LITTLE: Final = v.words("come do have be get go")
_PLEDGES: Final = frozenset({"plan", "commitment"})
_YOU: Final = re.compile(r"\byou\b", re.IGNORECASE)
_DEEDS: Final = frozenset({"plan", "commitment", "instruction"})
_DATE_LEADS: Final = re.compile(
    r"(?:[\s,]+(?:on|in|at|by|for|this|next|early|late|the|around|before|until|of|sometime|later|from|between|during"
    r"|over|starting|through|and))*[\s,]*$"
)
