"""When sessions are compressed without being asked to, and what summaries there are."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Literal, get_args

from agentmem.errors import ConfigError
from agentmem.registry import did_you_mean

Level = Literal["session", "week", "topic"]
"""What ``compress`` makes summaries of."""

LEVELS: Final[tuple[Level, ...]] = get_args(Level)
SUMMARY_TOKENS: Final = 200
"""Longest summary where nobody says otherwise."""
IDLE_PATTERN: Final = r"[1-9][0-9]{0,5} *[mhd]"
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}


@dataclass(frozen=True, slots=True)
class CompressionRules:
    """When a session is compressed without being asked to: whichever comes first; without any of the three, never.

    What counts are the turns that its summary does not hold yet, but for the last ones that are kept.

    Args:
        after_tokens, after_turns: Once there are as many.
        idle: Once nothing was added for so long. Looked at whenever the memory is written to, and by ``flush``.
        keep_last: Turns at the end of a session that stay out of its summary.
        max_tokens: Longest summary.
        levels: ``session``; with ``week`` and ``topic`` those are kept up as well.

    Raises:
        ConfigError: naming the key and what it takes.
    """

    after_tokens: int | None = None
    after_turns: int | None = None
    idle: timedelta | None = None
    keep_last: int = 0
    max_tokens: int = SUMMARY_TOKENS
    levels: tuple[Level, ...] = ("session",)

    def __post_init__(self) -> None:
        for name, least in (("after_tokens", 1), ("after_turns", 1), ("keep_last", 0), ("max_tokens", 1)):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < least):
                raise ConfigError(f"{name} must be a whole number of at least {least}, not {value!r}.")
        if self.idle is not None and self.idle <= timedelta():
            raise ConfigError(f"idle must be longer than nothing, not {self.idle}.")
        for level in self.levels:
            if level not in LEVELS:
                known = f"It takes some of {', '.join(LEVELS)}."
                raise ConfigError(f"levels: there is no level {level!r}. {did_you_mean(level, LEVELS)}{known}")
        if "session" not in self.levels:
            raise ConfigError("levels needs session: weeks and topics come on top of sessions.")

    @property
    def apply(self) -> bool:
        """True if anything is ever compressed by them."""
        return (self.after_tokens, self.after_turns, self.idle) != (None, None, None)


def parse_idle(text: str) -> timedelta:
    """The duration in ``30m`` (minutes), ``12h`` or ``1d``.

    Raises:
        ConfigError: anything else.
    """
    # Not parse_duration: where memories expire, 6m must not be taken for minutes by those who mean months.
    if not isinstance(text, str) or not re.fullmatch(IDLE_PATTERN, text.strip()):
        raise ConfigError("idle is written 30m, 12h or 1d.")
    return int(text.strip()[:-1]) * _UNITS[text.strip()[-1]]
