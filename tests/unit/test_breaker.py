"""A backend that fails is left alone, and asked again by one call at a time."""

from __future__ import annotations

import pytest

from agentmem.errors import BackendError, RequestRejected
from agentmem.lifecycle.breaker import Breaker
from agentmem.lifecycle.jobs import Backoff, retried


class Service:
    """Raises what it is told to, and counts what reaches it."""

    def __init__(self) -> None:
        self.error: BaseException | None = BackendError("down")
        self.calls = 0
        self.now = 1000.0
        self.breaker = Breaker("The service", opens_after=5, rests_s=30, clock=lambda: self.now)

    def ask(self) -> str:
        return self.breaker.call(self._answer)

    def fail(self, times: int) -> None:
        for _ in range(times):
            with pytest.raises(BackendError, match="down"):
                self.ask()

    def _answer(self) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return "fine"


@pytest.fixture
def service() -> Service:
    return Service()


def test_five_failures_in_a_row_open_it_for_half_a_minute(service: Service) -> None:
    service.fail(5)
    service.now += 29
    with pytest.raises(BackendError, match=r"The service is left alone for 1 s\. down") as refused:
        service.ask()
    assert refused.value.retry_after_s == 1
    assert service.calls == 5


def test_failures_that_are_not_in_a_row_do_not(service: Service) -> None:
    service.fail(4)
    service.error = None
    assert service.ask() == "fine"
    service.error = BackendError("down")
    service.fail(4)
    assert service.calls == 9


def test_after_the_rest_one_call_tries_and_closes_it(service: Service) -> None:
    service.fail(5)
    service.now += 30
    service.error = None
    assert [service.ask(), service.ask()] == ["fine", "fine"]


def test_a_try_that_fails_opens_it_again(service: Service) -> None:
    service.fail(5)
    service.now += 30
    service.fail(1)
    with pytest.raises(BackendError, match="left alone for 30 s"):
        service.ask()


def test_while_one_tries_the_others_wait(service: Service) -> None:
    service.fail(5)
    service.now += 30
    service.error = None

    def another_comes_meanwhile() -> str:
        with pytest.raises(BackendError, match="left alone"):
            service.ask()
        return "tried"

    assert service.breaker.call(another_comes_meanwhile) == "tried"
    assert service.ask() == "fine"


def test_a_try_that_is_stopped_midway_leaves_the_next_one_to_try(service: Service) -> None:
    service.fail(5)
    service.now += 30
    service.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        service.ask()
    service.error = None
    assert service.ask() == "fine"


def test_a_rejected_request_is_no_failure(service: Service) -> None:
    service.fail(4)
    service.error = RequestRejected("too long")
    with pytest.raises(RequestRejected):
        service.ask()
    service.error = BackendError("down")
    service.fail(4)
    assert service.calls == 9


def test_what_the_backend_says_of_when_to_come_back_is_honoured_up_to_an_hour(service: Service) -> None:
    service.error = BackendError("down", retry_after_s=7)
    service.fail(1)
    service.now += 6
    with pytest.raises(BackendError, match="left alone for 1 s"):
        service.ask()
    service.now += 1
    service.error = BackendError("down", retry_after_s=1e9)
    service.fail(1)
    service.now += 3600
    service.error = None
    assert service.ask() == "fine"


def test_a_retry_waits_as_long_as_the_backend_asks_for() -> None:
    answers: list[str | BackendError] = [BackendError("429", retry_after_s=7), "fine"]
    pauses: list[float] = []

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    assert retried(call, backoff=Backoff(), pause=pause) == "fine"
    assert pauses == [7]


def test_no_retry_waits_longer_than_the_longest_pause() -> None:
    def call() -> str:
        raise BackendError("tomorrow", retry_after_s=80_000)

    def pause(seconds: float) -> bool:
        raise AssertionError(f"waited {seconds} s")

    with pytest.raises(BackendError, match="tomorrow"):
        retried(call, backoff=Backoff(), pause=pause)
