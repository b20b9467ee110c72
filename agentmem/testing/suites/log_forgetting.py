"""Forgetting: what was erased is nowhere, what was not asked for is untouched, and nothing comes back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from agentmem.errors import MemoryNotFound, ScopeError
from agentmem.interfaces import EpisodicLog, ErasureRequest, IndexQuery, LogQuery, Revision
from agentmem.records import ForgetMode, Scope
from agentmem.testing.fakes import draft
from agentmem.testing.suites.log_base import (
    ANA,
    ANA_ELSEWHERE,
    BEN,
    DIMENSIONS,
    LogSuite,
    all_contents,
    append,
    append_one,
    blob,
    contents,
    index_rows,
    own_head,
    own_partition,
    seq_of,
)

SENTINEL = "xylophonequartz"
COACH = Scope(agent="coach")


class ForgettingPromises(LogSuite):
    def test_an_erased_memory_is_gone_with_its_whole_history(self, log: EpisodicLog) -> None:
        first, kept = append(log, ANA, "one", "kept")
        revised = log.revise(ANA, first.id, Revision(content="two"), expected_version=None, generation=None)
        rows = [row.row for row in index_rows(log, ANA).values() if row.id == first.id]
        erasure = log.erase(ANA, [first.id], mode="erase")
        assert erasure.memories == 1
        assert sum(erasure.rows.values()) >= 2, "both versions were rows"
        assert {(own_partition(log, ANA), row) for row in rows} <= set(erasure.dropped)
        assert log.read(LogQuery(ANA)) == [kept]
        for when in (first.recorded_from, revised.recorded_from):
            assert first.id not in {memory.id for memory in log.read(LogQuery(ANA, known_at=when))}
        assert first.id not in index_rows(log, ANA)
        with pytest.raises(MemoryNotFound):
            log.history(ANA, first.id)
        with pytest.raises(MemoryNotFound):
            log.revise(ANA, first.id, Revision(content="back"), expected_version=None, generation=None)
        with pytest.raises(MemoryNotFound):
            log.erase(ANA, [first.id], mode="erase")

    @pytest.mark.parametrize("mode", ["erase", "retire"])
    def test_an_unknown_id_among_known_ones_forgets_none(self, log: EpisodicLog, mode: str) -> None:
        stored = append(log, ANA, "one", "two")
        before = seq_of(log, ANA)
        with pytest.raises(MemoryNotFound, match="unknown"):
            log.erase(ANA, [stored[0].id, "unknown", stored[1].id], mode=mode)  # type: ignore[arg-type]
        assert log.read(LogQuery(ANA)) == stored
        assert seq_of(log, ANA) == before

    def test_an_id_given_twice_counts_once(self, log: EpisodicLog) -> None:
        one, _ = append(log, ANA, "one", "two")
        assert log.erase(ANA, [one.id, one.id], mode="erase").memories == 1
        assert all_contents(log, ANA) == ["two"]

    @pytest.mark.parametrize("mode", ["erase", "retire"])
    def test_a_dry_run_counts_what_would_go_and_touches_nothing(self, log: EpisodicLog, mode: ForgetMode) -> None:
        source, _ = append(log, ANA, "I live in Porto.", "I like rain.")
        log.append(ANA, [draft("Lives in Porto.", kind="fact", derived_from=(source.id,))], generation=None)
        before = log.read(LogQuery(ANA))
        counted = log.erase(ANA, [source.id], mode=mode, dry_run=True)
        assert log.read(LogQuery(ANA)) == before
        assert counted.memories == log.erase(ANA, [source.id], mode=mode).memories
        with pytest.raises(MemoryNotFound):
            log.erase(ANA, [source.id], mode=mode, dry_run=True)

    def test_many_are_erased_at_once(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, *(f"turn {number}" for number in range(1_200)))
        assert log.erase(ANA, [memory.id for memory in stored[:1_100]], mode="erase").memories == 1_100
        assert log.read(LogQuery(ANA)) == stored[1_100:]

    def test_what_was_derived_from_an_erased_memory_goes_with_it(self, log: EpisodicLog) -> None:
        source, other = append(log, ANA, "I live in Porto.", "I like rain.")
        fact = append_one(log, ANA, draft("Ana lives in Porto.", kind="fact", derived_from=(source.id,)))
        summary = append_one(log, ANA, draft("Ana, of Porto.", kind="summary", derived_from=(other.id, fact.id)))
        assert log.erase(ANA, [source.id], mode="erase").memories == 3
        assert log.read(LogQuery(ANA)) == [other]
        assert log.tombstoned(ANA, [source.id, other.id, fact.id, summary.id]) == {source.id, fact.id, summary.id}

    def test_a_retired_memory_is_hidden_but_kept_in_the_history(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        row = index_rows(log, ANA)[one.id].row
        erasure = log.erase(ANA, [one.id], mode="retire")
        assert (erasure.memories, list(erasure.dropped)) == (1, [(own_partition(log, ANA), row)])
        assert log.read(LogQuery(ANA)) == [two]
        assert set(index_rows(log, ANA)) == {two.id}
        [hidden] = log.history(ANA, one.id)
        assert (hidden.content, hidden.recorded_from) == ("one", one.recorded_from)
        assert hidden.recorded_to is not None
        assert contents(log.read(LogQuery(ANA, known_at=two.recorded_from))) == ["one", "two"]
        assert log.tombstoned(ANA, [one.id]) == frozenset()

    def test_a_retired_memory_can_still_be_erased(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        log.erase(ANA, [one.id], mode="retire")
        log.erase(ANA, [one.id], mode="erase")
        with pytest.raises(MemoryNotFound):
            log.history(ANA, one.id)
        assert log.tombstoned(ANA, [one.id]) == {one.id}

    def test_what_was_erased_is_known_as_erased_and_nothing_else_is(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        log.erase(ANA, [one.id], mode="erase")
        assert log.tombstoned(ANA, [one.id, two.id, "unknown"]) == {one.id}
        assert log.tombstoned(ANA, []) == frozenset()

    @pytest.mark.parametrize("mode", ["erase", "retire"])
    def test_a_session_that_a_turn_was_forgotten_of_is_known_as_such(self, log: EpisodicLog, mode: ForgetMode) -> None:
        monday, tuesday = (Scope(user="ana", agent="coach", session=day) for day in ("monday", "tuesday"))
        anywhere = Scope(user="ana", agent="coach")
        one = append_one(log, ANA, draft("one", session="monday"))
        two = append_one(log, ANA, draft("two", session="tuesday"))
        assert not any(map(log.has_forgotten, (monday, tuesday, anywhere)))
        log.erase(ANA, [one.id], mode=mode, request=ErasureRequest("r", one.recorded_from))
        assert log.has_forgotten(monday)
        assert log.has_forgotten(anywhere)
        assert not log.has_forgotten(BEN)
        log.erase_everything(Scope(user="ana"), request=ErasureRequest("s", two.recorded_from))
        assert log.has_forgotten(tuesday)

    def test_a_session_that_something_was_private_in_is_known_as_such(self, log: EpisodicLog) -> None:
        if type(log).mark_private is EpisodicLog.mark_private:
            pytest.skip("this log keeps no marks of sessions")
        monday, tuesday = (Scope(user="ana", agent="coach", session=day) for day in ("monday", "tuesday"))
        for _ in range(2):
            log.mark_private(monday)
        assert log.has_forgotten(monday)
        assert log.has_forgotten(Scope(user="ana", agent="coach"))
        assert not log.has_forgotten(tuesday)
        assert not log.has_forgotten(BEN)
        assert log.receipts(monday) == []

    def test_saying_it_again_is_a_new_memory(self, log: EpisodicLog) -> None:
        one = append_one(log, ANA, draft("I live in Porto.", idempotency_key="k"))
        log.erase(ANA, [one.id], mode="erase")
        again = append_one(log, ANA, draft("I live in Lisbon.", idempotency_key="k"))
        assert again.id != one.id
        assert all_contents(log, ANA) == ["I live in Lisbon."]

    def test_an_erased_id_does_not_come_back(self, log: EpisodicLog) -> None:
        gone, kept = append(log, ANA, "one", "two")
        log.erase(ANA, [gone.id], mode="erase")
        with pytest.raises(MemoryNotFound, match=gone.id):
            log.append(ANA, [draft("three"), draft("one", id=gone.id)], generation=None)
        assert log.read(LogQuery(ANA)) == [kept], "all or none"
        assert append_one(log, BEN, draft("mine", id=gone.id)).id == gone.id, "it was nobody else's"

    def test_a_row_number_is_never_used_twice(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, "one", "two", "three")
        used = {(own_partition(log, ANA), row.row) for row in index_rows(log, ANA).values()}
        log.erase(ANA, [memory.id for memory in stored], mode="erase")
        append(log, ANA, "four")
        fresh = {(own_partition(log, ANA), row.row) for row in index_rows(log, ANA).values()}
        assert max(row for _, row in used) < min(row for _, row in fresh)
        log.erase_everything(Scope(user="ana"))
        append(log, ANA, "five")
        latest = {(own_partition(log, ANA), row.row) for row in index_rows(log, ANA).values()}
        assert latest.isdisjoint(used | fresh)

    # --- everything -------------------------------------------------------------------------------

    def test_forgetting_a_user_takes_every_agents_rows_and_nobody_elses(self, log: EpisodicLog) -> None:
        ours = [ANA, Scope(user="ana"), Scope(user="ana", agent="cook")]
        others = [BEN, COACH, ANA_ELSEWHERE, Scope(user="ana2"), Scope(user="ben", tenant="elsewhere")]
        for scope in ours + others:
            append(log, scope, "one", "two")
        ids = [memory.id for memory in log.read(LogQuery(Scope(user="ana")))]
        before = {scope: (log.read(LogQuery(scope)), log.heads(scope)) for scope in others}
        partitions = {head.partition for head in log.heads(Scope(user="ana"))}
        erasure = log.erase_everything(Scope(user="ana"))
        assert (erasure.memories, set(erasure.partitions)) == (6, partitions)
        assert log.read(LogQuery(Scope(user="ana"))) == []
        assert log.heads(Scope(user="ana")) == []
        assert log.tombstoned(Scope(user="ana"), ids) == set(ids)
        assert {scope: (log.read(LogQuery(scope)), log.heads(scope)) for scope in others} == before

    def test_forgetting_an_agent_takes_its_own_layer_and_no_users_row(self, log: EpisodicLog) -> None:
        others = [ANA, Scope(user="ana"), Scope(agent="cook"), Scope(agent="coach", tenant="elsewhere")]
        for scope in [COACH, *others]:
            append(log, scope, f"of {scope}")
        before = {scope: log.read(LogQuery(scope, writable=True)) for scope in others}
        assert log.erase_everything(COACH).memories == 1
        assert all_contents(log, COACH) == []
        assert {scope: log.read(LogQuery(scope, writable=True)) for scope in others} == before

    @pytest.mark.parametrize("dry_run", [False, True])
    def test_forgetting_everything_of_a_user_with_an_agent_is_refused(self, log: EpisodicLog, dry_run: bool) -> None:
        append(log, ANA, "one")
        with pytest.raises(ScopeError):
            log.erase_everything(ANA, dry_run=dry_run)
        assert all_contents(log, ANA) == ["one"]

    def test_a_dry_run_counts_and_touches_nothing(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, "one", "two")
        log.revise(ANA, stored[0].id, Revision(content="uno"), expected_version=None, generation=None)
        before = (log.read(LogQuery(ANA)), log.heads(ANA), log.counts()["versions"])
        rehearsal = log.erase_everything(Scope(user="ana"), dry_run=True)
        assert (log.read(LogQuery(ANA)), log.heads(ANA), log.counts()["versions"]) == before
        assert rehearsal.memories == log.erase_everything(Scope(user="ana")).memories == 2

    def test_forgetting_everything_of_a_stranger_forgets_nothing(self, log: EpisodicLog) -> None:
        append(log, ANA, "one")
        assert log.erase_everything(Scope(user="nobody")).memories == 0
        assert all_contents(log, ANA) == ["one"]

    def test_after_forgetting_everything_life_goes_on(self, log: EpisodicLog) -> None:
        append(log, ANA, "one")
        old = own_head(log, ANA)
        log.erase_everything(Scope(user="ana"))
        append(log, ANA, "two")
        assert all_contents(log, ANA) == ["two"]
        assert own_head(log, ANA) != old, "an index must be able to tell the new rows from the old"

    # --- traces -----------------------------------------------------------------------------------

    @pytest.mark.parametrize("how", ["by id", "everything"])
    def test_no_trace_of_erased_words_is_left(self, log: EpisodicLog, raw_text: Callable[[], bytes], how: str) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        secret = draft(
            f"the {SENTINEL} is under the stairs",
            speaker=f"{SENTINEL} speaker",
            session=f"{SENTINEL} session",
            metadata={f"{SENTINEL} key": "value"},
            idempotency_key=f"{SENTINEL} idempotency",
            vector=blob(1),
        )
        memory = append_one(log, ANA, secret, generation=generation)
        log.revise(ANA, memory.id, Revision(content=f"more {SENTINEL}"), expected_version=None, generation=generation)
        append(log, BEN, "a neighbour")
        assert SENTINEL.encode() in raw_text(), "the look inside can find what is there"
        if how == "by id":
            log.erase(ANA, [memory.id], mode="erase")
        else:
            log.erase_everything(Scope(user="ana"))
        assert all(left_to_do for left_to_do in log.purge_traces()), "what is left to do is said in words"
        raw = raw_text()
        assert SENTINEL.encode() not in raw
        assert secret.terms not in raw
        assert memory.id.encode() not in raw, "a tombstone is a keyed hash, not the id"
        assert b"a neighbour" in raw

    def test_an_erased_memory_was_never_known(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        [two] = append(log, ANA, "two")
        log.erase(ANA, [one.id], mode="erase")
        later = two.recorded_from + timedelta(days=1)
        query = IndexQuery(ANA, own_partition(log, ANA), known_at=later)
        assert [row.id for row in log.index_rows(query).rows] == [two.id]
        assert contents(log.read(LogQuery(ANA, known_at=two.recorded_from))) == ["two"]
