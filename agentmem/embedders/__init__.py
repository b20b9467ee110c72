"""Text to vectors. The default, ``static``, runs in process and never touches the network.

Vectors are kept as float16 and computed with as float32: half the disk, and no scan in half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from agentmem.errors import BackendError

if TYPE_CHECKING:
    from agentmem.interfaces import Vectors


def to_blob(vectors: Vectors) -> list[bytes | None]:
    """float16 bytes of each row, or None for a row of zeros: such a text has no vector.

    Args:
        vectors: (n, d) float32, rows of length 1 or 0.
    """
    return [row.tobytes() if row.any() else None for row in vectors.astype("<f2")]


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


def embed_present(texts: Sequence[str], dimensions: int, name: str, embed: Callable[[list[str]], Any]) -> Vectors:
    """What a foreign model makes of the texts, checked: (n, dimensions) float32, rows of length 1.

    Blank texts are never sent (several services refuse the whole batch for one) and get a row of zeros.

    Args:
        name: The embedder's, for the message.
        embed: Gets the texts that are not blank; returns one row of numbers for each, in order.

    Raises:
        BackendError: the answer is not as many finite rows of that many numbers.
    """
    import numpy as np

    vectors = np.zeros((len(texts), dimensions), np.float32)
    present = [place for place, text in enumerate(texts) if text and not text.isspace()]
    if not present:
        return vectors
    answer = embed([texts[place] for place in present])
    try:
        rows = np.asarray(answer, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise BackendError(f"The embedder {name} returned something that is not rows of numbers.") from error
    if rows.shape != (len(present), dimensions):
        raise BackendError(
            f"The embedder {name} returned an array of shape {rows.shape} for {len(present)} texts; "
            f"({len(present)}, {dimensions}) was expected.",
            hint="Correct the embedder's dimensions in the configuration.",
        )
    if not np.isfinite(rows).all():
        raise BackendError(f"The embedder {name} returned NaN or an infinite number.")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    vectors[present] = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    return vectors
