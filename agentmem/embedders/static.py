"""The default embedder: a table of token vectors in process, summed per text. No network, no key, no model server."""

from __future__ import annotations

import importlib.util
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from agentmem.errors import ConfigError
from agentmem.interfaces import Embedder, EmbedRequest

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from agentmem.interfaces import Vectors

MAX_CHARACTERS: Final = 16_384
"""Of a longer text only the beginning is embedded: a mean over more words says nothing about any of them."""

_WORD: Final = re.compile(" +[^ ]+")
_CACHED_WORDS: Final = 65_536
_CACHED_WORD_CHARACTERS: Final = 32


class StaticEmbedder(Embedder):
    """Vectors from wordllama's 256-dimensional table (16 MB, in its wheel): the sum of the token vectors, length 1.

    The two files are read straight from the installed package at the first ``embed``: importing wordllama costs
    0.4 s, and its own loader would download. The vectors equal its own for text without outer white space; blank
    text has none. May be shared by threads and survives a fork (tokenizers' own thread pool is never started).

    Raises:
        ConfigError: at the first ``embed``, if wordllama or one of its files is not there.
    """

    name = "static"
    dimensions = 256
    is_local = True

    def __init__(self) -> None:
        self._model: _Model | None = None

    def embed(self, request: EmbedRequest) -> Vectors:
        import numpy as np

        model = self._model or self._load()
        vectors = np.zeros((len(request.texts), self.dimensions), np.float32)
        for vector, text in zip(vectors, request.texts, strict=True):
            tokens = model.tokens(text)
            if tokens:
                # One text at a time: its few rows stay in the processor's cache, a whole batch's do not.
                np.add.reduce(model.table.take(tokens, axis=0), axis=0, out=vector)
        lengths = np.sqrt(np.einsum("ij,ij->i", vectors, vectors))
        lengths[lengths == 0] = 1
        vectors /= lengths[:, None]
        return vectors

    def _load(self) -> _Model:
        # No lock: two threads may both read the files, which costs 0.1 s; a lock held at a fork would hang the child.
        self._model = model = _load_model(self.dimensions)
        return model


class _Model(NamedTuple):
    """The table as float32 (it is summed; float16 sums are four times slower) and what turns text into its rows."""

    table: Vectors
    tokenizer: Tokenizer
    words: dict[str, list[int]]

    def tokens(self, text: str) -> list[int]:
        """Row numbers of the text's tokens. No token reaches over a space, so words are looked up one by one."""
        found: list[int] = []
        for word in _WORD.findall(" " + text[:MAX_CHARACTERS].strip()):
            tokens = self.words.get(word)
            found += self._word_tokens(word) if tokens is None else tokens
        return found

    def _word_tokens(self, word: str) -> list[int]:
        # The tokenizer puts one space in front of whatever it is given.
        tokens: list[int] = self.tokenizer.encode(word[1:], add_special_tokens=False).ids
        if len(word) <= _CACHED_WORD_CHARACTERS:
            if len(self.words) >= _CACHED_WORDS:
                self.words.clear()
            self.words[word] = tokens
        return tokens


@lru_cache(maxsize=1)  # every manager of a process shares the table
def _load_model(dimensions: int) -> _Model:
    import numpy as np
    from safetensors import safe_open
    from tokenizers import Tokenizer

    folder = _package_folder("wordllama")
    tokenizer = Tokenizer.from_file(str(_require(folder / "tokenizers" / "l2_supercat_tokenizer_config.json")))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    with safe_open(str(_require(folder / "weights" / f"l2_supercat_{dimensions}.safetensors")), "np") as file:
        table = file.get_tensor("embedding.weight").astype(np.float32)
    return _Model(table, tokenizer, {})


def _package_folder(package: str) -> Path:
    # find_spec does not run the package.
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(
            f"The static embedder reads its table from the package {package}, which is not installed.",
            hint=f"Run `pip install {package}`, or configure another embedder.",
        )
    return Path(spec.submodule_search_locations[0])


def _require(path: Path) -> Path:
    if not path.is_file():
        raise ConfigError(
            f"The static embedder found no {path.name} in the installed wordllama.",
            hint="Install a wordllama release that ships it: `pip install --force-reinstall 'wordllama>=0.4'`.",
        )
    return path
