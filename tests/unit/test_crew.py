"""Threads of wrapped clients: reused, bounded, with the caller's context."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextvars import ContextVar

import pytest

from agentmem.clients.crew import Crew
from agentmem.errors import BackendError, StoreBusy


@pytest.fixture
def released() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_one_thread_after_another_is_one_thread() -> None:
    crew = Crew(4)
    assert len({crew.start(threading.get_ident).result() for _ in range(50)}) == 1


def test_work_at_the_same_time_has_threads_of_its_own() -> None:
    crew, together = Crew(4), threading.Barrier(4)

    def meet() -> int:
        together.wait(10)
        return threading.get_ident()

    assert len({each.result(10) for each in [crew.start(meet) for _ in range(4)]}) == 4


def test_with_everyone_at_work_more_is_refused_at_once(released: threading.Event) -> None:
    crew = Crew(2)
    stuck = [crew.start(released.wait) for _ in range(2)]
    with pytest.raises(StoreBusy):
        crew.start(int)
    released.set()
    wait(stuck, 10)
    assert crew.start(int).result(10) == 0


def test_what_fails_is_handed_to_whoever_waits() -> None:
    crew = Crew(1)
    with pytest.raises(ZeroDivisionError):
        crew.start(lambda: 1 / 0).result(10)
    assert crew.start(int).result(10) == 0


def test_work_sees_the_context_of_its_caller() -> None:
    crew = Crew(1)
    name: ContextVar[str] = ContextVar("name")
    for each in ("ana", "ben"):
        name.set(each)
        assert crew.start(name.get).result(10) == each


def test_threads_go_when_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentmem.clients.crew._LINGER_S", 0.01)
    crew = Crew(1)
    thread = crew.start(threading.current_thread).result(10)
    thread.join(10)
    assert not thread.is_alive()
    assert crew.start(int).result(10) == 0


def test_work_that_finds_everyone_busy_waits_in_line(released: threading.Event) -> None:
    crew = Crew(1, line=2)
    busy = crew.start(released.wait)
    waiting = [crew.start(lambda place=place: place) for place in range(2)]
    with pytest.raises(StoreBusy):
        crew.start(int)
    released.set()
    assert busy.result(10)
    assert [each.result(10) for each in waiting] == [0, 1]


def test_work_that_was_given_up_while_it_waited_is_not_done_and_makes_room(released: threading.Event) -> None:
    crew, done = Crew(1, line=1), []
    crew.start(released.wait)
    given_up = crew.start(lambda: done.append("given up"))
    assert given_up.cancel()
    later = crew.start(lambda: done.append("later"))
    released.set()
    later.result(10)
    assert done == ["later"]
    assert crew.start(int).result(10) == 0


def test_nobody_waits_behind_those_who_are_stuck(released: threading.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agentmem.clients.crew._STUCK_S", 0.02)
    crew = Crew(1, line=5)
    crew.start(released.wait)
    crew.start(int)
    time.sleep(0.05)
    with pytest.raises(StoreBusy):
        crew.start(int)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), asyncio.CancelledError()])
def test_what_would_end_the_thread_is_an_exception_to_whoever_waits(error: BaseException) -> None:
    def break_off() -> None:
        raise error

    crew = Crew(1)
    with pytest.raises(BackendError, match=type(error).__name__):
        crew.start(break_off).result(10)
    assert crew.start(int).result(10) == 0
