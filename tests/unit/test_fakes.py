"""The fakes keep the promises of their roles, and the suites notice who does not keep them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import numpy as np
import pytest

from agentmem.errors import BackendError
from agentmem.interfaces import LLM, Embedder, EmbedRequest, Extractor, Reranker, RerankRequest
from agentmem.testing import (
    EmbedderTests,
    ExtractorTests,
    LLMTests,
    OverlapReranker,
    RerankerTests,
    ScriptedExtractor,
    ScriptedLLM,
    VectorStoreTests,
    WordHashEmbedder,
)
from agentmem.testing.suites.base import overridden_promises


class TestOverlapReranker(RerankerTests):
    @pytest.fixture
    def reranker(self) -> Reranker:
        return OverlapReranker()


class TestScriptedExtractor(ExtractorTests):
    @pytest.fixture
    def extractor(self) -> Extractor:
        return ScriptedExtractor([("Ana", "lives in", "Lisbon")])


class TestScriptedLLM(LLMTests):
    @pytest.fixture
    def llm(self) -> LLM:
        return ScriptedLLM("Hello.")

    @pytest.fixture
    def broken_llm(self) -> LLM:
        return ScriptedLLM(BackendError("The model is overloaded."))


def test_more_shared_words_are_nearer() -> None:
    texts = ["the red fox ran home", "the red fox slept", "the tax office", "nothing alike"]
    query, *vectors = WordHashEmbedder(256).embed(EmbedRequest(["the red fox ran", *texts]))
    cosines = [float(query @ vector) for vector in vectors]
    assert cosines == sorted(cosines, reverse=True)


def test_an_llm_with_no_answer_left_says_so() -> None:
    llm = ScriptedLLM()
    with pytest.raises(BackendError, match="no answer left"):
        llm.complete(LLMTests.question)


def test_a_function_answers_every_request() -> None:
    llm = ScriptedLLM(lambda request: request.messages[-1].content.upper())
    assert [llm.complete(LLMTests.question).text for _ in range(2)] == ["SAY HELLO."] * 2
    assert len(llm.requests) == 2


def test_a_promise_that_was_replaced_or_removed_is_named() -> None:
    class Lazy(VectorStoreTests):
        test_partitions_never_mix = None

        def test_a_row_may_come_back(self) -> None: ...

        @pytest.mark.xfail
        def test_putting_again_replaces(self) -> None: ...

    assert overridden_promises(Lazy) == [
        "Lazy.test_a_row_may_come_back",
        "Lazy.test_partitions_never_mix",
        "Lazy.test_putting_again_replaces",
    ]
    with pytest.raises(AssertionError, match="test_a_row_may_come_back"):
        Lazy().test_no_promise_was_overridden()


def test_a_promise_may_be_missed_with_a_reason_and_others_added() -> None:
    class Open(VectorStoreTests):
        @pytest.mark.xfail(reason="deleted rows stay until compaction")
        def test_a_row_may_come_back(self) -> None: ...

        def test_of_my_own(self) -> None: ...

    Open().test_no_promise_was_overridden()


class _Careless(Embedder):
    """Forgets to normalise, gives NaN for nothing, and depends on what else is in the batch."""

    name = "careless"
    dimensions = 4

    def embed(self, request: EmbedRequest) -> np.ndarray:  # type: ignore[type-arg]
        rows: Sequence[float] = [float(len(text)) or np.nan for text in request.texts]
        return np.array([[row, 1, 2, len(rows)] for row in rows], dtype=np.float32).reshape(-1, 4)


@pytest.mark.parametrize(
    "promise",
    [
        EmbedderTests.test_rows_have_length_one_or_are_zero,
        EmbedderTests.test_a_batch_gives_what_each_text_alone_gives_in_order,
        EmbedderTests.test_other_words_give_another_vector,
    ],
)
def test_the_suite_notices_a_careless_embedder(promise: object) -> None:
    with pytest.raises(AssertionError):
        promise(EmbedderTests(), _Careless())  # type: ignore[operator]


def test_the_fakes_need_no_pytest() -> None:
    program = (
        "import sys; sys.modules['pytest'] = None; sys.modules['hypothesis'] = None\n"
        "from agentmem.testing import WordHashEmbedder, ScriptedLLM, draft, memory, SteppingClock\n"
        "memory('x'); draft('x')"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_scores_of_the_overlap_reranker_follow_the_overlap() -> None:
    scores = OverlapReranker().rerank(RerankRequest("a red fox", ["red fox a", "red", "dog"]))
    assert scores.tolist() == pytest.approx([1, 1 / 3, 0])
