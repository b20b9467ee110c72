"""Rerankers behind HTTP and in a library, and what the pipeline makes of opinions."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agentmem import MemoryManager, Scope
from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import Reranker, RerankRequest
from agentmem.rerankers import probabilities
from agentmem.rerankers.http import HttpReranker
from agentmem.rerankers.sentence_transformers import SentenceTransformersReranker
from agentmem.retrieval.options import RetrievalOptions
from agentmem.testing import RerankerTests
from tests.integration.test_openai_embedder import Endpoint

ANA = Scope(user="ana")


def opinions(body: dict[str, Any]) -> tuple[int, Any]:
    """The share of the question's words in each document, best first, as services list them."""
    wanted = set(body["query"].lower().split())
    found = [
        {"index": place, "relevance_score": len(wanted & set(text.lower().split())) / max(len(wanted), 1)}
        for place, text in enumerate(body["documents"])
    ]
    return 200, {"results": sorted(found, key=lambda each: -each["relevance_score"])[: body["top_n"]]}


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    endpoint = Endpoint()
    endpoint.answer = opinions
    yield endpoint
    endpoint.server.shutdown()
    endpoint.server.server_close()


@pytest.fixture
def http(endpoint: Endpoint) -> Iterator[HttpReranker]:
    reranker = HttpReranker("tiny", base_url=endpoint.url, api_key="s3cret", max_characters=30, timeout_s=5)
    yield reranker
    reranker.close()


class TestHttpReranker(RerankerTests):
    @pytest.fixture
    def reranker(self, http: HttpReranker) -> Reranker:
        return http


def test_scores_come_back_in_the_order_of_the_texts(endpoint: Endpoint, http: HttpReranker) -> None:
    scores = http.rerank(RerankRequest("red fox", ["a dog", "red fox", "a red dog that is longer than thirty letters"]))
    assert scores.tolist() == [0, 1, 0.5]
    assert endpoint.requests[0]["documents"][2] == "a red dog that is longer than "
    assert endpoint.authorizations == ["Bearer s3cret"]


def test_a_key_of_openai_is_not_sent_to_another_service(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-mine")
    HttpReranker("tiny", base_url=endpoint.url).rerank(RerankRequest("a", ["b"]))
    assert "sk-mine" not in str(endpoint.authorizations)


@pytest.mark.parametrize(
    "answer",
    [
        (500, {"error": "s3cret"}),
        (200, {"results": []}),
        (200, {"results": [{"index": 0, "relevance_score": "high"}]}),
        (200, {"results": [{"index": 0, "relevance_score": float("nan")}]}),
        (200, []),
        (200, b"<html>"),
    ],
)
def test_what_is_no_answer_is_an_error_that_shows_no_key(endpoint: Endpoint, http: HttpReranker, answer: Any) -> None:
    endpoint.answer = lambda body: answer
    with pytest.raises(BackendError) as caught:
        http.rerank(RerankRequest("a", ["b"]))
    assert "s3cret" not in str(caught.value)


def test_log_odds_of_one_or_two_classes_become_probabilities() -> None:
    assert probabilities([[0.0], [1e9], [-1e9]]).round(6).tolist() == [0.5, 1.0, 0.0]
    assert probabilities([0.0, 2.0]).round(3).tolist() == [0.5, 0.881]
    assert probabilities([[1.0, 3.0]]).round(3).tolist() == [0.881]


# --- a library, made here: the real one weighs two gigabytes


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("")
    (tmp_path / "torch" / "nn.py").write_text("class Identity: pass\n")
    (tmp_path / "sentence_transformers.py").write_text(
        """
import numpy
from torch.nn import Identity

class CrossEncoder:
    def __init__(self, model, *, device, local_files_only):
        if model == "absent":
            raise OSError(f"{model} is not cached")

    def predict(self, pairs, *, batch_size, activation_fn, show_progress_bar):
        assert isinstance(activation_fn, Identity)
        if pairs[0][0] == "boom":
            raise RuntimeError("out of memory")
        return numpy.array([4.0 * len(set(q.lower().split()) & set(t.lower().split())) - 4 for q, t in pairs])
"""
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("sentence_transformers", "torch", "torch.nn"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.usefixtures("installed")
class TestSentenceTransformersReranker(RerankerTests):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return SentenceTransformersReranker("some/model")


@pytest.mark.usefixtures("installed")
def test_a_cross_encoder_that_fails_or_is_not_there_says_so() -> None:
    with pytest.raises(BackendError, match="out of memory"):
        SentenceTransformersReranker("some/model").rerank(RerankRequest("boom", ["a"]))
    with pytest.raises(ConfigError, match="local_files_only: false"):
        SentenceTransformersReranker("absent").rerank(RerankRequest("a", ["a"]))


# --- in the pipeline


class Says(Reranker):
    """Of every text what a function says."""

    def __init__(self, opinion: Any) -> None:
        self.opinion = opinion

    def rerank(self, request: RerankRequest) -> Any:
        return np.array([self.opinion(text) for text in request.texts], np.float32)


EXACT = "Invoice 4711 was paid by Tom"
OTHERS = tuple(f"Tom paid the invoice of month {number} late" for number in range(12))


def asked(reranker: Reranker | None, question: str, **options: Any) -> list[str]:
    with MemoryManager(
        {"type": "sql", "url": "sqlite://"}, reranker=reranker, retrieval=RetrievalOptions(**options), extractor=None
    ) as memory:
        memory.store_many([{"content": text} for text in (EXACT, *OTHERS)], scope=ANA)
        return [hit.content for hit in memory.retrieve(question, scope=ANA, k=5)]


@pytest.mark.parametrize("weight", [0.5, 5.0])
def test_an_exact_match_is_not_pushed_down_whatever_the_reranker_thinks(weight: float) -> None:
    against = Says(lambda text: 0.0 if text == EXACT else 1.0)
    assert asked(None, "invoice 4711")[0] == EXACT
    assert asked(against, "invoice 4711", rerank=weight)[0] == EXACT


def test_where_many_memories_hold_every_word_the_reranker_tells_them_apart() -> None:
    chosen = OTHERS[7]
    assert asked(Says(lambda text: float(text == chosen)), "the paid invoice", rerank=5.0)[0] == chosen


@pytest.mark.parametrize("opinion", [lambda text: float("nan"), lambda text: [1.0, 2.0]])
def test_opinions_that_are_none_leave_the_order_and_say_so(opinion: Any) -> None:
    with MemoryManager({"type": "sql", "url": "sqlite://"}, reranker=Says(opinion), extractor=None) as memory:
        memory.store(EXACT, scope=ANA)
        answer = memory.retrieve("invoice", scope=ANA)
    assert answer.hits[0].content == EXACT
    assert answer.degraded is not None
    assert "Not reranked" in answer.degraded


def test_without_weight_a_reranker_is_not_asked() -> None:
    def never(text: str) -> float:
        raise AssertionError("asked")

    assert asked(Says(never), "invoice 4711", rerank=0.0)[0] == EXACT
