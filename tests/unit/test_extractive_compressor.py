from __future__ import annotations

import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem.compressors.extractive import ExtractiveCompressor
from agentmem.interfaces import CompressedLine, CompressionRequest
from agentmem.records import Fact, Memory, Role
from agentmem.testing.fakes import A_MONDAY, memory
from agentmem.tokens import EstimatedCounter

COUNTER = EstimatedCounter()
COMPRESSOR = ExtractiveCompressor(tokens=COUNTER)


def said(*turns: tuple[Role, str], speaker: str | None = None) -> list[Memory]:
    return [
        memory(text, id=f"t{place}", role=role, speaker=speaker, occurred_at=A_MONDAY + timedelta(minutes=place))
        for place, (role, text) in enumerate(turns)
    ]


def compress(memories: list[Memory], max_tokens: int) -> list[CompressedLine]:
    return list(COMPRESSOR.compress(CompressionRequest(memories, max_tokens)))


def cited(lines: list[CompressedLine]) -> list[str]:
    return [id for line in lines for id in line.derived_from]


TALK = said(
    ("user", "Hey! Good to see you. How have you been?"),
    ("assistant", "Great to see you too! What is new with you?"),
    ("user", "I moved to Lisbon on 3 May with my sister Marta. We are so happy."),
    ("assistant", "Wow, that's awesome! You must be thrilled. Moving is always an adventure."),
    ("user", "Thanks! By the way, I am allergic to peanuts."),
    ("assistant", "Good to know! Anything else?"),
    ("user", "Please remind me of the appointment with Dr. Sousa on Friday at 9."),
    ("assistant", "Sure, will do! Take care. See you soon!"),
)


def test_facts_and_commitments_survive_and_courtesies_go() -> None:
    text = "\n".join(line.text for line in compress(TALK, 60))
    for kept in ("Lisbon", "peanuts", "Dr. Sousa on Friday at 9"):
        assert kept in text
    for gone in ("Hey!", "Wow", "Good to see you", "What is new"):
        assert gone not in text


def test_lines_are_in_order_say_who_spoke_and_cite_their_turn() -> None:
    lines = compress(TALK, 60)
    assert cited(lines) == sorted(cited(lines))
    by_id = {each.id: each for each in TALK}
    for line in lines:
        [id] = line.derived_from
        assert line.text.startswith(f"{by_id[id].role}: ")
    [named] = compress(said(("user", "I moved to Porto."), speaker="Ana"), 60)
    assert named.text == "Ana: I moved to Porto."


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.one_of(st.text(max_size=80), st.text("ab. ?!\n", max_size=80), st.just(TALK[2].content)), max_size=8),
    st.integers(1, 120),
)
def test_every_word_was_said_and_the_budget_holds(texts: list[str], max_tokens: int) -> None:
    memories = said(*(("user", text) for text in texts))
    lines = compress(memories, max_tokens)
    assert COUNTER.count("\n".join(line.text for line in lines)) <= max_tokens
    contents = {each.id: each.content.split() for each in memories}
    for line in lines:
        [id] = line.derived_from
        kept = line.text.removeprefix("user: ").split()
        assert kept
        remaining = iter(contents[id])
        assert all(word in remaining for word in kept), "the words of its turn, in its order"
    assert len(set(cited(lines))) == len(lines)
    assert compress(memories, max_tokens) == lines


def test_a_budget_that_holds_all_keeps_all() -> None:
    lines = compress(TALK, 10_000)
    assert [line.text.split(": ", 1)[1] for line in lines] == [each.content for each in TALK]


def test_what_was_said_already_is_not_said_again() -> None:
    same = "I work as a nurse at the harbour hospital."
    other = "My brother repairs violins in Cremona."
    lines = compress(said(("user", same), ("user", same), ("user", other)), COUNTER.count(same + other) + 8)
    assert sorted(line.text for line in lines) == sorted([f"user: {other}", f"user: {same}"])


def test_the_users_words_go_before_the_assistants() -> None:
    text = "The wooden boat sails to Madeira in June."
    [line] = compress(said(("assistant", text), ("user", text.replace("wooden", "copper"))), COUNTER.count(text) + 4)
    assert "copper" in line.text


def test_an_answer_goes_before_the_same_words_unasked() -> None:
    memories = said(("user", "Seven green kayaks."), ("assistant", "Which ones?"), ("user", "Nine green canoes."))
    [line] = compress(memories, 7)
    assert line.derived_from == ("t2",)


def test_speech_without_stops_is_cut_at_words() -> None:
    breath = " ".join(f"then we drove {n} miles to the next village" for n in range(200))
    [line] = compress(said(("user", breath)), 120)
    assert 60 <= COUNTER.count(line.text) <= 120
    assert set(line.text.removeprefix("user: ").split()) <= set(breath.split())


def test_a_long_session_takes_no_longer_than_it_must() -> None:
    memories = said(
        *(("user", f"On day {n} I met person{n} in town{n % 50}. It was nice. We ate fish.") for n in range(2_000))
    )
    started = time.process_time()
    lines = compress(memories, 2_000)
    # 0.2 s on a quiet machine; what is quadratic takes much longer.
    assert time.process_time() - started < 4
    assert len(lines) > 50


@pytest.mark.parametrize("text", ["", " \n ", "?!", "\u200b"])
def test_what_tells_nothing_harms_nothing(text: str) -> None:
    assert "t1" in cited(compress(said(("user", text), ("user", "I moved to Porto.")), 20))


def test_a_sentence_that_a_fact_was_read_from_goes_before_its_like() -> None:
    memories = said(("user", "The copper boat is fast."), ("user", "The wooden boat is slow."))
    fact = memory(
        "The user's boat is slow.",
        kind="fact",
        derived_from=("t1",),
        fact=Fact("user", "belonging", "wooden boat", span=(4, 15)),
    )
    budget = COUNTER.count("user: The wooden boat is slow.") + 2
    [without] = compress(memories, budget)
    [line] = COMPRESSOR.compress(CompressionRequest(memories, budget, [fact]))
    assert (without.derived_from, line.derived_from) == (("t0",), ("t1",))
