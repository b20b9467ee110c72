"""Threads, but no I/O: the jobs here count, wait or fail on cue."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agentmem.errors import BackendError
from agentmem.lifecycle import jobs
from agentmem.lifecycle.jobs import Backoff, Pause, Stopped, Worker, retried


class Counting:
    """Does nothing but count its runs, after calling ``act``."""

    def __init__(self, act: Callable[[Pause], bool] = lambda _: True, *, is_needed: bool = True) -> None:
        self.is_needed = is_needed
        self.runs = 0
        self.forks = 0
        self._act = act

    def run(self, pause: Pause) -> bool:
        self.runs += 1
        return self._act(pause)

    def after_fork(self) -> None:
        self.forks += 1


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "agentmem-worker"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(jobs, "_CALM_S", 0.01)
    monkeypatch.setattr(jobs, "_LINGER_S", 0.05)
    monkeypatch.setattr(jobs, "_RETRY_S", 0.05)
    monkeypatch.setattr(jobs, "_GLANCE_S", 0.01)
    yield
    assert soon(lambda: not workers()), "a worker's thread outlived its test"


def soon(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.005)
    return holds()


def test_no_thread_before_it_is_woken() -> None:
    worker = Worker(Counting())
    assert not workers()
    worker.close()
    assert not workers()


def test_no_thread_for_a_job_that_is_never_needed() -> None:
    job = Counting(is_needed=False)
    worker = Worker(job)
    worker.wake()
    assert worker.flush(0)
    assert not workers()
    assert job.runs == 0
    worker.close()


def test_it_begins_when_those_who_wake_it_are_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_CALM_S", 0.1)
    job = Counting()
    worker = Worker(job)
    for _ in range(20):
        worker.wake()
        time.sleep(0.01)
        assert job.runs == 0
    assert soon(lambda: job.runs == 1)
    worker.close()


def test_it_begins_in_the_end_where_nobody_is_ever_calm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_CALM_S", 5)
    monkeypatch.setattr(jobs, "_PATIENCE_S", 0.05)
    job = Counting()
    worker = Worker(job)
    worker.wake()
    assert soon(lambda: job.runs == 1)
    worker.close()


def test_it_hurries_for_whoever_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_CALM_S", 60)
    monkeypatch.setattr(jobs, "_PATIENCE_S", 60)
    job = Counting(lambda pause: not pause(0))
    worker = Worker(job)
    worker.wake()
    time.sleep(0.02)
    assert worker.flush(5)
    assert job.runs == 1
    worker.wake()
    worker.close(5)
    assert job.runs == 2


def test_a_job_gives_way_between_its_steps_to_those_who_are_not_calm() -> None:
    times: list[float] = []

    def step_by_step(pause: Pause) -> bool:
        for _ in range(5):
            worker.wake()
            times.append(time.monotonic())
            pause(0)
        return True

    worker = Worker(Counting(step_by_step))
    worker.wake()
    assert soon(lambda: len(times) >= 5)
    assert all(after - before >= 0.009 for before, after in itertools.pairwise(times[:5]))
    worker.close()


def test_one_thread_runs_the_job_and_is_gone_when_there_is_nothing_to_do() -> None:
    job = Counting()
    worker = Worker(job)
    for _ in range(20):
        worker.wake()
    assert len(workers()) == 1
    assert not workers()[0].daemon
    assert soon(lambda: not workers())
    assert 1 <= job.runs <= 20
    before = job.runs
    worker.wake()
    assert soon(lambda: job.runs == before + 1)
    worker.close()


def test_flush_waits_for_what_was_asked_before() -> None:
    seen: list[int] = []
    stored = 0

    def act(_: Pause) -> bool:
        found = stored
        time.sleep(0.02)
        seen.append(found)
        return True

    worker = Worker(Counting(act))
    for stored in range(1, 6):
        worker.wake()
        assert worker.flush(5)
        assert seen[-1] == stored
    worker.close()


def test_flush_gives_up_in_time() -> None:
    release = threading.Event()
    worker = Worker(Counting(lambda _: release.wait(5)))
    started = time.monotonic()
    assert not worker.flush(0.05)
    assert time.monotonic() - started < 2
    release.set()
    assert worker.flush(5)
    worker.close()


def test_a_job_that_could_not_finish_says_so_and_is_run_again_on_its_own() -> None:
    broken = True

    def act(_: Pause) -> bool:
        if broken:
            raise BackendError("down")
        return True

    job = Counting(act)
    worker = Worker(job)
    assert not worker.flush(5)
    runs = job.runs
    assert soon(lambda: job.runs > runs)
    broken = False
    assert soon(lambda: not workers())
    assert worker.flush(5)
    worker.close()


def test_close_lets_the_work_finish() -> None:
    done: list[bool] = []

    def act(_: Pause) -> bool:
        time.sleep(0.1)
        done.append(True)
        return True

    worker = Worker(Counting(act))
    worker.wake()
    worker.close()
    assert done
    assert not workers()
    worker.close()


def test_close_ends_a_pause_at_once() -> None:
    def act(pause: Pause) -> bool:
        if pause(60):
            raise Stopped
        return True

    worker = Worker(Counting(act))
    worker.wake()
    started = time.monotonic()
    worker.close(timeout_s=0.05)
    assert time.monotonic() - started < 2
    assert not worker.flush(1), "nothing was done, and a closed worker says so"


def test_wakes_are_never_lost_among_many_threads() -> None:
    stored = 0
    seen = 0
    lock = threading.Lock()

    def act(_: Pause) -> bool:
        nonlocal seen
        with lock:
            seen = stored
        return True

    worker = Worker(Counting(act))

    def store() -> None:
        nonlocal stored
        for number in range(200):
            with lock:
                stored += 1
            worker.wake()
            if number % 50 == 0:
                # Long enough for the thread to leave, so that waking meets leaving.
                time.sleep(0.05)

    threads = [threading.Thread(target=store) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert soon(lambda: seen == stored == 800)
    assert len(workers()) <= 1
    worker.close()


def test_a_forked_child_starts_clean_and_works() -> None:
    release = threading.Event()
    job = Counting(lambda _: release.wait(5))
    worker = Worker(job)
    worker.wake()
    assert soon(lambda: job.runs == 1)
    child = os.fork()
    if child == 0:
        release.set()
        worked = worker.flush(5) and job.forks == 1
        worker.close()
        os._exit(0 if worked else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert job.forks == 0
    release.set()
    worker.close()


def test_a_program_that_never_closes_it_ends_all_the_same() -> None:
    script = """
