"""Facts by a model behind a real HTTP server that misbehaves on cue, asked through the real SDK.

Whatever it does, no turn is lost, no fact is invented, and it is known afterwards what happened.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from openai_server import Answer, OpenAIServer, serving

from agentmem import MemoryManager, Scope
from agentmem.errors import BackendError
from agentmem.extractors.llm import LLMExtractor
from agentmem.interfaces import ExtractionRequest
from agentmem.lifecycle import jobs
from agentmem.llms.openai import OpenAILLM
from agentmem.testing import FrozenClock, memory

pytest.importorskip("openai", reason='needs `pip install "pyagentmem[openai]"`')

ANA = Scope(user="ana", agent="coach", session="monday")
TURNS = ["I like Lisbon.", "It rains a lot here.", "Besides, I like Porto."]
_TEXT = re.compile(r'^\[(\d+)\] \S+ \w+ (?:user|"(?:[^"\\]|\\.)*") ("(?:[^"\\]|\\.)*")$', re.MULTILINE)


def fact(number: int, place: str, **change: Any) -> dict[str, Any]:
    return {
        "turn": number,
        "quote": f"I like {place}",
        "subject": "user",
        "attribute": "likes",
        "topic": None,
        "value": place,
        "polarity": "affirmed",
        "valid_from": None,
        "valid_to": None,
    } | change


def texts(body: dict[str, Any]) -> list[str]:
    """The turns in a request, as the model reads them."""
    return [json.loads(text) for _, text in _TEXT.findall(body["messages"][-1]["content"])]


def reading(body: dict[str, Any]) -> Answer:
    """A model that understands "like X" and nothing else."""
    moves = [(number, re.search(r"like (\w+)", text)) for number, text in enumerate(texts(body), 1)]
    return Answer(json.dumps({"facts": [fact(number, move[1]) for number, move in moves if move]}))


GOOD = Answer(json.dumps({"facts": [fact(1, "Lisbon"), fact(3, "Porto")]}))


@pytest.fixture
def server() -> Iterator[OpenAIServer]:
    with serving() as server:
        server.otherwise = reading
        yield server


@pytest.fixture
def extractor(server: OpenAIServer) -> Iterator[LLMExtractor]:
    llm = OpenAILLM("scripted", base_url=server.url)
    yield LLMExtractor(llm, timeout_s=0.3)
    llm.close()


def extracted(extractor: LLMExtractor) -> list[str]:
    return [found.value for found in extractor.extract(ExtractionRequest([memory(text) for text in TURNS]))]


def test_a_good_answer_is_asked_for_in_the_shape_of_the_schema(server: OpenAIServer, extractor: LLMExtractor) -> None:
    server.will(GOOD)
    assert extracted(extractor) == ["Lisbon", "Porto"]
    (body,) = server.requests
    shape = body["response_format"]["json_schema"]
    assert shape["strict"] is True
    assert shape["schema"]["properties"]["facts"]["items"]["properties"]["polarity"]["enum"] == [
        "affirmed",
        "denied",
        "ended",
    ]
    assert texts(body) == TURNS


def test_an_endpoint_that_knows_no_schemas_is_asked_without_one_from_then_on(
    server: OpenAIServer, extractor: LLMExtractor
) -> None:
    server.otherwise = lambda body: Answer(reading(body).text, refuses="response_format")
    assert extracted(extractor) == ["Lisbon", "Porto"]
    assert extracted(extractor) == ["Lisbon", "Porto"]
    assert ["response_format" in body for body in server.requests] == [True, False, False]
    assert extractor.outcomes == {"answers": 2, "facts": 4}


# --- answers of no use, then a good one -----------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer("Gladly! She likes Lisbon and Porto."), "malformed"),
        (Answer((GOOD.text or "")[:200]), "malformed"),
        (Answer("null"), "malformed"),
        (Answer('{"facts": "none"}'), "malformed"),
        (Answer('{"facts": [1, 2, 3]}'), "malformed"),
        (Answer("\x00\x00\x00"), "malformed"),
        (Answer("\ud800\udfff\ud800"), "malformed"),
        (Answer("[" * 50_000), "malformed"),
        (Answer(""), "empty"),
        (Answer(None), "empty"),
        (Answer("x" * 10_000_000), "oversized"),
        (Answer((GOOD.text or "")[:-40], finish_reason="length"), "truncated"),
        (Answer("", finish_reason="content_filter"), "refused"),
        (Answer(None, refusal="I cannot do that."), "refused"),
        (Answer("I'm sorry, but I can't assist with that."), "refused"),
        (Answer(status=400), "rejected"),
        (Answer(status=413), "rejected"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_an_answer_of_no_use_loses_nothing(
    server: OpenAIServer, extractor: LLMExtractor, answer: Answer, reason: str
) -> None:
    server.will(answer, *[answer] * (answer.status != 200))
    assert extracted(extractor) == ["Lisbon", "Porto"]
    assert extractor.outcomes[reason] == 1
    assert "given_up" not in extractor.outcomes
    assert "failed" not in extractor.outcomes


def test_an_echo_of_the_prompt_is_no_answer(server: OpenAIServer, extractor: LLMExtractor) -> None:
    echoed: list[str] = []

    def echo_once(body: dict[str, Any]) -> Answer:
        if echoed:
            return reading(body)
        echoed.extend(message["content"] for message in body["messages"])
        return Answer("\n".join(echoed))

    server.otherwise = echo_once
    assert extracted(extractor) == ["Lisbon", "Porto"]
    assert extractor.outcomes["echoed"] == 1


@pytest.mark.parametrize(
    "wrapped", ["```json\n{}\n```", "Here you are: {} Anything else?", '<think>{{"facts": []}}</think>{}']
)
def test_an_answer_in_prose_or_a_code_block_is_read(
    server: OpenAIServer, extractor: LLMExtractor, wrapped: str
) -> None:
    server.will(Answer(wrapped.replace("{{", "{").replace("}}", "}").replace("{}", GOOD.text or "", 1)))
    assert extracted(extractor) == ["Lisbon", "Porto"]
    assert len(server.requests) == 1


def test_nothing_found_is_told_from_no_answer(server: OpenAIServer, extractor: LLMExtractor) -> None:
    server.will(Answer('{"facts": []}'))
    assert extracted(extractor) == []
    assert extractor.outcomes == {"answers": 1, "nothing_found": 1}


def test_bad_items_are_dropped_and_counted_and_good_ones_kept(server: OpenAIServer, extractor: LLMExtractor) -> None:
    items = [
        fact(1, "Lisbon"),
        fact(2, "Atlantis"),
        fact(9, "Lisbon"),
        fact(1, "Lisbon", value="Madrid"),
        fact(1, "Lisbon", attribute="aura"),
        fact(1, "Lisbon", polarity="perhaps"),
        fact(3, "Porto", valid_from="2025-02-30"),
        None,
    ]
    server.will(Answer(json.dumps({"facts": items})))
    assert extracted(extractor) == ["Lisbon", "Porto"]
    assert extractor.outcomes == {
        "answers": 1,
        "facts": 2,
        "no_such_quote": 1,
        "no_such_turn": 1,
        "unsupported_value": 1,
        "unknown_attribute": 1,
        "bad_polarity": 1,
        "bad_item": 1,
        "dates_dropped": 1,
    }


# --- no answer ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=429),
        Answer(status=500),
        Answer(status=503),
        Answer(status=401),
        Answer(status=404),
        Answer(hang_s=5),
        Answer(resets=True, text="x" * 100_000),
        Answer(body=b"<html>Bad gateway</html>"),
        Answer(body=b"{}"),
        Answer(body=b'{"choices": []}'),
        Answer(body=b'{"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "x", "content": [1]}}]}'),
        Answer(body=b'{"choices": [{"ind'),
        Answer(body=b""),
    ],
    ids=lambda answer: f"{answer.status} {answer.body or ''!r:.30} {(answer.resets and 'reset') or answer.hang_s}",
)
def test_no_answer_is_an_error_that_skips_nothing(
    server: OpenAIServer, extractor: LLMExtractor, answer: Answer
) -> None:
    server.will(answer)
    with pytest.raises(BackendError):
        extracted(extractor)
    assert extractor.outcomes == {"failed": 1}
    assert extracted(extractor) == ["Lisbon", "Porto"]


def test_the_endpoint_says_when_to_come_back(server: OpenAIServer, extractor: LLMExtractor) -> None:
    server.will(Answer(status=429, headers={"retry-after": "17"}))
    with pytest.raises(BackendError) as failed:
        extracted(extractor)
    assert failed.value.retry_after_s == 17
    with pytest.raises(BackendError, match="left alone for 17 s"):
        extracted(extractor)
    assert len(server.requests) == 1


@pytest.mark.parametrize("header", ["Mon, 23 Nov 2026 07:28:00 GMT", "soon", "-5", "inf", ""])
def test_a_time_to_come_back_that_is_no_number_of_seconds_is_passed_over(
    server: OpenAIServer, extractor: LLMExtractor, header: str
) -> None:
    server.will(Answer(status=429, headers={"retry-after": header}))
    with pytest.raises(BackendError) as failed:
        extracted(extractor)
    assert failed.value.retry_after_s is None


# --- behind the log -------------------------------------------------------------------------------


@pytest.fixture
def opened(tmp_path: Path, server: OpenAIServer) -> Iterator[Callable[..., MemoryManager]]:
    managers: list[MemoryManager] = []

    def open(**options: Any) -> MemoryManager:
        clock = options.pop("clock", FrozenClock())
        managers.append(
            MemoryManager.open(
                tmp_path / "memory",
                llm={"type": "openai", "model": "scripted", "base_url": server.url},
                extractor={"type": "llm", **options},
                embedder=None,
                clock=clock,
            )
        )
        return managers[-1]

    yield open
    for manager in managers:
        manager.close()


def facts(manager: MemoryManager) -> set[str]:
    return {found.fact.value for found in manager.list(scope=ANA, kinds={"fact"}) if found.fact}


def said_of_extraction(manager: MemoryManager) -> tuple[bool, str]:
    finding = next(finding for finding in manager.verify().findings if finding.name == "extraction")
    return finding.ok, finding.detail


def test_the_managers_model_is_the_extractors(server: OpenAIServer, opened: Callable[..., MemoryManager]) -> None:
    manager = opened()
    turn = manager.store("I like Lisbon.", scope=ANA)
    assert server.requests == []
    assert manager.flush(10)
    (found,) = manager.list(scope=ANA, kinds={"fact"})
    assert found.fact is not None
    assert found.derived_from == (turn.id,)
    assert found.fact.span is not None
    assert turn.content[slice(*found.fact.span)] == "I like Lisbon"
    ok, said = said_of_extraction(manager)
    assert ok
    assert "answers: 1, facts: 1" in said


def test_429_then_good_is_only_a_delay(server: OpenAIServer, opened: Callable[..., MemoryManager]) -> None:
    server.will(Answer(status=429, headers={"retry-after": "0"}), Answer(status=429))
    manager = opened()
    manager.store("I like Lisbon.", scope=ANA)
    assert manager.flush(10)
    assert facts(manager) == {"Lisbon"}


def test_one_turn_that_cannot_be_read_holds_up_no_other(
    server: OpenAIServer, opened: Callable[..., MemoryManager]
) -> None:
    server.otherwise = lambda body: (
        Answer("", finish_reason="content_filter") if any("POISON" in text for text in texts(body)) else reading(body)
    )
    manager = opened()
    manager.store_many([{"content": f"I like Town{n}."} for n in range(5)], scope=ANA)
    manager.store("POISON. I like Hell.", scope=ANA)
    manager.store("I like Lisbon.", scope=ANA)
    assert manager.flush(10)
    assert facts(manager) == {"Lisbon", *(f"Town{n}" for n in range(5))}
    ok, said = said_of_extraction(manager)
    assert ok
    assert "given up: 1" in said
    asked = len(server.requests)
    manager.store("Then I like Rome.", scope=ANA)
    assert manager.flush(10)
    assert len(server.requests) == asked + 1


def test_a_model_that_is_down_skips_no_turn_and_verify_tells(
    server: OpenAIServer, opened: Callable[..., MemoryManager]
) -> None:
    server.will(*[Answer(status=503, headers={"retry-after": "60"})] * 9)
    manager = opened()
    manager.store("I like Lisbon.", scope=ANA)
    assert not manager.flush(10)
    ok, said = said_of_extraction(manager)
    assert not ok
    assert "HTTP 503" in said
    assert "failed: 1" in said
    assert len(server.requests) == 1
    manager.close()
    server.answers.clear()
    again = opened()
    assert again.flush(10)
    assert facts(again) == {"Lisbon"}


def test_a_budget_that_is_used_up_pauses_extraction_and_verify_tells(
    server: OpenAIServer, opened: Callable[..., MemoryManager]
) -> None:
    clock = FrozenClock()
    manager = opened(budget={"calls_per_day": 1}, clock=clock)
    manager.store("I like Lisbon.", scope=ANA)
    assert manager.flush(10)
    clock.advance(minutes=1)
    manager.store("Now I like Porto.", scope=ANA)
    assert not manager.flush(10)
    ok, said = said_of_extraction(manager)
    assert not ok
    assert "1 calls a day is used up until" in said
    assert len(server.requests) == 1
    clock.advance(days=1)
    assert manager.flush(10)
    assert facts(manager) == {"Lisbon", "Porto"}


def test_what_was_read_at_a_cost_is_not_read_again_after_a_restart(
    server: OpenAIServer, opened: Callable[..., MemoryManager]
) -> None:
    manager = opened(budget={"calls_per_day": 1})
    manager.store_many([{"content": f"Since day {n} I like Town{n}."} for n in range(60)], scope=ANA)
    assert not manager.flush(10)
    read = {text for body in server.requests for text in texts(body)}
    manager.close()
    server.requests.clear()
    again = opened()
    assert again.flush(10)
    assert read.isdisjoint(text for body in server.requests for text in texts(body))
    assert len(read) >= 50


def test_turns_wait_for_others_to_be_asked_about_with(
    server: OpenAIServer, opened: Callable[..., MemoryManager], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_RETRY_S", 0.05)
    manager = opened(waits_s=0.4)
    for number in range(3):
        manager.store(f"I like Town{number}.", scope=ANA)
        time.sleep(0.05)
    assert server.requests == []
    deadline = time.monotonic() + 10
    while not facts(manager) and time.monotonic() < deadline:
        time.sleep(0.02)
    (request,) = server.requests
    assert texts(request) == ["I like Town0.", "I like Town1.", "I like Town2."]


def test_fifty_turns_wait_for_no_other_and_closing_does_not_wait(
    server: OpenAIServer, opened: Callable[..., MemoryManager]
) -> None:
    manager = opened(waits_s=3600)
    manager.store_many([{"content": f"I like Town{n}."} for n in range(50)], scope=ANA)
    deadline = time.monotonic() + 10
    while len(facts(manager)) < 50 and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(facts(manager)) == 50
    manager.store("I like Lisbon.", scope=ANA)
    manager.close()
    assert texts(server.requests[-1]) == ["I like Lisbon."]


def test_nothing_waits_for_the_model_on_the_way_in(server: OpenAIServer, opened: Callable[..., MemoryManager]) -> None:
    server.will(Answer(hang_s=1.5))
    manager = opened()
    started = time.monotonic()
    for number in range(20):
        manager.store(f"I like Town{number}.", scope=ANA)
    assert time.monotonic() - started < 1.0
    server.stopping.set()
