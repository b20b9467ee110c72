"""Time: the clock that everything is handed, and microseconds since 1970 as the log stores them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final, overload

Clock = Callable[[], datetime]
"""Gives the present as an aware UTC datetime."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def utc_now() -> datetime:
    """The present, aware, in UTC."""
    return datetime.now(UTC)


@overload
def to_micros(time: datetime) -> int: ...
@overload
def to_micros(time: None) -> None: ...
def to_micros(time: datetime | None) -> int | None:
    """Microseconds since 1970 UTC; exact, also before 1970. None stays None."""
    return None if time is None else (time - _EPOCH) // _MICROSECOND


@overload
def from_micros(micros: int) -> datetime: ...
@overload
def from_micros(micros: None) -> None: ...
def from_micros(micros: int | None) -> datetime | None:
    """The aware UTC time of ``to_micros``."""
    return None if micros is None else _EPOCH + timedelta(microseconds=micros)
