"""With a package of that name made here: the real one weighs two gigabytes. What it imitates is release 5."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from agentmem.embedders.sentence_transformers import SentenceTransformersEmbedder
from agentmem.errors import BackendError, ConfigError
from agentmem.interfaces import EmbedRequest

PACKAGE = """
import numpy

class SentenceTransformer:
    def __init__(self, model, *, device, local_files_only):
        if model == "absent":
            raise OSError(f"{model} is not cached (local_files_only={local_files_only})")
        self.model = model

    def get_sentence_embedding_dimension(self):
        return 2

    def encode_document(self, texts, *, batch_size, show_progress_bar):
        if "boom" in texts:
            raise RuntimeError("out of memory")
        return numpy.array([[len(text), 0.0] for text in texts])

    def encode_query(self, texts, *, batch_size, show_progress_bar):
        return numpy.array([[0.0, len(text)] for text in texts])
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sentence_transformers.py").write_text(PACKAGE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)


@pytest.mark.usefixtures("installed")
def test_questions_and_memories_are_encoded_each_in_their_way() -> None:
    embedder = SentenceTransformersEmbedder("some/model")
    assert embedder.dimensions == 2
    assert embedder.embed(EmbedRequest(["abc", ""])).tolist() == [[1, 0], [0, 0]]
    assert embedder.embed(EmbedRequest(["abc"], purpose="query")).tolist() == [[0, 1]]
    assert embedder.embed(EmbedRequest(["abc"])).dtype == np.float32


@pytest.mark.usefixtures("installed")
def test_a_model_that_is_not_there_says_how_to_get_it() -> None:
    with pytest.raises(ConfigError, match="local_files_only: false") as caught:
        SentenceTransformersEmbedder("absent").embed(EmbedRequest(["a"]))
    assert "local_files_only=True" in str(caught.value)
    with pytest.raises(ConfigError, match="local_files_only=False"):
        SentenceTransformersEmbedder("absent", local_files_only=False).embed(EmbedRequest(["a"]))


@pytest.mark.usefixtures("installed")
def test_a_failing_pass_is_a_backend_error() -> None:
    with pytest.raises(BackendError, match="out of memory"):
        SentenceTransformersEmbedder("some/model").embed(EmbedRequest(["boom"]))


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    # None in sys.modules is Python's own way to say "not importable".
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    embedder = SentenceTransformersEmbedder()
    assert not embedder.is_local
    with pytest.raises(ConfigError, match=r"pyagentmem\[sentence-transformers\]"):
        embedder.embed(EmbedRequest(["a"]))
