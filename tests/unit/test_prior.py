"""What is known before the question moves a score by a bounded share, and decides only between near equals."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.errors import ConfigError
from agentmem.retrieval.options import RetrievalOptions
from agentmem.retrieval.prior import prior, share

known = st.fixed_dictionaries(
    {
        "importance": st.just(float("nan")) | st.floats(0, 1),
        "outcome": st.floats(-1, 1),
        "accesses": st.integers(0, 1 << 40),
        "arousal": st.floats(0, 1),
    }
)
NOTHING: dict[str, float] = {"importance": float("nan"), "outcome": 0.0, "accesses": 0, "arousal": 0.0}


def prior_of(**fields: float) -> float:
    columns: dict[str, Any] = {name: np.array([value]) for name, value in (NOTHING | fields).items()}
    return float(prior(**columns)[0])


def test_what_is_unknown_or_ordinary_stays_where_it_is() -> None:
    assert prior_of() == 0
    for importance in (0.2, 0.35, 0.5):
        assert prior_of(importance=importance, arousal=importance) == 0


@given(known)
def test_a_prior_stays_within_its_bounds(fields: dict[str, float]) -> None:
    assert -1 <= prior_of(**fields) <= 1


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("importance", [0.0, 0.1, 0.4, 0.8, 1.0]),
        ("outcome", [-1.0, -0.3, 0.0, 0.3, 1.0]),
        ("accesses", [0, 1, 3, 10, 100]),
        ("arousal", [0.3, 0.6, 1.0]),
    ],
)
def test_more_of_each_lifts_more(name: str, values: list[float]) -> None:
    assert all(prior_of(**{name: low}) < prior_of(**{name: high}) for low, high in pairwise(values))


def test_the_first_uses_say_more_than_later_ones_and_a_thousand_no_more_than_a_hundred() -> None:
    assert prior_of(accesses=10) - prior_of(accesses=0) > prior_of(accesses=20) - prior_of(accesses=10)
    assert prior_of(accesses=1000) == prior_of(accesses=100)


@given(st.lists(st.tuples(st.floats(0, 10, width=32), known), min_size=1, max_size=30), st.floats(0, 0.9))
def test_nothing_overtakes_what_scores_beyond_the_bound(
    memories: list[tuple[float, dict[str, float]]], weight: float
) -> None:
    scores = np.array([score for score, _ in memories], np.float32)
    columns: dict[str, Any] = {name: np.array([fields[name] for _, fields in memories]) for name in NOTHING}
    moved = scores + share(scores, prior(**columns), weight)
    assert (np.abs(moved - scores) <= weight * scores * (1 + 1e-6) + 1e-30).all()
    bound = (1 + weight) / (1 - weight) * (1 + 1e-5)
    for score, own in zip(scores, moved, strict=True):
        assert (moved[scores > score * bound] >= own).all()


def test_a_weight_under_which_scores_could_sink_below_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"retrieval\.prior must be at most 1"):
        RetrievalOptions(prior=1.5)
    with pytest.raises(ConfigError, match=r"retrieval\.count_accesses must be true or false"):
        RetrievalOptions(count_accesses=1)  # type: ignore[arg-type]  # as YAML could say it
