"""Affect and importance of a text."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.lifecycle.affect import LABELS, LEXICON, affect_of
from agentmem.lifecycle.importance import importance_of
from agentmem.records import Affect

DATA = Path(__file__).parent / "data"
SIGNS = ("positive", "negative", "neutral")


def sign_of(affect: Affect | None) -> str:
    if affect is None or abs(affect.valence) < 0.1:
        return "neutral"
    return "positive" if affect.valence > 0 else "negative"


def importance(content: str, *, kind: str = "turn", role: str = "user") -> float:
    return importance_of(content, kind=kind, role=role, affect=affect_of(content))


# --- affect, measured -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "floor", "labels"), [("affect_dev.tsv", 0.95, 0.84), ("affect_frozen.tsv", 0.95, 0.9)]
)
def test_the_sign_of_labelled_sentences_is_found_as_often_as_the_documentation_says(
    name: str, floor: float, labels: float
) -> None:
    with (DATA / name).open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    assert len(rows) >= 120
    pairs = [(row["sign"], sign_of(affect_of(row["sentence"]))) for row in rows]
    scores = []
    for sign in SIGNS:
        right = sum(gold == found == sign for gold, found in pairs)
        scores.append(2 * right / sum((gold == sign) + (found == sign) for gold, found in pairs))
    assert sum(scores) / len(scores) >= floor
    named = [
        row["label"] == affect.label
        for row in rows
        if row["label"] and (affect := affect_of(row["sentence"])) and sign_of(affect) == row["sign"]
    ]
    assert sum(named) / len(named) >= labels


# --- affect, rule by rule -------------------------------------------------------------------------


def valence(text: str) -> float:
    affect = affect_of(text)
    return affect.valence if affect else 0.0


def test_most_facts_have_no_affect() -> None:
    assert affect_of("I take 10 mg of lisinopril every morning.") is None
    assert affect_of("") is None


def test_a_feeling_has_valence_arousal_and_a_label() -> None:
    affect = affect_of("I'm terrified of flying.")
    assert affect is not None and affect.valence < -0.5 and affect.arousal > 0.6 and affect.label == "fear"


@pytest.mark.parametrize("text", ["I'm not happy.", "I never liked it.", "I don't love it.", "Im not happy", "no fun"])
def test_negation_turns_a_good_feeling(text: str) -> None:
    assert valence(text) < 0


@pytest.mark.parametrize("text", ["I'm not sad.", "not bad at all", "I'm not worried any more"])
def test_negation_turns_a_bad_feeling_into_a_faint_good_one(text: str) -> None:
    assert 0 < valence(text) < 0.5


def test_not_only_and_never_happier_do_not_negate() -> None:
    assert valence("It was not only beautiful, it was cheap.") > 0
    assert valence("I've never been happier.") > valence("I am happy.")


def test_a_curly_apostrophe_negates_as_a_straight_one_does() -> None:
    assert valence("I don’t love it") == valence("I don't love it") < 0


def test_intensifiers_capitals_and_exclamation_marks_strengthen_and_downtoners_weaken() -> None:
    plain = valence("I am sad.")
    for stronger in ("I am so sad.", "I am SAD.", "I am sad!!"):
        assert valence(stronger) < plain, stronger
    assert plain < valence("I am a bit sad.") < 0


def test_what_follows_a_but_outweighs_what_stands_before() -> None:
    assert valence("The room was awful but the food was great.") > 0
    assert valence("The food was great but the room was awful.") < 0
    assert valence("Although the room was awful, the food was great.") > 0


def test_idioms_are_read_as_a_whole() -> None:
    assert valence("I'm over the moon") > 0.5 and affect_of("the moon is full") is None
    assert valence("I can't wait to see you") > 0.5 and affect_of("wait here") is None


def label_of(text: str) -> str | None:
    affect = affect_of(text)
    return affect and affect.label


def test_bad_news_and_a_death_are_sadness_and_grief_and_sympathy_is_no_shame() -> None:
    assert label_of("I have terrible news.") == "sadness"
    assert {label_of(text) for text in ("My cat died last night.", "Biscuit had to be put down.", "He died.")} == {
        "grief"
    }
    assert label_of("My phone died.") is None
    assert label_of("Oh Maya, I'm so sorry.") == "sadness"
    assert label_of("I'm sorry I was late.") == "shame"


def test_a_question_about_your_feelings_is_none_of_mine() -> None:
    assert affect_of("Are you happy with your phone?") is None
    assert affect_of("Do you love spicy food?") is None


def test_a_hypothetical_feeling_is_faint() -> None:
    assert valence("I am devastated.") < valence("If they refuse I would be devastated.") <= 0


def test_names_are_no_feelings() -> None:
    for text in ("Joy called at six.", "I met Grace and Hope.", "He reads Great Expectations.", "the firm Happy Ltd"):
        assert affect_of(text) is None, text
    assert valence("Love it!") > 0 and valence("Joyful news today.") > 0


def test_a_sad_song_is_not_the_listener() -> None:
    assert abs(valence("The novel is about a sad king.")) < abs(valence("I am sad.")) / 2


def test_an_emoji_alone_is_a_feeling() -> None:
    assert valence("😍") > 0 > valence("💔") and valence("see you :)") > 0


def test_one_feeling_in_a_long_text_is_faint() -> None:
    assert 0 < valence("I love it. " + "The road goes on. " * 50) < valence("I love it.") / 2


def test_a_text_of_any_length_is_read_in_bounded_time() -> None:
    assert affect_of("The road goes on. " * 60_000 + "I love it.") is None


def test_other_languages_have_no_affect() -> None:
    assert affect_of("Ich freue mich sehr.") is None and affect_of("とても嬉しい") is None


@settings(max_examples=300)
@given(st.text())
def test_no_text_raises_and_all_is_in_range(text: str) -> None:
    for each in (text, f"I am so happy {text} but not sad"):
        affect = affect_of(each)
        assert affect is None or (-1 <= affect.valence <= 1 and 0 <= affect.arousal <= 1 and affect.label in LABELS)
        assert 0 <= importance_of(each, kind="turn", role="user", affect=affect) <= 1


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            ["I", "am", "so", "not", "happy", "SAD", "love", "but", "if", "!", "?", ".", ",", "😍", "can't", "wait"]
        )
    )
)
def test_no_order_of_feelings_and_rules_leaves_the_range(words: list[str]) -> None:
    affect = affect_of(" ".join(words))
    assert affect is None or (-1 <= affect.valence <= 1 and 0 <= affect.arousal <= 1)


# --- the lexicon ----------------------------------------------------------------------------------


def entries() -> list[tuple[str, float, float, str]]:
    rows = [line.split("\t") for line in LEXICON.read_text("utf-8").splitlines()]
    assert rows[0] == ["words", "valence", "arousal", "label"]
    return [(words, float(valence), float(arousal), label) for words, valence, arousal, label in rows[1:]]


def test_the_lexicon_is_in_range_and_uses_every_label_and_no_other() -> None:
    for words, valence, arousal, label in entries():
        assert -1 <= valence <= 1 and 0 <= arousal <= 1, words
        assert (label == "-") == (valence == 0 == arousal), words
    assert {label for *_, label in entries()} == {*LABELS, "-"}


def test_no_word_of_the_lexicon_keeps_its_sign_when_negated() -> None:
    plain = [
        stem + ending
        for words, *_, label in entries()
        if label != "-" and (word := re.fullmatch(r"([a-z]+)(?:\{([a-z,]+)\})?", words))
        for stem, endings in [word.groups()]
        for ending in (endings or "").split(",")
    ]
    assert len(plain) > 1_000
    for word in plain:
        assert valence(f"I am {word}.") * valence(f"I am not {word}.") <= 0, word


# --- importance -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "less"),
    [
        ("I'm allergic to penicillin.", "I had a sandwich for lunch."),
        ("My wife's name is Clara.", "The weather is grey today."),
        ("I've decided to quit my job in June.", "I read a bit about trains in June."),
        ("I had a sandwich for lunch.", "ok thanks!"),
        ("I had a sandwich for lunch.", "What are you having for lunch?"),
        ("I had a sandwich for lunch.", "two, blue"),
        ("I'm devastated, the school closed.", "I saw that the school closed."),
        ("Please remember that the gate code is 4471.", "I'm allergic to penicillin."),
        ("Don't forget that I never eat pork.", "I never eat pork."),
    ],
)
def test_what_lasts_matters_more_than_small_talk(more: str, less: str) -> None:
    assert importance(more) > importance(less)


def test_rules_and_identity_matter_most_by_kind() -> None:
    by_kind = [importance("Answer in French.", kind=kind) for kind in ("rule", "lesson", "fact", "document", "turn")]
    assert by_kind == sorted(by_kind, reverse=True) and by_kind[0] == importance("Answer in French.", kind="identity")


def test_what_the_assistant_says_of_itself_matters_less() -> None:
    told = "I moved to Lisbon with my wife."
    assert importance(told, role="assistant") < importance(told)


def test_only_the_user_lifts_a_turn_by_asking_to_remember() -> None:
    asked = "Please remember to rest."
    assert importance(asked) >= 0.85 > importance(asked, role="assistant")


def test_remembering_is_not_asking_to_remember() -> None:
    for text in ("I remember that day.", "Do you remember that day?", "How important is sleep?"):
        assert importance(text) < 0.5, text


def test_greetings_and_thanks_hardly_matter() -> None:
    for text in ("hi there!", "ok, thanks a lot", "haha yes", "Good morning!"):
        assert importance(text) == 0.05, text


def test_importance_has_two_decimals() -> None:
    for text in ("I'm devastated, my mother died last night.", "so glad!!", "x"):
        assert importance(text) == round(importance(text), 2)
