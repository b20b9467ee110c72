"""How many tokens a text costs: exactly where tiktoken's tables are on this machine, else a calibrated estimate."""

from __future__ import annotations

import binascii
import hashlib
import importlib.util
import os
import re
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from agentmem.errors import ConfigError
from agentmem.interfaces import TokenCounter

if TYPE_CHECKING:
    from tiktoken import Encoding


def default_counter() -> TokenCounter:
    """Exact counts if the tables of o200k_base are on this machine, else the estimate. Never the network."""
    try:
        return TiktokenCounter()
    except ConfigError:
        return EstimatedCounter()


class TiktokenCounter(TokenCounter):
    """Counts tokens as OpenAI's models do; about 2 microseconds for a short text, 0.3 s once for the tables.

    tiktoken would download its tables at the first use. This reads them only from where they already are: its
    cache folder (``TIKTOKEN_CACHE_DIR``, ``DATA_GYM_CACHE_DIR``, or ``data-gym-cache`` among the temporary files)
    or an installed litellm, which carries them; and only if their checksum is right.

    A text of more than 16,384 characters is counted in slices, which may add a token for each.

    Raises:
        ConfigError: the encoding is unknown or its tables are not here.
    """

    is_exact = True

    def __init__(self, encoding: str = "o200k_base") -> None:
        if encoding not in _TABLES:
            raise ConfigError(f"tokens: there is no encoding {encoding!r}.", hint=f"It takes: {', '.join(_TABLES)}.")
        if importlib.util.find_spec("tiktoken") is None:
            raise ConfigError("tokens: tiktoken is not installed.", hint="Run `pip install tiktoken`.")
        self.name = f"tiktoken/{encoding}"
        self._table = _TABLES[encoding]
        self._file = _find(self._table)

    def count(self, text: str) -> int:
        encode = _encoding(self._table, self._file).encode_ordinary
        if len(text) <= _SLICE:
            return len(encode(text))
        return sum(len(encode(text[start : start + _SLICE])) for start in range(0, len(text), _SLICE))


class EstimatedCounter(TokenCounter):
    """Estimates o200k_base tokens from the words, digits and signs of a text; 2 to 3 microseconds for a short one.

    Calibrated on 8,561 turns of LoCoMo and LongMemEval: 2 % low in total, half of the turns within 1.5 %, 95 % within
    9 %. Source code and JSON lie within 5 % in total; Chinese, Japanese, Korean, Russian, Arabic, Spanish and French
    within 10 %; German is 10 % low, Polish and emoji 20 %.
    """

    name = "estimate/o200k_base"
    is_exact = False

    def count(self, text: str) -> int:
        if text.isascii():
            return len(_ASCII_PIECES.findall(text)) or min(len(text), 1)
        pieces = len(_PIECES.findall(text)) + int(_TOKENS_PER_CJK * len(_CJK.findall(text)))
        return pieces or 1


_ASCII_PIECES: Final = re.compile(r"[A-Za-z]{1,13}(?:'[a-z]{1,2})?|\d{1,3}|[^\w\s]{1,3}|\n+|_")
_PIECES: Final = re.compile(
    r"[A-Za-z]{1,13}(?:['’][a-z]{1,2})?|\d{1,3}"
    r"|[À-ɏ][A-Za-z]{0,2}"  # an accent usually begins a new token
    r"|[!-/:-@\[-`{-¿‐-⁞]{1,3}|\n+"
    r"|[\u0370-\u07ff]{1,4}"  # Greek, Cyrillic, Hebrew, Arabic
    r"|[\u0900-\u0eff]{1,3}"  # India's and Thailand's scripts
    r"|[\u2190-\u2bff\ufe0f\U00010000-\U0010ffff]"  # symbols and emoji
)
_CJK: Final = re.compile(r"[\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af\uff00-\uffef]")
_TOKENS_PER_CJK: Final = 0.75

_SLICE: Final = 16_384
"""Longest text handed to tiktoken at once: a million spaces overflow its stack and abort the call."""


class _Table(NamedTuple):
    """A published table of tokens: where tiktoken caches it, its checksum, and how text is split before it is used."""

    encoding: str
    sha256: str
    pattern: str

    @property
    def file_name(self) -> str:
        url = f"https://openaipublic.blob.core.windows.net/encodings/{self.encoding}.tiktoken"
        return hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()


_TABLES: Final = {
    table.encoding: table
    for table in (
        _Table(
            "o200k_base",
            "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
            r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        ),
        _Table(
            "cl100k_base",
            "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
            r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
            r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        ),
    )
}


def _find(table: _Table) -> Path:
    """The table's file, its checksum proven: tiktoken itself would delete a wrong one and download."""
    for folder in _folders():
        path = folder / table.file_name
        if path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == table.sha256:
            return path
    raise ConfigError(
        f"tokens: the tables of {table.encoding} are not on this machine.",
        hint=f"With a connection, run `python -c 'import tiktoken; tiktoken.get_encoding(\"{table.encoding}\")'` once; "
        "or configure tokens: estimate.",
    )


def _folders() -> Iterator[Path]:
    cache = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    if cache is None:
        yield Path(tempfile.gettempdir()) / "data-gym-cache"
    elif cache:
        yield Path(cache)
    litellm = importlib.util.find_spec("litellm")
    for folder in (litellm and litellm.submodule_search_locations) or ():
        yield Path(folder) / "litellm_core_utils" / "tokenizers"


@lru_cache(maxsize=2)
def _encoding(table: _Table, file: Path) -> Encoding:
    from tiktoken import Encoding

    lines = map(bytes.split, file.read_bytes().splitlines())
    ranks = {binascii.a2b_base64(token): int(rank) for token, rank in lines}
    return Encoding(table.encoding, pat_str=table.pattern, mergeable_ranks=ranks, special_tokens={})
