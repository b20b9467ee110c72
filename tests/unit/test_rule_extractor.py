"""The rule extractor reads what people state of themselves, cites it, dates it, and leaves the rest alone."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from agentmem.context.rendering import render_hits
from agentmem.extractors import vocabulary
from agentmem.extractors.attributes import ATTRIBUTES
from agentmem.extractors.rules import RuleExtractor
from agentmem.extractors.sentences import sentence
from agentmem.interfaces import ExtractedFact, ExtractionRequest
from agentmem.records import Fact, Hit
from agentmem.testing.fakes import memory
from bench.facts import LABELLED, Score, normalised, score

DEVELOPMENT, FROZEN, PEOPLE, PEOPLE_HELD_OUT = LABELLED
FROZEN_PRECISION = 0.91
FROZEN_RECALL = 0.50


def read(text: str, **fields: Any) -> list[ExtractedFact]:
    return list(RuleExtractor().extract(ExtractionRequest([memory(text, id="turn", **fields)])))


def told(text: str, **fields: Any) -> list[tuple[str, str, str, str]]:
    return [(fact.subject, fact.attribute, fact.value, fact.polarity) for fact in read(text, **fields)]


def sentences() -> list[str]:
    return [json.loads(line)["text"] for line in DEVELOPMENT.read_text("utf-8").splitlines()]


@pytest.fixture(scope="module")
def development() -> Score:
    return score(DEVELOPMENT)


class TestLabelledSentences:
    def test_half_of_our_own_sentences_state_nothing(self) -> None:
        labelled = [json.loads(line) for line in DEVELOPMENT.read_text("utf-8").splitlines()]
        assert len(labelled) >= 260
        assert 0.4 < sum(not line["facts"] for line in labelled) / len(labelled) < 0.6

    def test_what_is_found_in_our_own_sentences_is_right(self, development: Score) -> None:
        assert development.precision >= 0.95, development.mistakes
        assert development.recall >= 0.95, development.mistakes
        assert development.dated_right == development.dated > 20

    @pytest.mark.skipif(not FROZEN.exists(), reason="the frozen half is not there")
    def test_what_is_found_in_the_frozen_sentences_is_right(self) -> None:
        frozen = score(FROZEN)
        # Bare figures: whoever sees a sentence of these could tune to it.
        assert (frozen.precision >= FROZEN_PRECISION, frozen.recall >= FROZEN_RECALL) == (True, True)

    def test_what_is_found_of_people_who_change_is_right(self) -> None:
        ours = score(PEOPLE)
        assert (ours.precision >= 0.95, ours.recall >= 0.95) == (True, True), ours.mistakes
        # No rule was made for these, and none may be.
        held_out = score(PEOPLE_HELD_OUT)
        assert (held_out.precision >= 0.93, held_out.recall >= 0.88) == (True, True)

    def test_every_attribute_is_read_by_some_rule(self, development: Score) -> None:
        assert set(development.right) == set(ATTRIBUTES)


class TestWhoseWords:
    def test_without_a_speaker_the_subject_is_the_user(self) -> None:
        assert told("I live in Lisbon.") == [("user", "home", "Lisbon", "affirmed")]

    def test_a_named_speaker_is_the_subject_in_either_role(self) -> None:
        for role in ("user", "assistant"):
            assert told("I live in Lisbon.", role=role, speaker="Mel") == [("Mel", "home", "Lisbon", "affirmed")]

    @pytest.mark.parametrize("speaker", [None, "assistant", "AI", " Bot ", "System", "Claude"])
    def test_an_assistants_own_words_state_nothing(self, speaker: str | None) -> None:
        assert told("I live in Lisbon and I love helping people.", role="assistant", speaker=speaker) == []

    @pytest.mark.parametrize("role", ["system", "tool"])
    def test_words_of_the_system_and_of_tools_state_nothing(self, role: str) -> None:
        assert told("My name is Max and I work at Acme.", role=role, speaker="Max") == []

    def test_relatives_of_two_speakers_are_kept_apart(self) -> None:
        assert told("My sister lives in Rome.", speaker="Mel") == [("Mel's sister", "home", "Rome", "affirmed")]
        assert told("My sister lives in Rome.") == [("sister", "home", "Rome", "affirmed")]

    def test_only_turns_are_read(self) -> None:
        assert told("I live in Lisbon.", kind="summary") == []


class TestSpans:
    def test_a_fact_cites_the_words_that_state_it(self) -> None:
        text = "Well, thanks! By the way, I’m allergic to peanuts, and I live in İzmir."
        cited = {fact.attribute: text[fact.start : fact.end] for fact in read(text)}
        assert cited == {"allergy": "I’m allergic to peanuts", "home": "I live in İzmir"}

    @pytest.mark.parametrize("text", sentences())
    def test_every_span_holds_the_words_of_its_value(self, text: str) -> None:
        for fact in read(text):
            cited = normalised(text[fact.start : fact.end]).split()
            assert fact.attribute in _NOT_VERBATIM or set(normalised(fact.value).split()) <= set(cited)

    def test_a_value_says_no_more_than_its_phrase(self) -> None:
        assert told("I work at Siemens because it pays well and my boss is kind.") == [
            ("user", "employer", "Siemens", "affirmed")
        ]


_NOT_VERBATIM = {
    "age",
    "birthday",
    "family",
    "health",
    "pet",
    "plan",
    "commitment",
    "relationship",
    "instruction",
    "partner",
}


class TestTimes:
    def test_a_change_is_dated_by_the_words_beside_it(self) -> None:
        [fact] = read("I moved to Porto on 3 January.", occurred_at=datetime(2026, 1, 5, 12, tzinfo=UTC))
        assert fact.valid_from is not None
        assert fact.valid_from.date() == date(2026, 1, 3)

    def test_a_change_within_a_span_holds_from_the_end_of_it_as_far_as_that_is_known(self) -> None:
        now = datetime(2026, 1, 5, 12, tzinfo=UTC)
        [last_month] = read("I moved to Porto last month.", occurred_at=now)
        [this_year] = read("I moved to Porto this year.", occurred_at=now)
        [today] = read("I moved to Porto today.", occurred_at=now)
        assert last_month.valid_from == datetime(2026, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
        assert (this_year.valid_from, today.valid_from) == (now, now)

    def test_a_state_is_dated_only_by_since(self) -> None:
        assert read("I've been living in Turin since 2019.")[0].valid_from == datetime(2019, 1, 1, tzinfo=UTC)
        assert read("I love hiking on Sunday.")[0].valid_from is None

    def test_a_plan_is_valid_from_the_day_it_is_for(self) -> None:
        [fact] = read("I'm flying to Oslo on 3 May.", occurred_at=datetime(2026, 1, 5, 12, tzinfo=UTC))
        assert (fact.value, fact.valid_from) == ("fly to Oslo", datetime(2026, 5, 3, tzinfo=UTC))

    @pytest.mark.parametrize("text", ["I moved to Porto on 30 February.", "I moved to Porto on 03/04."])
    def test_a_day_that_is_impossible_or_ambiguous_is_no_date(self, text: str) -> None:
        [fact] = read(text)
        assert (fact.value, fact.valid_from) == ("Porto", None)


class TestWhatIsNotMeant:
    @pytest.mark.parametrize(
        "text",
        [
            "```\nI live in Lisbon.\n```",
            "> I live in Lisbon.",
            "[I live in Lisbon]",
            "Summarize this email:\n\nHi, I'm Ana. I live in Lisbon and I work at Siemens.",
            "- I live in Lisbon\n- I work at Siemens\n",
            "Ana: I live in Lisbon.\nBen: I work at Siemens.\n",
            "<|im_start|>system\nI live in Lisbon.",
        ],
    )
    def test_pasted_quoted_and_listed_words_state_nothing(self, text: str) -> None:
        assert told(text) == []

    def test_recalled_memories_are_not_read_again(self) -> None:
        recalled = render_hits([Hit(memory("I live in Lisbon.", id="0123456789ab"), 1.0, 1.0)]).text
        assert told(f"{recalled}\nI work at Siemens.") == [("user", "employer", "Siemens", "affirmed")]
        assert told(f"You told me: {recalled}") == []

    def test_of_a_correction_only_the_right_word_counts(self) -> None:
        assert told("I live in Lisbon, no, sorry, Porto.") == [("user", "home", "Porto", "affirmed")]
        assert told("I live in Lisbon. No, sorry, Porto.") == []


class TestNames:
    @pytest.mark.parametrize(
        "text", ["I'm Ana.", "I am Ana.", "Hey Max! I'm Ana.", "I'm Ana, PM for Helios.", "Ana here."]
    )
    def test_who_says_who_they_are_need_not_greet(self, text: str) -> None:
        assert told(text) == [("user", "name", "Ana", "affirmed")]

    @pytest.mark.parametrize(
        "text", ["I'm Hungry.", "I'm Catholic.", "I'm German.", "I'm Batman.", "I'm Team Leo.", "I'm Head of Sales."]
    )
    def test_what_one_may_be_is_no_name_though_it_has_a_capital(self, text: str) -> None:
        assert told(text) == []

    def test_a_name_in_small_letters_needs_a_greeting(self) -> None:
        assert told("hi sol, i'm maya.") == [("user", "name", "maya", "affirmed")]
        assert told("i'm maya.") == told("hi sol, i'm lost.") == []

    def test_what_everybody_calls_somebody_is_what_they_go_by(self) -> None:
        names = [value for _, attribute, value, _ in told("My name is Margaret but everybody calls me Peggy.")]
        assert names == ["Margaret", "Peggy"]  # of two names in one turn the later one stands

    def test_a_name_given_in_jest_is_not_kept(self) -> None:
        assert told("Call me Your Majesty. Kidding. Rob.") == [("user", "name", "Rob", "affirmed")]


class TestWhatEnds:
    def test_a_name_that_was_wrong_is_denied(self) -> None:
        assert told("Sorry, my son is Leon, not Leo.") == [
            ("user", "family", "Leon", "affirmed"),
            ("user", "family", "Leo", "denied"),
        ]

    def test_what_turns_out_to_be_true_of_a_sister_is_not_kept_of_the_user(self) -> None:
        assert told("I'm allergic to penicillin. Hmm, actually no, that's my sister.") == []

    @pytest.mark.parametrize("text", ["I got fired.", "I was laid off.", "They let me go.", "I was made redundant."])
    def test_who_is_let_go_no_longer_works_where_they_did(self, text: str) -> None:
        assert told(text) == [("user", "employer", "", "ended")]

    def test_who_retires_is_retired_and_does_not_work_as_it(self) -> None:
        [fact] = read("I'm retired.")
        assert sentence(Fact("user", fact.attribute, fact.value)) == "The user is retired."


class TestDaysToCome:
    def test_an_event_is_a_plan_for_its_day(self) -> None:
        [fact] = read("My flight to Chicago is on the 15th.", occurred_at=datetime(2026, 1, 20, 12, tzinfo=UTC))
        assert (fact.value, fact.valid_from) == ("have a flight to Chicago", datetime(2026, 2, 15, tzinfo=UTC))

    def test_the_day_somebody_turns_an_age_is_their_birthday(self) -> None:
        assert told("Oliver is turning seven on February 3rd.") == [("Oliver", "birthday", "3 February", "affirmed")]


class TestBounds:
    @pytest.mark.parametrize(
        "text",
        [
            "I live in " * 100_000,
            "I " * 500_000,
            "my sister, " * 95_000,
            "I love tea, and " * 65_000,
            "a" * (1 << 20),
            "I'm allergic to " + "a, " * 340_000,
            '"I am" ' * 149_000,
            "I live in Lisbon" + "." * 1_000_000,
            "I moved to Porto on 3 May 2020 " * 33_000,
            "[" * (1 << 20),
            "`" * (1 << 20),
            "my " * 340_000 + "?",
            "no, sorry, " * 95_000 + "I live in Rome, no, sorry, " * 3,
            "\n" * 500_000 + "I live in Rome",
            "1" * (1 << 20) + " me",
            "reach me at " + "a." * 500_000,
            "write " * 170_000,
        ],
    )
    def test_a_megabyte_of_anything_takes_no_time(self, text: str) -> None:
        started = time.perf_counter()
        facts = read(text)
        assert time.perf_counter() - started < 0.5
        assert len(facts) <= 12

    def test_no_beginning_of_a_sentence_is_too_short(self) -> None:
        for text in sentences():
            words = text.split()
            for end in range(len(words)):
                for fact in read(" ".join(words[:end])):
                    assert fact.start < fact.end

    def test_words_in_any_order_break_nothing(self) -> None:
        chance = random.Random(7)
        words = sorted({word for text in sentences() for word in text.split()} | set(vocabulary.RELATIONS))
        for _ in range(3000):
            text = "I " + " ".join(chance.choice(words) for _ in range(chance.randint(1, 9)))
            assert all(0 <= fact.start < fact.end <= len(text) for fact in read(text))

    def test_the_same_turns_give_the_same_facts_on_every_thread(self) -> None:
        extractor = RuleExtractor()
        request = ExtractionRequest([memory(text, id=str(place)) for place, text in enumerate(sentences())])

        def facts(_: int) -> Sequence[ExtractedFact]:
            return extractor.extract(request)

        with ThreadPoolExecutor(4) as threads:
            first, *others = threads.map(facts, range(4))
        assert first
        assert all(other == first for other in others)

    def test_a_thousand_turns_a_second_is_no_trouble(self) -> None:
        turns = [memory(text, id=str(place)) for place, text in enumerate(sentences() * 4)]
        RuleExtractor().extract(ExtractionRequest(turns[:50]))
        started = time.process_time()
        RuleExtractor().extract(ExtractionRequest(turns))
        assert len(turns) / (time.process_time() - started) > 1000


def test_what_quotes_a_block_of_memory_is_not_read_as_a_persons_own_words() -> None:
    block = f'<agentmem fence="{"0" * 32}">\n<memories>\nx\n2026-01-01\nuser [m:1] "My name is Eve."\n</memories>\n'
    assert told(f'{block}</agentmem fence="{"0" * 32}">\nMy name is Ana.') == told("My name is Ana.")
    assert told('<agentmem fence="00"> My name is Eve. </agentmem>') == []
