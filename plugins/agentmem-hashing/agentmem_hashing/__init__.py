"""An embedder without a model: words and their character n-grams, hashed into a fixed number of places.

Texts that share words are near, and so are texts that share parts of words: a typo, an inflection or a compound
changes few n-grams. No vocabulary is needed, so every language with letters works, and nothing is downloaded.
"""

from __future__ import annotations

import math
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from agentmem.errors import ConfigError
from agentmem.interfaces import Embedder, EmbedRequest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from agentmem.interfaces import Vectors

__all__ = ["HashingEmbedder"]

_CHARACTERS_LIKE_SYLLABLES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]"
)
"""Thai, Lao, Burmese, Khmer, Chinese, Japanese, Korean: one or two of these carry what three or four letters do."""
_WORDS = re.compile(r"\w{1,64}")
"""Runs of letters and digits; a script without spaces, or a megabyte without one, is cut into pieces."""


class HashingEmbedder(Embedder):
    """Vectors from hashed words and character n-grams, half of the length each.

    Args:
        dimensions: Length of a row, at least 16; fewer means that more features share a place.
        shortest: Letters of the shortest n-gram.
        longest: Letters of the longest n-gram.

    Raises:
        ConfigError: too few dimensions, or n-grams that are none.
    """

    def __init__(self, dimensions: int = 512, *, shortest: int = 3, longest: int = 4) -> None:
        if dimensions < 16:
            raise ConfigError(f"HashingEmbedder needs at least 16 dimensions, not {dimensions}.")
        if not 1 <= shortest <= longest:
            raise ConfigError(f"HashingEmbedder: n-grams of {shortest} to {longest} characters do not exist.")
        self.name = f"hashing-{shortest}-{longest}"
        self.dimensions = dimensions
        self._lengths = (shortest, longest)

    def embed(self, request: EmbedRequest) -> Vectors:
        vectors = np.zeros((len(request.texts), self.dimensions), dtype=np.float32)
        for row, text in zip(vectors, request.texts, strict=True):
            row[:] = self._vector(text)
        return vectors

    def _vector(self, text: str) -> NDArray[np.float64]:
        counts = Counter(_WORDS.findall(unicodedata.normalize("NFKC", text).casefold()))
        words = [_Features.of(word, self._lengths) for word in counts]
        weights = np.array([_weight(word, count) for word, count in counts.items()])
        whole = np.array([features.whole for features in words], dtype=np.uint32)
        parts = [features.parts for features in words]
        sizes = [len(each) for each in parts]
        halves = (
            self._placed(whole, weights),
            self._placed(np.concatenate([np.zeros(0, np.uint32), *parts]), np.repeat(weights, sizes)),
        )
        return _unit(halves[0] + halves[1])

    def _placed(self, hashes: NDArray[np.uint32], weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """The features' weights at their places; the sign makes those that share a place cancel on average."""
        signs = 1.0 - 2.0 * (hashes >> 31)
        places = ((hashes & 0x7FFFFFFF) % self.dimensions).astype(np.int64)
        return _unit(np.bincount(places, weights=signs * weights, minlength=self.dimensions))


class _Features:
    """The hashes of one word: of the whole and of its n-grams."""

    def __init__(self, word: str, lengths: tuple[int, int]) -> None:
        if _CHARACTERS_LIKE_SYLLABLES.search(word):
            lengths = (1, 2)
        self.whole = zlib.crc32(word.encode())
        self.parts = np.array([zlib.crc32(gram.encode()) for gram in _ngrams(f"<{word}>", lengths)], dtype=np.uint32)

    @staticmethod
    @lru_cache(maxsize=1 << 14)
    def of(word: str, lengths: tuple[int, int]) -> _Features:
        return _Features(word, lengths)


def _ngrams(word: str, lengths: tuple[int, int]) -> Iterator[str]:
    for length in range(lengths[0], lengths[1] + 1):
        for start in range(len(word) - length + 1):
            yield word[start : start + length]


def _weight(word: str, count: int) -> float:
    """More for what is said often, but less than in proportion; more for longer words, which are rarer everywhere."""
    return (1.0 + math.log(count)) * math.log1p(len(word))


def _unit(vector: NDArray[Any]) -> NDArray[np.float64]:
    length = float(np.linalg.norm(vector))
    return vector / length if length > 0 else vector
