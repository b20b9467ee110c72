"""What a language model may cost, per day and in total."""

from __future__ import annotations

from pathlib import Path

import pytest

from agentmem.errors import BackendError, ConfigError
from agentmem.lifecycle.budget import Budget, Spending
from agentmem.testing import FrozenClock


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (Budget(calls_per_day=1), "1 calls a day is used up until 2026-01-06 00:00 UTC"),
        (Budget(tokens_per_day=500), "500 tokens a day is used up until 2026-01-06 00:00 UTC"),
        (Budget(calls=1), "1 calls is used up for good"),
        (Budget(tokens=500), "500 tokens is used up for good"),
    ],
)
def test_a_budget_that_is_used_up_says_so_and_until_when(clock: FrozenClock, budget: Budget, said: str) -> None:
    spending = Spending("The extractor", budget, clock=clock)
    spending.require()
    spending.add(calls=1, tokens=600)
    with pytest.raises(BackendError, match=said) as used_up:
        spending.require()
    assert used_up.value.retry_after_s == 12 * 3600


def test_a_new_day_has_a_budget_of_its_own_and_the_total_has_none(clock: FrozenClock) -> None:
    daily = Spending("The extractor", Budget(calls_per_day=1), clock=clock)
    total = Spending("The extractor", Budget(calls=1), clock=clock)
    for spending in (daily, total):
        spending.add(calls=1)
    clock.advance(days=1)
    daily.require()
    with pytest.raises(BackendError):
        total.require()


def test_a_clock_that_goes_back_gives_no_new_budget(clock: FrozenClock) -> None:
    spending = Spending("The extractor", Budget(calls_per_day=1), clock=clock)
    spending.add(calls=1)
    clock.advance(days=-3)
    with pytest.raises(BackendError):
        spending.require()


def test_no_limit_is_none(clock: FrozenClock) -> None:
    spending = Spending("The extractor", Budget(None, None, None, None), clock=clock)
    spending.add(calls=10**9, tokens=10**12)
    spending.require()


def test_nothing_may_be_spent_of_a_budget_of_zero(clock: FrozenClock) -> None:
    with pytest.raises(BackendError):
        Spending("The extractor", Budget(calls=0), clock=clock).require()


def test_a_file_keeps_the_count_between_runs(tmp_path: Path, clock: FrozenClock) -> None:
    file = tmp_path / "spent.json"
    Spending("The extractor", Budget(calls=2), clock=clock, file=file).add(calls=1, tokens=5)
    again = Spending("The extractor", Budget(calls=2), clock=clock, file=file)
    again.require()
    again.add(calls=1)
    with pytest.raises(BackendError):
        Spending("The extractor", Budget(calls=2), clock=clock, file=file).require()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"dollars": 5}', '{"day": "", "calls": "many"}', "null"])
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, clock: FrozenClock, text: str) -> None:
    file = tmp_path / "spent.json"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"spent\.json"):
        Spending("The extractor", Budget(), clock=clock, file=file)


def test_a_limit_below_zero_is_refused() -> None:
    with pytest.raises(ConfigError, match="tokens_per_day"):
        Budget(tokens_per_day=-1)
