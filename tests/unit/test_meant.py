"""What a sentence asks, supposes or denies is not taken for what it says."""

from __future__ import annotations

import time

import pytest

from agentmem.extractors.meant import doubt, is_of_another, is_wish, sentence_around


def doubt_of(text: str, attribute: str = "home", *, affirmed: bool = True) -> str | None:
    """What is doubted of the words between the bars, of which the last is the value."""
    before, quoted, _ = text.split("|")
    start, end = len(before), len(before) + len(quoted)
    value = (end - len(quoted.split()[-1]), end)
    return doubt(text.replace("|", ""), (start, end), value, attribute=attribute, affirmed=affirmed)


@pytest.mark.parametrize(
    "text",
    [
        "|I live in Porto|.",
        "No, |I live in Porto|.",
        "Never mind. |I live in Porto|!",
        "I don't like Rome, |I live in Porto|.",
        "I don't live in Rome but |in Porto|.",
        "I'm not only a baker, |I live in Porto|.",
        "No doubt |I live in Porto|.",
        "Do you know it? |I live in Porto|. Do you?",
        "|I live in Porto|, what about you?",
        "I live in Rome if it rains; |I live in Porto| now.",
        "I'm used to rain, because |I live in Porto|.",
        "|I live in Porto|\n\nIsn't it nice?",
        "Not these:\n- Rome\n- |I live in Porto|",
    ],
)
def test_a_statement_is_not_doubted(text: str) -> None:
    assert doubt_of(text) is None


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I don't |live in Porto|.", "negated"),
        ("I don\N{RIGHT SINGLE QUOTATION MARK}t |live in Porto|.", "negated"),
        ("I dont |live in Porto|", "negated"),
        ("I do not\n|live in Porto|", "negated"),
        ("I never |lived in Porto|, honestly.", "negated"),
        ("I can't say I do not know Dr. Silva, who I |met in Porto|.", "negated"),
        ("It's not true that |I live in Porto|.", "negated"),
        ("Not true: |I live in Porto|.", "negated"),
        ("I used to |live in Porto|.", "negated"),
        ("|I live in Porto| no longer.", "negated"),
        ("I have no |dog|.", "negated"),
        ("Ich wohne nicht |in Porto|.", "negated"),
        ("No vivo |en Porto|.", "negated"),
        ("Do |I live in Porto|?", "asked"),
        ("do |i live in Porto|", "asked"),
        ("|I live in Porto|?", "asked"),
        ("|I live in Porto|, right?", "asked"),
        ("|I live in Porto|, don't I?", "asked"),
        ("Where is it that |I live, Porto|?", "asked"),
        ("\u00bfVivo |en Porto|?", "asked"),
        ("If |I lived in Porto|", "supposed"),
        ("I wish |I lived in Porto|.", "supposed"),
        ("I might |move to Porto|.", "supposed"),
        ("I'd love to |live in Porto|.", "supposed"),
        ("But if |I lived in Porto|!", "supposed"),
    ],
)
def test_what_is_denied_asked_or_supposed_is_doubted(text: str, why: str) -> None:
    assert doubt_of(text) == why


def test_what_is_not_so_may_be_denied_but_neither_asked_nor_supposed() -> None:
    assert doubt_of("I don't |live in Porto|.", affirmed=False) is None
    assert doubt_of("Don't |I live in Porto|?", affirmed=False) == "asked"
    assert doubt_of("If I don't |live in Porto|.", affirmed=False) == "supposed"


def test_what_cannot_be_eaten_may_be_an_allergy() -> None:
    assert doubt_of("I can't |eat gluten|.", "allergy") is None
    assert doubt_of("I can't |eat gluten|.", "likes") == "negated"
    assert doubt_of("I'm not |allergic to gluten|.", "allergy") == "negated"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two! Three?", "Two!"),
        ("Dr. No lives. I saw Two St. Ives. Three", "I saw Two St. Ives."),
        ("One\nTwo three. Four", "One\nTwo three."),
        ("\u4e00\u3002Two\u3002\u4e09", "Two\u3002"),
        ("One (or Two?) is it.", "One (or Two?)"),
        ("Two", "Two"),
    ],
)
def test_a_sentence_ends_with_its_mark(text: str, sentence: str) -> None:
    start, end = sentence_around(text, text.index("Two"))
    assert text[start:end].strip() == sentence


@pytest.mark.parametrize(
    ("clause", "is_theirs"),
    [
        ("My brother lives in ", True),
        ("I live here, and my older sister lives in ", True),
        ("She works at ", True),
        ("My wife and I live in ", False),
        ("My brother gave me a ", False),
        ("My home is in ", False),
        ("My brother's old house, I live in ", False),
    ],
)
def test_a_clause_tells_of_another(clause: str, is_theirs: bool) -> None:
    assert is_of_another(f"{clause}Porto.", (len(clause), len(clause) + 5)) is is_theirs


@pytest.mark.parametrize(
    ("text", "wanted", "is_one"),
    [
        ("Answer in French.", "Answer in French", True),
        ("I want you to be brief.", "be brief", True),
        ("\u8bf7\u7528\u4e2d\u6587\u56de\u7b54", "\u7528\u4e2d\u6587\u56de\u7b54", True),
        ("I drink coffee in bed.", "drink coffee in bed", False),
        ("In French please", "In French", False),
        ("Porto please", "Porto", False),
        ("Porto Portugal please", "Porto Portugal", False),
        ("I want to live in Porto.", "live in Porto", False),
    ],
)
def test_a_wish_is_a_deed_that_somebody_else_shall_do(text: str, wanted: str, is_one: bool) -> None:
    start = text.index(wanted)
    assert is_wish(text, (start, start + len(wanted))) is is_one


@pytest.mark.parametrize("words", ["I don't ", ", and so I ", "\n", "? ", "- my ", "but ", "and but so ", "Dr. ", "'"])
def test_a_long_text_takes_no_long_time(words: str) -> None:
    text = words * (200_000 // len(words)) + "I live in Porto"
    started = time.perf_counter()
    doubt(text, (len(text) - 15, len(text)), (len(text) - 5, len(text)), attribute="home", affirmed=True)
    is_of_another(text, (len(text) - 5, len(text)))
    assert time.perf_counter() - started < 2
