"""Storing, changing and reading: what goes in comes out, in order, once, in versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agentmem.clock import to_micros
from agentmem.errors import (
    AgentMemError,
    BackendError,
    CorruptRecord,
    IdempotencyConflict,
    InvalidInput,
    ManagerClosed,
    MemoryNotFound,
    VersionConflict,
)
from agentmem.interfaces import EpisodicLog, IndexQuery, LogQuery, Outlived, Revision
from agentmem.records import Affect, Draft, Fact, Memory, Scope, Source
from agentmem.testing.fakes import A_MONDAY, draft
from agentmem.testing.suites.base import ODD_TEXTS, in_threads
from agentmem.testing.suites.log_base import (
    ANA,
    ANA_ELSEWHERE,
    BEN,
    LogSuite,
    all_contents,
    append,
    append_one,
    contents,
    own_partition,
    seq_of,
)


class MemoryPromises(LogSuite):
    # --- storing ----------------------------------------------------------------------------------

    def test_every_field_comes_back_as_it_was_given(self, log: EpisodicLog) -> None:
        given = draft(
            "Ana moved to Lisbon in May.",
            kind="lesson",
            role="assistant",
            speaker="Coach",
            session="tuesday",
            occurred_at=datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
            metadata={"topic": "cities", "tags": ["a", 1, 1.5, None, True], "deep": {"größe": {"'; --": "%s"}}},
            importance=0.25,
            affect=Affect(valence=-0.5, arousal=0.75, label="homesick"),
            integrity="tool",
            expires_at=datetime(2050, 1, 1, tzinfo=UTC),
            idempotency_key="key-1",
            derived_from=("m2", "m1"),
            source=Source("guide.md", ("Cities", "Lisbon"), 3, 10, 37),
            valid_from=A_MONDAY - timedelta(days=9),
            valid_to=A_MONDAY + timedelta(days=9),
            fact=Fact("user", "home", "Lisbon", "ended", topic="second", span=(3, 9)),
            origin="chat.json",
            written_by="import",
            reason="moved here",
        )
        stored = append_one(log, ANA, given)
        given_names = {field.name for field in fields(Draft)} & {field.name for field in fields(Memory)} - {"id"}
        assert len(given_names) > 10
        for name in given_names:
            assert getattr(stored, name) == getattr(given, name), name
        assert stored.scope == replace(ANA, session="tuesday")
        assert log.read(LogQuery(ANA, ids=(stored.id,))) == [stored]

    def test_a_new_memory_is_the_first_version_and_current(self, log: EpisodicLog) -> None:
        [memory] = append(log, ANA, "hello")
        assert memory.version == 1
        assert memory.recorded_to is None
        assert memory.recorded_from.utcoffset() == timedelta(0)
        assert memory.valid_from == memory.occurred_at
        assert memory.valid_to is None

    def test_times_come_back_in_utc(self, log: EpisodicLog) -> None:
        given = datetime.fromisoformat("2026-01-05T23:30:00+09:00")
        stored = append_one(log, ANA, draft(occurred_at=given))
        assert stored.occurred_at == given
        assert stored.occurred_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("year", [1, 1900, 9999])
    def test_any_year_can_be_remembered(self, log: EpisodicLog, year: int) -> None:
        when = datetime(year, 6, 15, 1, 2, 3, 456_789, tzinfo=UTC)
        stored = append_one(log, ANA, draft(occurred_at=when))
        assert log.read(LogQuery(ANA, ids=(stored.id,)))[0].occurred_at == when

    @pytest.mark.parametrize("text", ODD_TEXTS)
    def test_any_text_comes_back_unchanged(self, log: EpisodicLog, text: str) -> None:
        stored = append_one(log, ANA, draft(text, speaker=text, session=text, metadata={text: text}))
        [read] = log.read(LogQuery(ANA, ids=(stored.id,)))
        assert (read.content, read.speaker, read.scope.session, read.metadata) == (text, text, text, {text: text})

    def test_a_megabyte_comes_back_unchanged(self, log: EpisodicLog) -> None:
        text = "ß" * (1 << 19)
        stored = append_one(log, ANA, draft(text))
        assert log.read(LogQuery(ANA, ids=(stored.id,)))[0].content == text

    def test_a_nul_is_kept_whole_or_refused_never_cut(self, log: EpisodicLog) -> None:
        try:
            append(log, ANA, "before\x00after")
        except AgentMemError:
            assert all_contents(log, ANA) == []
        else:
            assert all_contents(log, ANA) == ["before\x00after"]

    def test_a_scope_of_odd_ids_keeps_them(self, log: EpisodicLog) -> None:
        odd = Scope(user="ana@example.com/\u202e👩‍👧%_'\"", agent="c o a c h\n", tenant="ténant")
        [memory] = append(log, odd, "hello")
        assert replace(memory.scope, session=None) == odd
        assert all_contents(log, odd) == ["hello"]

    def test_memories_keep_the_order_given(self, log: EpisodicLog) -> None:
        texts = [f"turn {number}" for number in range(50)]
        stored = append(log, ANA, *texts[:30]) + append(log, ANA, *texts[30:])
        assert contents(stored) == texts
        assert all_contents(log, ANA) == texts
        positions = [memory.position for memory in stored]
        assert positions == sorted(set(positions))

    def test_ids_are_unique_and_a_given_id_is_kept(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, "same words", "same words")
        given = append_one(log, ANA, draft(id="an-id-from-an-import"))
        assert len({memory.id for memory in [*stored, given]}) == 3
        assert given.id == "an-id-from-an-import"

    def test_storing_nothing_is_fine(self, log: EpisodicLog) -> None:
        assert log.append(ANA, [], generation=None) == []
        assert all_contents(log, ANA) == []

    @pytest.mark.parametrize("twin", ["in the log", "in the batch"])
    def test_one_bad_draft_stores_none(self, log: EpisodicLog, twin: str) -> None:
        append_one(log, ANA, draft("first", id="taken"))
        before = seq_of(log, ANA)
        taken = "taken" if twin == "in the log" else "new"
        drafts = [draft("good"), draft("also good", id="new"), draft("bad", id=taken), draft("never reached")]
        with pytest.raises(InvalidInput):
            log.append(ANA, drafts, generation=None)
        assert all_contents(log, ANA) == ["first"]
        assert seq_of(log, ANA) == before

    def test_a_person_has_an_id_once_whatever_the_agent(self, log: EpisodicLog) -> None:
        """Or forgetting it by the person's scope would leave one behind."""
        append_one(log, Scope(user="ana", agent="cook"), draft("first", id="an-id"))
        for scope in (ANA, Scope(user="ana")):
            with pytest.raises(InvalidInput):
                append_one(log, scope, draft("second", id="an-id"))
        log.erase(Scope(user="ana"), ["an-id"], mode="erase")
        assert all_contents(log, Scope(user="ana")) == []

    def test_an_id_of_somebody_else_is_free(self, log: EpisodicLog) -> None:
        """Or its refusal would tell that somebody else has it."""
        for scope in (BEN, ANA_ELSEWHERE, ANA):
            assert append_one(log, scope, draft(f"of {scope}", id="an-id")).id == "an-id"
        log.erase(BEN, ["an-id"], mode="erase")
        assert contents(log.history(ANA, "an-id")) == [f"of {ANA}"]
        assert contents(log.history(ANA_ELSEWHERE, "an-id")) == [f"of {ANA_ELSEWHERE}"]

    # --- idempotency ------------------------------------------------------------------------------

    def test_the_same_key_twice_stores_one_memory(self, log: EpisodicLog) -> None:
        first = append_one(log, ANA, draft("hello", idempotency_key="k"))
        again, new = log.append(
            ANA, [draft("hello", idempotency_key="k"), draft("bye", idempotency_key="l")], generation=None
        )
        assert (again.id, again.version) == (first.id, 1)
        assert all_contents(log, ANA) == ["hello", "bye"]
        assert new.id != first.id

    def test_the_same_key_twice_in_one_batch_stores_one_memory(self, log: EpisodicLog) -> None:
        one, other = log.append(ANA, [draft("hello", idempotency_key="k")] * 2, generation=None)
        assert one.id == other.id
        assert all_contents(log, ANA) == ["hello"]

    def test_the_same_key_with_other_content_is_a_conflict_and_stores_none(self, log: EpisodicLog) -> None:
        append_one(log, ANA, draft("hello", idempotency_key="k"))
        with pytest.raises(IdempotencyConflict):
            log.append(ANA, [draft("new"), draft("goodbye", idempotency_key="k")], generation=None)
        assert all_contents(log, ANA) == ["hello"]

    def test_a_retry_after_an_update_is_still_the_same_memory(self, log: EpisodicLog) -> None:
        first = append_one(log, ANA, draft("hello", idempotency_key="k"))
        log.revise(ANA, first.id, Revision(content="hello there"), expected_version=None, generation=None)
        again = append_one(log, ANA, draft("hello", idempotency_key="k"))
        assert again.id == first.id
        assert all_contents(log, ANA) == ["hello there"]

    @pytest.mark.parametrize("other", [BEN, ANA_ELSEWHERE, Scope(user="ana"), Scope(agent="coach")])
    def test_a_key_means_nothing_in_another_scope(self, log: EpisodicLog, other: Scope) -> None:
        first = append_one(log, ANA, draft("hello", idempotency_key="k"))
        second = append_one(log, other, draft("not hello", idempotency_key="k"))
        assert first.id != second.id

    def test_without_a_key_saying_it_twice_is_two_turns(self, log: EpisodicLog) -> None:
        append(log, ANA, "ok", "ok")
        append(log, ANA, "ok")
        assert all_contents(log, ANA) == ["ok"] * 3

    # --- versions ---------------------------------------------------------------------------------

    def test_a_revision_is_a_new_version_that_closes_the_one_before(self, log: EpisodicLog) -> None:
        first, second = append(log, ANA, "I live in Porto.", "And you?")
        revised = log.revise(ANA, first.id, Revision(content="I live in Lisbon."), expected_version=1, generation=None)
        assert (revised.id, revised.version, revised.content) == (first.id, 2, "I live in Lisbon.")
        assert (revised.position, revised.occurred_at) == (first.position, first.occurred_at)
        assert log.read(LogQuery(ANA)) == [revised, second]
        old, new = log.history(ANA, first.id)
        assert (old.content, new) == ("I live in Porto.", revised)
        assert old.recorded_to == new.recorded_from >= old.recorded_from

    def test_what_a_revision_leaves_unset_stays(self, log: EpisodicLog) -> None:
        stored = append_one(log, ANA, draft("hello", metadata={"a": 1}, importance=0.5, speaker="Ana"))

        def revise(revision: Revision) -> Memory:
            return log.revise(ANA, stored.id, revision, expected_version=None, generation=None)

        assert revise(Revision(metadata={"b": 2})).content == "hello"
        assert revise(Revision(content="bye")).metadata == {"b": 2}
        latest = revise(Revision(importance=None))
        assert (latest.content, latest.metadata, latest.importance, latest.version) == ("bye", {"b": 2}, None, 4)
        assert latest.speaker == "Ana"

    def test_a_conflict_changes_nothing(self, log: EpisodicLog) -> None:
        [memory] = append(log, ANA, "one")
        log.revise(ANA, memory.id, Revision(content="two"), expected_version=1, generation=None)
        before = seq_of(log, ANA)
        for expected in (1, 3):
            with pytest.raises(VersionConflict):
                log.revise(ANA, memory.id, Revision(content="three"), expected_version=expected, generation=None)
        assert all_contents(log, ANA) == ["two"]
        assert seq_of(log, ANA) == before

    def test_history_is_oldest_first_and_whole(self, log: EpisodicLog) -> None:
        [memory] = append(log, ANA, "version 1")
        for number in range(2, 6):
            log.revise(ANA, memory.id, Revision(content=f"version {number}"), expected_version=None, generation=None)
        history = log.history(ANA, memory.id)
        assert contents(history) == [f"version {number}" for number in range(1, 6)]
        assert [version.version for version in history] == [1, 2, 3, 4, 5]
        assert [version.recorded_to is None for version in history] == [False] * 4 + [True]

    def test_the_history_of_an_unknown_id_is_not_found(self, log: EpisodicLog) -> None:
        with pytest.raises(MemoryNotFound):
            log.history(ANA, "unknown")

    # --- reading ----------------------------------------------------------------------------------

    def test_every_condition_of_a_query_must_hold(self, log: EpisodicLog) -> None:
        one = append_one(log, ANA, draft("one", session="monday"))
        two = append_one(log, ANA, draft("two", session="monday", kind="rule"))
        append_one(log, ANA, draft("three", session="tuesday", kind="rule"))
        chunk = append_one(log, ANA, draft("four", kind="document", source=Source("a.md", (), 0, 0, 4)))
        partition = own_partition(log, ANA)
        assert contents(log.read(LogQuery(ANA, session="monday"))) == ["one", "two"]
        assert contents(log.read(LogQuery(ANA, kinds=frozenset({"rule"})))) == ["two", "three"]
        assert contents(log.read(LogQuery(ANA, session="monday", kinds=frozenset({"rule"})))) == ["two"]
        assert log.read(LogQuery(ANA, source="a.md")) == [chunk]
        assert log.read(LogQuery(ANA, source="b.md")) == []
        assert log.read(LogQuery(ANA, ids=(two.id, one.id, "unknown"))) == [one, two]
        assert log.read(LogQuery(ANA, ids=())) == []
        assert log.read(LogQuery(ANA, kinds=frozenset())) == []
        assert log.read(LogQuery(ANA, rows=((partition, one.position + 1_000_000),))) == []
        assert contents(log.read(LogQuery(ANA, limit=2))) == ["one", "two"]

    def test_many_ids_can_be_read_at_once(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, *(f"turn {number}" for number in range(1_200)))
        wanted = tuple(memory.id for memory in stored) + tuple(f"unknown-{number}" for number in range(40_000))
        assert log.read(LogQuery(ANA, ids=wanted)) == stored

    def test_pages_follow_each_other_while_memories_change(self, log: EpisodicLog) -> None:
        stored = append(log, ANA, *(f"turn {number}" for number in range(10)))
        partition = own_partition(log, ANA)
        seen: list[Memory] = []
        after: tuple[int, int] | None = None
        while page := log.read(LogQuery(ANA, after=after, limit=3)):
            assert len(page) <= 3
            seen += page
            after = (partition, page[-1].position)
            log.revise(ANA, stored[0].id, Revision(content="changed"), expected_version=None, generation=None)
            log.revise(ANA, stored[9].id, Revision(metadata={"n": len(seen)}), expected_version=None, generation=None)
            if len(seen) < 9:
                append(log, ANA, f"late {len(seen)}")
        assert [memory.id for memory in seen][:10] == [memory.id for memory in stored]
        assert contents(seen[10:]) == ["late 3", "late 6"]

    def test_what_has_expired_can_be_left_out(self, log: EpisodicLog) -> None:
        append_one(log, ANA, draft("a day", expires_at=A_MONDAY + timedelta(days=1)))
        append_one(log, ANA, draft("for ever"))

        def unexpired_at(when: datetime) -> list[str]:
            return contents(log.read(LogQuery(ANA, unexpired_at=when)))

        assert unexpired_at(A_MONDAY) == ["a day", "for ever"]
        assert unexpired_at(A_MONDAY + timedelta(days=1)) == ["for ever"]
        assert all_contents(log, ANA) == ["a day", "for ever"]

    def test_the_last_version_says_when_a_memory_ends(self, log: EpisodicLog) -> None:
        ends_later = append_one(log, ANA, draft("ends later"))
        never_ends = append_one(log, ANA, draft("never ends", expires_at=A_MONDAY))
        retired = append_one(log, ANA, draft("retired", expires_at=A_MONDAY))
        then = retired.recorded_from
        for memory, expires_at in ((ends_later, A_MONDAY), (never_ends, None)):
            log.revise(ANA, memory.id, Revision(expires_at=expires_at), expected_version=None, generation=None)
        log.erase(ANA, [retired.id], mode="retire")

        def shown(when: datetime, **details: Any) -> list[str]:
            return contents(log.read(LogQuery(ANA, unexpired_at=when, **details)))

        for ids in (None, (ends_later.id, never_ends.id, retired.id)):
            assert shown(A_MONDAY, ids=ids) == ["never ends"]
            assert shown(A_MONDAY, ids=ids, retired=True) == ["never ends"]
            assert shown(A_MONDAY, ids=ids, known_at=then) == ["never ends"]
            before = A_MONDAY - timedelta(days=1)
            assert shown(before, ids=ids, known_at=then) == ["ends later", "never ends", "retired"]
        query = IndexQuery(ANA, own_partition(log, ANA), known_at=then, unexpired_at=A_MONDAY, vectors=False)
        ends = {row.id: row.expires_at for row in log.index_rows(query).rows}
        assert ends == {ends_later.id: to_micros(A_MONDAY), never_ends.id: None, retired.id: to_micros(A_MONDAY)}

    def test_what_was_made_from_what_has_expired_is_left_out_with_it(self, log: EpisodicLog) -> None:
        said = append_one(log, ANA, draft("said", expires_at=A_MONDAY))
        other = append_one(log, ANA, draft("other"))
        summary = append_one(log, ANA, draft("summary", kind="summary", derived_from=(said.id, other.id)))
        users_own = replace(ANA, agent=None)
        append_one(log, users_own, draft("lesson", kind="lesson", derived_from=(summary.id,)))
        last = append_one(log, ANA, draft("other's", kind="fact", derived_from=(other.id,)))
        before, after = A_MONDAY - timedelta(days=1), A_MONDAY + timedelta(days=1)
        by_a_rule: dict[str, Any] = {"unexpired_at": before, "outlived": (Outlived(after, frozenset({"turn"})),)}
        ways: list[dict[str, Any]] = [{}, {"known_at": last.recorded_from}, {"retired": True}]
        for scope in (ANA, users_own):
            for way in ways:
                assert len(log.read(LogQuery(scope, unexpired_at=before, **way))) == 5
                assert contents(log.read(LogQuery(scope, unexpired_at=A_MONDAY, **way))) == ["other", "other's"]
                assert log.read(LogQuery(scope, **by_a_rule, **way)) == []
        query = IndexQuery(ANA, own_partition(log, ANA), known_at=last.recorded_from, unexpired_at=A_MONDAY)
        ended = [row.id for row in log.index_rows(query).rows if row.expires_at == to_micros(A_MONDAY)]
        assert ended == [said.id, summary.id]

    def test_as_of_asks_what_was_true_then(self, log: EpisodicLog) -> None:
        start, end = A_MONDAY, A_MONDAY + timedelta(days=10)
        append_one(log, ANA, draft("between", valid_from=start, valid_to=end))
        append_one(log, ANA, draft("for ever", valid_from=start))

        def true_at(when: datetime) -> list[str]:
            return contents(log.read(LogQuery(ANA, as_of=when)))

        a_moment = timedelta(microseconds=1)
        assert true_at(start - a_moment) == []
        assert true_at(start) == ["between", "for ever"]
        assert true_at(end - a_moment) == ["between", "for ever"]
        assert true_at(end) == ["for ever"]
        assert all_contents(log, ANA) == ["between", "for ever"]

    def test_known_at_asks_what_the_log_held_then(self, log: EpisodicLog) -> None:
        [first] = append(log, ANA, "one")
        revised = log.revise(ANA, first.id, Revision(content="two"), expected_version=None, generation=None)
        [later] = append(log, ANA, "later")

        def known_at(when: datetime) -> list[str]:
            return contents(log.read(LogQuery(ANA, known_at=when)))

        assert first.recorded_from < revised.recorded_from < later.recorded_from, "the log's times grow with its writes"
        assert known_at(first.recorded_from - timedelta(microseconds=1)) == []
        assert known_at(first.recorded_from) == ["one"]
        assert known_at(revised.recorded_from) == ["two"]
        assert known_at(later.recorded_from) == ["two", "later"]

    # --- documents --------------------------------------------------------------------------------

    def test_replacing_a_document_keeps_the_ids_of_what_did_not_change(self, log: EpisodicLog) -> None:
        first = _replace(log, ANA, "a.md", "alpha", "beta", "gamma")
        other = _replace(log, ANA, "b.md", "beta")
        second = _replace(log, ANA, "a.md", "alpha", "BETA", "gamma", "delta")
        assert contents(second) == ["alpha", "BETA", "gamma", "delta"]
        assert (second[0].id, second[2].id) == (first[0].id, first[2].id)
        assert sorted(contents(log.read(LogQuery(ANA, source="a.md")))) == ["BETA", "alpha", "delta", "gamma"]
        assert log.read(LogQuery(ANA, source="b.md")) == other

    def test_a_moved_chunk_keeps_its_id_and_knows_its_new_place(self, log: EpisodicLog) -> None:
        first = _replace(log, ANA, "a.md", "alpha", "beta")
        second = _replace(log, ANA, "a.md", "new", "beta", "alpha")
        assert [chunk.id for chunk in second[1:]] == [first[1].id, first[0].id]
        places = {chunk.content: chunk.source.place for chunk in log.read(LogQuery(ANA)) if chunk.source}
        assert places == {"new": 0, "beta": 1, "alpha": 2}

    def test_a_repeated_chunk_is_kept_as_often_as_it_stands_there(self, log: EpisodicLog) -> None:
        first = _replace(log, ANA, "a.md", "same", "same")
        assert len({chunk.id for chunk in first}) == 2
        assert {chunk.id for chunk in _replace(log, ANA, "a.md", "same", "same")} == {chunk.id for chunk in first}
        assert contents(_replace(log, ANA, "a.md", "same")) == ["same"] == all_contents(log, ANA)

    def test_a_document_of_nothing_is_gone_but_has_a_history(self, log: EpisodicLog) -> None:
        append(log, ANA, "a turn")
        [chunk] = _replace(log, ANA, "a.md", "alpha")
        assert _replace(log, ANA, "a.md") == []
        assert all_contents(log, ANA) == ["a turn"]
        assert contents(log.history(ANA, chunk.id)) == ["alpha"]

    def test_turns_and_documents_are_stored_together_or_not_at_all(self, log: EpisodicLog) -> None:
        _replace(log, ANA, "a.md", "alpha")
        append_one(log, ANA, draft("taken", id="taken"))
        chunk = draft("beta", kind="document", source=Source("a.md", (), 0, 0, 4))
        bad = [chunk, draft("bad", id="taken")]
        with pytest.raises(InvalidInput):
            log.append(ANA, bad, generation=None, replacing=frozenset({"a.md"}))
        assert all_contents(log, ANA) == ["alpha", "taken"]
        log.append(ANA, [draft("a turn"), chunk], generation=None, replacing=frozenset({"a.md"}))
        assert sorted(all_contents(log, ANA)) == ["a turn", "beta", "taken"]

    def test_a_document_of_the_same_name_elsewhere_is_another(self, log: EpisodicLog) -> None:
        others = [BEN, ANA_ELSEWHERE, Scope(agent="coach")]
        for scope in others:
            _replace(log, scope, "a.md", "theirs")
        _replace(log, ANA, "a.md", "ours")
        _replace(log, ANA, "a.md")
        for scope in others:
            assert contents(log.read(LogQuery(scope, writable=True))) == ["theirs"]

    # --- many at once -----------------------------------------------------------------------------

    def test_two_hundred_appends_of_eight_threads_are_all_read_back(self, log: EpisodicLog) -> None:
        def work(thread: int) -> list[Memory]:
            return [append(log, ANA, f"{thread}:{number}")[0] for number in range(25)]

        stored = [outcome for outcome in in_threads(work, 8) if not isinstance(outcome, AgentMemError)]
        assert len(stored) == 8, "no thread was refused"
        read = log.read(LogQuery(ANA))
        assert {memory.id for memory in read} == {memory.id for memories in stored for memory in memories}
        assert len(read) == 200
        assert len({memory.position for memory in read}) == 200, "one total order"
        for memories in stored:
            positions = [memory.position for memory in memories]
            assert positions == sorted(positions), "later writes stand later"

    def test_of_many_who_expect_the_same_version_one_wins(self, log: EpisodicLog) -> None:
        [memory] = append(log, ANA, "start")

        def work(thread: int) -> Memory:
            return log.revise(ANA, memory.id, Revision(content=f"by {thread}"), expected_version=1, generation=None)

        outcomes = in_threads(work, 8)
        winners = [outcome for outcome in outcomes if isinstance(outcome, Memory)]
        losers = [outcome for outcome in outcomes if isinstance(outcome, VersionConflict)]
        assert (len(winners), len(losers)) == (1, 7)
        assert log.read(LogQuery(ANA)) == winners

    def test_of_many_with_the_same_key_one_is_stored(self, log: EpisodicLog) -> None:
        outcomes = in_threads(lambda _: append_one(log, ANA, draft("hello", idempotency_key="k")), 8)
        assert len({outcome.id for outcome in outcomes if isinstance(outcome, Memory)}) == 1
        assert [outcome for outcome in outcomes if isinstance(outcome, AgentMemError)] == []
        assert all_contents(log, ANA) == ["hello"]

    # --- durability and trust ---------------------------------------------------------------------

    def test_what_was_stored_is_there_after_reopening(
        self, log: EpisodicLog, reopen: Callable[[], EpisodicLog]
    ) -> None:
        first, second = append(log, ANA, "one", "two")
        log.revise(ANA, first.id, Revision(content="uno"), expected_version=None, generation=None)
        log.erase(ANA, [second.id], mode="erase")
        before, seq = log.read(LogQuery(ANA)), seq_of(log, ANA)
        log.close()
        again = reopen()
        assert again.read(LogQuery(ANA)) == before
        assert contents(again.history(ANA, first.id)) == ["one", "uno"]
        assert again.tombstoned(ANA, [first.id, second.id]) == {second.id}
        assert seq_of(again, ANA) == seq
        again.close()

    def test_the_key_of_fences_is_a_secret_that_stays_the_same(self, log: EpisodicLog) -> None:
        assert len(log.fence_key()) >= 16
        assert log.fence_key() == log.fence_key()
        assert len(set(log.fence_key())) > 1

    def test_every_process_is_given_the_same_key_of_fences(
        self, log: EpisodicLog, reopen: Callable[[], EpisodicLog]
    ) -> None:
        if type(log).fence_key is EpisodicLog.fence_key:
            pytest.skip("this log makes a key for each process")
        other = reopen()
        assert other.fence_key() == log.fence_key()
        other.close()

    def test_two_open_logs_of_one_database_see_each_other(
        self, log: EpisodicLog, reopen: Callable[[], EpisodicLog]
    ) -> None:
        other = reopen()
        [memory] = append(log, ANA, "one")
        assert all_contents(other, ANA) == ["one"]
        other.revise(ANA, memory.id, Revision(content="two"), expected_version=1, generation=None)
        assert all_contents(log, ANA) == ["two"]
        assert seq_of(log, ANA) == seq_of(other, ANA)
        other.close()

    def test_content_that_was_changed_behind_its_back_is_a_corrupt_record(
        self, log: EpisodicLog, tamper: Callable[[str], None]
    ) -> None:
        one, two = append(log, ANA, "Pay Ana 10 euros.", "Pay Ben 10 euros.")
        tamper(one.id)
        with pytest.raises(CorruptRecord, match=one.id):
            log.read(LogQuery(ANA, ids=(one.id,)))
        with pytest.raises(CorruptRecord, match=one.id):
            log.history(ANA, one.id)
        assert log.read(LogQuery(ANA, ids=(two.id,))) == [two]
        assert not all(finding.ok for finding in log.check(deep=True))

    def test_a_healthy_log_says_so_and_repair_loses_nothing(self, log: EpisodicLog) -> None:
        [memory] = append(log, ANA, "one")
        log.revise(ANA, memory.id, Revision(content="two"), expected_version=None, generation=None)
        before = log.history(ANA, memory.id)
        for deep in (False, True):
            findings = log.check(deep=deep)
            assert findings
            assert [finding for finding in findings if not finding.ok] == []
        log.repair()
        assert log.history(ANA, memory.id) == before

    def test_counts_tell_memories_by_kind_versions_and_partitions(self, log: EpisodicLog) -> None:
        [memory, _] = append(log, ANA, "one", "two")
        append_one(log, BEN, draft("a rule", kind="rule"))
        log.revise(ANA, memory.id, Revision(content="uno"), expected_version=None, generation=None)
        counts = log.counts()
        assert dict(counts["memories"]) == {"turn": 2, "rule": 1}
        assert (counts["versions"], counts["partitions"], counts["vectors"]) == (4, 2, 0)

    def test_a_closed_log_says_that_it_is_closed(self, log: EpisodicLog) -> None:
        append(log, ANA, "one")
        log.close()
        log.close()
        with pytest.raises((ManagerClosed, BackendError)):
            log.read(LogQuery(ANA))
        with pytest.raises((ManagerClosed, BackendError)):
            append(log, ANA, "two")


def _replace(log: EpisodicLog, scope: Scope, name: str, *texts: str) -> list[Memory]:
    drafts = [
        draft(text, kind="document", integrity="operator", source=Source(name, (), place, 0, len(text)))
        for place, text in enumerate(texts)
    ]
    return log.append(scope, drafts, generation=None, replacing=frozenset({name}))
