from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.tokens import EstimatedCounter

ESTIMATE = EstimatedCounter()

KNOWN = {
    # Counted by o200k_base.
    "I moved to Lisbon in May, and my dog Rex came along on the plane.": 17,
    "我五月份搬到了里斯本，我的狗雷克斯也跟着我一起坐飞机过来了。": 24,
    "В мае я переехала в Лиссабон, и мой пёс Рекс прилетел вместе со мной.": 24,
    "En mayo me mudé a Lisboa y mi perro Rex vino conmigo en el avión.": 17,
    '[{"id": 1, "name": "user_1", "at": "2026-11-01T09:15:00Z", "amount": 137.25, "ok": true}]': 46,
}


@pytest.mark.parametrize(("text", "tokens"), KNOWN.items())
def test_it_is_near_the_true_count(text: str, tokens: int) -> None:
    assert ESTIMATE.count(text) == pytest.approx(tokens, rel=0.2)


def test_it_says_that_it_is_an_estimate() -> None:
    assert not ESTIMATE.is_exact
    assert ESTIMATE.name.startswith("estimate")


def test_nothing_costs_nothing_and_anything_something() -> None:
    assert ESTIMATE.count("") == 0
    assert all(ESTIMATE.count(text) >= 1 for text in (" ", "\n", "é", "\u200b", "🙂", "記"))


@given(st.text())
def test_any_text_has_a_count_that_its_length_bounds(text: str) -> None:
    assert (0 if text == "" else 1) <= ESTIMATE.count(text) <= max(len(text), 0)


@given(st.text(), st.text())
def test_two_texts_cost_about_what_they_cost_together(one: str, other: str) -> None:
    assert abs(ESTIMATE.count(one + " " + other) - ESTIMATE.count(one) - ESTIMATE.count(other)) <= 2


def test_a_short_text_takes_microseconds() -> None:
    text = "I moved to Lisbon in May, and my dog Rex came along on the plane."
    best = min(_seconds(text) for _ in range(5)) / 2_000
    # 2.5 microseconds on a quiet machine; a crowded one gets a wide berth.
    assert best < 20e-6


def _seconds(text: str) -> float:
    started = time.process_time()
    for _ in range(2_000):
        ESTIMATE.count(text)
    return time.process_time() - started
