"""Taking a source back leaves what a memory would hold that never took it in, up to ids and numbers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentmem import Document, Memory, MemoryManager, Scope, Turn
from agentmem.interfaces import LogQuery
from agentmem.testing import FrozenClock

ANA = Scope(user="ana", agent="coach")
BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)
GOOD, BAD = "notes.json", "poisoned.json"

SAYINGS = (
    "I live in Lisbon.",
    "I live in Porto.",
    "I moved to Berlin.",
    "I no longer live in Porto.",
    "I work at Acme.",
    "I quit my job.",
    "My favourite color is blue.",
    "My favourite color is green.",
    "I love olives.",
    "I hate olives.",
    "I'm allergic to peanuts.",
    "The weather was fine, and we walked along the river for an hour.",
    "She told me about the garden and the two old trees in it.",
)

said = st.lists(
    st.tuples(
        st.sampled_from(SAYINGS),
        st.sampled_from((GOOD, BAD)),
        st.integers(0, 40),
        st.sampled_from(("monday", "friday")),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=25, deadline=None)
@given(said=said, compressed=st.booleans())
def test_a_source_that_is_taken_back_was_never_there(
    tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, int, str]], compressed: bool
) -> None:
    turns = [
        Turn(content, occurred_at=BEGINNING + timedelta(days=day, seconds=place), session=session, origin=origin)
        for place, (content, origin, day, session) in enumerate(said)
    ]
    folder = tmp_path_factory.mktemp("reverted")
    with remembering(folder / "both", turns, compressed) as both:
        both.forget(where={"origin": BAD}, scope=ANA, reason="it was poisoned")
        assert both.flush(30)
        with remembering(folder / "never", [turn for turn in turns if turn.origin == GOOD], compressed) as never:
            assert state_of(both) == state_of(never)
            assert answers_of(both) == answers_of(never)


@settings(max_examples=10, deadline=None)
@given(said=said)
def test_nor_was_it_ever_known(tmp_path_factory: pytest.TempPathFactory, said: list[tuple[str, str, int, str]]) -> None:
    folder = tmp_path_factory.mktemp("known")
    with living(folder / "both", said) as (both, moments), living(folder / "never", said, without=BAD) as (never, _):
        both.forget(where={"origin": BAD}, scope=ANA, reason="it was poisoned")
        assert both.flush(30)
        for moment in moments:
            assert listed(both, moment) == listed(never, moment)
        assert histories_of(both) == histories_of(never)


def test_a_document_that_is_taken_back_takes_its_chunks_of_every_version_along(tmp_path: Path) -> None:
    with remembering(tmp_path / "both", [Turn("I keep bees.", origin=GOOD)], False) as both:
        both.store(Document("# Kiln\n\nCool it slowly.", name="kiln.md"), scope=ANA)
        both.store(Document("# Kiln\n\nCool it fast.", name="kiln.md"), scope=ANA)
        assert both.forget(where={"origin": "kiln.md"}, scope=ANA).memories == 2
        with remembering(tmp_path / "never", [Turn("I keep bees.", origin=GOOD)], False) as never:
            assert state_of(both) == state_of(never)


def test_an_import_can_be_taken_back_whole(tmp_path: Path) -> None:
    file = tmp_path / "chat.jsonl"
    lines = [{"role": "user", "content": content} for content in ("I live in Porto.", "I love olives.")]
    file.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    with remembering(tmp_path / "both", [Turn("I live in Lisbon.", occurred_at=BEGINNING)], False) as both:
        both.import_from(file, scope=ANA, trust="user")
        assert both.flush(30)
        assert [home.fact.value for home in both.list(scope=ANA, where={"fact.attribute": "home"}) if home.fact] == [
            "Porto"
        ]
        both.forget(where={"origin": str(file)}, scope=ANA)
        with remembering(tmp_path / "never", [Turn("I live in Lisbon.", occurred_at=BEGINNING)], False) as never:
            assert state_of(both) == state_of(never)


def remembering(folder: Path, turns: Sequence[Turn], compressed: bool) -> MemoryManager:
    memory = MemoryManager.open(folder, clock=FrozenClock(BEGINNING + timedelta(days=100)))
    memory.store_many(turns, scope=ANA)
    assert memory.flush(30)
    if compressed:
        memory.compress(scope=ANA)
    return memory


@contextmanager
def living(
    folder: Path, said: Sequence[tuple[str, str, int, str]], *, without: str | None = None
) -> Iterator[tuple[MemoryManager, list[datetime]]]:
    """A memory that hears one thing an hour, and a moment after each; at the same hours if something is left out."""
    clock = FrozenClock(BEGINNING + timedelta(days=100))
    moments = []
    with MemoryManager.open(folder, clock=clock, embedder=None) as memory:
        for content, origin, day, session in said:
            clock.advance(hours=1)
            if origin != without:
                at = BEGINNING + timedelta(days=day)
                memory.store(Turn(content, occurred_at=at, session=session, origin=origin), scope=ANA)
                assert memory.flush(30)
            moments.append(clock.now + timedelta(minutes=1))
        clock.advance(hours=1)
        yield memory, moments


def listed(memory: MemoryManager, moment: datetime) -> list[tuple[Any, ...]]:
    """What was known then, with what was known to have ended."""
    held = memory.log.read(LogQuery(scope=ANA, known_at=moment))
    words = words_of(memory)
    return sorted((told(each, words) for each in held), key=repr)


def histories_of(memory: MemoryManager) -> list[list[tuple[Any, ...]]]:
    """Every history without numbers and ids; versions that say the same are one."""
    words = words_of(memory)
    histories = ([told(each, words) for each in memory.history(id, scope=ANA)] for id in words if id)
    return sorted(([said for said, _ in groupby(history)] for history in histories), key=repr)


def words_of(memory: MemoryManager) -> dict[str | None, str | None]:
    return {None: None, **{each.id: each.content for each in memory.log.read(LogQuery(scope=ANA, retired=True))}}


def told(memory: Memory, words: Mapping[str | None, str | None]) -> tuple[Any, ...]:
    fact = memory.fact
    standing = fact and (words[fact.superseded_by], words[fact.restates], fact.times)
    return memory.kind, memory.content, memory.valid_from, memory.valid_to, standing


def state_of(memory: MemoryManager) -> list[dict[str, Any]]:
    """Every memory there is, superseded ones too, told by its words where it would be told by its id."""
    page = memory.log.read(LogQuery(scope=ANA))
    words = {each.id: each.content for each in page}
    told = []
    for each in page:
        fact = each.fact
        told.append(
            {
                "kind": each.kind,
                "content": each.content,
                "session": each.scope.session,
                "occurred_at": each.occurred_at,
                "valid": (each.valid_from, each.valid_to),
                "derived_from": sorted(words[id] for id in each.derived_from),
                "origin": each.origin,
                "fact": fact
                and (
                    fact.subject,
                    fact.attribute,
                    fact.value,
                    fact.polarity,
                    fact.times,
                    words.get(fact.superseded_by or ""),
                    words.get(fact.restates or ""),
                ),
            }
        )
    return sorted(told, key=repr)


def answers_of(memory: MemoryManager) -> list[list[tuple[str, tuple[str, ...]]]]:
    questions = ("Where does she live?", "What is her favourite color?", "olives", "river garden")
    return [
        [(hit.content, hit.labels) for hit in memory.retrieve(question, scope=ANA, kinds={"turn", "fact", "summary"})]
        for question in questions
    ]
