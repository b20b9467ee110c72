"""What a hand-over tells of a session, from turns and facts alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem import Fact, Memory
from agentmem.lifecycle.affect import affect_of
from agentmem.lifecycle.importance import importance_of
from agentmem.lifecycle.telling import MAX_TOKENS, HandOverLine, handover_of
from agentmem.testing.fakes import A_MONDAY, memory
from agentmem.tokens import EstimatedCounter

COUNTER = EstimatedCounter()


def turns_of(*said: str, **fields: Any) -> list[Memory]:
    """Turns in the order said; "assistant: …" is the assistant's."""
    turns = []
    for number, line in enumerate(said):
        role, content = ("assistant", line[11:]) if line.startswith("assistant: ") else ("user", line)
        affect = affect_of(content)
        details: dict[str, Any] = {
            "id": f"t{number}",
            "role": role,
            "integrity": role,
            "position": number,
            "occurred_at": A_MONDAY + timedelta(minutes=number),
            "affect": affect,
            "importance": importance_of(content, kind="turn", role=role, affect=affect),
        }
        turns.append(memory(content, **details | fields))
    return turns


def fact_of(turn: Memory, attribute: str, value: str, content: str, **fields: Any) -> Memory:
    fact = Fact("user", attribute, value)
    details: dict[str, Any] = {"kind": "fact", "fact": fact, "derived_from": (turn.id,)}
    return memory(content, **details | {"occurred_at": turn.occurred_at, "valid_from": turn.occurred_at} | fields)


def told(turns: list[Memory], *facts: Memory, about: str | None = None) -> list[HandOverLine]:
    lines = handover_of(turns, facts, counter=COUNTER)
    return [line for line in lines if about in (None, line.about)]


def test_what_came_up_again_is_named_and_cites_where() -> None:
    turns = turns_of(
        "I signed up for a pottery class yesterday.",
        "assistant: A pottery class sounds lovely. Which studio?",
        "The studio in Bergen. My pottery class starts on Monday.",
    )
    first = told(turns)[0]
    assert first.about == "talked"
    assert "pottery class" in first.text
    assert first.text == "About pottery class and Bergen."
    assert set(first.derived_from) <= {turn.id for turn in turns}


@pytest.mark.parametrize(
    "said",
    [
        ["Hey Max! I'm Ana from Setúbal.", "assistant: Hi Ana!", "Ana needs rest. Max, what is rest?"],
        ["Call me Dr. Reyes please.", "assistant: Sure thing, Dr. Reyes!", "We met Dr. Reyes in Lima, he said."],
        ["I like to run cargo and test.", "assistant: cargo fix runs the test.", "It ran."],
    ],
)
def test_where_there_are_no_two_names_beside_those_who_speak_none_is_told(said: list[str]) -> None:
    assert not any(line.text.startswith("About ") for line in told(turns_of(*said)))


def test_a_name_is_told_without_the_words_beside_it() -> None:
    turns = turns_of("My cat Whiskers woke me at five.", "And my husband Harold died two years ago.")
    assert told(turns)[0].text == "About Harold and Whiskers."


MAIL = (
    "I'm Lena. Please summarize this e-mail:\n\nDear Lena,\n\nI'm so angry! I moved to Vienna, I hate delays and I've "
    "decided to fire Karl. Why did you not answer?\n\nBest,\nPeter"
)


def test_what_was_pasted_is_not_told_as_the_users_words() -> None:
    turns = turns_of(MAIL, "assistant: Peter moved.", "Thanks. I answered my friend Peter about the boat.")
    texts = [line.text for line in told(turns)]
    assert "The user: Please summarize this e-mail: …" in texts
    assert not any(word in text for text in texts for word in ("Vienna", "delays", "Karl", "Why", "Mood"))


@pytest.mark.parametrize(
    "said",
    [
        "Translate this for me: 'My name is Carmen and I promise to pay the gardener in Cadiz on Monday morning.'",
        "Write a poem in the voice of a pirate: 'My name is Carmen, I live in Cadiz and I drink rum.'",
        'Also, draft a letter: "Dear Carmen, I have decided to leave Cadiz at the end of the year." It is for Ines.',
        "Here are my ten sentences: Estoy feliz. Vivo en Cadiz. Me llamo Carmen y tengo un perro.",
        "On Tuesday Karl wrote:\n> I live in Cadiz now and I am the new Carmen.\nWhat do I answer?",
    ],
)
def test_what_is_quoted_at_length_or_played_is_nobodys_word(said: str) -> None:
    texts = [line.text for line in told(turns_of(said, "assistant: Done."))]
    assert not any(word in text for text in texts for word in ("Carmen", "Cadiz"))


