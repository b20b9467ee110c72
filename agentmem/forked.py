"""Things with locks or threads of their own: in a forked child they start clean."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class StartsClean(Protocol):
    """What has locks that a thread of the parent may hold as it forks."""

    def _start_clean(self) -> None: ...


_things: Final[weakref.WeakSet[StartsClean]] = weakref.WeakSet()


def start_clean(thing: StartsClean) -> None:
    """Start it now, and again in every child of this process."""
    _things.add(thing)
    thing._start_clean()


def _after_fork_in_child() -> None:
    for thing in _things:
        thing._start_clean()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
