"""Confidence: bounded, rising with evidence, low when nothing fits."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.retrieval.confidence import Evidence, of_answer, of_hits

unit = st.floats(0, 1, width=32)


def evidence(coverage: float, fit: float, cosine: float | None, *, lead: float = 1.0, size: int = 500) -> Evidence:
    nearness = None if cosine is None else np.float32([cosine])
    return Evidence(np.float32([coverage]), np.float32([fit]), np.float32([lead]), nearness, size)


@given(unit, unit, st.none() | unit)
def test_a_probability_is_one(coverage: float, fit: float, cosine: float | None) -> None:
    given_evidence = evidence(coverage, fit, cosine)
    assert 0 < of_hits(given_evidence)[0] < 1
    assert 0 < of_answer(given_evidence) < 1


@given(unit, unit, unit, st.floats(0.01, 0.5))
def test_more_evidence_is_more_confidence(coverage: float, fit: float, cosine: float, more: float) -> None:
    base = of_hits(evidence(coverage, fit, cosine))[0]
    for stronger in ((coverage + more, fit, cosine), (coverage, fit + more, cosine), (coverage, fit, cosine + more)):
        assert of_hits(evidence(*stronger))[0] > base


@pytest.mark.parametrize("cosine", [None, 0.1])
def test_nothing_fitting_is_low_and_everything_fitting_is_high(cosine: float | None) -> None:
    assert of_answer(evidence(0.1, 0.05, cosine)) < 0.05
    assert of_answer(evidence(1.0, 0.7, None if cosine is None else 0.8)) > 0.9


def test_the_same_evidence_says_more_among_few_memories() -> None:
    for cosine in (None, 0.3):
        few, many = evidence(0.5, 0.2, cosine, size=3), evidence(0.5, 0.2, cosine, size=5_000)
        assert of_answer(few) > of_answer(many)
        assert of_hits(few)[0] > of_hits(many)[0]


def test_who_fits_best_is_surer_than_who_fits_as_well_behind_a_better_one() -> None:
    assert of_hits(evidence(0.5, 0.2, 0.3, lead=1.0))[0] > of_hits(evidence(0.5, 0.2, 0.3, lead=0.4))[0]


def test_an_answer_takes_the_strongest_evidence_of_each_kind() -> None:
    one = Evidence(np.float32([0.9, 0.1]), np.float32([0.1, 0.5]), np.float32([0.2, 1.0]), np.float32([0.0, 0.6]), 20)
    assert of_answer(one) == of_answer(evidence(0.9, 0.5, 0.6, size=20))


def test_no_hit_is_no_confidence() -> None:
    nothing = np.zeros(0, np.float32)
    assert of_answer(Evidence(nothing, nothing, nothing, nothing, 0)) == 0.0