def test_what_an_assistant_drafts_is_no_decision() -> None:
    draft = "assistant: Here's a draft for you:\n\nDear team, I've decided to leave the company in June.\n\nBest"
    assert told(turns_of("Please help me to leave the company.", draft), about="decided") == []


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("I was born in the old town of Lima.", "Sorry, I mean my mother was born in Lima, I was born in Cusco."),
        ("My flight to Chicago is on the 14th of May.", "No wait, on the 15th."),
        ("I've decided to go with the red tiles.", "Actually no, the blue ones."),
        ("I promise I'll never drink wine again.", "Until Friday, haha."),
    ],
)
def test_what_is_taken_back_is_quoted_with_what_takes_it_back(first: str, second: str) -> None:
    for said in (
        [f"{first} {second}"],
        [f"{first} {second}", "assistant: I see.", "Clara sings in our kitchen today."],
    ):
        texts = [line.text for line in told(turns_of(*said))]
        assert any(first in text for text in texts)
        assert all(second in text for text in texts if first in text)


def test_what_the_next_turn_takes_back_is_not_quoted() -> None:
    turns = turns_of("I painted the boat of my uncle. I've decided to sell it in May.", "assistant: Fine.", "Kidding!")
    texts = [line.text for line in told(turns)]
    assert any("painted the boat" in text for text in texts)
    assert not any("sell" in text for text in texts)


def test_a_correction_is_not_cut_off() -> None:
    long = f"I've decided to move to Lima {'with all my things ' * 8}in May."
    texts = [line.text for line in told(turns_of(f"{long} Actually no, to Cusco."))]
    assert not any("move to Lima" in text for text in texts)


def test_a_title_ends_no_quote() -> None:
    turns = turns_of("I booked the physio, it's on Thursday at 10 with Dr. Moura.")
    assert told(turns)[-1].text.endswith("I booked the physio, it's on Thursday at 10 with Dr. Moura.")


def test_a_decision_is_quoted_and_the_last_one_first() -> None:
    turns = turns_of(
        "Let's go with the blue tiles for the kitchen.",
        "assistant: Blue it is.",
        "On second thought, I've decided to take the green ones.",
    )
    decided = told(turns, about="decided")
    assert [line.text for line in decided] == [
        "The user: On second thought, I've decided to take the green ones.",
        "The user: Let's go with the blue tiles for the kitchen.",
    ]
    assert decided[0].derived_from == ("t2",)


def test_a_promise_is_told_with_its_day_and_cites_the_turn() -> None:
    turns = turns_of("I'll send the draft by Friday.", "assistant: Good.")
    due = A_MONDAY + timedelta(days=4)
    promise = fact_of(
        turns[0], "commitment", "send the draft", "The user has promised to send the draft.", valid_from=due
    )
    assert told(turns, promise, about="promised") == [
        HandOverLine("promised", "The user has promised to send the draft (9 January 2026).", ("t0",))
    ]


def test_what_a_promise_tells_is_not_quoted_once_more() -> None:
    turns = turns_of("The boat is red. I promised my sister to paint the mast.")
    fact = fact_of(turns[0], "commitment", "paint the mast", "The user has promised to paint the mast.")
    span = Fact("user", "commitment", "paint the mast", span=(17, 51))
    lines = told(turns, replace(fact, fact=span))
    assert [line.text for line in lines if "mast" in line.text] == ["The user has promised to paint the mast."]


def test_what_others_said_elsewhere_is_not_promised_here() -> None:
    turns = turns_of("I'll send the draft by Friday.")
    (elsewhere,) = turns_of("I'll call you.", id="other")
    assert (
        told(turns, fact_of(elsewhere, "commitment", "call", "The user has promised to call."), about="promised") == []
    )


def test_a_question_that_was_dodged_or_never_answered_is_open() -> None:
    turns = turns_of(
        "Which visa does a cellist need for Japan?",
        "assistant: I'm not sure, I'll look into it.",
        "And the tuning fork, is it 440 or 442 hertz?",
        "assistant: It is 442 hertz in most European orchestras.",
        "Can my teacher Clara come along as well?",
    )
    unanswered = [line.text for line in told(turns, about="open") if line.text.startswith("Not answered")]
    assert unanswered[0] == "Not answered: the user: Can my teacher Clara come along as well?"
    assert not any("hertz" in text for text in unanswered)


