"""The nouns: what they refuse, what they keep, how they read as JSON."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, fields
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem import (
    Affect,
    Document,
    Fact,
    Finding,
    Health,
    Hit,
    InvalidInput,
    Page,
    Receipt,
    Retrieval,
    Scope,
    Source,
    Turn,
)
from agentmem.records import (
    MAX_ID_CHARACTERS,
    MAX_METADATA_BYTES,
    MAX_METADATA_DEPTH,
    TRUSTED,
    UNSET,
    as_json,
    require_metadata,
    require_number,
    require_text,
    require_time,
)
from agentmem.testing import memory

LISBON = timezone(timedelta(hours=1))


# --- scope ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        {"user": "ana"},
        {"agent": "coach"},
        {"user": "ana", "agent": "coach", "session": "monday", "tenant": "acme"},
        {"user": "a" * MAX_ID_CHARACTERS},
        {"user": " "},
        {"user": "'; DROP TABLE x; --"},
        {"user": "明日\u202e"},
    ],
)
def test_a_scope_keeps_opaque_ids_as_they_are(ids: dict[str, str]) -> None:
    scope = Scope(**ids)
    assert {name: getattr(scope, name) for name in ids} == ids


@pytest.mark.parametrize(
    "ids",
    [
        {},
        {"session": "monday"},
        {"tenant": "acme"},
        {"user": ""},
        {"user": "ana", "agent": ""},
        {"user": "ana", "session": ""},
        {"user": "ana", "tenant": ""},
        {"user": "ana", "tenant": None},
        {"user": 5},
        {"user": b"ana"},
        {"user": ["ana"]},
        {"user": "a" * (MAX_ID_CHARACTERS + 1)},
        {"user": "an\x00a"},
        {"user": "ana", "session": "\ud800"},
    ],
)
def test_a_scope_refuses_what_names_nobody(ids: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        Scope(**ids)


def test_equal_scopes_are_one_key_and_cannot_be_changed() -> None:
    scope = Scope(user="ana", session="monday")
    assert {scope: 1}[Scope(user="ana", session="monday")] == 1
    assert scope != Scope(user="ana"), "the session is part of the address"
    with pytest.raises(FrozenInstanceError):
        scope.user = "ben"  # type: ignore[misc]  # that is the point


# --- facts ----------------------------------------------------------------------------------------


def test_a_turn_of_a_fact_says_it_in_words_and_takes_what_a_turn_takes() -> None:
    fact = Fact("user", "pet", "Rex", topic="dog")
    turn = Turn.of_fact(fact, session="monday", importance=0.9)
    assert turn == Turn("The user has a dog called Rex.", kind="fact", fact=fact, session="monday", importance=0.9)
    assert Turn.of_fact(Fact("Clara", "employer", "", "ended")).content == "Clara no longer works where they did."


@pytest.mark.parametrize(
    "fact",
    [
        Fact("", "home", "Porto"),
        Fact("user", "", "Porto"),
        Fact("user", "home", " "),
        Fact("user", "home", "Po\x00rto"),
        Fact("user", "home", "\ud800"),
        Fact("user", "home", "Porto", topic=""),
        Fact("u" * (MAX_ID_CHARACTERS + 1), "home", "Porto"),
        Fact("user", "home", None),  # type: ignore[arg-type]  # that is the point
        Fact(5, "home", "Porto"),  # type: ignore[arg-type]  # that is the point
        "The user lives in Porto.",
    ],
    ids=str,
)
def test_a_fact_that_says_nothing_is_no_turn(fact: Any) -> None:
    with pytest.raises(InvalidInput, match="fact"):
        Turn.of_fact(fact)


@pytest.mark.parametrize("polarity", ["maybe", None, ["affirmed"]])
def test_a_fact_is_affirmed_denied_or_ended(polarity: Any) -> None:
    with pytest.raises(InvalidInput, match=r"fact\.polarity cannot be .*It takes: affirmed"):
        Fact("user", "home", "Porto", polarity)


# --- checks ---------------------------------------------------------------------------------------


@given(st.text())
def test_text_is_kept_as_it_is_or_refused_by_name(text: str) -> None:
    if "\x00" in text:
        with pytest.raises(InvalidInput, match="words holds a NUL character at"):
            require_text(text, "words")
    else:
        assert require_text(text, "words") == text


@given(st.text(st.characters(categories=["L", "Cs"])))
def test_a_lone_surrogate_is_not_text(text: str) -> None:
    if any("\ud800" <= character <= "\udfff" for character in text):
        with pytest.raises(InvalidInput, match="lone surrogate"):
            require_text(text, "words")
    else:
        assert require_text(text, "words") == text


@pytest.mark.parametrize("value", [None, 5, b"bytes", ["a"], object()])
def test_what_is_no_string_is_not_text(value: object) -> None:
    with pytest.raises(InvalidInput, match="must be a string"):
        require_text(value, "words")


@pytest.mark.parametrize("value", [True, None, "0.5", float("nan"), float("inf"), -0.01, 1.01, 10**400])
def test_a_number_outside_its_range_is_refused(value: object) -> None:
    with pytest.raises(InvalidInput, match="importance"):
        require_number(value, "importance", 0.0, 1.0)


@pytest.mark.parametrize("value", [0, 1, 0.25])
def test_a_number_in_its_range_is_a_float(value: float) -> None:
    number = require_number(value, "importance", 0.0, 1.0)
    assert isinstance(number, float) and number == value


def test_times_become_utc_and_naive_ones_are_refused() -> None:
    at = datetime(2026, 3, 1, 10, tzinfo=LISBON)
    assert require_time(at, "occurred_at") == at
    assert require_time(at, "occurred_at").tzinfo is UTC
    for wrong in (at.replace(tzinfo=None), "2026-03-01", 5, None, at.date()):
        with pytest.raises(InvalidInput, match="occurred_at"):
            require_time(wrong, "occurred_at")


def test_a_time_that_leaves_the_calendar_in_utc_is_refused() -> None:
    with pytest.raises(InvalidInput, match="years 1 to 9999"):
        require_time(datetime(1, 1, 1, tzinfo=LISBON), "occurred_at")


@pytest.mark.parametrize(
    "affect",
    [{"valence": -1.1}, {"valence": 2}, {"arousal": -0.1}, {"arousal": "high"}, {"valence": None}, {"label": 5}],
)
def test_affect_stays_in_its_ranges(affect: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="affect"):
        Affect(**affect)


# --- metadata -------------------------------------------------------------------------------------

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63) + 1, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=5), inner, max_size=3
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["topic", "a.b", "$gt", "", "'; DROP TABLE x; --", "ключ"]), JSON, max_size=4))
def test_metadata_is_copied_and_survives_json(metadata: dict[str, Any]) -> None:
    copied = require_metadata(metadata)
    assert copied == metadata
    assert json.loads(json.dumps(copied)) == metadata


def test_metadata_is_cut_loose_from_what_the_caller_holds() -> None:
    tags = ["a"]
    copied = require_metadata({"tags": tags})
    tags.append("b")
    assert copied == {"tags": ["a"]}


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"deeper": value}
    return value


@pytest.mark.parametrize(
    "metadata",
    [
        [("topic", "food")],
        "topic",
        {5: "five"},
        {None: 1},
        {"topic": {1, 2}},
        {"topic": b"bytes"},
        {"topic": object()},
        {"topic": datetime(2026, 3, 1, tzinfo=UTC)},
        {"topic": float("nan")},
        {"topic": [float("inf")]},
        {"topic": 1 << 64},
        {"topic": "\x00"},
        {"to\x00pic": 1},
        {"topic": "\ud83d"},
        {"topic": "a" * (MAX_METADATA_BYTES + 1)},
        _nested(MAX_METADATA_DEPTH + 1),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_metadata_that_json_cannot_carry_unchanged_is_refused(metadata: Any) -> None:
    with pytest.raises(InvalidInput, match="metadata"):
        require_metadata(metadata)


def test_metadata_that_contains_itself_is_refused() -> None:
    loop: dict[str, Any] = {}
    loop["me"] = loop
    with pytest.raises(InvalidInput, match="nested deeper"):
        require_metadata(loop)


# --- what comes back ------------------------------------------------------------------------------


def test_trust_follows_the_declared_author() -> None:
    trusted = {
        author
        for author in ("operator", "user", "assistant", "tool", "web", "undeclared")
        if memory(integrity=author).trusted
    }
    assert trusted == TRUSTED == {"operator", "user", "assistant"}


def test_a_memory_reads_as_json_values() -> None:
    whole = memory(
        scope=Scope(user="ana", session="monday"),
        metadata={"tags": ["a"]},
        affect=Affect(0.5, 0.1, "glad"),
        source=Source("notes.md", ("Top", "Below"), 2, 10, 20),
        derived_from=("m1",),
    )
    read = json.loads(json.dumps(whole.to_dict()))
    assert set(read) == {field.name for field in fields(whole)}
    assert read["scope"] == {"user": "ana", "agent": None, "session": "monday", "tenant": "default"}
    assert datetime.fromisoformat(read["occurred_at"]) == whole.occurred_at
    assert read["source"]["headings"] == ["Top", "Below"]
    assert read["affect"] == {"valence": 0.5, "arousal": 0.1, "label": "glad"}


def test_answers_are_sequences_of_what_they_hold_and_read_as_json() -> None:
    first, second = Hit(memory("one"), 2.0, 0.9), Hit(memory("two"), 1.0, 0.5)
    answer = Retrieval("q", (first, second), 0.9, hidden={"untrusted": 1})
    assert (list(answer), len(answer), answer[0], first.content) == ([first, second], 2, first, "one")
    assert first.id == first.memory.id
    assert json.loads(json.dumps(answer.to_dict()))["hits"][1]["memory"]["content"] == "two"
    page = Page((first.memory,), cursor="c")
    assert (list(page), len(page)) == ([first.memory], 1)
    at = datetime(2026, 3, 1, tzinfo=UTC)
    receipt = Receipt("r", "pending", "erase", at, None, 1, {"version": 2}, ("the write-ahead log",))
    assert json.loads(json.dumps(receipt.to_dict()))["remaining"] == ["the write-ahead log"]


def test_health_is_good_when_every_finding_is() -> None:
    good, bad = Finding("heads", True, "0 behind"), Finding("file", False, "malformed", "Restore it.")
    assert Health((good,)).ok and Health(()).ok
    assert not Health((good, bad)).ok
    assert Health((good, bad)).to_dict()["ok"] is False


def test_as_json_leaves_plain_values_alone() -> None:
    assert as_json({"a": (1, frozenset({"x"}), None)}) == {"a": [1, ["x"], None]}


def test_nouns_that_go_in_have_defaults_and_are_frozen() -> None:
    for noun in (Turn("hello"), Document("text", "name")):
        with pytest.raises(FrozenInstanceError):
            noun.content = "other"  # type: ignore[misc]  # that is the point
    assert repr(UNSET) == "UNSET"
