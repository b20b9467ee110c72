from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from agentmem.embedders import static
from agentmem.embedders.static import MAX_CHARACTERS, StaticEmbedder
from agentmem.errors import ConfigError
from agentmem.interfaces import EmbedRequest

TEXTS = [
    "I moved to Lisbon in May.",
    "a  double   space\tand a tab\nand a line",
    "Zażółć gęślą jaźń, naïve café",
    "記憶は大切です 🙂",
    "▁ literal ▁ marks",
    "e" * 500 + " end",
    "What did she say about her dog last week?",
    "x",
]


@pytest.fixture(scope="module")
def embedder() -> StaticEmbedder:
    return StaticEmbedder()


def test_vectors_equal_wordllamas_own(embedder: StaticEmbedder, tmp_path: Path) -> None:
    script = """
import sys, json, numpy as np, importlib.util, pathlib
from wordllama import WordLlama
folder = pathlib.Path(importlib.util.find_spec("wordllama").submodule_search_locations[0])
model = WordLlama.load(cache_dir=folder, disable_download=True)
np.save(sys.argv[1], np.concatenate([model.embed(text, norm=True) for text in json.loads(sys.argv[2])]))
"""
    path = tmp_path / "own.npy"
    subprocess.run([sys.executable, "-c", script, str(path), json.dumps(TEXTS)], check=True, capture_output=True)
    own = np.load(path)
    ours = embedder.embed(EmbedRequest(TEXTS))
    assert np.abs(ours - own).max() < 1e-5


def test_rows_have_length_one_and_blank_texts_have_none(embedder: StaticEmbedder) -> None:
    vectors = embedder.embed(EmbedRequest(["", *TEXTS, " \n\t "]))
    assert vectors.dtype == np.float32
    lengths = np.linalg.norm(vectors, axis=1)
    assert lengths[0] == lengths[-1] == 0
    assert np.allclose(lengths[1:-1], 1, atol=1e-5)


def test_no_texts_give_no_rows(embedder: StaticEmbedder) -> None:
    assert embedder.embed(EmbedRequest([])).shape == (0, 256)


def test_a_text_gives_the_same_vector_alone_in_a_batch_and_again(embedder: StaticEmbedder) -> None:
    batch = embedder.embed(EmbedRequest(TEXTS))
    alone = np.concatenate([embedder.embed(EmbedRequest([text])) for text in TEXTS])
    assert (batch == alone).all()


def test_only_the_beginning_of_a_long_text_counts(embedder: StaticEmbedder) -> None:
    beginning = ("word " * MAX_CHARACTERS)[:MAX_CHARACTERS]
    short, long = embedder.embed(EmbedRequest([beginning, beginning + " zebra" * 1000]))
    assert (short == long).all()


def test_near_meanings_are_nearer_than_far_ones(embedder: StaticEmbedder) -> None:
    dog, puppy, tax = embedder.embed(EmbedRequest(["my dog is ill", "the puppy is sick", "quarterly tax report"]))
    assert dog @ puppy > dog @ tax + 0.2


def test_a_full_word_cache_starts_over_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = StaticEmbedder().embed(EmbedRequest(TEXTS))
    monkeypatch.setattr(static, "_CACHED_WORDS", 3)
    assert (StaticEmbedder().embed(EmbedRequest(TEXTS)) == whole).all()


def test_many_threads_may_use_it_first_at_once() -> None:
    embedder = StaticEmbedder()
    found: list[np.ndarray] = []
    threads = [threading.Thread(target=lambda: found.append(embedder.embed(EmbedRequest(TEXTS)))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all((vectors == found[0]).all() for vectors in found)


def test_a_forked_child_embeds_too(embedder: StaticEmbedder) -> None:
    expected = embedder.embed(EmbedRequest(TEXTS))
    child = os.fork()
    if child == 0:
        os._exit(0 if (embedder.embed(EmbedRequest(TEXTS)) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_it_loads_in_a_fresh_process_without_wordllama_or_a_connection() -> None:
    script = """
import socket, sys, time
def refuse(*_): raise AssertionError("network")
socket.socket.connect = refuse
from agentmem.embedders.static import StaticEmbedder
from agentmem.interfaces import EmbedRequest
embedder = StaticEmbedder()
assert "numpy" not in sys.modules and "tokenizers" not in sys.modules
started = time.process_time()
embedder.embed(EmbedRequest(["hello"]))
assert "wordllama" not in sys.modules
print(time.process_time() - started)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(static.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, env=environment)
    # Processor time with numpy's import inside; about 0.2 s, so this fails only when something heavy creeps in.
    assert float(done.stdout) < 1.0


def test_it_is_fast_enough_for_the_write_path(embedder: StaticEmbedder) -> None:
    texts = [f"On day {n} we talked about the garden and what to plant next spring." for n in range(5_000)]
    started = time.process_time()
    embedder.embed(EmbedRequest(texts))
    # 25,000/s is promised on a quiet machine; a crowded one gets a wide berth.
    assert len(texts) / (time.process_time() - started) > 8_000


def test_a_missing_package_names_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    static._load_model.cache_clear()
    monkeypatch.setattr(static.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match="pip install wordllama"):
        StaticEmbedder().embed(EmbedRequest(["hello"]))
