"""The ``where`` grammar: what it means, against a model too simple to be wrong, and what it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentmem.errors import InvalidInput
from agentmem.records import Affect, Fact, Scope, Source
from agentmem.testing import memory
from agentmem.where import COLUMNS, TIME_COLUMNS, memory_columns, parse_where

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ONE = memory(
    "I like soup.",
    id="m1",
    version=2,
    speaker="Ana",
    scope=Scope(user="ana", agent="coach", session="monday"),
    occurred_at=NOON,
    importance=0.5,
    source=Source("notes.md", (), 0, 0, 12),
    origin="notes.md",
    affect=Affect(valence=-0.5, arousal=0.8, label="sad"),
    fact=Fact("user", "likes", "soup", topic="food"),
    accesses=3,
    outcome=-0.25,
    metadata={
        "topic": "food",
        "tags": ["cooking", "soup"],
        "stars": 5,
        "hot": True,
        "none": None,
        "deep": {"er": {"est": "x"}},
        "a.b": "dotted",
        "when": "2026-03-01T12:00:00+00:00",
        "mixed": [1, "1", None],
    },
)


def holds(where: Mapping[str, Any]) -> bool:
    predicate = parse_where(where)
    assert predicate is not None
    return predicate(memory_columns(ONE))


MEANINGS: list[tuple[dict[str, Any], bool]] = [
    # a bare value is $eq
    ({"session": "monday"}, True),
    ({"session": "tuesday"}, False),
    ({"user": "ana", "agent": "coach", "kind": "turn", "role": "user", "integrity": "user"}, True),
    ({"user": "ana", "agent": "cook"}, False),
    ({"id": "m1", "version": 2, "position": 1}, True),
    ({"source": "notes.md"}, True),
    ({"speaker": "ana"}, False),
    ({"origin": "notes.md", "written_by": "caller"}, True),
    ({"affect.valence": {"$lt": -0.4}, "affect.label": "sad"}, True),
    ({"affect.arousal": {"$gt": 0.8}}, False),
    ({"fact.subject": "user", "fact.attribute": "likes", "fact.value": {"$in": ["tea", "soup"]}}, True),
    ({"fact.topic": "food", "fact.polarity": {"$ne": "affirmed"}}, False),
    ({"accesses": {"$gte": 3}, "outcome": {"$lt": 0}}, True),
    # numbers
    ({"importance": {"$gte": 0.5}}, True),
    ({"importance": {"$gt": 0.5}}, False),
    ({"importance": {"$gt": 0, "$lt": 1}}, True),
    ({"importance": {"$gt": 0, "$lt": 0.5}}, False),
    ({"version": 2.0}, True),
    ({"version": "2"}, False),
    ({"metadata.stars": {"$gte": "5"}}, False),
    ({"metadata.stars": {"$lte": 5.0}}, True),
    # strings are ordered too
    ({"speaker": {"$gt": "Al", "$lt": "Bo"}}, True),
    # lists: one element is enough
    ({"metadata.tags": "soup"}, True),
    ({"metadata.tags": {"$in": ["tea", "soup"]}}, True),
    ({"metadata.tags": {"$nin": ["tea", "soup"]}}, False),
    ({"metadata.tags": {"$ne": "soup"}}, False),
    ({"metadata.tags": {"$ne": "tea"}}, True),
    ({"metadata.mixed": None}, True),
    ({"metadata.mixed": 1}, True),
    ({"metadata.topic": {"$in": {"food"}}}, True),
    ({"metadata.topic": {"$in": []}}, False),
    ({"metadata.topic": {"$nin": []}}, True),
    # paths
    ({"metadata.deep.er.est": "x"}, True),
    ({"metadata.deep.er": {"$exists": True}}, True),
    ({"metadata.deep.no.way": {"$exists": True}}, False),
    ({"metadata.topic.food": {"$exists": True}}, False),
    ({"metadata.a.b": "dotted"}, False),
    # missing and null
    ({"metadata.missing": None}, True),
    ({"metadata.none": None}, True),
    ({"metadata.none": {"$exists": True}}, False),
    ({"metadata.missing": {"$ne": "x"}}, True),
    ({"metadata.missing": {"$nin": ["x"]}}, True),
    ({"metadata.missing": {"$gt": 0}}, False),
    ({"metadata.missing": {"$lte": 0}}, False),
    ({"valid_to": None}, True),
    ({"expires_at": {"$exists": False}}, True),
    ({"expires_at": {"$lt": NOON}}, False),
    # true is not one
    ({"metadata.hot": True}, True),
    ({"metadata.hot": 1}, False),
    ({"metadata.stars": True}, False),
    ({"metadata.hot": {"$gt": 0}}, False),
    # times
    ({"occurred_at": NOON}, True),
    ({"occurred_at": NOON.astimezone(timezone(timedelta(hours=9)))}, True),
    ({"occurred_at": "2026-03-01T13:00:00+01:00"}, True),
    ({"occurred_at": {"$gte": NOON, "$lt": NOON + timedelta(microseconds=1)}}, True),
    ({"occurred_at": {"$gt": "2026-03-01T12:00:00+00:00"}}, False),
    ({"metadata.when": NOON}, True),
    # combinations
    ({"$and": [{"session": "monday"}, {"metadata.topic": "food"}]}, True),
    ({"$or": [{"session": "tuesday"}, {"metadata.topic": "food"}]}, True),
    ({"$or": [{"session": "tuesday"}, {"metadata.topic": "art"}]}, False),
    ({"$not": {"session": "monday"}}, False),
    ({"$not": {"$not": {"session": "monday"}}}, True),
    ({"$not": {"session": "monday", "metadata.topic": "art"}}, True),
    ({"session": "monday", "$or": [{"metadata.stars": 4}, {"metadata.stars": 5}]}, True),
]


@pytest.mark.parametrize(("where", "expected"), MEANINGS, ids=lambda value: str(value)[:60])
def test_a_condition_means_what_the_grammar_says(where: dict[str, Any], expected: bool) -> None:
    assert holds(where) is expected


ERRORS: list[tuple[Any, str]] = [
    ({}, "where is empty"),
    ([], "where must be a mapping"),
    ("session", "where must be a mapping"),
    (5, "where must be a mapping"),
    ({"sesion": "monday"}, "Did you mean 'session'"),
    ({"topic": "food"}, "metadata.topic"),
    ({"session": "\ud800"}, "where.session holds a lone surrogate"),
    ({"session": {"$in": ["a\0b"]}}, "NUL"),
    ({"content": "x"}, "no column 'content'"),
    ({"tenant": "acme"}, "no column 'tenant'"),
    ({"affect": "sad"}, "no column 'affect'"),
    ({"affect.valance": 1}, "Did you mean 'affect.valence'"),
    ({"fact.times": 2}, "no column 'fact.times'"),
    ({"metadata": {"$exists": True}}, "no column 'metadata'"),
    ({"metadata.": 1}, "not a path"),
    ({"metadata.a..b": 1}, "not a path"),
    ({"1=1; --": 1}, "no column"),
    ({"": 1}, "no column ''"),
    ({5: 1}, "a key must be a string"),
    ({"session": {}}, "where.session is empty"),
    ({"session": {"$like": "m%"}}, r"unknown operator '\$like'"),
    ({"importance": {"$gtr": 1}}, r"Did you mean '\$gt"),
    ({"session": {"eq": 1}}, "unknown operator"),
    ({"$nor": [{"session": "x"}]}, r"unknown operator '\$nor'"),
    ({"$and": []}, "non-empty list"),
    ({"$or": {"session": "x"}}, "non-empty list"),
    ({"$or": "session"}, "non-empty list"),
    ({"$or": [{}]}, r"where.\$or\[0\] is empty"),
    ({"$or": [{"session": "x"}, 5]}, r"where.\$or\[1\] must be a mapping"),
    ({"$not": []}, "must be a mapping"),
    ({"$not": {}}, "is empty"),
    ({"session": ["monday"]}, "one value, not a list"),
    ({"session": {"$eq": {"a": 1}}}, "one value, not a dict"),
    ({"session": {"$in": "monday"}}, "takes a list"),
    ({"session": {"$in": [["monday"]]}}, "one value, not a list"),
    ({"session": {"$exists": 1}}, "takes True or False"),
    ({"importance": {"$gt": None}}, "not None"),
    ({"importance": {"$gt": True}}, "not True"),
    ({"metadata.x": 1j}, "cannot be compared"),
    ({"metadata.x": b"bytes"}, "one value, not a bytes|cannot be compared"),
    ({"occurred_at": "yesterday"}, "is not a time"),
    ({"occurred_at": "2026-03-01T12:00:00"}, "naive"),
    ({"occurred_at": datetime(2026, 3, 1)}, "naive"),
    ({"occurred_at": 5}, "must be an aware datetime"),
    ({"metadata.when": datetime(2026, 3, 1)}, "naive"),
]


@pytest.mark.parametrize(("where", "said"), ERRORS, ids=lambda value: str(value)[:50])
def test_what_nothing_could_mean_is_refused_at_its_place(where: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse_where(where)


def test_conditions_nested_without_end_are_refused() -> None:
    where: dict[str, Any] = {"session": "monday"}
    for _ in range(5_000):
        where = {"$not": where}
    with pytest.raises(InvalidInput, match="nested deeper"):
        parse_where(where)


def test_what_a_memory_has_no_group_of_is_missing() -> None:
    plain = memory_columns(memory())
    for where in ({"affect.valence": None}, {"fact.value": {"$exists": False}}, {"affect.label": {"$ne": "sad"}}):
        predicate = parse_where(where)
        assert predicate is not None
        assert predicate(plain), where


def test_no_condition_is_none() -> None:
    assert parse_where(None) is None


@pytest.mark.parametrize("column", sorted(COLUMNS))
def test_every_column_can_be_asked_for(column: str) -> None:
    assert holds({column: {"$exists": True}}) is (column not in {"valid_to", "expires_at"})
    assert holds({"$or": [{column: {"$exists": True}}, {column: {"$exists": False}}]})


# --- against a model ------------------------------------------------------------------------------

VALUES = st.sampled_from([None, True, False, 0, 1, 2, 1.0, 1.5, -1, "", "a", "b", "1", "B"])
STORED = VALUES | st.lists(VALUES, max_size=3)
OPERATORS = st.one_of(
    st.tuples(st.sampled_from(["$eq", "$ne"]), VALUES),
    st.tuples(st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from([0, 1, 1.5, -1, "", "a", "1"])),
    st.tuples(st.sampled_from(["$in", "$nin"]), st.lists(VALUES, max_size=3)),
    st.tuples(st.just("$exists"), st.booleans()),
)
KEYS = st.sampled_from(["metadata.x", "metadata.y", "metadata.x.z"])
CONDITIONS = st.recursive(
    st.dictionaries(KEYS, VALUES | st.lists(OPERATORS, min_size=1, max_size=2).map(dict), min_size=1, max_size=2),
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"$or": parts}),
        inner.map(lambda part: {"$not": part}),
    ),
    max_leaves=6,
)


@given(
    st.dictionaries(st.sampled_from(["x", "y"]), STORED | st.dictionaries(st.just("z"), STORED, max_size=1)),
    CONDITIONS,
)
def test_the_evaluator_agrees_with_the_model(metadata: dict[str, Any], where: dict[str, Any]) -> None:
    predicate = parse_where(where)
    assert predicate is not None
    assert predicate(memory_columns(memory(metadata=metadata))) is _model(where, metadata)


def _model(where: Mapping[str, Any], metadata: Mapping[str, Any]) -> bool:
    answers = []
    for key, value in where.items():
        if key == "$and":
            answers.append(all(_model(part, metadata) for part in value))
        elif key == "$or":
            answers.append(any(_model(part, metadata) for part in value))
        elif key == "$not":
            answers.append(not _model(value, metadata))
        else:
            operators = value if isinstance(value, dict) else {"$eq": value}
            answers += [
                _model_of_one(operator, _look_up(metadata, key.split(".")[1:]), operand)
                for operator, operand in operators.items()
            ]
    return all(answers)


def _look_up(metadata: Any, path: list[str]) -> Any:
    for step in path:
        metadata = metadata.get(step) if isinstance(metadata, dict) else None
    return metadata


def _model_of_one(operator: str, value: Any, operand: Any) -> bool:
    if operator == "$exists":
        return (value is not None) == operand
    if operator in ("$ne", "$nin"):
        return not _model_of_one({"$ne": "$eq", "$nin": "$in"}[operator], value, operand)
    if operator == "$in":
        return any(_model_of_one("$eq", value, each) for each in operand)
    if operator == "$eq":
        return any(_same(each, operand) for each in (value if isinstance(value, list) else [value]))
    numbers = _type_of(value) is _type_of(operand) is float
    strings = _type_of(value) is _type_of(operand) is str
    if not numbers and not strings:
        return False
    return {
        "$gt": lambda: value > operand,
        "$gte": lambda: value >= operand,
        "$lt": lambda: value < operand,
        "$lte": lambda: value <= operand,
    }[operator]()


def _same(value: Any, operand: Any) -> bool:
    return _type_of(value) is _type_of(operand) and value == operand


def _type_of(value: Any) -> type:
    return float if type(value) is int else type(value)


@given(
    st.sampled_from(sorted(TIME_COLUMNS)), st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC))
)
def test_times_are_compared_as_moments_however_they_are_written(column: str, at: datetime, bound: datetime) -> None:
    columns = memory_columns(memory(**{column: at}))
    for written in (bound, bound.isoformat()):
        for operator, expected in (("$lt", at < bound), ("$gte", at >= bound), ("$eq", at == bound)):
            predicate = parse_where({column: {operator: written}})
            assert predicate is not None
            assert predicate(columns) is expected
