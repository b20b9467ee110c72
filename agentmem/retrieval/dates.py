"""Dates in words: which phrases of a text name a time, and which time that is, seen from when it was said.

A grammar of English phrases behind a cheap gate, precise before complete. What can be read in two ways is widened
until both readings fit ("next Friday", said on a Wednesday) or left alone ("03/04"; "on Friday" without a tense).
Weeks begin on Monday, seasons are those of the northern hemisphere, a part of a day is the whole day, and days are
those of ``said_at``'s own time zone.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Final, Literal, NamedTuple

from agentmem.retrieval import datewords as words

Unit = Literal["minute", "day", "week", "month", "season", "year", "decade"]
Tense = Literal["past", "present", "future"]


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """A phrase of a text and the time it names.

    Args:
        start: First character of the phrase.
        end: One past its last character.
        begins: Aware UTC; the time named is [begins, ends).
        ends: Aware UTC, later than ``begins``.
        unit: How exact the phrase is; a weekend, and a day that may be one of two, are a "week".
        tense: Where the time lies from ``said_at``; the present contains it.
    """

    start: int
    end: int
    begins: datetime
    ends: datetime
    unit: Unit
    tense: Tense


def time_spans(text: str, *, said_at: datetime) -> list[TimeSpan]:
    """The times that a text names, in the order said; the phrases do not overlap.

    Args:
        said_at: When the text was said ("yesterday" is the day before that); aware, or else taken as UTC.

    Returns:
        Empty for most texts. What is impossible (30 February) or outside the years 1 to 9999 is left out.
    """
    low = _lowered(text)
    if words.GATE.search(low) is None:
        return []
    said = _Said(text, low.replace("’", "'"), said_at if said_at.tzinfo else said_at.replace(tzinfo=UTC))
    spans = (_span(match, said) for match in words.ANY_PHRASE.finditer(said.low))
    return [span for span in spans if span is not None]


class _Time(NamedTuple):
    """A named time in the zone of whoever said it."""

    begins: datetime
    ends: datetime
    unit: Unit


@dataclass(frozen=True, slots=True)
class _Said:
    """A text, the same in lower case (character for character), and when it was said."""

    text: str
    low: str
    at: datetime

    @property
    def day(self) -> date:
        return self.at.date()

    def before(self, place: int) -> str:
        """The last word before a place, if only space lies between; or empty."""
        found = words.WORD_BEFORE.search(self.low[max(0, place - 24) : place])
        return found[1] if found else ""

    def sentence(self, match: re.Match[str]) -> tuple[str, str]:
        """What is said before and after a phrase within its sentence, at most 200 characters each."""
        start, end = match.span()
        before, after = self.low[max(0, start - 200) : start], self.low[end : end + 200]
        return words.SENTENCE_END.split(before)[-1], words.SENTENCE_END.split(after, maxsplit=1)[0]

    def around(self, match: re.Match[str]) -> str:
        return " … ".join(self.sentence(match))

    def begins_with_capital(self, match: re.Match[str], group: str) -> bool:
        return self.text[match.start(group)].isupper()

    def is_quoted(self, match: re.Match[str]) -> bool:
        """True if quotation marks enclose just this phrase: the song "Yesterday"."""
        around = self.low[max(0, match.start() - 1) : match.start()] + self.low[match.end() : match.end() + 1]
        return len(around) == 2 and all(mark in _QUOTES for mark in around)

    def stands_alone(self, end: int) -> bool:
        """False if what follows may be counted or named by a number: "2019 dollars"; "in 2019 we" stands alone."""
        return (
            words.STANDS_ALONE.match(self.low, end) is not None or words.CAPITALIZED.match(self.text, end) is not None
        )


def _lowered(text: str) -> str:
    """The text in lower case, character for character (a few letters have two in lower case)."""
    low = text.lower()
    return low if len(low) == len(text) else text.translate(_ASCII_LOWER)


def _span(match: re.Match[str], said: _Said) -> TimeSpan | None:
    name = str(match.lastgroup)
    phrase = words.PHRASES[name].match(said.low, match.start())
    try:
        if phrase is None or (named := _RESOLVE[name](phrase, said)) is None:
            return None
        named, start, end = _with_clock(named, phrase, said)
        begins, ends = named.begins.astimezone(UTC), named.ends.astimezone(UTC)
    except (ValueError, OverflowError):  # 30 February; two years ago, said in year 1
        return None
    if begins >= ends:  # a day that its zone skipped
        return None
    tense: Tense = "past" if ends <= said.at else "future" if begins > said.at else "present"
    return TimeSpan(start, end, begins, ends, named.unit, tense)


def _with_clock(named: _Time, phrase: re.Match[str], said: _Said) -> tuple[_Time, int, int]:
    """A day narrowed to a minute if a time of day stands just after it or just before it; and the longer phrase."""
    start, end = phrase.span()
    if named.unit != "day" or named.ends - named.begins != timedelta(days=1):
        return named, start, end
    clock = words.CLOCK_AFTER.match(said.low, end) or words.CLOCK_BEFORE.search(said.low, max(0, start - 20), start)
    if clock is None or (clock["half"] == "a" and phrase[0].endswith("night")):
        return named, start, end
    hour, minute, half = int(clock["hour"]), int(clock["minute"] or 0), clock["half"]
    if half:
        hour = hour % 12 + 12 * (half == "p")
    begins = named.begins.replace(hour=hour, minute=minute)
    return _Time(begins, begins + timedelta(minutes=1), "minute"), min(start, clock.start()), max(end, clock.end())


# --- written dates --------------------------------------------------------------------------------


def _iso_date(match: re.Match[str], said: _Said) -> _Time | None:
    if match["one"] != match["other"]:
        return None
    day = _days(said, date(int(match["year"]), int(match["month"]), int(match["day"])))
    if match["hour"] is None:
        return day
    begins = day.begins.replace(hour=int(match["hour"]), minute=int(match["minute"]))
    if match["zone"]:
        begins = begins.replace(tzinfo=_zone(match["zone"]))
    return _Time(begins, begins + timedelta(minutes=1), "minute")


def _zone(offset: str) -> timezone:
    if offset == "z":
        return UTC
    east = timedelta(hours=int(offset[1:3]), minutes=int(offset[-2:]))
    return timezone(-east if offset[0] == "-" else east)


def _numeric_date(match: re.Match[str], said: _Said) -> _Time | None:
    """Day and month in either order, if only one order makes a date."""
    first, second = int(match["first"]), int(match["second"])
    if match["one"] != match["other"] or (first <= 12 and second <= 12 and first != second):
        return None
    day, month = (first, second) if first > 12 else (second, first)
    return _days(said, date(int(match["year"]), month, day))


def _day_of_month(match: re.Match[str], said: _Said) -> _Time | None:
    first, last = int(match["day"]), int(match["last"] or match["day"])
    year = _year_said(match, said)
    if last < first or (year is None and not match["ordinal"] and not _is_month_name(match, said)):
        return None
    month = _month_number(match["month"])
    weekday = words.WEEKDAYS.index(match["weekday"]) if match["weekday"] else None
    day = date(year, month, first) if year else _day_without_year(match, said, month, first, weekday)
    if day is None or weekday not in (None, day.weekday()):
        return None
    return _days(said, day, (day.replace(day=last) - day).days + 1)


def _day_without_year(match: re.Match[str], said: _Said, month: int, day: int, weekday: int | None) -> date | None:
    """The one that fits the weekday said with it; else the nearest, on the side of the tense if there is one."""
    around = said.around(match)
    if words.ANY_YEAR.search(around) or words.RECURRING.search(around):
        return None
    years = [said.day.year + step for step in (-1, 0, 1)]
    days = [date(year, month, day) for year in years if (month, day) != (2, 29) or _is_leap(year)]
    if weekday is not None:
        days = [each for each in days if each.weekday() == weekday]
        return days[0] if len(days) == 1 else None
    match _tense(match, said):
        case "past":
            return max((each for each in days if each <= said.day), default=None)
        case "future":
            return min((each for each in days if each >= said.day), default=None)
        case _:
            near = [each for each in days if abs((each - said.day).days) <= 120]
            return near[0] if near else None


def _is_leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _is_month_name(match: re.Match[str], said: _Said) -> bool:
    """False for "7 may come", "March 15 miles" and "APR 10%": a name that may be another word needs a sign."""
    name = match["month"]
    written = said.text[match.start("month") : match.end("month")]
    if name in ("may", "march"):
        is_led = said.before(match.start()) in words.LEADS_TO_DAY
        return written[0].isupper() and (is_led or said.stands_alone(match.end()))
    return len(name) > 3 or (written[0].isupper() and written[1:].islower())


def _month_of_year(match: re.Match[str], said: _Said) -> _Time | None:
    year = _year_said(match, said)
    if year is not None:
        return _months(said, year, _month_number(match["month"])) if said.stands_alone(match.end()) else None
    if (
        match["month"] not in words.MONTHS
        or said.before(match.start()) not in ("in", "since", "during")
        or words.MONTH_NOT_ALONE.match(said.low, match.end())
    ):
        return None
    if match["month"] in ("may", "march", "august") and not said.begins_with_capital(match, "month"):
        return None
    return _by_tense(match, said, _around(said, match["month"]))


def _season_of_year(match: re.Match[str], said: _Said) -> _Time | None:
    year = _year_said(match, said)
    if year is None or not said.stands_alone(match.end()):
        return None
    if match["season"] == "winter":  # nobody says which of its two winters
        return _months(said, year - 1, 12, 15, "year")
    return _months(said, year, words.SEASONS[match["season"]], 3, "season")


def _year_said(match: re.Match[str], said: _Said) -> int | None:
    if match["year"]:
        return int(match["year"])
    return said.day.year + words.STEPS[match["which"]] if match["which"] else None


def _decade(match: re.Match[str], said: _Said) -> _Time | None:
    if match["full"]:
        year = int(match["full"])
        return _months(said, year, 1, 120, "decade") if year > 1900 else None
    if match["the"] is None or words.MEASURES.search(said.around(match)):
        return None
    year = words.DECADES.get(match["short"]) or 1900 + int(match["short"][:2])
    return _months(said, year, 1, 120, "decade")


def _year(match: re.Match[str], said: _Said) -> _Time | None:
    return _months(said, int(match["year"]), 1, 12, "year") if _is_year(match, said) else None


def _is_year(match: re.Match[str], said: _Said) -> bool:
    year, end = int(match["year"]), match.end()
    before, after = said.sentence(match)
    is_modern = 1900 < year < 2100
    if is_modern and not before.strip() and (words.YEAR_AS_SUBJECT.match(after) or said.low.strip(" .!\n") == match[0]):
        return year % 100 != 0
    if not said.stands_alone(end) or (year in words.TITLES and words.FICTION.search(f"{before} {after}")):
        return False
    if match["part"]:
        return is_modern
    return (words.YEAR_CUE if is_modern else words.OLD_YEAR_CUE).search(before) is not None


# --- times seen from now --------------------------------------------------------------------------


def _named_day(match: re.Match[str], said: _Said) -> _Time | None:
    day = match["day"]
    if match["beyond"]:
        return _days(said, said.day + timedelta(days=-2 if day == "yesterday" else 2))
    idiom = words.NOT_THAT_DAY.get(day)
    if (idiom and idiom.search(said.sentence(match)[0])) or words.NOT_A_DAY.match(said.low, match.end()):
        return None
    if said.is_quoted(match):
        return None
    return _days(said, said.day + timedelta(days={"yesterday": -1, "last night": -1, "tomorrow": 1}.get(day, 0)))


def _relative(match: re.Match[str], said: _Said) -> _Time | None:
    which, name = match["which"], match["name"]
    if which in words.STEPS and _is_owned(said.before(match.start())):  # "the last week", "Ana's last year"
        return None
    if name in ("may", "march", "august") and not said.begins_with_capital(match, "name"):
        return None
    if name in ("fall", "spring") and which == "this" and _is_verb(match, said):
        return None
    if name in ("week", "month", "year"):
        return _stepped(said, words.STEPS[which.split()[-1]], name)
    before, current, after = times = _around(said, name)
    match which.split()[-1]:
        case "last" | "past":
            return before
        case "coming":
            return after
        case "next":
            return after if current or not _is_disputed(after, said, name) else _either(after, name)
        case _ if current:
            return current
    return _by_tense(match, said, times) or (after if name in _WEEKLY else _nearer(said, before, after))


def _is_owned(before: str) -> bool:
    return before in words.DETERMINERS or (before.endswith("'s") and before not in ("it's", "that's", "here's"))


def _is_verb(match: re.Match[str], said: _Said) -> bool:
    """True for "let this fall apart" and "does this spring to mind"."""
    return said.before(match.start()) in words.VERB_BEFORE or words.FALLS.match(said.low, match.end()) is not None


def _is_disputed(after: _Time, said: _Said, name: str) -> bool:
    """True if some would say "this": the next Friday is in this week already, the next May in this year."""
    if name in _WEEKLY:
        return after.begins.date().isocalendar()[:2] == said.day.isocalendar()[:2]
    return after.begins.year == said.day.year


def _either(first: _Time, name: str) -> _Time:
    """From a time to the end of the same a week or a year later."""
    if name in _WEEKLY:
        return _Time(first.begins, first.ends + timedelta(days=7), "week")
    return _Time(first.begins, first.ends.replace(year=first.ends.year + 1), "year")


def _nearer(said: _Said, before: _Time, after: _Time) -> _Time:
    return before if said.at - before.ends < after.begins - said.at else after


def _counted(match: re.Match[str], said: _Said) -> _Time | None:
    """Two weeks ago, two weeks from now, in two weeks."""
    before = said.before(match.start())
    if before in words.INEXACT:
        return None
    count, unit = words.NUMBERS.get(match["count"]) or int(match["count"]), match["unit"]
    if match["side"] == "ago":
        return _stepped(said, -count, unit)
    if match["side"]:
        return _stepped(said, count, unit)
    if (
        before != "in"
        or words.REPEATED.search(said.low[max(0, match.start() - 40) : match.start()])
        or words.NOT_A_POINT.match(said.low, match.end())
    ):
        return None
    return _stepped(said, count, unit) if _tense(match, said) == "future" else None


def _stepped(said: _Said, step: int, unit: str) -> _Time | None:
    """The unit that lies so many units from now; of hours, the day."""
    match unit:
        case "minute":
            begins = said.at.replace(second=0, microsecond=0) + timedelta(minutes=step)
            return _Time(begins, begins + timedelta(minutes=1), "minute")
        case "hour":
            return _days(said, (said.at + timedelta(hours=step)).date())
        case "day":
            return _days(said, said.day + timedelta(days=step))
        case "week":
            return _days(said, said.day + timedelta(days=7 * step - said.day.weekday()), 7, "week")
        case "weekend":
            before, _, after = _around(said, "weekend")
            first, step = (before, step + 1) if step < 0 else (after, step - 1)
            return _days(said, first.begins.date() + timedelta(days=7 * step), 2, "week")
        case "month":
            return _months(said, said.day.year, said.day.month + step)
        case "year":
            return _months(said, said.day.year + step, 1, 12, "year")
    return _months(said, said.day.year + 10 * step - 5, 1, 120, "decade")


def _weekday(match: re.Match[str], said: _Said) -> _Time | None:
    if said.before(match.start()) != "on" or words.WEEKDAY_NOT_ALONE.match(said.low, match.end()):
        return None
    return _by_tense(match, said, _around(said, match["name"]))


def _by_tense(match: re.Match[str], said: _Said, times: tuple[_Time, _Time | None, _Time]) -> _Time | None:
    """The last before or the first after, as the sentence's tense has it; none if one of them is going on."""
    before, current, after = times
    around = said.around(match)
    if current or words.ANY_YEAR.search(around) or words.RECURRING.search(around):
        return None
    return {"past": before, "future": after}.get(_tense(match, said) or "")


