"""The ``where`` grammar: one parser, one evaluator, for ``retrieve``, ``list`` and ``forget`` alike.

    where={"session": "monday", "importance": {"$gte": 0.5}}
    where={"$or": [{"metadata.topic": "food"}, {"metadata.tags": {"$in": ["cooking"]}}]}

A bare key names a column (``affect.valence`` and ``fact.attribute`` are some), ``metadata.x.y`` a metadata value.
Operators: ``$eq $ne $gt $gte $lt $lte $in $nin $exists``, combined by ``$and $or $not``; several keys in one mapping
must all hold. What no evaluator could mean is an error, never ignored: an unknown column or operator, an empty mapping,
a list where a value must stand.

- A missing value equals only ``None``; it is never greater or less than anything.
- Values of different types are unequal and not comparable (``"5"`` is not ``5``); integers and floats are one type.
- If the metadata value is a list, ``$eq`` and ``$in`` hold when one of its elements does (``$ne``/``$nin`` when none).
- Times compare with aware datetimes or ISO 8601 strings with an offset.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from agentmem.errors import InvalidInput
from agentmem.records import Memory, require_text, require_time

Columns = Callable[[str], Any]
"""Gives the value of a column; ``metadata`` gives the whole mapping."""
Predicate = Callable[[Columns], bool]

TIME_COLUMNS: Final = frozenset({"occurred_at", "recorded_from", "valid_from", "valid_to", "expires_at"})
COLUMNS: Final = TIME_COLUMNS | {
    "id",
    "version",
    "kind",
    "role",
    "speaker",
    "session",
    "user",
    "agent",
    "position",
    "importance",
    "integrity",
    "source",
    "origin",
    "written_by",
    "accesses",
    "outcome",
    "affect.valence",
    "affect.arousal",
    "affect.label",
    "fact.subject",
    "fact.attribute",
    "fact.topic",
    "fact.value",
    "fact.polarity",
}
_MAX_DEPTH: Final = 16


def parse_where(where: Mapping[str, Any] | None) -> Predicate | None:
    """The predicate that the mapping means, or None for None.

    Raises:
        InvalidInput: naming the place inside ``where`` and what could have been meant.
    """
    if where is None:
        return None
    return _conditions(where, "where", _MAX_DEPTH)


def memory_columns(memory: Memory) -> Columns:
    """The columns of a memory, for a predicate."""

    def column(name: str) -> Any:
        if name in ("session", "user", "agent"):
            return getattr(memory.scope, name)
        if name == "source":
            return memory.source.name if memory.source else None
        group, _, field = name.partition(".")
        if field:
            return getattr(getattr(memory, group), field, None)
        return getattr(memory, name)

    return column


def _conditions(where: object, place: str, depth: int) -> Predicate:
    if not isinstance(where, Mapping):
        raise InvalidInput(f"{place} must be a mapping, not {type(where).__name__}.")
    if not where:
        raise InvalidInput(f"{place} is empty.", hint="Leave it out to match everything.")
    if depth == 0:
        raise InvalidInput(f"{place} is nested deeper than {_MAX_DEPTH} levels.")
    predicates = [_condition(key, value, f"{place}.{key}", depth) for key, value in where.items()]
    return predicates[0] if len(predicates) == 1 else _all(predicates)


def _condition(key: object, value: Any, place: str, depth: int) -> Predicate:
    if not isinstance(key, str):
        raise InvalidInput(f"{place}: a key must be a string, not {type(key).__name__}.")
    if key in ("$and", "$or"):
        if isinstance(value, str) or not isinstance(value, Sequence) or not value:
            raise InvalidInput(f"{place} takes a non-empty list of conditions.")
        parts = [_conditions(part, f"{place}[{number}]", depth - 1) for number, part in enumerate(value)]
        return _all(parts) if key == "$and" else _any(parts)
    if key == "$not":
        part = _conditions(value, place, depth - 1)
        return lambda columns: not part(columns)
    if key.startswith("$"):
        raise InvalidInput(f"{place}: unknown operator {key!r}.", hint=_meant(key, ("$and", "$or", "$not")))
    if isinstance(value, Mapping):
        if not value:
            raise InvalidInput(f"{place} is empty.", hint="Write {'$exists': True} or a value.")
        tests = [_comparison(key, operator, operand, f"{place}.{operator}") for operator, operand in value.items()]
    else:
        tests = [_comparison(key, "$eq", value, place)]
    read = _reader(key, place)
    return lambda columns: all(test(read(columns)) for test in tests)


class _Missing:
    """A metadata key that is not there (a column is never missing, only None)."""


_MISSING: Final = _Missing()


def _reader(key: str, place: str) -> Callable[[Columns], Any]:
    if key.startswith("metadata."):
        path = key.split(".")[1:]
        if not all(path):
            raise InvalidInput(f"{place}: {key!r} is not a path into metadata.", hint="Write metadata.topic.")

        def read(columns: Columns) -> Any:
            value = columns("metadata")
            for step in path:
                if not isinstance(value, Mapping) or step not in value:
                    return _MISSING
                value = value[step]
            return value

        return read
    if key not in COLUMNS:
        raise InvalidInput(
            f"{place}: there is no column {key!r}.",
            hint=f"{_meant(key, COLUMNS)} For your own keys write 'metadata.{key}'.",
        )
    return lambda columns: columns(key)


def _comparison(key: str, operator: object, operand: Any, place: str) -> Callable[[Any], bool]:
    if operator == "$exists":
        if not isinstance(operand, bool):
            raise InvalidInput(f"{place} takes True or False.")
        return lambda value: (value is not None and value is not _MISSING) is operand
    if operator in ("$in", "$nin"):
        if isinstance(operand, str) or not isinstance(operand, Sequence | set | frozenset):
            raise InvalidInput(f"{place} takes a list of values.")
        options = [_operand(key, option, place) for option in operand]
        wanted = operator == "$in"
        return lambda value: any(_equal(value, option) for option in options) is wanted
    if operator in ("$eq", "$ne"):
        expected = _operand(key, operand, place)
        wanted = operator == "$eq"
        return lambda value: _equal(value, expected) is wanted
    if operator in _ORDERINGS:
        bound = _operand(key, operand, place)
        if bound is None or isinstance(bound, bool):
            raise InvalidInput(f"{place} takes a number, a string or a time, not {operand!r}.")
        ordering = _ORDERINGS[str(operator)]
        return lambda value: _comparable(value, bound) and ordering(value, bound)
    raise InvalidInput(f"{place}: unknown operator {operator!r}.", hint=_meant(str(operator), _OPERATORS))


_ORDERINGS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$gt": lambda value, bound: value > bound,
    "$gte": lambda value, bound: value >= bound,
    "$lt": lambda value, bound: value < bound,
    "$lte": lambda value, bound: value <= bound,
}
_OPERATORS: Final = ("$eq", "$ne", "$in", "$nin", "$exists", *_ORDERINGS)


def _operand(key: str, operand: Any, place: str) -> Any:
    if isinstance(operand, Mapping) or (isinstance(operand, Sequence) and not isinstance(operand, str)):
        raise InvalidInput(f"{place} takes one value, not a {type(operand).__name__}.")
    if key in TIME_COLUMNS and operand is not None:
        if isinstance(operand, str):
            operand = _time(operand, place)
        return require_time(operand, place)
    if isinstance(operand, datetime):
        # Metadata holds JSON, so a time in it is a string in UTC's ISO form.
        return require_time(operand, place).isoformat()
    if operand is not None and not isinstance(operand, bool | int | float | str):
        raise InvalidInput(f"{place}: {type(operand).__name__} cannot be compared.")
    return require_text(operand, place) if isinstance(operand, str) else operand


def _time(text: str, place: str) -> datetime:
    hint = "Write 2026-11-23T09:00:00+00:00."
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{place}: {text!r} is not a time.", hint=hint) from None
    if time.tzinfo is None:
        raise InvalidInput(f"{place} is naive: {text!r} could be any zone.", hint=hint)
    return time


def _equal(value: Any, expected: Any) -> bool:
    if isinstance(value, list):
        return any(_equal(item, expected) for item in value)
    if value is _MISSING:
        return expected is None
    if isinstance(value, bool) or isinstance(expected, bool):
        return value is expected
    return bool(value == expected)


def _comparable(value: Any, bound: Any) -> bool:
    if value is None or isinstance(value, bool):
        return False
    if isinstance(bound, int | float):
        return isinstance(value, int | float)
    return isinstance(value, type(bound))


def _all(predicates: Sequence[Predicate]) -> Predicate:
    return lambda columns: all(predicate(columns) for predicate in predicates)


def _any(predicates: Sequence[Predicate]) -> Predicate:
    return lambda columns: any(predicate(columns) for predicate in predicates)


def _meant(word: str, known: Sequence[str] | frozenset[str]) -> str:
    close = difflib.get_close_matches(word, sorted(known), n=1)
    return f"Did you mean {close[0]!r}?" if close else f"It takes: {', '.join(sorted(known))}."
