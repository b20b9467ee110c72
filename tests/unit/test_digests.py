"""What weeks and topics are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from agentmem.lifecycle.digests import topics_in, week_of, weeks_in
from agentmem.records import Memory
from agentmem.testing.fakes import memory

MONDAY = datetime(2026, 3, 30, tzinfo=UTC)


def said(*texts: str, speaker: str | None = "Melanie") -> list[Memory]:
    return [
        memory(text, id=f"t{place}", speaker=speaker, position=place, occurred_at=MONDAY + timedelta(days=4 * place))
        for place, text in enumerate(texts)
    ]


def topics(*texts: str) -> dict[str, list[str]]:
    return {name: [turn.id for turn in turns] for name, turns in topics_in(said(*texts)).items()}


def test_a_name_counts_where_it_begins_a_sentence_too_once_it_is_known() -> None:
    assert topics("My dog Max ran.", "Max barked.", "Then Max slept, and so did I.", "Harry Potter is on.") == {
        "Max": ["t0", "t1", "t2"]
    }


def test_what_is_written_small_as_often_is_no_name() -> None:
    assert topics("Well, It was. So it is.", "It rains, It pours, and it snows.", "It is late, as it was.") == {}


def test_speakers_months_days_and_i_are_no_topics() -> None:
    assert topics(*["Then Mel and Melanie came in May, on Friday, and I saw."] * 3) == {}


def test_titles_and_what_the_user_is_called_are_no_topics() -> None:
    turns = [
        memory(content, id=str(number), role=role)
        for number in range(3)
        for role, content in (
            ("user", "I'm Elena Reyes, so call me Dr. Reyes, not Dr. Elena. We met Dr. Moura in Porto."),
            ("assistant", "Sure thing, Dr. Reyes! Elena Reyes and Moura it is."),
        )
    ]
    turns = [replace(turn, id=f"t{place}") for place, turn in enumerate(turns)]
    assert set(topics_in(turns)) == {"Moura", "Porto"}


def test_a_name_in_a_letter_that_was_pasted_is_not_the_users() -> None:
    letter = "Please summarize this e-mail:\n\nMy name is Peter and I live in Vienna with Peter."
    turns = [memory(letter, id=f"t{number}") for number in range(3)]
    assert "Peter" in topics_in(turns)


def test_two_turns_are_no_topic_and_ten_topics_are_enough() -> None:
    assert topics(*["We saw Oslo."] * 2) == {}
    names = [f"Name{letter}" for letter in "abcdefghijkl"]
    many = topics_in(said(*[", then ".join(f"to {name}" for name in names)] * 3))
    assert list(many) == names[:10]


def test_a_week_is_that_of_iso_8601_in_utc() -> None:
    assert week_of(datetime(2027, 1, 3, 23, tzinfo=UTC)) == "2026-W53"
    assert week_of(datetime.fromisoformat("2026-03-30T01:00:00+02:00")) == "2026-W13"


def test_lines_belong_to_the_week_of_what_they_cite_and_turns_in_no_summary_stand_for_themselves() -> None:
    turns = said("One.", "Two.", "Three.", "Four.")
    summary = memory(
        "Melanie: One.\nMelanie: Three.",
        id="s",
        kind="summary",
        derived_from=("t0", "t1", "t2"),
        metadata={"lines": [["t0"], ["t2"]]},
    )
    weeks = weeks_in(turns, [summary])
    assert {week: [piece.memory.content for piece in pieces] for week, pieces in weeks.items()} == {
        "2026-W14": ["One."],
        "2026-W15": ["Three.", "Four."],
    }
    assert [(piece.cites, piece.source.id) for piece in weeks["2026-W15"]] == [(("t2",), "s"), (("t3",), "t3")]
