"""Words of like meaning: "pet" finds "dog", "job" finds "work". English; a table of stems beside this file.

Made by `python -m bench.related_words` from sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0): for 13,690 stems the
hashes of up to twelve others that the model puts near, and how near.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

TABLE: Final = Path(__file__).with_name("related.npz")


class Relative(NamedTuple):
    """A term that means about what the question's term at ``place`` does; ``nearness`` above 0, at most 1."""

    place: int
    term: int
    nearness: float


def relatives(terms: Sequence[int]) -> list[Relative]:
    """The relatives of the terms of ``lexical``, term after term, each one's nearest first; none for unknown ones."""
    table = _table()
    found = []
    for place, (term, row) in enumerate(zip(terms, np.searchsorted(table.stems, terms).tolist(), strict=True)):
        if row < len(table.stems) and table.stems[row] == term:
            here = slice(table.starts[row], table.starts[row + 1])
            near = zip(table.stems[table.places[here]].tolist(), table.nearness[here].tolist(), strict=True)
            found += [Relative(place, stem, nearness / 255) for stem, nearness in near]
    return found


class _Table(NamedTuple):
    """Stems in ascending order; the relatives of stem i are the entries from ``starts[i]`` to ``starts[i + 1]``."""

    stems: NDArray[Any]
    starts: NDArray[Any]
    places: NDArray[Any]
    nearness: NDArray[Any]


@lru_cache(1)
def _table() -> _Table:
    with np.load(TABLE) as arrays:
        return _Table(*(arrays[name] for name in _Table._fields))
