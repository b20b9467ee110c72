"""Time in words: the words of a day, does a question ask when, which days does it write in digits."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

# Not strftime: that speaks the machine's language.
_MONTHS: Final = "january february march april may june july august september october november december"
_WEEKDAYS: Final = "monday tuesday wednesday thursday friday saturday sunday"
TIME_WORDS: Final = (
    "yesterday today tonight tomorrow ago recently lately week weekend month year morning evening summer winter spring "
    "autumn monday tuesday wednesday thursday friday saturday sunday january february april june july august "
    "september october november december 2019 2020 2021 2022 2023 2024 2025 2026 2027"
)
"""Words that tell a time wherever they stand; not "may" or "march", which do other work as well."""
_ASKS_WHEN: Final = re.compile(
    r"^\W*(?:(?:and|so|but|since|until|by|from)\s+)*when\b|\b(?:what|which)\s+(?:date|day|month|year|time|season|week)\b"
    r"|\bhow\s+(?:long|recently|many\s+(?:days|weeks|months|years))\b",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")


def date_words(day: date) -> str:
    """The words a day is searched by: ``7 may 2023 sunday``."""
    return f"{day.day} {_MONTHS.split()[day.month - 1]} {day.year} {_WEEKDAYS.split()[day.weekday()]}"


def asks_when(query: str) -> bool:
    """True if the answer is a time: "when did", "what day", "how long"; not "what did he do when"."""
    return _ASKS_WHEN.search(query) is not None


def written_days(query: str) -> str:
    """The words of the days that the query writes in digits (2023-05-07), empty if there are none."""
    days = []
    for year, month, day in _DIGITS.findall(query):
        try:
            days.append(date_words(date(int(year), int(month), int(day))))
        except ValueError:  # 2023-13-40 is a number, not a day
            continue
    return " ".join(days)
