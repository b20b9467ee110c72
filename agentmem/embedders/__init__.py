"""Text to vectors. The default, ``static``, runs in process and never touches the network.

Vectors are kept as float16 and computed with as float32: half the disk, and no scan in half precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from agentmem.errors import BackendError

if TYPE_CHECKING:
    from agentmem.interfaces import Vectors


def to_blob(vectors: Vectors) -> list[bytes | None]:
    """float16 bytes of each row, or None for a row of zeros: such a text has no vector.

    Args:
        vectors: (n, d) float32, rows of length 1 or 0.
    """
    half = vectors.astype("<f2")
    return [row.tobytes() if present else None for row, present in zip(half, vectors.any(axis=1), strict=True)]


def from_blobs(blobs: Sequence[bytes], dimensions: int) -> Vectors:
    """(n, dimensions) float32, one row per blob, in order.

    Raises:
        BackendError: the bytes are not n rows of that many dimensions.
    """
    import numpy as np

    flat = np.frombuffer(b"".join(blobs), dtype="<f2")
    if flat.size != len(blobs) * dimensions:
        raise BackendError(
            f"{len(blobs)} vectors of {dimensions} dimensions were expected, {flat.size} numbers came.",
            hint="The vectors come from another embedder: run `agentmem reembed`.",
        )
    return flat.astype(np.float32).reshape(len(blobs), dimensions)
