"""What a language model may cost: calls and tokens, per day and in total."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

from agentmem.clock import Clock
from agentmem.errors import BackendError, ConfigError


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent; None = without limit. A day is one of UTC.

    A call that has begun is paid for, so the last of a day may go over ``tokens_per_day``, and the last of all over
    ``tokens``.
    """

    calls_per_day: int | None = 1_000
    tokens_per_day: int | None = 2_000_000
    calls: int | None = None
    tokens: int | None = None

    # Read by pydantic, which checks what YAML says: an unknown limit must not pass for none.
    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    def __post_init__(self) -> None:
        for name, limit in asdict(self).items():
            if limit is not None and limit < 0:
                raise ConfigError(f"budget.{name} must be 0 or more, or null for no limit.")


@dataclass(slots=True)
class _Spent:
    day: str = ""
    calls_per_day: int = 0
    tokens_per_day: int = 0
    calls: int = 0
    tokens: int = 0


class Spending:
    """Keeps count of what was spent, and says when the budget is used up.

    Args:
        who: Whose budget it is, for messages.
        file: Keeps the count between runs, of one process at a time; unset = each run counts for itself.

    Raises:
        ConfigError: the file holds something else.
    """

    def __init__(self, who: str, budget: Budget, *, clock: Clock, file: Path | None = None) -> None:
        self._who = who
        self._budget = budget
        self._clock = clock
        self._file = file
        self._lock = threading.Lock()
        self._spent = _read(file) if file is not None and file.exists() else _Spent()

    def require(self) -> None:
        """Pass if a call may be made.

        Raises:
            BackendError: the budget is used up; ``retry_after_s`` says for how long.
        """
        with self._lock:
            now = self._today()
            for name, limit in asdict(self._budget).items():
                if limit is None or getattr(self._spent, name) < limit:
                    continue
                tomorrow = datetime.combine(now.date() + timedelta(1), time(), UTC)
                until = f"until {tomorrow:%Y-%m-%d} 00:00 UTC" if name.endswith("_per_day") else "for good"
                raise BackendError(
                    f"{self._who}: the budget of {limit:,} {name.replace('_per_day', ' a day')} is used up {until}.",
                    hint=f"Nothing is lost; raise budget.{name} to go on sooner.",
                    retry_after_s=(tomorrow - now).total_seconds(),
                )

    def add(self, *, calls: int = 0, tokens: int = 0) -> None:
        with self._lock:
            self._today()
            self._spent.calls += calls
            self._spent.calls_per_day += calls
            self._spent.tokens += tokens
            self._spent.tokens_per_day += tokens
            if self._file is not None:
                _write(self._file, self._spent)

    def _today(self) -> datetime:
        """The present; the day's count begins anew on a later day, never on an earlier one."""
        now = self._clock()
        day = now.date().isoformat()
        if day > self._spent.day:
            self._spent.day, self._spent.calls_per_day, self._spent.tokens_per_day = day, 0, 0
        return now


def _read(file: Path) -> _Spent:
    try:
        said = json.loads(file.read_text("utf-8"))
        spent = _Spent(**said)
        if isinstance(spent.day, str) and all(type(getattr(spent, name)) is int for name in asdict(Budget())):
            return spent
    except (OSError, ValueError, TypeError) as error:
        raise ConfigError(f"{file} does not hold a count of what was spent.", hint="Name another file.") from error
    raise ConfigError(f"{file} does not hold a count of what was spent.", hint="Name another file.")


def _write(file: Path, spent: _Spent) -> None:
    # Replaced as a whole: a program that dies here leaves the count before.
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_text(json.dumps(asdict(spent)), "utf-8")
        os.replace(beside, file)
    except OSError as error:
        raise BackendError(f"{file}: what was spent cannot be kept: {error.strerror}.") from error
