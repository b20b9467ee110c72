"""tiktoken with tables made here: the real ones weigh 3.6 MB and are used where they are found."""

from __future__ import annotations

import base64
import hashlib
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from agentmem import tokens
from agentmem.errors import ConfigError
from agentmem.tokens import EstimatedCounter, TiktokenCounter, default_counter


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder with a small table: the bytes, and the one word "hello"."""
    words = [bytes([byte]) for byte in range(256)] + [b"he", b"ll", b"hell", b"hello"]
    table = b"\n".join(base64.b64encode(word) + b" %d" % rank for rank, word in enumerate(words))
    known = tokens._TABLES["o200k_base"]
    (tmp_path / known.file_name).write_bytes(table)
    small = known._replace(sha256=hashlib.sha256(table).hexdigest())
    monkeypatch.setitem(tokens._TABLES, "o200k_base", small)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "nothing"))
    monkeypatch.setattr(tokens.importlib.util, "find_spec", lambda name: None if name == "litellm" else object())


@pytest.mark.usefixtures("cache")
def test_it_counts_by_the_table() -> None:
    counter = default_counter()
    assert isinstance(counter, TiktokenCounter)
    assert counter.is_exact
    assert counter.count("") == 0
    assert counter.count("hello") == 1
    assert counter.count("hello you") == 1 + 4
    assert counter.count("<|endoftext|>") == 13, "what looks special in stored text is text"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("text", [" " * 1_000_000, "a" * 100_000, "\ud800 lone", "\x00", "記憶" * 1_000])
def test_odd_texts_are_counted_too(text: str) -> None:
    assert TiktokenCounter().count(text) >= len(text) / 2


@pytest.mark.usefixtures("no_cache")
def test_without_tables_the_estimate_steps_in_and_says_so() -> None:
    counter = default_counter()
    assert isinstance(counter, EstimatedCounter)
    assert not counter.is_exact
    with pytest.raises(ConfigError, match=r"tiktoken.get_encoding"):
        TiktokenCounter()


def test_a_damaged_table_is_not_used_and_not_touched(cache: Path) -> None:
    path = cache / tokens._TABLES["o200k_base"].file_name
    path.write_bytes(path.read_bytes()[:-5])
    before = path.read_bytes()
    with pytest.raises(ConfigError):
        TiktokenCounter()
    assert path.read_bytes() == before


def test_an_unknown_encoding_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="cl100k_base"):
        TiktokenCounter("o200k")


def test_litellms_tables_are_found_without_importing_it(cache: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    folder = site / "litellm" / "litellm_core_utils" / "tokenizers"
    folder.mkdir(parents=True)
    (site / "litellm" / "__init__.py").write_text("raise AssertionError('imported')")
    name = tokens._TABLES["o200k_base"].file_name
    (folder / name).write_bytes((cache / name).read_bytes())
    script = f"""
from agentmem import tokens
tokens._TABLES["o200k_base"] = tokens._TABLES["o200k_base"]._replace(sha256={tokens._TABLES["o200k_base"].sha256!r})
print(tokens.TiktokenCounter().count("hello"))
"""
    root = Path(tokens.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": f"{root}:{site}", "TIKTOKEN_CACHE_DIR": ""}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment)
    assert done.stdout == "1\n", done.stderr


def test_the_patterns_are_tiktokens_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from tiktoken_ext import openai_public

    monkeypatch.setattr(openai_public, "load_tiktoken_bpe", lambda *_, expected_hash: {"sha256": expected_hash})
    for name, table in tokens._TABLES.items():
        theirs = getattr(openai_public, name)()
        assert table.pattern == theirs["pat_str"]
        assert table.sha256 == theirs["mergeable_ranks"]["sha256"]


def test_the_real_tables_where_they_are() -> None:
    try:
        counter = TiktokenCounter()
    except ConfigError as error:
        pytest.skip(str(error))
    assert counter.count("I moved to Lisbon in May, and my dog Rex came along on the plane.") == 17
