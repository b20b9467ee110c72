"""Time in words: the words of a day, does a question ask when, which days does it write in digits.

English, and as far as a table of words reaches the other languages of ``languages``.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

# Not strftime: that speaks the machine's language.
_MONTHS: Final = {
    "english": "january february march april may june july august september october november december",
    "german": "januar februar märz april mai juni juli august september oktober november dezember",
    "french": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "spanish": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
    "italian": "gennaio febbraio marzo aprile maggio giugno luglio agosto settembre ottobre novembre dicembre",
    "portuguese": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro dezembro",
    "dutch": "januari februari maart april mei juni juli augustus september oktober november december",
}
_WEEKDAYS: Final = {
    "english": "monday tuesday wednesday thursday friday saturday sunday",
    "german": "montag dienstag mittwoch donnerstag freitag samstag sonntag",
    "french": "lundi mardi mercredi jeudi vendredi samedi dimanche",
    "spanish": "lunes martes miércoles jueves viernes sábado domingo",
    "italian": "lunedì martedì mercoledì giovedì venerdì sabato domenica",
    "portuguese": "segunda-feira terça-feira quarta-feira quinta-feira sexta-feira sábado domingo",
    "dutch": "maandag dinsdag woensdag donderdag vrijdag zaterdag zondag",
}
_YEARS: Final = "2019 2020 2021 2022 2023 2024 2025 2026 2027"
TIME_WORDS: Final = {
    "english": (
        "yesterday today tonight tomorrow ago recently lately week weekend month year morning evening summer winter "
        "spring autumn monday tuesday wednesday thursday friday saturday sunday january february april june july "
        f"august september october november december {_YEARS}"
    ),
    **{
        language: f"{words} {_MONTHS[language]} {_WEEKDAYS[language]} {_YEARS}"
        for language, words in {
            "german": "gestern heute morgen vorgestern übermorgen woche wochenende monat jahr sommer winter herbst",
            "french": "hier demain aujourd'hui semaine week-end mois année soir matin été hiver printemps automne",
            "spanish": "ayer hoy mañana anoche semana mes año verano invierno primavera otoño",
            "italian": "ieri oggi domani stasera settimana mese anno estate inverno primavera autunno",
            "portuguese": "ontem hoje amanhã semana mês ano verão inverno primavera outono",
            "dutch": "gisteren vandaag morgen week weekend maand jaar zomer winter herfst lente",
        }.items()
    },
}
"""Words that tell a time wherever they stand; of English not "may" or "march", which do other work as well."""
_ASKS_WHEN: Final = re.compile(
    r"^\W*(?:(?:and|so|but|since|until|by|from)\s+)*when\b|\b(?:what|which)\s+(?:date|day|month|year|time|season|week)\b"
    r"|\bhow\s+(?:long|recently|many\s+(?:days|weeks|months|years))\b"
    r"|^\W*(?:(?:und|et|y|e|en|seit|bis|ab|depuis|jusqu'à|desde|hasta|da|até|sinds|tot)\s+)*"
    r"(?:wann|quand|cu[áa]ndo|quando|wanneer)\b"
    r"|\b(?:an welchem (?:tag|datum)|quel jour|quelle date|à quelle date|qué día|che giorno|que dia|welke dag)\b",
    re.IGNORECASE,
)
_DIGITS: Final = re.compile(r"(?<!\d)(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")


def date_words(day: date, language: str = "english") -> str:
    """The words a day is searched by: ``7 may 2023 sunday``."""
    month, weekday = _MONTHS[language].split()[day.month - 1], _WEEKDAYS[language].split()[day.weekday()]
    return f"{day.day} {month} {day.year} {weekday}"


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