def test_the_last_topic_is_told_and_the_goodbye_is_not() -> None:
    turns = turns_of(
        "I moved my desk to the window.",
        "assistant: More light!",
        "My sister Clara is repainting the old boat this weekend.",
        "assistant: Lovely.",
        "Thanks, talk to you soon!",
        "assistant: Bye!",
    )
    last = [line for line in told(turns) if "Said last" in line.text]
    assert last == [
        HandOverLine(
            "talked", "Said last by the user: My sister Clara is repainting the old boat this weekend.", ("t2",)
        )
    ]
    assert told(turns, about="open") == []


def test_a_plan_is_told_while_it_lies_ahead() -> None:
    turns = turns_of("I am seeing the dentist on Thursday.", "assistant: All right.")
    ahead, past = (
        fact_of(turns[0], "plan", "see", f"The user plans to {deed}.", valid_from=A_MONDAY + timedelta(days=days))
        for deed, days in (("see the dentist", 3), ("see the vet", -3))
    )
    texts = [line.text for line in told(turns, ahead, past, about="open")]
    assert "The user plans to see the dentist (8 January 2026)." in texts
    assert not any("vet" in text for text in texts)


@pytest.mark.parametrize(
    ("said", "mood"),
    [
        (
            ["I am so worried about the exam.", "I'm terrified I will fail.", "I passed! I'm so happy!", "What a joy."],
            "then joy",
        ),
        (["I am so sad today.", "I feel awful and sad."], "Mood: sadness."),
        (["I take the bus at nine.", "The bus is green."], None),
    ],
)
def test_the_mood_is_told_where_it_is_clear_with_its_turn(said: list[str], mood: str | None) -> None:
    lines = told(turns_of(*said), about="mood")
    assert [mood in line.text for line in lines if mood] == ([True] if mood else [])
    assert bool(lines) == bool(mood)


@pytest.mark.parametrize(
    "said",
    [
        ["I LOVE this so much!", "assistant: I'm so sorry!", "My boss is so frustrating, I'm so angry."],
        ["I hate waiting, I'm so angry.", "assistant: I'm so sorry, how terrible.", "The bus is green."],
        ["Please shorten this letter:\n\nI am so sad and lonely.\n\nI feel awful.", "I'm so sad for Peter."],
    ],
)
def test_a_mood_that_no_two_turns_of_the_users_own_agree_on_is_none(said: list[str]) -> None:
    assert told(turns_of(*said), about="mood") == []


def test_the_moods_of_several_people_are_no_mood() -> None:
    sad = turns_of("I am so sad today.", speaker="Ana")
    other = turns_of("I feel awful and sad.", speaker="Ben", id="t1")
    assert told(sad + other, about="mood") == []


def test_the_loss_of_a_pet_is_grief_and_no_frustration() -> None:
    lines = told(
        turns_of("I have terrible news. My cat Whiskers died.", "I can't stop crying, I miss her."), about="mood"
    )
    assert [line.text for line in lines] in (["Mood: grief."], ["Mood: sadness."])


def test_untrusted_turns_are_not_told_of() -> None:
    turns = turns_of("I promise to obey the page about hidden gold mines.", integrity="web")
    assert told(turns) == []


def test_small_talk_tells_nothing() -> None:
    assert told(turns_of("Hi!", "assistant: Hello! How can I help?", "Thanks, bye!")) == []


def test_no_line_speaks_of_lists_code_or_links() -> None:
    turns = turns_of(
        "- my first item is this\n```\nI = my_code(1)\n```\nhttps://me.example/I\nI bought a cello in Bergen today."
    )
    assert all("item" not in line.text and "code" not in line.text for line in told(turns))


@given(st.lists(st.text(max_size=300), max_size=12), st.integers(1, 200))
def test_it_never_costs_more_than_it_may_and_cites_only_its_turns(said: list[str], max_tokens: int) -> None:
    turns = turns_of(*(text for text in said if text.strip()))
    lines = handover_of(turns, (), max_tokens=max_tokens, counter=COUNTER)
    assert sum(COUNTER.count(line.text) + 1 for line in lines) <= max_tokens
    here = {turn.id for turn in turns}
    assert all(line.derived_from and set(line.derived_from) <= here for line in lines)
    assert all(line.text.strip() for line in lines)


def test_by_default_it_is_short() -> None:
    turns = turns_of(
        *(f"I bought {number} cellos in Bergen, and my sister {number} boats in Oslo." for number in range(300))
    )
    lines = handover_of(turns, (), counter=COUNTER)
    assert 0 < sum(COUNTER.count(line.text) + 1 for line in lines) <= MAX_TOKENS
