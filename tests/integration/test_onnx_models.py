"""ONNX models in process: the real runtime and tokenizer over two tiny networks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from agentmem import MemoryManager, Scope
from agentmem.config import from_mapping
from agentmem.embedders.onnx import OnnxEmbedder
from agentmem.errors import ConfigError
from agentmem.interfaces import Embedder, EmbedRequest, Reranker, RerankRequest
from agentmem.rerankers.onnx import OnnxReranker
from agentmem.testing import EmbedderTests, RerankerTests
from tests.integration.tiny_onnx import WORDS, embedder_in, reranker_in

ANA = Scope(user="ana")


class TestOnnxEmbedder(EmbedderTests):
    @pytest.fixture
    def embedder(self, tmp_path: Path) -> Embedder:
        return OnnxEmbedder(embedder_in(tmp_path / "model"), threads=1)

    @pytest.fixture
    def twin(self, embedder: OnnxEmbedder) -> Embedder:
        return OnnxEmbedder(embedder._model._path, threads=1)


class TestOnnxReranker(RerankerTests):
    @pytest.fixture
    def reranker(self, tmp_path: Path) -> Reranker:
        return OnnxReranker(reranker_in(tmp_path / "model"), threads=1)


def test_a_vector_is_the_mean_of_its_tokens_or_the_first_of_them(tmp_path: Path) -> None:
    folder = embedder_in(tmp_path / "model")
    texts = ["cat cat mat", "sat"]
    mean = OnnxEmbedder(folder, threads=1).embed(EmbedRequest(texts))
    assert mean[0, WORDS.index("cat")] == pytest.approx(2 / np.sqrt(5))
    assert mean[0, WORDS.index("mat")] == pytest.approx(1 / np.sqrt(5))
    assert mean[1].argmax() == WORDS.index("sat")
    # The first token is [CLS], which this network knows nothing of.
    assert not OnnxEmbedder(folder, pooling="first", threads=1).embed(EmbedRequest(texts)).any()


def test_questions_and_memories_get_their_prefixes(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(embedder_in(tmp_path / "model"), query_prefix="where ", memory_prefix="tax ", threads=1)
    asked = embedder.embed(EmbedRequest(["cat"], purpose="query"))[0]
    kept = embedder.embed(EmbedRequest(["cat"]))[0]
    assert (asked[WORDS.index("where")] > 0, asked[WORDS.index("tax")]) == (True, 0)
    assert (kept[WORDS.index("tax")] > 0, kept[WORDS.index("where")]) == (True, 0)


def test_of_a_long_text_only_the_beginning_is_read(tmp_path: Path) -> None:
    embedder = OnnxEmbedder(embedder_in(tmp_path / "model"), max_tokens=4, threads=1)
    vector = embedder.embed(EmbedRequest(["cat mat " + "tax " * 100_000]))[0]
    assert vector[WORDS.index("mat")] > 0
    assert vector[WORDS.index("tax")] == 0


_FORKS = """
import os, sys
from pathlib import Path
from agentmem.embedders.onnx import OnnxEmbedder
from agentmem.interfaces import EmbedRequest
embedder = OnnxEmbedder(Path(sys.argv[1]), threads=2)
expected = embedder.embed(EmbedRequest(["the cat sat"]))
child = os.fork()
if child == 0:
    os._exit(0 if (embedder.embed(EmbedRequest(["the cat sat"])) == expected).all() else 1)
sys.exit(os.waitpid(child, 0)[1])
"""


def test_a_forked_child_opens_the_model_anew(tmp_path: Path) -> None:
    # In a process of its own: a child of this one would inherit the threads of every test before.
    command = [sys.executable, "-c", _FORKS, str(embedder_in(tmp_path / "model"))]
    ran = subprocess.run(command, timeout=60, cwd=Path(__file__).parents[2], check=False, capture_output=True)
    assert ran.returncode == 0, ran.stderr


def test_what_is_no_model_says_what_to_give(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"model\.onnx and tokenizer\.json"):
        OnnxEmbedder(tmp_path).embed(EmbedRequest(["a"]))
    (tmp_path / "model.onnx").write_bytes(b"no network")
    with pytest.raises(ConfigError, match=str(tmp_path.name)):
        OnnxReranker(tmp_path).rerank(RerankRequest("a", ["b"]))


def test_a_missing_package_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"pyagentmem\[onnx\]"):
        OnnxEmbedder(embedder_in(tmp_path / "model")).embed(EmbedRequest(["a"]))


def test_yaml_names_both_and_memory_finds_with_them(tmp_path: Path) -> None:
    embedder_in(tmp_path / "embedder")
    reranker_in(tmp_path / "reranker")
    config = from_mapping(
        {
            "version": 1,
            "log": "sqlite:///memory.db",
            "embedder": {"type": "onnx", "model": "embedder", "threads": 1},
            "reranker": {"type": "onnx", "model": "./reranker", "threads": 1},
            "extractor": None,
        },
        base=tmp_path,
    )
    with MemoryManager(**config.backends()) as memory:
        memory.store("The cat sat on the mat.", scope=ANA)
        memory.store("The tax is due in May.", scope=ANA)
        memory.flush()
        answer = memory.retrieve("Where is the cat?", scope=ANA, explain=True)
    assert answer.degraded is None
    assert answer.hits[0].content == "The cat sat on the mat."
    assert answer.hits[0].signals["rerank"] > 0
    assert answer.hits[0].signals["dense"] > 0
