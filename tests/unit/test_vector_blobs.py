from __future__ import annotations

import numpy as np
import pytest

from agentmem.embedders import from_blobs, to_blob
from agentmem.errors import BackendError


def unit_rows(n: int, dimensions: int) -> np.ndarray:
    rows = np.random.default_rng(7).normal(size=(n, dimensions)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_vectors_come_back_in_order_within_half_precision() -> None:
    rows = unit_rows(5, 256)
    blobs = [blob for blob in to_blob(rows) if blob is not None]
    back = from_blobs(blobs, 256)
    assert back.dtype == np.float32
    assert back.shape == (5, 256)
    assert np.abs(back - rows).max() < 1e-3
    assert all(len(blob) == 512 for blob in blobs)


def test_a_row_of_zeros_is_no_vector() -> None:
    rows = unit_rows(3, 8)
    rows[1] = 0
    assert [blob is None for blob in to_blob(rows)] == [False, True, False]


def test_no_blobs_are_an_empty_table() -> None:
    assert from_blobs([], 256).shape == (0, 256)
    assert to_blob(np.zeros((0, 256), np.float32)) == []


def test_blobs_of_another_width_are_refused() -> None:
    blobs = [blob for blob in to_blob(unit_rows(2, 8)) if blob is not None]
    with pytest.raises(BackendError, match="reembed"):
        from_blobs(blobs, 16)
