from __future__ import annotations

import numpy as np
import pytest

from agentmem.embedders.function import FunctionEmbedder
from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import EmbedRequest


def letters(texts: list[str]) -> list[list[float]]:
    return [[text.count(letter) for letter in "abc"] for text in texts]


def test_rows_are_brought_to_length_one_in_order() -> None:
    vectors = FunctionEmbedder(letters, dimensions=3).embed(EmbedRequest(["aab", "c", "zzz"]))
    assert vectors.dtype == np.float32
    assert np.allclose(vectors, [[2 / 5**0.5, 1 / 5**0.5, 0], [0, 0, 1], [0, 0, 0]])


def test_blank_texts_are_not_sent_and_have_no_vector() -> None:
    seen: list[list[str]] = []

    def record(texts: list[str]) -> list[list[float]]:
        seen.append(texts)
        return letters(texts)

    vectors = FunctionEmbedder(record, dimensions=3).embed(EmbedRequest(["", "a", " \n", "b"]))
    assert seen == [["a", "b"]]
    assert vectors.any(axis=1).tolist() == [False, True, False, True]
    assert FunctionEmbedder(record, dimensions=3).embed(EmbedRequest([" "])).shape == (1, 3)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([[1.0, 2.0]], r"shape \(1, 2\)"),
        ([[1.0, 2.0, 3.0]] * 2, r"shape \(2, 3\)"),
        ([[1.0, float("nan"), 0.0]], "NaN"),
        ([[1.0, float("inf"), 0.0]], "infinite"),
        ([["one", "two", "three"]], "not rows of numbers"),
        (None, "shape"),
        ([[1.0], [1.0, 2.0]], "not rows of numbers"),
    ],
)
def test_what_is_not_rows_of_finite_numbers_is_refused(answer: object, said: str) -> None:
    with pytest.raises(BackendError, match=said):
        FunctionEmbedder(lambda _: answer, dimensions=3, name="odd").embed(EmbedRequest(["a"]))


def test_what_the_function_raises_is_the_cause() -> None:
    def fail(_: list[str]) -> None:
        raise KeyError("weights")

    with pytest.raises(BackendError, match="KeyError") as caught:
        FunctionEmbedder(fail, dimensions=3).embed(EmbedRequest(["a"]))
    assert isinstance(caught.value.__cause__, KeyError)


def test_a_ref_is_imported_and_names_it() -> None:
    embedder = FunctionEmbedder(ref=f"{__name__}:letters", dimensions=3, is_local=True)
    assert embedder.name == f"{__name__}:letters"
    assert embedder.is_local
    assert embedder.embed(EmbedRequest(["b"])).tolist() == [[0, 1, 0]]


@pytest.mark.parametrize(
    "ref", ["letters", "nowhere_at_all:f", f"{__name__}:nothing", f"{__name__}:np", ":", "math:pi"]
)
def test_a_ref_that_is_no_function_is_a_config_error(ref: str) -> None:
    with pytest.raises(ConfigError, match="ref"):
        FunctionEmbedder(ref=ref, dimensions=3)


def test_exactly_one_of_function_and_ref_is_taken() -> None:
    with pytest.raises(ConfigError, match="either"):
        FunctionEmbedder(dimensions=3)
    with pytest.raises(ConfigError, match="either"):
        FunctionEmbedder(letters, ref="a:b", dimensions=3)
    with pytest.raises(ConfigError, match="at least 1"):
        FunctionEmbedder(letters, dimensions=0)


def test_fingerprints_differ_when_the_vectors_do() -> None:
    def one(texts: list[str]) -> list[list[float]]:
        return [[1.0, 0.0, 0.0]] * len(texts)

    same = FunctionEmbedder(letters, dimensions=3, name="x").fingerprint()
    assert same == FunctionEmbedder(letters, dimensions=3, name="x").fingerprint()
    assert same != FunctionEmbedder(one, dimensions=3, name="x").fingerprint()
