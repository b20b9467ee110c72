"""Facts behind the log: extracted once, cited, riding on their turn, gone with it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agentmem import MemoryManager, Scope, Turn
from agentmem.errors import BackendError
from agentmem.extractors.sentences import sentence
from agentmem.interfaces import ExtractedFact, ExtractionRequest, Extractor
from agentmem.log.sql import SQLLog
from agentmem.records import Fact, ForgetMode, Memory

ANA = Scope(user="ana", agent="coach", session="monday")


class CityExtractor(Extractor):
    """Takes "live in X" for a fact, and invents one with no evidence whenever it is asked."""

    name = "cities"

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
        "The user city: Porto",
        (turn.id,),
        ANA,
        "user",
    )
    assert fact.fact is not None
    assert fact.fact.span is not None
    start, end = fact.fact.span
    assert turn.content[start:end] == fact.fact.value == "Porto"
    assert fact.written_by == "extractor:cities"
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
        (fact,) = memory.list(scope=ANA, kinds={"fact"})
        assert fact.fact is not None
        assert (fact.content, fact.fact.times) == ("The user city: Rome", 2)
    assert extractor.seen == ["I live in Rome"] * 2


def test_a_changed_turn_loses_the_facts_of_its_former_words(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    memory.update(turn.id, content="I live in Turin", scope=ANA)
    assert memory.flush(10)
    assert facts(memory) == ["The user city: Turin"]


def test_a_forgotten_turn_takes_its_facts_along(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    receipt = memory.forget(turn.id, scope=ANA)
    assert receipt.memories == 2
    assert memory.flush(10)
    assert facts(memory) == []


@pytest.mark.parametrize("mode", ["erase", "retire"])
def test_a_turn_that_is_forgotten_while_it_is_read_leaves_no_fact(
    memory: MemoryManager, extractor: CityExtractor, mode: ForgetMode
) -> None:
    read = extractor.extract

    def extract(request: ExtractionRequest) -> Sequence[ExtractedFact]:
        memory.forget(request.memories[0].id, scope=ANA, mode=mode)
        return read(request)

    extractor.extract = extract  # type: ignore[method-assign]  # what a user does while a model thinks
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    assert facts(memory) == []
    if mode == "retire":
        extractor.extract = read  # type: ignore[method-assign]
        memory.restore(turn.id, scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == ["The user city: Rome"]


def test_an_extractor_that_fails_for_a_while_loses_nothing(memory: MemoryManager, extractor: CityExtractor) -> None:
    extractor.failures = 1
    memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    assert facts(memory) == ["The user city: Rome"]


def test_facts_stay_in_the_layer_of_their_turn(memory: MemoryManager) -> None:
    memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    assert facts(memory, Scope(agent="coach")) == []
    assert facts(memory, Scope(user="ben", agent="coach")) == []
    assert facts(memory, Scope(user="ana")) == ["The user city: Rome"]


def test_a_retired_turn_takes_its_facts_out_of_sight(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    (fact,) = memory.list(scope=ANA, kinds={"fact"})
    memory.forget(turn.id, scope=ANA, mode="retire")
    assert facts(memory) == []
    assert [version.content for version in memory.history(fact.id, scope=ANA)] == ["The user city: Rome"]


def test_words_that_come_back_bring_their_facts_back(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    (rome,) = memory.list(scope=ANA, kinds={"fact"})
    memory.update(turn.id, content="I live in Turin", scope=ANA)
    assert memory.flush(10)
    memory.update(turn.id, content="I live in Rome", scope=ANA)
    assert memory.flush(10)
    assert [fact.id for fact in memory.list(scope=ANA, kinds={"fact"})] == [rome.id]


def test_what_was_said_before_a_change_is_known_from_then(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    (rome,) = memory.list(scope=ANA, kinds={"fact"})
    memory.update(turn.id, content="I live in Turin", scope=ANA)
    assert memory.flush(10)
    assert memory.get(rome.id, scope=ANA, known_at=rome.recorded_from).content == "The user city: Rome"


def test_a_change_of_metadata_alone_leaves_the_facts_alone(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    before = memory.list(scope=ANA, kinds={"fact"})
    memory.update(turn.id, metadata={"topic": "home"}, scope=ANA)
    assert memory.flush(10)
    assert memory.list(scope=ANA, kinds={"fact"}) == before


class LaterExtractor(CityExtractor):
    """Another extractor to the log, which begins at the first turn, and reads the same."""


@pytest.mark.parametrize("mode", ["erase", "retire"])
def test_a_forgotten_fact_is_not_extracted_again(tmp_path: Path, mode: ForgetMode) -> None:
    with MemoryManager.open(tmp_path, extractor=CityExtractor()) as memory:
        turn = memory.store("I live in Rome", scope=ANA)
        assert memory.flush(10)
        (fact,) = memory.list(scope=ANA, kinds={"fact"})
        memory.forget(fact.id, scope=ANA, mode=mode)
        memory.update(turn.id, importance=0.9, scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == []
    with MemoryManager.open(tmp_path, extractor=LaterExtractor()) as memory:
        assert memory.flush(10)
        assert facts(memory) == []
        memory.store("I live in Rome", scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == ["The user city: Rome"]


def test_turns_from_before_there_was_an_extractor_are_read_too(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, extractor=None) as memory:
        memory.store("I live in Rome", scope=ANA)
    with MemoryManager.open(tmp_path, extractor=CityExtractor()) as memory:
        assert memory.flush(10)
        assert facts(memory) == ["The user city: Rome"]


def test_the_same_turn_read_by_another_extractor_has_no_fact_twice(tmp_path: Path) -> None:
    for extractor in (CityExtractor(), LaterExtractor()):
        with MemoryManager.open(tmp_path, extractor=extractor) as memory:
            memory.store("I live in Rome", scope=ANA, idempotency_key="one")
            assert memory.flush(10)
            assert facts(memory) == ["The user city: Rome"]


class Told(Extractor):
    """Finds exactly one fact in every turn: the one it was told."""

    name = "told"

    def __init__(self, **fact: Any) -> None:
        self.fact = fact

    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
        return [
            ExtractedFact(**self.fact, derived_from=turn.id, start=0, end=len(turn.content))
            for turn in request.memories
        ]


def test_an_end_without_a_value_is_a_fact(tmp_path: Path) -> None:
    told = Told(subject="user", attribute="employer", value="", polarity="ended")
    with MemoryManager.open(tmp_path, extractor=told) as memory:
        memory.store("I quit.", scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == ["The user no longer works where they did."]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["as it happened", "the end first"])
@pytest.mark.parametrize(
    ("known", "said"),
    [
        ("My cat Whiskers woke me at five.", "I have terrible news. Whiskers died last night."),
        ("My girlfriend Lucía is from Sevilla.", "We broke up."),
        ("I'm moving to Rome next week.", "We're not moving after all."),
        ("I live in Rome.", "I left Rome last year."),
    ],
)
def test_what_is_only_known_from_other_words_ends_in_whatever_order_they_were_stored(
    tmp_path: Path, order: tuple[int, int], known: str, said: str
) -> None:
    day = datetime(2026, 6, 1, 8, tzinfo=UTC)
    turns = [Turn(known, occurred_at=day), Turn(said, occurred_at=day + timedelta(minutes=1))]
    with MemoryManager.open(tmp_path, embedder=None) as memory:
        for place in order:
            memory.store(turns[place], scope=ANA)
            memory.flush()
        told = [fact.fact for fact in memory.list(scope=ANA, kinds={"fact"}) if fact.fact]
        assert {fact.polarity for fact in told if fact.subject == "user"} == {"ended"}


def test_a_fact_that_no_log_can_hold_is_dropped_and_counted(tmp_path: Path) -> None:
    told = Told(subject="user", attribute="employer", value="A\x00", polarity="affirmed")
    with MemoryManager.open(tmp_path, extractor=told) as memory:
        memory.store("I work at A.", scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == []
        finding = next(finding for finding in memory.verify().findings if finding.name == "extraction")
        assert finding.detail.startswith("1 ")


def test_a_fact_is_found_by_words_of_its_attribute_that_its_sentence_lacks(tmp_path: Path) -> None:
    told = Told(subject="Clara", attribute="home", value="Porto", polarity="affirmed")
    with MemoryManager.open(tmp_path, extractor=told, embedder=None) as memory:
        memory.store("She is in Porto for good now.", scope=ANA)
        assert memory.flush(10)
        (hit,) = memory.retrieve("Which city?", scope=ANA, kinds={"fact"})
        assert hit.content == "Clara lives in Porto."


def test_an_extractor_that_breaks_on_a_turn_holds_up_no_other_turn(tmp_path: Path) -> None:
    class Breaking(CityExtractor):
        def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
            if any("Troy" in turn.content for turn in request.memories):
                raise ZeroDivisionError
            return super().extract(request)

    with MemoryManager.open(tmp_path, extractor=Breaking()) as memory:
        memory.store_many([Turn(f"I live in {city}") for city in ("Rome", "Troy", "Oslo")], scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == ["The user city: Rome", "The user city: Oslo"]
        finding = next(finding for finding in memory.verify().findings if finding.name == "extraction")
        assert not finding.ok
        assert finding.detail.endswith("ZeroDivisionError.")


def test_a_damaged_turn_holds_up_no_other_turn(tmp_path: Path, extractor: CityExtractor) -> None:
    with MemoryManager.open(tmp_path, extractor=None) as memory:
        stored = memory.store_many([Turn(f"I live in {city}") for city in ("Rome", "Troy", "Oslo")], scope=ANA)
    with closing(sqlite3.connect(tmp_path / "agentmem.db")) as connection, connection:
        connection.execute("UPDATE agentmem_version SET content = 'I live in Hell' WHERE id = ?", [stored[1].id])
    with MemoryManager.open(tmp_path, extractor=extractor) as memory:
        assert memory.flush(10)
        assert facts(memory) == ["The user city: Rome", "The user city: Oslo"]
        assert memory.verify().ok
        assert stored[1].id in " ".join(each.detail for each in memory.verify(deep=True).findings if not each.ok)


def test_once_a_damaged_fact_is_forgotten_all_the_others_are_there(memory: MemoryManager, tmp_path: Path) -> None:
    for city in ("Rome", "Oslo"):
        memory.store(f"I live in {city}", scope=ANA)
    assert memory.flush(10)
    [rome, _] = memory.list(scope=ANA, kinds={"fact"})
    with closing(sqlite3.connect(tmp_path / "agentmem.db")) as connection, connection:
        connection.execute("UPDATE agentmem_version SET content = 'Hell' WHERE id = ?", [rome.id])
    memory.store("I live in Lima", scope=ANA)
    memory.flush(10)
    assert memory.forget(rome.id, scope=ANA).memories == 1
    assert memory.flush(10)
    assert facts(memory) == ["The user city: Oslo", "The user city: Lima"]


def test_who_asks_of_me_finds_the_facts_about_the_user_before_those_about_others(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, extractor=None) as memory:
        for number, subject in enumerate(("Clara", "user", "Tom")):
            fact = Fact(subject, "home", "Porto")
            memory.store(Turn(sentence(fact), kind="fact", fact=fact, metadata={"n": number}), scope=ANA)
        asked = {
            question: memory.retrieve(question, scope=ANA, kinds={"fact"})[0].content
            for question in (
                "Where do I live?",
                "What is my home?",
                "Where does my sister Clara live?",
                "Where is Tom?",
            )
        }
    assert list(asked.values()) == [
        "The user lives in Porto.",
        "The user lives in Porto.",
        "Clara lives in Porto.",
        "Tom lives in Porto.",
    ]


# --- whose fact it is -----------------------------------------------------------------------------


class SaysHome(Extractor):
    """Takes what follows "live in " for the home, up to the sentence's end, each time it is said."""

    name = "homes"

    def extract(self, request: ExtractionRequest) -> Sequence[ExtractedFact]:
        return [
            ExtractedFact("User", "home", f" {found[1].lower()}  ", "affirmed", turn.id, *found.span())
            for turn in request.memories
            for found in re.finditer(r"live in ([^.]+)", turn.content)
        ]


