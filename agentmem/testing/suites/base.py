"""What every suite shares: its discipline, and work done by many threads at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

import pytest

from agentmem.errors import AgentMemError

T = TypeVar("T")


class Suite:
    """The promises of one role. A subclass gives the fixtures and may add tests, never take one away."""

    def test_no_promise_was_overridden(self) -> None:
        """A promise may only be missed openly: marked ``xfail`` with a reason."""
        missed = overridden_promises(type(self))
        assert not missed, f"Overridden without @pytest.mark.xfail(reason=…): {', '.join(missed)}"


def overridden_promises(suite: type) -> list[str]:
    """The suite's tests that a subclass replaced or removed without an ``xfail`` that says why."""
    ours = [cls for cls in suite.__mro__ if cls.__module__.startswith("agentmem.testing.")]
    promised = {name for cls in ours for name in vars(cls) if name.startswith("test_")}
    return sorted(
        f"{cls.__name__}.{name}"
        for cls in suite.__mro__
        if cls not in ours
        for name, test in vars(cls).items()
        if name in promised and not _is_expected_to_fail(test)
    )


def _is_expected_to_fail(test: Any) -> bool:
    return any(mark.name == "xfail" and mark.kwargs.get("reason") for mark in getattr(test, "pytestmark", []))


def fixture_missing(name: str, what: str) -> NoReturn:
    """For a fixture that a subclass must give."""
    raise NotImplementedError(f"Give your test class a fixture {name!r}: {what}")


def in_threads(work: Callable[[int], T], count: int) -> list[T | AgentMemError]:
    """``work(0) … work(count - 1)``, all started at one moment; what each returned or raised, in that order."""
    start = threading.Barrier(count)

    def run(number: int) -> T | AgentMemError:
        start.wait(timeout=30)
        try:
            return work(number)
        except AgentMemError as error:
            return error

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


ODD_TEXTS = [
    pytest.param("Grüße aus Köln, naïve café", id="accents"),
    pytest.param("明日は東京で会議があります。記憶", id="japanese"),
    pytest.param("مرحبا بالعالم \u202egnirts\u202c", id="arabic and bidi control"),
    pytest.param("👩‍👩‍👧‍👦 🏳️‍🌈 🇵🇹", id="emoji"),
    pytest.param("e\u0301 is not \u00e9", id="combining"),
    pytest.param("zero\u200bwidth\ufeff", id="zero width"),
    pytest.param("\ttabs\r\nand\nlines\x07\x1b[31m", id="control characters"),
    pytest.param("'; DROP TABLE memories; -- %s {} \\ \" $1 :name ?", id="looks like SQL"),
    pytest.param("\U0010fffd\ue000", id="private use"),
    pytest.param("   ", id="spaces"),
    pytest.param("a" * 300, id="one long word"),
]
