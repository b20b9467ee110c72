"""Time: facts that settle, what was true and what was known when, restoring, uses, and what has outlived its day."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import groupby, pairwise
from typing import Any

import pytest

from agentmem.errors import InvalidInput, MemoryNotFound, ScopeError
from agentmem.interfaces import EpisodicLog, IndexQuery, LogQuery, Outlived, Revision, Standing, Task, Use
from agentmem.records import Affect, Draft, Fact, Kind, Memory, Scope, Source
from agentmem.testing.fakes import A_MONDAY, draft
from agentmem.testing.suites.base import in_threads
from agentmem.testing.suites.log_base import (
    ANA,
    BEN,
    DIMENSIONS,
    LogSuite,
    append,
    append_one,
    blob,
    contents,
    index_rows,
    own_head,
    own_partition,
    seq_of,
)

DAY = timedelta(days=1)
LONG_AGO = datetime(1990, 1, 1, tzinfo=UTC)
FAR_OFF = datetime(2090, 1, 1, tzinfo=UTC)
ANA_WITH_TUTOR = Scope(user="ana", agent="tutor", session="monday")


def home(city: str, *, day: int = 0, attribute: str = "home", **fields: Any) -> Draft:
    """That Ana lives there from that day on."""
    fact = Fact("user", attribute, city)
    return draft(f"Ana lives in {city}.", kind="fact", occurred_at=A_MONDAY + day * DAY, fact=fact, **fields)


def latest_wins(facts: Sequence[Memory]) -> Mapping[str, Standing]:
    """Each value closes the one before it, at the latest; the same value again restates the first of its run."""
    runs: list[list[Memory]] = []
    for memory in sorted(facts, key=lambda each: (each.valid_from, each.position)):
        assert memory.fact is not None
        last = runs[-1][0].fact if runs else None
        if last is not None and last.value == memory.fact.value:
            runs[-1].append(memory)
        else:
            runs.append([memory])
    standings: dict[str, Standing] = {}
    for run, following in pairwise([*runs, []]):
        first = run[0]
        closed_at = min(filter(None, (first.valid_to, following[0].valid_from if following else None)), default=None)
        closer = following[0].id if following else None
        standings[first.id] = Standing(closed_at, closer, None, len(run))
        standings |= {each.id: Standing(closed_at, closer, first.id) for each in run[1:]}
    return standings


def settle(log: EpisodicLog) -> int:
    return log.settle(latest_wins, limit=1_000)


def one_by_id(log: EpisodicLog, id: str, scope: Scope = ANA) -> Memory:
    [memory] = log.read(LogQuery(scope, ids=(id,)))
    return memory


def ends(log: EpisodicLog, scope: Scope = ANA) -> dict[str, datetime | None]:
    """Until when each fact holds, by its value; of several that say the same the first."""
    found: dict[str, datetime | None] = {}
    for memory in log.read(LogQuery(scope, kinds=frozenset({"fact"}))):
        assert memory.fact is not None
        found.setdefault(memory.fact.value, memory.valid_to)
    return found


class TimePromises(LogSuite):
    # --- facts that settle ------------------------------------------------------------------------

    def test_a_stored_fact_is_settled_once(self, log: EpisodicLog) -> None:
        log.append(ANA, [home("Rome"), home("Oslo", day=1), home("blue", attribute="color")], generation=None)
        assert settle(log) == 2, "two keys"
        assert settle(log) == 0

    def test_what_is_no_fact_leaves_nothing_to_settle(self, log: EpisodicLog) -> None:
        [turn] = append(log, ANA, "hello")
        log.revise(ANA, turn.id, Revision(content="hi", valid_to=FAR_OFF), expected_version=None, generation=None)
        assert log.tasks("settle") == []

    def test_a_new_value_closes_the_old_one_in_a_version_of_its_own(self, log: EpisodicLog) -> None:
        rome, oslo = log.append(ANA, [home("Rome", reason="dictated"), home("Oslo", day=9)], generation=None)
        settle(log)
        first, second = log.history(ANA, rome.id)
        assert replace(first, recorded_to=None) == rome
        assert first.recorded_to == second.recorded_from
        assert (second.valid_to, second.written_by, second.reason) == (oslo.valid_from, "supersession", None)
        assert second.fact == Fact("user", "home", "Rome", superseded_by=oslo.id)
        assert log.history(ANA, oslo.id) == [oslo], "what still stands needs no version"
        assert log.read(LogQuery(ANA, known_at=rome.recorded_from)) == [first, oslo]

    def test_facts_end_up_the_same_in_whatever_order_they_came(self, log: EpisodicLog) -> None:
        cities = [home("Rome"), home("Oslo", day=3), home("Bern", day=6), home("Bern", day=8)]
        for scope, order in ((ANA, cities), (BEN, cities[::-1])):
            for each in order:
                append_one(log, scope, each)
                settle(log)
        expected = {"Rome": A_MONDAY + 3 * DAY, "Oslo": A_MONDAY + 6 * DAY, "Bern": None}
        assert ends(log, ANA) == ends(log, BEN) == expected
        for scope in (ANA, BEN):
            said = [each.fact for each in log.read(LogQuery(scope)) if each.fact]
            assert sorted((fact.value, fact.times) for fact in said if fact.restates is None) == [
                ("Bern", 2),
                ("Oslo", 1),
                ("Rome", 1),
            ]

    def test_what_was_settled_before_is_not_seen_by_the_next_decision(self, log: EpisodicLog) -> None:
        said = log.append(
            ANA,
            [home("Rome", valid_to=A_MONDAY + 30 * DAY), home("Oslo", day=9), home("Oslo", day=12)],
            generation=None,
        )
        settle(log)
        seen: list[Memory] = []

        def look(facts: Sequence[Memory]) -> Mapping[str, Standing]:
            seen.extend(facts)
            return latest_wins(facts)

        later = append_one(log, ANA, home("Bern", day=20))
        log.settle(look)
        assert [(each.id, each.valid_to, each.fact) for each in seen] == [
            (each.id, each.valid_to, each.fact) for each in (*said, later)
        ]

    def test_an_end_that_was_stated_survives_one_that_was_settled(self, log: EpisodicLog) -> None:
        stated = A_MONDAY + 30 * DAY
        _, oslo = log.append(ANA, [home("Rome", valid_to=stated), home("Oslo", day=9)], generation=None)
        settle(log)
        assert ends(log)["Rome"] == A_MONDAY + 9 * DAY
        elsewhere = Revision(fact=Fact("user", "work", "Oslo"))
        log.revise(ANA, oslo.id, elsewhere, expected_version=None, generation=None)
        settle(log)
        assert ends(log)["Rome"] == stated

    def test_what_a_caller_says_of_how_a_fact_stands_is_not_believed(self, log: EpisodicLog) -> None:
        stale = Fact("user", "home", "Rome", superseded_by="gone", restates="gone too", times=9)
        rome = append_one(log, ANA, replace(home("Rome"), fact=stale))
        assert rome.fact == Fact("user", "home", "Rome")
        revised = log.revise(ANA, rome.id, Revision(fact=stale), expected_version=None, generation=None)
        assert revised.fact == Fact("user", "home", "Rome")

    def test_how_often_a_fact_was_said_changes_in_place(self, log: EpisodicLog) -> None:
        rome = append_one(log, ANA, home("Rome"))
        settle(log)
        row = index_rows(log, ANA)[rome.id].row
        append_one(log, ANA, home("Rome", day=2))
        before = seq_of(log, ANA)
        settle(log)
        [only] = log.history(ANA, rome.id)
        assert only.fact is not None and only.fact.times == 2
        assert row in log.index_rows(IndexQuery(ANA, own_partition(log, ANA), after=before)).uses, "indexes hear of it"

    def test_settling_what_stands_already_writes_nothing(self, log: EpisodicLog) -> None:
        rome, oslo = log.append(ANA, [home("Rome"), home("Oslo", day=9)], generation=None)
        settle(log)
        log.revise(ANA, oslo.id, Revision(valid_from=A_MONDAY + 9 * DAY), expected_version=None, generation=None)
        log.revise(ANA, oslo.id, Revision(valid_from=A_MONDAY + 10 * DAY), expected_version=None, generation=None)
        log.revise(ANA, oslo.id, Revision(valid_from=A_MONDAY + 9 * DAY), expected_version=None, generation=None)
        before = seq_of(log, ANA)
        assert settle(log) == 1
        assert seq_of(log, ANA) == before
        assert len(log.history(ANA, rome.id)) == 2

    def test_a_settled_fact_keeps_its_vector_its_terms_and_its_uses(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        rome = append_one(log, ANA, home("Rome", vector=blob(1)), generation=generation)
        log.note_uses([Use(own_partition(log, ANA), rome.id, accesses=3, outcome=1.0)])
        before = index_rows(log, ANA)[rome.id]
        append_one(log, ANA, home("Oslo", day=9))
        settle(log)
        after = index_rows(log, ANA)[rome.id]
        changed = {name for name in before._fields if getattr(before, name) != getattr(after, name)}
        assert changed == {"row", "version", "recorded_from", "valid_to", "fact", "written_by"}
        assert (after.vector, after.generation, after.accesses) == (blob(1), generation, 3)

    def test_a_changed_value_is_settled_where_it_was_and_where_it_is(self, log: EpisodicLog) -> None:
        rome, oslo = log.append(ANA, [home("Rome"), home("Oslo", day=9)], generation=None)
        blue = append_one(log, ANA, home("blue", attribute="color"))
        settle(log)
        now_a_color = Revision(fact=Fact("user", "color", "green"), written_by="caller", reason="misread")
        revised = log.revise(ANA, oslo.id, now_a_color, expected_version=None, generation=None)
        assert (revised.fact, revised.reason) == (Fact("user", "color", "green"), "misread")
        assert settle(log) == 2
        assert ends(log) == {"Rome": None, "blue": A_MONDAY + 9 * DAY, "green": None}
        red = Revision(fact=Fact("user", "eyes", "red"))
        revised = log.revise(ANA, blue.id, red, expected_version=None, generation=None)
        assert (revised.fact, revised.valid_to) == (red.fact, None), "what closed it was another key's"
        log.revise(ANA, blue.id, Revision(fact=Fact("user", "color", "blue")), expected_version=None, generation=None)
        settle(log)
        assert one_by_id(log, blue.id).fact == Fact("user", "color", "blue", superseded_by=oslo.id)
        assert one_by_id(log, rome.id).fact == Fact("user", "home", "Rome")

    def test_a_changed_validity_is_settled(self, log: EpisodicLog) -> None:
        rome, oslo = log.append(ANA, [home("Rome"), home("Oslo", day=9)], generation=None)
        settle(log)
        log.revise(ANA, oslo.id, Revision(valid_from=A_MONDAY - DAY), expected_version=None, generation=None)
        settle(log)
        assert ends(log) == {"Rome": None, "Oslo": A_MONDAY}
        log.revise(ANA, rome.id, Revision(valid_to=A_MONDAY + DAY), expected_version=None, generation=None)
        settle(log)
        assert ends(log)["Rome"] == A_MONDAY + DAY
        log.revise(ANA, rome.id, Revision(valid_to=None), expected_version=None, generation=None)
        settle(log)
        assert ends(log)["Rome"] is None

    def test_an_end_that_is_stated_once_more_does_not_reopen_what_another_fact_closed(self, log: EpisodicLog) -> None:
        rome, _ = log.append(ANA, [home("Rome"), home("Oslo", day=9)], generation=None)
        settle(log)
        log.revise(ANA, rome.id, Revision(valid_to=None), expected_version=None, generation=None)
        settle(log)
        assert ends(log) == {"Rome": A_MONDAY + 9 * DAY, "Oslo": None}
        log.revise(ANA, rome.id, Revision(valid_to=FAR_OFF), expected_version=None, generation=None)
        settle(log)
        assert ends(log) == {"Rome": A_MONDAY + 9 * DAY, "Oslo": None}

    def test_a_change_of_something_else_leaves_a_fact_as_it_stands(self, log: EpisodicLog) -> None:
        rome, _ = log.append(ANA, [home("Rome"), home("Oslo", day=9)], generation=None)
        settle(log)
        revised = log.revise(ANA, rome.id, Revision(importance=0.9), expected_version=None, generation=None)
        assert log.tasks("settle") == []
        assert revised.valid_to == A_MONDAY + 9 * DAY
        assert revised.fact is not None and revised.fact.superseded_by

    def test_facts_of_two_partitions_or_keys_do_not_meet(self, log: EpisodicLog) -> None:
        log.append(ANA, [home("Rome"), home("Pisa", day=1, attribute="birthplace")], generation=None)
        append_one(log, BEN, home("Oslo", day=9))
        append_one(log, ANA_WITH_TUTOR, home("Bern", day=9))
        groups: list[list[str]] = []

        def look(facts: Sequence[Memory]) -> Mapping[str, Standing]:
            groups.append([each.fact.value for each in facts if each.fact])
            return latest_wins(facts)

        assert log.settle(look) == 4
        assert sorted(groups) == [["Bern"], ["Oslo"], ["Pisa"], ["Rome"]]

    def test_subject_attribute_and_topic_are_the_same_however_they_are_written(self, log: EpisodicLog) -> None:
        facts = [
            Fact("User", "favourite", "blue", topic="The  color"),
            Fact("user", "Favourite", "red", topic="the color"),
        ]
        log.append(ANA, [draft(fact.value, kind="fact", fact=fact) for fact in facts], generation=None)
        assert settle(log) == 1

    def test_a_fact_that_the_decision_leaves_out_stands_as_it_was_said(self, log: EpisodicLog) -> None:
        log.append(ANA, [home("Rome", valid_to=FAR_OFF), home("Oslo", day=9)], generation=None)
        settle(log)
        append_one(log, ANA, home("Bern", day=12))
        log.settle(lambda facts: {})
        assert ends(log) == {"Rome": FAR_OFF, "Oslo": None, "Bern": None}

    def test_a_key_that_cannot_be_decided_holds_up_no_other(self, log: EpisodicLog) -> None:
        drafts = [home(f"{attribute} {day}", day=day, attribute=attribute) for attribute in "abc" for day in (0, 1)]
        log.append(ANA, drafts, generation=None)

        def refuse_b(facts: Sequence[Memory]) -> Mapping[str, Standing]:
            if any(each.fact and each.fact.attribute == "b" for each in facts):
                raise RuntimeError("not b")
            return latest_wins(facts)

        assert log.settle(refuse_b, limit=2) == 2, "whichever comes first"
        assert log.settle(refuse_b) == 0
        assert [city for city, end in ends(log).items() if end] == ["a 0", "c 0"]
        assert settle(log) == 1, "it waited"
        assert [city for city, end in ends(log).items() if end] == ["a 0", "b 0", "c 0"]

    def test_no_more_keys_are_settled_than_asked_for(self, log: EpisodicLog) -> None:
        log.append(ANA, [home("x", attribute=f"a{number}") for number in range(5)], generation=None)
        assert [log.settle(latest_wins, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    def test_facts_stored_by_many_while_others_settle_stand_as_all_of_them_decide(self, log: EpisodicLog) -> None:
        """50 facts of one key from two threads, settled meanwhile by two others."""

        def work(number: int) -> None:
            if number % 2:
                for place in range(25):
                    append_one(log, ANA, home(f"city {place % 7}", day=(number * 31 + place * 17) % 101))
            else:
                for _ in range(25):
                    settle(log)

        assert in_threads(work, 4) == [None] * 4
        settle(log)
        current = log.read(LogQuery(ANA))
        assert len(current) == 50
        said = [
            replace(each, valid_to=None, fact=replace(each.fact, superseded_by=None, restates=None, times=1))
            for each in current
            if each.fact
        ]
        stands = {
            each.id: Standing(each.valid_to, each.fact.superseded_by, each.fact.restates, each.fact.times)
            for each in current
            if each.fact
        }
        assert stands == latest_wins(said)
        assert log.tasks("settle") == []

    # --- tasks ------------------------------------------------------------------------------------

    def test_a_task_is_there_until_it_is_finished(self, log: EpisodicLog) -> None:
        append_one(log, ANA, home("Rome"))
        append_one(log, BEN, home("Oslo"))
        first, second = log.tasks("settle")
        assert log.tasks("settle", limit=1) == [first]
        assert log.tasks("other") == []
        log.finish(first)
        log.finish(first)
        assert log.tasks("settle") == [second]
        assert second == Task(own_partition(log, BEN), "settle", second.key)

    def test_a_write_that_failed_leaves_no_task(self, log: EpisodicLog) -> None:
        append_one(log, ANA, home("Rome", id="taken"))
        settle(log)
        with pytest.raises(InvalidInput):
            log.append(ANA, [home("Oslo"), home("Bern", id="taken")], generation=None)
        assert log.tasks("settle") == []

    # --- revisions --------------------------------------------------------------------------------

    def test_a_revision_changes_what_it_names_and_says_who_and_why(self, log: EpisodicLog) -> None:
        one = append_one(log, ANA, draft("one", origin="chat.json", importance=0.5))
        given: dict[str, Any] = {
            "affect": Affect(0.5, 0.5, "glad"),
            "valid_from": A_MONDAY - DAY,
            "valid_to": A_MONDAY + DAY,
            "expires_at": FAR_OFF,
            "written_by": "operator",
            "reason": "asked for",
        }
        revised = log.revise(ANA, one.id, Revision(**given), expected_version=1, generation=None)
        assert revised == replace(one, version=2, recorded_from=revised.recorded_from, **given), (
            "and everything else is as it was"
        )
        emptied = Revision(affect=None, valid_to=None, expires_at=None, importance=None)
        revised = log.revise(ANA, one.id, emptied, expected_version=2, generation=None)
        assert (revised.affect, revised.valid_to, revised.expires_at, revised.importance) == (None, None, None, None)
        assert (revised.written_by, revised.reason) == ("caller", None)

    # --- uses -------------------------------------------------------------------------------------

    def test_uses_add_up_in_place_and_outcomes_move_a_third_of_the_way(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        partition = own_partition(log, ANA)
        log.note_uses([Use(partition, one.id, 2), Use(partition, one.id, 1, 1.0), Use(partition, two.id, 0, -0.9)])
        log.note_uses([Use(partition, one.id, 0, 1.0)])
        used = one_by_id(log, one.id)
        assert replace(used, accesses=0, outcome=0.0) == one, "no version of its own"
        assert used.accesses == 3
        assert used.outcome == pytest.approx(5 / 9)
        assert one_by_id(log, two.id).accesses == 0
        assert one_by_id(log, two.id).outcome == pytest.approx(-0.3)

    def test_uses_of_what_is_gone_are_ignored(self, log: EpisodicLog) -> None:
        erased, retired, kept = append(log, ANA, "erased", "retired", "kept")
        partition = own_partition(log, ANA)
        log.erase(ANA, [erased.id], mode="erase")
        log.erase(ANA, [retired.id], mode="retire")
        log.note_uses([Use(partition, each.id, 1, 1.0) for each in (erased, retired, kept)])
        log.note_uses([Use(partition, "unknown", 1), Use(partition + 1, kept.id, 1)])
        assert one_by_id(log, kept.id).accesses == 1
        assert log.history(ANA, retired.id)[0].accesses == 0
        log.note_uses([])

    def test_uses_reach_indexes_and_are_carried_on(self, log: EpisodicLog) -> None:
        one, _ = append(log, ANA, "one", "two")
        partition, before = own_partition(log, ANA), seq_of(log, ANA)
        log.note_uses([Use(partition, one.id, 4, 1.0)])
        batch = log.index_rows(IndexQuery(ANA, partition, after=before))
        row = index_rows(log, ANA)[one.id]
        assert (batch.rows, batch.gone) == ([], [])
        assert row.accesses == 4
        assert row.outcome == pytest.approx(1 / 3)
        assert batch.uses == {row.row: (row.accesses, row.outcome)}
        assert batch.seq > before
        revised = log.revise(ANA, one.id, Revision(content="uno"), expected_version=None, generation=None)
        assert (revised.accesses, revised.outcome) == (row.accesses, row.outcome)
        assert log.index_rows(IndexQuery(ANA, partition, after=batch.seq)).uses == {}

    # --- reading ----------------------------------------------------------------------------------

    def test_what_had_ended_is_left_out_and_what_is_to_come_is_not(self, log: EpisodicLog) -> None:
        spans = {
            "ended": (A_MONDAY - 3 * DAY, A_MONDAY - DAY),
            "ends now": (A_MONDAY - DAY, A_MONDAY),
            "holds": (A_MONDAY - DAY, A_MONDAY + DAY),
            "open": (A_MONDAY - DAY, None),
            "to come": (A_MONDAY + DAY, None),
        }
        drafts = [draft(said, valid_from=start, valid_to=end) for said, (start, end) in spans.items()]
        log.append(ANA, drafts, generation=None)
        assert contents(log.read(LogQuery(ANA, ended_at=A_MONDAY))) == ["holds", "open", "to come"]
        assert contents(log.read(LogQuery(ANA, as_of=A_MONDAY))) == ["holds", "open"]

    def test_facts_of_one_key_are_found_together_in_every_partition_in_view(self, log: EpisodicLog) -> None:
        [turn] = append(log, ANA, "no fact at all")
        first, again, other = log.append(
            ANA, [home("Rome"), home("Rome", day=1), home("Rome", attribute="birthplace")], generation=None
        )
        elsewhere = append_one(log, replace(ANA, agent="another"), home("Oslo"))
        append_one(log, BEN, home("Bern"))
        settle(log)

        def alike(scope: Scope, *ids: str) -> list[str]:
            return [each.id for each in log.read(LogQuery(scope, same_key=ids))]

        assert alike(ANA, again.id) == [first.id, again.id]
        assert alike(ANA, other.id, turn.id, "unknown") == [other.id]
        assert alike(ANA, turn.id) == alike(BEN, first.id) == alike(ANA) == []
        assert alike(Scope(user=ANA.user), first.id) == [first.id, again.id, elsewhere.id]
        assert index_rows(log, ANA)[again.id].restates == first.id
        assert index_rows(log, ANA)[first.id].restates is None

    def test_what_was_taken_in_from_one_place_is_found_together(self, log: EpisodicLog) -> None:
        drafts = [
            draft("one", origin="chat.json"),
            draft("two"),
            draft("three", kind="document", source=Source("guide.md", (), 0, 0, 5)),
            draft("four", origin="chat.json"),
        ]
        stored = log.append(ANA, drafts, generation=None)
        append_one(log, BEN, draft("ben's", origin="chat.json"))
        assert contents(log.read(LogQuery(ANA, origin="chat.json"))) == ["one", "four"]
        assert contents(log.read(LogQuery(ANA, origin="guide.md"))) == ["three"], "a chunk comes from its document"
        assert index_rows(log, ANA)[stored[0].id].origin == "chat.json"

    def test_the_last_version_of_what_was_retired_is_read_when_asked_for(self, log: EpisodicLog) -> None:
        one, two, gone = append(log, ANA, "one", "two", "gone")
        revised = log.revise(ANA, one.id, Revision(content="uno"), expected_version=None, generation=None)
        between = revised.recorded_from
        log.erase(ANA, [one.id], mode="retire")
        log.erase(ANA, [gone.id], mode="erase")
        found = log.read(LogQuery(ANA, retired=True))
        assert contents(found) == ["uno", "two"]
        assert found[0].recorded_to is not None and found[1] == two
        assert log.read(LogQuery(ANA, retired=True, writable=True, ids=(one.id,))) == [found[0]]
        assert log.read(LogQuery(ANA, ids=(one.id,))) == []
        assert contents(log.read(LogQuery(ANA, retired=True, known_at=one.recorded_from))) == ["one", "two"]
        assert contents(log.read(LogQuery(ANA, retired=True, known_at=between))) == ["uno", "two"]
        assert log.read(LogQuery(BEN, retired=True)) == []
        restored = log.restore(ANA, one.id, version=1, reason=None)
        assert log.read(LogQuery(ANA, retired=True, ids=(one.id,))) == [restored]
        assert log.read(LogQuery(ANA, retired=True, ids=(one.id,), known_at=found[0].recorded_to)) == found[:1]

    def test_the_first_rule_that_matches_decides_what_has_outlived_its_day(self, log: EpisodicLog) -> None:
        agents_own = Scope(agent="coach")
        kinds: tuple[Kind, ...] = ("turn", "lesson", "rule")
        for scope in (ANA, BEN, agents_own):
            days = [(kind, day) for kind in kinds for day in (0, 5)]
            drafts = [draft(f"{kind} {day}", kind=kind, occurred_at=A_MONDAY + day * DAY) for kind, day in days]
            log.append(scope, drafts, generation=None)

        def left(scope: Scope, *rules: Outlived) -> list[str]:
            query = LogQuery(scope, writable=True, outlived=rules)
            head = own_head(log, scope)
            assert head is not None
            kept, everything = log.read(query), log.read(replace(query, outlived=()))
            overdue = log.overdue(head, at=LONG_AGO, outlived=rules, limit=100)
            assert set(overdue) == {each.id for each in everything} - {each.id for each in kept}, "swept = hidden"
            return contents(kept)

        old = A_MONDAY + DAY
        turns, rules = frozenset({"turn"}), frozenset({"rule"})
        assert left(ANA, Outlived(old)) == ["turn 5", "lesson 5", "rule 5"]
        assert left(ANA, Outlived(A_MONDAY)) == left(ANA), "what occurred at that moment did not occur before it"
        assert left(ANA, Outlived(None, rules), Outlived(old)) == ["turn 5", "lesson 5", "rule 0", "rule 5"]
        assert left(ANA, Outlived(old), Outlived(None, rules)) == ["turn 5", "lesson 5", "rule 5"]
        assert left(ANA, Outlived(old, turns), Outlived(FAR_OFF, turns | rules)) == ["turn 5", "lesson 0", "lesson 5"]
        assert left(ANA, Outlived(old, user="ana")) == ["turn 5", "lesson 5", "rule 5"]
        assert left(BEN, Outlived(FAR_OFF, user="ana")) == left(BEN)
        assert left(ANA, Outlived(FAR_OFF, agent="tutor")) == left(ANA)
        assert left(ANA, Outlived(None, agent="coach"), Outlived(FAR_OFF)) == left(ANA)
        assert left(agents_own, Outlived(FAR_OFF, agent="coach")) == []
        assert left(agents_own, Outlived(FAR_OFF, tenant="elsewhere"), Outlived(FAR_OFF, user="ana")) == left(
            agents_own
        )

    def test_what_has_expired_or_outlived_its_day_is_overdue_retired_or_not(self, log: EpisodicLog) -> None:
        expired, retired, late, _ = log.append(
            ANA,
            [
                draft("expired", expires_at=A_MONDAY),
                draft("retired", expires_at=A_MONDAY),
                draft("late", expires_at=A_MONDAY + DAY),
                draft("never"),
            ],
            generation=None,
        )
        log.append(BEN, [draft("ben's", expires_at=A_MONDAY)], generation=None)
        prolonged = append_one(log, ANA, draft("prolonged", expires_at=A_MONDAY))
        log.revise(ANA, prolonged.id, Revision(expires_at=FAR_OFF), expected_version=None, generation=None)
        log.erase(ANA, [retired.id], mode="retire")
        head = own_head(log, ANA)
        assert head is not None
        assert log.overdue(head, at=A_MONDAY - DAY, outlived=(), limit=9) == []
        assert log.overdue(head, at=A_MONDAY, outlived=(), limit=9) == [expired.id, retired.id]
        assert log.overdue(head, at=A_MONDAY + DAY, outlived=(), limit=2) == [expired.id, retired.id]
        assert len(log.overdue(head, at=A_MONDAY, outlived=(Outlived(FAR_OFF),), limit=9)) == 5
        assert late.id in log.overdue(head, at=A_MONDAY, outlived=(Outlived(FAR_OFF),), limit=9)

    def test_nothing_under_a_hold_is_overdue(self, log: EpisodicLog) -> None:
        log.append(ANA, [draft("expired", expires_at=A_MONDAY)], generation=None)
        head = own_head(log, ANA)
        assert head is not None
        for held in (Scope(user="ana"), Scope(user="ana", agent="coach")):
            log.hold(held, reason="court order")
            assert log.overdue(head, at=FAR_OFF, outlived=(Outlived(FAR_OFF),), limit=9) == []
            log.release(held)
        for other in (Scope(agent="coach"), ANA_WITH_TUTOR, Scope(user="ben"), Scope(user="ana", tenant="elsewhere")):
            log.hold(other, reason="court order")
        assert len(log.overdue(head, at=FAR_OFF, outlived=(), limit=9)) == 1

    def test_partitions_are_told_of_what_the_scope_reads(self, log: EpisodicLog) -> None:
        [ours], [theirs] = append(log, ANA, "ours"), append(log, BEN, "theirs")
        [agents] = append(log, Scope(agent="coach"), "the coach's own")
        ids = [ours.id, theirs.id, agents.id, "unknown"]
        assert log.partitions_of(ANA, ids) == {
            ours.id: own_partition(log, ANA),
            agents.id: own_partition(log, Scope(agent="coach")),
        }
        assert log.partitions_of(ANA, []) == {}

    def test_changes_are_the_versions_that_came_or_went_in_that_time(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        append(log, BEN, "ben's")
        revised = log.revise(ANA, one.id, Revision(content="uno"), expected_version=None, generation=None)
        log.erase(ANA, [two.id], mode="retire")
        [closed] = log.history(ANA, two.id)
        assert closed.recorded_to is not None
        closed_one = replace(one, recorded_to=revised.recorded_from)

        def changes(start: datetime, end: datetime) -> list[Memory]:
            return log.changes(ANA, start, end)

        assert changes(LONG_AGO, FAR_OFF) == [closed_one, revised, closed]
        assert changes(LONG_AGO, one.recorded_from) == []
        assert changes(revised.recorded_from, closed.recorded_to) == [closed_one, revised], "the end is excluded"
        assert changes(closed.recorded_to, FAR_OFF) == [closed]

    # --- restoring --------------------------------------------------------------------------------

    def test_an_old_version_comes_back_as_a_new_one(self, log: EpisodicLog) -> None:
        generation = log.start_generation("test:1", DIMENSIONS, "test").number
        one = append_one(
            log,
            ANA,
            draft("one", vector=blob(1), metadata={"a": 1}, importance=0.5, idempotency_key="k"),
            generation=generation,
        )
        new_words = Revision(content="uno", terms=b"\1", length=1, vector=blob(2), metadata={}, importance=None)
        log.revise(ANA, one.id, new_words, expected_version=None, generation=generation)
        log.note_uses([Use(own_partition(log, ANA), one.id, 3)])
        before = seq_of(log, ANA)
        restored = log.restore(ANA, one.id, version=1, reason="was right")
        assert restored == replace(
            one,
            version=3,
            accesses=3,
            recorded_from=restored.recorded_from,
            written_by="restore",
            reason="was right",
        )
        assert log.history(ANA, one.id)[-1] == restored
        assert [each.version for each in log.history(ANA, one.id) if each.recorded_to is None] == [3]
        row = index_rows(log, ANA)[one.id]
        assert (row.terms, row.length, row.vector) == (draft("one").terms, draft("one").length, blob(1))
        batch = log.index_rows(IndexQuery(ANA, own_partition(log, ANA), after=before))
        assert [each.row for each in batch.rows] == [row.row] and len(batch.gone) == 1

    def test_a_retired_memory_comes_back_as_it_was_last(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        log.revise(ANA, one.id, Revision(content="uno"), expected_version=None, generation=None)
        log.erase(ANA, [one.id], mode="retire")
        restored = log.restore(ANA, one.id, version=None, reason=None)
        assert (restored.content, restored.version, restored.written_by) == ("uno", 3, "restore")
        assert log.read(LogQuery(ANA)) == [restored, two], "in its old place"
        log.erase(ANA, [one.id], mode="retire")
        assert log.restore(ANA, one.id, version=1, reason=None).content == "one"

    def test_what_was_retired_with_a_memory_comes_back_with_it(self, log: EpisodicLog) -> None:
        [source] = append(log, ANA, "I live in Porto, or Faro.")
        derived: dict[str, Any] = {"derived_from": (source.id,)}
        porto, faro, wrong = log.append(
            ANA, [home("Porto", **derived), home("Faro", day=1, **derived), draft("wrong", **derived)], generation=None
        )
        [deeper] = log.append(
            ANA, [draft("summary", kind="summary", derived_from=(porto.id, faro.id))], generation=None
        )
        [other] = append(log, ANA, "unrelated")
        settle(log)
        elsewhere = append_one(log, ANA_WITH_TUTOR, draft("known to the tutor too", derived_from=(source.id,)))
        log.erase(ANA, [wrong.id], mode="retire")
        log.erase(ANA, [other.id], mode="retire")
        log.erase(Scope(user="ana"), [source.id], mode="retire")
        assert log.read(LogQuery(Scope(user="ana"))) == []
        restored = log.restore(ANA, source.id, version=None, reason="a mistake")
        settle(log)
        back = {each.id for each in log.read(LogQuery(Scope(user="ana")))}
        assert back == {source.id, porto.id, faro.id, deeper.id, elsewhere.id}, (
            "not what went before, for other reasons"
        )
        assert restored.id == source.id
        last = log.history(ANA, deeper.id)[-1]
        assert (last.written_by, last.reason, last.version) == ("restore", "a mistake", 2)
        assert ends(log) == {"Porto": A_MONDAY + DAY, "Faro": None}

    def test_a_restored_fact_is_settled_among_those_there_are(self, log: EpisodicLog) -> None:
        rome, oslo = log.append(ANA, [home("Rome"), home("Oslo", day=9)], generation=None)
        settle(log)
        log.erase(ANA, [oslo.id], mode="retire")
        settle(log)
        assert ends(log) == {"Rome": None}
        log.restore(ANA, oslo.id, version=None, reason=None)
        settle(log)
        assert ends(log) == {"Rome": A_MONDAY + 9 * DAY, "Oslo": None}
        log.restore(ANA, rome.id, version=1, reason=None)
        settle(log)
        assert ends(log) == {"Rome": A_MONDAY + 9 * DAY, "Oslo": None}, "an old version does not undo the others"

    def test_a_restored_fact_stands_as_it_did_until_it_is_settled(self, log: EpisodicLog) -> None:
        rome, again, _ = log.append(ANA, [home("Rome"), home("Rome", day=1), home("Oslo", day=9)], generation=None)
        settle(log)
        log.erase(ANA, [rome.id, again.id], mode="retire")
        settle(log)
        before = log.history(ANA, again.id)[-1]
        restored = log.restore(ANA, again.id, version=1, reason=None)
        assert (restored.fact, restored.valid_to) == (before.fact, before.valid_to)
        assert index_rows(log, ANA)[again.id].restates == rome.id
        log.restore(ANA, rome.id, version=None, reason=None)
        settle(log)
        assert [len(log.history(ANA, each.id)) for each in (rome, again)] == [3, 3], "nothing was found otherwise"
        log.revise(ANA, again.id, Revision(valid_to=FAR_OFF), expected_version=None, generation=None)
        assert log.restore(ANA, again.id, version=1, reason=None).valid_to is None, "as it was said then"

    def test_memories_that_were_made_from_each_other_come_back_once(self, log: EpisodicLog) -> None:
        log.append(
            ANA, [draft("a", id="a", derived_from=("b",)), draft("b", id="b", derived_from=("a",))], generation=None
        )
        log.erase(ANA, ["a"], mode="retire")
        log.restore(ANA, "a", version=None, reason=None)
        assert [(each.id, each.version) for each in log.read(LogQuery(ANA))] == [("a", 2), ("b", 2)]

    def test_an_old_version_of_a_fact_is_settled_where_it_was_and_where_it_is(self, log: EpisodicLog) -> None:
        _, again, _ = log.append(ANA, [home("Rome"), home("Rome", day=1), home("Oslo", day=9)], generation=None)
        settle(log)
        work = Revision(fact=Fact("user", "work", "Rome"))
        log.revise(ANA, again.id, work, expected_version=None, generation=None)
        settle(log)
        restored = log.restore(ANA, again.id, version=2, reason=None)
        assert (restored.fact, restored.valid_to) == (again.fact, None), "how it stood then is for settling to find"
        assert index_rows(log, ANA)[again.id].restates is None
        assert settle(log) == 2
        assert one_by_id(log, again.id).valid_to == A_MONDAY + 9 * DAY

    # --- what an erasure leaves of two times ----------------------------------------------------------

    def test_no_version_names_an_erased_fact_nor_keeps_its_date(self, log: EpisodicLog) -> None:
        rome = append_one(log, ANA, home("Rome", valid_to=FAR_OFF))
        settle(log)
        oslo, again = log.append(ANA, [home("Oslo", day=9), home("Oslo", day=12)], generation=None)
        settle(log)
        revised = log.revise(ANA, rome.id, Revision(importance=0.9), expected_version=None, generation=None)
        assert revised.valid_to == A_MONDAY + 9 * DAY
        log.erase(ANA, [oslo.id], mode="erase")
        for _ in range(2):
            for version in (*log.history(ANA, rome.id), *log.history(ANA, again.id)):
                assert version.fact is not None
                assert oslo.id not in (version.fact.superseded_by, version.fact.restates)
                assert version.valid_to != A_MONDAY + 9 * DAY
            settle(log)
        assert ends(log) == {"Rome": A_MONDAY + 12 * DAY, "Oslo": None}

    def test_a_fact_that_came_after_an_erased_one_closed_the_one_before_it_all_along(self, log: EpisodicLog) -> None:
        rome, oslo, bern = (
            append_and_settle(log, home(city, day=day)) for city, day in (("Rome", 0), ("Oslo", 9), ("Bern", 12))
        )
        log.erase(ANA, [oslo.id], mode="erase")
        settle(log)
        then = bern.recorded_from + timedelta(microseconds=2)
        [was_home] = log.read(LogQuery(ANA, ids=(rome.id,), known_at=then))
        assert was_home.fact is not None and was_home.fact.superseded_by == bern.id
        assert was_home.valid_to == A_MONDAY + 12 * DAY
        assert told(log, ANA, rome.id) == [
            ("Rome", None, None, None, 1),
            ("Rome", A_MONDAY + 12 * DAY, "Bern", None, 1),
        ]

    def test_an_index_that_follows_learns_what_an_erasure_opened(self, log: EpisodicLog) -> None:
        rome, oslo = append_and_settle(log, home("Rome")), append_and_settle(log, home("Oslo", day=9))
        known = log.index_rows(IndexQuery(ANA, own_partition(log, ANA)))
        log.erase(ANA, [oslo.id], mode="erase")
        batch = log.index_rows(IndexQuery(ANA, own_partition(log, ANA), after=known.seq))
        assert [(row.id, row.valid_to) for row in batch.rows] == [(rome.id, None)]
        assert {row.row for row in known.rows} <= set(batch.gone)
        settle(log)
        later = log.index_rows(IndexQuery(ANA, own_partition(log, ANA), after=known.seq))
        assert [row.id for row in later.rows] == [rome.id]

    def test_what_was_erased_never_had_a_part_in_what_was_known(self, log: EpisodicLog) -> None:
        seed = random.randrange(1 << 30)
        for round in range(4):
            chance = random.Random(seed + round)
            ana, ben = (Scope(user=f"{name} {round}") for name in ("ana", "ben"))
            pairs, moments = _two_lives(log, ana, ben, chance)
            log.erase(ana, [one.id for one, twin in pairs if twin is None], mode="erase")
            settle(log)
            for moment in moments:
                assert known(log, ana, moment) == known(log, ben, moment), f"seed {seed}, round {round}"
            for one, twin in pairs:
                if twin is not None:
                    assert told(log, ana, one.id) == told(log, ben, twin.id), f"seed {seed}, round {round}"
            numbers = [[version.version for version in log.history(ana, one.id)] for one, twin in pairs if twin]
            assert all(each == sorted(set(each)) and each[0] == 1 for each in numbers)
        assert [each for each in log.check(deep=True) if not each.ok] == []

    def test_there_may_be_nothing_to_restore(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        [ours] = append(log, Scope(agent="coach"), "the coach's own")
        for version in (None, 1):
            with pytest.raises(InvalidInput, match="othing to restore"):
                log.restore(ANA, one.id, version=version, reason=None)
        with pytest.raises(MemoryNotFound, match="no version 2"):
            log.restore(ANA, one.id, version=2, reason=None)
        for id in (one.id, "unknown"):
            with pytest.raises(MemoryNotFound):
                log.restore(BEN, id, version=1, reason=None)
        with pytest.raises(ScopeError):
            log.restore(ANA, ours.id, version=1, reason=None)
        assert log.history(ANA, one.id) == [one]
        log.erase(ANA, [one.id], mode="erase")
        with pytest.raises(MemoryNotFound):
            log.restore(ANA, one.id, version=None, reason=None)


def append_and_settle(log: EpisodicLog, one: Draft, scope: Scope = ANA) -> Memory:
    memory = append_one(log, scope, one)
    settle(log)
    return memory


def known(log: EpisodicLog, scope: Scope, moment: datetime) -> list[Any]:
    """What the log held then of the scope's facts, told without their ids."""
    held = log.read(LogQuery(scope, kinds=frozenset({"fact"}), known_at=moment))
    values = _values(log, scope)
    return sorted((_told(each, values) for each in held), key=repr)


