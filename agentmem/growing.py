"""An array that grows at its end without being copied each time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class GrowingArray:
    """Rows of one dtype; ``values`` is a view of those there are, valid also after the array has grown on."""

    def __init__(self, dtype: DTypeLike, *, width: int | None = None) -> None:
        self._buffer: NDArray[Any] = np.zeros((0,) if width is None else (0, width), dtype)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def values(self) -> NDArray[Any]:
        return self._buffer[: self._size]

    @property
    def nbytes(self) -> int:
        return self._buffer.nbytes

    def extend(self, rows: Any) -> None:
        """Add rows at the end."""
        start = self._size
        self.resize(start + len(rows))
        self._buffer[start : self._size] = rows

    def resize(self, size: int) -> None:
        """Have at least so many rows; new ones are zero."""
        if size > len(self._buffer):
            # An eighth to spare: doubling would waste half of the largest thing in memory.
            grown = np.zeros((size + (size >> 3) if self._size else size, *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._size] = self.values
            self._buffer = grown
        self._size = max(self._size, size)