def home_of(memory: MemoryManager) -> Memory:
    [fact] = memory.list(scope=ANA, kinds={"fact"})
    return fact


@pytest.mark.parametrize("mode", ["erase", "retire"])
def test_a_forgotten_fact_does_not_come_back_by_another_extractor(tmp_path: Path, mode: ForgetMode) -> None:
    with MemoryManager.open(tmp_path, extractor="rules", embedder=None) as memory:
        memory.store("By the way, I live in Porto.", scope=ANA)
        assert memory.flush(10)
        memory.forget(home_of(memory).id, scope=ANA, mode=mode)
    with MemoryManager.open(tmp_path, extractor=SaysHome(), embedder=None) as memory:
        memory.store("Hello.", scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == []


def test_a_turn_that_two_extractors_read_says_its_fact_once(tmp_path: Path) -> None:
    for extractor in ("rules", SaysHome()):
        with MemoryManager.open(tmp_path, extractor=extractor, embedder=None) as memory:
            memory.store("By the way, I live in Porto.", scope=ANA, idempotency_key="one")
            assert memory.flush(10)
            fact = home_of(memory).fact
            assert fact is not None
            assert (fact.value, fact.times) == ("Porto", 1)


def test_the_same_said_twice_in_one_turn_is_one_fact_that_cites_the_first(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, extractor=SaysHome(), embedder=None) as memory:
        memory.store("I live in Porto. As I said, I live in  PORTO.", scope=ANA)
        assert memory.flush(10)
        fact = home_of(memory).fact
        assert fact is not None
        assert (fact.times, fact.span) == (1, (2, 15))


def test_a_fact_that_is_forgotten_while_another_process_reads_its_turn_stays_forgotten(tmp_path: Path) -> None:
    class Slow(SQLLog):
        """Between what it saw and what it writes, something else happens."""

        def tombstoned(self, scope: Scope, ids: Sequence[str]) -> frozenset[str]:
            seen = super().tombstoned(scope, ids)
            with MemoryManager.open(tmp_path, embedder=None) as other:
                other.flush()
                [porto] = [fact for fact in other.list(scope=ANA, kinds={"fact"}) if "Porto" in fact.content]
                other.forget(porto.id, scope=ANA)
                other.forget(where={"fact.attribute": "likes"}, scope=Scope(user="ana"), mode="retire")
            return seen

    with MemoryManager.open(tmp_path, embedder=None, extractor=None) as memory:
        memory.store("I live in Porto. I love olives. I work at Acme.", scope=ANA)
    with closing(Slow(f"sqlite:///{tmp_path}/agentmem.db")) as log, MemoryManager(log, embedder=None) as memory:
        memory.flush()
        assert facts(memory) == ["The user works at Acme."]
        assert [each for each in memory.verify().findings if not each.ok] == []


@pytest.mark.parametrize("mode", ["erase", "retire"])
def test_a_forgotten_fact_does_not_come_back_when_its_turn_is_reworded(tmp_path: Path, mode: ForgetMode) -> None:
    with MemoryManager.open(tmp_path, extractor="rules", embedder=None) as memory:
        turn = memory.store("I live in Porto. It is nice.", scope=ANA)
        assert memory.flush(10)
        memory.forget(home_of(memory).id, scope=ANA, mode=mode)
        memory.update(turn.id, scope=ANA, content="I live in Porto. It is very nice.")
        assert memory.flush(10)
        assert facts(memory) == []


def test_a_fact_follows_the_words_of_its_turn(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, extractor="rules", embedder=None) as memory:
        turn = memory.store("I moved to porto in 2019.", scope=ANA, occurred_at=datetime(2026, 5, 4, tzinfo=UTC))
        assert memory.flush(10)
        before = home_of(memory)
        turn = memory.update(turn.id, scope=ANA, content="Well, I moved to Porto in 2020.")
        assert memory.flush(10)
        after = home_of(memory)
        assert (after.id, after.content, after.written_by) == (before.id, "The user lives in Porto.", "extractor:rules")
        assert (before.valid_from.year, after.valid_from.year) == (2019, 2020)
        assert after.fact is not None
        assert after.fact.span is not None
        assert turn.content[slice(*after.fact.span)].startswith("I moved to Porto")
        (hit, *_) = memory.retrieve("Porto", scope=ANA, kinds={"fact"})
        assert hit.id == after.id


def test_a_fact_whose_words_are_gone_says_so_in_its_history(memory: MemoryManager) -> None:
    turn = memory.store("I live in Rome", scope=ANA)
    assert memory.flush(10)
    [rome] = memory.list(scope=ANA, kinds={"fact"})
    memory.update(turn.id, content="I live in Turin", scope=ANA)
    assert memory.flush(10)
    assert [version.reason for version in memory.history(rome.id, scope=ANA)] == [None, "its turn no longer says so"]


# --- corrected by hand ----------------------------------------------------------------------------


@pytest.fixture
def corrected(tmp_path: Path) -> Iterator[tuple[MemoryManager, str]]:
    """A memory whose one fact was corrected from Proto to Porto, and the id of its turn, which says Proto still."""
    with MemoryManager.open(tmp_path, extractor="rules", embedder=None) as memory:
        turn = memory.store("I live in Proto. It is nice.", scope=ANA)
        assert memory.flush(10)
        memory.update(home_of(memory).id, scope=ANA, content="The user lives in Porto.")
        yield memory, turn.id


@pytest.mark.parametrize(
    "words", ["I live in Proto. It is very nice.", "Well, I live in Porto. It is nice.", "It is nice."]
)
def test_a_corrected_fact_outlives_a_change_of_its_turn(corrected: tuple[MemoryManager, str], words: str) -> None:
    memory, turn = corrected
    memory.update(turn, scope=ANA, content=words)
    assert memory.flush(10)
    fact = home_of(memory)
    assert fact.fact is not None
    assert (fact.content, fact.fact.times) == ("The user lives in Porto.", 1)


def test_a_corrected_fact_outlives_another_extractor(tmp_path: Path, corrected: tuple[MemoryManager, str]) -> None:
    corrected[0].close()
    with MemoryManager.open(tmp_path, extractor=SaysHome(), embedder=None) as memory:
        memory.store("Hello.", scope=ANA)
        assert memory.flush(10)
        assert home_of(memory).content == "The user lives in Porto."


def test_a_correction_that_was_taken_back_protects_nothing(corrected: tuple[MemoryManager, str]) -> None:
    memory, turn = corrected
    memory.restore(home_of(memory).id, scope=ANA, version=1)
    memory.update(turn, scope=ANA, content="I live in Porto. It is nice.")
    assert memory.flush(10)
    assert home_of(memory).content == "The user lives in Porto."
    assert home_of(memory).version == 1, "read anew"


def test_a_corrected_day_outlives_a_change_of_its_turn(tmp_path: Path) -> None:
    with MemoryManager.open(tmp_path, extractor="rules", embedder=None) as memory:
        turn = memory.store("I live in Porto.", scope=ANA)
        assert memory.flush(10)
        memory.update(home_of(memory).id, scope=ANA, valid_from=datetime(2019, 5, 4, tzinfo=UTC))
        memory.update(turn.id, scope=ANA, content="Well, I live in Porto.")
        assert memory.flush(10)
        fact = home_of(memory)
        assert fact.fact is not None
        assert (fact.valid_from.year, fact.fact.span) == (2019, (6, 21))


def test_a_fact_of_half_a_character_is_dropped_and_counted(tmp_path: Path) -> None:
    told = Told(subject="user", attribute="employer", value="A\ud800", polarity="affirmed")
    with MemoryManager.open(tmp_path, extractor=told, embedder=None) as memory:
        memory.store("I work at A.", scope=ANA)
        assert memory.flush(10)
        assert facts(memory) == []
        assert memory.verify().ok
