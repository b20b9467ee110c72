"""Errors: one tree, as drawn; each tells a program what it is and a person what to do next."""

from __future__ import annotations

import re

import pytest

import agentmem
from agentmem import errors
from agentmem.errors import AgentMemError

TREE = [error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, AgentMemError)]
KINDS = [error for error in TREE if error is not AgentMemError]


def test_the_tree_is_as_its_docstring_draws_it() -> None:
    drawn = {}
    above = ["AgentMemError"]
    for indent, name, beside in re.findall(r"(?m)^ {4}(.*)[├└]── (\w+)(?: \((\w+)\))? ", errors.__doc__ or ""):
        above[len(indent) // 4 + 1 :] = [name]
        drawn[name] = [above[-2], *filter(None, [beside])]
    assert {error.__name__: [base.__name__ for base in error.__bases__] for error in KINDS} == drawn


@pytest.mark.parametrize("error", KINDS)
def test_every_error_tells_programs_what_it_is_and_whether_to_try_again(error: type[AgentMemError]) -> None:
    raised = error("The thing, at its place.", hint="The next step.")
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", raised.code)
    assert isinstance(raised.retryable, bool)
    assert (raised.message, raised.hint) == ("The thing, at its place.", "The next step.")
    assert str(raised) == "The thing, at its place. The next step."
    assert str(error("No hint.")) == "No hint."


def test_codes_are_not_shared() -> None:
    codes = [error.code for error in TREE]
    assert len(set(codes)) == len(codes)


def test_what_may_succeed_later_says_so() -> None:
    assert {error.__name__ for error in KINDS if error.retryable} == {
        "VersionConflict",
        "StoreBusy",
        "StoreFull",
        "BackendError",
    }


@pytest.mark.parametrize("error", TREE)
def test_every_error_can_be_imported_from_the_package(error: type[AgentMemError]) -> None:
    assert getattr(agentmem, error.__name__) is error
    assert error.__name__ in agentmem.__all__


def test_unknown_memory_prints_as_a_sentence_and_not_as_a_key() -> None:
    assert str(errors.unknown_memory("m1")) == (
        "There is no memory 'm1' in this scope. list() shows the ids there are."
    )
