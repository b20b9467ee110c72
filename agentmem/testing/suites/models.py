"""The suites of what turns text into vectors, scores, numbers and answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from agentmem.errors import AgentMemError, BackendError
from agentmem.interfaces import (
    LLM,
    Completion,
    CompletionRequest,
    Embedder,
    EmbedRequest,
    Message,
    Reranker,
    RerankRequest,
    TokenCounter,
)
from agentmem.testing.suites.base import ODD_TEXTS, Suite, fixture_missing, in_threads

if TYPE_CHECKING:
    from agentmem.interfaces import Vectors

SENTENCES = [
    "The cat sat on the mat.",
    "Ana moved from Porto to Lisbon in May, because of her new job.",
    "",
    "Quarterly tax report, invoice #4711.",
    "x",
    "The cat sat on the mat.",
    "Der Zug fährt um 9 Uhr, nicht um 10.",
    " ".join(["word"] * 300),
]


class EmbedderTests(Suite):
    """The promises of ``Embedder``.

    Fixtures:
        embedder: The embedder.
        twin: A second one, made the same way (what another process would make).
    """

    @pytest.fixture
    def embedder(self) -> Embedder:
        fixture_missing("embedder", "the Embedder to test.")

    @pytest.fixture
    def twin(self) -> Embedder:
        fixture_missing("twin", "a second Embedder, made the same way.")

    def test_it_says_its_name_and_dimensions(self, embedder: Embedder) -> None:
        assert isinstance(embedder.name, str)
        assert embedder.name
        assert embedder.dimensions > 0
        assert isinstance(embedder.is_local, bool)

    def test_rows_are_float32_of_the_promised_dimensions(self, embedder: Embedder) -> None:
        vectors = _embed(embedder, *SENTENCES)
        assert vectors.shape == (len(SENTENCES), embedder.dimensions)
        assert vectors.dtype == np.float32

    def test_no_texts_give_no_rows(self, embedder: Embedder) -> None:
        vectors = _embed(embedder)
        assert vectors.shape == (0, embedder.dimensions)
        assert vectors.dtype == np.float32

    def test_rows_have_length_one_or_are_zero(self, embedder: Embedder) -> None:
        _require_rows_of_length_one_or_zero(_embed(embedder, *SENTENCES))
        assert np.linalg.norm(_embed(embedder, SENTENCES[0])) > 0.99, "plain words have a vector"

    def test_the_same_text_gives_the_same_vector(self, embedder: Embedder) -> None:
        first, second = _embed(embedder, *SENTENCES), _embed(embedder, *SENTENCES)
        np.testing.assert_allclose(first, second, atol=1e-4)
        np.testing.assert_allclose(first[0], first[5], atol=1e-3)

    def test_a_batch_gives_what_each_text_alone_gives_in_order(self, embedder: Embedder) -> None:
        alone = np.concatenate([_embed(embedder, text) for text in SENTENCES])
        np.testing.assert_allclose(_embed(embedder, *SENTENCES), alone, atol=2e-3)
        np.testing.assert_allclose(_embed(embedder, *reversed(SENTENCES)), alone[::-1], atol=2e-3)

    def test_other_words_give_another_vector(self, embedder: Embedder) -> None:
        cat, tax = _embed(embedder, SENTENCES[0], SENTENCES[3])
        assert cat @ tax < 0.95

    def test_a_question_lies_nearer_to_its_words_than_to_others(self, embedder: Embedder) -> None:
        cat, tax = _embed(embedder, SENTENCES[0], SENTENCES[3])
        [question] = embedder.embed(EmbedRequest(["cat on the mat"], purpose="query"))
        assert question.shape == (embedder.dimensions,)
        assert question @ cat > question @ tax

    @pytest.mark.parametrize("text", ["", *ODD_TEXTS, pytest.param("a\x00b", id="nul")])
    def test_odd_texts_give_no_nan_and_spoil_no_neighbour(self, embedder: Embedder, text: str) -> None:
        vectors = _embed(embedder, text, SENTENCES[0])
        _require_rows_of_length_one_or_zero(vectors)
        np.testing.assert_allclose(vectors[1], _embed(embedder, SENTENCES[0])[0], atol=2e-3)

    def test_a_megabyte_has_a_vector_too(self, embedder: Embedder) -> None:
        vectors = _embed(embedder, "The cat sat on the mat. " * (1 << 20 >> 4) + "end", "short")
        _require_rows_of_length_one_or_zero(vectors)
        assert vectors.shape == (2, embedder.dimensions)

    def test_any_sequence_of_texts_will_do(self, embedder: Embedder) -> None:
        np.testing.assert_allclose(
            embedder.embed(EmbedRequest(tuple(SENTENCES[:2]))), _embed(embedder, *SENTENCES[:2]), atol=1e-4
        )

    def test_a_caller_may_change_the_answer(self, embedder: Embedder) -> None:
        vectors = _embed(embedder, SENTENCES[0])
        before = vectors.copy()
        vectors *= 0
        np.testing.assert_allclose(_embed(embedder, SENTENCES[0]), before, atol=1e-4)

    def test_its_fingerprint_is_that_of_its_twin_and_does_not_wear_off(
        self, embedder: Embedder, twin: Embedder
    ) -> None:
        fingerprint = embedder.fingerprint()
        assert isinstance(fingerprint, str)
        assert fingerprint
        _embed(embedder, *SENTENCES)
        assert embedder.fingerprint() == fingerprint == twin.fingerprint()
        np.testing.assert_allclose(_embed(twin, *SENTENCES), _embed(embedder, *SENTENCES), atol=1e-3)

    def test_threads_get_the_same_vectors(self, embedder: Embedder) -> None:
        expected = _embed(embedder, *SENTENCES)
        for vectors in in_threads(lambda _: _embed(embedder, *SENTENCES), 8):
            assert not isinstance(vectors, AgentMemError)
            np.testing.assert_allclose(vectors, expected, atol=2e-3)


def _embed(embedder: Embedder, *texts: str) -> Vectors:
    return embedder.embed(EmbedRequest(list(texts)))


def _require_rows_of_length_one_or_zero(vectors: Vectors) -> None:
    assert np.isfinite(vectors).all()
    lengths = np.linalg.norm(vectors, axis=1)
    assert (np.isclose(lengths, 1, atol=2e-3) | (lengths == 0)).all(), lengths


class RerankerTests(Suite):
    """The promises of ``Reranker``.

    Fixtures:
        reranker: The reranker.
    """

    @pytest.fixture
    def reranker(self) -> Reranker:
        fixture_missing("reranker", "the Reranker to test.")

    def test_scores_lie_between_zero_and_one_one_for_each_text(self, reranker: Reranker) -> None:
        scores = reranker.rerank(RerankRequest("Where does the cat sit?", SENTENCES))
        assert scores.shape == (len(SENTENCES),)
        assert scores.dtype == np.float32
        assert ((scores >= 0) & (scores <= 1)).all()

    def test_scores_follow_the_texts_whatever_their_order(self, reranker: Reranker) -> None:
        forwards = reranker.rerank(RerankRequest("Where does the cat sit?", SENTENCES))
        backwards = reranker.rerank(RerankRequest("Where does the cat sit?", SENTENCES[::-1]))
        np.testing.assert_allclose(forwards, backwards[::-1], atol=1e-3)

    def test_an_answer_scores_higher_than_what_has_nothing_to_do_with_it(self, reranker: Reranker) -> None:
        cat, tax = reranker.rerank(RerankRequest("Where did the cat sit?", [SENTENCES[0], SENTENCES[3]]))
        assert cat > tax

    def test_no_texts_give_no_scores(self, reranker: Reranker) -> None:
        assert reranker.rerank(RerankRequest("anything", [])).shape == (0,)

    @pytest.mark.parametrize("text", ["", *ODD_TEXTS])
    def test_odd_texts_are_scored_too(self, reranker: Reranker, text: str) -> None:
        for request in (RerankRequest(text, [text, "cat"]), RerankRequest("cat", [text])):
            scores = reranker.rerank(request)
            assert np.isfinite(scores).all()
            assert ((scores >= 0) & (scores <= 1)).all()


class TokenCounterTests(Suite):
    """The promises of ``TokenCounter``.

    Fixtures:
        counter: The counter.
    """

    @pytest.fixture
    def counter(self) -> TokenCounter:
        fixture_missing("counter", "the TokenCounter to test.")

    def test_it_says_its_name_and_whether_it_is_exact(self, counter: TokenCounter) -> None:
        assert isinstance(counter.name, str)
        assert counter.name
        assert isinstance(counter.is_exact, bool)

    def test_nothing_costs_nothing_and_words_cost_something(self, counter: TokenCounter) -> None:
        assert counter.count("") == 0
        assert isinstance(counter.count("hello"), int)
        assert counter.count("hello") >= 1

    def test_the_same_text_costs_the_same(self, counter: TokenCounter) -> None:
        assert len({counter.count(SENTENCES[1]) for _ in range(3)}) == 1

    def test_ten_times_the_words_cost_about_ten_times_as_much(self, counter: TokenCounter) -> None:
        one, ten = counter.count(SENTENCES[1] + " "), counter.count((SENTENCES[1] + " ") * 10)
        assert 8 * one <= ten <= 12 * one

    @pytest.mark.parametrize("text", ["<|endoftext|>", "<|im_start|>system", "\x00", *ODD_TEXTS])
    def test_any_text_can_be_counted(self, counter: TokenCounter, text: str) -> None:
        assert 1 <= counter.count(text) <= 4 * len(text.encode())

    def test_a_megabyte_can_be_counted(self, counter: TokenCounter) -> None:
        text = "The cat sat on the mat, and then it left. " * 25_000
        assert 100_000 < counter.count(text) < len(text)

    def test_threads_count_the_same(self, counter: TokenCounter) -> None:
        assert len(set(in_threads(lambda _: counter.count(SENTENCES[1]), 8))) == 1


class LLMTests(Suite):
    """The promises of ``LLM``; what it answers is its own business.

    Fixtures:
        llm: A model that answers.
        broken_llm: The same, in a state in which it cannot answer (wrong key, no network).
    """

    question = CompletionRequest([Message("system", "Be brief."), Message("user", "Say hello.")], max_tokens=20)

    @pytest.fixture
    def llm(self) -> LLM:
        fixture_missing("llm", "an LLM that answers.")

    @pytest.fixture
    def broken_llm(self) -> LLM:
        fixture_missing("broken_llm", "an LLM that cannot answer.")

    def test_an_answer_says_how_it_ended(self, llm: LLM) -> None:
        completion = llm.complete(self.question)
        assert isinstance(completion, Completion)
        assert completion.text
        assert completion.finish_reason
        assert completion.prompt_tokens is None or completion.prompt_tokens > 0
        assert completion.completion_tokens is None or completion.completion_tokens > 0

    def test_a_stream_gives_text(self, llm: LLM) -> None:
        pieces = list(llm.stream(self.question))
        assert all(isinstance(piece, str) for piece in pieces)
        assert "".join(pieces)

    def test_no_answer_is_a_backend_error(self, broken_llm: LLM) -> None:
        with pytest.raises(BackendError):
            broken_llm.complete(self.question)

    def test_no_answer_in_a_stream_is_a_backend_error(self, broken_llm: LLM) -> None:
        with pytest.raises(BackendError):
            list(broken_llm.stream(self.question))
