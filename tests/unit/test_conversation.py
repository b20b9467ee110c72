"""What a question points at in the conversation before it."""

from __future__ import annotations

import pytest

from agentmem.interfaces import Message
from agentmem.retrieval.conversation import pointed_at, worded


def user(text: str) -> Message:
    return Message("user", text)


def assistant(text: str) -> Message:
    return Message("assistant", text)


def shares(question: str, *before: Message) -> dict[str, float]:
    """Every word that is pointed at, in lower case, and the most that it counts."""
    found: dict[str, float] = {}
    for text, share in pointed_at(question, before):
        for word in text.lower().replace(".", "").replace("?", "").split():
            found[word] = max(found.get(word, 0.0), share)
    return found


@pytest.mark.parametrize(
    "question",
    [
        "When did Caroline say that she would move?",
        "What does Marta do for a living?",
        "How long did the marathon in Salzburg take, and was it worth the training?",
        "Which pottery class did my sister recommend last summer?",
        "Find the activities that I enjoy outdoors",
    ],
)
def test_a_question_that_says_what_it_is_about_borrows_nothing(question: str) -> None:
    assert pointed_at(question, [user("I bought the blue bicycle."), assistant("Nice!")]) == []


def test_without_a_conversation_nothing_is_borrowed() -> None:
    assert pointed_at("When is it?", []) == []


def test_it_points_at_a_thing_rather_than_at_a_person() -> None:
    found = shares("Who bought it?", user("Marta asked whether she could have the Skoda."), assistant("It is gone."))
    assert found["skoda"] > found["marta"] > 0


def test_she_points_at_a_person_rather_than_at_a_thing() -> None:
    found = shares("What did she want?", user("I drove the Skoda to Vienna to meet Marta."))
    assert found["marta"] == 1.0
    assert found["drove"] < found["marta"]


@pytest.mark.parametrize(("pronoun", "wanted", "other"), [("he", "brother", "sister"), ("she", "sister", "brother")])
def test_he_and_she_point_at_relatives_of_their_gender(pronoun: str, wanted: str, other: str) -> None:
    found = shares(f"Where does {pronoun} live?", user("Yesterday my sister met my brother."))
    assert found[wanted] > found[other]


def test_the_nearest_message_counts_most_and_empty_ones_are_passed_over() -> None:
    before = [
        user("The Lisbon trip is booked."),
        assistant("Good."),
        user("And the pottery class?"),
        assistant("Sure!"),
    ]
    found = shares("When does it start?", *before)
    assert found["pottery"] > found["lisbon"] > 0


def test_a_message_that_points_back_itself_leads_on_to_the_one_before() -> None:
    found = shares(
        "Where does he live?", user("I am meeting Felix."), assistant("At the gym?"), user("No, at his flat.")
    )
    assert max(found, key=lambda word: found[word]) == "felix"


def test_where_nobody_is_named_she_points_at_a_phrase() -> None:
    assert shares("What is she called?", user("I drive to the dentist tomorrow."))["dentist"] == 1.0


def test_a_name_of_its_own_takes_the_place_of_the_one_before() -> None:
    found = shares("And in Oslo?", user("Which hotel do we have in Lisbon?"))
    assert "hotel" in found
    assert "lisbon" not in found


def test_a_short_question_without_a_pronoun_borrows_less_than_it_says_itself() -> None:
    found = shares("When is the exam?", user("I love my Spanish course."))
    assert 0 < found["spanish"] < 0.5


def test_tools_and_systems_are_not_pointed_at() -> None:
    assert pointed_at("When is it?", [Message("tool", "The pottery class"), Message("system", "Be kind")]) == []


def test_long_conversations_and_long_messages_are_looked_at_from_their_end() -> None:
    before = [user(f"the thing{number} " + "filler " * 10_000 + f"the end{number}") for number in range(200)]
    found = shares("What about it?", *before)
    assert found["end199"] == 1.0
    assert "thing199" not in found
    assert "end100" not in found


def test_only_a_question_without_words_is_embedded_with_those_it_points_at() -> None:
    before = [user("I am looking forward to the pottery class.")]
    assert "pottery class" in worded("When is it?", before)
    assert worded("How much did the car cost?", before) == "How much did the car cost?"
    assert worded("When is it?", []) == "When is it?"
