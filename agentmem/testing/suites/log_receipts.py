"""Receipts, holds and tasks: what an erasure leaves behind, and what stops it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from agentmem.errors import InvalidInput, MemoryNotFound, UnderHold
from agentmem.interfaces import EpisodicLog, Erasure, ErasureRequest, LogQuery
from agentmem.records import Fact, ForgetMode, Receipt, Scope
from agentmem.testing.fakes import A_MONDAY, draft
from agentmem.testing.suites.log_base import (
    ANA,
    ANA_ELSEWHERE,
    BEN,
    LogSuite,
    all_contents,
    append,
    append_one,
    own_partition,
)

USER = Scope(user="ana")
COACH = Scope(agent="coach")


class ReceiptPromises(LogSuite):
    @pytest.mark.parametrize("mode", ["erase", "retire"])
    def test_an_erasure_that_was_asked_for_leaves_a_pending_receipt(self, log: EpisodicLog, mode: ForgetMode) -> None:
        one, _ = append(log, ANA, "one", "two")
        request = ErasureRequest("r1", A_MONDAY, requested_by="the desk", reason="by letter")
        erasure = log.erase(ANA, [one.id], mode=mode, request=request)
        [(receipt, left)] = log.unfinished_receipts()
        assert (receipt.id, receipt.status, receipt.mode, receipt.memories) == ("r1", "pending", mode, 1)
        assert (receipt.requested_at, receipt.requested_by, receipt.reason) == (A_MONDAY, "the desk", "by letter")
        assert (erasure.receipt, list(left.dropped)) == ("r1", list(erasure.dropped))
        assert log.receipts(ANA) == log.receipts(USER) == [receipt]

    def test_without_a_request_and_in_rehearsal_there_is_no_receipt(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        log.erase(ANA, [one.id], mode="erase")
        log.erase(ANA, [two.id], mode="erase", dry_run=True, request=ErasureRequest("r1", A_MONDAY))
        log.erase_everything(USER, dry_run=True, request=ErasureRequest("r2", A_MONDAY))
        assert log.receipts(USER) == []

    def test_what_fails_leaves_no_receipt(self, log: EpisodicLog) -> None:
        with pytest.raises(MemoryNotFound):
            log.erase(ANA, ["unknown"], mode="erase", request=ErasureRequest("r1", A_MONDAY))
        assert log.unfinished_receipts() == []

    def test_a_receipt_is_closed_once_and_linked_to_the_one_before(self, log: EpisodicLog) -> None:
        first, second = (_asked(log, ANA, f"r{number}") for number in range(2))
        assert second.previous_hash == first.hash
        done = log.close_receipt(replace(first, status="done", remaining=(), done_at=A_MONDAY, checks=("looked",)))
        assert (done.status, done.checks, done.previous_hash) == ("done", ("looked",), second.hash)
        assert log.close_receipt(replace(first, status="pending", remaining=("something",))) == done
        assert log.receipts(ANA) == [done, second]
        assert [receipt.id for receipt, _ in log.unfinished_receipts()] == ["r1"]

    def test_what_is_left_of_an_erasure_can_be_kept_and_stays_to_be_dropped(self, log: EpisodicLog) -> None:
        receipt = _asked(log, ANA, "r1")
        [(_, left)] = log.unfinished_receipts()
        kept = log.close_receipt(replace(receipt, remaining=("the vector store is down",)))
        assert (kept.status, kept.remaining) == ("pending", ("the vector store is down",))
        [(again, still)] = log.unfinished_receipts()
        assert again == kept
        assert list(still.dropped) == list(left.dropped) != []

    def test_receipts_are_the_subjects_own(self, log: EpisodicLog) -> None:
        ours = [_asked(log, scope, f"ours {scope}") for scope in (ANA, USER)]
        others = {scope: _asked(log, scope, f"of {scope}") for scope in (BEN, COACH, ANA_ELSEWHERE)}
        assert log.receipts(ANA) == ours
        assert {scope: log.receipts(scope) for scope in others} == {scope: [one] for scope, one in others.items()}
        assert len({receipt.subject for receipt in (*ours, *others.values())}) == 4

    def test_everything_of_a_subject_leaves_one_receipt(self, log: EpisodicLog) -> None:
        for scope in (ANA, USER):
            append(log, scope, "one", "two")
        partitions = {head.partition for head in log.heads(USER)}
        erasure = log.erase_everything(USER, request=ErasureRequest("r1", A_MONDAY))
        [(receipt, left)] = log.unfinished_receipts()
        assert (receipt.memories, receipt.rows["version"]) == (4, 4)
        assert set(left.partitions) == set(erasure.partitions) == partitions
        assert log.receipts(USER) == [receipt]

    def test_there_is_nothing_to_resume_after_a_forget(self, log: EpisodicLog) -> None:
        append(log, ANA, "one")
        log.erase_everything(USER, request=ErasureRequest("r1", A_MONDAY))
        assert log.resume() == []

    def test_the_chain_of_receipts_is_checked(self, log: EpisodicLog) -> None:
        for number in range(3):
            _asked(log, ANA, f"r{number}")
        assert [finding for finding in log.check() if not finding.ok] == []

    # --- holds --------------------------------------------------------------------------------------

    def test_nothing_under_a_hold_is_erased_until_it_is_released(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "under the stairs")
        hold = log.hold(USER, reason="case 17")
        assert (hold.scope, hold.reason) == (USER, "case 17")
        erasures: list[Callable[[], Erasure]] = [
            lambda: log.erase(ANA, [one.id], mode="erase"),
            lambda: log.erase(USER, [one.id], mode="erase", dry_run=True),
            lambda: log.erase_everything(USER),
            lambda: log.erase_everything(USER, dry_run=True),
        ]
        for erase in erasures:
            with pytest.raises(UnderHold, match="case 17") as refused:
                erase()
            assert "stairs" not in str(refused.value)
            assert one.id not in str(refused.value)
        assert all_contents(log, ANA) == ["under the stairs"]
        assert log.receipts(USER) == []
        assert log.release(USER) is True
        assert log.erase(ANA, [one.id], mode="erase").memories == 1

    def test_a_hold_stops_nothing_but_erasing(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        log.hold(ANA, reason="case 17")
        append(log, ANA, "two")
        log.erase(ANA, [one.id], mode="retire")
        assert all_contents(log, ANA) == ["two"]
        assert len(log.history(ANA, one.id)) == 1

    @pytest.mark.parametrize(
        ("held", "covered"),
        [
            (USER, {"ana+coach", "ana", "ana+cook"}),
            (ANA, {"ana+coach"}),
            (COACH, {"coach"}),
        ],
    )
    def test_a_hold_covers_its_scope_and_a_users_covers_every_agent(
        self, log: EpisodicLog, held: Scope, covered: set[str]
    ) -> None:
        scopes = {
            "ana+coach": replace(ANA, session=None),
            "ana": USER,
            "ana+cook": Scope(user="ana", agent="cook"),
            "ben": BEN,
            "coach": COACH,
            "elsewhere": ANA_ELSEWHERE,
        }
        log.hold(held, reason="case 17")
        refused = set()
        for name, scope in scopes.items():
            [memory] = append(log, scope, f"of {name}")
            try:
                log.erase(scope, [memory.id], mode="erase")
            except UnderHold:
                refused.add(name)
        assert refused == covered

    def test_holds_are_seen_by_those_whom_they_stop(self, log: EpisodicLog) -> None:
        wide, narrow = log.hold(USER, reason="case 17"), log.hold(ANA, reason="case 18")
        assert narrow.scope == replace(ANA, session=None), "a session is an address, not a subject"
        by_reason = {hold.reason: hold for hold in log.holds(ANA)}
        assert by_reason == {"case 17": wide, "case 18": narrow}
        assert {hold.reason for hold in log.holds(USER)} == {"case 17", "case 18"}
        assert [hold.reason for hold in log.holds(Scope(user="ana", agent="cook"))] == ["case 17"]
        assert [*log.holds(BEN), *log.holds(COACH), *log.holds(ANA_ELSEWHERE)] == []

    def test_only_the_hold_of_exactly_this_scope_is_released(self, log: EpisodicLog) -> None:
        log.hold(USER, reason="case 17")
        assert log.release(ANA) is False
        assert log.release(replace(USER, tenant="elsewhere")) is False
        assert log.release(USER) is True
        assert log.release(USER) is False

    def test_a_scope_is_held_until_the_last_of_its_holds_is_released(self, log: EpisodicLog) -> None:
        [one] = append(log, ANA, "one")
        log.hold(ANA, reason="case 17")
        log.hold(ANA, reason="case 18")
        assert log.release(ANA, reason="case 19") is False
        assert log.release(ANA, reason="case 17") is True
        with pytest.raises(UnderHold, match=r"case 18\. Nothing"):
            log.erase(ANA, [one.id], mode="erase")
        assert log.release(ANA, reason="case 18") is True
        assert log.holds(ANA) == []
        assert log.erase(ANA, [one.id], mode="erase").memories == 1

    def test_the_same_reason_again_is_the_same_hold(self, log: EpisodicLog) -> None:
        first = log.hold(ANA, reason="case 17")
        assert log.hold(replace(ANA, session="tuesday"), reason="case 17") == first
        assert log.holds(ANA) == [first]

    def test_of_several_holds_none_is_released_unnamed(self, log: EpisodicLog) -> None:
        log.hold(ANA, reason="case 17")
        log.hold(ANA, reason="case 18")
        with pytest.raises(InvalidInput, match=r"'case 17', 'case 18'.*reason"):
            log.release(ANA)
        assert len(log.holds(ANA)) == 2

    @pytest.mark.parametrize("reason", ["", " ", "x" * 501, "a\0b"])
    def test_a_hold_needs_a_reason_that_can_be_kept(self, log: EpisodicLog, reason: str) -> None:
        with pytest.raises(InvalidInput, match="reason"):
            log.hold(ANA, reason=reason)
        assert log.holds(ANA) == []

    def test_what_was_derived_under_a_hold_keeps_its_source(self, log: EpisodicLog) -> None:
        source = append_one(log, USER, draft("I live in Porto."))
        append_one(log, ANA, draft("Lives in Porto.", kind="fact", derived_from=(source.id,)))
        log.hold(ANA, reason="case 17")
        with pytest.raises(UnderHold):
            log.erase(USER, [source.id], mode="erase")
        assert len(log.read(LogQuery(USER))) == 2

    # --- what is left to do ---------------------------------------------------------------------------

    @pytest.mark.parametrize("mode", ["erase", "retire"])
    def test_forgetting_a_fact_leaves_its_key_to_be_settled(self, log: EpisodicLog, mode: ForgetMode) -> None:
        lives = Fact("user", "lives_in", "Porto")
        source = append_one(log, ANA, draft("I live in Porto."))
        append_one(log, ANA, draft("Lives in Porto.", kind="fact", fact=lives, derived_from=(source.id,)))
        for task in log.tasks("settle"):
            log.finish(task)
        log.erase(ANA, [source.id], mode=mode)
        [task] = log.tasks("settle")
        assert task.partition == own_partition(log, ANA)

    def test_a_session_whose_summary_went_with_a_turn_is_left_to_be_summarised(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        append_one(log, ANA, draft("Both.", kind="summary", session=ANA.session, derived_from=(one.id, two.id)))
        log.erase(ANA, [one.id], mode="erase")
        [task] = log.tasks("summarise")
        assert (task.partition, task.key) == (own_partition(log, ANA), ANA.session)
        assert all_contents(log, ANA) == ["two"]

    def test_a_summary_that_is_not_missed_is_not_made_again(self, log: EpisodicLog) -> None:
        one, two = append(log, ANA, "one", "two")
        summary = append_one(log, ANA, draft("One.", kind="summary", session=ANA.session, derived_from=(one.id,)))
        log.erase(ANA, [summary.id], mode="erase")
        assert log.tasks("summarise") == []
        append_one(log, ANA, draft("Both.", kind="summary", session=ANA.session, derived_from=(one.id, two.id)))
        log.erase(ANA, [one.id, two.id], mode="erase")
        assert log.tasks("summarise") == [], "nothing is left of the session"


def _asked(log: EpisodicLog, scope: Scope, id: str) -> Receipt:
    """The pending receipt of an erasure in the scope."""
    [memory] = append(log, scope, "soon gone")
    log.erase(scope, [memory.id], mode="erase", request=ErasureRequest(id, A_MONDAY))
    [receipt] = [receipt for receipt, _ in log.unfinished_receipts() if receipt.id == id]
    return receipt
