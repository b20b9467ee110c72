"""What indexes live on: heads, catching up, vectors and generations, cursors."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agentmem.clock import to_micros
from agentmem.interfaces import (
    Embedded,
    EpisodicLog,
    IndexBatch,
    IndexQuery,
    IndexRow,
    LogQuery,
    Revision,
    Standing,
    Use,
)
from agentmem.records import Fact, Memory, Scope, Source
from agentmem.testing.fakes import A_MONDAY, draft
from agentmem.testing.suites.log_base import (
    ANA,
    BEN,
    DIMENSIONS,
    LogSuite,
    append,
    append_one,
    blob,
    index_rows,
    own_head,
    own_partition,
    seq_of,
)

_examples = itertools.count()

Steps = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(1, 3), st.booleans()),
        st.tuples(st.sampled_from(["revise", "touch", "erase", "retire", "embed"]), st.integers(0, 20), st.booleans()),
        st.tuples(st.sampled_from(["use", "restore", "facts", "settle"]), st.integers(0, 20), st.booleans()),
        st.tuples(st.sampled_from(["catch up", "replace document"]), st.integers(0, 3), st.booleans()),
        st.tuples(st.just("new generation"), st.just(0), st.just(False)),
    ),
    min_size=1,
    max_size=14,
)


class IndexingPromises(LogSuite):
    # --- heads ------------------------------------------------------------------------------------

    def test_a_head_grows_with_every_write(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        [one, two] = append(log, ANA, "one", "two")
        seqs = [seq_of(log, ANA)]

        def grew() -> bool:
            seqs.append(seq_of(log, ANA))
            return seqs[-1] > seqs[-2]

        append(log, ANA, "three")
        assert grew(), "append"
        log.revise(ANA, one.id, Revision(metadata={"a": 1}), expected_version=None, generation=generation)
        assert grew(), "revise"
        chunk = draft("text", kind="document", source=Source("a.md", (), 0, 0, 4))
        log.append(ANA, [chunk], generation=generation, replacing=frozenset({"a.md"}))
        assert grew(), "append a document"
        log.append(ANA, [], generation=generation, replacing=frozenset({"a.md"}))
        assert grew(), "replace a document by nothing"
        partition, row = own_partition(log, ANA), index_rows(log, ANA)[two.id].row
        log.put_vectors(generation, [Embedded(partition, row, blob(1))])
        assert grew(), "put_vectors"
        log.erase(ANA, [one.id], mode="retire")
        assert grew(), "retire"
        log.erase(ANA, [two.id], mode="erase")
        assert grew(), "erase"

    def test_reading_moves_no_head_and_a_write_moves_one(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        append(log, BEN, "one")
        ana, ben = own_head(log, ANA), own_head(log, BEN)
        log.read(LogQuery(ANA))
        log.history(ANA, one.id)
        index_rows(log, ANA)
        assert own_head(log, ANA) == ana
        append(log, ANA, "two")
        assert own_head(log, ANA) != ana
        assert own_head(log, BEN) == ben

    # --- index rows -------------------------------------------------------------------------------

    def test_an_index_row_says_what_the_memory_says(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        given_draft = draft(
            "Ana moved to Lisbon.",
            kind="document",
            role="assistant",
            speaker="Coach",
            session="tuesday",
            metadata={"topic": "städte"},
            importance=0.5,
            integrity="web",
            expires_at=A_MONDAY + timedelta(days=1),
            valid_to=A_MONDAY + timedelta(days=2),
            source=Source("a.md", ("A",), 0, 0, 20),
            vector=blob(3),
        )
        memory = append_one(log, ANA, given_draft, generation=generation)
        [row] = log.index_rows(IndexQuery(ANA, own_partition(log, ANA))).rows
        same = ["id", "version", "kind", "role", "speaker", "position", "importance", "integrity"]
        assert [getattr(row, name) for name in same] == [getattr(memory, name) for name in same]
        for name in ("occurred_at", "recorded_from", "valid_from", "valid_to", "expires_at"):
            assert getattr(row, name) == to_micros(getattr(memory, name)), name
        assert (row.session, row.source) == ("tuesday", "a.md")
        assert "städte" in row.metadata
        assert (row.terms, row.length) == (given_draft.terms, given_draft.length)
        assert (row.generation, row.vector) == (generation, blob(3))

    def test_rows_ascend_and_the_batch_reaches_the_head(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, *(f"turn {number}" for number in range(20)))
        batch = log.index_rows(IndexQuery(ANA, own_partition(log, ANA)))
        assert [row.id for row in batch.rows] == [memory.id for memory in stored]
        numbers = [row.row for row in batch.rows]
        assert numbers == sorted(set(numbers))
        assert batch.seq == seq_of(log, ANA)

    def test_an_index_that_is_up_to_date_gets_nothing(self, log: EpisodicLog) -> None:
        append(log, ANA, "one")
        partition, seq = own_partition(log, ANA), seq_of(log, ANA)
        batch = log.index_rows(IndexQuery(ANA, partition, after=seq))
        assert (batch.seq, list(batch.rows), list(batch.gone), dict(batch.vectors)) == (seq, [], [], {})

    @pytest.mark.parametrize("how", ["erase", "retire", "revise", "replace"])
    def test_the_next_batch_says_which_rows_are_gone(self, log: EpisodicLog, how: str) -> None:
        first, second = append(log, ANA, "one", "two")
        partition, seq = own_partition(log, ANA), seq_of(log, ANA)
        row = index_rows(log, ANA)[first.id].row
        if how == "revise":
            log.revise(ANA, first.id, Revision(metadata={"a": 1}), expected_version=None, generation=None)
        elif how == "replace":
            chunk = draft("a chunk", kind="document", source=Source("a.md", (), 0, 0, 7))
            stored = append_one(log, ANA, chunk)
            seq, row = seq_of(log, ANA), index_rows(log, ANA)[stored.id].row
            log.append(ANA, [], generation=None, replacing=frozenset({"a.md"}))
        else:
            log.erase(ANA, [first.id], mode="erase" if how == "erase" else "retire")
        batch = log.index_rows(IndexQuery(ANA, partition, after=seq))
        assert list(batch.gone) == [row]
        assert [each.id for each in batch.rows] == ([first.id] if how == "revise" else [])
        assert second.id in index_rows(log, ANA)

    def test_vectors_can_be_left_out(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        append_one(log, ANA, draft(vector=blob(1)), generation=generation)
        [row] = log.index_rows(IndexQuery(ANA, own_partition(log, ANA), vectors=False)).rows
        assert row.vector is None

    def test_rows_as_they_were_known_then(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        revised = log.revise(ANA, one.id, Revision(content="uno"), expected_version=None, generation=None)
        append(log, ANA, "two")

        def versions(query: IndexQuery) -> list[tuple[str, int]]:
            return [(row.id, row.version) for row in log.index_rows(query).rows]

        partition = own_partition(log, ANA)
        before = one.recorded_from - timedelta(microseconds=1)
        assert versions(IndexQuery(ANA, partition, known_at=before)) == []
        assert versions(IndexQuery(ANA, partition, known_at=one.recorded_from)) == [(one.id, 1)]
        assert versions(IndexQuery(ANA, partition, known_at=revised.recorded_from)) == [(one.id, 2)]
        assert len(versions(IndexQuery(ANA, partition))) == 2

    def test_catching_up_in_steps_is_loading_at_once(self, log: EpisodicLog) -> None:
        """Whatever is written, an index that follows along holds what one that loads afresh holds."""

        @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
        @given(steps=Steps)
        def holds(steps: list[tuple[str, int, bool]]) -> None:
            writer = _Writer(log, Scope(user=f"follower {next(_examples)}", agent="coach"))
            writer.append(2, with_vector=True)
            writer.append(2, with_vector=False)
            follower = _Follower(log, writer.scope)
            follower.catch_up()
            for step, number, flag in steps:
                if step == "catch up":
                    follower.catch_up()
                else:
                    writer.do(step, number, flag)
            follower.catch_up()
            fresh = _Follower(log, writer.scope)
            fresh.catch_up()
            assert follower.comparable() == fresh.comparable()
            assert follower.seq == fresh.seq == seq_of(log, writer.scope)
            assert {row.id for row in fresh.rows.values()} == {each.id for each in log.read(LogQuery(writer.scope))}

        holds()

    # --- vectors and generations ------------------------------------------------------------------

    def test_there_is_no_generation_before_the_first(self, log: EpisodicLog) -> None:
        assert log.generation() is None

    def test_a_new_generation_is_the_current_one(self, log: EpisodicLog) -> None:
        first = log.start_generation("model-a:1", 4, "model-a")
        assert log.generation() == first
        assert (first.fingerprint, first.dimensions, first.embedder) == ("model-a:1", 4, "model-a")
        assert log.start_generation("model-a:1", 4, "model-a") == first, "the same embedder starts nothing new"
        second = log.start_generation("model-b:1", 8, "model-b")
        assert second.number > first.number
        assert log.generation() == second

    def test_vectors_of_an_older_generation_no_longer_count(self, log: EpisodicLog) -> None:
        old = log.start_generation("model-a:1", DIMENSIONS, "model-a").number
        memory = append_one(log, ANA, draft(vector=blob(1)), generation=old)
        place = (own_partition(log, ANA), index_rows(log, ANA)[memory.id].row)
        assert log.vectors(ANA, [place]) == {place: blob(1)}
        assert log.counts()["vectors"] == 1
        new = log.start_generation("model-b:1", DIMENSIONS, "model-b").number
        assert log.vectors(ANA, [place]) == {}
        assert (log.counts()["vectors"], log.counts()["waiting"]) == (0, 1)
        row = index_rows(log, ANA)[memory.id]
        assert row.vector is None or row.generation != new

    @pytest.mark.parametrize("writing", ["append", "revise", "put_vectors"])
    def test_a_vector_of_another_generation_is_never_kept(self, log: EpisodicLog, writing: str) -> None:
        old = log.start_generation("model-a:1", DIMENSIONS, "model-a").number
        new = log.start_generation("model-b:1", DIMENSIONS, "model-b").number
        one = append_one(log, ANA, draft(vector=blob(1)), generation=old if writing == "append" else new)
        if writing == "revise":
            revision = Revision(content="two", vector=blob(2))
            log.revise(ANA, one.id, revision, expected_version=None, generation=old)
        if writing == "put_vectors":
            partition, row = own_partition(log, ANA), index_rows(log, ANA)[one.id].row
            log.put_vectors(old, [Embedded(partition, row, blob(2))])
            assert log.vectors(ANA, [(partition, row)]) == {(partition, row): blob(1)}
            return
        partition, row = own_partition(log, ANA), index_rows(log, ANA)[one.id].row
        assert log.vectors(ANA, [(partition, row)]) == {}
        assert [memory.id for _, memory in _waiting(log, ANA, new)] == [one.id]

    def test_a_revision_without_new_content_keeps_its_vector(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        one = append_one(log, ANA, draft(vector=blob(1)), generation=generation)
        log.revise(ANA, one.id, Revision(metadata={"a": 1}), expected_version=None, generation=generation)
        place = (own_partition(log, ANA), index_rows(log, ANA)[one.id].row)
        assert log.vectors(ANA, [place]) == {place: blob(1)}
        assert index_rows(log, ANA)[one.id].terms == draft().terms

    def test_vectors_that_come_later_are_kept_and_reach_indexes(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        one, two, three = append(log, ANA, "one", "two", "three")
        waiting = _waiting(log, ANA, generation)
        assert [memory for _, memory in waiting] == [one, two, three]
        partition, seq = own_partition(log, ANA), seq_of(log, ANA)
        rows = [row for row, _ in waiting]
        late = [Embedded(partition, rows[0], blob(1)), Embedded(partition, rows[1], None)]
        log.put_vectors(generation, late)
        assert [memory for _, memory in _waiting(log, ANA, generation)] == [three], "no vector is an answer too"
        assert log.vectors(ANA, [(partition, row) for row in rows]) == {(partition, rows[0]): blob(1)}
        batch = log.index_rows(IndexQuery(ANA, partition, after=seq))
        assert dict(batch.vectors)[rows[0]] == (generation, blob(1))
        assert index_rows(log, ANA)[one.id].vector == blob(1)

    def test_waiting_rows_come_in_pages(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        stored = append(log, ANA, *(f"turn {number}" for number in range(5)))
        append(log, BEN, "not ana's")
        head = own_head(log, ANA)
        assert head is not None
        first = log.without_vector(head, generation, after=0, limit=2)
        rest = log.without_vector(head, generation, after=first[-1][0], limit=10)
        assert [memory for _, memory in first + rest] == stored

    def test_a_vector_that_comes_after_its_row_was_forgotten_is_ignored(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        one, two, three = append(log, ANA, "one", "two", "three")
        partition = own_partition(log, ANA)
        rows = {id: row.row for id, row in index_rows(log, ANA).items()}
        log.erase(ANA, [one.id], mode="erase")
        log.erase(ANA, [three.id], mode="retire")
        late = [Embedded(partition, rows[id], blob(2)) for id in (one.id, two.id, three.id)]
        log.put_vectors(generation, late)
        places = [(partition, row) for row in rows.values()]
        assert log.vectors(ANA, places) == {(partition, rows[two.id]): blob(2)}
        log.erase_everything(Scope(user="ana"))
        log.put_vectors(generation, late)
        assert log.vectors(ANA, places) == {}
        assert log.counts()["vectors"] == 0

    # --- cursors ----------------------------------------------------------------------------------

    def test_a_cursor_starts_at_zero_and_stands_where_it_was_put(self, log: EpisodicLog) -> None:
        append(log, ANA, "one")
        append(log, BEN, "one")
        ana, ben = own_partition(log, ANA), own_partition(log, BEN)
        assert log.cursor("chroma", 1, ana) == 0
        log.move_cursor("chroma", 1, ana, 5)
        log.move_cursor("chroma", 1, ana, 7)
        log.move_cursor("chroma", 2, ana, 3)
        assert log.cursor("chroma", 1, ana) == 7
        assert log.cursor("chroma", 2, ana) == 3
        assert log.cursor("chroma", 1, ben) == 0
        assert log.cursor("other", 1, ana) == 0

    def test_cursors_and_generations_are_there_after_reopening(
        self, log: EpisodicLog, reopen: Callable[[], EpisodicLog]
    ) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test")
        append(log, ANA, "one")
        log.move_cursor("chroma", generation.number, own_partition(log, ANA), 1)
        log.close()
        again = reopen()
        assert again.generation() == generation
        assert again.cursor("chroma", generation.number, own_partition(again, ANA)) == 1
        again.close()


class _Writer:
    """Carries out the steps of an example in one partition."""

    def __init__(self, log: EpisodicLog, scope: Scope) -> None:
        self.log = log
        self.scope = scope
        self.ids: list[str] = []
        self.retired: list[str] = []
        current = log.generation()
        self.generation = current.number if current else self._start_generation()

    def do(self, step: str, number: int, flag: bool) -> None:
        match step:
            case "append":
                self.append(number, with_vector=flag)
            case "new generation":
                self.generation = self._start_generation()
            case "replace document":
                self._replace_document(number)
            case "embed":
                self._embed(number, has_vector=flag)
            case "facts":
                self._tell_facts(number)
            case "settle":
                self.log.settle(_values_in_turn, limit=1_000)
            case "restore":
                if self.retired:
                    self.ids.append(self.retired.pop())
                    self.log.restore(self.scope, self.ids[-1], version=1 if flag else None, reason=None)
            case _ if self.ids:
                self._change(step, self.ids[number % len(self.ids)], flag)

    def append(self, count: int, *, with_vector: bool) -> None:
        drafts = [draft(f"turn {place}", vector=blob(place) if with_vector else None) for place in range(count)]
        self.ids += [memory.id for memory in self.log.append(self.scope, drafts, generation=self.generation)]

    def _start_generation(self) -> int:
        return self.log.start_generation(f"test:{next(_examples)}", DIMENSIONS, "test").number

    def _replace_document(self, count: int) -> None:
        texts = [f"chunk {place} of {count}" if place else "always there" for place in range(count)]
        drafts = [
            draft(text, kind="document", source=Source("a.md", (), place, 0, len(text)), vector=blob(place))
            for place, text in enumerate(texts)
        ]
        self.log.append(self.scope, drafts, generation=self.generation, replacing=frozenset({"a.md"}))

    def _tell_facts(self, number: int) -> None:
        facts = [Fact("user", "home", f"city {(number + place) % 3}") for place in range(2)]
        drafts = [draft(fact.value, kind="fact", fact=fact) for fact in facts]
        self.ids += [memory.id for memory in self.log.append(self.scope, drafts, generation=self.generation)]

    def _embed(self, limit: int, *, has_vector: bool) -> None:
        waiting = _waiting(self.log, self.scope, self.generation)[: limit + 1]
        partition = own_partition(self.log, self.scope)
        late = [Embedded(partition, row, blob(row) if has_vector else None) for row, _ in waiting]
        self.log.put_vectors(self.generation, late)

    def _change(self, step: str, id: str, flag: bool) -> None:
        if step in ("erase", "retire"):
            self.log.erase(self.scope, [id], mode="erase" if step == "erase" else "retire")
            self.ids.remove(id)
            if step == "retire":
                self.retired.append(id)
            return
        if step == "use":
            self.log.note_uses([Use(own_partition(self.log, self.scope), id, 1, 1.0 if flag else None)])
            return
        new_words = Revision(content=f"new {id}", terms=draft("new").terms, length=1, vector=blob(5) if flag else None)
        revision = new_words if step == "revise" else Revision(metadata={"touched": flag})
        self.log.revise(self.scope, id, revision, expected_version=None, generation=self.generation)


class _Follower:
    """An index of one partition: applies batches as the docstring of IndexBatch says."""

    def __init__(self, log: EpisodicLog, scope: Scope) -> None:
        self.log = log
        self.scope = scope
        self.partition = own_partition(log, scope)
        self.seq = 0
        self.rows: dict[int, IndexRow] = {}

    def catch_up(self) -> None:
        batch: IndexBatch = self.log.index_rows(IndexQuery(self.scope, self.partition, after=self.seq))
        self.rows |= {row.row: row for row in batch.rows}
        for gone in batch.gone:
            self.rows.pop(gone, None)
        for row, (generation, vector) in batch.vectors.items():
            if row in self.rows:
                self.rows[row] = self.rows[row]._replace(generation=generation, vector=vector)
        for row, (accesses, outcome) in batch.uses.items():
            if row in self.rows:
                self.rows[row] = self.rows[row]._replace(accesses=accesses, outcome=outcome)
        self.seq = batch.seq

    def comparable(self) -> list[IndexRow]:
        """The rows in order, without vectors of older generations, which may not be compared with anything.

        And without ``times`` of a fact: those change in place, and are for the log to tell.
        """
        current = self.log.generation()
        number = current.number if current else None
        rows = [row._replace(fact=_without_times(row.fact)) for _, row in sorted(self.rows.items())]
        return [
            row if row.vector is not None and row.generation == number else row._replace(generation=None, vector=None)
            for row in rows
        ]


def _without_times(fact: str | None) -> str | None:
    return None if fact is None else json.dumps({**json.loads(fact), "times": None})


def _values_in_turn(facts: Sequence[Memory]) -> dict[str, Standing]:
    """Each fact closes the one stored before it, or restates it if it says the same."""
    standings: dict[str, Standing] = {}
    for before, fact in zip([None, *facts], facts, strict=False):
        if before is not None and before.fact and fact.fact and before.fact.value == fact.fact.value:
            standings[before.id] = replace(standings[before.id], times=2)
            standings[fact.id] = Standing(None, restates=before.id)
        else:
            if before is not None:
                standings[before.id] = Standing(fact.valid_from, superseded_by=fact.id)
            standings[fact.id] = Standing(None)
    return standings


def _waiting(log: EpisodicLog, scope: Scope, generation: int) -> list[tuple[int, Memory]]:
    head = own_head(log, scope)
    assert head is not None
    return log.without_vector(head, generation, after=0, limit=1_000)
