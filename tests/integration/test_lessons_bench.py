"""The bench of lessons in short: who looks for lessons fails less often again, even with false ones among them."""

from __future__ import annotations

from bench.lessons import families, figures, habits_only


def test_lessons_keep_an_agent_from_failing_again_and_feedback_from_being_misled() -> None:
    met = families(1)
    assert len(met) >= 30
    found = figures(met, rounds=6, seed=1)
    assert found["without_repeated_failures"] > 0.3
    assert found["repeated_failures"] < found["without_repeated_failures"] / 2
    assert found["misled_repeated_failures"] < found["misled_without_feedback_repeated_failures"]
    assert found["success_last_round"] > 2 * found["without_success_last_round"]


def test_the_same_seed_gives_the_same_suite_and_the_same_figures() -> None:
    assert families(5) == families(5) != families(6)
    assert habits_only(families(5), rounds=3, seed=5) == habits_only(families(5), rounds=3, seed=5)
