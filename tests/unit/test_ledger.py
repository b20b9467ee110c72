"""What memory takes is added up: by calls, by status, by questions to models."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from agentmem.interfaces import Completion, CompletionRequest, Message
from agentmem.ledger import CountedLLM, Ledger
from agentmem.records import Cost
from agentmem.testing.fakes import ScriptedLLM


def test_costs_of_many_threads_add_up() -> None:
    ledger = Ledger()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: ledger.add(Cost(calls=1, tokens=2, waited_s=0.5, statuses={"ok": 1})), range(1_000)))
    assert ledger.total == Cost(calls=1_000, tokens=2_000, waited_s=500.0, statuses={"ok": 1_000})


def test_a_call_that_got_worse_is_counted_once() -> None:
    ledger = Ledger()
    ledger.add(Cost(calls=2, statuses={"ok": 2}))
    ledger.count("lost", instead_of="ok")
    assert ledger.total.statuses == {"ok": 1, "lost": 1}


def test_questions_to_a_model_are_counted_with_their_tokens() -> None:
    ledger = Ledger()
    llm = CountedLLM(ScriptedLLM(Completion("yes", "stop", 10, 2), Completion("no", "stop")), ledger)
    request = CompletionRequest([Message("user", "Well?")])
    assert [llm.complete(request).text for _ in range(2)] == ["yes", "no"]
    assert (ledger.total.llm_calls, ledger.total.llm_tokens) == (2, 12)