from agentmem.errors import BackendError
from agentmem.lifecycle.jobs import Worker

class Job:
    is_needed = True
    def run(self, pause):
        pause(3600)
        raise BackendError("down")
    def after_fork(self): ...

Worker(Job()).wake()
worker = Worker(Job())
worker.wake()
print("main ends")
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(jobs.__file__).parents[2])}
    started = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=30)
    assert (done.returncode, done.stdout, done.stderr) == (0, "main ends\n", "")
    assert time.monotonic() - started < 10


def test_a_call_is_tried_again_until_it_works() -> None:
    answers: list[str | BackendError] = [BackendError("429"), BackendError("500"), "fine"]
    pauses: list[float] = []

    def call() -> str:
        answer = answers.pop(0)
        if isinstance(answer, BackendError):
            raise answer
        return answer

    def pause(seconds: float) -> bool:
        pauses.append(seconds)
        return False

    assert retried(call, backoff=Backoff(tries=5, first_s=1), pause=pause) == "fine"
    assert 0.5 <= pauses[0] <= 1 <= pauses[1] <= 2


def test_tries_are_bounded_and_pauses_too() -> None:
    calls: list[None] = []

    def call() -> None:
        calls.append(None)
        raise BackendError("down")

    with pytest.raises(BackendError):
        retried(call, backoff=Backoff(tries=4), pause=lambda _: False)
    assert len(calls) == 4
    with pytest.raises(Stopped):
        retried(call, backoff=Backoff(tries=4), pause=lambda _: True)
    assert len(calls) == 5
    assert max(Backoff(tries=40, longest_s=20).pauses()) <= 20
