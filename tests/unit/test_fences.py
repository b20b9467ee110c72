"""Fences of memory's own texts are known by the key of the log, and by nothing else."""

from __future__ import annotations

import pytest

from agentmem.context.fences import Fences
from agentmem.context.rendering import checked_fence
from agentmem.records import Scope

ANA = Scope(user="ana", agent="coach", session="monday")
OURS = Fences(b"a key of sixteen")


def test_fences_are_known_wherever_the_key_is_and_nowhere_else() -> None:
    for fence in (OURS.new(), OURS.of(ANA)):
        assert fence in Fences(b"a key of sixteen")
        assert fence not in Fences(b"another key of it")


def test_new_fences_differ_and_that_of_a_scope_stays() -> None:
    assert OURS.new() != OURS.new()
    assert OURS.of(ANA) == OURS.of(Scope(user="ana", agent="coach", session="sunday"))
    assert OURS.of(ANA) != OURS.of(Scope(user="ben", agent="coach"))


@pytest.mark.parametrize(
    "forged",
    ["", "0" * 32, "é" * 32, OURS.new()[:16] + OURS.new()[16:], OURS.new().upper(), None],
    ids=["empty", "zeros", "letters", "two halves", "capitals", "none"],
)
def test_what_anybody_could_write_is_no_fence_of_ours(forged: str | None) -> None:
    assert forged not in OURS


def test_what_is_rendered_without_a_log_is_known_in_this_process() -> None:
    assert checked_fence(None) in OURS