def _tense(match: re.Match[str], said: _Said) -> Literal["past", "future"] | None:
    """The tense of the clause around a phrase if its verbs leave no doubt; if it has no verb, of the sentence."""
    before, after = said.sentence(match)
    clause = f"{words.CLAUSE_END.split(before)[-1]} … {words.CLAUSE_END.split(after, maxsplit=1)[0]}"
    found = _tenses(clause)
    if not found and not words.PRESENT.search(clause):
        found = _tenses(f"{before} … {after}")
    if found == {"past"}:
        return "past"
    return "future" if found == {"future"} else None


def _tenses(text: str) -> set[str | None]:
    return {match.lastgroup for match in words.TENSE.finditer(text)} - {None}


# --- calendar -------------------------------------------------------------------------------------


def _days(said: _Said, first: date, count: int = 1, unit: Unit = "day") -> _Time:
    return _Time(_midnight(said, first), _midnight(said, first + timedelta(days=count)), unit)


def _months(said: _Said, year: int, month: int, count: int = 1, unit: Unit = "month") -> _Time:
    """Months counted from a year's January = 1, which 0 and 13 lie beside."""
    place = year * 12 + month - 1
    begins, ends = (_midnight(said, date(each // 12, each % 12 + 1, 1)) for each in (place, place + count))
    return _Time(begins, ends, unit)


def _midnight(said: _Said, day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=said.at.tzinfo)


def _around(said: _Said, name: str) -> tuple[_Time, _Time | None, _Time]:
    """Of a weekday, weekend, month or season: the last that is over, the one going on, the first still to begin."""
    times = [_in_cycle(said, name, step) for step in (-2, -1, 0, 1)]
    current = next((each for each in times if each.begins <= said.at < each.ends), None)
    over = [each for each in times if each.ends <= said.at]
    return over[-1], current, times[times.index(current or over[-1]) + 1]


def _in_cycle(said: _Said, name: str, step: int) -> _Time:
    """The weekday or weekend so many weeks from this one, the month or season so many years from this one."""
    if name in _WEEKLY:
        monday = said.day - timedelta(days=said.day.weekday())
        place, count, unit = _WEEKLY[name]
        return _days(said, monday + timedelta(days=7 * step + place), count, unit)
    if name in words.SEASONS:
        return _months(said, said.day.year + step, words.SEASONS[name], 3, "season")
    return _months(said, said.day.year + step, _month_number(name))


def _month_number(name: str) -> int:
    return _MONTH_NUMBERS[name[:3]]


_WEEKLY: Final[dict[str, tuple[int, int, Unit]]] = {
    **{name: (place, 1, "day") for place, name in enumerate(words.WEEKDAYS)},
    "weekend": (5, 2, "week"),
}
"""What comes back every week: its place from Monday, its days, its unit."""
_MONTH_NUMBERS: Final = {name[:3]: number for number, name in enumerate(words.MONTHS, start=1)}
_QUOTES: Final = "\"'“”‘’«»*_`"
_ASCII_LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
_RESOLVE: Final[dict[str, Callable[[re.Match[str], _Said], _Time | None]]] = {
    "iso": _iso_date,
    "numeric": _numeric_date,
    "day_month": _day_of_month,
    "month_day": _day_of_month,
    "month": _month_of_year,
    "season": _season_of_year,
    "decade": _decade,
    "year": _year,
    "named_day": _named_day,
    "relative": _relative,
    "counted": _counted,
    "weekday": _weekday,
}
