"""The hashing embedder keeps the promises of its role, forgives typos, and is found by its entry point."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path

import pytest
from agentmem_hashing import HashingEmbedder

from agentmem import ConfigError, MemoryManager, Scope
from agentmem.interfaces import Embedder, EmbedRequest
from agentmem.log.sql import SQLLog
from agentmem.registry import available, resolve
from agentmem.testing import EmbedderTests

PLUGIN = Path(__file__).parent.parent


class TestHashingEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashingEmbedder()

    @pytest.fixture
    def twin(self) -> Embedder:
        return HashingEmbedder()


class TestSmallHashingEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self) -> Embedder:
        return HashingEmbedder(64, shortest=2, longest=5)

    @pytest.fixture
    def twin(self) -> Embedder:
        return HashingEmbedder(64, shortest=2, longest=5)


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The package as an installer would leave it: metadata beside it that names its entry points."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    info = tmp_path / f"agentmem_hashing-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {target}" for name, target in points.items()))
    ]
    (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)


def cosine(one: str, other: str) -> float:
    first, second = HashingEmbedder().embed(EmbedRequest([one, other]))
    return float(first @ second)


@pytest.mark.parametrize(
    ("one", "near", "far"),
    [
        ("the accomodation in Lisbon", "the accommodation in Lisbon", "the quarterly report in Berlin"),
        ("Kahvikoneeni on rikki", "kahvikone", "sateenvarjo"),
        ("Versicherungsnummer", "Nummer der Versicherung", "Kaffee mit Milch"),
        ("明日は東京で会議があります", "東京の会議", "犬が好きです"),
        ("Я переехал в Лиссабон", "переезд в Лиссабоне", "налоговый отчёт"),
        ("ＦＵＬＬ　ｗｉｄｔｈ", "full width", "half height"),
    ],
)
def test_parts_of_words_make_texts_near_in_any_language(one: str, near: str, far: str) -> None:
    assert cosine(one, near) > cosine(one, far) + 0.1


def test_texts_that_share_nothing_are_far_apart() -> None:
    assert abs(cosine("quarterly tax report", "blue umbrella")) < 0.15


def test_punctuation_alone_has_no_vector() -> None:
    assert not HashingEmbedder().embed(EmbedRequest(["?!… 🙂"])).any()


def test_it_is_fast_enough_for_the_write_path() -> None:
    texts = [
        f"Turn {number}: I moved to Lisbon in May, because of my new job at the hospital." for number in range(500)
    ]
    start = time.perf_counter()
    HashingEmbedder().embed(EmbedRequest(texts))
    assert (time.perf_counter() - start) / len(texts) < 0.002


@pytest.mark.parametrize("options", [{"dimensions": 8}, {"shortest": 0}, {"shortest": 5, "longest": 4}])
def test_senseless_options_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        HashingEmbedder(**options)


@pytest.mark.usefixtures("installed")
def test_it_is_found_by_its_entry_point() -> None:
    [claim] = [claim for claim in available("embedder") if claim.name == "hashing"]
    assert (claim.distribution, claim.target) == ("agentmem-hashing", "agentmem_hashing:HashingEmbedder")
    assert resolve("embedder", "hashing") is HashingEmbedder


def test_without_being_installed_it_is_not_found() -> None:
    with pytest.raises(ConfigError, match="no 'hashing'"):
        resolve("embedder", "hashing")


@pytest.mark.usefixtures("installed")
def test_a_manager_that_is_given_the_name_searches_with_it() -> None:
    ana = Scope(user="ana")
    with MemoryManager(SQLLog("sqlite://"), embedder="hashing") as memory:
        for text in ("Kahvikoneeni on rikki.", "Sateenvarjo jäi junaan.", "Koira nukkuu."):
            memory.store(text, scope=ana)
        hits = memory.retrieve("kahvikone", scope=ana, explain=True)
        assert hits[0].content == "Kahvikoneeni on rikki."
        assert memory.stats().embedder.startswith("hashing")
        assert memory.stats().vectors == 3