def told(log: EpisodicLog, scope: Scope, id: str) -> list[Any]:
    """The history of a fact without numbers and ids; versions that say the same are one."""
    values = _values(log, scope)
    return [said for said, _ in groupby(_told(each, values) for each in log.history(scope, id))]


def _told(memory: Memory, values: Mapping[str | None, str | None]) -> tuple[Any, ...]:
    fact = memory.fact
    assert fact is not None
    return fact.value, memory.valid_to, values[fact.superseded_by], values[fact.restates], fact.times


def _values(log: EpisodicLog, scope: Scope) -> dict[str | None, str | None]:
    facts = log.read(LogQuery(scope, kinds=frozenset({"fact"}), retired=True))
    return {None: None, **{each.id: each.fact.value for each in facts if each.fact}}


def _two_lives(
    log: EpisodicLog, ana: Scope, ben: Scope, chance: random.Random
) -> tuple[list[tuple[Memory, Memory | None]], list[datetime]]:
    """The same facts in two scopes, but for some that only the first has; and moments after each was settled."""
    pairs: list[tuple[Memory, Memory | None]] = []
    moments: list[datetime] = []

    def both(write: Callable[[Scope, str], object]) -> None:
        one, twin = chance.choice(pairs)
        write(ana, one.id)
        if twin is not None:
            write(ben, twin.id)

    for _ in range(12):
        what = chance.choice("ssssirv") if pairs else "s"
        if what == "s":
            draft = home(chance.choice(("Rome", "Oslo", "Bern")), day=chance.randrange(20))
            pairs.append((append_one(log, ana, draft), append_one(log, ben, draft) if chance.random() < 0.6 else None))
        else:
            revision = {"i": Revision(importance=chance.random()), "v": Revision(valid_to=FAR_OFF)}.get(what)
            with suppress(MemoryNotFound):  # retired
                if revision is None:
                    both(lambda scope, id: log.erase(scope, [id], mode="retire"))
                else:
                    both(partial(_revise, log, revision))
        settle(log)
        moments.append(append_one(log, Scope(user="clock"), home("Mars")).recorded_from)
        settle(log)
    return pairs, moments


def _revise(log: EpisodicLog, revision: Revision, scope: Scope, id: str) -> None:
    log.revise(scope, id, revision, expected_version=None, generation=None)
