"""What a language model answers is believed only as far as the turns say it."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from agentmem.extractors.answers import Piece, Reading, UnusableAnswer, answer_schema, find_quote, read_answer
from agentmem.extractors.attributes import ATTRIBUTES
from agentmem.interfaces import Completion, ExtractedFact
from agentmem.testing import memory
from agentmem.testing.fakes import A_MONDAY

FENCE = "0f" * 16
TURNS = [
    memory("Hi! I moved to  Lisbon\nlast week, and my sister Clara stays in Porto.", id="move"),
    memory(
        "I don’t eat meat. I quit my job on Friday. We have two sons. My party is in May.", id="life", speaker="Mel"
    ),
]
PIECES = [Piece(turn, turn.content) for turn in TURNS]
HOME = {
    "turn": 1,
    "quote": "I moved to Lisbon last week",
    "subject": "user",
    "attribute": "home",
    "topic": None,
    "value": "Lisbon",
    "polarity": "affirmed",
    "valid_from": "2025-12-29",
    "valid_to": None,
}
MEAT = HOME | {
    "turn": 2,
    "quote": "I don't eat meat",
    "subject": "Mel",
    "attribute": "likes",
    "value": "meat",
    "polarity": "denied",
    "valid_from": None,
}


def answer(*items: Any) -> str:
    return json.dumps({"facts": list(items)})


def read(text: str, finish_reason: str = "stop") -> Reading:
    return read_answer(Completion(text, finish_reason), PIECES, fence=FENCE)


def facts(text: str) -> list[ExtractedFact]:
    return [fact for _, fact in read(text).facts]


def outcomes(*items: Any) -> Counter[str]:
    return read(answer(*items)).outcomes


def read_of(text: str, **item: Any) -> Reading:
    """What is read from a turn of these words, all quoted, said on Monday, 5 January 2026."""
    given = HOME | {"quote": text, "valid_from": None} | item
    return read_answer(Completion(answer(given), "stop"), [Piece(memory(text), text)], fence=FENCE)


# --- the answer -----------------------------------------------------------------------------------


def test_a_good_answer_gives_facts_that_cite_their_words() -> None:
    home, meat = facts(answer(HOME, MEAT))
    assert (home.subject, home.attribute, home.value, home.polarity) == ("user", "home", "Lisbon", "affirmed")
    assert TURNS[0].content[home.start : home.end] == "I moved to  Lisbon\nlast week"
    assert (home.derived_from, home.valid_from, home.valid_to) == ("move", datetime(2025, 12, 29, tzinfo=UTC), None)
    assert TURNS[1].content[meat.start : meat.end] == "I don’t eat meat"
    assert (meat.subject, meat.polarity, meat.derived_from) == ("Mel", "denied", "life")


def test_nothing_found_is_an_answer() -> None:
    assert read('{"facts": []}') == Reading([], Counter())


@pytest.mark.parametrize(
    "wrapped",
    [
        "```json\n{}\n```",
        "Here are the facts:\n```\n{}\n```\nAnything else?",
        "Of course. {} I hope that helps.",
        '<think>Perhaps {"facts": []}? No.</think>\n{}',
    ],
)
def test_an_answer_in_prose_or_a_code_block_is_found(wrapped: str) -> None:
    assert len(facts(wrapped.replace("{}", answer(HOME)))) == 1


def test_a_bare_list_is_taken_for_the_list_it_is() -> None:
    assert len(facts(json.dumps([HOME]))) == 1


@pytest.mark.parametrize(
    ("text", "finish_reason", "reason"),
    [
        ("", "stop", "empty"),
        (" \n", "stop", "empty"),
        ("", "length", "truncated"),
        (answer(HOME)[:-30], "length", "truncated"),
        (answer(HOME)[:-30], "stop", "malformed"),
        (answer(HOME), "content_filter", "refused"),
        ("I can't help with that.", "refusal", "refused"),
        ("I'm sorry, but I cannot assist with personal data.", "stop", "refused"),
        ("null", "stop", "malformed"),
        ("42", "stop", "malformed"),
        ('{"facts": null}', "stop", "malformed"),
        ('{"facts": {"turn": 1}}', "stop", "malformed"),
        ('{"facts": ["I moved to Lisbon", "I eat no meat"]}', "stop", "malformed"),
        ('{"memories": []}', "stop", "malformed"),
        ("Ana moved to Lisbon.", "stop", "malformed"),
        ("\x00\x00", "stop", "malformed"),
        ("\ud800", "stop", "malformed"),
        ("[" * 100_000, "stop", "malformed"),
        ('{"facts":' * 10_000, "stop", "malformed"),
        ('{"facts": [' + "9" * 5_000 + "]}", "stop", "malformed"),
        (answer(HOME) + " " * 10_000_000, "stop", "oversized"),
        (f'<turns fence="{FENCE}">\n[1] …', "stop", "echoed"),
    ],
)
def test_what_is_no_answer_says_why(text: str, finish_reason: str, reason: str) -> None:
    with pytest.raises(UnusableAnswer) as unusable:
        read(text, finish_reason)
    assert unusable.value.reason == reason


def test_a_whole_answer_counts_even_if_it_ended_at_the_limit() -> None:
    assert len(read(answer(HOME), "length").facts) == 1


# --- its items ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"turn": 3}, "no_such_turn"),
        ({"turn": 0}, "no_such_turn"),
        ({"turn": "first"}, "bad_turn"),
        ({"quote": "I moved to Rome last week"}, "no_such_quote"),
        ({"quote": "moved to Lis"}, "no_such_quote"),
        ({"quote": " … "}, "no_such_quote"),
        ({"quote": ["I moved"]}, "bad_quote"),
        ({"quote": "x" * 3_000}, "bad_quote"),
        ({"turn": 2}, "no_such_quote"),
        ({"value": "Porto"}, "unsupported_value"),
        ({"value": "sunny Lisbon"}, "unsupported_value"),
        ({"value": ""}, "unsupported_value"),
        ({"value": None}, "unsupported_value"),
        ({"value": "Lisbon\x00"}, "bad_value"),
        ({"value": "Lisbon\ud800"}, "bad_value"),
        ({"value": {"city": "Lisbon"}}, "bad_value"),
        ({"value": "Lisbon " * 100}, "bad_value"),
        ({"attribute": "aura"}, "unknown_attribute"),
        ({"attribute": None}, "bad_attribute"),
        ({"polarity": "maybe"}, "bad_polarity"),
        ({"polarity": None}, "bad_polarity"),
        ({"subject": "Tom"}, "bad_subject"),
        ({"subject": "she"}, "bad_subject"),
        ({"subject": "the assistant"}, "bad_subject"),
        ({"subject": ""}, "bad_subject"),
        ({"attribute": "favourite"}, "bad_topic"),
    ],
)
def test_a_bad_item_is_dropped_and_counted_and_the_good_one_kept(change: dict[str, Any], reason: str) -> None:
    assert outcomes(HOME | change, MEAT) == {reason: 1, "facts": 1}


@pytest.mark.parametrize("item", [None, 5, "I moved to Lisbon", [], {}])
def test_an_item_of_another_shape_is_dropped_and_counted(item: Any) -> None:
    counted = outcomes(item, HOME)
    assert counted["facts"] == 1
    assert counted.total() == 2


@pytest.mark.parametrize("field", sorted(set(HOME) - {"topic", "valid_from", "valid_to"}))
def test_an_item_that_lacks_a_field_is_dropped(field: str) -> None:
    assert outcomes({key: value for key, value in HOME.items() if key != field}, MEAT)["facts"] == 1


def test_numbers_as_text_and_words_in_other_case_are_understood() -> None:
    assert outcomes(HOME | {"turn": "1", "attribute": " Home ", "polarity": "AFFIRMED"}) == {"facts": 1}


@pytest.mark.parametrize(
    ("change", "subject"),
    [
        ({"subject": "I"}, "user"),
        ({"subject": "the user"}, "user"),
        ({"subject": "Clara"}, "Clara"),
        ({"subject": "my sister"}, "sister"),
        ({**MEAT, "subject": "user"}, "Mel"),
        ({**MEAT, "subject": "mel"}, "Mel"),
        ({**MEAT, "subject": "my sons"}, "Mel's sons"),
        ({**MEAT, "subject": "Mel's sons"}, "Mel's sons"),
    ],
)
def test_a_subject_is_the_speaker_or_somebody_who_was_mentioned(change: dict[str, Any], subject: str) -> None:
    (fact,) = facts(answer(HOME | change))
    assert fact.subject == subject


def test_a_topic_is_kept_only_where_the_attribute_has_one() -> None:
    family = HOME | {"quote": "my sister Clara", "attribute": "family", "topic": "Sister", "value": "Clara"}
    assert [fact.topic for fact in facts(answer(HOME | {"topic": "city"}, family))] == [None, "sister"]


def test_numbers_and_endings_of_words_do_not_make_another_value() -> None:
    sons = MEAT | {"quote": "We have two sons", "attribute": "family", "topic": "son", "value": "2"}
    assert outcomes(sons, HOME | {"attribute": "plan", "value": "move to Lisbon"}) == {"facts": 2}


def test_what_ended_may_be_without_a_name() -> None:
    job = MEAT | {"quote": "I quit my job", "attribute": "job", "value": "", "polarity": "ended"}
    (fact,) = facts(answer(job))
    assert (fact.value, fact.polarity) == ("", "ended")


@pytest.mark.parametrize(
    ("said", "understood"),
    [
        ("2025", datetime(2025, 12, 29, tzinfo=UTC)),
        ("2025-12", datetime(2025, 12, 29, tzinfo=UTC)),
        ("2025-12-30", datetime(2025, 12, 30, tzinfo=UTC)),
        (2025, datetime(2025, 12, 29, tzinfo=UTC)),
        ("2026-01-05", A_MONDAY),
        ("", None),
        (None, None),
    ],
)
def test_a_date_is_a_year_a_month_or_a_day_that_the_words_name(said: Any, understood: datetime | None) -> None:
    reading = read(answer(HOME | {"valid_from": said}))
    assert reading.facts[0][1].valid_from == understood
    assert "dates_dropped" not in reading.outcomes


@pytest.mark.parametrize("said", ["2019", "2025-11", "2025-12-28", "2026-01-06", "2090", "1899-12-31"])
def test_a_date_that_nobody_named_is_taken_out_of_its_fact(said: str) -> None:
    reading = read(answer(HOME | {"valid_from": said}))
    assert reading.facts[0][1].valid_from is None
    assert reading.outcomes == {"facts": 1, "dates_dropped": 1}


@pytest.mark.parametrize(
    "said",
    ["2025-02-30", "2025-13", "0000", "last week", "03/04/2025", "2025-W03", "20250101", "٢٠٢٥", True, [2025], {}],
)
def test_a_date_that_cannot_be_is_taken_out_of_its_fact(said: Any) -> None:
    reading = read(answer(HOME | {"valid_from": said}))
    assert reading.facts[0][1].valid_from is None
    assert reading.outcomes == {"facts": 1, "dates_dropped": 1}


def test_an_end_before_its_beginning_is_taken_out() -> None:
    reading = read_of("I lived in Lisbon from 2015 to 2019.", valid_from="2019", valid_to="2015")
    assert [(fact.valid_from, fact.valid_to) for _, fact in reading.facts] == [(datetime(2019, 1, 1, tzinfo=UTC), None)]


def test_from_one_year_to_another_is_kept_as_it_was_said() -> None:
    ((_, fact),) = read_of("I lived in Lisbon 2015-2019.", valid_from="2015", valid_to="2019").facts
    assert (fact.valid_from, fact.valid_to) == (datetime(2015, 1, 1, tzinfo=UTC), datetime(2019, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize("begins", [None, "2026-01-05"])
def test_what_was_so_until_some_day_has_ended_then(begins: str | None) -> None:
    ((_, fact),) = read_of("I lived in Lisbon until 2020.", valid_from=begins, valid_to="2020").facts
    assert (fact.polarity, fact.valid_from, fact.valid_to) == ("ended", datetime(2020, 1, 1, tzinfo=UTC), None)


@pytest.mark.parametrize("end", ["2020", "2026-01-05", "2026"])
def test_an_end_that_nobody_named_ends_nothing(end: str) -> None:
    reading = read_of("I live in Lisbon.", valid_to=end)
    assert [(fact.polarity, fact.valid_to) for _, fact in reading.facts] == [("affirmed", None)]
    assert reading.outcomes["dates_dropped"] == 1


def test_a_day_that_was_worked_out_may_stand_in_the_value() -> None:
    party = MEAT | {
        "quote": "My party is in May",
        "attribute": "plan",
        "polarity": "affirmed",
        "valid_from": "2026-05-01",
    }
    assert outcomes(party | {"value": "party on 2026-05-01"}) == {"facts": 1}
    assert outcomes(party | {"value": "party on 2026-05-02"}) == {"unsupported_value": 1}
    unnamed = party | {"valid_from": "2026-06-01", "value": "party on 2026-06-01"}
    assert outcomes(unnamed) == {"unsupported_value": 1, "dates_dropped": 1}


# --- what the sentence around the quote says ------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "quote", "reason"),
    [
        ("I don't live in Lisbon.", "live in Lisbon", "negated"),
        ("I never lived in Lisbon.", "lived in Lisbon", "negated"),
        ("I don't live in Lisbon.", "I don't live in Lisbon", "negated"),
        ("Do I live in Lisbon?", "I live in Lisbon", "asked"),
        ("If I lived in Lisbon, I'd be happy.", "I lived in Lisbon", "supposed"),
        ("My brother lives in Lisbon.", "lives in Lisbon", "bad_subject"),
    ],
)
def test_an_affirmed_fact_is_none_where_the_sentence_around_the_quote_does_not_affirm_it(
    text: str, quote: str, reason: str
) -> None:
    assert read_of(text, quote=quote).outcomes == {reason: 1}


def test_what_is_denied_may_be_denied_but_not_asked() -> None:
    assert read_of("I don't live in Lisbon.", polarity="denied").outcomes == {"facts": 1}
    assert read_of("Have I quit my job?", attribute="job", value="", polarity="ended").outcomes == {"asked": 1}


@pytest.mark.parametrize("value", ["in", "and I", "to"])
def test_stopwords_are_no_value(value: str) -> None:
    assert read_of("I moved to Lisbon and I stay in it.", value=value).outcomes == {"unsupported_value": 1}


@pytest.mark.parametrize(
    ("text", "value"),
    [("I like The Who.", "The Who"), ("I study IT.", "IT"), ("I like \N{HOT BEVERAGE}.", "\N{HOT BEVERAGE}")],
)
def test_a_name_of_stopwords_and_a_sign_are_values(text: str, value: str) -> None:
    assert read_of(text, attribute="likes", value=value).outcomes == {"facts": 1}


@pytest.mark.parametrize(
    ("text", "value", "polarity"),
    [
        ("Please answer in French.", "answer in French", "affirmed"),
        ("Could you always answer in French?", "answer in French", "affirmed"),
        ("Please never use emojis.", "never use emojis", "affirmed"),
        ("Don't use emojis.", "use emojis", "denied"),
    ],
)
def test_a_wish_is_an_instruction(text: str, value: str, polarity: str) -> None:
    assert read_of(text, attribute="instruction", value=value, polarity=polarity).outcomes == {"facts": 1}


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        ("I live in Lisbon.", "Lisbon", "no_wish"),
        ("I live in Lisbon.", "live in Lisbon", "no_wish"),
        ("No emojis please.", "emojis", "negated"),
        ("Don't use emojis.", "use emojis", "negated"),
        ("If I ask in French, answer in French.", "answer in French", "supposed"),
    ],
)
def test_what_nobody_wishes_is_no_instruction(text: str, value: str, reason: str) -> None:
    assert read_of(text, attribute="instruction", value=value).outcomes == {reason: 1}


def test_the_same_fact_twice_is_one() -> None:
    assert outcomes(HOME, HOME) == {"facts": 1}


def test_a_part_of_a_long_turn_cites_its_place_in_the_whole() -> None:
    part = Piece(TURNS[0], TURNS[0].content[4:], 4)
    ((_, fact),) = read_answer(Completion(answer(HOME), "stop"), [part], fence=FENCE).facts
    assert TURNS[0].content[fact.start : fact.end] == "I moved to  Lisbon\nlast week"


# --- quotes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quote", "text", "found"),
    [
        ("cat", "The Cat sat.", "Cat"),
        ('"the cat"', "the cat", "the cat"),
        ("straße", "In der STRASSE.", "STRASSE"),
        ("it's  here", "It’s\n\there now", "It’s\n\there"),
        ("zero width", "zero\u200b width", "zero\u200b width"),
        ("art", "a party", None),
        ("art", "a party of art", "art"),
        ("東京", "明日は東京で", "東京"),
        ("", "anything", None),
    ],
)
def test_a_quote_is_found_as_whole_words(quote: str, text: str, found: str | None) -> None:
    span = find_quote(quote, text)
    assert (text[slice(*span)] if span else None) == found


def test_the_schema_names_every_attribute_and_leaves_nothing_open() -> None:
    item = answer_schema()["properties"]["facts"]["items"]
    assert item["properties"]["attribute"]["enum"] == list(ATTRIBUTES)
    assert item["required"] == list(item["properties"]) == list(HOME)
    assert item["additionalProperties"] is False


# --- anything at all ------------------------------------------------------------------------------

_SCRAPS = [
    "\x00",
    "\ud800",
    '"',
    "\\",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "-1",
    "1e999",
    "NaN",
    "é",
    "\u202e",
    "\\ud800",
    " ",
]
_VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    2,
    1e300,
    "",
    "Porto",
    "x" * 5_000,
    [],
    {},
    [None],
    "\x00",
    "\ud800",
    "2026-02-30",
]


def test_of_2000_spoilt_answers_none_gives_a_fact_whose_words_do_not_hold_it() -> None:
    chance = random.Random(4)
    usable = kept = 0
    for _ in range(2_000):
        text = spoilt(chance)
        try:
            reading = read(text, chance.choice(["stop", "length"]))
        except UnusableAnswer:
            continue
        usable += 1
        for place, fact in reading.facts:
            kept += 1
            words = PIECES[place].text[fact.start : fact.end]
            assert PIECES[place].turn.id == fact.derived_from
            assert words
            assert set(re.findall(r"\w+", fact.value.lower())) <= set(re.findall(r"\w+", words.lower())), (fact, words)
            assert fact.attribute in ATTRIBUTES
            fact.value.encode()
    # The spoiling is neither so mild nor so wild that nothing is tested.
    assert 300 < usable < 1_900
    assert kept > 300


def spoilt(chance: random.Random) -> str:
    items = [dict(HOME), dict(MEAT)]
    for _ in range(chance.randrange(3)):
        chance.choice(items)[chance.choice(list(HOME))] = chance.choice(_VALUES)
    text = json.dumps({"facts": items})
    for _ in range(chance.choice([0, 0, 1, 1, 2, 5])):
        start = chance.randrange(len(text) + 1)
        stop = start + chance.choice([0, 1, 1, 3, 40])
        scrap = chance.choice(["", chance.choice(_SCRAPS), text[start:stop], text[::-1][:20]])
        text = text[:start] + scrap + text[stop:]
    return text
