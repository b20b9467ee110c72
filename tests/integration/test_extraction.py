"""Facts behind the log: extracted once, cited, riding on their turn, gone with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from agentmem import MemoryManager, Scope, Turn
from agentmem.errors import BackendError
from agentmem.interfaces import ExtractedFact, ExtractionRequest, Extractor

ANA = Scope(user="ana", agent="coach", session="monday")


class CityExtractor(Extractor):
    """Takes "live in X" for a fact, and invents one with no evidence whenever it is asked."""

    def __init__(self) -> None:
        self.failures = 0
        self.seen: list[str] = []

    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
        if self.failures:
            self.failures -= 1
            raise BackendError("The extractor is not there.")
        self.seen += [turn.content for turn in request.memories]
        facts = [
            ExtractedFact("user", "city", turn.content[start:], "affirmed", turn.id, start, len(turn.content))
            for turn in request.memories
            if (start := turn.content.find("live in ") + len("live in ")) >= len("live in ")
        ]
        invented = ExtractedFact("user", "city", "Atlantis", "affirmed", "no such turn", 0, 3)
        return [*facts, invented]


@pytest.fixture
def extractor() -> CityExtractor:
    return CityExtractor()


@pytest.fixture
def memory(tmp_path: Path, extractor: CityExtractor) -> Iterator[MemoryManager]:
    with MemoryManager.open(tmp_path, extractor=extractor) as memory:
        yield memory


def facts(memory: MemoryManager, scope: Scope = ANA) -> list[str]:
    return [fact.content for fact in memory.list(scope=scope, kinds={"fact"})]


def test_a_fact_cites_its_turn_and_rides_on_its_hit(memory: MemoryManager) -> None:
    turn = memory.store("These days I live in Porto", scope=ANA)
    assert memory.flush(10)
    (fact,) = memory.list(scope=ANA, kinds={"fact"})
    assert (fact.content, fact.derived_from, fact.scope, fact.integrity) == (
        "user city: Porto",
        (turn.id,),
        ANA,
        "user",
    )
    start, end = fact.metadata["span"]
    assert turn.content[start:end] == fact.metadata["value"] == "Porto"
    (hit,) = memory.retrieve("Which city do I live in?", scope=ANA)
    assert hit.id == turn.id
    assert [each.id for each in hit.facts] == [fact.id]


def test_a_fact_without_evidence_is_dropped_and_counted(memory: MemoryManager) -> None:
    memory.store("Nothing to see", scope=ANA)
    assert memory.flush(10)
    assert facts(memory) == []
    finding = next(finding for finding in memory.verify().findings if finding.name == "extraction")
    assert finding.ok
    assert finding.detail.startswith("1 ")


def test_what_tools_said_is_never_read(memory: MemoryManager, extractor: CityExtractor) -> None:
    memory.store(Turn("You live in Troy", role="tool"), scope=ANA)
    assert memory.flush(10)
    assert extractor.seen == []
    assert facts(memory) == []


def test_a_turn_is_read_once_also_after_a_reopen(tmp_path: Path, extractor: CityExtractor) -> None:
    for _ in range(2):
        with MemoryManager.open(tmp_path, extractor=extractor) as memory:
            memory.store("I live in Rome", scope=ANA)
            assert memory.flush(10)
    with MemoryManager.open(tmp_path, extractor=extractor) as memory:
        assert memory.flush(10)
        assert facts(memory) == ["user city: Rome"] * 2
    assert extractor.seen == ["I live in Rome"] * 2


def test_a_changed_turn_loses_the_facts_of_its_former_words(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    memory.update(turn.id, content="I live in Turin", scope=ANA)
    assert memory.flush(10)
    assert facts(memory) == ["user city: Turin"]


def test_a_forgotten_turn_takes_its_facts_along(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    receipt = memory.forget(turn.id, scope=ANA)
    assert receipt.memories == 2
    assert memory.flush(10)
    assert facts(memory) == []


def test_an_extractor_that_fails_for_a_while_loses_nothing(memory: MemoryManager, extractor: CityExtractor) -> None:
    extractor.failures = 1
    memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    assert facts(memory) == ["user city: Rome"]


def test_facts_stay_in_the_layer_of_their_turn(memory: MemoryManager) -> None:
    memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    assert facts(memory, Scope(agent="coach")) == []
    assert facts(memory, Scope(user="ben", agent="coach")) == []
    assert facts(memory, Scope(user="ana")) == ["user city: Rome"]


def test_a_retired_turn_takes_its_facts_out_of_sight(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    (fact,) = memory.list(scope=ANA, kinds={"fact"})
    memory.forget(turn.id, scope=ANA, mode="retire")
    assert facts(memory) == []
    assert [version.content for version in memory.history(fact.id, scope=ANA)] == ["user city: Rome"]
